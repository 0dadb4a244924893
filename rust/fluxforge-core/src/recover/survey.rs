//! Reads a file that is as its writer left it: one pass, on two threads where it is large.
//!
//! One thread reads and sums, and finds where the groups end. Another hashes what is proved and
//! follows the records. Both leave most bytes alone: checkpoints are searched for, and of the
//! records few are read ([`super::trail`]).
//!
//! Whatever is not to the byte what a writer writes, torn bytes at the end aside, is none of this:
//! the answer is `None`, and the file is copied.

mod crew;
mod walk;

use std::io;

use super::OpenConnections;
use super::closing::CUT_INLINE;
use crate::segment::{Checkpoint, Durability, Groups, Header, Piece, Tally, Uid, Xxh3};
use crate::vfs::{VfsFile, read_range};
use crew::{Crew, Digested};
use walk::{Walked, walk};

/// What is proved of a file, and how it ends.
#[derive(Debug)]
pub(super) struct Survey {
    /// The last checkpoint.
    pub(super) last: Checkpoint,
    /// Where the group begins that it closes.
    pub(super) last_group: u64,
    /// Where its line ends, and with it what is proved.
    pub(super) end: u64,
    /// Over all up to there.
    pub(super) hash: Xxh3,
    /// The records up to there.
    pub(super) tally: Tally,
    /// The connections that they leave open.
    pub(super) open: OpenConnections,
    /// What follows.
    pub(super) rest: Rest,
}

/// What follows the last checkpoint.
#[derive(Debug)]
pub(super) enum Rest {
    /// The seal, which holds.
    Seal(Durability),
    /// Torn bytes, or none.
    Torn(Vec<u8>),
}

/// Surveys a segment with this header; `open` is what the segments before it left open.
pub(super) fn survey(
    file: &dyn VfsFile,
    header: &Header,
    open: OpenConnections,
) -> io::Result<Option<Survey>> {
    let len = file.len()?;
    let (walked, digested) = Crew::with(len, open, |crew| walk(file, header, crew))?;
    let (Some(walked), Some(digested)) = (walked, digested) else {
        return Ok(None);
    };
    let Some(rest) = rest(file, &header.uid, len, &walked, &digested.hash)? else {
        return Ok(None);
    };
    let Walked {
        last,
        last_group,
        end,
    } = walked;
    let Digested { hash, trail } = digested;
    let (open, tally) = trail.finish();
    Ok(Some(Survey {
        last,
        last_group,
        end,
        hash,
        tally,
        open,
        rest,
    }))
}

/// Calls what follows the last checkpoint by its name; `None` if it is too much, or holds a group
/// that is proved, with damage before it.
fn rest(
    file: &dyn VfsFile,
    uid: &Uid,
    len: u64,
    walked: &Walked,
    hash: &Xxh3,
) -> io::Result<Option<Rest>> {
    let Some(size) = usize::try_from(len.saturating_sub(walked.end))
        .ok()
        .filter(|&size| size <= CUT_INLINE)
    else {
        return Ok(None);
    };
    let bytes = read_range(file, walked.end, size)?;
    let mut groups = Groups::after(uid.clone(), walked.last, walked.end, hash.clone());
    groups.push(&bytes);
    groups.end();
    Ok(match groups.next_piece() {
        Some(Piece::Seal(seal)) => Some(Rest::Seal(seal.durability)),
        None | Some(Piece::Tail { .. }) => Some(Rest::Torn(bytes)),
        Some(Piece::Group { .. } | Piece::Corrupt { .. }) => None,
    })
}
