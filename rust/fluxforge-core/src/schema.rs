//! A feed is data: this is the shape of its description, and [`plan`] is what it compiles to.
//!
//! ```text
//! frame    which key routes a frame to its table, which carry its time and its sequence number
//! tables   the array path whose objects become rows, the columns, the partition key
//! ```
//!
//! A path names keys from the frame's top, `[]` after each that holds an array:
//! `events[].updates[].side`. A column without a path lies in the row under its own name. A key
//! that no path names is counted as unknown unless `ignored_fields` lists it. What a column names and
//! the wire lacks is counted as missing, except on channels that the column's `channels` leave out.

pub mod plan;

use std::collections::BTreeMap;

use serde::Deserialize;

/// A feed's description cannot be used; says what is wrong and where.
#[derive(Debug, thiserror::Error)]
#[error("feed description: {0}")]
pub struct FeedError(pub String);

/// How number columns are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// Correctly rounded; values of more than 15 significant digits are counted.
    Float64,
    /// `decimal128(38, 18)`, exactly or not at all.
    Decimal,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A decimal in a string or a JSON number, stored as [`Numbers`] says.
    Number,
    /// RFC 3339, stored in nanoseconds UTC.
    Timestamp,
    /// Whole seconds since 1970, in a string or a JSON number.
    UnixSeconds,
    /// A whole number; the feed's sequence.
    #[serde(skip)]
    Integer,
    /// Text as it is on the wire.
    String,
    /// Text of few values.
    Dictionary,
}

/// How a value is written on the wire, as far as the feed says. Where it differs, that is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Wire {
    #[default]
    String,
    Number,
    #[serde(skip)]
    Array,
    /// Nothing is said.
    #[serde(skip)]
    Any,
}

impl Wire {
    /// Whether a value that begins so may be what the feed says.
    #[inline]
    pub(crate) fn begins_with(self, byte: u8) -> bool {
        match self {
            Self::String => byte == b'"',
            Self::Number => byte.is_ascii_digit() || byte == b'-',
            Self::Array => byte == b'[',
            Self::Any => true,
        }
    }
}

/// The part of a feed's description that the parser reads.
#[derive(Debug, Deserialize)]
pub(crate) struct Spec {
    pub(crate) feed: String,
    pub(crate) version: u32,
    pub(crate) frame: FrameSpec,
    pub(crate) tables: BTreeMap<String, TableSpec>,
}

/// What every frame of the feed has in common.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FrameSpec {
    pub(crate) route: String,
    pub(crate) timestamp: TimeSpec,
    pub(crate) sequence: String,
    pub(crate) event_type: String,
    #[serde(default)]
    pub(crate) ignored_fields: Vec<String>,
    #[serde(default)]
    pub(crate) ignored_channels: Vec<String>,
    pub(crate) unrouted: Option<UnroutedSpec>,
}

/// The frame's own time.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TimeSpec {
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) nulls: Vec<String>,
}

/// Frames without a route that are known all the same.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UnroutedSpec {
    pub(crate) field: String,
    pub(crate) ignored: Vec<String>,
}

/// One table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TableSpec {
    pub(crate) channels: Vec<String>,
    pub(crate) rows: String,
    pub(crate) product_id: Option<String>,
    #[serde(default)]
    pub(crate) ignored_fields: Vec<String>,
    pub(crate) columns: Vec<ColumnSpec>,
}

/// One column.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ColumnSpec {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: Kind,
    pub(crate) path: Option<String>,
    #[serde(default)]
    pub(crate) wire: Wire,
    /// The channels on which it is to be expected; all of the table's if none is named.
    #[serde(default)]
    pub(crate) channels: Vec<String>,
    #[serde(default)]
    pub(crate) nullable: bool,
    #[serde(default)]
    pub(crate) nulls: Vec<String>,
}
