//! Eight bytes at a time in plain integers: portable, safe, and without a branch per byte.
//!
//! A word is read as a little-endian number, so the text's first byte is the lowest. Every function
//! looks for a shape that is common on the wire and answers `None` for all others; the general way
//! behind it decides what those mean. It may look beyond the line's end: what it accepts never
//! holds a line break.

const ONES: u64 = u64::from_ne_bytes([1; 8]);
const TOPS: u64 = ONES << 7;

/// What [`decimal`] looks at behind the opening quote: a sign, 7 digits, a point, 8 digits and the
/// closing quote.
pub(crate) const DECIMAL: usize = 18;

/// `1.50"`: a decimal in a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decimal {
    pub(crate) negative: bool,
    /// All digits as one whole number: 15 at most.
    pub(crate) mantissa: u64,
    /// How many of them stand behind the point, 8 at most.
    pub(crate) fraction: usize,
    /// Bytes of the text with its closing quote.
    pub(crate) length: usize,
}

/// How many bytes stand before the word's first quote; 8 if it has none.
#[inline]
pub(crate) fn quote(text: u64) -> u32 {
    const QUOTES: u64 = u64::from_ne_bytes([b'"'; 8]);
    let zero = text ^ QUOTES;
    let hit = zero.wrapping_sub(ONES) & !zero & TOPS;
    hit.trailing_zeros() / 8
}

/// Reads a decimal of up to 7 digits before the point and up to 8 behind it, up to its closing
/// quote.
#[inline(always)]
#[expect(clippy::inline_always, reason = "its result is taken apart at once")]
pub(crate) fn decimal(text: &[u8; DECIMAL]) -> Option<Decimal> {
    let negative = text[0] == b'-';
    let start = usize::from(negative);
    let first = word(text, start)?;
    let whole = digits(first);
    if whole == 0 || whole == 8 {
        return None;
    }
    let before = eight(first << (64 - 8 * whole));
    let point = start + whole;
    match byte(first, whole) {
        b'.' => {}
        b'"' => {
            return Some(Decimal {
                negative,
                mantissa: before,
                fraction: 0,
                length: point + 1,
            });
        }
        _ => return None,
    }
    let second = word(text, point + 1)?;
    let fraction = digits(second);
    let end = point + 1 + fraction;
    if fraction == 0 || text.get(end) != Some(&b'"') {
        return None;
    }
    Some(Decimal {
        negative,
        mantissa: before * POW10[fraction] + eight(second << (64 - 8 * fraction)),
        fraction,
        length: end + 1,
    })
}

const POW10: [u64; 9] = [
    1,
    10,
    100,
    1_000,
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    100_000_000,
];

/// Reads a whole JSON number of up to 8 digits, without a sign, that a comma or brace follows. Says
/// how many digits it has.
#[inline]
pub(crate) fn whole(text: &[u8; 9]) -> Option<(u32, usize)> {
    let word = word(text, 0)?;
    let count = digits(word);
    let zeros_first = text[0] == b'0' && count > 1;
    if count == 0 || zeros_first || !matches!(text[count], b',' | b'}') {
        return None;
    }
    let value = eight(word << (64 - 8 * count));
    Some((u32::try_from(value).ok()?, count))
}

/// Reads one to nine digits that end in `Z"`, as a count of nanoseconds, and says how many they are.
#[inline]
pub(crate) fn nanos(text: &[u8; 11]) -> Option<(u32, usize)> {
    let first = word(text, 0)?;
    let count = digits(first);
    let (nanos, count) = match count {
        0 => return None,
        // The ninth digit, or what ends eight.
        8 => match text[8].wrapping_sub(b'0') {
            ninth @ 0..=9 => (eight(first) * 10 + u64::from(ninth), 9),
            _ => (eight(first) * 10, 8),
        },
        _ => (
            eight(first << (64 - 8 * count)) * POW10[8 - count] * 10,
            count,
        ),
    };
    let ends = text.get(count..count + 2) == Some(b"Z\"");
    ends.then_some((u32::try_from(nanos).ok()?, count))
}

/// A text of up to 7 bytes and its closing quote, zeros behind it: two such words are equal if the
/// texts are. No text with an escape or a control character is one.
#[inline]
pub(crate) fn short_text(text: [u8; 8]) -> Option<(u64, usize)> {
    let text = u64::from_le_bytes(text);
    let ends = text_ends(text);
    let end = ends.trailing_zeros() as usize / 8;
    if ends == 0 || byte(text, end) != b'"' {
        return None;
    }
    Some((text & ((1 << (8 * end)) - 1), end))
}

/// As [`short_text`] of a text with its opening quote; the length is with both.
#[inline]
pub(crate) fn quoted(text: &[u8; 9]) -> Option<(u64, usize)> {
    let [b'"', text @ ..] = text else {
        return None;
    };
    let (word, length) = short_text(*text)?;
    Some((word, length + 2))
}

