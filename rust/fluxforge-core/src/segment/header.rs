//! Line 1: who wrote the segment, and what it is called.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Durability;
use super::time::timestamp;

/// The format this version writes, and the newest it reads.
pub const FORMAT: u64 = 1;

/// A first line longer than this is no header. Line 1 names every open connection, so it may be
/// long: this is room for more than a hundred thousand.
pub(crate) const LONGEST_HEADER: usize = 16 << 20;

/// A segment's identity: 32 lower-case hex digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Uid(String);

impl Uid {
    /// Sixteen random bytes as text.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(format!("{:032x}", u128::from_be_bytes(bytes)))
    }

    /// The 32 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Uid {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let is_hex = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if text.len() == 32 && is_hex {
            Ok(Self(text))
        } else {
            Err("a uid is 32 lower-case hex digits")
        }
    }
}

impl From<Uid> for String {
    fn from(uid: Uid) -> Self {
        uid.0
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where another segment ends, because the disk failed under it and this one goes on from there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Continues {
    /// The other segment.
    pub uid: Uid,
    /// Its last checkpoint that counts.
    pub checkpoint: u64,
}

/// What line 1 says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The number of the format; [`FORMAT`] in what this version writes.
    pub format: u64,
    /// The label under which the file was created.
    pub name: String,
    /// The segment's identity.
    pub uid: Uid,
    /// What was captured, as in `coinbase`.
    pub source: String,
    /// The writer's id, where several may write to one storage.
    pub writer: Option<String>,
    /// When the file was created.
    pub created: String,
    /// The segment that this one goes on from, if the disk failed under it.
    pub continues: Option<Continues>,
    /// The connections that were open when the segment before it was closed, each with the time
    /// of its last record.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub open: BTreeMap<String, String>,
    /// What its writer means by "durable". Files from before this was said do not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub durability: Option<Durability>,
}

/// What a file's first line makes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opening {
    /// A segment that this version understands.
    Segment(Header),
    /// A segment of a format that this version does not know.
    Newer(u64),
    /// It begins as a segment does, and then makes no sense.
    Damaged,
    /// Something else: plain NDJSON, or no text at all.
    Plain,
}

#[derive(Serialize, Deserialize)]
struct Line<T> {
    segment: T,
}

#[derive(Deserialize)]
struct FormatOnly {
    format: u64,
}

impl Header {
    /// The header of a segment that is created now.
    pub fn new(
        name: String,
        uid: Uid,
        source: &str,
        writer: Option<&str>,
        created_ns: i64,
        continues: Option<Continues>,
    ) -> Self {
        Self {
            format: FORMAT,
            name,
            uid,
            source: source.to_owned(),
            writer: writer.map(str::to_owned),
            created: timestamp(created_ns),
            continues,
            open: BTreeMap::new(),
            durability: None,
        }
    }

    /// Appends line 1 with its line break.
    pub fn push(&self, out: &mut Vec<u8>) {
        serde_json::to_writer(&mut *out, &Line { segment: self }).expect("strings and numbers");
        out.push(b'\n');
    }
}

impl Opening {
    /// Reads a first line, with or without its line break.
    pub fn read(line: &[u8]) -> Self {
        if !line.starts_with(b"{\"segment\":") {
            return Self::Plain;
        }
        match serde_json::from_slice::<Line<FormatOnly>>(line) {
            Ok(Line {
                segment: FormatOnly { format },
            }) if format > FORMAT => Self::Newer(format),
            Ok(_) => serde_json::from_slice::<Line<Header>>(line)
                .map_or(Self::Damaged, |line| Self::Segment(line.segment)),
            Err(_) => Self::Damaged,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        let uid = Uid::from_bytes([7; 16]);
        let continues = Some(Continues {
            uid: uid.clone(),
            checkpoint: 3,
        });
        Header::new(
            "segment_20251203T14_00001.ndjson".into(),
            uid,
            "coin\"base",
            None,
            0,
            continues,
        )
    }

    #[test]
    fn line_one_reads_back() {
        let mut line = Vec::new();
        header().push(&mut line);
        assert!(line.starts_with(b"{\"segment\":{\"format\":1,\"name\":\"segment_"));
        assert_eq!(Opening::read(&line), Opening::Segment(header()));
    }

    #[test]
    fn line_one_may_say_what_durable_means() {
        let mut line = Vec::new();
        let mut said = header();
        said.durability = Some(Durability::Os);
        said.push(&mut line);
        assert!(line.ends_with(b",\"durability\":\"os\"}}\n"));
        assert_eq!(Opening::read(&line), Opening::Segment(said));
    }

    #[test]
    fn a_newer_format_is_known_by_its_number_alone() {
        assert_eq!(
            Opening::read(br#"{"segment":{"format":2,"shape":"other"}}"#),
            Opening::Newer(2)
        );
    }

    #[test]
    fn damage_and_strangers_are_told_apart() {
        assert_eq!(
            Opening::read(br#"{"segment":{"format":1,"uid":"#),
            Opening::Damaged
        );
        assert_eq!(
            Opening::read(br#"{"segment":{"format":1,"uid":"XYZ"}}"#),
            Opening::Damaged
        );
        assert_eq!(Opening::read(br#"{"channel":"ticker"}"#), Opening::Plain);
        assert_eq!(Opening::read(b""), Opening::Plain);
    }
}
