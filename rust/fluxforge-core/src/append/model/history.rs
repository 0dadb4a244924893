//! One history of one or two writers: what they are asked, and what they promised.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::clock::TestClock;
use crate::append::engine::Engine;
use crate::append::queue::{Group, Queue};
use crate::append::signals::Signals;
use crate::append::{OnFull, WriterConfig, WriterStats};
use crate::clock::Clock;
use crate::recover::Place;
use crate::segment::{Durability, SegmentError};
use crate::vfs::Vfs;
use crate::vfs::faulty::FaultyVfs;

const HOUR: Duration = Duration::from_secs(3600);
/// Sockets of one writer.
pub(super) const SOCKETS: u8 = 2;

/// How the writers are set up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    /// Two share the directories, each with an id of its own.
    pub(super) two_writers: bool,
    pub(super) durability: Durability,
    pub(super) min_free_bytes: u64,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            two_writers: false,
            durability: Durability::Fsync,
            min_free_bytes: 0,
        }
    }
}

/// What happens next. Writers and sockets are told by their numbers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// So many frames, in one group, come over a socket.
    Write(u8, u8, u8),
    /// What is connected there is closed, and says so.
    Goodbye(u8, u8),
    Rotate(u8),
    /// An hour passes, and the writers look at the clock.
    Hour,
    /// Someone sets the wall clock back by so many hours.
    Back(u8),
    /// There is room for so many bytes more, until a writer has waited for a while.
    Full(u16),
    /// The process is killed and starts again.
    Restart(u8),
    /// It is stopped as it should be, and starts again.
    Stop(u8),
    /// The ETL takes what lies in ready/.
    Consume,
}

/// Whether a connection said that it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goodbye {
    Unsaid,
    Said,
    Durable,
    /// Nobody waits for more, and nobody says so.
    Needless,
}

/// One connection, as its collector knows it.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) name: String,
    writer: usize,
    /// It came in the writer's present life, not before a restart.
    is_recent: bool,
    /// Its frames' numbers.
    pub(super) sent: Vec<u64>,
    /// How many of them were reported durable, and how many lay in ready/ for certain.
    pub(super) acknowledged: usize,
    pub(super) published: usize,
    pub(super) goodbye: Goodbye,
}

pub(super) fn place() -> Place {
    Place {
        active: "/raw/a".into(),
        ready: "/raw/r".into(),
        quarantine: "/raw/q".into(),
    }
}

/// What was sent, and how much of it was reported durable.
#[derive(Default)]
pub(super) struct History {
    pub(super) clock: Arc<TestClock>,
    pub(super) setting: Setting,
    pub(super) connections: Vec<Connection>,
    /// By writer and socket, the connection that stands.
    standing: BTreeMap<(usize, u8), usize>,
    /// What the ETL took.
    pub(super) consumed: Vec<(String, Vec<u8>)>,
    /// The power was cut at least once.
    pub(super) power_was_cut: bool,
    signals: Arc<Signals>,
    frames: u64,
}

impl History {
    pub(super) fn of(setting: Setting) -> Self {
        Self {
            setting,
            ..Self::default()
        }
    }

    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn writers(&self) -> usize {
        if self.setting.two_writers { 2 } else { 1 }
    }

    pub(super) fn config(&self, writer: usize) -> WriterConfig {
        let ids = ["a", "b"];
        WriterConfig {
            place: place(),
            source: "test".to_owned(),
            writer: self.setting.two_writers.then(|| ids[writer].to_owned()),
            segment_max_bytes: 2_000,
            segment_max_ns: 1_000_000_000_000,
            queue_max_bytes: 1 << 20,
            durability: self.setting.durability,
            on_full: OnFull::Block,
            min_free_bytes: self.setting.min_free_bytes,
        }
    }

    pub(super) fn start_writer(&self, vfs: &FaultyVfs, writer: usize) -> Option<Engine> {
        let (clock, signals) = (self.clock.clone(), self.signals.clone());
        let config = self.config(writer);
        let started = Engine::start(Arc::new(vfs.clone()), clock, config, signals);
        started.ok().map(|(engine, _)| engine)
    }

    /// The only writer.
    pub(super) fn start(&self, vfs: &FaultyVfs) -> Option<Engine> {
        self.start_writer(vfs, 0)
    }

    pub(super) fn stats(&self) -> WriterStats {
        let mut stats = WriterStats::default();
        self.signals.fill(&mut stats);
        stats
    }

    /// Over the only writer's first socket.
    pub(super) fn write(&mut self, engine: &mut Engine, frames: u8) -> bool {
        self.write_to(engine, 0, 0, frames)
    }

    /// Says whether it became durable.
    fn write_to(&mut self, engine: &mut Engine, writer: usize, socket: u8, frames: u8) -> bool {
        let at = self.connection(writer, socket);
        let connection = &mut self.connections[at];
        let mut queue = Queue::default();
        for _ in 0..frames {
            let frame = format!("{{\"id\":{}}}", self.frames);
            queue.push_frame(frame.as_bytes(), self.clock.wall_ns(), &connection.name);
            connection.sent.push(self.frames);
            self.frames += 1;
        }
        let durable = commit(engine, &mut queue);
        if durable {
            connection.acknowledged = connection.sent.len();
        }
        durable
    }

