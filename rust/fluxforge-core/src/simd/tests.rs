use proptest::prelude::*;

use super::plain::Plain;
use super::{BLOCK, Lens, Look, Way};

#[derive(Clone, Copy)]
struct Everything<'a>(&'a [u8; BLOCK], u64);

impl Look for Everything<'_> {
    type Seen = ();

    fn through(self, lens: impl Lens) {
        let Self(block, bits) = self;
        assert_eq!(lens.masks(block), Plain.masks(block));
        assert_eq!(lens.rare(block), Plain.rare(block));
        assert_eq!(lens.odd_below(bits), Plain.odd_below(bits), "{bits:b}");
    }
}

proptest! {
    #[test]
    fn every_lens_sees_what_the_plain_one_sees(
        like in prop::collection::vec(prop_oneof![
            4 => 0x20..0x7f_u8, 2 => prop::sample::select(&b"\"\\,:{}[] "[..]), 1 => any::<u8>()], BLOCK),
        one in any::<u8>(), at in 0..BLOCK, bits: u64,
    ) {
        let mixed: [u8; BLOCK] = like.try_into().unwrap();
        // One byte alone as well: among others, what it is taken for could hide.
        let mut alone = [b'x'; BLOCK];
        alone[at] = one;
        for way in Way::all() {
            way.look(Everything(&mixed, bits));
            way.look(Everything(&alone, bits));
        }
    }
}
