//! Copies what a segment proves to a fresh file, and closes that.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::OpenConnections;
use crate::append::active::{ActiveSegment, WriteFault};
use crate::seal::SealedSegment;
use crate::segment::{
    Checkpoint, Durability, GroupReader, Header, Opening, Piece, SegmentError, Tally,
    parse_timestamp, push_event,
};
use crate::vfs::{Vfs, VfsFile, append_all, read_to_end};

/// Torn bytes up to this many stand in the event that cuts them; more go to quarantine.
const CUT_INLINE: usize = 4 << 20;

/// How a segment is to be closed.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    /// The last checkpoint that counts, where the disk failed after it.
    pub(crate) cut: Option<u64>,
    /// Whether the connections still open end here.
    pub(crate) ends_connections: bool,
    /// Where damaged bytes are kept.
    pub(crate) quarantine: &'a Path,
    /// Whether the sealed file takes the old one's place, or stays beside it, hidden, in this
    /// directory.
    pub(crate) apart: Option<&'a Path>,
}

/// What a rewriting came to.
#[derive(Debug)]
pub(crate) enum Rewritten {
    /// There is a sealed file, under the segment's name unless it was to stay apart.
    Sealed(Box<Closed>),
    /// There is nothing to keep; the old file still lies there.
    Empty,
    /// Nothing in it is proved; the old file still lies there.
    Unprovable,
}

/// A segment that was closed for its writer.
#[derive(Debug)]
pub(crate) struct Closed {
    /// The fresh file.
    pub(crate) segment: SealedSegment,
    /// Its frames.
    pub(crate) frames: u64,
    /// Bytes of the old file that are not in it.
    pub(crate) cut_bytes: u64,
    /// The files in which damaged bytes are kept.
    pub(crate) kept: Vec<PathBuf>,
    /// What a person should know.
    pub(crate) detail: String,
}

/// Makes a sealed copy of what the file at `path` proves, whose lock the caller holds, and lets it
/// take that file's place.
pub(crate) fn rewrite(
    vfs: &dyn Vfs,
    old: &dyn VfsFile,
    path: &Path,
    header: Header,
    plan: &Plan<'_>,
    open: &mut OpenConnections,
) -> Result<Rewritten, SegmentError> {
    let rewritten = try_rewrite(vfs, old, path, header, plan, open);
    if rewritten.is_err() {
        // On a full disk it would hold the very room that is waited for. The next try makes
        // another; if this one cannot be removed, that removes it.
        let _ = vfs.unlink(&hidden(path, plan));
    }
    rewritten
}

fn try_rewrite(
    vfs: &dyn Vfs,
    old: &dyn VfsFile,
    path: &Path,
    header: Header,
    plan: &Plan<'_>,
    open: &mut OpenConnections,
) -> Result<Rewritten, SegmentError> {
    let mut reader = GroupReader::new(old, header.uid.clone());
    let mut copy = Copy::new(vfs, path, header, plan, open);
    while let Some(piece) = reader
        .next_piece()
        .map_err(SegmentError::io("read", path))?
    {
        match piece {
            // It was written again in the segment that goes on from there.
            Piece::Group { checkpoint, .. } if plan.cut.is_some_and(|cut| checkpoint.n > cut) => {
                break;
            }
            Piece::Group {
                lines, checkpoint, ..
            } => copy.group(lines, &checkpoint)?,
            Piece::Corrupt { offset, bytes } => copy.corrupt(offset, &bytes)?,
            Piece::Seal(seal) => copy.sealed = Some(seal.durability),
            Piece::Tail { .. } if plan.cut.is_some() => {}
            Piece::Tail { offset, bytes } => copy.tail(offset, &bytes)?,
        }
    }
    copy.finish(old)
}

struct Copy<'a> {
    vfs: &'a dyn Vfs,
    path: &'a Path,
    plan: &'a Plan<'a>,
    open: &'a mut OpenConnections,
    header: Header,
    /// The fresh file, once something was proved.
    fresh: Option<ActiveSegment>,
    /// The old file's seal, which makes the copy end as it did.
    sealed: Option<Durability>,
    last_ns: i64,
    mono_ns: u64,
    proved_frames: u64,
    /// Where corrupt bytes were found that no group has followed yet, and how many.
    corrupt: Option<(u64, usize)>,
    /// The group that ends the fresh file.
    closing: Vec<u8>,
    closing_tally: Tally,
    cut_bytes: u64,
    kept: Vec<PathBuf>,
    detail: Vec<String>,
}

