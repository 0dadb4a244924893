//! Reading and hashing: a file as blocks of whole lines.

use std::io;

use crate::segment::Xxh3;
use crate::vfs::VfsFile;

/// How much is read at once: what was just read is still in the core's cache when it is hashed.
const READ: usize = 512 << 10;

/// Whole lines.
#[derive(Debug, Default)]
pub(super) struct Block {
    bytes: Vec<u8>,
    len: usize,
    /// Where they begin in the file.
    pub(super) offset: u64,
    /// Over all of the file before them. What is proved may end within them: to have its hash,
    /// one goes on from here.
    pub(super) hash: Xxh3,
}

impl Block {
    pub(super) fn lines(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// A file's lines, a block at a time.
pub(super) struct Lines<'a> {
    file: &'a dyn VfsFile,
    /// How far the file has been read.
    offset: u64,
    /// The beginning of a line that goes on in the next block.
    broken: Vec<u8>,
    /// Over the blocks so far.
    hash: Xxh3,
}

impl<'a> Lines<'a> {
    pub(super) fn new(file: &'a dyn VfsFile) -> Self {
        Self {
            file,
            offset: 0,
            broken: Vec::new(),
            hash: Xxh3::new(),
        }
    }

    /// The next whole lines, in the memory of a block that is done with; `None` where there are no
    /// more.
    pub(super) fn next_block(&mut self, mut block: Block) -> io::Result<Option<Block>> {
        let bytes = &mut block.bytes;
        let mut have = self.broken.len();
        block.offset = self.offset - have as u64;
        bytes.resize(bytes.len().max(have).max(READ), 0);
        bytes[..have].copy_from_slice(&self.broken);
        loop {
            if have == bytes.len() {
                // A line that is longer than a block.
                bytes.resize(2 * have, 0);
            }
            let read = self.file.read_at(self.offset, &mut bytes[have..])?;
            if read == 0 {
                return Ok(None);
            }
            self.offset += read as u64;
            let read_to = have + read;
            if let Some(last) = memchr::memrchr(b'\n', &bytes[have..read_to]) {
                block.len = have + last + 1;
                self.broken.clear();
                self.broken.extend_from_slice(&bytes[block.len..read_to]);
                block.hash.clone_from(&self.hash);
                self.hash.update(block.lines());
                return Ok(Some(block));
            }
            have = read_to;
        }
    }
}
