//! Values of the wire in steps of 16 and 32 bytes, with the widest instructions that the machine
//! has.
//!
//! [`Scalar`] says what each step means, in plain integers; the others are held against it by the
//! tests. A job that is done [`with_widest`] is compiled once per way, each step part of it.
//! Like those of [`swar`], the steps look for the shapes that are common and answer `None` for all
//! others, and may look beyond the line's end: what they accept never holds a line break.

#![expect(
    clippy::inline_always,
    reason = "a step must become part of a job, to be compiled for the same instructions"
)]

use super::swar::{self, Decimal};

#[cfg(target_arch = "x86_64")]
#[expect(
    unsafe_code,
    reason = "loads from pointers, calls after detection; see each SAFETY"
)]
mod x86;

/// Bytes that a step may look at.
pub(crate) const STEP: usize = 32;

/// What a text must begin with: up to 32 bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Literal {
    bytes: [u8; STEP],
    /// Ones where it has bytes.
    mask: [u8; STEP],
    length: usize,
}

impl Literal {
    /// None if it is too long.
    pub(crate) fn new(text: &[u8]) -> Option<Self> {
        let mut literal = Self {
            bytes: [0; STEP],
            mask: [0; STEP],
            length: text.len(),
        };
        literal.bytes.get_mut(..text.len())?.copy_from_slice(text);
        literal.mask[..text.len()].fill(0xff);
        Some(literal)
    }

    #[inline(always)]
    pub(crate) fn length(&self) -> usize {
        self.length % (2 * STEP)
    }
}

/// A way to look at 32 bytes.
pub(crate) trait Wide: Copy {
    /// Whether the text begins with the literal.
    fn begins_with(self, text: &[u8; STEP], literal: &Literal) -> bool;

    /// Reads a decimal without a sign up to its closing quote; the text begins behind the opening
    /// one.
    fn decimal(self, text: &[u8; STEP]) -> Option<Decimal>;

    /// How many of the word's bytes stand before its first quote, whatever they are; 8 or more if it
    /// has none. The text's first byte is the lowest.
    fn quote(self, word: u64) -> u32;

    /// How many bytes stand before the closing quote, if none of them is an escape or a control
    /// character.
    fn plain(self, text: &[u8; STEP]) -> Option<usize>;
}

/// What is to be done with the widest way.
pub(crate) trait Job {
    type Done;

    /// Must be `inline(always)`, and so all that it calls with `wide`: it becomes part of a
    /// function that may use the way's instructions.
    fn with(self, wide: impl Wide) -> Self::Done;
}

/// Does the job in the widest way that the machine has.
#[inline]
pub(crate) fn with_widest<J: Job>(job: J) -> J::Done {
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = x86::Avx2::detect() {
        return avx2.run(job);
    }
    job.with(Scalar)
}

/// How many bytes from the start are neither quote, backslash nor control character.
#[inline]
pub(crate) fn plain_run(bytes: &[u8]) -> usize {
    let mut at = 0;
    #[cfg(target_arch = "x86_64")]
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let ends = x86::ends(chunk);
        if ends != 0 {
            return at + ends.trailing_zeros() as usize;
        }
        at += chunk.len();
    }
    at + swar::plain_run(&bytes[at..])
}

/// Asks for the first so many bytes to be brought from memory, which takes as long as reading them.
#[inline]
pub(crate) fn prefetch(bytes: &[u8], length: usize) {
    #[cfg(target_arch = "x86_64")]
    x86::prefetch(&bytes[..length.min(bytes.len())]);
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (bytes, length);
}

/// The way of any machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scalar;

impl Wide for Scalar {
    #[inline(always)]
    fn begins_with(self, text: &[u8; STEP], literal: &Literal) -> bool {
        let bytes = text.iter().zip(&literal.bytes).zip(&literal.mask);
        bytes.fold(0, |differs, ((text, byte), mask)| {
            differs | ((text ^ byte) & mask)
        }) == 0
    }

    #[inline(always)]
    fn decimal(self, text: &[u8; STEP]) -> Option<Decimal> {
        swar::decimal(text.first_chunk()?)
    }

    #[inline(always)]
    fn quote(self, word: u64) -> u32 {
        swar::quote(word)
    }

