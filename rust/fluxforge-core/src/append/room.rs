//! Waiting for room on the disk: for ever while capturing, for a while when closing.

use std::fmt;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::engine::Signals;
use crate::clock::Clock;
use crate::segment::SegmentError;

/// How long a full disk is given before it is tried again.
pub(super) const PAUSE: Duration = Duration::from_millis(50);
/// How long a writer that is being closed waits.
const CLOSE_PATIENCE_NS: u64 = 10_000_000_000;
const MIB: u64 = 1 << 20;

/// What the disk has too little of.
#[derive(Debug)]
pub(super) enum Lack<'a> {
    /// It took no more bytes.
    Space { dir: &'a Path },
    /// It would take more, but that room is for others.
    MinFree {
        dir: &'a Path,
        free: u64,
        wanted: u64,
    },
}

impl fmt::Display for Lack<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Space { dir } => write!(f, "no space is left for {}", dir.display()),
            Self::MinFree { dir, free, wanted } => write!(
                f,
                "the disk of {} has {} MiB free, and ingestion.min_free_mb keeps {} MiB for others",
                dir.display(),
                free / MIB,
                wanted / MIB
            ),
        }
    }
}

impl Lack<'_> {
    /// Pauses once. `patience` is when the waiting began, kept by the caller between pauses.
    pub(super) fn wait(
        &self,
        clock: &dyn Clock,
        signals: &Signals,
        patience: &mut Option<u64>,
    ) -> Result<(), SegmentError> {
        signals.waiting_for_space.store(true, Ordering::Relaxed);
        if signals.closing.load(Ordering::Relaxed) {
            let since = *patience.get_or_insert_with(|| clock.mono_ns());
            if clock.mono_ns().saturating_sub(since) >= CLOSE_PATIENCE_NS {
                return Err(SegmentError::Stopped {
                    errno: Some(rustix::io::Errno::NOSPC.raw_os_error()),
                    message: format!(
                        "{self}; gave up on closing. What was reported durable is safe and will be \
                         recovered at the next start: free some space first"
                    ),
                });
            }
        }
        clock.pause(PAUSE);
        Ok(())
    }
}
