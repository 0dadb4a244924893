//! Closing the segments of dead writers.
//!
//! A writer holds its file's lock while it lives, so whoever gets the lock may close the file.
//! What recovery writes depends on nothing but the files it finds: run twice, or by two machines,
//! it gives the same bytes.
//!
//! # What it makes of a file in active/
//!
//! - A valid prefix, ending at a checkpoint, is kept. What follows was never acknowledged; its
//!   bytes are kept in an event `cut`.
//! - Where another segment's header `continues` this one, it is cut at the checkpoint named
//!   there, whatever validates beyond: that was written again in the other. A header that its
//!   checkpoint does not prove cuts nothing.
//! - Bytes *before* a valid group that no checkpoint proves are corruption: they go to
//!   quarantine/, an event `corrupt` says so, and the rest is kept with new checkpoints.
//! - So do the bytes after the last valid group if a whole seal is among them, which does not hold:
//!   a writer seals when all before is proved and synced, in one write, and writes nothing after
//!   it. A crash while it sealed leaves a part of that line, which is cut like any torn bytes. Not
//!   to be told from that: a whole line whose first or last few bytes rotted; and a last group that
//!   rotted where no seal follows, from one that was torn. These are cut too.
//! - A connection that was not closed ends in an event `gap` that begins at its last record,
//!   unless the header of the same writer's next segment here names it: then it went on or ended
//!   there. A later segment that does not name it is a later life's, or its end was lost here.
//! - A header that names no open connections and nothing else: removed. A segment without one valid group: quarantine/.
//! - A segment's name over something else, because the first bytes rotted: quarantine/.
//! - A newer format: an error, before anything is touched. Not a segment's name: left alone.
//!
//! [`recover_file`] does the same for one file wherever it lies, and leaves that file as it is.
//!
//! # The order in which things reach the disk
//!
//! 0. active/ is synced. A process that was killed may have left names that no disk knows yet, and
//!    what is made of one file below relies on what lies beside it.
//! 1. The segment is closed where it lies, if all that the page cache may hide is at its end: of a
//!    writer that syncs every group, and whose file no other continues, that is the last group
//!    ([`repair`]). Only the end is written.
//! 2. Otherwise its proved groups are copied to a fresh hidden file, which ends in a seal and is
//!    synced; this, locked, replaces the old one in active/, and active/ is synced ([`rewrite`]).
//!    A copy, because after a failed sync the page cache may show what the disk does not have.
//! 3. It is published as [`crate::seal`] says.
//!
//! A crash leaves the old file, or that and the end prepared for it, or a sealed file. Each is
//! closed as if there had been no crash, so any number of recoveries after one another end in the
//! same segment, to the byte; and 1 and 2 give the same bytes.

mod closing;
mod connections;
mod ending;
mod file;
mod neighbours;
mod quarantine;
mod remainder;
mod repair;
mod rewrite;
mod survey;
#[cfg(test)]
mod tests;
mod trail;

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use crate::segment::{Header, SegmentError};
use crate::vfs::{Vfs, VfsFile};

pub use file::{FileOutcome, RecoveredFile, recover_file};
pub use remainder::remainder;

pub(crate) use connections::{Changes, OpenConnections, leaves_open};
use neighbours::{Candidate, Neighbours, Opened, find, open};
pub(crate) use quarantine::take_in;
use repair::{Repaired, repair};
pub(crate) use rewrite::{Closed, Plan, Rewritten, rewrite};

/// The three directories between which a writer's segments move, on one file system.
#[derive(Clone, Debug)]
pub struct Place {
    /// Where segments are written.
    pub active: PathBuf,
    /// Where sealed segments wait for the ETL.
    pub ready: PathBuf,
    /// Where damaged bytes are kept.
    pub quarantine: PathBuf,
}

/// What became of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Closed and published.
    Sealed,
    /// It held nothing and was removed.
    Empty,
    /// Nothing in it could be proved; it lies in quarantine.
    Quarantined,
    /// Its writer lives; it was left alone.
    Locked,
    /// The disk refused; it was left as it is, for the next time.
    Failed,
}

/// What recovery did with one file of active/.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// The file's name.
    pub name: String,
    /// The segment's identity; empty where its header is unreadable.
    pub uid: String,
    /// What became of it.
    pub outcome: Outcome,
    /// The frames it holds.
    pub frames: u64,
    /// Bytes after the last checkpoint, which nobody had been told were durable.
    pub cut_bytes: u64,
    /// Whether something was lost, or may be, that had been proved once: a person should look.
    pub is_damaged: bool,
    /// What a person should know, if anything.
    pub detail: String,
}

