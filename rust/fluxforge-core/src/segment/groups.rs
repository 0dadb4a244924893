//! A segment's groups, one after another, each proved or called by its name.
//!
//! [`Groups`] does no I/O: it is fed. [`GroupReader`] feeds it a file.

use std::collections::VecDeque;
use std::io;

use super::{Checkpoint, SealLine, Uid, Xxh3};
use crate::rules::{Rule, is_left_out};
use crate::vfs::VfsFile;

/// How much is read at once.
const READ: usize = 1 << 20;
/// A group whose beginning was lost with the checkpoint before it is looked for this far back…
const SEARCH_BACK: usize = 2 << 20;
/// …and this often in one file: each search is a sum per line. No other damage is searched for.
const SEARCHES: u32 = 8;

/// What stands next in a segment after its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A group that its checkpoint proves.
    Group {
        /// The records' lines, each with its line break; the checkpoint's is not among them.
        lines: Vec<u8>,
        /// What proves them.
        checkpoint: Checkpoint,
        /// Where the checkpoint's line ends.
        end: u64,
    },
    /// Bytes before a valid group that no checkpoint proves: corruption.
    Corrupt {
        /// Where they begin.
        offset: u64,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// The seal, which proves all before it to be complete and is the file's last line.
    Seal(SealLine),
    /// What follows the last valid checkpoint: torn, or not yet closed.
    Tail {
        /// Where it begins.
        offset: u64,
        /// The bytes.
        bytes: Vec<u8>,
    },
}

/// Tells a segment's groups apart as its bytes come, from the first byte on. The first group is
/// the header line.
///
/// Memory is bounded by the largest run between two valid checkpoints.
#[derive(Debug)]
pub struct Groups {
    uid: Uid,
    /// The bytes that have come, those before `begin` done with: to drop them group by group would
    /// move all that follows as often.
    window: Vec<u8>,
    /// Where the bytes since the last valid checkpoint begin in the window…
    begin: usize,
    /// …and in the segment.
    offset: u64,
    /// How much of the window has been looked through for checkpoints; a line's beginning.
    looked: usize,
    /// The lines since the last valid checkpoint that claim to be one, and prove nothing.
    claims: u64,
    /// Where the latest of them ends in the window.
    claimed: usize,
    last: Option<Checkpoint>,
    hash: Xxh3,
    searches: u32,
    ready: VecDeque<Piece>,
    ended: bool,
}

impl Groups {
    /// Of the segment with this identity.
    pub fn new(uid: Uid) -> Self {
        Self {
            uid,
            window: Vec::new(),
            begin: 0,
            offset: 0,
            looked: 0,
            claims: 0,
            claimed: 0,
            last: None,
            hash: Xxh3::new(),
            searches: 0,
            ready: VecDeque::new(),
            ended: false,
        }
    }

    /// Of a segment's end: what follows its group that this checkpoint closed, which ends at
    /// `offset` and up to which all bytes have this hash.
    pub(crate) fn after(uid: Uid, last: Checkpoint, offset: u64, hash: Xxh3) -> Self {
        Self {
            offset,
            last: Some(last),
            hash,
            ..Self::new(uid)
        }
    }

    /// Takes the bytes that come next; then ask for pieces until there is none.
    pub fn push(&mut self, bytes: &[u8]) {
        self.make_room().extend_from_slice(bytes);
    }

