//! A segment's label: `segment_{UTC hour}_{counter:05}[_{writer_id}].ndjson`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::time::{civil_from_days, parse_timestamp};

/// A UTC hour as it stands in names, `20251203T14`. Orders as time does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hour(i64);

impl Hour {
    const NS: i64 = 3_600_000_000_000;

    /// The hour that holds a moment.
    pub fn of(unix_ns: i64) -> Self {
        Self(unix_ns.div_euclid(Self::NS))
    }

    /// Reads what stands in names; `None` if that is no hour.
    pub fn parse(text: &str) -> Option<Self> {
        let (day, hour) = text.split_once('T')?;
        let (year, month, day) = (day.get(..4)?, day.get(4..6)?, day.get(6..)?);
        let begin = format!("{year}-{month}-{day}T{hour}:00:00.000000000Z");
        parse_timestamp(begin.as_bytes()).map(Self::of)
    }
}

impl fmt::Display for Hour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.0.div_euclid(24));
        write!(
            f,
            "{year:04}{month:02}{day:02}T{:02}",
            self.0.rem_euclid(24)
        )
    }
}

/// What a segment's file name says. The counter is the writer's own and never goes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentName {
    /// `20251203T14`.
    pub hour: String,
    /// Counts the segments of one writer.
    pub counter: u64,
    /// Who wrote it, if several may write to one storage.
    pub writer: Option<String>,
}

impl SegmentName {
    /// Reads a file name; `None` if it is not a segment's.
    pub fn parse(name: &str) -> Option<Self> {
        let rest = name.strip_prefix("segment_")?.strip_suffix(".ndjson")?;
        let (hour, rest) = rest.split_once('_')?;
        let (counter, writer) = match rest.split_once('_') {
            Some((counter, writer)) => (counter, Some(writer)),
            None => (rest, None),
        };
        let hour_is_one = hour.len() == 11
            && hour.bytes().enumerate().all(|(at, b)| {
                if at == 8 {
                    b == b'T'
                } else {
                    b.is_ascii_digit()
                }
            });
        let counter_is_one = counter.len() >= 5 && counter.bytes().all(|b| b.is_ascii_digit());
        if !hour_is_one || !counter_is_one || !writer.is_none_or(writer_id_is_valid) {
            return None;
        }
        let counter = counter.parse().ok()?;
        Some(Self {
            hour: hour.to_owned(),
            counter,
            writer: writer.map(str::to_owned),
        })
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "segment_{}_{:05}", self.hour, self.counter)?;
        if let Some(writer) = &self.writer {
            write!(f, "_{writer}")?;
        }
        f.write_str(".ndjson")
    }
}

/// The most bytes that a writer id may have.
pub(crate) const LONGEST_WRITER_ID: usize = 63;

/// Says whether a writer id can stand in names and keys: 1 to 63 ASCII letters, digits and `-`,
/// not beginning with `-`.
pub fn writer_id_is_valid(id: &str) -> bool {
    (1..=LONGEST_WRITER_ID).contains(&id.len())
        && !id.starts_with('-')
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hours_read_as_in_the_specification() {
        assert_eq!(
            Hour::of(1_764_770_400_123_456_789).to_string(),
            "20251203T14"
        );
        assert_eq!(Hour::of(-1).to_string(), "19691231T23");
    }

    #[test]
    fn what_is_no_hour_is_refused() {
        for text in ["", "20251203", "20251303T14", "20251203T24", "2025é203T14"] {
            assert_eq!(Hour::parse(text), None, "{text}");
        }
    }

    #[test]
    fn other_files_are_not_segments() {
        for name in [
            "segment.ndjson",
            "segment_20251203T14_1.ndjson",
            "segment_20251203_00001.ndjson",
            "segment_20251203T14_00001.ndjson.zst",
            ".segment_20251203T14_00001.ndjson",
            "segment_20251203T14_00001_.ndjson",
            "segment_20251203T14_00001_a/b.ndjson",
            "segment_20251203T14_+0001.ndjson",
        ] {
            assert_eq!(SegmentName::parse(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn hours_come_back(unix_ns in 0..i64::MAX) {
            let hour = Hour::of(unix_ns);
            prop_assert_eq!(Hour::parse(&hour.to_string()), Some(hour));
        }

        #[test]
        fn names_come_back(
            unix_ns in 0..i64::MAX, counter in 0..u64::MAX,
            writer in proptest::option::of("[A-Za-z0-9][A-Za-z0-9-]{0,62}"),
        ) {
            let name = SegmentName { hour: Hour::of(unix_ns).to_string(), counter, writer };
            prop_assert_eq!(SegmentName::parse(&name.to_string()), Some(name));
        }
    }
}
