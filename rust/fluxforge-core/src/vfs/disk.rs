//! The machine's own file system.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use rustix::fs::{AtFlags, FlockOperation, OFlags, RenameFlags};
use rustix::io::Errno;

use super::{Vfs, VfsFile};

/// The disk, through std and rustix.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

#[derive(Debug)]
struct DiskFile(File);

/// Says whether a living process holds a file's lock, as a writer does.
///
/// Asking takes a shared lock for a moment: a recovery at that very moment would leave the file
/// for its next time.
pub fn has_lock(path: &Path) -> io::Result<bool> {
    match rustix::fs::flock(File::open(path)?, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(Errno::WOULDBLOCK) => Ok(true),
        Err(errno) => Err(errno.into()),
    }
}

/// What `rename_new` does where the system cannot do it at once. Between the two steps the file has
/// both names; never none, and it replaces nothing.
fn move_in_two_steps(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to)?;
    fs::remove_file(from)
}

/// Makes a call again that a signal interrupted: that says nothing about the disk, which may have
/// refused nothing. What the disk does refuse has another errno, and is told once.
fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

impl Vfs for Disk {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        let file = OpenOptions::new()
            .create_new(true)
            .append(true)
            .read(true)
            .open(path)?;
        Ok(Box::new(DiskFile(file)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        let file = OpenOptions::new().append(true).read(true).open(path)?;
        Ok(Box::new(DiskFile(file)))
    }

    fn open_to_read(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        Ok(Box::new(DiskFile(File::open(path)?)))
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        let here = rustix::fs::CWD;
        match rustix::fs::renameat_with(here, from, here, to, RenameFlags::NOREPLACE) {
            // Neither every file system nor every kernel has it.
            Err(Errno::INVAL | Errno::NOSYS) => move_in_two_steps(from, to),
            other => Ok(other?),
        }
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(
            rustix::fs::CWD,
            path,
            AtFlags::empty(),
        )?)
    }

    fn mkdir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        fs::exists(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            // A name that is not text is not ours.
            if let (true, Ok(name)) = (
                entry.file_type()?.is_file(),
                entry.file_name().into_string(),
            ) {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(dir)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

impl VfsFile for DiskFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        uninterrupted(|| self.0.write(bytes))
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        // Linux appends to a file that was opened for appending, whatever offset it is given.
        let flags = rustix::fs::fcntl_getfl(&self.0)?;
        rustix::fs::fcntl_setfl(&self.0, flags - OFlags::APPEND)?;
        let written = uninterrupted(|| self.0.write_at(bytes, offset));
        rustix::fs::fcntl_setfl(&self.0, flags)?;
        written
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        uninterrupted(|| self.0.read_at(into, offset))
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        // std's own calls, here and for the length, are made again where a signal interrupts them.
        self.0.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn try_lock(&self) -> io::Result<bool> {
        let flock = || rustix::fs::flock(&self.0, FlockOperation::NonBlockingLockExclusive);
        match rustix::io::retry_on_intr(flock) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        let ours = self.0.metadata()?;
        match fs::metadata(path) {
            Ok(theirs) => Ok((ours.dev(), ours.ino()) == (theirs.dev(), theirs.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_at_an_offset_and_then_at_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let mut created = Disk.create_new(&path).unwrap();
        assert_eq!(created.append(b"0123456789").unwrap(), 10);
        for mut file in [created, Disk.open(&path).unwrap()] {
            assert_eq!(file.write_at(3, b"xyz").unwrap(), 3);
            assert_eq!(file.append(b"!").unwrap(), 1);
        }
        assert_eq!(fs::read(&path).unwrap(), b"012xyz6789!!");
    }

    #[test]
    fn no_way_of_moving_replaces_a_file() {
        for rename_new in [move_in_two_steps, |from: &Path, to: &Path| {
            Disk.rename_new(from, to)
        }] {
            let dir = tempfile::tempdir().unwrap();
            let (from, to) = (dir.path().join("from"), dir.path().join("to"));
            fs::write(&from, "new").unwrap();
            fs::write(&to, "old").unwrap();
            let refused = rename_new(&from, &to).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(fs::read_to_string(&to).unwrap(), "old");
            fs::remove_file(&to).unwrap();
            rename_new(&from, &to).unwrap();
            assert_eq!(fs::read_to_string(&to).unwrap(), "new");
            assert!(!from.exists());
        }
    }
}
