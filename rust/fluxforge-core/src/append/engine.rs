//! What the writer's thread does, without the thread: groups in, durable segments out.

mod opening;
mod outbox;
mod start;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::active::{ActiveSegment, WriteFault};
use super::counter::Counter;
use super::room::{Lack, PAUSE};
use super::{WriterConfig, queue::Group};
use crate::clock::Clock;
use crate::recover::{OpenConnections, remove};
use crate::segment::{Continues, Durability, Hour, SegmentError};
use crate::vfs::{Vfs, VfsFile};
use opening::Reserved;
use outbox::{Outbox, Unpublished};

/// What the thread and its callers tell each other without a lock.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    pub(crate) waiting_for_space: AtomicBool,
    pub(crate) closing: AtomicBool,
    /// Whoever empties ready/ does not keep up: nothing more is written for now.
    pub(crate) held: AtomicBool,
}

#[derive(Debug)]
struct Open {
    segment: ActiveSegment,
    hour: Hour,
    opened_ns: u64,
}

/// Owns the open segment and those on their way to ready/.
#[derive(Debug)]
pub(crate) struct Engine {
    vfs: Arc<dyn Vfs>,
    clock: Arc<dyn Clock>,
    config: WriterConfig,
    signals: Arc<Signals>,
    counter: Counter,
    open: Option<Open>,
    outbox: Outbox,
    reserved: Option<Reserved>,
    /// Where the segment before the next one was cut, if the disk failed under it.
    continues: Option<Continues>,
    /// As the durable records leave them.
    connections: OpenConnections,
    /// Nothing has become durable since the disk failed, other than by being full.
    failed: bool,
    pub(crate) sealed: u64,
    pub(crate) poisonings: u64,
    /// Held as long as this lives.
    _lock: Box<dyn VfsFile>,
}

impl Engine {
    /// Makes a group durable, in a new segment if need be. An error means: stop.
    pub(crate) fn write(&mut self, group: &mut Group) -> Result<(), SegmentError> {
        if self.is_due(group.lines.len() as u64) {
            self.change_segment(true)?;
        }
        let sync = self.config.durability == Durability::Fsync;
        let mut patience = None;
        loop {
            self.wait_while_held();
            self.wait_for_min_free(&mut patience)?;
            let clock = self.clock.clone();
            let Some(open) = self.ensure_open(&mut patience)? else {
                continue;
            };
            // After the header's own: the clock never goes back within a segment.
            let mono_ns = clock.mono_ns();
            match open
                .segment
                .commit(&mut group.lines, &group.tally, mono_ns, sync)
            {
                Ok(()) => break,
                Err(WriteFault::NoSpace) => self.wait_for_space(&mut patience)?,
                Err(WriteFault::Poisoned(error)) => {
                    self.poisoned(&error)?;
                    if error.is_no_space() {
                        // Some file systems look for room only when they are told to sync.
                        self.wait_for_space(&mut patience)?;
                    }
                }
            }
        }
        self.connections.apply(&group.changes);
        self.failed = false;
        self.signals
            .waiting_for_space
            .store(false, Ordering::Relaxed);
        self.publish_if_due();
        Ok(())
    }

    /// Seals the open segment if its age or the hour says so. Called also when the feed is silent.
    pub(crate) fn tick(&mut self) -> Result<(), SegmentError> {
        if self.has_records() && self.is_due(0) {
            self.change_segment(true)?;
        }
        self.publish_if_due();
        Ok(())
    }

    /// Seals the open segment, if there is one with records, and publishes.
    pub(crate) fn rotate(&mut self) -> Result<(), SegmentError> {
        if self.has_records() {
            self.change_segment(true)?;
        }
        self.publish_all();
        Ok(())
    }

    /// Seals and publishes everything; what cannot be published is safe in active/ and is an error.
    pub(crate) fn close(&mut self) -> Result<(), SegmentError> {
        self.change_segment(false)?;
        self.outbox.take_error().map_or(Ok(()), Err)
    }

    /// Closes the open segment. While connections are open, the next one is there before that: its
    /// header names them, so that a crash between the two still ends them in a gap.
    fn change_segment(&mut self, goes_on: bool) -> Result<(), SegmentError> {
        let had_records = self.has_records();
        if let Some(Open { mut segment, .. }) = self.open.take() {
            if goes_on && !self.connections.is_empty() {
                self.open = Some(self.open_successor()?);
            }
            if !had_records {
                // Opened for its header, and then nothing came.
                let removed = remove(self.vfs.as_ref(), segment.path());
                drop(segment);
                self.publish_all();
                self.outbox.note(removed.err());
                return Ok(());
            }
            let mut patience = None;
            loop {
                let unsealed = match segment.seal(self.config.durability) {
                    Ok(sealed) => {
                        self.failed = false;
                        self.outbox.push(Unpublished::Sealed(sealed));
                        break;
                    }
                    Err(unsealed) => *unsealed,
                };
                match unsealed.fault {
                    WriteFault::NoSpace => {
                        segment = unsealed.segment;
                        self.wait_for_space(&mut patience)?;
                    }
                    WriteFault::Poisoned(error) => {
                        // All its groups are durable: a copy of them can be sealed.
                        self.outbox.push(Unpublished::Poisoned(unsealed.segment));
                        self.count_failure(&error)?;
                        break;
                    }
                }
            }
            self.signals
                .waiting_for_space
                .store(false, Ordering::Relaxed);
            self.sealed += 1;
        }
        self.publish_all();
        Ok(())
    }

