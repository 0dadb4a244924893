//! Closes a segment where it lies: what is proved stays, and the end is written.
//!
//! # Why not everything is copied
//!
//! After a failed sync the page cache may show what the disk does not have, and a later sync says
//! "fine". But a writer that syncs every group writes nothing after a failed sync, and no group
//! before the one in its hands has returned. So of a file that no other segment continues, the
//! disk has every group but the last for certain; only the last, and a seal after it, may be
//! hidden. These are written again. A file whose groups are not each synced, one that another
//! continues, and one that is damaged anywhere are copied: [`super::rewrite`].
//!
//! # The order in which things reach the disk
//!
//! 1. The end, from the last group's first byte to the new seal, is written to a file of its own,
//!    synced, named, and the name is synced ([`super::ending`]). It holds the torn bytes, which
//!    step 2 overwrites.
//! 2. The end is written to its place in the segment: over the last group the same bytes once
//!    more, so that each sector is old or new, and both are right; then the group that recovery
//!    adds; then the seal. One sync.
//! 3. The file from step 1 is removed, and the segment is published as [`crate::seal`] says.
//!
//! # What one finds after a crash
//!
//! | crash | then |
//! |---|---|
//! | before 1 is done | the segment as it was; the next recovery begins again |
//! | in 2, or after its write or sync failed | the prepared end; the next recovery writes all of it again, whatever the page cache shows, and syncs through a descriptor that saw no failure |
//! | after 2 | a sealed segment, durable; the next recovery writes its end once more and publishes it |
//!
//! A full disk fails 1 or 2, and the next recovery tries again. It needs room for the end alone.

#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;

use super::closing::{Closing, Findings};
use super::ending::{self, Ending, Told};
use super::survey::{Rest, Survey, survey};
use super::{Closed, OpenConnections, Plan, name_of};
use crate::rules::{Rule, is_left_out};
use crate::seal::SealedSegment;
use crate::segment::{
    Checkpoint, Durability, Header, SealLine, SegmentError, Tally, parse_timestamp,
};
use crate::vfs::{Vfs, VfsFile, read_range, write_all_at};

/// What a repair came to.
#[derive(Debug)]
pub(super) enum Repaired {
    /// It is sealed.
    Sealed(Box<Closed>),
    /// There is nothing to keep.
    Empty(Box<dyn VfsFile>),
    /// This file is to be copied. It was not changed.
    Not(Box<dyn VfsFile>),
}

/// Closes the segment at `path`, whose lock the caller holds through `file`, in its place, if all
/// that the page cache may hide is at its end.
pub(super) fn repair(
    vfs: &dyn Vfs,
    file: Box<dyn VfsFile>,
    path: &Path,
    header: &Header,
    plan: &Plan<'_>,
    open: &mut OpenConnections,
) -> Result<Repaired, SegmentError> {
    if plan.cut.is_some() || header.durability != Some(Durability::Fsync) {
        return Ok(Repaired::Not(file));
    }
    let ending = if let Some(prepared) = Ending::find(vfs, path, header)? {
        prepared
    } else {
        let mut carried = open.clone();
        carried.carry(&header.open);
        let surveyed = survey(file.as_ref(), header, carried);
        let Some(survey) = surveyed.map_err(SegmentError::io("read", path))? else {
            return Ok(Repaired::Not(file));
        };
        let Some(ending) = compose(vfs, file.as_ref(), path, header, plan, survey)? else {
            return Ok(Repaired::Empty(file));
        };
        ending.prepare(vfs, path)?;
        ending
    };
    *open = OpenConnections::default();
    open.carry(&ending.told.open);
    write_end(vfs, file, path, header, ending)
        .map(Box::new)
        .map(Repaired::Sealed)
}

/// The end that a segment is to get; `None` if there is nothing in it.
fn compose(
    vfs: &dyn Vfs,
    file: &dyn VfsFile,
    path: &Path,
    header: &Header,
    plan: &Plan<'_>,
    survey: Survey,
) -> Result<Option<Ending>, SegmentError> {
    let Survey {
        last,
        last_group,
        end,
        mut hash,
        mut tally,
        mut open,
        rest,
    } = survey;
    let mut closing = Closing::new(vfs, plan, name_of(path));
    let created_ns = parse_timestamp(header.created.as_bytes()).unwrap_or(0);
    closing.last_ns = (tally.span).map_or(created_ns, |(_, last)| last.max(created_ns));
    let sealed = match rest {
        Rest::Seal(seal) => Some(seal.durability),
        Rest::Torn(bytes) => {
            if !bytes.is_empty() {
                closing.torn(end, &bytes)?;
            }
            if plan.ends_connections {
                closing.end_connections(&mut open);
            }
            None
        }
    };
    if closing.lines.is_empty() && last.n == 0 {
        return Ok(None);
    }
    let offset = if is_left_out(Rule::LastGroup) {
        end
    } else {
        last_group
    };
    let proved = usize::try_from(end - offset).unwrap_or(usize::MAX);
    let mut bytes = read_range(file, offset, proved).map_err(SegmentError::io("read", path))?;
    if bytes.len() < proved {
        return Err(SegmentError::io("read", path)(
            io::ErrorKind::UnexpectedEof.into(),
        ));
    }
    push_group(&mut bytes, &closing, header, &last, end, &mut tally);
    hash.update(&bytes[proved..]);
    let seal = SealLine::new(
        &tally,
        offset + bytes.len() as u64,
        hash.digest(),
        sealed.unwrap_or(Durability::Fsync),
    );
    seal.push(&mut bytes);
    let told = Told {
        uid: header.uid.clone(),
        offset,
        xxh3: ending::xxh3(&bytes),
        cut_bytes: closing.findings.cut_bytes,
        detail: closing.findings.detail(),
        open: open.to_header(),
    };
    Ok(Some(Ending { told, bytes, seal }))
}

/// Appends the group that recovery adds, if it has something to say.
fn push_group(
    bytes: &mut Vec<u8>,
    closing: &Closing<'_>,
    header: &Header,
    last: &Checkpoint,
    end: u64,
    tally: &mut Tally,
) {
    if closing.lines.is_empty() {
        return;
    }
    tally.add(&closing.tally);
    let start = bytes.len();
    bytes.extend_from_slice(&closing.lines);
    let checkpoint = Checkpoint {
        n: last.n + 1,
        frames: tally.frames,
        bytes: end + closing.lines.len() as u64,
        mono_ns: last.mono_ns,
        prev: last.crc32c,
        crc32c: 0,
    };
    checkpoint.push(bytes, start, &header.uid);
}

/// Writes the end to its place, whole, whatever is there already.
fn write_end(
    vfs: &dyn Vfs,
    mut file: Box<dyn VfsFile>,
    path: &Path,
    header: &Header,
    ending: Ending,
) -> Result<Closed, SegmentError> {
    let Ending { told, bytes, seal } = ending;
    write_all_at(file.as_mut(), told.offset, &bytes)
        .map_err(SegmentError::io("write the end of", path))?;
    let len = told.offset + bytes.len() as u64;
    if file.len().map_err(SegmentError::io("look up", path))? > len {
        file.truncate(len)
            .map_err(SegmentError::io("cut off", path))?;
    }
    file.sync_data().map_err(SegmentError::io("sync", path))?;
    ending::discard(vfs, path)?;
    Ok(Closed {
        frames: seal.frames,
        segment: SealedSegment {
            file,
            path: path.to_owned(),
            header: header.clone(),
            seal,
        },
        findings: Findings::of_repair(told.cut_bytes, told.detail),
    })
}
