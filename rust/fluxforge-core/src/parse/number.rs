//! Decimals straight from bytes: to the nearest float64, or to `decimal128(38, 18)` exactly.

use super::swar::Decimal;

/// Fractional digits of the stored decimal.
pub(crate) const SCALE: i32 = 18;
/// Digits of the stored decimal.
pub(crate) const PRECISION: u8 = 38;
/// Significant digits that any float64 gives back unchanged.
const EXACT_DIGITS: u32 = 15;

const POW10_F64: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

impl Decimal {
    /// The value, rounded once: 15 digits and the power of ten are both exact.
    #[inline]
    pub(crate) fn to_f64(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "15 digits are exact")]
        let mantissa = self.mantissa as f64;
        let value = mantissa / POW10_F64[self.fraction];
        if self.negative { -value } else { value }
    }

    /// The value times 10^18: 33 digits at most.
    #[inline]
    pub(crate) fn to_scaled(self) -> i128 {
        let value = i128::from(self.mantissa) * UNITS[self.fraction];
        if self.negative { -value } else { value }
    }
}

/// What turns a whole number with so many fractional digits into units of the stored decimal.
const UNITS: [i128; 16] = {
    let mut units = [10_i128.pow(SCALE.unsigned_abs()); 16];
    let mut fraction = 1;
    while fraction < units.len() {
        units[fraction] = units[fraction - 1] / 10;
        fraction += 1;
    }
    units
};

/// A number taken apart: `mantissa * 10^exponent`, as long as the mantissa fits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Number<'a> {
    text: &'a [u8],
    negative: bool,
    mantissa: u64,
    exponent: i32,
    /// More than 19 significant digits: the mantissa is not the whole of it.
    long: bool,
}

/// Which spellings are numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grammar {
    /// JSON's own.
    Json,
    /// In a string also `+1`, `.5`, `5.` and `007`.
    Text,
}

impl<'a> Number<'a> {
    /// Reads the number that `bytes` begins with and says where it ends.
    #[inline]
    pub(crate) fn prefix(bytes: &'a [u8], grammar: Grammar) -> Option<(Self, usize)> {
        let mut at = 0;
        let negative = bytes.first() == Some(&b'-');
        if negative || (grammar == Grammar::Text && bytes.first() == Some(&b'+')) {
            at = 1;
        }
        let mut digits = Digits::default();
        let whole = at;
        at = digits.read(bytes, at);
        let mut any = at > whole;
        if grammar == Grammar::Json && (!any || (bytes[whole] == b'0' && at > whole + 1)) {
            return None;
        }
        let mut exponent = 0;
        if bytes.get(at) == Some(&b'.') {
            let point = at + 1;
            at = digits.read(bytes, point);
            if grammar == Grammar::Json && at == point {
                return None;
            }
            any |= at > point;
            exponent = i32::try_from(at - point).map_or(i32::MIN, |n| -n);
        }
        if !any {
            return None;
        }
        if let Some(b'e' | b'E') = bytes.get(at) {
            let (value, end) = exponent_of(bytes, at + 1)?;
            exponent = exponent.saturating_add(value);
            at = end;
        }
        let number = Self {
            text: &bytes[..at],
            negative,
            mantissa: digits.value,
            exponent,
            long: digits.count > 19,
        };
        Some((number, at))
    }

    /// Reads a whole text.
    pub(crate) fn parse(text: &'a [u8], grammar: Grammar) -> Option<Self> {
        let (number, end) = Self::prefix(text, grammar)?;
        (end == text.len()).then_some(number)
    }