/// How many bytes from the start are neither quote, backslash nor control character.
#[inline]
pub(crate) fn plain_run(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let ends = text_ends(u64::from_le_bytes(*chunk));
        if ends != 0 {
            return at + ends.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let tail = &bytes[at..];
    let end = tail
        .iter()
        .position(|b| matches!(b, b'"' | b'\\' | 0..0x20));
    at + end.unwrap_or(tail.len())
}

/// The top bit of the first byte that is a quote, a backslash or a control character; by the
/// borrow that a subtraction from each byte leaves there. Bits above the first may be false alarms.
#[inline]
fn text_ends(text: u64) -> u64 {
    const QUOTES: u64 = u64::from_ne_bytes([b'"'; 8]);
    const BACKSLASHES: u64 = u64::from_ne_bytes([b'\\'; 8]);
    let quote = text ^ QUOTES;
    let backslash = text ^ BACKSLASHES;
    let hit = (quote.wrapping_sub(ONES) & !quote)
        | (backslash.wrapping_sub(ONES) & !backslash)
        | (text.wrapping_sub(ONES * 0x20) & !text);
    hit & TOPS
}

/// How many of the word's first bytes are digits. A sum that runs over into the next byte comes
/// only from what is no digit, so the first of those is found where it is.
#[inline]
fn digits(text: u64) -> usize {
    const HIGH: u64 = ONES * 0xf0;
    const THREES: u64 = ONES * 0x30;
    let others = ((text & HIGH) ^ THREES) | ((text.wrapping_add(ONES * 0x06) & HIGH) ^ THREES);
    others.trailing_zeros() as usize / 8
}

/// Eight digits, the first in the lowest byte; neighbours are joined in three steps. Zero bytes in
/// front count as the digit.
#[inline]
fn eight(digits: u64) -> u64 {
    let ones = digits & 0x0f0f_0f0f_0f0f_0f0f;
    let pairs = (ones.wrapping_mul(10 << 8 | 1) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(100 << 16 | 1) >> 16) & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(10_000 << 32 | 1) >> 32
}

#[inline]
fn word(text: &[u8], at: usize) -> Option<u64> {
    let chunk = text.get(at..)?.first_chunk()?;
    Some(u64::from_le_bytes(*chunk))
}

#[inline]
fn byte(word: u64, at: usize) -> u8 {
    (word >> (8 * at) & 0xff) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chunk<const N: usize>(text: &str, behind: u8) -> [u8; N] {
        let mut chunk = [behind; N];
        let text = &text.as_bytes()[..text.len().min(N)];
        chunk[..text.len()].copy_from_slice(text);
        chunk
    }

    proptest! {
        #[test]
        fn decimals_are_what_their_digits_say(
            sign in "-?", whole in "[0-9]{1,9}", fraction in "(\\.[0-9]{1,8})?", behind: u8)
        {
            let of = format!("{sign}{whole}{fraction}");
            let quoted = format!("{of}\"");
            let wanted = (whole.len() < 8).then(|| Decimal {
                negative: !sign.is_empty(),
                mantissa: of.replace(['-', '.'], "").parse().unwrap(),
                fraction: fraction.len().saturating_sub(1),
                length: quoted.len(),
            });
            prop_assert_eq!(decimal(&chunk(&quoted, behind)), wanted);
        }

        #[test]
        fn what_is_no_decimal_is_refused(of in "[0-9.eE+\"\\-/:\u{7f}]{0,17}", behind: u8) {
            let text = format!("{of}\"");
            let inside = of.split('"').next().unwrap_or_default();
            let digits = inside.strip_prefix('-').unwrap_or(inside);
            let is_one = digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
                && digits.matches('.').count() <= 1
                && digits.bytes().any(|b| b.is_ascii_digit());
            prop_assert!(is_one || decimal(&chunk(&text, behind)).is_none(), "{}", text);
        }

        #[test]
        fn whole_numbers_are_what_their_digits_say(of in "[0-9]{0,10}", behind in "[,}.eE ]") {
            let wanted = matches!(&*behind, "," | "}")
                && (1..=8).contains(&of.len())
                && (of.len() == 1 || !of.starts_with('0'));
            let read = whole(&chunk(&format!("{of}{behind}"), b','));
            prop_assert_eq!(read, wanted.then(|| (of.parse().unwrap(), of.len())));
        }

        #[test]
        fn fractions_are_nanoseconds(of in "[0-9]{0,9}", behind: u8) {
            let wanted = (!of.is_empty()).then(|| (format!("{of:0<9}").parse::<u32>().unwrap(), of.len()));
            prop_assert_eq!(nanos(&chunk(&format!("{of}Z\""), behind)), wanted);
            prop_assert_eq!(nanos(&chunk(&format!("{of}+\""), behind)), None);
            prop_assert_eq!(nanos(&chunk(&format!("{of}5"), b'5')), None);
        }

        #[test]
        fn short_texts_end_at_their_quote(bytes in any::<[u8; 8]>(), at in 0..8_usize) {
            let mut bytes = bytes;
            bytes[at] = b'"';
            let end = bytes.iter().position(|b| matches!(b, b'"' | b'\\' | 0..0x20)).unwrap();
            let wanted = (bytes[end] == b'"').then(|| {
                let mut word = [0; 8];
                word[..end].copy_from_slice(&bytes[..end]);
                (u64::from_le_bytes(word), end)
            });
            prop_assert_eq!(short_text(bytes), wanted);
        }

        #[test]
        fn runs_end_where_a_byte_by_byte_look_says(bytes in proptest::collection::vec(
            prop_oneof![Just(b'"'), Just(b'\\'), Just(0x1f), any::<u8>()], 0..40))
        {
            let slow = bytes.iter().position(|b| matches!(b, b'"' | b'\\' | 0..0x20));
            prop_assert_eq!(plain_run(&bytes), slow.unwrap_or(bytes.len()));
        }
    }
}
