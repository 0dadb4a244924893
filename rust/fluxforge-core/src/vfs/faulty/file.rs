//! The disk's operations, each of which may be the last.

use std::io;
use std::path::Path;

use super::world::{Inode, World, exists_already};
use super::{Fault, FaultyVfs, Omit};
use crate::vfs::{Vfs, VfsFile};

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
        world.may_name(to)?;
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
        world.may_name(to)?;
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
        let end = self.vfs.world().inodes[self.inode].content.len();
        self.write_at(end as u64, bytes)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
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
        let inode = &mut world.inodes[self.inode];
        let at = usize::try_from(offset).unwrap_or(usize::MAX);
        // What is there already takes no room.
        let there = inode.content.len().saturating_sub(at);
        let taken = wanted.min(there.saturating_add(room));
        if taken > 0 {
            let end = at + taken;
            inode.content.resize(inode.content.len().max(end), 0);
            inode.content[at..end].copy_from_slice(&bytes[..taken]);
            inode.touch(at, end);
        }
        match fault.and_then(Fault::error) {
            Some(error) => Err(error),
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
        let longest = world.longest_synced;
        let inode = &mut world.inodes[self.inode];
        if let Some(error) = fault.and_then(Fault::error) {
            inode.dirty.clear();
            return Err(error);
        }
        if longest.is_some_and(|longest| inode.content.len() > longest) {
            inode.dirty.clear();
            return Err(io::ErrorKind::StorageFull.into());
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
