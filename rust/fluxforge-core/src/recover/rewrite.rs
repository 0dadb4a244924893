//! Copies what a segment proves to a fresh file, and closes that.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::closing::{Closing, Findings};
use super::{OpenConnections, name_of};
use crate::append::active::{ActiveSegment, WriteFault};
use crate::seal::SealedSegment;
use crate::segment::{
    Body, BrokenSeal, Checkpoint, Durability, GroupReader, Header, Opening, Piece, Record,
    SealLine, SegmentError, Tally, parse_timestamp,
};
use crate::vfs::{Vfs, VfsFile};

/// How a segment is to be closed.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    /// The last checkpoint that counts, where the disk failed after it.
    pub(crate) cut: Option<u64>,
    /// Whether the connections still open end here.
    pub(crate) ends_connections: bool,
    /// Those that the writer's next segment says were open when it began: they end there.
    pub(crate) carried: Option<&'a BTreeMap<String, String>>,
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
    /// The sealed file.
    pub(crate) segment: SealedSegment,
    /// Its frames.
    pub(crate) frames: u64,
    /// What a person should know.
    pub(crate) findings: Findings,
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
            Piece::Group {
                lines, checkpoint, ..
            } if plan.cut.is_some_and(|cut| checkpoint.n > cut) => {
                copy.tell_corrupt(Some((&checkpoint, frames_in(&lines))));
                break;
            }
            Piece::Group {
                lines, checkpoint, ..
            } => copy.group(lines, &checkpoint)?,
            Piece::Corrupt { offset, bytes } => copy.corrupt(offset, &bytes)?,
            Piece::Seal(seal) => copy.seal(&seal)?,
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
    /// The last checkpoint that was proved.
    last: Option<Checkpoint>,
    /// Corrupt bytes that no group has followed yet: where, how many, and where they are kept.
    corrupt: Option<(u64, usize, String)>,
    /// The group that ends the fresh file.
    closing: Closing<'a>,
}

impl<'a> Copy<'a> {
    fn new(
        vfs: &'a dyn Vfs,
        path: &'a Path,
        header: Header,
        plan: &'a Plan<'a>,
        open: &'a mut OpenConnections,
    ) -> Self {
        let mut closing = Closing::new(vfs, plan, name_of(path));
        closing.last_ns = parse_timestamp(header.created.as_bytes()).unwrap_or(0);
        open.carry(&header.open);
        Self {
            vfs,
            path,
            plan,
            open,
            header,
            fresh: None,
            sealed: None,
            last: None,
            corrupt: None,
            closing,
        }
    }

