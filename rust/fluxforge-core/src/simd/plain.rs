//! The twin that the others are held against: a byte at a time, on any machine.

use super::{BLOCK, Lens, Masks, Rare};

#[derive(Clone, Copy, Debug)]
pub(super) struct Plain;

impl Lens for Plain {
    #[inline]
    fn masks(self, block: &[u8; BLOCK]) -> Masks {
        let mut masks = Masks::default();
        for (at, &byte) in block.iter().enumerate() {
            let bit = 1 << at;
            match byte {
                b'"' => masks.quote |= bit,
                b',' => masks.comma |= bit,
                b':' => masks.colon |= bit,
                b'{' | b'[' => masks.open |= bit,
                b'}' | b']' => masks.close |= bit,
                b' ' => masks.space |= bit,
                b'\\' | 0..0x20 | 0x80.. => masks.rare = true,
                _ => {}
            }
        }
        masks
    }

    #[inline]
    fn rare(self, block: &[u8; BLOCK]) -> Rare {
        let slash = |(at, &byte)| u64::from(byte == b'\\') << at;
        Rare {
            backslash: block.iter().enumerate().map(slash).sum(),
            is_control: block.iter().any(|&byte| byte < 0x20),
            is_ascii: block.is_ascii(),
        }
    }

    #[inline]
    fn odd_below(self, bits: u64) -> u64 {
        let mut is_odd = false;
        (0..BLOCK).fold(0, |all, at| {
            is_odd ^= bits >> at & 1 == 1;
            all | u64::from(is_odd) << at
        })
    }
}
