//! What lies on the disk and what only seems to.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::{Chance, Fault, Omit};

const SECTOR: usize = 64;

#[derive(Clone, Debug, Default)]
pub(super) struct World {
    pub(super) inodes: Vec<Inode>,
    pub(super) dirs: BTreeMap<PathBuf, Dir>,
    pub(super) operations: u64,
    pub(super) crash_at: Option<u64>,
    pub(super) faults: BTreeMap<u64, Fault>,
    pub(super) capacity: Option<usize>,
    pub(super) longest_synced: Option<usize>,
    pub(super) closed_dir: Option<PathBuf>,
    pub(super) handles: u64,
    pub(super) omitted: Omit,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    pub(super) content: Vec<u8>,
    pub(super) durable: Vec<u8>,
    pub(super) dirty: BTreeSet<usize>,
    pub(super) locked_by: Option<u64>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Dir {
    pub(super) now: BTreeMap<String, usize>,
    pub(super) durable: BTreeMap<String, usize>,
    pub(super) is_durable: bool,
}

impl Inode {
    pub(super) fn touch(&mut self, from: usize, to: usize) {
        self.dirty
            .extend(from / SECTOR..to.div_ceil(SECTOR).max(from / SECTOR + 1));
    }

    pub(super) fn sync(&mut self) {
        self.durable.resize(self.content.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            self.keep(sector);
        }
    }

    pub(super) fn keep(&mut self, sector: usize) {
        let end = ((sector + 1) * SECTOR)
            .min(self.content.len())
            .min(self.durable.len());
        if let Some(at) = (sector * SECTOR < end).then_some(sector * SECTOR..end) {
            self.durable[at.clone()].copy_from_slice(&self.content[at]);
        }
    }

    pub(super) fn cut_power(&mut self, chance: &mut Chance, stale: &[Vec<u8>]) {
        if !self.dirty.is_empty() && chance.coin() {
            let old = self.durable.len();
            self.durable.resize(self.content.len(), 0);
            // The sectors of a removed file, given to this one, at the same place in both.
            let donor = chance.pick(stale);
            for (byte, stale) in self.durable.iter_mut().zip(donor).skip(old) {
                *byte = *stale;
            }
        }
        // None of them, all of them, each by itself.
        let share = chance.next() % 3;
        for sector in std::mem::take(&mut self.dirty) {
            if share == 1 || (share == 2 && chance.coin()) {
                self.keep(sector);
            }
        }
        self.content.clone_from(&self.durable);
        self.locked_by = None;
    }
}

impl Dir {
    pub(super) fn cut_power(&mut self, chance: &mut Chance) {
        let names: BTreeSet<String> = self
            .now
            .keys()
            .chain(self.durable.keys())
            .cloned()
            .collect();
        for name in names {
            if self.now.get(&name) != self.durable.get(&name) && chance.coin() {
                match self.now.get(&name) {
                    Some(&inode) => self.durable.insert(name, inode),
                    None => self.durable.remove(&name),
                };
            }
        }
        self.now.clone_from(&self.durable);
        self.is_durable = true;
    }
}

impl World {
    /// Counts an operation; what goes wrong at it, if something does.
    pub(super) fn step(&mut self) -> io::Result<Option<Fault>> {
        self.operations += 1;
        if self.crash_at.is_some_and(|at| self.operations > at) {
            return Err(io::Error::other("the machine has crashed"));
        }
        Ok(self.faults.remove(&self.operations))
    }

    /// For operations that work or do not.
    pub(super) fn simple_step(&mut self) -> io::Result<()> {
        match self.step()? {
            Some(fault) => fault.error().map_or(Ok(()), Err),
            None => Ok(()),
        }
    }

    pub(super) fn may_name(&self, path: &Path) -> io::Result<()> {
        match &self.closed_dir {
            Some(closed) if path.parent() == Some(closed) => Err(eio()),
            _ => Ok(()),
        }
    }

    pub(super) fn dir(&mut self, path: &Path) -> io::Result<(&mut Dir, String)> {
        let (parent, name) = split(path);
        let dir = self.dirs.get_mut(&parent).ok_or(io::ErrorKind::NotFound)?;
        Ok((dir, name))
    }

    pub(super) fn lookup(&self, path: &Path) -> io::Result<usize> {
        let (parent, name) = split(path);
        let dir = self.dirs.get(&parent).ok_or(io::ErrorKind::NotFound)?;
        dir.now
            .get(&name)
            .copied()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn used(&self) -> usize {
        let linked: BTreeSet<usize> = self
            .dirs
            .values()
            .flat_map(|dir| dir.now.values().copied())
            .collect();
        linked
            .iter()
            .map(|&inode| self.inodes[inode].content.len())
            .sum()
    }
}

pub(super) fn split(path: &Path) -> (PathBuf, String) {
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    (path.parent().unwrap_or(Path::new("/")).to_owned(), name)
}

impl Fault {
    /// What the caller is told, if it is told anything.
    pub(super) fn error(self) -> Option<io::Error> {
        let errno = match self {
            Self::Error => Errno::IO,
            Self::NoSpace => Errno::NOSPC,
            Self::Quota => Errno::DQUOT,
            Self::Short => return None,
        };
        Some(errno.into())
    }
}

pub(super) fn eio() -> io::Error {
    Errno::IO.into()
}

pub(super) fn exists_already() -> io::Error {
    io::ErrorKind::AlreadyExists.into()
}
