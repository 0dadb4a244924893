//! One segment while it is written: header, groups, checkpoints, and the state that proves them.

use std::io;
use std::path::{Path, PathBuf};

use crate::seal::SealedSegment;
use crate::segment::{
    Checkpoint, Durability, Header, SealLine, SegmentError, Tally, Xxh3, is_no_space,
};
use crate::vfs::{Vfs, VfsFile, append_all};

/// A segment that takes groups. What it counts is durable (or written, where not every group is
/// synced); its file never ends but at a checkpoint, unless it is poisoned.
#[derive(Debug)]
pub(crate) struct ActiveSegment {
    file: Box<dyn VfsFile>,
    path: PathBuf,
    header: Header,
    len: u64,
    next_n: u64,
    chain: u32,
    tally: Tally,
    hash: Xxh3,
}

/// Why a group or a seal did not become durable.
#[derive(Debug)]
pub(crate) enum WriteFault {
    /// The disk is full. The file has been cut back to what it was: try again later.
    NoSpace,
    /// The file cannot be trusted any more beyond its last checkpoint. Never sync it again.
    Poisoned(SegmentError),
}

/// A segment whose seal did not become durable.
#[derive(Debug)]
pub(crate) struct Unsealed {
    /// As it was.
    pub(crate) segment: ActiveSegment,
    /// Why.
    pub(crate) fault: WriteFault,
}

impl ActiveSegment {
    /// Creates the file, locks it and makes its header durable. `line` is the header's line.
    ///
    /// The file begins under a hidden name, so that whatever lies under a segment's name begins
    /// with a whole header and is locked while its writer lives.
    pub(crate) fn create(
        vfs: &dyn Vfs,
        hidden: &Path,
        header: Header,
        line: &[u8],
        mono_ns: u64,
    ) -> Result<Self, SegmentError> {
        match vfs.unlink(hidden) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(SegmentError::io("remove", hidden)(error));
            }
            _ => {}
        }
        let file = vfs
            .create_new(hidden)
            .map_err(SegmentError::io("create", hidden))?;
        if !file.try_lock().map_err(SegmentError::io("lock", hidden))? {
            return Err(SegmentError::io("lock", hidden)(
                io::ErrorKind::WouldBlock.into(),
            ));
        }
        let mut segment = Self {
            file,
            path: hidden.to_owned(),
            header,
            len: 0,
            next_n: 0,
            chain: 0,
            tally: Tally::default(),
            hash: Xxh3::new(),
        };
        segment
            .commit(&mut line.to_vec(), &Tally::default(), mono_ns, true)
            .map_err(|fault| match fault {
                WriteFault::NoSpace => {
                    SegmentError::io("write", hidden)(io::ErrorKind::StorageFull.into())
                }
                WriteFault::Poisoned(error) => error,
            })?;
        Ok(segment)
    }

    /// Gives the file its name and makes that durable. Replaces only what recovery mends.
    pub(crate) fn take_name(
        &mut self,
        vfs: &dyn Vfs,
        path: &Path,
        replace: bool,
    ) -> Result<(), SegmentError> {
        let rename = if replace {
            Vfs::rename
        } else {
            Vfs::rename_new
        };
        rename(vfs, &self.path, path).map_err(SegmentError::io("create", path))?;
        path.clone_into(&mut self.path);
        let dir = path.parent().unwrap_or(Path::new("."));
        vfs.sync_dir(dir)
            .map_err(SegmentError::io("sync directory", dir))
    }

    /// Writes a group and its checkpoint with one write, and makes both durable with one sync.
    ///
    /// `group` is as before when this returns, whatever happened.
    pub(crate) fn commit(
        &mut self,
        group: &mut Vec<u8>,
        tally: &Tally,
        mono_ns: u64,
        sync: bool,
    ) -> Result<(), WriteFault> {
        let mut total = self.tally;
        total.add(tally);
        let checkpoint = Checkpoint {
            n: self.next_n,
            frames: total.frames,
            bytes: self.len + group.len() as u64,
            mono_ns,
            prev: self.chain,
            crc32c: 0,
        };
        let lines = group.len();
        let sum = checkpoint.push(group, 0, &self.header.uid);
        let written = self.write(group, sync);
        if written.is_ok() {
            self.hash.update(group);
            self.len += group.len() as u64;
            self.next_n += 1;
            self.chain = sum;
            self.tally = total;
        }
        group.truncate(lines);
        written
    }

    /// Closes the segment. On a fault it comes back, to be tried again or given up.
    pub(crate) fn seal(mut self, durability: Durability) -> Result<SealedSegment, Box<Unsealed>> {
        let seal = self.would_be_seal(durability);
        let mut line = Vec::with_capacity(256);
        seal.push(&mut line);
        match self.write(&line, true) {
            Ok(()) => Ok(SealedSegment {
                file: self.file,
                path: self.path,
                header: self.header,
                seal,
            }),
            Err(fault) => Err(Box::new(Unsealed {
                segment: self,
                fault,
            })),
        }
    }

    /// What the seal would say now.
    pub(crate) fn would_be_seal(&self, durability: Durability) -> SealLine {
        SealLine::new(&self.tally, self.len, self.hash.digest(), durability)
    }

    fn write(&mut self, bytes: &[u8], sync: bool) -> Result<(), WriteFault> {
        let path = &self.path;
        let poisoned =
            |action| move |error| WriteFault::Poisoned(SegmentError::io(action, path)(error));
        match append_all(self.file.as_mut(), bytes) {
            Ok(()) => {}
            Err(error) if is_no_space(&error) => {
                self.file.truncate(self.len).map_err(poisoned("cut back"))?;
                return Err(WriteFault::NoSpace);
            }
            Err(error) => return Err(poisoned("write")(error)),
        }
        if sync {
            self.file.sync_data().map_err(poisoned("sync"))?;
        }
        Ok(())
    }

    /// Where the file lies.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Line 1.
    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// The open file, which holds the lock.
    pub(crate) fn file(&self) -> &dyn VfsFile {
        self.file.as_ref()
    }

    /// Its length up to the last checkpoint.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The number of the last checkpoint.
    pub(crate) fn last_checkpoint(&self) -> u64 {
        self.next_n.saturating_sub(1)
    }

    /// What it holds.
    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }
}
