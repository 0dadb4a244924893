//! What the writer's thread does, without the thread: groups in, durable segments out.

mod opening;
mod outbox;
mod start;

use std::sync::Arc;

use super::active::{ActiveSegment, WriteFault};
use super::counter::Counter;
use super::room::{PAUSE, Patience, gave_up};
use super::signals::Signals;
use super::{WriterConfig, queue::Group};
use crate::clock::Clock;
use crate::recover::OpenConnections;
use crate::segment::{Continues, Durability, Hour, SegmentError};
use crate::vfs::{Vfs, VfsFile};
use opening::Reserved;
use outbox::{Outbox, Unpublished};

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
    patience: Patience,
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
        loop {
            self.wait_while_held();
            self.wait_for_min_free();
            let clock = self.clock.clone();
            let Some(open) = self.ensure_open()? else {
                continue;
            };
            // After the header's own: the clock never goes back within a segment.
            let mono_ns = clock.mono_ns();
            match open
                .segment
                .commit(&mut group.lines, &group.tally, mono_ns, sync)
            {
                Ok(()) => break,
                Err(WriteFault::NoSpace) => self.wait_for_space()?,
                Err(WriteFault::Poisoned(error)) => {
                    self.poisoned(&error)?;
                    if error.is_no_space() {
                        // Some file systems look for room only when they are told to sync.
                        self.wait_for_space()?;
                    }
                }
            }
        }
        self.connections.apply(&group.changes);
        self.failed = false;
        self.signals.wait_for_space(false);
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

    /// Seals and publishes everything; what cannot be published is safe in active/ and is an error,
    /// and so is what a failing disk has lost.
    pub(crate) fn close(&mut self) -> Result<(), SegmentError> {
        self.change_segment(false)?;
        self.outbox.close()
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
                self.outbox.push(Unpublished::Empty(segment));
                self.publish_all();
                return Ok(());
            }
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
                        self.wait_for_space()?;
                    }
                    WriteFault::Poisoned(error) => {
                        // All its groups are durable: a copy of them can be sealed.
                        self.outbox.push(Unpublished::Poisoned(unsealed.segment));
                        self.count_failure(&error)?;
                        break;
                    }
                }
            }
            self.signals.wait_for_space(false);
            self.signals.sealed();
        }
        self.publish_all();
        Ok(())
    }

    /// Whether anything is left to do as time passes.
    pub(crate) fn is_idle(&self) -> bool {
        self.open.is_none() && self.outbox.is_empty()
    }

    /// The open segment's file name, and how many of its bytes are durable.
    pub(crate) fn durable_end(&self) -> Option<(&str, u64)> {
        let segment = &self.open.as_ref()?.segment;
        Some((segment.path().file_name()?.to_str()?, segment.len()))
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
        self.signals.poisoned();
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
        self.outbox
            .publish_if_due(self.vfs.as_ref(), self.clock.as_ref(), kept);
    }

    fn publish_all(&mut self) {
        self.outbox
            .publish(self.vfs.as_ref(), self.clock.as_ref(), 0);
    }

    /// A writer that is being closed writes what it has taken: that much more is bounded too.
    fn wait_while_held(&mut self) {
        while self.signals.is_held() {
            self.clock.pause(PAUSE);
            self.publish_if_due();
        }
    }

    /// While capturing, what `min_free` keeps free is for others. A writer that is closed and has
    /// waited long enough uses it rather than lose what it took.
    fn wait_for_min_free(&mut self) {
        let wanted = self.config.min_free_bytes;
        if wanted == 0 {
            return;
        }
        // A file system that cannot say how full it is does not stop capture.
        let has_less = |free: std::io::Result<u64>| free.is_ok_and(|free| free < wanted);
        while has_less(self.vfs.free_bytes(&self.config.place.active))
            && self.patience.pause(self.clock.as_ref(), &self.signals)
        {
            self.publish_if_due();
        }
    }

    fn wait_for_space(&mut self) -> Result<(), SegmentError> {
        if !self.patience.pause(self.clock.as_ref(), &self.signals) {
            return Err(gave_up(&self.config.place.active));
        }
        // What lies in ready/ can be consumed, and makes room.
        self.publish_if_due();
        Ok(())
    }
}
