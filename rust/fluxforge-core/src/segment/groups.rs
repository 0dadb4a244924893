//! A segment's groups, one after another, each proved or called by its name.

use std::collections::VecDeque;
use std::io;

use super::{Checkpoint, SealLine, Uid, Xxh3};
use crate::vfs::VfsFile;

/// How much is read at once.
const READ: usize = 1 << 20;
/// A group whose beginning was lost with the checkpoint before it is looked for this far back…
const SEARCH_BACK: usize = 2 << 20;
/// …and this often in one file: each search is a sum per line.
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

/// Walks a segment's groups from its first byte. The first group is the header line.
///
/// Memory is bounded by the largest run between two valid checkpoints.
#[derive(Debug)]
pub struct GroupReader<'a> {
    file: &'a dyn VfsFile,
    uid: Uid,
    /// The bytes since the last valid checkpoint that have been read.
    window: Vec<u8>,
    /// Where the window begins in the file.
    offset: u64,
    /// How much of the window has been looked through for checkpoints; a line's beginning.
    looked: usize,
    last: Option<Checkpoint>,
    hash: Xxh3,
    searches: u32,
    ready: VecDeque<Piece>,
    ended: bool,
}

impl<'a> GroupReader<'a> {
    /// A reader of the segment with this identity.
    pub fn new(file: &'a dyn VfsFile, uid: Uid) -> Self {
        Self {
            file,
            uid,
            window: Vec::new(),
            offset: 0,
            looked: 0,
            last: None,
            hash: Xxh3::new(),
            searches: 0,
            ready: VecDeque::new(),
            ended: false,
        }
    }

    /// The next piece; `None` after the seal or the tail.
    pub fn next_piece(&mut self) -> io::Result<Option<Piece>> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Ok(Some(piece));
            }
            if self.ended {
                return Ok(None);
            }
            match memchr::memchr(b'\n', &self.window[self.looked..]) {
                Some(len) => self.line(self.looked + len),
                None if !self.fill()? => self.finish(),
                None => {}
            }
        }
    }

    fn fill(&mut self) -> io::Result<bool> {
        let have = self.window.len();
        let left = self.file.len()?.saturating_sub(self.offset + have as u64);
        self.window
            .resize(have + usize::try_from(left).unwrap_or(READ).min(READ), 0);
        let read = self
            .file
            .read_at(self.offset + have as u64, &mut self.window[have..]);
        self.window.truncate(have + *read.as_ref().unwrap_or(&0));
        Ok(read? > 0)
    }

    /// Looks at the line that ends at `end` in the window (where its line break stands).
    fn line(&mut self, end: usize) {
        let begin = std::mem::replace(&mut self.looked, end + 1);
        let Some(checkpoint) = Checkpoint::read(&self.window[begin..end]) else {
            return;
        };
        let Some(start) = self.group_start(&checkpoint, begin, end) else {
            return;
        };
        if start > 0 {
            let bytes = self.window[..start].to_vec();
            self.ready.push_back(Piece::Corrupt {
                offset: self.offset,
                bytes,
            });
        }
        let lines = self.window[start..begin].to_vec();
        self.ready.push_back(Piece::Group { lines, checkpoint });
        self.hash.update(&self.window[..=end]);
        self.window.drain(..=end);
        self.offset += end as u64 + 1;
        self.looked = 0;
        self.last = Some(checkpoint);
    }

    /// Where the group begins that this checkpoint proves, if it proves one.
    fn group_start(&mut self, checkpoint: &Checkpoint, begin: usize, end: usize) -> Option<usize> {
        let Self {
            window, uid, last, ..
        } = self;
        let (next_n, chain) = last.map_or((0, 0), |last| (last.n + 1, last.crc32c));
        let proved_from = |start: usize| checkpoint.proves(uid, &window[start..end]);
        if checkpoint.n == next_n && checkpoint.prev == chain && proved_from(0) {
            return Some(0);
        }
        // Something before it is corrupt. It must still come later than what was proved, and
        // its group begins at some line.
        if checkpoint.n < next_n || self.searches == SEARCHES {
            return None;
        }
        self.searches += 1;
        let from = begin.saturating_sub(SEARCH_BACK);
        memchr::memchr_iter(b'\n', &window[from..begin])
            .map(|at| from + at + 1)
            .find(|&start| proved_from(start))
    }

    /// Calls what is left in the window by its name.
    fn finish(&mut self) {
        self.ended = true;
        if self.window.is_empty() {
            return;
        }
        let is_sealed = |seal: &SealLine| {
            seal.bytes == self.offset && seal.xxh3 == format!("{:016x}", self.hash.digest())
        };
        let one_line = self
            .window
            .strip_suffix(b"\n")
            .filter(|line| !line.contains(&b'\n'));
        match one_line.and_then(SealLine::read).filter(is_sealed) {
            Some(seal) => self.ready.push_back(Piece::Seal(seal)),
            None => self.ready.push_back(Piece::Tail {
                offset: self.offset,
                bytes: std::mem::take(&mut self.window),
            }),
        }
    }
}
