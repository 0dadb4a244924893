//! Reading, summing, and finding where the groups end.

use std::io;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::crew::{Block, Crew, Proof, Told};
use crate::segment::{CHECKPOINT_START, Checkpoint, GroupSum, Header, Opening};
use crate::vfs::VfsFile;

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

/// Walks up to the last checkpoint, or up to the first line that claims to be one and is not what
/// a writer would have written there. `None`: not even the header is proved.
pub(super) fn walk(
    file: &dyn VfsFile,
    header: &Header,
    crew: &mut Crew,
) -> io::Result<Option<Walked>> {
    let mut walk = Walk {
        header,
        walked: None,
        header_len: None,
        sum: GroupSum::new(&header.uid),
    };
    let mut lines = Lines {
        file,
        offset: 0,
        broken: Vec::new(),
    };
    while let Some(block) = lines.next_block(crew)? {
        let mut proofs = Vec::new();
        let goes_on = walk.through(block.lines(), lines.begin(&block), &mut proofs);
        crew.give(Told { block, proofs });
        if !goes_on {
            break;
        }
    }
    Ok(walk.walked)
}

struct Walk<'a> {
    header: &'a Header,
    walked: Option<Walked>,
    /// The length of line 1, once it was seen and says what it should.
    header_len: Option<u64>,
    /// Of the group that is not closed yet.
    sum: GroupSum,
}

impl Walk<'_> {
    /// Goes through whole lines, which begin at an offset; says whether to go on.
    fn through(&mut self, lines: &[u8], offset: u64, proofs: &mut Vec<Proof>) -> bool {
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
}

/// Whole lines, a block at a time.
struct Lines<'a> {
    file: &'a dyn VfsFile,
    /// How far the file has been read.
    offset: u64,
    /// The beginning of a line that goes on in the next block.
    broken: Vec<u8>,
}

impl Lines<'_> {
    /// Where a block that was just read begins.
    fn begin(&self, block: &Block) -> u64 {
        self.offset - self.broken.len() as u64 - block.lines().len() as u64
    }

    /// The next whole lines; `None` where there are no more.
    fn next_block(&mut self, crew: &mut Crew) -> io::Result<Option<Block>> {
        let mut block = crew.block();
        let mut have = self.broken.len();
        if block.bytes.len() < have {
            block.bytes.resize(have, 0);
        }
        block.bytes[..have].copy_from_slice(&self.broken);
        loop {
            if have == block.bytes.len() {
                // A line that is longer than a block.
                block.bytes.resize(2 * have, 0);
            }
            let read = self.file.read_at(self.offset, &mut block.bytes[have..])?;
            if read == 0 {
                return Ok(None);
            }
            self.offset += read as u64;
            let lines = memchr::memrchr(b'\n', &block.bytes[have..have + read]);
            let read_to = have + read;
            if let Some(last) = lines {
                block.len = have + last + 1;
                self.broken.clear();
                self.broken
                    .extend_from_slice(&block.bytes[block.len..read_to]);
                return Ok(Some(block));
            }
            have = read_to;
        }
    }
}
