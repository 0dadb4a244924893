//! One segment, wherever it lies: on the disk of a dead machine, in a backup, in active/.
//!
//! The file itself is never changed. What [`super::recover`] would make of it, byte for byte, is
//! written to another directory, with what it keeps of damaged bytes. The file's neighbours are
//! asked as there: one may `continue` it, or tell what became of its connections. Done twice, the
//! same bytes lie there once.

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use super::neighbours::{Found, Neighbours, look_at};
use super::{OpenConnections, Plan, Rewritten, rewrite, take_lock};
use crate::append::LOCK_FILE;
use crate::segment::{Opening, SegmentError};
use crate::vfs::{Vfs, ensure_dir};

/// What became of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileOutcome {
    /// A sealed copy of what it proves was written.
    Sealed(RecoveredFile),
    /// Its writer lives; nothing was written.
    Locked,
    /// It has a header and no records; nothing was written.
    Empty,
    /// No checkpoint in it proves anything; nothing was written.
    Unprovable,
}

/// Where the sealed copy lies, and what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveredFile {
    /// The sealed copy.
    pub path: PathBuf,
    /// Its frames.
    pub frames: u64,
    /// Bytes of the file that are not in it.
    pub cut_bytes: u64,
    /// Whether something is missing that had been proved once.
    pub is_damaged: bool,
    /// The files beside it in which damaged bytes are kept.
    pub kept: Vec<PathBuf>,
    /// What a person should know, if anything.
    pub detail: String,
}

/// Writes a sealed copy of what a dead writer's file proves into a directory, which is made.
pub fn recover_file(vfs: &dyn Vfs, path: &Path, into: &Path) -> Result<FileOutcome, SegmentError> {
    let (dir, name) = (
        path.parent(),
        path.file_name().and_then(|name| name.to_str()),
    );
    let dir = dir
        .filter(|dir| !dir.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let name = name.ok_or_else(|| not_a_segment(path))?;
    // A file that is not there is no stranger.
    drop(
        vfs.open_to_read(path)
            .map_err(SegmentError::io("open", path))?,
    );
    let found = look_at(vfs, dir, name)?.filter(|found| found.opening != Opening::Plain);
    let Found { file, opening } = found.ok_or_else(|| not_a_segment(path))?;
    if take_lock(file.as_ref(), path)? != Some(true) {
        return Ok(FileOutcome::Locked);
    }
    let Opening::Segment(header) = opening else {
        return Ok(FileOutcome::Unprovable);
    };
    refuse_writers_directory(vfs, into)?;
    ensure_dir(vfs, into).map_err(SegmentError::io("create directory", into))?;
    let neighbours = Neighbours::in_dir(vfs, dir, &header, name)?;
    let plan = Plan {
        cut: neighbours.cut(&header),
        ends_connections: true,
        carried: neighbours.carried(&header),
        quarantine: into,
        apart: Some(into),
    };
    let mut open = OpenConnections::default();
    Ok(
        match rewrite(vfs, file.as_ref(), path, header, &plan, &mut open)? {
            Rewritten::Sealed(closed) => FileOutcome::Sealed(RecoveredFile {
                path: closed.segment.publish_as(vfs, into, name)?,
                frames: closed.frames,
                cut_bytes: closed.findings.cut_bytes,
                is_damaged: closed.findings.is_damaged,
                detail: closed.findings.detail(),
                kept: closed.findings.kept,
            }),
            Rewritten::Empty => FileOutcome::Empty,
            Rewritten::Unprovable => FileOutcome::Unprovable,
        },
    )
}

/// A copy beside the original in active/ would be closed and published a second time.
fn refuse_writers_directory(vfs: &dyn Vfs, into: &Path) -> Result<(), SegmentError> {
    let names = vfs.list(into).unwrap_or_default();
    if names.iter().any(|name| name.starts_with(LOCK_FILE)) {
        return Err(SegmentError::Invalid(format!(
            "{} is where a writer keeps its segments: choose another directory for the copy",
            into.display()
        )));
    }
    Ok(())
}

#[cold]
fn not_a_segment(path: &Path) -> SegmentError {
    SegmentError::Invalid(format!(
        "{} is not a segment: its first line is no header, so nothing in it can be proved",
        path.display()
    ))
}
