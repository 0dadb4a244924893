//! RFC 3339 straight from bytes, with 0 to 9 fractional digits.

use super::swar;

/// A point in time of any year that RFC 3339 can write, before it is squeezed into nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Instant {
    seconds: i64,
    nanos: u32,
}

const SECONDS_PER_DAY: i64 = 86_400;
const NANOS_PER_SECOND: i64 = 1_000_000_000;

impl Instant {
    /// Nanoseconds since 1970, if an `i64` holds them (the years 1677 to 2262).
    pub(crate) fn nanos(self) -> Option<i64> {
        // Everything that is not centuries away.
        if self.seconds.unsigned_abs() < 1 << 33 {
            return Some(self.seconds * NANOS_PER_SECOND + i64::from(self.nanos));
        }
        // Before 1970 the fraction counts upwards from a second that may itself be out of range.
        let total =
            i128::from(self.seconds) * i128::from(NANOS_PER_SECOND) + i128::from(self.nanos);
        i64::try_from(total).ok()
    }
}

/// Bytes that hold any time in UTC that has no more than nine fractional digits, and its quote.
pub(crate) const UTC_TEXT: usize = 32;

/// Reads times that mostly lie in the same second as the one before: only their fraction is read.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    /// The text of the last second in UTC, up to its minute and from there: `2025-12-03T14:00`,
    /// `:00`.
    minute: u128,
    second: [u8; 3],
    /// What that is; none before the first.
    seconds: Option<i64>,
}

impl Clock {
    /// As [`parse_prefix`] of `text`. `ahead` is the same text, possibly looking beyond its end.
    #[inline]
    pub(crate) fn read(
        &mut self,
        text: &[u8],
        ahead: Option<&[u8; UTC_TEXT]>,
    ) -> Option<(Instant, usize)> {
        let Some((minute, rest)) = ahead.and_then(|ahead| ahead.split_first_chunk()) else {
            return parse_prefix(text);
        };
        let (second, rest) = rest.split_first_chunk()?;
        let known = u128::from_le_bytes(*minute) == self.minute && *second == self.second;
        let Some(seconds) = self.seconds.filter(|_| known) else {
            return self.learn(text, *minute, *second);
        };
        match rest.split_first_chunk()? {
            (b".", fraction) => match swar::nanos(fraction.first_chunk()?) {
                Some((nanos, digits)) => Some((Instant { seconds, nanos }, 21 + digits)),
                None => parse_prefix(text),
            },
            (b"Z", _) => Some((Instant { seconds, nanos: 0 }, 20)),
            _ => parse_prefix(text),
        }
    }

    #[cold]
    fn learn(
        &mut self,
        text: &[u8],
        minute: [u8; 16],
        second: [u8; 3],
    ) -> Option<(Instant, usize)> {
        let (instant, end) = parse_prefix(text)?;
        // An offset would move the second.
        if text[end - 1] == b'Z' {
            (self.minute, self.second) = (u128::from_le_bytes(minute), second);
            self.seconds = Some(instant.seconds);
        }
        Some((instant, end))
    }
}

/// Parses a whole text.
pub(crate) fn parse(text: &[u8]) -> Option<Instant> {
    let (instant, end) = parse_prefix(text)?;
    (end == text.len()).then_some(instant)
}

/// Parses the time that `text` begins with and says where it ends.
#[inline]
pub(crate) fn parse_prefix(text: &[u8]) -> Option<(Instant, usize)> {
    let head: &[u8; 19] = text.first_chunk()?;
    let [
        _,
        _,
        _,
        _,
        b'-',
        _,
        _,
        b'-',
        _,
        _,
        b'T' | b't',
        _,
        _,
        b':',
        _,
        _,
        b':',
        _,
        _,
    ] = head
    else {
        return None;
    };
    let year = i64::from(two(head, 0)?) * 100 + i64::from(two(head, 2)?);
    let (month, day) = (two(head, 5)?, two(head, 8)?);
    let (hour, minute, second) = (two(head, 11)?, two(head, 14)?, two(head, 17)?);
    // A leap second has no place of its own in Unix time; no venue has sent one.
    if month == 0 || month > 12 || day == 0 || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    if day > 28 && day > days_in_month(year, month) {
        return None;
    }
    let (nanos, mut end) = fraction(text, head.len())?;
    let offset = match text.get(end)? {
        b'Z' | b'z' => {
            end += 1;
            0
        }
        sign @ (b'+' | b'-') => {
            let zone: &[u8; 6] = text.get(end..)?.first_chunk()?;
            let (hours, minutes) = (two(zone, 1)?, two(zone, 4)?);
            if zone[3] != b':' || hours > 23 || minutes > 59 {
                return None;
            }
            end += zone.len();
            let seconds = i64::from(hours * 60 + minutes) * 60;
            if *sign == b'-' { -seconds } else { seconds }
        }
        _ => return None,
    };
    let of_day = i64::from((hour * 60 + minute) * 60 + second);
    let seconds = days_from_civil(year, month, day) * SECONDS_PER_DAY + of_day - offset;
    Some((Instant { seconds, nanos }, end))
}

/// The day of a capture time, counted from 1970 in UTC.
pub(crate) fn day_of(nanos: i64) -> i32 {
    let days = nanos.div_euclid(SECONDS_PER_DAY * NANOS_PER_SECOND);
    i32::try_from(days).expect("an i64 of nanoseconds spans 213,504 days")
}

