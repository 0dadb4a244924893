//! Summing, finding where the groups end, and following the records of those that are proved.

use std::collections::VecDeque;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::read::Block;
use crate::recover::OpenConnections;
use crate::recover::trail::Trail;
use crate::segment::{CHECKPOINT_START, Checkpoint, GroupSum, Header, Opening, Xxh3};

/// A checkpoint's beginning, and the end of the line before it. No frame holds a line break.
static CHECKPOINT: LazyLock<Finder<'static>> = LazyLock::new(|| {
    let needle = [b"\n", CHECKPOINT_START].concat();
    Finder::new(&needle).into_owned()
});

/// How far a file proves itself.
#[derive(Debug)]
pub(super) struct Walked {
    pub(super) last: Checkpoint,
    pub(super) last_group: u64,
    pub(super) end: u64,
}

/// What is proved.
#[derive(Debug)]
pub(super) struct Proved {
    pub(super) walked: Walked,
    /// Over all of it.
    pub(super) hash: Xxh3,
    /// What its records come to.
    pub(super) trail: Trail,
}

/// Proves a segment as its lines come: up to the last checkpoint, or up to the first line that
/// claims to be one and is not what a writer would have written there.
///
/// Nothing is held but the run between two checkpoints.
#[derive(Debug)]
pub(super) struct Prover<'a> {
    header: &'a Header,
    walked: Option<Walked>,
    /// The length of line 1, once it was seen and says what it should.
    header_len: Option<u64>,
    /// Of the group that is not closed yet.
    sum: GroupSum,
    trail: Trail,
    /// Whether each checkpoint says how many frames there are.
    counts_right: bool,
    /// The block in which what is followed ends, and those after it…
    blocks: VecDeque<Block>,
    /// …and how much of the first is.
    followed: usize,
}

impl<'a> Prover<'a> {
    /// Of a segment with this header; `open` is what the segments before it left open.
    pub(super) fn new(header: &'a Header, open: OpenConnections) -> Self {
        Self {
            header,
            walked: None,
            header_len: None,
            sum: GroupSum::new(&header.uid),
            trail: Trail::new(open),
            counts_right: true,
            blocks: VecDeque::new(),
            followed: 0,
        }
    }

    /// Takes the lines that come next; says whether to go on. Blocks that are done with are given
    /// back.
    pub(super) fn take(&mut self, block: Block, mut give_back: impl FnMut(Block)) -> bool {
        let mut proofs = Vec::new();
        let goes_on = self.walk(block.lines(), block.offset, &mut proofs);
        self.blocks.push_back(block);
        for Proof { end, frames } in proofs {
            self.follow_up_to(end, &mut give_back);
            self.counts_right &= self.trail.tally().frames == frames;
        }
        goes_on && self.counts_right
    }

    /// What is proved; `None` if not even the header is, or if a checkpoint counts otherwise than
    /// there are frames.
    pub(super) fn finish(self) -> Option<Proved> {
        let walked = self.walked.filter(|_| self.counts_right)?;
        let block = self.blocks.front()?;
        let mut hash = block.hash.clone();
        hash.update(&block.lines()[..self.followed]);
        Some(Proved {
            walked,
            hash,
            trail: self.trail,
        })
    }

    /// Walks through whole lines, which begin at an offset; says whether to go on.
    fn walk(&mut self, lines: &[u8], offset: u64, proofs: &mut Vec<Proof>) -> bool {
        if offset == 0 {
            let len = memchr::memchr(b'\n', lines).map_or(lines.len(), |at| at + 1);
            let is_known = Opening::read(&lines[..len]) == Opening::Segment(self.header.clone());
            self.header_len = is_known.then_some(len as u64);
        }
        let first = lines.starts_with(CHECKPOINT_START).then_some(0);
        let others = CHECKPOINT.find_iter(lines).map(|at| at + 1);
        let mut summed = 0;
        for begin in first.into_iter().chain(others) {
            let len = memchr::memchr(b'\n', &lines[begin..]).unwrap_or(lines.len() - begin);
            self.sum.add(&lines[summed..begin]);
            summed = begin + len + 1;
            let end = offset + summed as u64;
            let Some(checkpoint) = self.close(&lines[begin..begin + len], offset + begin as u64)
            else {
                return false;
            };
            proofs.push(Proof {
                end,
                frames: checkpoint.frames,
            });
            self.walked = Some(Walked {
                last: checkpoint,
                last_group: self.walked.as_ref().map_or(0, |walked| walked.end),
                end,
            });
            self.sum = GroupSum::new(&self.header.uid);
        }
        self.sum.add(&lines[summed..]);
        true
    }

    /// The checkpoint that closes the group, if this line at this offset is the one.
    fn close(&self, line: &[u8], offset: u64) -> Option<Checkpoint> {
        let checkpoint = Checkpoint::read(line)?;
        let (n, prev) = match &self.walked {
            Some(Walked { last, .. }) => (last.n.checked_add(1)?, last.crc32c),
            // The first group is the header line.
            None => (0, self.header_len.filter(|&len| len == offset).map(|_| 0)?),
        };
        let follows = checkpoint.n == n && checkpoint.prev == prev && checkpoint.bytes == offset;
        (follows && self.sum.is_closed_by(&checkpoint, line)).then_some(checkpoint)
    }

    /// Follows the records up to a place in the blocks that have come. The block in which that
    /// lies stays: its hash is asked for if nothing is proved after it.
    fn follow_up_to(&mut self, end: u64, give_back: &mut impl FnMut(Block)) {
        while let Some(block) = self.blocks.front() {
            let lines = block.lines();
            let left = usize::try_from(end - block.offset).unwrap_or(usize::MAX);
            let upto = left.min(lines.len());
            self.trail.follow(&lines[self.followed..upto]);
            self.followed = upto;
            if left <= lines.len() {
                return;
            }
            self.followed = 0;
            self.blocks
                .pop_front()
                .into_iter()
                .for_each(&mut *give_back);
        }
    }
}

/// A group that is proved.
#[derive(Clone, Copy, Debug)]
struct Proof {
    /// Where its checkpoint's line ends.
    end: u64,
    /// The frames in the segment up to there, as the checkpoint says.
    frames: u64,
}
