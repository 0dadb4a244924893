//! Segments that take no more records, on their way to ready/.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::append::active::ActiveSegment;
use crate::append::signals::Signals;
use crate::clock::Clock;
use crate::recover::{OpenConnections, Place, Plan, Rewritten, remove, rewrite, take_in};
use crate::seal::SealedSegment;
use crate::segment::SegmentError;
use crate::vfs::Vfs;

/// How often a segment that could not be published is tried again.
const RETRY_NS: u64 = 30_000_000_000;

/// A segment that takes no more records and is not in ready/ yet.
#[derive(Debug)]
pub(super) enum Unpublished {
    Sealed(SealedSegment),
    Poisoned(ActiveSegment),
    /// Opened for its header, and then nothing came. It has to go before what follows is published:
    /// alone in active/, it would tell a recovery that the connections it names were lost.
    Empty(ActiveSegment),
}

/// In the order in which they must be published: one may continue the one before it.
#[derive(Debug)]
pub(super) struct Outbox {
    place: Place,
    signals: Arc<Signals>,
    waiting: VecDeque<Unpublished>,
    /// Why the first of them still waits.
    error: Option<SegmentError>,
    tried_at_ns: u64,
}

impl Outbox {
    pub(super) fn new(place: Place, signals: Arc<Signals>) -> Self {
        Self {
            place,
            signals,
            waiting: VecDeque::new(),
            error: None,
            tried_at_ns: 0,
        }
    }

    pub(super) fn push(&mut self, next: Unpublished) {
        self.waiting.push_back(next);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Publishes what waits, except the last `kept`: at once the first time, and now and then after
    /// a failure.
    pub(super) fn publish_if_due(&mut self, vfs: &dyn Vfs, clock: &dyn Clock, kept: usize) {
        if self.waiting.len() <= kept {
            return;
        }
        let waited = || clock.mono_ns().saturating_sub(self.tried_at_ns);
        if self.error.is_none() || waited() >= RETRY_NS {
            self.publish(vfs, clock, kept);
        }
    }

    /// Publishes in order all but the last `kept`, up to the first that fails; that one is tried
    /// again later.
    pub(super) fn publish(&mut self, vfs: &dyn Vfs, clock: &dyn Clock, kept: usize) {
        self.tried_at_ns = clock.mono_ns();
        let published = self.try_publish(vfs, kept);
        self.tell(published);
    }

    fn try_publish(&mut self, vfs: &dyn Vfs, kept: usize) -> Result<(), SegmentError> {
        while self.waiting.len() > kept {
            match &self.waiting[0] {
                Unpublished::Sealed(sealed) => {
                    sealed.publish(vfs, &self.place.ready)?;
                    self.waiting.pop_front();
                }
                Unpublished::Poisoned(segment) => match self.copy(vfs, segment)? {
                    Some(sealed) => self.waiting[0] = Unpublished::Sealed(sealed),
                    None => drop(self.waiting.pop_front()),
                },
                Unpublished::Empty(segment) => {
                    remove(vfs, segment.path())?;
                    self.waiting.pop_front();
                }
            }
        }
        Ok(())
    }

    /// Tells how the last attempt ended.
    fn tell(&mut self, published: Result<(), SegmentError>) {
        self.error = published.err();
        self.signals
            .set_publish_error(self.error.as_ref().map(ToString::to_string));
    }

    /// What is wrong when nothing more will be tried.
    pub(super) fn close(&mut self) -> Result<(), SegmentError> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        match self.signals.damage() {
            Some(message) => Err(SegmentError::Stopped {
                message,
                errno: None,
            }),
            None => Ok(()),
        }
    }

    /// Lets a sealed copy of what was durable take the file's place; `None` if there is nothing.
    ///
    /// The copy is read from a disk that has just failed. It must have all that was durable, to the
    /// byte: the groups are the file's own. What is proved is published in any case.
    fn copy(
        &self,
        vfs: &dyn Vfs,
        segment: &ActiveSegment,
    ) -> Result<Option<SealedSegment>, SegmentError> {
        let plan = Plan {
            cut: Some(segment.last_checkpoint()),
            ends_connections: false,
            carried: None,
            quarantine: &self.place.quarantine,
            apart: None,
        };
        let (file, path) = (segment.file(), segment.path());
        let header = segment.header().clone();
        let connections = &mut OpenConnections::default();
        let Rewritten::Sealed(closed) = rewrite(vfs, file, path, header, &plan, connections)?
        else {
            take_in(vfs, &self.place.quarantine, file, path)?;
            self.alarm(segment, 0, "the file lies in quarantine");
            return Ok(None);
        };
        let copied = &closed.segment.seal;
        if *copied != segment.would_be_seal(copied.durability) {
            self.alarm(segment, copied.frames, &closed.findings.detail());
        }
        Ok(Some(closed.segment))
    }

    #[cold]
    fn alarm(&self, segment: &ActiveSegment, found: u64, detail: &str) {
        self.signals.damaged(&format!(
            "{}: of {} durable frames the disk gave back {found} after it had failed ({detail}): \
             replace the disk",
            segment.path().display(),
            segment.tally().frames,
        ));
    }
}
