//! A disk in memory that forgets what was not synced, and fails where it is told to.
//!
//! Harsher than real ones: every sector and every directory entry that was not synced survives a
//! crash or not on its own; where a file had grown and its new sectors were not written, they show
//! zeros or what another file holds there; a failed sync marks pages clean that never reached the
//! disk, so that reads go on to show them and a second sync says "fine".

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Vfs, VfsFile};

const SECTOR: usize = 64;

/// What goes wrong at one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// EIO. A write leaves half of its bytes, a sync loses what it should have kept.
    Error,
    /// A write that takes half of what it is given.
    Short,
}

#[derive(Clone, Debug)]
pub(crate) struct FaultyVfs(Arc<Mutex<World>>);

#[derive(Clone, Debug, Default)]
struct World {
    inodes: Vec<Inode>,
    dirs: BTreeMap<PathBuf, Dir>,
    operations: u64,
    crash_at: Option<u64>,
    faults: BTreeMap<u64, Fault>,
    capacity: Option<usize>,
    handles: u64,
    omitted: Omit,
}

/// Promises left out on purpose, to show that the suite sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Omit {
    #[default]
    Nothing,
    SyncData,
    SyncDir,
}

#[derive(Clone, Debug, Default)]
struct Inode {
    content: Vec<u8>,
    durable: Vec<u8>,
    dirty: BTreeSet<usize>,
    locked_by: Option<u64>,
}

#[derive(Clone, Debug, Default)]
struct Dir {
    now: BTreeMap<String, usize>,
    durable: BTreeMap<String, usize>,
    is_durable: bool,
}

/// Chance from a seed (splitmix64), so that a failing case can be told by its numbers.
#[derive(Clone, Debug)]
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[usize::try_from(self.next() % from.len() as u64).expect("an index")]
    }
}

impl FaultyVfs {
    /// An empty disk with a root directory.
    pub(crate) fn new() -> Self {
        let mut world = World::default();
        world.dirs.insert(
            "/".into(),
            Dir {
                is_durable: true,
                ..Dir::default()
            },
        );
        Self(Arc::new(Mutex::new(world)))
    }

    pub(crate) fn fail_at(&self, operation: u64, fault: Fault) {
        self.world().faults.insert(operation, fault);
    }

    /// Nothing goes wrong any more.
    pub(crate) fn heal(&self) {
        self.world().faults.clear();
    }

    /// After so many operations from now on, nothing works any more.
    pub(crate) fn crash_after(&self, operations: u64) {
        let mut world = self.world();
        world.crash_at = Some(world.operations + operations);
    }

    pub(crate) fn omit(&self, what: Omit) {
        self.world().omitted = what;
    }

    pub(crate) fn set_capacity(&self, bytes: Option<usize>) {
        self.world().capacity = bytes;
    }

    /// The disk is full once so many bytes more are on it.
    pub(crate) fn leave_room_for(&self, bytes: usize) {
        let mut world = self.world();
        world.capacity = Some(world.used() + bytes);
    }

    pub(crate) fn operations(&self) -> u64 {
        self.world().operations
    }

    pub(crate) fn has_crashed(&self) -> bool {
        let world = self.world();
        world.crash_at.is_some_and(|at| world.operations > at)
    }

    /// What the disk holds when the power comes back.
    pub(crate) fn after_power_cut(&self, chance: &mut Chance) -> Self {
        let mut world = self.world().clone();
        let stale: Vec<Vec<u8>> = world.inodes.iter().map(|i| i.durable.clone()).collect();
        for inode in &mut world.inodes {
            inode.cut_power(chance, &stale);
        }
        let lost: Vec<PathBuf> = world
            .dirs
            .iter()
            .filter(|(_, dir)| !dir.is_durable && chance.coin())
            .map(|(path, _)| path.clone())
            .collect();
        world
            .dirs
            .retain(|path, _| !lost.iter().any(|lost| path.starts_with(lost)));
        for dir in world.dirs.values_mut() {
            dir.cut_power(chance);
        }
        let World {
            inodes,
            dirs,
            omitted,
            ..
        } = world;
        Self(Arc::new(Mutex::new(World {
            inodes,
            dirs,
            omitted,
            ..World::default()
        })))
    }