/// A day counted from 1970 as `YYYY-MM-DD`.
pub(crate) fn format_day(day: i32) -> String {
    // The inverse of `days_from_civil`, in the same years that begin in March.
    let shifted = i64::from(day) + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[inline]
fn two(text: &[u8], at: usize) -> Option<u32> {
    let (tens, ones) = (text[at].wrapping_sub(b'0'), text[at + 1].wrapping_sub(b'0'));
    (tens <= 9 && ones <= 9).then(|| u32::from(tens) * 10 + u32::from(ones))
}

/// One to nine digits after a point, or no point at all.
#[inline]
fn fraction(text: &[u8], at: usize) -> Option<(u32, usize)> {
    const SCALE: [u32; 10] = [
        0,
        100_000_000,
        10_000_000,
        1_000_000,
        100_000,
        10_000,
        1_000,
        100,
        10,
        1,
    ];
    if text.get(at) != Some(&b'.') {
        return Some((0, at));
    }
    let digits = &text[at + 1..];
    let mut value = 0;
    let mut count = 0;
    while let Some(digit) = digits.get(count).map(|b| b.wrapping_sub(b'0')) {
        if digit > 9 {
            break;
        }
        if count == 9 {
            return None;
        }
        value = value * 10 + u32::from(digit);
        count += 1;
    }
    (count > 0).then(|| (value * SCALE[count], at + 1 + count))
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar. Years begin in March here, so that
/// the leap day is the last of its year and month lengths follow one formula.
#[inline]
fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = i64::from((month + 9) % 12);
    let of_year = (153 * shifted_month + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
}

fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nanos(text: &str) -> Option<i64> {
        parse(text.as_bytes())?.nanos()
    }

    #[test]
    fn known_times() {
        assert_eq!(nanos("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(nanos("2000-02-29T12:00:00Z"), Some(951_825_600_000_000_000));
        assert_eq!(nanos("1969-12-31T23:59:59.999999999Z"), Some(-1));
        assert_eq!(
            nanos("2025-12-03T14:00:00.05Z"),
            Some(1_764_770_400_050_000_000)
        );
        assert_eq!(
            nanos("2025-12-03t15:30:00.05+01:30"),
            Some(1_764_770_400_050_000_000)
        );
        assert_eq!(nanos("2262-04-11T23:47:16.854775807Z"), Some(i64::MAX));
        assert_eq!(nanos("1677-09-21T00:12:43.145224192Z"), Some(i64::MIN));
    }

    #[test]
    fn times_outside_the_range_are_instants_without_nanoseconds() {
        for text in [
            "0001-01-01T00:00:00Z",
            "2262-04-11T23:47:16.854775808Z",
            "9999-12-31T23:59:59Z",
        ] {
            assert!(parse(text.as_bytes()).is_some(), "{text}");
            assert_eq!(nanos(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_not_rfc_3339_is_refused() {
        for text in [
            "",
            "2025-12-03",
            "2025-12-03T14:00:00",
            "2025-12-03 14:00:00Z",
            "2025-13-03T14:00:00Z",
            "2025-02-29T14:00:00Z",
            "1900-02-29T00:00:00Z",
            "2025-12-03T24:00:00Z",
            "2025-12-03T14:60:00Z",
            "2025-12-03T14:00:60Z",
            "2025-12-03T14:00:00.Z",
            "2025-12-03T14:00:00.1234567890Z",
            "2025-12-03T14:00:00Z ",
            "2025-12-03T14:00:00+0100",
            "2025-12-03T14:00:00+24:00",
            "2025-00-03T14:00:00Z",
            "2025-01-00T14:00:00Z",
            "+025-12-03T14:00:00Z",
            "2025-12-03T14:00:00+01",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_day_comes_back_from_its_text(day in -106_751_i32..=106_751) {
            let text = format!("{}T00:00:00Z", format_day(day));
            prop_assert_eq!(nanos(&text), Some(i64::from(day) * 86_400_000_000_000));
            prop_assert_eq!(day_of(nanos(&text).unwrap()), day);
        }

        #[test]
        fn a_fresh_clock_takes_nothing_for_a_time(byte: u8) {
            let mut text = [byte; UTC_TEXT];
            text[19..21].copy_from_slice(b"Z\"");
            prop_assert_eq!(Clock::default().read(&text[..20], Some(&text)), None);
        }

        #[test]
        fn a_clock_reads_what_a_parser_reads(texts in proptest::collection::vec(
            "20(25-12-03|24-02-29)T14:00:0[0-2](\\.[0-9]{1,10})?(Z|z|\\+01:00|-00:30|)[\"Z ]?", 1..20))
        {
            let mut clock = Clock::default();
            for text in texts {
                let mut ahead = [b'"'; 2 * UTC_TEXT];
                ahead[..text.len()].copy_from_slice(text.as_bytes());
                // As its callers do: what does not end at a quote is read another way.
                let closed = |read: Option<(Instant, usize)>| read.filter(|(_, end)| ahead[*end] == b'"');
                let read = clock.read(text.as_bytes(), ahead.first_chunk());
                prop_assert_eq!(closed(read), closed(parse_prefix(text.as_bytes())), "{}", text);
            }
        }

        #[test]
        fn any_bytes_are_an_answer_not_a_panic(text in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = parse(&text);
        }
    }
}
