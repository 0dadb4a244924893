//! One segment, as a person with a file in hand wants it told: what it is, what proves it, where
//! it is damaged.
//!
//! [`Inspector`] is fed a segment's bytes and changes nothing. It takes groups from the same
//! [`Groups`](crate::segment::Groups) as recovery, so what it calls proved is what
//! [`crate::recover`] keeps.
//!
//! | verdict | the file |
//! |---|---|
//! | `whole` | checkpoints and seal vouch for every byte |
//! | `growing` | its writer lives, and all before the group in its hands is proved |
//! | `unsealed` | ends at a checkpoint: its writer died between two groups |
//! | `cut` | ends in bytes after the last checkpoint, which nobody was told are durable |
//! | `damaged` | something that was proved once is not any more |
//! | `empty` | has no byte |
//! | `plain` | does not begin as a segment does; nothing vouches for it |
//! | `newer` | has a format that this version does not know |

mod found;
mod inspector;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::segment::{Header, SealLine};

pub use inspector::Inspector;

/// What a file is, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Checkpoints and seal vouch for every byte.
    Whole,
    /// Its writer lives.
    Growing,
    /// Ends at a checkpoint, without a seal.
    Unsealed,
    /// Ends in bytes that no checkpoint follows.
    Cut,
    /// Something that was proved once is not any more.
    Damaged,
    /// Has no byte.
    Empty,
    /// Does not begin as a segment does.
    Plain,
    /// Has a format that this version does not know.
    Newer,
}

/// What is wrong at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Harm {
    /// Line 1 begins as a header does, and makes no sense.
    Header,
    /// Bytes of a group that no checkpoint proves, though more was written after them.
    Corrupt,
    /// Bytes after the last checkpoint.
    Torn,
    /// A seal that does not vouch for what stands before it.
    Seal,
    /// Bytes after a seal, where nothing may follow.
    Trailing,
}

/// One place of damage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// What is wrong there.
    pub what: Harm,
    /// The line in which it begins, from 1.
    pub line: u64,
    /// The lines it touches.
    pub lines: u64,
    /// The byte at which it begins, from 0.
    pub offset: u64,
    /// The bytes it touches.
    pub bytes: u64,
    /// The group it lies in: the number of the checkpoint that should prove it.
    pub group: u64,
    /// The frames that are lost by it, where a later checkpoint or the seal tells.
    pub frames: Option<u64>,
}

/// The last checkpoint that holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LastCheckpoint {
    /// Its number.
    pub n: u64,
    /// Its line, from 1.
    pub line: u64,
    /// The byte after its line: what is proved ends here.
    pub end: u64,
}

/// All there is to say about a file. Counts are of what checkpoints prove.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// In one word.
    pub verdict: Verdict,
    /// The format's number, also one that this version does not know.
    pub format: Option<u64>,
    /// Line 1, where it can be read.
    pub header: Option<Header>,
    /// The file's length.
    pub bytes: u64,
    /// The file's lines; one without an end counts.
    pub lines: u64,
    /// Frames.
    pub frames: u64,
    /// Events of ours.
    pub events: u64,
    /// The smallest capture time.
    pub first_ts: Option<String>,
    /// The greatest capture time.
    pub last_ts: Option<String>,
    /// Frames by connection.
    pub connections: BTreeMap<String, u64>,
    /// Events by kind.
    pub kinds: BTreeMap<String, u64>,
    /// Groups that a checkpoint proves, the header's among them.
    pub groups: u64,
    /// The last checkpoint that holds.
    pub last_checkpoint: Option<LastCheckpoint>,
    /// The seal, whether it holds or not.
    pub seal: Option<SealLine>,
    /// Whether every byte is vouched for by it.
    pub seal_holds: bool,
    /// Where the file is damaged, in order.
    pub damage: Vec<Damage>,
}