    /// What the next process finds after this one was killed: the page cache as it was.
    pub(crate) fn after_kill(&self) -> Self {
        let mut world = self.world().clone();
        for inode in &mut world.inodes {
            inode.locked_by = None;
        }
        let World {
            inodes,
            dirs,
            capacity,
            omitted,
            ..
        } = world;
        Self(Arc::new(Mutex::new(World {
            inodes,
            dirs,
            capacity,
            omitted,
            ..World::default()
        })))
    }

    /// A file's bytes, as a reader sees them.
    pub(crate) fn read(&self, path: &Path) -> Option<Vec<u8>> {
        let world = self.world();
        let inode = world.lookup(path).ok()?;
        Some(world.inodes[inode].content.clone())
    }

    /// Puts a file there, durable.
    pub(crate) fn put(&self, path: &Path, bytes: &[u8]) {
        let mut world = self.world();
        let (content, durable) = (bytes.to_vec(), bytes.to_vec());
        world.inodes.push(Inode {
            content,
            durable,
            ..Inode::default()
        });
        let inode = world.inodes.len() - 1;
        let (dir, name) = world.dir(path).expect("the directory exists");
        dir.now.insert(name.clone(), inode);
        dir.durable.insert(name, inode);
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inode {
    fn touch(&mut self, from: usize, to: usize) {
        self.dirty
            .extend(from / SECTOR..to.div_ceil(SECTOR).max(from / SECTOR + 1));
    }

    fn sync(&mut self) {
        self.durable.resize(self.content.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            self.keep(sector);
        }
    }

    fn keep(&mut self, sector: usize) {
        let end = ((sector + 1) * SECTOR)
            .min(self.content.len())
            .min(self.durable.len());
        if let Some(at) = (sector * SECTOR < end).then_some(sector * SECTOR..end) {
            self.durable[at.clone()].copy_from_slice(&self.content[at]);
        }
    }

    fn cut_power(&mut self, chance: &mut Chance, stale: &[Vec<u8>]) {
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
    fn cut_power(&mut self, chance: &mut Chance) {
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
    fn step(&mut self) -> io::Result<Option<Fault>> {
        self.operations += 1;
        if self.crash_at.is_some_and(|at| self.operations > at) {
            return Err(io::Error::other("the machine has crashed"));
        }
        Ok(self.faults.remove(&self.operations))
    }

    /// For operations that work or do not.
    fn simple_step(&mut self) -> io::Result<()> {
        match self.step()? {
            Some(Fault::Error) => Err(eio()),
            _ => Ok(()),
        }
    }

    fn dir(&mut self, path: &Path) -> io::Result<(&mut Dir, String)> {
        let (parent, name) = split(path);
        let dir = self.dirs.get_mut(&parent).ok_or(io::ErrorKind::NotFound)?;
        Ok((dir, name))
    }

    fn lookup(&self, path: &Path) -> io::Result<usize> {
        let (parent, name) = split(path);
        let dir = self.dirs.get(&parent).ok_or(io::ErrorKind::NotFound)?;
        dir.now
            .get(&name)
            .copied()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn used(&self) -> usize {
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

fn split(path: &Path) -> (PathBuf, String) {
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    (path.parent().unwrap_or(Path::new("/")).to_owned(), name)
}

fn eio() -> io::Error {
    io::Error::from_raw_os_error(5)
}

fn exists_already() -> io::Error {
    io::ErrorKind::AlreadyExists.into()
}

#[derive(Debug)]
struct FaultyFile {
    vfs: FaultyVfs,
    inode: usize,
    handle: u64,
}

impl FaultyVfs {
    fn handle(&self, world: &mut World, inode: usize) -> Box<dyn VfsFile> {
        world.handles += 1;
        Box::new(FaultyFile {
            vfs: self.clone(),
            inode,
            handle: world.handles,
        })
    }
}

impl Vfs for FaultyVfs {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        let mut world = self.world();
        world.simple_step()?;
        if world.lookup(path).is_ok() {
            return Err(exists_already());
        }
        let inode = world.inodes.len();
        let (dir, name) = world.dir(path)?;
        dir.now.insert(name, inode);
        world.inodes.push(Inode::default());
        Ok(self.handle(&mut world, inode))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        let mut world = self.world();
        world.simple_step()?;
        let inode = world.lookup(path)?;
        Ok(self.handle(&mut world, inode))
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.simple_step()?;
        let inode = world.lookup(from)?;
        if world.lookup(to).is_ok() {
            return Err(exists_already());
        }
        let (dir, name) = world.dir(to)?;
        dir.now.insert(name, inode);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.simple_step()?;
        let inode = world.lookup(from)?;
        let (dir, name) = world.dir(from)?;
        dir.now.remove(&name);
        let (dir, name) = world.dir(to)?;
        dir.now.insert(name, inode);
        Ok(())
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        if self.world().lookup(to).is_ok() {
            return Err(exists_already());
        }
        self.rename(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.simple_step()?;
        world.lookup(path)?;
        let (dir, name) = world.dir(path)?;
        dir.now.remove(&name);
        Ok(())
    }

    fn mkdir(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.simple_step()?;
        world.dirs.entry(path.to_owned()).or_default();
        Ok(())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let world = self.world();
        Ok(world.dirs.contains_key(path) || world.lookup(path).is_ok())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut world = self.world();
        world.simple_step()?;
        let dir = world.dirs.get(dir).ok_or(io::ErrorKind::NotFound)?;
        Ok(dir.now.keys().cloned().collect())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.simple_step()?;
        if world.omitted == Omit::SyncDir {
            return Ok(());
        }
        let dir = world.dirs.get_mut(path).ok_or(io::ErrorKind::NotFound)?;
        dir.durable.clone_from(&dir.now);
        for (child, dir) in &mut world.dirs {
            dir.is_durable |= child.parent() == Some(path);
        }
        Ok(())
    }

    fn free_bytes(&self, _dir: &Path) -> io::Result<u64> {
        let world = self.world();
        let free = world
            .capacity
            .map_or(usize::MAX, |all| all.saturating_sub(world.used()));
        Ok(free as u64)
    }
}

impl VfsFile for FaultyFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut world = self.vfs.world();
        let fault = world.step()?;
        let room = world
            .capacity
            .map_or(usize::MAX, |all| all.saturating_sub(world.used()));
        let wanted = if fault.is_some() {
            bytes.len() / 2
        } else {
            bytes.len()
        };
        let taken = wanted.min(room);
        let inode = &mut world.inodes[self.inode];
        let at = inode.content.len();
        inode.content.extend_from_slice(&bytes[..taken]);
        if taken > 0 {
            inode.touch(at, at + taken);
        }
        match fault {
            Some(Fault::Error) => Err(eio()),
            _ if taken == 0 && !bytes.is_empty() => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(taken),
        }
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut world = self.vfs.world();
        world.simple_step()?;
        let content = &world.inodes[self.inode].content;
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let Some(rest) = content.get(offset..) else {
            return Ok(0);
        };
        let len = rest.len().min(into.len());
        into[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        let mut world = self.vfs.world();
        world.simple_step()?;
        let inode = &mut world.inodes[self.inode];
        let (old, len) = (
            inode.content.len(),
            usize::try_from(len).unwrap_or(usize::MAX),
        );
        inode.content.resize(len, 0);
        inode.touch(len.min(old), len.max(old));
        Ok(())
    }

    fn sync_data(&mut self) -> io::Result<()> {
        let mut world = self.vfs.world();
        let fault = world.step()?;
        let omitted = world.omitted == Omit::SyncData;
        let inode = &mut world.inodes[self.inode];
        if fault == Some(Fault::Error) {
            inode.dirty.clear();
            return Err(eio());
        }
        if !omitted {
            inode.sync();
        }
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.vfs.world().inodes[self.inode].content.len() as u64)
    }

    fn try_lock(&self) -> io::Result<bool> {
        let mut world = self.vfs.world();
        world.simple_step()?;
        let inode = &mut world.inodes[self.inode];
        Ok(*inode.locked_by.get_or_insert(self.handle) == self.handle)
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        Ok(self
            .vfs
            .world()
            .lookup(path)
            .is_ok_and(|inode| inode == self.inode))
    }
}

impl Drop for FaultyFile {
    fn drop(&mut self) {
        let mut world = self.vfs.world();
        let inode = &mut world.inodes[self.inode];
        if inode.locked_by == Some(self.handle) {
            inode.locked_by = None;
        }
    }
}