    /// The nearest float64, and whether the text says more than 15 significant digits or a value
    /// too small to tell from zero. `None` if the value is beyond the range.
    #[inline]
    pub(crate) fn to_f64(self) -> Option<(f64, bool)> {
        // Mantissa and power are both exact here, so one operation rounds once, correctly.
        if !self.long && self.mantissa < 1 << 53 && self.exponent.unsigned_abs() <= 22 {
            #[expect(
                clippy::cast_precision_loss,
                reason = "below 2^53 every integer is exact"
            )]
            let mantissa = self.mantissa as f64;
            let power = POW10_F64[self.exponent.unsigned_abs() as usize];
            let value = if self.exponent < 0 {
                mantissa / power
            } else {
                mantissa * power
            };
            let value = if self.negative { -value } else { value };
            return Some((value, self.is_inexact()));
        }
        self.to_f64_by_text()
    }

    #[cold]
    fn to_f64_by_text(self) -> Option<(f64, bool)> {
        let text = std::str::from_utf8(self.text).ok()?;
        let value: f64 = text.parse().ok()?;
        let vanished = value == 0.0 && (self.mantissa != 0 || self.long);
        value
            .is_finite()
            .then(|| (value, vanished || self.is_inexact()))
    }

    #[inline]
    fn is_inexact(&self) -> bool {
        self.long && self.significant() > EXACT_DIGITS
            || self.mantissa >= 10_u64.pow(EXACT_DIGITS) && self.significant() > EXACT_DIGITS
    }

    /// Digits from the first to the last that is not zero.
    #[cold]
    fn significant(&self) -> u32 {
        let digits = self.text.iter().take_while(|b| !matches!(b, b'e' | b'E'));
        let (mut count, mut zeros) = (0, 0);
        for digit in digits.filter(|b| b.is_ascii_digit()) {
            match digit {
                b'0' if count == 0 => {}
                b'0' => zeros += 1,
                _ => {
                    count += zeros + 1;
                    zeros = 0;
                }
            }
        }
        count
    }

    /// The value times 10^18, if that is a whole number of at most 38 digits.
    pub(crate) fn to_decimal(self) -> Option<i128> {
        if self.long {
            return self.long_to_decimal();
        }
        let magnitude = shift(
            u128::from(self.mantissa),
            self.exponent.saturating_add(SCALE),
        )?;
        self.signed(magnitude)
    }

    /// More digits than a `u64` holds: trailing zeros may still leave a value that fits.
    #[cold]
    fn long_to_decimal(self) -> Option<i128> {
        let mut magnitude: u128 = 0;
        let mut zeros = 0_u32;
        let mut seen = 0_i32;
        let digits = self.text.iter().take_while(|b| !matches!(b, b'e' | b'E'));
        for digit in digits.filter(|b| b.is_ascii_digit()) {
            seen += 1;
            if *digit == b'0' {
                zeros += 1;
                continue;
            }
            // Zeros count only once a digit follows; leading ones multiply nothing.
            if magnitude != 0 {
                magnitude = magnitude.checked_mul(10_u128.checked_pow(zeros + 1)?)?;
            }
            magnitude = magnitude.checked_add(u128::from(digit - b'0'))?;
            zeros = 0;
        }
        debug_assert!(seen > 19);
        let exponent = self.exponent.saturating_add(i32::try_from(zeros).ok()?);
        self.signed(shift(magnitude, exponent.saturating_add(SCALE))?)
    }

    fn signed(self, magnitude: u128) -> Option<i128> {
        if magnitude >= 10_u128.pow(u32::from(PRECISION)) {
            return None;
        }
        let value = i128::try_from(magnitude).ok()?;
        Some(if self.negative { -value } else { value })
    }

    /// The value if it is written as a whole number that an `i64` holds.
    pub(crate) fn to_i64(self) -> Option<i64> {
        if self.long || self.text.iter().any(|b| matches!(b, b'.' | b'e' | b'E')) {
            return None;
        }
        let magnitude = i128::from(self.mantissa);
        i64::try_from(if self.negative { -magnitude } else { magnitude }).ok()
    }
}

/// Digits as they come, leading zeros uncounted.
#[derive(Default)]
struct Digits {
    value: u64,
    count: usize,
}

impl Digits {
    #[inline]
    fn read(&mut self, bytes: &[u8], mut at: usize) -> usize {
        while let Some(digit) = bytes.get(at).map(|b| b.wrapping_sub(b'0')) {
            if digit > 9 {
                break;
            }
            // Past 19 digits the value is void: what is long is read from its text.
            self.value = self.value.wrapping_mul(10).wrapping_add(u64::from(digit));
            self.count += usize::from(self.count > 0 || digit != 0);
            at += 1;
        }
        at
    }
}

fn exponent_of(bytes: &[u8], mut at: usize) -> Option<(i32, usize)> {
    let negative = bytes.get(at) == Some(&b'-');
    if let Some(b'-' | b'+') = bytes.get(at) {
        at += 1;
    }
    let first = at;
    let mut value: i32 = 0;
    while let Some(digit @ b'0'..=b'9') = bytes.get(at) {
        value = value
            .saturating_mul(10)
            .saturating_add(i32::from(digit - b'0'));
        at += 1;
    }
    let value = if negative { -value } else { value };
    (at > first).then_some((value, at))
}