/// Closes every segment in active/ whose writer is dead.
///
/// What the disk refuses for one file is that file's outcome. An error means that nothing was
/// touched: active/ cannot be read or synced, or holds a newer format.
pub fn recover(vfs: &dyn Vfs, place: &Place) -> Result<Vec<Recovered>, SegmentError> {
    let candidates = find(vfs, &place.active)?;
    if !candidates.is_empty() {
        vfs.sync_dir(&place.active)
            .map_err(SegmentError::io("sync directory", &place.active))?;
    }
    // What is left behind is in nobody's way.
    let _ = ending::sweep(vfs, &place.active);
    let neighbours = Neighbours::of(&candidates);

    let mut report = Vec::new();
    let mut connections: HashMap<Option<String>, OpenConnections> = HashMap::new();
    // A segment is not published before the earlier ones of its writer: it may continue one.
    let mut stuck: HashSet<Option<String>> = HashSet::new();
    for candidate in candidates {
        let Candidate { name, header, .. } = candidate;
        let path = place.active.join(&name);
        let writer = header.as_ref().and_then(|header| header.writer.clone());
        let mut entry = Recovered {
            name,
            uid: header
                .as_ref()
                .map_or_else(String::new, |header| header.uid.to_string()),
            outcome: Outcome::Locked,
            frames: 0,
            cut_bytes: 0,
            is_damaged: false,
            detail: String::new(),
        };
        if stuck.contains(&writer) {
            "waits for the segment before it".clone_into(&mut entry.detail);
            entry.outcome = Outcome::Failed;
            report.push(entry);
            continue;
        }
        let outcome = open(vfs, &path).and_then(|opened| {
            let Some(Opened { file, is_writable }) = opened else {
                return Ok(None);
            };
            match take_lock(file.as_ref(), &path)? {
                None => return Ok(None),
                Some(false) => return Ok(Some(Outcome::Locked)),
                Some(true) => {}
            }
            let Some(header) = header else {
                "its header is damaged".clone_into(&mut entry.detail);
                entry.is_damaged = true;
                return take_in(vfs, &place.quarantine, file.as_ref(), &path)
                    .map(|()| Some(Outcome::Quarantined));
            };
            let plan = Plan {
                cut: neighbours.cut(&header),
                ends_connections: true,
                carried: neighbours.carried(&header),
                quarantine: &place.quarantine,
                apart: None,
            };
            let connections = connections.entry(writer.clone()).or_default();
            let segment = Segment {
                vfs,
                file,
                path: &path,
                header,
                plan,
                place,
            };
            segment
                .close(is_writable, connections, &mut entry)
                .map(Some)
        });
        match outcome {
            // Someone else was faster.
            Ok(None) => continue,
            Ok(Some(outcome)) => entry.outcome = outcome,
            Err(error) => {
                entry.outcome = Outcome::Failed;
                entry.detail = error.to_string();
            }
        }
        if matches!(entry.outcome, Outcome::Locked | Outcome::Failed) {
            stuck.insert(writer);
        }
        report.push(entry);
    }
    Ok(report)
}

/// One locked segment that is to be closed.
struct Segment<'a> {
    vfs: &'a dyn Vfs,
    file: Box<dyn VfsFile>,
    path: &'a Path,
    header: Header,
    plan: Plan<'a>,
    place: &'a Place,
}

impl Segment<'_> {
    /// Closes it where it lies if that is safe, else as a copy; then publishes it.
    fn close(
        self,
        is_writable: bool,
        open: &mut OpenConnections,
        entry: &mut Recovered,
    ) -> Result<Outcome, SegmentError> {
        let Self {
            vfs,
            mut file,
            path,
            header,
            plan,
            place,
        } = self;
        if is_writable {
            file = match repair(vfs, file, path, &header, &plan, open)? {
                Repaired::Sealed(closed) => return publish(vfs, place, &closed, entry),
                Repaired::Empty(_lock) => return remove(vfs, path).map(|()| Outcome::Empty),
                Repaired::Not(file) => file,
            };
        }
        ending::give_up(vfs, path)?;
        match rewrite(vfs, file.as_ref(), path, header, &plan, open)? {
            Rewritten::Sealed(closed) => publish(vfs, place, &closed, entry),
            Rewritten::Empty => remove(vfs, path).map(|()| Outcome::Empty),
            Rewritten::Unprovable => {
                "no checkpoint in it proves anything".clone_into(&mut entry.detail);
                entry.is_damaged = true;
                take_in(vfs, &place.quarantine, file.as_ref(), path).map(|()| Outcome::Quarantined)
            }
        }
    }
}

fn publish(
    vfs: &dyn Vfs,
    place: &Place,
    closed: &Closed,
    entry: &mut Recovered,
) -> Result<Outcome, SegmentError> {
    entry.frames = closed.frames;
    entry.cut_bytes = closed.findings.cut_bytes;
    entry.is_damaged = closed.findings.is_damaged;
    entry.detail = closed.findings.detail();
    closed.segment.publish(vfs, &place.ready)?;
    Ok(Outcome::Sealed)
}

/// `None` if the file that was locked does not lie there any more.
fn take_lock(file: &dyn VfsFile, path: &Path) -> Result<Option<bool>, SegmentError> {
    if !file.try_lock().map_err(SegmentError::io("lock", path))? {
        return Ok(Some(false));
    }
    Ok(file
        .is_at(path)
        .map_err(SegmentError::io("look up", path))?
        .then_some(true))
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

pub(crate) fn remove(vfs: &dyn Vfs, path: &Path) -> Result<(), SegmentError> {
    match vfs.unlink(path) {
        // An earlier try may have come so far; the name's end is not durable yet.
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(SegmentError::io("remove", path)(error));
        }
        _ => {}
    }
    let dir = path.parent().unwrap_or(Path::new("."));
    vfs.sync_dir(dir)
        .map_err(SegmentError::io("sync directory", dir))
}
