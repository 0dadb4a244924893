//! A disk in memory that forgets what was not synced, and fails where it is told to.
//!
//! Harsher than real ones: every sector and every directory entry that was not synced survives a
//! crash or not on its own; where a file had grown and its new sectors were not written, they show
//! zeros or what another file holds there; a failed sync marks pages clean that never reached the
//! disk, so that reads go on to show them and a second sync says "fine".

mod file;
mod world;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use world::{Dir, Inode, World};

/// What goes wrong at one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// EIO. A write leaves half of its bytes, a sync loses what it should have kept.
    Error,
    /// A write that takes half of what it is given.
    Short,
    /// ENOSPC, though there may be room the next time. A sync loses what it should have kept.
    NoSpace,
    /// EDQUOT, in the same way.
    Quota,
}

#[derive(Clone, Debug)]
pub(crate) struct FaultyVfs(Arc<Mutex<World>>);

/// Promises left out on purpose, to show that the suite sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Omit {
    #[default]
    Nothing,
    SyncData,
    SyncDir,
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

    /// A disk that takes any bytes, and says of longer files that it is full when they are synced.
    pub(crate) fn set_longest_synced(&self, bytes: Option<usize>) {
        self.world().longest_synced = bytes;
    }

    /// This directory takes no names by link or rename, as if nobody might write to it.
    pub(crate) fn refuse_names_in(&self, dir: Option<&Path>) {
        self.world().closed_dir = dir.map(Path::to_owned);
    }

    pub(crate) fn operations(&self) -> u64 {
        self.world().operations
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

    /// Flips a bit of each byte of a file from an offset on, as if the disk gave back something
    /// else than it took.
    pub(crate) fn rot(&self, path: &Path, from: usize) {
        let mut world = self.world();
        let inode = world.lookup(path).expect("the file exists");
        let content = world.inodes[inode].content.iter_mut();
        content.skip(from).for_each(|byte| *byte ^= 1);
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