    /// Says that no more bytes come. What is left is the seal or the tail.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// The next piece, if the bytes that have come hold a whole one.
    pub fn next_piece(&mut self) -> Option<Piece> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Some(piece);
            }
            match memchr::memchr(b'\n', &self.window[self.looked..]) {
                Some(len) => self.line(self.looked + len),
                None if self.ended => return self.take_rest(),
                None => return None,
            }
        }
    }

    /// Drops what is done with; returns the window for more.
    fn make_room(&mut self) -> &mut Vec<u8> {
        self.window.drain(..self.begin);
        self.looked -= self.begin;
        self.claimed = self.claimed.saturating_sub(self.begin);
        self.begin = 0;
        &mut self.window
    }

    /// Looks at the line that ends at `end` in the window (where its line break stands).
    fn line(&mut self, end: usize) {
        let begin = std::mem::replace(&mut self.looked, end + 1);
        let line = &self.window[begin..end];
        if !Checkpoint::is_one(line) {
            return;
        }
        let proved = Checkpoint::read(line)
            .and_then(|checkpoint| Some((checkpoint, self.group_start(&checkpoint, begin, end)?)));
        if let Some((checkpoint, start)) = proved {
            self.group(start, checkpoint, begin, end);
        } else {
            self.claims += 1;
            self.claimed = end + 1;
        }
    }

    /// Takes the group that begins at `start`, whose checkpoint's line is `begin..end`.
    fn group(&mut self, start: usize, checkpoint: Checkpoint, begin: usize, end: usize) {
        if start > self.begin {
            self.ready.push_back(Piece::Corrupt {
                offset: self.offset,
                bytes: self.window[self.begin..start].to_vec(),
            });
        }
        let taken = &self.window[self.begin..=end];
        self.hash.update(taken);
        self.offset += taken.len() as u64;
        self.ready.push_back(Piece::Group {
            lines: self.window[start..begin].to_vec(),
            checkpoint,
            end: self.offset,
        });
        self.begin = end + 1;
        self.claims = 0;
        self.last = Some(checkpoint);
    }

    /// Where the group begins that this checkpoint proves, if it proves one.
    fn group_start(&mut self, checkpoint: &Checkpoint, begin: usize, end: usize) -> Option<usize> {
        let Self {
            window, uid, last, ..
        } = self;
        // Whoever writes sums can write the greatest number too.
        let (next_n, chain) = last.map_or((0, 0), |last| (last.n.saturating_add(1), last.crc32c));
        let proved_from = |start: &usize| checkpoint.proves(uid, &window[*start..end]);
        let follows = checkpoint.prev == chain || is_left_out(Rule::Chain);
        if checkpoint.n == next_n && follows && proved_from(&self.begin) {
            return Some(self.begin);
        }
        // Something before it is corrupt. It must still come later than what was proved. If only
        // records are, its group begins where the checkpoint before ends, damaged or not: one sum,
        // and however many groups are damaged, no later one is lost with them.
        let skipped = checkpoint.n.checked_sub(next_n)?;
        if self.claims > 0 && proved_from(&self.claimed) {
            return Some(self.claimed);
        }
        // If no checkpoint is missing, there is no other place to begin.
        if self.claims >= skipped || self.searches == SEARCHES {
            return None;
        }
        self.searches += 1;
        let from = begin.saturating_sub(SEARCH_BACK).max(self.begin);
        memchr::memchr_iter(b'\n', &window[from..begin])
            .map(|at| from + at + 1)
            .find(proved_from)
    }

    /// Calls what is left in the window by its name.
    fn take_rest(&mut self) -> Option<Piece> {
        let (offset, bytes) = (self.offset, std::mem::take(self.make_room()));
        self.looked = 0;
        if bytes.is_empty() {
            return None;
        }
        let is_sealed = |seal: &SealLine| {
            seal.bytes == offset && seal.xxh3 == format!("{:016x}", self.hash.digest())
        };
        let one_line = bytes
            .strip_suffix(b"\n")
            .filter(|line| !line.contains(&b'\n'));
        Some(match one_line.and_then(SealLine::read).filter(is_sealed) {
            Some(seal) => Piece::Seal(seal),
            None => Piece::Tail { offset, bytes },
        })
    }
}

/// Reads a file's groups.
#[derive(Debug)]
pub struct GroupReader<'a> {
    file: &'a dyn VfsFile,
    read: u64,
    groups: Groups,
}

impl<'a> GroupReader<'a> {
    /// A reader of the segment with this identity.
    pub fn new(file: &'a dyn VfsFile, uid: Uid) -> Self {
        Self {
            file,
            read: 0,
            groups: Groups::new(uid),
        }
    }

    /// The next piece; `None` after the seal or the tail.
    pub fn next_piece(&mut self) -> io::Result<Option<Piece>> {
        loop {
            if let Some(piece) = self.groups.next_piece() {
                return Ok(Some(piece));
            }
            if self.groups.ended {
                return Ok(None);
            }
            if !self.fill()? {
                self.groups.end();
            }
        }
    }

    /// Reads straight into the window: a copy less per byte.
    fn fill(&mut self) -> io::Result<bool> {
        let window = self.groups.make_room();
        let have = window.len();
        let left = self.file.len()?.saturating_sub(self.read);
        window.resize(have + usize::try_from(left).unwrap_or(READ).min(READ), 0);
        let read = self.file.read_at(self.read, &mut window[have..]);
        window.truncate(have + *read.as_ref().unwrap_or(&0));
        self.read += *read.as_ref().unwrap_or(&0) as u64;
        Ok(read? > 0)
    }
}
