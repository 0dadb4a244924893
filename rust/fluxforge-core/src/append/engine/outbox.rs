//! Segments that take no more records, on their way to ready/.

use std::collections::VecDeque;

use crate::append::active::ActiveSegment;
use crate::recover::{OpenConnections, Place, Plan, Rewritten, remove, rewrite};
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
}

/// In the order in which they must be published: one may continue the one before it.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: VecDeque<Unpublished>,
    /// Why the first of them still waits.
    error: Option<SegmentError>,
    tried_at_ns: u64,
}

impl Outbox {
    pub(super) fn push(&mut self, next: Unpublished) {
        self.waiting.push_back(next);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn error(&self) -> Option<&SegmentError> {
        self.error.as_ref()
    }

    /// Remembers what went wrong beside publishing, if nothing did in it.
    pub(super) fn note(&mut self, error: Option<SegmentError>) {
        self.error = self.error.take().or(error);
    }

    pub(super) fn take_error(&mut self) -> Option<SegmentError> {
        self.error.take()
    }

    /// Publishes what waits, except the last `kept`: at once the first time, and now and then after
    /// a failure.
    pub(super) fn publish_if_due(
        &mut self,
        vfs: &dyn Vfs,
        place: &Place,
        mono_ns: impl Fn() -> u64,
        kept: usize,
    ) {
        if self.waiting.len() <= kept {
            return;
        }
        let waited = || mono_ns().saturating_sub(self.tried_at_ns);
        if self.error.is_none() || waited() >= RETRY_NS {
            self.publish(vfs, place, mono_ns(), kept);
        }
    }

    /// Publishes in order all but the last `kept`, up to the first that fails; that one is tried
    /// again later.
    pub(super) fn publish(&mut self, vfs: &dyn Vfs, place: &Place, mono_ns: u64, kept: usize) {
        self.tried_at_ns = mono_ns;
        self.error = None;
        while self.waiting.len() > kept {
            match publish_one(vfs, place, &self.waiting[0]) {
                Ok(()) => drop(self.waiting.pop_front()),
                Err(error) => {
                    self.error = Some(error);
                    return;
                }
            }
        }
    }
}

fn publish_one(vfs: &dyn Vfs, place: &Place, next: &Unpublished) -> Result<(), SegmentError> {
    let segment = match next {
        Unpublished::Sealed(sealed) => return sealed.publish(vfs, &place.ready),
        Unpublished::Poisoned(segment) => segment,
    };
    let plan = Plan {
        cut: Some(segment.last_checkpoint()),
        ends_connections: false,
        quarantine: &place.quarantine,
        apart: None,
    };
    let header = segment.header().clone();
    let connections = &mut OpenConnections::default();
    match rewrite(
        vfs,
        segment.file(),
        segment.path(),
        header,
        &plan,
        connections,
    )? {
        Rewritten::Sealed(closed) => closed.segment.publish(vfs, &place.ready),
        Rewritten::Empty => remove(vfs, segment.path()),
        Rewritten::Unprovable => Err(SegmentError::Damaged {
            path: segment.path().to_owned(),
            detail: "its durable groups cannot be read back".to_owned(),
        }),
    }
}
