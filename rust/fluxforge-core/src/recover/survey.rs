//! Reads a file that is as its writer left it: one pass, on two threads where it is large.
//!
//! One thread reads and hashes; another sums, finds where the groups end and follows the records.
//! It leaves most bytes alone: checkpoints are searched for, and of the records few are read
//! ([`super::trail`]).
//!
//! Whatever is not to the byte what a writer writes, torn bytes at the end aside, is none of this:
//! the answer is `None`, and the file is copied.

mod prove;
mod read;

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};

use super::OpenConnections;
use super::closing::CUT_INLINE;
use crate::segment::{BrokenSeal, Checkpoint, Groups, Header, Piece, SealLine, Tally, Uid, Xxh3};
use crate::vfs::{VfsFile, read_range};
use prove::{Proved, Prover, Walked};
use read::{Block, Lines};

/// Smaller files are done sooner than a thread is there.
const LARGE: u64 = 8 << 20;
/// How many blocks the reading may be ahead.
const AHEAD: usize = 4;

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
    Seal(SealLine),
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
    let prover = Prover::new(header, open);
    let found = if len < LARGE {
        prove_here(file, prover)
    } else {
        prove_beside(file, prover)
    };
    let Some(Proved {
        walked,
        hash,
        trail,
    }) = found?
    else {
        return Ok(None);
    };
    let Some(rest) = rest(file, &header.uid, len, &walked, &hash)? else {
        return Ok(None);
    };
    let (open, tally) = trail.finish();
    if let Rest::Seal(seal) = &rest
        && !seal.counts(&tally)
    {
        return Ok(None);
    }
    let Walked {
        last,
        last_group,
        end,
    } = walked;
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

/// Reads and proves by turns.
fn prove_here(file: &dyn VfsFile, mut prover: Prover<'_>) -> io::Result<Option<Proved>> {
    let mut lines = Lines::new(file);
    let mut used = Vec::new();
    while let Some(block) = lines.next_block(used.pop().unwrap_or_default())? {
        if !prover.take(block, |block| used.push(block)) {
            break;
        }
    }
    Ok(prover.finish())
}

/// Reads here and proves beside it.
fn prove_beside(file: &dyn VfsFile, mut prover: Prover<'_>) -> io::Result<Option<Proved>> {
    let (give, take) = sync_channel::<Block>(AHEAD);
    let (give_back, take_back) = channel();
    std::thread::scope(|scope| {
        let beside = scope.spawn(move || {
            for block in take {
                // Once all is read nobody wants blocks back.
                if !prover.take(block, |block| drop(give_back.send(block))) {
                    break;
                }
            }
            prover.finish()
        });
        let read = read_all(file, &give, &take_back);
        // That was all: the other thread ends too.
        drop(give);
        let found = beside.join().unwrap_or_else(|panic| {
            std::panic::resume_unwind(panic);
        });
        read.map(|()| found)
    })
}

/// Reads to the end, or until nobody wants more.
fn read_all(
    file: &dyn VfsFile,
    give: &SyncSender<Block>,
    used: &Receiver<Block>,
) -> io::Result<()> {
    let mut lines = Lines::new(file);
    while let Some(block) = lines.next_block(used.try_recv().unwrap_or_default())? {
        if give.send(block).is_err() {
            break;
        }
    }
    Ok(())
}

/// Calls what follows the last checkpoint by its name; `None` if it is too much, or damaged: it
/// holds a group that is proved, or a seal.
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
        Some(Piece::Seal(seal)) => Some(Rest::Seal(seal)),
        Some(Piece::Group { .. } | Piece::Corrupt { .. }) => None,
        Some(Piece::Tail { .. }) if BrokenSeal::find(&bytes).is_some() => None,
        None | Some(Piece::Tail { .. }) => Some(Rest::Torn(bytes)),
    })
}
