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
            message: error.to_string(),
        });
        lock(&self.state).ended = Some(result);
        self.progress.notify_all();
        self.wake.wake();
    }

    fn write_groups(&self, mut engine: Engine, clock: &dyn Clock) -> Result<(), SegmentError> {
        let mut group = Group::default();
        loop {
            match self.next_task(&mut group, engine.is_idle()) {
                Task::Write => {
                    group.encode();
                    let before = clock.mono_ns();
                    let written = engine.write(&mut group);
                    self.observe(&engine);
                    written?;
                    self.published(&group, clock, clock.mono_ns() - before);
                }
                Task::Rotate(ticket) => {
                    let rotated = engine.rotate();
                    self.observe(&engine);
                    rotated?;
                    lock(&self.state).rotations_done = ticket;
                    self.progress.notify_all();
                }
                Task::Tick => {
                    let ticked = engine.tick();
                    self.observe(&engine);
                    ticked?;
                }
                Task::Close => {
                    let closed = engine.close();
                    self.observe(&engine);
                    return closed;
                }
            }
        }
    }

    fn observe(&self, engine: &Engine) {
        let counts = &mut lock(&self.metrics).counts;
        counts.segments_sealed = engine.sealed;
        counts.poisonings = engine.poisonings;
        counts.publish_error = engine.publish_error();
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