    /// What is connected there. Each connect gives a name that was never used.
    fn connection(&mut self, writer: usize, socket: u8) -> usize {
        *self.standing.entry((writer, socket)).or_insert_with(|| {
            self.connections.push(Connection {
                name: format!("c{}", self.connections.len()),
                writer,
                is_recent: true,
                sent: Vec::new(),
                acknowledged: 0,
                published: 0,
                goodbye: Goodbye::Unsaid,
            });
            self.connections.len() - 1
        })
    }

    fn say_goodbye(&mut self, engine: &mut Engine, writer: usize, socket: u8) -> bool {
        let Some(at) = self.standing.remove(&(writer, socket)) else {
            return true;
        };
        let connection = &mut self.connections[at];
        let mut queue = Queue::default();
        let event = br#"{"kind":"disconnected"}"#;
        queue.push_event(event, self.clock.wall_ns(), Some(&connection.name));
        connection.goodbye = Goodbye::Said;
        let durable = commit(engine, &mut queue);
        if durable {
            connection.goodbye = Goodbye::Durable;
        }
        durable
    }

    /// Seals and publishes while connections stand, of which nobody expects more.
    pub(super) fn close(&mut self, engine: &mut Engine) -> Result<(), SegmentError> {
        for at in std::mem::take(&mut self.standing).into_values() {
            self.connections[at].goodbye = Goodbye::Needless;
        }
        engine.close()
    }

    fn published(&mut self, writer: usize) {
        if self.stats().publish_error.is_none() {
            for connection in &mut self.connections {
                if connection.writer == writer && connection.is_recent {
                    connection.published = connection.acknowledged;
                }
            }
        }
    }

    /// The process is gone; the next one connects anew.
    pub(super) fn end_life(&mut self, writer: usize) {
        self.standing.retain(|&(of, _), _| of != writer);
        for connection in &mut self.connections {
            connection.is_recent &= connection.writer != writer;
        }
    }

    /// Runs the steps until the machine crashes or a writer gives up.
    pub(super) fn run(&mut self, vfs: &FaultyVfs, steps: &[Step]) {
        let mut engines: Vec<Option<Engine>> = (0..self.writers())
            .map(|writer| self.start_writer(vfs, writer))
            .collect();
        for step in steps {
            if engines.iter().any(Option::is_none) || !self.step(vfs, &mut engines, *step) {
                break;
            }
        }
        vfs.set_capacity(None);
    }

    fn step(&mut self, vfs: &FaultyVfs, engines: &mut [Option<Engine>], step: Step) -> bool {
        let which = |writer: u8| usize::from(writer) % engines.len();
        match step {
            Step::Write(writer, socket, frames) => {
                let writer = which(writer);
                let engine = engines[writer].as_mut().expect("it runs");
                self.write_to(engine, writer, socket, frames)
            }
            Step::Goodbye(writer, socket) => {
                let writer = which(writer);
                let engine = engines[writer].as_mut().expect("it runs");
                self.say_goodbye(engine, writer, socket)
            }
            Step::Rotate(writer) => {
                let writer = which(writer);
                let rotated = engines[writer].as_mut().expect("it runs").rotate();
                if rotated.is_ok() {
                    self.published(writer);
                }
                rotated.is_ok()
            }
            Step::Hour => {
                self.clock.pause(HOUR);
                engines
                    .iter_mut()
                    .flatten()
                    .all(|engine| engine.tick().is_ok())
            }
            Step::Back(hours) => {
                self.clock.set_back(HOUR * u32::from(hours));
                true
            }
            Step::Full(room) => {
                vfs.leave_room_for(usize::from(room));
                self.clock.free_at_next_pause(vfs);
                true
            }
            Step::Restart(writer) => {
                let writer = which(writer);
                drop(engines[writer].take());
                self.end_life(writer);
                // Whoever starts it again has made room.
                vfs.set_capacity(None);
                engines[writer] = self.start_writer(vfs, writer);
                true
            }
            Step::Stop(writer) => {
                let writer = which(writer);
                let mut engine = engines[writer].take().expect("it runs");
                let stopped = (0..SOCKETS)
                    .all(|socket| self.say_goodbye(&mut engine, writer, socket))
                    && engine.close().is_ok();
                drop(engine);
                self.end_life(writer);
                engines[writer] = self.start_writer(vfs, writer);
                stopped
            }
            Step::Consume => {
                // Whoever relies on a file that it did not write syncs its directory first.
                let ready = place().ready;
                let names = vfs.sync_dir(&ready).and_then(|()| vfs.list(&ready));
                let paths = names.unwrap_or_default().into_iter();
                paths.for_each(|name| self.consume(vfs, &ready.join(&name), name));
                true
            }
        }
    }

    fn consume(&mut self, vfs: &FaultyVfs, path: &Path, name: String) {
        if !name.starts_with('.') {
            self.consumed
                .extend(vfs.read(path).map(|bytes| (name, bytes)));
            let _ = vfs.unlink(path);
        }
    }
}

fn commit(engine: &mut Engine, queue: &mut Queue) -> bool {
    let mut group = Group::default();
    queue.take(&mut group);
    group.encode();
    engine.write(&mut group).is_ok()
}
