//! The writer's thread: sleeps, takes a group, has the engine write it, tells who waits.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::engine::Engine;
use super::queue::Group;
use super::{Shared, Stop, lock};
use crate::clock::Clock;
use crate::segment::SegmentError;

/// How often age and hour are looked at while the feed is silent.
const TICK: Duration = Duration::from_millis(250);

/// What the thread does next.
enum Task {
    Write,
    Rotate(u64),
    Tick,
    Close,
}

impl Shared {
    /// The thread, to its end. A panic is an end as well: nobody may wait for ever.
    pub(super) fn run(&self, engine: Engine, clock: &dyn Clock) {
        let work = std::panic::AssertUnwindSafe(|| self.write_groups(engine, clock));
        let result = std::panic::catch_unwind(work).unwrap_or_else(|_| {
            let message = "the writer's thread panicked: this is a bug in fluxforge".to_owned();
            Err(SegmentError::Stopped {
                message,
                errno: None,
            })
        });
        let result = result.map_err(|error| Stop {
            errno: error.errno(),
            message: format!("{error}{}", self.not_kept()),
        });
        lock(&self.state).ended = Some(result);
        self.progress.notify_all();
        self.wake.wake();
    }

    /// What was taken or refused, and is in no segment.
    fn not_kept(&self) -> String {
        let state = lock(&self.state);
        let records = state.queue.accepted - self.durable.load(Ordering::SeqCst);
        let dropped = state.queue.dropped_unrecorded();
        if records + dropped == 0 {
            return String::new();
        }
        format!(
            ". Not kept: {records} records that were never reported durable, and {dropped} dropped \
             frames. The next start records a gap where a connection was open"
        )
    }

    fn write_groups(&self, mut engine: Engine, clock: &dyn Clock) -> Result<(), SegmentError> {
        let mut group = Group::default();
        loop {
            match self.next_task(&mut group, engine.is_idle()) {
                Task::Write => {
                    group.encode();
                    let before = clock.mono_ns();
                    engine.write(&mut group)?;
                    self.published(&group, clock, clock.mono_ns() - before);
                    self.marked(&engine);
                }
                Task::Rotate(ticket) => {
                    engine.rotate()?;
                    lock(&self.state).rotations_done = ticket;
                    self.progress.notify_all();
                }
                Task::Tick => engine.tick()?,
                Task::Close => return engine.close(),
            }
        }
    }

    /// Sleeps until there is something to do. Records come first, so that a rotation seals what
    /// was accepted before it.
    fn next_task(&self, group: &mut Group, idle: bool) -> Task {
        let mut state = lock(&self.state);
        let mut slept = false;
        loop {
            let durable = self.durable.load(Ordering::SeqCst);
            if state
                .rotate_after
                .is_some_and(|position| durable >= position)
            {
                state.rotate_after = None;
                return Task::Rotate(state.rotations_asked);
            }
            if !state.queue.is_empty() {
                state.queue.take(group);
                return Task::Write;
            }
            if state.closing {
                return Task::Close;
            }
            if slept && !idle {
                return Task::Tick;
            }
            state.sleeping = true;
            state = if idle {
                self.work
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner)
            } else {
                let waited = self.work.wait_timeout(state, TICK);
                waited.unwrap_or_else(PoisonError::into_inner).0
            };
            state.sleeping = false;
            slept = true;
        }
    }

    /// Tells where the group lies that has just become durable.
    fn marked(&self, engine: &Engine) {
        if let Some((segment, bytes)) = engine.durable_end() {
            let mut mark = lock(&self.mark);
            mark.position = self.durable.load(Ordering::SeqCst);
            mark.bytes = bytes;
            if mark.segment != segment {
                segment.clone_into(&mut mark.segment);
            }
        }
    }

    /// Tells everybody that a group is durable.
    fn published(&self, group: &Group, clock: &dyn Clock, took_ns: u64) {
        let now_ns = clock.wall_ns();
        lock(&self.state).queue.queued -= group.weight;
        self.durable.fetch_add(group.records(), Ordering::SeqCst);
        self.wake.wake();
        let mut metrics = lock(&self.metrics);
        metrics.synced(took_ns);
        metrics.durable(group.capture_times(), now_ns);
        metrics.counts.groups += 1;
        metrics.counts.frames += group.tally.frames;
        metrics.counts.events += group.tally.events;
        metrics.counts.bytes += group.lines.len() as u64;
    }
}