    #[inline(always)]
    fn plain(self, text: &[u8; STEP]) -> Option<usize> {
        let run = swar::plain_run(text);
        (text.get(run) == Some(&b'"')).then_some(run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A step, by each way.
    struct Steps<'t>(&'t [u8; STEP], Literal);

    impl Job for Steps<'_> {
        type Done = (bool, Option<Decimal>, Option<usize>, u32);

        #[inline(always)]
        fn with(self, wide: impl Wide) -> Self::Done {
            let Self(text, literal) = self;
            (
                wide.begins_with(text, &literal),
                wide.decimal(text),
                wide.plain(text),
                wide.quote(u64::from_le_bytes(*text.first_chunk().unwrap())),
            )
        }
    }

    fn window(text: &[u8], behind: u8) -> [u8; STEP] {
        let mut window = [behind; STEP];
        let length = text.len().min(STEP);
        window[..length].copy_from_slice(&text[..length]);
        window
    }

    fn hold(text: &[u8], behind: u8, literal: &[u8]) {
        let window = window(text, behind);
        let literal = Literal::new(literal).unwrap();
        let (begins, decimal, plain, quote) = with_widest(Steps(&window, literal));
        let scalar = Scalar;
        assert_eq!(begins, scalar.begins_with(&window, &literal), "{text:?}");
        assert_eq!(plain, scalar.plain(&window), "{text:?}");
        let by_byte = window.iter().position(|byte| *byte == b'"').unwrap_or(STEP);
        for quote in [
            quote,
            scalar.quote(u64::from_le_bytes(*window.first_chunk().unwrap())),
        ] {
            assert_eq!(quote.min(8) as usize, by_byte.min(8), "{text:?}");
        }
        // Where both read it, they read the same; what one leaves, the general way reads.
        if let (Some(one), Some(other)) = (decimal, scalar.decimal(&window)) {
            assert_eq!(one, other, "{text:?}");
        }
        if let Some(decimal) = decimal {
            let of = std::str::from_utf8(&window[..decimal.length - 1]).unwrap();
            let digits: String = of.chars().filter(char::is_ascii_digit).collect();
            assert_eq!(digits.parse(), Ok(decimal.mantissa), "{of}");
            assert!(!decimal.negative, "{of}");
            let fraction = of.split_once('.').map_or(0, |(_, fraction)| fraction.len());
            assert_eq!(fraction, decimal.fraction, "{of}");
            assert!(of.parse::<f64>().is_ok() && digits.len() <= 15, "{of}");
        }
    }

    #[test]
    fn short_decimals_are_read() {
        for of in [
            "0",
            "5.",
            ".5",
            "0.114639",
            "64281.7",
            "2.2542683458942",
            "123456789012345",
        ] {
            let window = window(format!("{of}\"").as_bytes(), b',');
            let (_, decimal, ..) = with_widest(Steps(&window, Literal::new(b"").unwrap()));
            let wanted: f64 = of.parse().unwrap();
            let known = cfg!(not(target_arch = "x86_64")) || decimal.is_some();
            assert!(known || !std::is_x86_feature_detected!("avx2"), "{of}");
            if let Some(decimal) = decimal {
                assert_eq!(decimal.to_f64().to_bits(), wanted.to_bits(), "{of}");
            }
        }
    }

    proptest! {
        #[test]
        fn runs_end_where_a_byte_by_byte_look_says(bytes in prop::collection::vec(
            prop_oneof![Just(b'"'), Just(b'\\'), Just(0x1f), 0x20..=0xff_u8, 0x20..=0xff_u8], 0..70))
        {
            prop_assert_eq!(plain_run(&bytes), swar::plain_run(&bytes));
        }

        #[test]
        fn decimals_are_what_their_digits_say(
            of in "-?[0-9]{0,16}\\.?[0-9]{0,16}", behind in prop_oneof![Just(b'"'), any::<u8>()])
        {
            hold(format!("{of}\"").as_bytes(), behind, b"");
            hold(of.as_bytes(), behind, b"");
        }

        #[test]
        fn what_is_no_decimal_is_refused(of in "[0-9.eE+\"\\-/:\u{7f}]{0,20}", behind: u8) {
            hold(of.as_bytes(), behind, b"");
        }

        #[test]
        fn texts_end_where_a_byte_by_byte_look_says(bytes in prop::collection::vec(
            prop_oneof![Just(b'"'), Just(b'\\'), Just(0x1f), Just(0x7f), Just(b' '), any::<u8>()], 0..33))
        {
            hold(&bytes, b'x', b"");
        }

        #[test]
        fn a_literal_is_found_only_where_it_stands(
            bytes in prop::collection::vec(b'a'..b'd', 33), length in 0..33_usize, at in 0..33_usize)
        {
            hold(&bytes, 0, &bytes[..length]);
            let mut other = bytes.clone();
            other[at] ^= 1;
            hold(&other, 0, &bytes[..length]);
        }
    }
}
