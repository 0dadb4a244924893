//! What the writer asks of a file system, so that tests can hand in one that fails.
//!
//! [`Disk`] is the real one. The writer under test is the writer that ships: nothing above this
//! trait knows which of the two it has.

mod disk;
#[cfg(any(test, feature = "fuzzing"))]
#[cfg_attr(
    not(test),
    allow(
        dead_code,
        reason = "the fuzz targets use a part of what the tests need"
    )
)]
pub(crate) mod faulty;

use std::fmt::Debug;
use std::io;
use std::path::Path;

pub use disk::{Disk, has_lock};

/// Directories and names. A change to a directory is durable once [`Vfs::sync_dir`] returned.
pub trait Vfs: Debug + Send + Sync {
    /// Creates a file that did not exist, for appending and reading.
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn VfsFile>>;
    /// Opens a file that exists, for appending and reading.
    fn open(&self, path: &Path) -> io::Result<Box<dyn VfsFile>>;
    /// Opens a file that exists and may not be written, as on a disk that is mounted read-only.
    fn open_to_read(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        self.open(path)
    }
    /// Gives a file a second name; fails with `AlreadyExists` rather than replace one.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Renames a file, and replaces what lies at the new name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Renames a file; fails with `AlreadyExists` rather than replace one.
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a name.
    fn unlink(&self, path: &Path) -> io::Result<()>;
    /// Makes one directory whose parent exists.
    fn mkdir(&self, path: &Path) -> io::Result<()>;
    /// Says whether something lies there.
    fn exists(&self, path: &Path) -> io::Result<bool>;
    /// The names of the files in a directory, sorted.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Makes a directory's entries durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Bytes that this user may still write to the file system of a directory.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;
}

/// One open file. Dropping it gives up its lock. No call ends because a signal interrupted it.
#[expect(
    clippy::len_without_is_empty,
    reason = "nobody asks a segment whether it is empty"
)]
pub trait VfsFile: Debug + Send {
    /// Writes at the end; may write less than asked, as write(2) may.
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize>;
    /// Writes at an offset, over what is there and beyond the end; may write less than asked.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<usize>;
    /// Reads at an offset; 0 at the end.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize>;
    /// Cuts the file to a length.
    fn truncate(&mut self, len: u64) -> io::Result<()>;
    /// Makes content and length durable.
    fn sync_data(&mut self) -> io::Result<()>;
    /// The file's length.
    fn len(&self) -> io::Result<u64>;
    /// Takes the file's lock if no other process or open file has it.
    fn try_lock(&self) -> io::Result<bool>;
    /// Says whether the file is what lies at a path now.
    fn is_at(&self, path: &Path) -> io::Result<bool>;
}

/// Reads a whole small file.
pub(crate) fn read_to_end(file: &dyn VfsFile) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match file.read_at(bytes.len() as u64, &mut piece)? {
            0 => return Ok(bytes),
            n => bytes.extend_from_slice(&piece[..n]),
        }
    }
}

/// Reads so many bytes from an offset on; fewer where the file ends.
pub(crate) fn read_range(file: &dyn VfsFile, from: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    let mut have = 0;
    while have < len {
        match file.read_at(from + have as u64, &mut bytes[have..])? {
            0 => break,
            read => have += read,
        }
    }
    bytes.truncate(have);
    Ok(bytes)
}

/// Writes everything. A short write goes on, and so meets the reason why it was short.
pub(crate) fn append_all(file: &mut dyn VfsFile, bytes: &[u8]) -> io::Result<()> {
    write_all(bytes, |_, rest| file.append(rest))
}

/// Writes everything at an offset, as [`append_all`] does at the end.
pub(crate) fn write_all_at(file: &mut dyn VfsFile, offset: u64, bytes: &[u8]) -> io::Result<()> {
    write_all(bytes, |done, rest| {
        file.write_at(offset + done as u64, rest)
    })
}

fn write_all(
    bytes: &[u8],
    mut write: impl FnMut(usize, &[u8]) -> io::Result<usize>,
) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        match write(done, &bytes[done..]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => done += n,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Makes a directory and its missing ancestors. All of them are durable on return, each before the
/// next, whoever made them: an earlier process may have died before it could sync what it had made.
pub(crate) fn ensure_dir(vfs: &dyn Vfs, dir: &Path) -> io::Result<()> {
    let Some(parent) = dir.parent() else {
        return Ok(());
    };
    let holder = if parent.as_os_str().is_empty() {
        Path::new(".")
    } else {
        ensure_dir(vfs, parent)?;
        parent
    };
    let is_new = !vfs.exists(dir)?;
    if is_new {
        match vfs.mkdir(dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    match vfs.sync_dir(holder) {
        Err(error) if !is_new && is_beyond_us(&error) => Ok(()),
        synced => synced,
    }
}

/// Says whether a directory is none in which a process like this one makes others: it may not be
/// read or written, or its file system does not sync directories.
fn is_beyond_us(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem, Unsupported};
    matches!(
        error.kind(),
        PermissionDenied | ReadOnlyFilesystem | InvalidInput | Unsupported
    )
}

#[cfg(test)]
mod tests {
    use super::faulty::{Chance, FaultyVfs};
    use super::*;

    #[test]
    fn a_directory_that_a_killed_process_made_is_made_durable_by_the_next() {
        let (dir, file) = (
            Path::new("/data/raw/active"),
            Path::new("/data/raw/active/f"),
        );
        for operations in 0..6 {
            for seed in 0..16 {
                let vfs = FaultyVfs::new();
                vfs.crash_after(operations);
                let _ = ensure_dir(&vfs, dir);
                let vfs = vfs.after_kill();
                ensure_dir(&vfs, dir).unwrap();
                vfs.create_new(file).unwrap();
                vfs.sync_dir(dir).unwrap();
                let vfs = vfs.after_power_cut(&mut Chance(seed));
                assert!(
                    vfs.exists(file).unwrap(),
                    "killed after {operations}, seed {seed}"
                );
            }
        }
    }
}