    fn group(&mut self, mut lines: Vec<u8>, proof: &Checkpoint) -> Result<(), SegmentError> {
        // By what it says, not by its number: a sum can be right over a number that is not.
        let is_header = Opening::read(&lines) == Opening::Segment(self.header.clone());
        if self.fresh.is_none() {
            let mut rebuilt = Vec::new();
            if !is_header {
                self.distrust_header();
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
        self.tell_corrupt(Some((proof, tally.frames)));
        if let (Some(fresh), false) = (&mut self.fresh, is_header) {
            commit(fresh, &mut lines, &tally, proof.mono_ns)?;
        }
        if let Some((_, last)) = tally.span {
            self.closing.last_ns = last.max(self.closing.last_ns);
        }
        self.last = Some(*proof);
        Ok(())
    }

    /// Line 1 can be read, or we would not be here; its own proof was lost, so it may say what its
    /// writer did not. With a proof of its own, an order to cut another segment would be obeyed.
    fn distrust_header(&mut self) {
        if self.header.continues.take().is_some() {
            self.closing.findings.say(
                "its first line is not proved: which segment it continues is not repeated".into(),
            );
        }
    }

    fn corrupt(&mut self, offset: u64, bytes: &[u8]) -> Result<(), SegmentError> {
        let kept = self.closing.keep(offset, "corrupt", bytes)?;
        self.corrupt = Some((offset, bytes.len(), kept));
        Ok(())
    }

    /// Says what is known of the corrupt bytes before a group with so many frames, or before the
    /// end.
    fn tell_corrupt(&mut self, before: Option<(&Checkpoint, u64)>) {
        if let Some((offset, bytes, kept)) = self.corrupt.take() {
            let proved = self.last.map_or(0, |last| last.frames);
            let lost = before.map(|(next, frames)| {
                let before = next.frames.saturating_sub(frames);
                before.saturating_sub(proved)
            });
            self.closing.corrupt(offset, bytes, &kept, lost);
        }
    }

    fn tail(&mut self, offset: u64, bytes: &[u8]) -> Result<(), SegmentError> {
        let Some(last) = self.last else {
            // Nothing was proved: the whole file goes to quarantine as it is.
            return Ok(());
        };
        match self.plan.cut {
            None => match BrokenSeal::find(bytes) {
                Some(broken) => self.rotten(offset, bytes, &broken, last.frames),
                None => self.closing.torn(offset, bytes),
            },
            Some(cut) if last.n < cut => self.corrupt(offset, bytes),
            // It was written again in the segment that goes on from there.
            Some(_) => Ok(()),
        }
    }

    /// A seal that holds; what it counts may have rotted all the same.
    fn seal(&mut self, seal: &SealLine) -> Result<(), SegmentError> {
        self.sealed = Some(seal.durability);
        let counts_right = |fresh: &ActiveSegment| seal.counts(fresh.tally());
        if self.closing.findings.is_damaged || self.fresh.as_ref().is_none_or(counts_right) {
            return Ok(());
        }
        let mut line = Vec::new();
        seal.push(&mut line);
        let kept = self.closing.keep(seal.bytes, "corrupt", &line)?;
        self.closing.corrupt(seal.bytes, line.len(), &kept, Some(0));
        Ok(())
    }

    /// The end of a sealed segment, with a seal that does not hold.
    fn rotten(
        &mut self,
        offset: u64,
        bytes: &[u8],
        BrokenSeal { line, seal }: &BrokenSeal,
        proved: u64,
    ) -> Result<(), SegmentError> {
        if self.closing.findings.is_damaged && *line == (0..bytes.len()) {
            // Over damaged bytes no seal can hold. It gets another.
            return Ok(());
        }
        let kept = self.closing.keep(offset, "corrupt", bytes)?;
        let lost = match seal {
            Some(seal) => Some(seal.frames.saturating_sub(proved)),
            None => (line.start == 0).then_some(0),
        };
        self.closing.corrupt(offset, bytes.len(), &kept, lost);
        Ok(())
    }

    /// Says what there is to say, and lets the fresh file take the old one's place.
    fn finish(mut self, old: &dyn VfsFile) -> Result<Rewritten, SegmentError> {
        let Some(mut fresh) = self.fresh.take() else {
            return Ok(Rewritten::Unprovable);
        };
        self.tell_corrupt(None);
        if let Some(checkpoint) = self.plan.cut {
            let old_len = old.len().map_err(SegmentError::io("look up", self.path))?;
            self.cut_at(checkpoint, old_len.saturating_sub(fresh.len()));
        }
        // Also where another segment goes on: it does not name a connection whose end was in groups
        // that are lost here.
        if self.plan.ends_connections && self.sealed.is_none() {
            self.closing.end_connections(self.open);
        }
        let Closing { lines, tally, .. } = &mut self.closing;
        if !lines.is_empty() {
            let mono_ns = self.last.map_or(0, |last| last.mono_ns);
            commit(&mut fresh, lines, tally, mono_ns)?;
        }
        // Lines that a checkpoint proves are kept, also where no reader of ours knows what they are.
        if fresh.last_checkpoint() == 0 {
            super::remove(self.vfs, fresh.path())?;
            return Ok(Rewritten::Empty);
        }
        let frames = fresh.tally().frames;
        Ok(Rewritten::Sealed(Box::new(Closed {
            segment: self.close(fresh)?,
            frames,
            findings: self.closing.findings,
        })))
    }

    fn cut_at(&mut self, checkpoint: u64, bytes: u64) {
        let findings = &mut self.closing.findings;
        findings.cut_bytes = bytes;
        findings.say(format!(
            "cut at checkpoint {checkpoint}, where the disk failed"
        ));
        let last = self.last.map_or(0, |last| last.n);
        if last < checkpoint {
            findings.is_damaged = true;
            findings.say(format!("nothing after checkpoint {last} is proved"));
        }
    }

    /// Syncs the fresh file while it is hidden, then gives it the name.
    fn close(&self, fresh: ActiveSegment) -> Result<SealedSegment, SegmentError> {
        let hidden = fresh.path().to_owned();
        let meant = self.sealed.or(self.header.durability);
        let mut sealed = fresh
            .seal(meant.unwrap_or(Durability::Fsync))
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
}

fn frames_in(lines: &[u8]) -> u64 {
    let records = lines.split(|&byte| byte == b'\n').filter_map(Record::read);
    records
        .filter(|record| matches!(record.body, Body::Frame(_)))
        .count() as u64
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
