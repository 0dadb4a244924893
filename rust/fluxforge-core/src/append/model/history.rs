//! One history of a writer: what it is asked, what it is asked by the clock, what it promised.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::append::engine::{Engine, Signals};
use crate::append::queue::{Group, Queue};
use crate::append::{OnFull, WriterConfig};
use crate::clock::Clock;
use crate::recover::Place;
use crate::segment::Durability;
use crate::vfs::faulty::FaultyVfs;

/// Goes on by a millisecond at each look.
#[derive(Debug, Default)]
pub(super) struct TestClock {
    ms: AtomicU64,
    uids: AtomicU64,
    /// A full disk that someone tidies while the writer waits.
    full: Mutex<Option<FaultyVfs>>,
}

impl TestClock {
    pub(super) fn free_at_next_pause(&self, disk: &FaultyVfs) {
        *self.full.lock().unwrap() = Some(disk.clone());
    }
}

impl Clock for TestClock {
    fn wall_ns(&self) -> i64 {
        1_764_770_400_000_000_000 + i64::try_from(self.mono_ns()).unwrap()
    }
    fn mono_ns(&self) -> u64 {
        self.ms.fetch_add(1, Ordering::Relaxed) * 1_000_000
    }
    fn unique(&self) -> [u8; 16] {
        u128::from(self.uids.fetch_add(1, Ordering::Relaxed)).to_be_bytes()
    }
    fn pause(&self, duration: Duration) {
        if let Some(disk) = self.full.lock().unwrap().take() {
            disk.set_capacity(None);
            disk.set_longest_synced(None);
        }
        self.ms.fetch_add(
            u64::try_from(duration.as_millis()).unwrap(),
            Ordering::Relaxed,
        );
    }
}

/// What happens next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// This many frames in one group.
    Write(u8),
    /// The connection is closed, and says so.
    Goodbye,
    Rotate,
    /// An hour passes, and the writer looks at the clock.
    Hour,
    /// There is room for so many bytes more, until the writer has waited for a while.
    Full(u16),
    /// The process is killed and starts again.
    Restart,
}

pub(super) fn config() -> WriterConfig {
    WriterConfig {
        place: Place {
            active: "/raw/a".into(),
            ready: "/raw/r".into(),
            quarantine: "/raw/q".into(),
        },
        source: "test".to_owned(),
        writer: None,
        segment_max_bytes: 2_000,
        segment_max_ns: 1_000_000_000_000,
        queue_max_bytes: 1 << 20,
        durability: Durability::Fsync,
        on_full: OnFull::Block,
        min_free_bytes: 0,
    }
}

/// What was sent, and how much of it was reported durable.
pub(super) struct History {
    pub(super) clock: Arc<TestClock>,
    pub(super) sent: Vec<u64>,
    pub(super) acknowledged: Vec<u64>,
    /// Stopped on purpose: nobody waits for more on its connection.
    pub(super) closed: bool,
}

impl History {
    pub(super) fn new() -> Self {
        Self {
            clock: Arc::default(),
            sent: Vec::new(),
            acknowledged: Vec::new(),
            closed: false,
        }
    }

    pub(super) fn start(&self, vfs: &FaultyVfs) -> Option<Engine> {
        let signals = Arc::new(Signals::default());
        let started = Engine::start(Arc::new(vfs.clone()), self.clock.clone(), config(), signals);
        started.ok().map(|(engine, _)| engine)
    }

    /// Says whether it became durable.
    pub(super) fn write(&mut self, engine: &mut Engine, frames: u8) -> bool {
        let mut queue = Queue::default();
        let first = self.sent.len() as u64;
        let ids: Vec<u64> = (first..first + u64::from(frames)).collect();
        for id in &ids {
            queue.push_frame(format!("{{\"id\":{id}}}").as_bytes(), 0, "c");
        }
        self.sent.extend(&ids);
        let durable = commit(engine, &mut queue);
        if durable {
            self.acknowledged.extend(&ids);
        }
        durable
    }

    /// Runs the steps until the machine crashes or the writer gives up.
    pub(super) fn run(&mut self, mut vfs: FaultyVfs, steps: &[Step]) -> FaultyVfs {
        let mut engine = self.start(&vfs);
        for step in steps {
            let Some(running) = &mut engine else { break };
            let goes_on = match step {
                Step::Write(frames) => self.write(running, *frames),
                Step::Goodbye => say_goodbye(running),
                Step::Rotate => running.rotate().is_ok(),
                Step::Hour => {
                    self.clock.pause(Duration::from_secs(3600));
                    running.tick().is_ok()
                }
                Step::Full(room) => {
                    vfs.leave_room_for(usize::from(*room));
                    self.clock.free_at_next_pause(&vfs);
                    true
                }
                Step::Restart if vfs.has_crashed() => false,
                Step::Restart => {
                    drop(engine.take());
                    vfs = vfs.after_kill();
                    // Whoever starts it again has made room.
                    vfs.set_capacity(None);
                    engine = self.start(&vfs);
                    continue;
                }
            };
            if !goes_on {
                break;
            }
        }
        vfs.set_capacity(None);
        vfs
    }
}

fn say_goodbye(engine: &mut Engine) -> bool {
    let mut queue = Queue::default();
    queue.push_event(br#"{"kind":"disconnected"}"#, 0, Some("c"));
    commit(engine, &mut queue)
}

fn commit(engine: &mut Engine, queue: &mut Queue) -> bool {
    let mut group = Group::default();
    queue.take(&mut group);
    group.encode();
    engine.write(&mut group).is_ok()
}