impl<'a> Copy<'a> {
    fn new(
        vfs: &'a dyn Vfs,
        path: &'a Path,
        header: Header,
        plan: &'a Plan<'a>,
        open: &'a mut OpenConnections,
    ) -> Self {
        let last_ns = parse_timestamp(header.created.as_bytes()).unwrap_or(0);
        open.carry(&header);
        Self {
            vfs,
            path,
            plan,
            open,
            header,
            fresh: None,
            sealed: None,
            last_ns,
            mono_ns: 0,
            proved_frames: 0,
            corrupt: None,
            closing: Vec::new(),
            closing_tally: Tally::default(),
            cut_bytes: 0,
            kept: Vec::new(),
            detail: Vec::new(),
        }
    }

    fn group(&mut self, mut lines: Vec<u8>, proof: &Checkpoint) -> Result<(), SegmentError> {
        // By what it says, not by its number: a sum can be right over a number that is not.
        let is_header = Opening::read(&lines) == Opening::Segment(self.header.clone());
        if self.fresh.is_none() {
            let mut rebuilt = Vec::new();
            if !is_header {
                // Line 1 can be read, or we would not be here; its own proof was lost.
                self.header.push(&mut rebuilt);
            }
            let line = if is_header { &lines } else { &rebuilt };
            let (hidden, header) = (hidden(self.path, self.plan), self.header.clone());
            self.fresh = Some(ActiveSegment::create(
                self.vfs,
                &hidden,
                header,
                line,
                proof.mono_ns,
            )?);
        }
        let tally = self.open.follow(&lines);
        if let Some((offset, bytes)) = self.corrupt.take() {
            let before = proof.frames.saturating_sub(tally.frames);
            let lost = before.saturating_sub(self.proved_frames);
            self.detail.push(format!(
                "{bytes} corrupt bytes at {offset}, {lost} frames, lie in quarantine"
            ));
            self.event(&json!({
                "kind": "corrupt", "offset": offset, "bytes": bytes, "frames": lost,
                "quarantined": self.kept_name(offset, "corrupt"),
            }));
        }
        if let (Some(fresh), false) = (&mut self.fresh, is_header) {
            commit(fresh, &mut lines, &tally, proof.mono_ns)?;
        }
        self.last_ns = tally
            .span
            .map_or(self.last_ns, |(_, last)| last.max(self.last_ns));
        self.mono_ns = proof.mono_ns;
        self.proved_frames = proof.frames;
        Ok(())
    }

    fn corrupt(&mut self, offset: u64, bytes: &[u8]) -> Result<(), SegmentError> {
        self.keep(&self.kept_name(offset, "corrupt"), bytes)?;
        self.corrupt = Some((offset, bytes.len()));
        Ok(())
    }

    fn tail(&mut self, offset: u64, bytes: &[u8]) -> Result<(), SegmentError> {
        if self.fresh.is_none() {
            // Nothing was proved: the whole file goes to quarantine as it is.
            return Ok(());
        }
        self.cut_bytes = bytes.len() as u64;
        self.detail.push(format!("{} torn bytes cut", bytes.len()));
        let mut event = json!({ "kind": "cut", "offset": offset, "bytes": bytes.len() });
        if bytes.len() <= CUT_INLINE {
            event["raw_b64"] = STANDARD.encode(bytes).into();
        } else {
            let name = self.kept_name(offset, "cut");
            self.keep(&name, bytes)?;
            event["quarantined"] = name.into();
        }
        self.event(&event);
        Ok(())
    }

