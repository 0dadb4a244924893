//! Taking frames and making them durable, a group at a time.
//!
//! # What is promised
//!
//! `append` copies a record into a queue bounded in bytes and returns its *position*, counted
//! from 1 over all of this writer's segments. A thread of its own takes the queue's records as a
//! group, at most 1 MiB, writes them with one write and makes them durable with one sync, then
//! publishes the *durable position*. The next group is what queued up meanwhile: never two at
//! once, never a wait for more. A record whose position is durable is found again after any
//! crash, in this order, exactly once.
//!
//! # The order in which things reach the disk
//!
//! 1. The counter, one higher (fresh file, sync, rename, sync of active/): no name twice.
//! 2. The segment's header and checkpoint 0 under a hidden name, locked, synced; then its name,
//!    and active/ is synced. A segment is opened by its first group; at a rotation while
//!    connections are open already before the old one is sealed, because its header names them.
//! 3. Each group with its checkpoint: one write, one fdatasync. Only then is it reported.
//! 4. By size, age, UTC hour or on request: the seal, as [`crate::seal`] says. A segment without
//!    records is never sealed; it is removed.
//!
//! # What one finds after a crash
//!
//! | crash | then |
//! |---|---|
//! | before 2 is done | at most hidden files and an unused number |
//! | after 2 | a header, which may name open connections: recovery ends them in a `gap` |
//! | in 3 | a segment whose last checkpoint proves all that was reported; [`crate::recover`] |
//!
//! # When the disk refuses
//!
//! *Full* (`ENOSPC`, `EDQUOT`, a short write that ends so): the file is cut back to its last
//! checkpoint and the group tried again until there is room; the queue fills, and the caller
//! waits. *Anything else*, and any failed sync or failed cut, poisons the file: after a failed
//! sync nobody knows what of it the disk has, and a second sync would say "fine" and lie. It is
//! never synced again. The group, still in memory, goes to a new segment whose header
//! `continues` the old one from its last checkpoint. The durable prefix of the old one is copied,
//! sealed and published before the new one is. One in which nothing was durable is not kept: the
//! new one takes its name, and continues what it continued. If the new one fails too before anything became
//! durable in it, the writer stops for good and says why; a full disk never counts.

pub(crate) mod active;
mod config;
mod counter;
mod engine;
#[cfg(test)]
mod model;
mod queue;
mod room;
mod signals;
mod stats;
#[cfg(test)]
mod tests;
mod thread;
mod wake;

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::clock::Clock;
use crate::recover::Recovered;
use crate::segment::{SegmentError, conn_is_valid, event_kind};
use crate::vfs::Vfs;
pub use config::{OnFull, WriterConfig};
pub(crate) use counter::LOCK_FILE;
use engine::Engine;
use queue::Queue;
use signals::Signals;
use stats::Metrics;
pub use stats::WriterStats;
use wake::WakePipe;

/// Takes records from any thread; writes them on its own.
#[derive(Debug)]
pub struct SegmentWriter {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    recovered: Vec<Recovered>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// The thread sleeps on this.
    work: Condvar,
    /// Whoever waits for a rotation sleeps on this.
    progress: Condvar,
    durable: AtomicU64,
    mark: Mutex<Mark>,
    metrics: Mutex<Metrics>,
    signals: Arc<Signals>,
    wake: WakePipe,
    queue_max_bytes: usize,
    on_full: OnFull,
}

#[derive(Debug, Default)]
struct State {
    queue: Queue,
    dropped: u64,
    sleeping: bool,
    closing: bool,
    /// Rotations asked for: up to which position, and how many in all.
    rotate_after: Option<u64>,
    rotations_asked: u64,
    rotations_done: u64,
    /// Why the thread has ended, once it has.
    ended: Option<Result<(), Stop>>,
}

/// How far a writer has come, for whoever carries its bytes elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Every record up to this position is durable, and lies before the place below.
    pub position: u64,
    /// The file name of the segment that took the last of them; empty before there is one. It may
    /// have been sealed since.
    pub segment: String,
    /// How many of its bytes are durable. They end with a checkpoint.
    pub bytes: u64,
}

