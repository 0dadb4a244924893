//! Times as text: RFC 3339 in UTC with nine digits, always 30 bytes.

const NS_PER_S: i64 = 1_000_000_000;
const S_PER_DAY: i64 = 86_400;

/// Appends `2025-12-03T14:00:00.123456789Z`.
pub fn push_timestamp(out: &mut Vec<u8>, unix_ns: i64) {
    let seconds = unix_ns.div_euclid(NS_PER_S);
    let (year, month, day) = civil_from_days(seconds.div_euclid(S_PER_DAY));
    let of_day = seconds.rem_euclid(S_PER_DAY);
    let mut text = *b"0000-00-00T00:00:00.000000000Z";
    put(&mut text[0..4], year);
    put(&mut text[5..7], month);
    put(&mut text[8..10], day);
    put(&mut text[11..13], of_day / 3600);
    put(&mut text[14..16], of_day / 60 % 60);
    put(&mut text[17..19], of_day % 60);
    put(&mut text[20..29], unix_ns.rem_euclid(NS_PER_S));
    out.extend_from_slice(&text);
}

fn put(digits: &mut [u8], mut value: i64) {
    for digit in digits.iter_mut().rev() {
        // The remainder is below ten.
        *digit = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
    }
}

/// The same as a text of its own.
pub fn timestamp(unix_ns: i64) -> String {
    let mut text = Vec::with_capacity(30);
    push_timestamp(&mut text, unix_ns);
    String::from_utf8_lossy(&text).into_owned()
}

/// Reads back what [`push_timestamp`] wrote; anything else is `None`.
pub fn parse_timestamp(text: &[u8]) -> Option<i64> {
    let text: &[u8; 30] = text.try_into().ok()?;
    let shape = [
        (4, b'-'),
        (7, b'-'),
        (10, b'T'),
        (13, b':'),
        (16, b':'),
        (19, b'.'),
        (29, b'Z'),
    ];
    if shape.iter().any(|&(at, mark)| text[at] != mark) {
        return None;
    }
    let number = |from: usize, to: usize| {
        text[from..to].iter().try_fold(0_i64, |value, digit| {
            digit
                .is_ascii_digit()
                .then(|| value * 10 + i64::from(digit - b'0'))
        })
    };
    let (month, day) = (number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
        || hour > 23
        || minute > 59
        || second > 59
    {
        return None;
    }
    let days = days_from_civil(number(0, 4)?, month, day);
    let seconds = days * S_PER_DAY + hour * 3600 + minute * 60 + second;
    // Around the ends of the range the product overflows although the sum would not.
    i64::try_from(i128::from(seconds) * i128::from(NS_PER_S) + i128::from(number(20, 29)?)).ok()
}

/// Days since 1970-01-01 to year, month, day in the proleptic Gregorian calendar. Years are
/// counted from March, so that the leap day is the last of its year.
pub(super) fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let from_march_0000 = days + 719_468;
    let era = from_march_0000.div_euclid(146_097);
    let day_of_era = from_march_0000.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    year.div_euclid(400) * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(unix_ns: i64) -> String {
        let mut out = Vec::new();
        push_timestamp(&mut out, unix_ns);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn known_moments() {
        assert_eq!(text(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(text(-1), "1969-12-31T23:59:59.999999999Z");
        assert_eq!(
            text(1_764_770_400_123_456_789),
            "2025-12-03T14:00:00.123456789Z"
        );
        assert_eq!(
            text(951_782_400_000_000_000),
            "2000-02-29T00:00:00.000000000Z"
        );
        assert_eq!(text(i64::MAX), "2262-04-11T23:47:16.854775807Z");
        assert_eq!(text(i64::MIN), "1677-09-21T00:12:43.145224192Z");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for bad in [
            "",
            "2025-13-03T14:00:00.123456789Z",
            "2025-12-03 14:00:00.123456789Z",
            "9999-12-03T14:00:00.123456789Z",
            "2025-12-03T14:00:0x.123456789Z",
        ] {
            assert_eq!(parse_timestamp(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_nanosecond_comes_back(unix_ns: i64) {
            prop_assert_eq!(parse_timestamp(text(unix_ns).as_bytes()), Some(unix_ns));
        }
    }
}
