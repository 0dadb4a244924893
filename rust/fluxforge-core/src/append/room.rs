//! Waiting for room on the disk: for ever while capturing, for a while when closing.

use std::path::Path;
use std::time::Duration;

use super::signals::Signals;
use crate::clock::Clock;
use crate::segment::SegmentError;

/// How long a full disk is given before it is tried again.
pub(super) const PAUSE: Duration = Duration::from_millis(50);
/// How long a writer that is being closed waits, all in all.
const CLOSE_PATIENCE_NS: u64 = 10_000_000_000;

/// What is left of the time that a closing writer waits.
#[derive(Debug, Default)]
pub(super) struct Patience {
    /// When it first had to wait.
    since_ns: Option<u64>,
}

impl Patience {
    /// Pauses once; `false` if there has been enough of that.
    pub(super) fn pause(&mut self, clock: &dyn Clock, signals: &Signals) -> bool {
        if signals.is_closing() {
            let since = *self.since_ns.get_or_insert_with(|| clock.mono_ns());
            if clock.mono_ns().saturating_sub(since) >= CLOSE_PATIENCE_NS {
                return false;
            }
        }
        signals.wait_for_space(true);
        clock.pause(PAUSE);
        true
    }
}

/// Why a writer that was closed on a full disk stopped.
#[cold]
pub(super) fn gave_up(dir: &Path) -> SegmentError {
    SegmentError::Stopped {
        errno: Some(rustix::io::Errno::NOSPC.raw_os_error()),
        message: format!(
            "no space is left for {}; gave up on closing. What was reported durable is safe and \
             will be recovered at the next start: free some space first",
            dir.display()
        ),
    }
}