/// Why the writer stopped for good.
#[derive(Clone, Debug)]
struct Stop {
    message: String,
    errno: Option<i32>,
}

impl From<Stop> for SegmentError {
    fn from(Stop { message, errno }: Stop) -> Self {
        Self::Stopped { message, errno }
    }
}

/// A lock whose holder panicked guards counters that are still whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SegmentWriter {
    /// Makes the directories, closes what dead writers left, and starts the thread.
    pub fn start(
        vfs: Arc<dyn Vfs>,
        clock: Arc<dyn Clock>,
        config: WriterConfig,
    ) -> Result<Self, SegmentError> {
        config.check()?;
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            work: Condvar::new(),
            progress: Condvar::new(),
            durable: AtomicU64::new(0),
            mark: Mutex::default(),
            metrics: Mutex::new(Metrics::new()),
            signals: Arc::default(),
            wake: WakePipe::new()?,
            queue_max_bytes: config.queue_max_bytes,
            on_full: config.on_full,
        });
        let (engine, recovered) =
            Engine::start(vfs, clock.clone(), config, shared.signals.clone())?;
        lock(&shared.metrics).counts.segments_recovered = recovered
            .iter()
            .filter(|one| one.outcome == crate::recover::Outcome::Sealed)
            .count() as u64;
        let for_thread = shared.clone();
        let thread = std::thread::Builder::new()
            .name("fluxforge-writer".to_owned())
            .spawn(move || for_thread.run(engine, clock.as_ref()))
            .map_err(|error| SegmentError::Stopped {
                message: format!("cannot start the writer's thread: {error}"),
                errno: error.raw_os_error(),
            })?;
        Ok(Self {
            shared,
            thread: Mutex::new(Some(thread)),
            recovered,
        })
    }

    /// Queues a frame and returns its position; 0 if it was dropped.
    pub fn append(&self, frame: &[u8], capture_ns: i64, conn: &str) -> Result<u64, SegmentError> {
        if !conn_is_valid(conn) {
            return Err(invalid_conn(conn));
        }
        let Shared {
            queue_max_bytes: limit,
            ..
        } = *self.shared;
        let len = conn.len() + frame.len();
        let mut state = self.shared.open_state()?;
        if state.queue.has_room(len, limit) {
            let position = state.queue.push_frame(frame, capture_ns, conn);
            self.shared.notify(state);
            return Ok(position);
        }
        match self.shared.on_full {
            OnFull::Block => Err(SegmentError::QueueFull {
                queued: state.queue.queued,
                limit,
            }),
            OnFull::Drop => {
                state.queue.lose(frame.len(), capture_ns, conn);
                state.dropped += 1;
                Ok(0)
            }
        }
    }

    /// Queues an event of ours, one JSON object with a string `kind`, and returns its position.
    /// Events are few and tell what was lost: they are never refused for space.
    pub fn append_event(
        &self,
        event: &[u8],
        capture_ns: i64,
        conn: Option<&str>,
    ) -> Result<u64, SegmentError> {
        if let Some(conn) = conn.filter(|conn| !conn_is_valid(conn)) {
            return Err(invalid_conn(conn));
        }
        if event_kind(event).is_none() {
            return Err(SegmentError::Invalid(
                "an event is one JSON object on one line with a string \"kind\"".to_owned(),
            ));
        }
        let mut state = self.shared.open_state()?;
        let position = state.queue.push_event(event, capture_ns, conn);
        self.shared.notify(state);
        Ok(position)
    }

    /// Every record up to this position is durable.
    pub fn durable_position(&self) -> u64 {
        self.shared.durable.load(Ordering::SeqCst)
    }

    /// Where the records up to a durable position lie: in the open segment up to a checkpoint, and
    /// in those before it.
    pub fn durable_mark(&self) -> Mark {
        lock(&self.shared.mark).clone()
    }

    /// The position of the last record accepted.
    pub fn accepted_position(&self) -> u64 {
        lock(&self.shared.state).queue.accepted
    }

    /// Bytes of records that are not durable yet.
    pub fn queue_bytes(&self) -> usize {
        lock(&self.shared.state).queue.queued
    }

    /// The bound of the queue.
    pub fn queue_max_bytes(&self) -> usize {
        self.shared.queue_max_bytes
    }

    /// A descriptor that is readable after each group became durable, and when the writer ends.
    pub fn wake_fd(&self) -> RawFd {
        self.shared.wake.fd()
    }

    /// Empties the descriptor; look at the positions after this.
    pub fn acknowledge_wake(&self) {
        self.shared.wake.acknowledge();
    }

    /// Why the writer stopped for good, if it did.
    pub fn error(&self) -> Option<SegmentError> {
        match &lock(&self.shared.state).ended {
            Some(Err(stop)) => Some(stop.clone().into()),
            _ => None,
        }
    }

    /// What has been counted so far.
    pub fn stats(&self) -> WriterStats {
        let (queue_bytes, dropped) = {
            let state = lock(&self.shared.state);
            (state.queue.queued as u64, state.dropped)
        };
        let mut stats = lock(&self.shared.metrics).snapshot();
        (stats.dropped, stats.queue_bytes) = (dropped, queue_bytes);
        self.shared.signals.fill(&mut stats);
        stats
    }

    /// What recovery found at the start.
    pub fn recovered(&self) -> &[Recovered] {
        &self.recovered
    }

    /// Has the writer write nothing more, or go on. What it takes meanwhile waits in the queue, and
    /// a full queue does what [`OnFull`] says; closing ends it.
    pub fn hold(&self, held: bool) {
        self.shared.signals.hold(held);
    }

    /// Seals the segment that holds everything accepted so far. Blocks until it lies in ready/, or
    /// [`WriterStats::publish_error`] says why it waits in active/.
    pub fn rotate(&self) -> Result<(), SegmentError> {
        let mut state = self.shared.open_state()?;
        state.rotations_asked += 1;
        state.rotate_after = Some(state.queue.accepted);
        let ticket = state.rotations_asked;
        self.shared.work.notify_one();
        while state.rotations_done < ticket && state.ended.is_none() {
            state = self
                .shared
                .progress
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.ended.clone().unwrap_or(Ok(())).map_err(Into::into)
    }

    /// Writes what is queued, seals, moves to ready/ and ends the thread. May be called again.
    pub fn close(&self) -> Result<(), SegmentError> {
        self.shared.signals.close();
        lock(&self.shared.state).closing = true;
        self.shared.work.notify_one();
        if let Some(thread) = lock(&self.thread).take() {
            // A panic has been reported through `ended`.
            let _ = thread.join();
        }
        lock(&self.shared.state)
            .ended
            .clone()
            .unwrap_or(Ok(()))
            .map_err(Into::into)
    }
}

impl Drop for SegmentWriter {
    fn drop(&mut self) {
        // Whoever wants to know calls `close`.
        let _ = self.close();
    }
}

#[cold]
fn invalid_conn(conn: &str) -> SegmentError {
    SegmentError::Invalid(format!(
        "a connection's name is 1 to 64 printable ASCII characters without quote and backslash, \
         not {conn:?}"
    ))
}

impl Shared {
    fn open_state(&self) -> Result<MutexGuard<'_, State>, SegmentError> {
        let state = lock(&self.state);
        match &state.ended {
            Some(Err(stop)) => Err(stop.clone().into()),
            _ if state.closing => Err(SegmentError::Closed),
            _ => Ok(state),
        }
    }

    /// Wakes the thread if it sleeps; while it writes it will look by itself.
    fn notify(&self, mut state: MutexGuard<'_, State>) {
        let was_sleeping = std::mem::take(&mut state.sleeping);
        drop(state);
        if was_sleeping {
            self.work.notify_one();
        }
    }
}