    /// Whether anything is left to do as time passes.
    pub(crate) fn is_idle(&self) -> bool {
        self.open.is_none() && self.outbox.is_empty()
    }

    /// Why sealed segments still lie in active/.
    pub(crate) fn publish_error(&self) -> Option<String> {
        self.outbox.error().map(ToString::to_string)
    }

    fn has_records(&self) -> bool {
        let tally = self.open.as_ref().map(|open| open.segment.tally());
        tally.is_some_and(|tally| tally.frames + tally.events > 0)
    }

    fn is_due(&self, incoming: u64) -> bool {
        let Some(open) = &self.open else { return false };
        let age = self.clock.mono_ns().saturating_sub(open.opened_ns);
        let is_full = open.segment.len() + incoming > self.config.segment_max_bytes;
        (is_full && self.has_records())
            || age >= self.config.segment_max_ns
            || Hour::of(self.clock.wall_ns()) > open.hour
    }

    /// Gives the open file up for good. What it does not hold goes to the next one.
    fn poisoned(&mut self, error: &SegmentError) -> Result<(), SegmentError> {
        let has_records = self.has_records();
        match self.open.take() {
            Some(Open { segment, .. }) if has_records => {
                let checkpoint = segment.last_checkpoint();
                let uid = segment.header().uid.clone();
                self.continues = Some(Continues { uid, checkpoint });
                self.outbox.push(Unpublished::Poisoned(segment));
            }
            Some(Open { segment, hour, .. }) => {
                let header = segment.header();
                self.continues.clone_from(&header.continues);
                let (name, holder) = (header.name.clone(), Some(segment));
                self.reserved = Some(Reserved { name, hour, holder });
            }
            None => {}
        }
        self.count_failure(error)
    }

    /// The second failure in a row is the last; a full disk is none.
    fn count_failure(&mut self, error: &SegmentError) -> Result<(), SegmentError> {
        self.poisonings += 1;
        if error.is_no_space() {
            return Ok(());
        }
        if std::mem::replace(&mut self.failed, true) {
            return Err(SegmentError::Stopped {
                errno: error.errno(),
                message: format!(
                    "{error}; a new segment did not help, so capture has stopped. What was \
                     reported durable is safe and will be recovered at the next start: check the \
                     disk, then start again"
                ),
            });
        }
        Ok(())
    }

    /// Publishes what waits, whether the feed is silent or not.
    ///
    /// Without an open segment the last of them stays: it alone tells a recovery which connections
    /// were open.
    fn publish_if_due(&mut self) {
        let kept = usize::from(self.open.is_none() && !self.connections.is_empty());
        let mono_ns = || self.clock.mono_ns();
        self.outbox
            .publish_if_due(self.vfs.as_ref(), &self.config.place, mono_ns, kept);
    }

    fn publish_all(&mut self) {
        let now_ns = self.clock.mono_ns();
        self.outbox
            .publish(self.vfs.as_ref(), &self.config.place, now_ns, 0);
    }

    /// A writer that is being closed writes what it has taken: that much more is bounded too.
    fn wait_while_held(&mut self) {
        let signals = self.signals.clone();
        while signals.held.load(Ordering::Relaxed) && !signals.closing.load(Ordering::Relaxed) {
            self.clock.pause(PAUSE);
            self.publish_if_due();
        }
    }

    fn wait_for_min_free(&mut self, patience: &mut Option<u64>) -> Result<(), SegmentError> {
        let dir: &Path = &self.config.place.active.clone();
        let wanted = self.config.min_free_bytes;
        if wanted == 0 {
            return Ok(());
        }
        // A file system that cannot say how full it is does not stop capture.
        while let Some(free) = self.vfs.free_bytes(dir).ok().filter(|free| *free < wanted) {
            let lack = Lack::MinFree { dir, free, wanted };
            lack.wait(self.clock.as_ref(), &self.signals, patience)?;
            self.publish_if_due();
        }
        Ok(())
    }

    fn wait_for_space(&mut self, patience: &mut Option<u64>) -> Result<(), SegmentError> {
        let lack = Lack::Space {
            dir: &self.config.place.active,
        };
        lack.wait(self.clock.as_ref(), &self.signals, patience)?;
        // What lies in ready/ can be consumed, and makes room.
        self.publish_if_due();
        Ok(())
    }
}
