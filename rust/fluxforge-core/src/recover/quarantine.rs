//! Where damaged bytes are kept: nothing in quarantine/ is ever replaced.
//!
//! What is kept lies under its own name, or under the next that no other content has. The same
//! bytes kept twice lie there once, so that a recovery that is repeated leaves no more than one.

use std::io;
use std::path::{Path, PathBuf};

use super::remove;
use crate::segment::SegmentError;
use crate::vfs::{Vfs, VfsFile, append_all, read_to_end};

/// Moves a whole file, locked by the caller, to quarantine.
pub(crate) fn take_in(
    vfs: &dyn Vfs,
    quarantine: &Path,
    file: &dyn VfsFile,
    path: &Path,
) -> Result<(), SegmentError> {
    let own = path.file_name().unwrap_or_default().to_string_lossy();
    for target in names(quarantine, &own) {
        match vfs.link(path, &target) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let is_kept = is_kept_at(vfs, file, &target);
                if !is_kept.map_err(SegmentError::io("compare with", &target))? {
                    continue;
                }
            }
            linked => linked.map_err(SegmentError::io("move a damaged segment to", &target))?,
        }
        break;
    }
    vfs.sync_dir(quarantine)
        .map_err(SegmentError::io("sync directory", quarantine))?;
    remove(vfs, path)
}

/// Keeps bytes in a file of their own, durable on return; says which.
///
/// The file is whole when it gets its name: half of it would pass for other evidence, and stay.
pub(super) fn keep(
    vfs: &dyn Vfs,
    quarantine: &Path,
    own: &str,
    bytes: &[u8],
) -> Result<PathBuf, SegmentError> {
    let hidden = quarantine.join(format!(".keeping_{own}"));
    let write = || -> io::Result<PathBuf> {
        match vfs.unlink(&hidden) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = vfs.create_new(&hidden)?;
        append_all(file.as_mut(), bytes)?;
        file.sync_data()?;
        for target in names(quarantine, own) {
            match vfs.rename_new(&hidden, &target) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    if !is_kept_at(vfs, file.as_ref(), &target)? {
                        continue;
                    }
                    vfs.unlink(&hidden)?;
                }
                renamed => renamed?,
            }
            vfs.sync_dir(quarantine)?;
            return Ok(target);
        }
        unreachable!("numbers do not end")
    };
    write().map_err(|error| {
        // On a full disk it would hold the very room that is waited for.
        let _ = vfs.unlink(&hidden);
        SegmentError::io("keep damaged bytes in", &quarantine.join(own))(error)
    })
}

fn names(quarantine: &Path, own: &str) -> impl Iterator<Item = PathBuf> {
    let numbered = (1_u64..).map(move |n| format!("{own}.{n}"));
    std::iter::once(own.to_owned())
        .chain(numbered)
        .map(|name| quarantine.join(name))
}

/// Says whether a file's bytes lie at a path, and makes them durable there: the file is about to
/// go.
fn is_kept_at(vfs: &dyn Vfs, file: &dyn VfsFile, target: &Path) -> io::Result<bool> {
    if file.is_at(target)? {
        return Ok(true);
    }
    let mut kept = vfs.open(target)?;
    let is_same = kept.len()? == file.len()? && read_to_end(kept.as_ref())? == read_to_end(file)?;
    if is_same {
        kept.sync_data()?;
    }
    Ok(is_same)
}