/// `value * 10^by`, if that is whole and fits.
fn shift(value: u128, by: i32) -> Option<u128> {
    if value == 0 {
        return Some(0);
    }
    let power = 10_u128.checked_pow(by.unsigned_abs())?;
    if by >= 0 {
        return value.checked_mul(power);
    }
    value.is_multiple_of(power).then(|| value / power)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(text: &str) -> Option<Number<'_>> {
        Number::parse(text.as_bytes(), Grammar::Text)
    }

    fn decimal(of: &str) -> Option<i128> {
        text(of)?.to_decimal()
    }

    #[test]
    fn json_is_stricter_than_a_string() {
        for spelling in ["+1", ".5", "5.", "007", "-.5", "-00"] {
            assert!(text(spelling).is_some(), "{spelling}");
            assert!(
                Number::parse(spelling.as_bytes(), Grammar::Json).is_none(),
                "{spelling}"
            );
        }
        for spelling in [
            "", "-", "+", ".", "1e", "1e+", "e5", "1.2.3", "0x10", "1_000", " 1", "1 ", "inf",
            "nan", "NaN", "Infinity", "--1", "1,5", "\u{0661}",
        ] {
            assert!(text(spelling).is_none(), "{spelling}");
        }
    }

    #[test]
    fn more_than_fifteen_significant_digits_are_counted() {
        let inexact = |of: &str| text(of).unwrap().to_f64().unwrap().1;
        assert!(!inexact("123456789012345"));
        assert!(!inexact("0.000000000000000000000000123456789012345"));
        assert!(!inexact("12345678901234500000000000"));
        assert!(!inexact("1.00000000000000000000000000"));
        assert!(inexact("1234567890123456"));
        assert!(inexact("1.00000000000000000000000001"));
        assert!(inexact("1e-400"));
        assert!(!inexact("0e-400"));
    }

    #[test]
    fn a_decimal_is_exact_or_nothing() {
        assert_eq!(decimal("1.5"), Some(1_500_000_000_000_000_000));
        assert_eq!(decimal("-0.000000000000000001"), Some(-1));
        assert_eq!(decimal("0.0000000000000000010"), Some(1));
        assert_eq!(decimal("0.0000000000000000001"), None);
        assert_eq!(decimal("1e-19"), None);
        assert_eq!(decimal("0e99999999999"), Some(0));
        assert_eq!(
            decimal("99999999999999999999.999999999999999999"),
            Some(10_i128.pow(38) - 1)
        );
        assert_eq!(decimal("100000000000000000000"), None);
        assert_eq!(decimal("1e19"), Some(10_i128.pow(37)));
        assert_eq!(
            decimal("1.50000000000000000000000000000000000000000000"),
            decimal("1.5")
        );
        assert_eq!(decimal("15000000000000000000000000000e-28"), decimal("1.5"));
        assert_eq!(decimal("1e2147483647"), None);
    }

    #[test]
    fn beyond_the_range_is_nothing() {
        assert!(text("1e400").unwrap().to_f64().is_none());
        assert!(text("1.7976931348623157e308").unwrap().to_f64().is_some());
    }

    proptest! {
        #[test]
        fn a_float_is_the_nearest(of in "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,25})?([eE][-+]?[0-9]{1,3})?") {
            let expected: f64 = of.parse().unwrap();
            let number = Number::parse(of.as_bytes(), Grammar::Json).unwrap();
            match number.to_f64() {
                Some((value, _)) => prop_assert_eq!(value.to_bits(), expected.to_bits()),
                None => prop_assert!(expected.is_infinite()),
            }
        }

        #[test]
        fn a_float_is_the_nearest_where_one_step_ceases_to_be_exact(
            mantissa in (1_u64 << 52)..(1 << 56), exponent in -25_i32..=25)
        {
            let of = format!("{mantissa}e{exponent}");
            let (value, _) = text(&of).unwrap().to_f64().unwrap();
            prop_assert_eq!(value.to_bits(), of.parse::<f64>().unwrap().to_bits());
        }

        #[test]
        fn a_decimal_says_what_its_digits_say(units in -(10_i128.pow(38) - 1)..10_i128.pow(38), zeros in 0_usize..30) {
            let magnitude = format!("{:019}", units.unsigned_abs());
            let (whole, fraction) = magnitude.split_at(magnitude.len() - 18);
            let sign = if units < 0 { "-" } else { "" };
            let of = format!("{sign}{whole}.{fraction}{}", "0".repeat(zeros));
            prop_assert_eq!(decimal(&of), Some(units));
        }

        #[test]
        fn any_bytes_are_an_answer_not_a_panic(of in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = Number::prefix(&of, Grammar::Json);
            let _ = Number::prefix(&of, Grammar::Text).map(|(n, _)| (n.to_f64(), n.to_decimal(), n.to_i64()));
        }
    }
}
