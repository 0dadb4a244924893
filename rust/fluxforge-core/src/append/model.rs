//! The writer against a disk that forgets: whatever happens, what was reported durable is found,
//! once, in order, and nothing that was not sent.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proptest::prelude::*;

use super::engine::{Engine, Signals};
use super::queue::{Group, Queue};
use super::{OnFull, WriterConfig};
use crate::clock::Clock;
use crate::recover::{Place, recover};
use crate::rules::{Rule, leave_out};
use crate::segment::{Body, Durability, GroupReader, Opening, Piece, Record};
use crate::vfs::Vfs;
use crate::vfs::faulty::{Chance, Fault, FaultyVfs, Omit};

/// Goes on by a millisecond at each look.
#[derive(Debug, Default)]
struct TestClock {
    ms: AtomicU64,
    uids: AtomicU64,
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
        self.ms.fetch_add(
            u64::try_from(duration.as_millis()).unwrap(),
            Ordering::Relaxed,
        );
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// This many frames in one group.
    Write(u8),
    Rotate,
    /// The process is killed and starts again.
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1..6_u8).prop_map(Step::Write),
        2 => Just(Step::Rotate),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 1..12)
}

/// Faults a few operations apart or right after each other.
fn faults() -> impl Strategy<Value = Vec<(u64, Fault)>> {
    let fault = prop_oneof![3 => Just(Fault::Error), 1 => Just(Fault::Short)];
    proptest::collection::vec((1..150_u64, fault), 0..4)
}

