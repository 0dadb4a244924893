//! A segment that arrives in pieces of any size.
//!
//! A segment with a header is taken group by group: a group waits until its checkpoint is there,
//! is verified while it is warm in the cache, and then read. Lines of a group that does not verify
//! become rejects, each with its bytes; the groups around it stay. Lines after the last checkpoint
//! are read as they are, and the segment does not count as verified, unless a seal vouches for
//! them; a seal that speaks against them makes them rejects too.
//!
//! What has no header has no groups: it is read line by line and is never verified.

use std::fmt;
use std::sync::Arc;

use super::board::{Block, Board};
use super::books::{Books, Lines};
use super::parsed::{ParsedSegment, PartitionRows, finish_rows};
use super::rejects::Leaving;
use super::stretch::Stretch;
use super::structure::{self, CHECKPOINT, NewerFormat, SEAL, SegmentHeader};
use crate::schema::plan::Plan;
use crate::segment::Xxh3;

/// A group holds at most 1 MiB, or one frame of at most 64 MiB, which escapes can make sixfold.
/// What is longer has lost its checkpoints and is read like a segment that never had any.
const MAX_GROUP: usize = 512 << 20;

/// So many bytes are hashed, checked and read before the next ones: they are still in the cache.
const WARM: usize = if cfg!(test) { 300 } else { 64 << 10 };

/// Less is not worth starting a thread for.
const WORTH_THREADS: usize = if cfg!(test) { 1 } else { 512 << 10 };

/// Of a segment that is taken in stretches, rejects leave in lists of this part of a stretch: they
/// wait beside its rows.
const REJECTS_SHARE: u64 = 4;

const BAD_GROUP: &str = "its group does not match its checkpoint";
const BAD_TAIL: &str = "behind the last checkpoint, and the seal does not match";
const AFTER_SEAL: &str = "behind the seal";

/// Parses one segment. Does no I/O.
pub struct SegmentParser {
    plan: Arc<Plan>,
    books: Books,
    header: Option<SegmentHeader>,
    mode: Mode,
    threads: usize,
    /// Bytes that still wait for their line's or group's end, and how far they were looked through.
    carry: Vec<u8>,
    scanned: usize,
    hash: Xxh3,
    bytes: u64,
    chain: Chain,
    /// Where the rows leave before the segment has ended, if they do.
    stretch: Option<Stretch>,
    ripe: Vec<PartitionRows>,
    leaving: Option<Leaving>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Start,
    Plain,
    Groups,
    Sealed,
}

/// What the checkpoints have proved so far.
#[derive(Debug)]
struct Chain {
    last: Option<(u64, String)>,
    /// Everything so far is covered, and each checkpoint follows the one before it.
    whole: bool,
    /// The last group was bad: what follows it cannot name it.
    broken: bool,
}

