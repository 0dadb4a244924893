//! Closing a segment and handing it over.
//!
//! # The order in which things reach the disk
//!
//! 1. The seal line is written and synced: the segment is whole, in active/.
//! 2. The file gets a second name in ready/, never replacing one; ready/ is synced.
//! 3. The name in active/ goes; active/ is synced.
//!
//! # What one finds after a crash
//!
//! | crash | then |
//! |---|---|
//! | before 1 is done | an open segment in active/; recovery closes it |
//! | between 1 and 2 | a sealed segment in active/; recovery publishes it |
//! | between 2 and 3 | the same bytes in both; recovery removes the name in active/, or publishes the same bytes again if they were consumed meanwhile: their commit knows their uid |
//! | after 3 | a sealed segment in ready/ |
//!
//! The file stays locked until 3 is done, so no recovery takes it from a living writer. Where a
//! file system has no second names, 2 and 3 are one rename that does not replace.

use std::io;
use std::path::{Path, PathBuf};

use crate::segment::{Header, LONGEST_WRITER_ID, SealLine, SegmentError, SegmentName, Uid};
use crate::vfs::{Vfs, VfsFile, read_to_end};

/// A segment that is whole and durable under its name in active/, and still locked.
#[derive(Debug)]
pub(crate) struct SealedSegment {
    /// The open file.
    pub(crate) file: Box<dyn VfsFile>,
    /// Where it lies.
    pub(crate) path: PathBuf,
    /// Line 1.
    pub(crate) header: Header,
    /// The last line.
    pub(crate) seal: SealLine,
}

impl SealedSegment {
    /// Moves the segment to ready/. May be called again after an error.
    pub(crate) fn publish(&self, vfs: &dyn Vfs, ready: &Path) -> Result<(), SegmentError> {
        let own = self.path.file_name().and_then(|name| name.to_str());
        self.publish_as(vfs, ready, own.unwrap_or(&self.header.name))
            .map(drop)
    }

    /// Moves the segment to a directory, under this name, or if another content has that, under
    /// one with its uid. Says where it lies. May be called again after an error.
    pub(crate) fn publish_as(
        &self,
        vfs: &dyn Vfs,
        dir: &Path,
        name: &str,
    ) -> Result<PathBuf, SegmentError> {
        let target = self.find_place(vfs, dir, name)?;
        vfs.sync_dir(dir)
            .map_err(SegmentError::io("sync directory", dir))?;
        match vfs.unlink(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(SegmentError::io(
                    "remove (it is already published)",
                    &self.path,
                )(error));
            }
            _ => {}
        }
        let from = self.path.parent().unwrap_or(Path::new("."));
        debug_assert_ne!(target, self.path);
        vfs.sync_dir(from)
            .map_err(SegmentError::io("sync directory", from))?;
        Ok(target)
    }

    fn find_place(&self, vfs: &dyn Vfs, dir: &Path, own: &str) -> Result<PathBuf, SegmentError> {
        for name in [own.to_owned(), name_apart(own, &self.header.uid)] {
            let target = dir.join(name);
            match self.put_at(vfs, &target) {
                Ok(()) => return Ok(target),
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(SegmentError::io("move a sealed segment to", &target)(error));
                }
                Err(_) => {
                    let is_same = self.is_same_as(vfs, &target);
                    if is_same.map_err(SegmentError::io("compare with", &target))? {
                        return Ok(target);
                    }
                }
            }
        }
        Err(SegmentError::Damaged {
            path: self.path.clone(),
            detail: format!(
                "two other segments have its names in {}: rename it",
                dir.display()
            ),
        })
    }

    fn put_at(&self, vfs: &dyn Vfs, target: &Path) -> io::Result<()> {
        match vfs.link(&self.path, target) {
            // EPERM and EOPNOTSUPP: no second names here.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported
                ) =>
            {
                vfs.rename_new(&self.path, target)
            }
            // Tried before: the name in active/ has gone already.
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.file.is_at(target)? => {
                Ok(())
            }
            other => other,
        }
    }

    fn is_same_as(&self, vfs: &dyn Vfs, target: &Path) -> io::Result<bool> {
        if self.file.is_at(target)? {
            return Ok(true);
        }
        let mut other = match vfs.open(target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            other => other?,
        };
        let is_same = other.len()? == self.file.len()?
            && read_to_end(other.as_ref())? == read_to_end(self.file.as_ref())?;
        if is_same {
            // Someone else wrote it, and the name in active/ is about to go.
            other.sync_data()?;
        }
        Ok(is_same)
    }
}

/// Still a segment's name, whose writer's id is the old one's with the uid's first digits.
pub(crate) fn name_apart(own: &str, uid: &Uid) -> String {
    let short = &uid.as_str()[..8];
    let Some(mut name) = SegmentName::parse(own) else {
        return format!("{own}_{short}");
    };
    let writer = name.writer.map_or_else(
        || short.to_owned(),
        |mut id| {
            id.truncate(LONGEST_WRITER_ID - "-".len() - short.len());
            format!("{id}-{short}")
        },
    );
    name.writer = Some(writer);
    name.to_string()
}