fn config() -> WriterConfig {
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

/// One history: what was sent, and how much of it was reported durable.
struct History {
    clock: Arc<TestClock>,
    sent: Vec<u64>,
    acknowledged: Vec<u64>,
    /// Stopped on purpose: nobody waits for more on its connection.
    closed: bool,
}

impl History {
    fn new() -> Self {
        Self {
            clock: Arc::default(),
            sent: Vec::new(),
            acknowledged: Vec::new(),
            closed: false,
        }
    }

    fn start(&self, vfs: &FaultyVfs) -> Option<Engine> {
        let signals = Arc::new(Signals::default());
        let started = Engine::start(Arc::new(vfs.clone()), self.clock.clone(), config(), signals);
        started.ok().map(|(engine, _)| engine)
    }

    fn write(&mut self, engine: &mut Engine, frames: u8) -> bool {
        let mut queue = Queue::default();
        let first = self.sent.len() as u64;
        let ids: Vec<u64> = (first..first + u64::from(frames)).collect();
        for id in &ids {
            queue.push_frame(format!("{{\"id\":{id}}}").as_bytes(), 0, "c");
        }
        self.sent.extend(&ids);
        let mut group = Group::default();
        queue.take(&mut group);
        group.encode();
        let durable = engine.write(&mut group).is_ok();
        if durable {
            self.acknowledged.extend(&ids);
        }
        durable
    }

    /// Runs the steps until the machine crashes or the writer gives up.
    fn run(&mut self, mut vfs: FaultyVfs, steps: &[Step]) -> FaultyVfs {
        let mut engine = self.start(&vfs);
        for step in steps {
            let Some(running) = &mut engine else { break };
            let goes_on = match step {
                Step::Write(frames) => self.write(running, *frames),
                Step::Rotate => running.rotate().is_ok(),
                Step::Restart if vfs.has_crashed() => false,
                Step::Restart => {
                    drop(engine.take());
                    vfs = vfs.after_kill();
                    engine = self.start(&vfs);
                    continue;
                }
            };
            if !goes_on {
                break;
            }
        }
        vfs
    }

    /// Recovers, and holds what is found against what was promised.
    fn judge(&self, vfs: &FaultyVfs) -> Result<(), String> {
        if self.start(vfs).is_none() {
            return Err("cannot start after the crash".to_owned());
        }
        let left = vfs
            .list(&config().place.active)
            .map_err(|error| error.to_string())?;
        if let Some(name) = left.iter().find(|name| !name.starts_with('.')) {
            return Err(format!("{name} was left in active"));
        }
        let (lake, ends_in_gap) = read_lake(vfs)?;
        if !self.closed && !lake.is_empty() && !ends_in_gap {
            return Err("the connection was open and does not end in a gap".to_owned());
        }
        if !lake.is_sorted_by(|one, next| one < next) {
            return Err(format!("out of order or twice: {lake:?}"));
        }
        if let Some(id) = self.acknowledged.iter().find(|id| !lake.contains(id)) {
            return Err(format!("{id} was acknowledged and lost; found {lake:?}"));
        }
        match lake.iter().find(|id| !self.sent.contains(id)) {
            Some(id) => Err(format!("{id} was never sent")),
            None => Ok(()),
        }
    }
}

/// The frames of all published segments, in the order of their counters; each uid once.
fn read_lake(vfs: &FaultyVfs) -> Result<(Vec<u64>, bool), String> {
    let ready = config().place.ready;
    let mut segments: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut lake = Vec::new();
    let mut ends_in_gap = false;
    for name in vfs.list(&ready).map_err(|error| error.to_string())? {
        let path = ready.join(&name);
        let bytes = vfs.read(&path).ok_or("listed and missing")?;
        let line = bytes.split(|&b| b == b'\n').next().unwrap_or_default();
        let Opening::Segment(header) = Opening::read(line) else {
            return Err(format!("{name} has no header"));
        };
        if let Some(same) = segments.insert(header.uid.to_string(), bytes.clone()) {
            if same != bytes {
                return Err(format!("{name}: two contents under one uid"));
            }
            continue;
        }
        let (frames, gap) = read_segment(vfs, &path, header.uid)?;
        lake.extend(frames);
        ends_in_gap = gap;
    }
    Ok((lake, ends_in_gap))
}

/// A sealed segment's frames, and whether its last record says that the connection was lost.
fn read_segment(
    vfs: &FaultyVfs,
    path: &Path,
    uid: crate::segment::Uid,
) -> Result<(Vec<u64>, bool), String> {
    let file = vfs.open(path).map_err(|error| error.to_string())?;
    let mut reader = GroupReader::new(file.as_ref(), uid);
    let (mut ids, mut gap, mut sealed) = (Vec::new(), false, false);
    while let Some(piece) = reader.next_piece().map_err(|error| error.to_string())? {
        match piece {
            Piece::Group { lines, .. } => {
                for record in lines.split(|&b| b == b'\n').filter_map(Record::read) {
                    match record.body {
                        Body::Frame(frame) => {
                            gap = false;
                            ids.push(id_of(&frame.bytes().expect("sound")));
                        }
                        Body::Event(event) => gap = event.starts_with(br#"{"kind":"gap""#),
                    }
                }
            }
            Piece::Seal(_) => sealed = true,
            other => return Err(format!("{}: {other:?}", path.display())),
        }
    }
    if sealed {
        Ok((ids, gap))
    } else {
        Err(format!("{} is not sealed", path.display()))
    }
}

fn id_of(frame: &[u8]) -> u64 {
    serde_json::from_slice::<serde_json::Value>(frame).unwrap()["id"]
        .as_u64()
        .unwrap()
}

fn disk(faults: &[(u64, Fault)], omit: Omit) -> FaultyVfs {
    let vfs = FaultyVfs::new();
    vfs.omit(omit);
    for (at, fault) in faults {
        vfs.fail_at(*at, *fault);
    }
    vfs
}

/// Crashes a history after each of its operations, and recovery after some of its own.
fn crash_everywhere(
    steps: &[Step],
    faults: &[(u64, Fault)],
    seed: u64,
    omit: Omit,
) -> Result<(), String> {
    let whole = History::new().run(disk(faults, omit), steps).operations();
    for at in 0..=whole {
        let mut chance = Chance(seed ^ at);
        let vfs = disk(faults, omit);
        vfs.crash_after(at);
        let mut history = History::new();
        let mut vfs = history.run(vfs, steps);
        // A restart leaves the crash behind: such a run simply ends later.
        let mut end = |vfs: &FaultyVfs| match chance.next() % 2 {
            0 => vfs.after_kill(),
            _ => vfs.after_power_cut(&mut chance),
        };
        vfs = end(&vfs);
        // Recovery may be cut short as well, and its own crash in turn.
        for round in 0..seed % 3 {
            vfs.crash_after((seed ^ at).rotate_left(7) % 40 + round);
            drop(history.start(&vfs));
            vfs = end(&vfs);
        }
        history
            .judge(&vfs)
            .map_err(|what| format!("crash after {at} of {whole}: {what}"))?;
        let once = vfs.list(&config().place.ready).unwrap();
        recover(&vfs, &config().place).unwrap();
        let twice = vfs.list(&config().place.ready).unwrap();
        if once != twice {
            return Err(format!("recovering twice changed {once:?} to {twice:?}"));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn what_was_acknowledged_survives_a_crash_after_every_operation(
        steps in steps(), faults in faults(), seed: u64,
    ) {
        if let Err(what) = crash_everywhere(&steps, &faults, seed, Omit::Nothing) {
            prop_assert!(false, "{what}");
        }
    }

    #[test]
    fn without_a_crash_nothing_is_lost_to_a_failing_disk(steps in steps(), faults in faults()) {
        let mut history = History::new();
        let vfs = history.run(disk(&faults, Omit::Nothing), &steps).after_kill();
        if let Err(what) = history.judge(&vfs) {
            prop_assert!(false, "{what}");
        }
    }
}

/// Chance seldom meets the moment between a failed sync and the rescue of the old segment; this
/// meets it each time.
#[test]
fn every_single_failure_followed_by_every_crash_loses_nothing() {
    let steps = [Step::Write(2), Step::Write(3), Step::Write(1)];
    let whole = History::new()
        .run(disk(&[], Omit::Nothing), &steps)
        .operations();
    for at in 1..=whole {
        for seed in 0..12 {
            crash_everywhere(&steps, &[(at, Fault::Error)], seed, Omit::Nothing)
                .unwrap_or_else(|what| panic!("failure at {at}, seed {seed}: {what}"));
        }
    }
}

/// The suite itself is tested: leave one promise out and it must notice.
#[test]
fn each_promise_left_out_is_noticed() {
    let steps = [
        Step::Write(3),
        Step::Write(2),
        Step::Rotate,
        Step::Write(1),
        Step::Rotate,
    ];
    for omit in [Omit::SyncData, Omit::SyncDir] {
        let noticed = (0..20).any(|seed| crash_everywhere(&steps, &[], seed, omit).is_err());
        assert!(noticed, "{omit:?} was left out and nothing showed it");
    }
}

#[test]
fn continues_left_out_is_noticed() {
    let steps = [Step::Write(2), Step::Write(3), Step::Write(1)];
    let _left_out = leave_out(Rule::Continues);
    let noticed = (1..80).any(|at| {
        let faults = [(at, Fault::Error)];
        (0..3).any(|seed| crash_everywhere(&steps, &faults, seed, Omit::Nothing).is_err())
    });
    assert!(noticed, "nothing showed it");
}

/// Segments of one shape, so that a group in stale sectors fits where the torn one was to be.
#[test]
fn the_chain_left_out_is_noticed() {
    let steps = [Step::Write(1), Step::Rotate].repeat(6);
    let noticed =
        || (0..20).any(|seed| crash_everywhere(&steps, &[], seed, Omit::Nothing).is_err());
    assert!(!noticed());
    let _left_out = leave_out(Rule::Chain);
    assert!(noticed(), "nothing showed it");
}

#[test]
fn a_failed_sync_goes_on_in_a_segment_that_continues() {
    let mut history = History::new();
    let vfs = disk(&[], Omit::Nothing);
    let mut engine = history.start(&vfs).unwrap();
    assert!(history.write(&mut engine, 2));
    // The next operations are the group's write and its sync.
    vfs.fail_at(vfs.operations() + 2, Fault::Error);
    assert!(history.write(&mut engine, 3));
    engine.close().unwrap();
    history.closed = true;
    assert_eq!(engine.poisonings, 1);
    drop(engine);
    history.judge(&vfs.after_power_cut(&mut Chance(1))).unwrap();
    let second = vfs
        .read(Path::new("/raw/r/segment_20251203T14_00002.ndjson"))
        .unwrap();
    let Opening::Segment(header) = Opening::read(second.split(|&b| b == b'\n').next().unwrap())
    else {
        panic!("no header");
    };
    assert_eq!(header.continues.unwrap().checkpoint, 1);
}

#[test]
fn a_second_failure_in_a_row_stops_loudly() {
    let mut history = History::new();
    let vfs = disk(&[], Omit::Nothing);
    let mut engine = history.start(&vfs).unwrap();
    assert!(history.write(&mut engine, 1));
    for at in 2..60 {
        vfs.fail_at(vfs.operations() + at, Fault::Error);
    }
    assert!(!history.write(&mut engine, 1));
    drop(engine);
    history.judge(&vfs.after_kill()).unwrap();
}

#[test]
fn a_full_disk_is_waited_for_and_nothing_is_lost() {
    let mut history = History::new();
    let vfs = disk(&[], Omit::Nothing);
    let mut engine = history.start(&vfs).unwrap();
    assert!(history.write(&mut engine, 2));
    vfs.set_capacity(Some(700));
    let freed = vfs.clone();
    // The clock's pause is where the world goes on.
    let helper = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(30));
        freed.set_capacity(None);
    });
    assert!(history.write(&mut engine, 5));
    helper.join().unwrap();
    assert_eq!(engine.poisonings, 0, "a full disk is no failure");
    engine.close().unwrap();
    history.closed = true;
    drop(engine);
    history.judge(&vfs.after_power_cut(&mut Chance(3))).unwrap();
}