impl fmt::Debug for SegmentParser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SegmentParser")
            .field("header", &self.header)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl SegmentParser {
    /// A parser for one segment of the plan's feed.
    pub fn new(plan: Arc<Plan>) -> Self {
        Self {
            books: Books::new(&plan),
            plan,
            header: None,
            mode: Mode::Start,
            threads: 1,
            carry: Vec::new(),
            scanned: 0,
            hash: Xxh3::new(),
            bytes: 0,
            chain: Chain {
                last: None,
                whole: true,
                broken: false,
            },
            stretch: None,
            ripe: Vec::new(),
            leaving: None,
        }
    }

    /// Lets the rows go after every so many raw bytes: take them after each push. The finished
    /// segment then has the last partitions only, and tables without rows.
    #[must_use]
    pub fn in_stretches(mut self, bytes: u64) -> Self {
        self.stretch = Some(Stretch::new(bytes.max(1)));
        let rejects = usize::try_from(bytes / REJECTS_SHARE).unwrap_or(usize::MAX);
        self.leaving = Some(Leaving::new(rejects.max(1)));
        self
    }

    /// Lets so many threads parse what comes in large pieces. What comes out is the same.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// The partitions of the stretches that are over, which have not been taken yet.
    pub fn take(&mut self) -> Vec<PartitionRows> {
        std::mem::take(&mut self.ripe)
    }

    /// Lists of rejects, as lines, that are full and have not been taken yet. None of them is in the
    /// finished segment, which has the lines that filled no list.
    pub fn take_rejects(&mut self) -> Vec<Vec<u8>> {
        self.leaving.as_mut().map(Leaving::take).unwrap_or_default()
    }

    /// Takes the segment's next bytes.
    pub fn push(&mut self, mut data: &[u8]) -> Result<(), NewerFormat> {
        // What waits is completed by as little as will do: the rest is read where it stands.
        let mut ends = if self.carry.is_empty() {
            Some(0)
        } else {
            line_end(data, 0, false)
        };
        while !self.carry.is_empty() {
            let end = ends.unwrap_or(data.len());
            let mut carry = std::mem::take(&mut self.carry);
            carry.extend_from_slice(&data[..end]);
            data = &data[end..];
            if ends.is_some() {
                let used = self.consume(&carry, false)?;
                carry.drain(..used);
            }
            self.carry = carry;
            if data.is_empty() {
                return Ok(());
            }
            ends = self.next_end(data);
        }
        let used = self.consume(data, false)?;
        self.carry.extend_from_slice(&data[used..]);
        Ok(())
    }

    /// Where the whole lines end that may complete what waits: behind a line that closes a group,
    /// or behind the last one.
    fn next_end(&self, data: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(end) = line_end(data, at, false) {
            let line = &data[at..end];
            if self.mode != Mode::Groups || line.starts_with(CHECKPOINT) || line.starts_with(SEAL) {
                return Some(end);
            }
            at = end;
        }
        (at > 0).then_some(at)
    }

    /// The segment has ended.
    pub fn finish(mut self) -> Result<ParsedSegment, NewerFormat> {
        let carry = std::mem::take(&mut self.carry);
        self.consume(&carry, true)?;
        let verified = self.mode == Mode::Sealed && self.chain.whole && self.books.agree();
        let mut rest = Vec::new();
        if self.stretch.is_some() {
            self.ripen();
            rest = self.take();
        }
        let mut parsed = ParsedSegment::new(&self.plan, self.books, self.threads);
        parsed.partitions.append(&mut rest);
        parsed.reject_lines = self.leaving.map(Leaving::rest);
        parsed.sealed = self.mode == Mode::Sealed;
        parsed.verified = verified;
        parsed.header = self.header;
        parsed.raw_bytes = self.bytes;
        parsed.raw_xxh3 = self.hash.digest();
        Ok(parsed)
    }

    /// Reads as much as can be read and says how much that was.
    fn consume(&mut self, bytes: &[u8], last: bool) -> Result<usize, NewerFormat> {
        let mut used = 0;
        loop {
            let rest = &bytes[used..];
            let (step, over) = if self.threads > 1 && rest.len() >= WORTH_THREADS {
                self.share(rest, last)?
            } else {
                self.walk(rest, last, None)?
            };
            used += step;
            if !over {
                return Ok(used);
            }
            self.ripen();
        }
    }

    /// Lets several threads read, while this one goes ahead and says what there is.
    fn share(&mut self, bytes: &[u8], last: bool) -> Result<(usize, bool), NewerFormat> {
        let books = std::mem::replace(&mut self.books, Books::new(&self.plan));
        let board = Board::new(books);
        let plan = Arc::clone(&self.plan);
        let walked = std::thread::scope(|scope| {
            for _ in 1..self.threads {
                let work = || board.work(&plan);
                let thread = std::thread::Builder::new().name("parse".into());
                if thread.spawn_scoped(scope, work).is_err() {
                    break; // those that there are do it
                }
            }
            let walked = self.walk(bytes, last, Some(&board));
            board.complete();
            board.work(&plan);
            walked
        });
        self.books = board.merge(&self.plan);
        if let Some(leaving) = &mut self.leaving {
            leaving.add(&mut self.books.rejects);
        }
        walked
    }

    /// Goes through the text to its end or to that of the stretch; says how far and which. Lines are
    /// put on the board, or read at once where there is none.
    fn walk<'b>(
        &mut self,
        bytes: &'b [u8],
        last: bool,
        board: Option<&Board<'b>>,
    ) -> Result<(usize, bool), NewerFormat> {
        let mut used = 0;
        loop {
            let rest = &bytes[used..];
            if rest.is_empty() {
                return Ok((used, false));
            }
            let step = match self.mode {
                Mode::Start => match line_end(rest, 0, last) {
                    Some(end) => {
                        self.start(&rest[..end])?;
                        continue;
                    }
                    None => 0,
                },
                Mode::Plain => self.plain(rest, last, None, board),
                Mode::Sealed => self.plain(rest, last, Some(AFTER_SEAL), board),
                Mode::Groups => self.group(rest, last, board),
            };
            used += step;
            if step == 0 {
                return Ok((used, false));
            }
            if let Some(leaving) = &mut self.leaving {
                leaving.add(&mut self.books.rejects);
            }
            if self.stretch.as_mut().is_some_and(|s| s.is_over(self.bytes)) {
                return Ok((used, true));
            }
        }
    }

    fn ripen(&mut self) {
        let rows = finish_rows(&self.plan, &mut self.books, self.threads, |_, _| {});
        self.ripe.extend(rows);
    }

    /// Looks at the first line without taking it.
    fn start(&mut self, line: &[u8]) -> Result<(), NewerFormat> {
        self.header = structure::header(line.trim_ascii_end())?;
        self.mode = if self.header.is_some() {
            Mode::Groups
        } else {
            Mode::Plain
        };
        Ok(())
    }

    /// Takes all whole lines.
    fn plain<'b>(
        &mut self,
        bytes: &'b [u8],
        last: bool,
        distrust: Option<&'static str>,
        board: Option<&Board<'b>>,
    ) -> usize {
        let end = if last {
            bytes.len()
        } else {
            memchr::memrchr(b'\n', bytes).map_or(0, |at| at + 1)
        };
        let end = match &self.stretch {
            Some(stretch) => stretch.share(self.bytes, &bytes[..end]),
            None => end,
        };
        self.take_lines(bytes, end, distrust, board);
        self.chain.whole = false;
        end
    }

    /// Takes one group with its checkpoint, or the tail with its seal.
    fn group<'b>(&mut self, bytes: &'b [u8], last: bool, board: Option<&Board<'b>>) -> usize {
        let mut at = self.scanned;
        while let Some(end) = line_end(bytes, at, last) {
            let line = &bytes[at..end];
            if line.starts_with(CHECKPOINT) {
                self.checkpoint(bytes, at, line, board);
            } else if line.starts_with(SEAL) {
                self.seal(bytes, at, line, board);
            } else {
                at = end;
                if at > MAX_GROUP {
                    break; // here, however much more is at hand
                }
                continue;
            }
            self.scanned = 0;
            return end;
        }
        if last || at > MAX_GROUP {
            self.scanned = 0;
            self.chain.whole = false;
            if !last {
                self.mode = Mode::Plain;
            }
            self.take_lines(bytes, at, None, board);
            return at;
        }
        self.scanned = at;
        0
    }

    fn checkpoint<'b>(
        &mut self,
        bytes: &'b [u8],
        at: usize,
        line: &'b [u8],
        board: Option<&Board<'b>>,
    ) {
        let group = &bytes[..at];
        let good = self.proves(group, line);
        let distrust = (!good).then_some(BAD_GROUP);
        if !good {
            self.chain.whole = false;
        }
        self.chain.broken = !good;
        let checked = structure::checkpoint(line).filter(|_| good);
        self.take_lines(bytes, at, distrust, board);
        let frames = checked.as_ref().map(|(checkpoint, _)| checkpoint.frames);
        self.pass(line, frames, board);
        if let Some((checkpoint, _)) = checked {
            self.chain.last = Some((checkpoint.n, checkpoint.crc32c));
        }
    }

    /// Whether the checkpoint's crc covers the group, and it is not an old one come again.
    fn proves(&mut self, group: &[u8], line: &[u8]) -> bool {
        let Some((checkpoint, covered)) = structure::checkpoint(line) else {
            return false;
        };
        let uid = self.header.as_ref().map_or("", |header| &header.uid);
        let crc = crc32c::crc32c(uid.as_bytes());
        let crc = crc32c::crc32c_append(crc32c::crc32c_append(crc, group), covered);
        if checkpoint.crc32c != format!("{crc:08x}") {
            return false;
        }
        let place = self.bytes + group.len() as u64;
        let (n, prev) = match &self.chain.last {
            // Nothing can follow the greatest number: whatever claims to is no proof.
            Some((u64::MAX, _)) => return false,
            Some((n, crc)) => (n + 1, crc.as_str()),
            None => (0, "00000000"),
        };
        if checkpoint.n < n {
            return false;
        }
        // After a bad group only the crc speaks; before one, a step that does not fit means that
        // something between has gone, which is no fault of this group.
        let follows = checkpoint.n == n && checkpoint.prev == prev && checkpoint.bytes == place;
        self.chain.whole &= follows || self.chain.broken;
        true
    }

    fn seal<'b>(&mut self, bytes: &'b [u8], at: usize, line: &'b [u8], board: Option<&Board<'b>>) {
        let tail = &bytes[..at];
        let seal = structure::seal(line);
        let mut hash = self.hash.clone();
        hash.update(tail);
        let good = seal.as_ref().is_some_and(|seal| {
            seal.bytes == self.bytes + tail.len() as u64
                && seal.xxh3 == format!("{:016x}", hash.digest())
        });
        // Without checkpoints the lines never had another proof: they are read, unverified.
        let distrust = (!good && self.chain.last.is_some()).then_some(BAD_TAIL);
        self.take_lines(bytes, at, distrust, board);
        self.pass(line, seal.map(|seal| seal.frames), board);
        self.chain.whole &= good;
        self.mode = Mode::Sealed;
    }

    /// Takes a line that holds no record, but may say how many frames there were.
    fn pass<'b>(&mut self, line: &'b [u8], frames: Option<u64>, board: Option<&Board<'b>>) {
        self.hash.update(line);
        self.bytes += line.len() as u64;
        match board {
            Some(board) => board.put(Block::Passed(frames)),
            None => self.books.pass(frames),
        }
    }

    /// Takes the whole lines up to a place; the segment's last may lack its newline.
    fn take_lines<'b>(
        &mut self,
        bytes: &'b [u8],
        end: usize,
        distrust: Option<&'static str>,
        board: Option<&Board<'b>>,
    ) {
        let mut at = 0;
        while at < end {
            let next = match bytes.get(at + WARM..end) {
                Some(behind) => memchr::memchr(b'\n', behind).map_or(end, |n| at + WARM + n + 1),
                None => end,
            };
            self.hash.update(&bytes[at..next]);
            let lines = Lines {
                text: &bytes[at..],
                length: next - at,
                offset: self.bytes,
                distrust,
                headed: self.header.is_some(),
            };
            self.bytes += lines.length as u64;
            match board {
                Some(board) => board.put(Block::Lines(lines)),
                None => self.books.take(&self.plan, &lines),
            }
            at = next;
        }
    }
}

/// The end of the line that begins at `at`, newline included.
#[inline]
fn line_end(bytes: &[u8], at: usize, last: bool) -> Option<usize> {
    match memchr::memchr(b'\n', &bytes[at..]) {
        Some(length) => Some(at + length + 1),
        None => (last && at < bytes.len()).then_some(bytes.len()),
    }
}