    /// Says what there is to say, and lets the fresh file take the old one's place.
    fn finish(mut self, old: &dyn VfsFile) -> Result<Rewritten, SegmentError> {
        let Some(mut fresh) = self.fresh.take() else {
            return Ok(Rewritten::Unprovable);
        };
        if let Some(checkpoint) = self.plan.cut {
            let old_len = old.len().map_err(SegmentError::io("look up", self.path))?;
            self.cut_bytes = old_len.saturating_sub(fresh.len());
            self.detail.push(format!(
                "cut at checkpoint {checkpoint}, where the disk failed"
            ));
        } else if self.plan.ends_connections && self.sealed.is_none() {
            self.open.end(&mut self.closing, &mut self.closing_tally);
        }
        if !self.closing.is_empty() {
            commit(
                &mut fresh,
                &mut self.closing,
                &self.closing_tally,
                self.mono_ns,
            )?;
        }
        if fresh.tally().frames + fresh.tally().events == 0 {
            super::remove(self.vfs, fresh.path())?;
            return Ok(Rewritten::Empty);
        }
        let frames = fresh.tally().frames;
        Ok(Rewritten::Sealed(Box::new(Closed {
            segment: self.close(fresh)?,
            frames,
            cut_bytes: self.cut_bytes,
            detail: self.detail.join("; "),
            kept: self.kept,
        })))
    }

    /// Syncs the fresh file while it is hidden, then gives it the name.
    fn close(&self, fresh: ActiveSegment) -> Result<SealedSegment, SegmentError> {
        let hidden = fresh.path().to_owned();
        let mut sealed = fresh
            .seal(self.sealed.unwrap_or(Durability::Fsync))
            .map_err(|unsealed| refused(unsealed.fault, &hidden))?;
        if self.plan.apart.is_some() {
            return Ok(sealed);
        }
        self.vfs
            .rename(&hidden, self.path)
            .map_err(SegmentError::io("replace", self.path))?;
        self.path.clone_into(&mut sealed.path);
        let dir = self.path.parent().unwrap_or(Path::new("."));
        self.vfs
            .sync_dir(dir)
            .map_err(SegmentError::io("sync directory", dir))?;
        Ok(sealed)
    }

    /// An event at the time of the last record: recovery has no clock.
    fn event(&mut self, event: &serde_json::Value) {
        push_event(
            &mut self.closing,
            self.last_ns,
            None,
            event.to_string().as_bytes(),
        );
        self.closing_tally.event(self.last_ns);
    }

    fn kept_name(&self, offset: u64, what: &str) -> String {
        format!("{}.{offset}.{what}", name_of(self.path))
    }

    /// Keeps bytes in a file of their own, durable on return. They may be there already.
    fn keep(&mut self, name: &str, bytes: &[u8]) -> Result<(), SegmentError> {
        let (vfs, dir) = (self.vfs, self.plan.quarantine);
        let path = dir.join(name);
        let write = || -> io::Result<()> {
            if let Ok(mut file) = vfs.open(&path) {
                if read_to_end(file.as_ref())? == bytes {
                    file.sync_data()?;
                    return vfs.sync_dir(dir);
                }
                drop(file);
                vfs.unlink(&path)?;
            }
            let mut file = vfs.create_new(&path)?;
            append_all(file.as_mut(), bytes)?;
            file.sync_data()?;
            vfs.sync_dir(dir)
        };
        write().map_err(SegmentError::io("keep damaged bytes in", &path))?;
        self.kept.push(path);
        Ok(())
    }
}

fn name_of(path: &Path) -> Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

/// Where the fresh file grows.
fn hidden(path: &Path, plan: &Plan<'_>) -> PathBuf {
    let dir = plan.apart.or(path.parent()).unwrap_or(Path::new("."));
    dir.join(format!(".recovering_{}", name_of(path)))
}

/// The seal's sync makes all groups durable at once.
fn commit(
    fresh: &mut ActiveSegment,
    lines: &mut Vec<u8>,
    tally: &Tally,
    mono_ns: u64,
) -> Result<(), SegmentError> {
    fresh
        .commit(lines, tally, mono_ns, false)
        .map_err(|fault| refused(fault, fresh.path()))
}

fn refused(fault: WriteFault, path: &Path) -> SegmentError {
    match fault {
        WriteFault::NoSpace => SegmentError::io("write", path)(io::ErrorKind::StorageFull.into()),
        WriteFault::Poisoned(error) => error,
    }
}
