//! What is proved, hashed and followed, beside the reading where that pays.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use crate::recover::OpenConnections;
use crate::recover::trail::Trail;
use crate::segment::Xxh3;

/// How much is read at once: what one core has just written into its cache, the other takes.
const BLOCK: usize = 256 << 10;
/// Smaller files are done sooner than a thread is there.
const LARGE: u64 = 8 << 20;
/// How many blocks the reading may be ahead.
const AHEAD: usize = 16;

/// Whole lines.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) bytes: Vec<u8>,
    pub(super) len: usize,
}

impl Block {
    pub(super) fn lines(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// A group that is proved.
#[derive(Clone, Copy, Debug)]
pub(super) struct Proof {
    /// Where its checkpoint's line ends.
    pub(super) end: u64,
    /// The frames in the segment up to there, as the checkpoint says.
    pub(super) frames: u64,
}

/// The block that comes next, and the groups that end in it.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) block: Block,
    pub(super) proofs: Vec<Proof>,
}

/// What the proved bytes come to.
#[derive(Debug)]
pub(super) struct Digested {
    pub(super) hash: Xxh3,
    pub(super) trail: Trail,
}

/// Who does the rest of the work.
#[derive(Debug)]
pub(super) enum Crew {
    /// This thread.
    Here(Box<Digest>, Vec<Block>),
    /// Another, which gives the blocks back.
    Beside(SyncSender<Told>, Receiver<Block>),
}

impl Crew {
    /// Walks a file of this length; returns what that said and what the proved bytes come to,
    /// `None` where a checkpoint counts otherwise than there are frames.
    pub(super) fn with<T>(
        len: u64,
        open: OpenConnections,
        walk: impl FnOnce(&mut Self) -> io::Result<T>,
    ) -> io::Result<(T, Option<Digested>)> {
        let digest = Digest::new(open);
        if len < LARGE {
            let mut crew = Self::Here(Box::new(digest), Vec::new());
            let walked = walk(&mut crew)?;
            let Self::Here(digest, _) = crew else {
                unreachable!("it stays what it is")
            };
            return Ok((walked, digest.finish()));
        }
        let (give, take) = sync_channel(AHEAD);
        let (give_back, take_back) = channel();
        std::thread::scope(|scope| {
            let beside = scope.spawn(move || digest.run(&take, &give_back));
            // Dropped when it was walked to the end: then the other thread ends too.
            let walked = walk(&mut Self::Beside(give, take_back));
            let digested = beside.join().unwrap_or_else(|panic| {
                std::panic::resume_unwind(panic);
            });
            Ok((walked?, digested))
        })
    }

    /// A block to read into.
    pub(super) fn block(&mut self) -> Block {
        let used = match self {
            Self::Here(_, used) => used.pop(),
            Self::Beside(_, back) => back.try_recv().ok(),
        };
        used.unwrap_or_else(|| Block {
            bytes: vec![0; BLOCK],
            len: 0,
        })
    }

    /// Hands on what was read.
    pub(super) fn give(&mut self, told: Told) {
        match self {
            Self::Here(digest, used) => digest.take(told, |block| used.push(block)),
            // It ends before this one only in a panic, which `with` passes on.
            Self::Beside(to, _) => drop(to.send(told)),
        }
    }
}

/// Hashes and follows the groups that are proved.
#[derive(Debug)]
pub(super) struct Digest {
    hash: Xxh3,
    trail: Trail,
    /// Blocks that are not done with, and how much of the first is.
    waiting: VecDeque<Block>,
    done: usize,
    /// How far the segment is done with.
    offset: u64,
    counts_right: bool,
}

impl Digest {
    fn new(open: OpenConnections) -> Self {
        Self {
            hash: Xxh3::new(),
            trail: Trail::new(open),
            waiting: VecDeque::new(),
            done: 0,
            offset: 0,
            counts_right: true,
        }
    }

    fn run(mut self, told: &Receiver<Told>, back: &Sender<Block>) -> Option<Digested> {
        for told in told {
            // Nobody reads any more: nobody needs it.
            self.take(told, |block| drop(back.send(block)));
        }
        self.finish()
    }

    fn finish(self) -> Option<Digested> {
        let Self { hash, trail, .. } = self;
        self.counts_right.then_some(Digested { hash, trail })
    }

    fn take(&mut self, Told { block, proofs }: Told, mut give_back: impl FnMut(Block)) {
        self.waiting.push_back(block);
        for Proof { end, frames } in proofs {
            self.digest_up_to(end, &mut give_back);
            self.counts_right &= self.trail.tally().frames == frames;
        }
    }

    fn digest_up_to(&mut self, end: u64, give_back: &mut impl FnMut(Block)) {
        while self.offset < end
            && let Some(block) = self.waiting.front()
        {
            let lines = &block.lines()[self.done..];
            let left = usize::try_from(end - self.offset).unwrap_or(usize::MAX);
            let lines = &lines[..lines.len().min(left)];
            self.hash.update(lines);
            self.trail.follow(lines);
            self.offset += lines.len() as u64;
            self.done += lines.len();
            if self.done == block.len {
                self.done = 0;
                self.waiting
                    .pop_front()
                    .into_iter()
                    .for_each(&mut *give_back);
            }
        }
    }
}
