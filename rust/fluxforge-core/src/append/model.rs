//! The writer against a disk that forgets: whatever happens, what was reported durable is found,
//! once, in order, and nothing that was not sent.
//!
//! A *case* is a random history: what is written, when segments change, when the process is
//! killed, when the disk is full, which operations of the disk fail, and a seed. The history is
//! run once for each operation that it asks of the disk, and crashes after that operation: by a
//! kill (the page cache stays) or by a power cut (each sector and each name that was not synced is
//! kept or lost on its own). Recovery may crash as well, twice. Then the lake is held against what
//! was promised, and recovered again. A case is about sixty such crashes.
//!
//! There are 10,000 cases on each run, or as many as `FLUXFORGE_MODEL_CASES` says:
//! ```text
//! FLUXFORGE_MODEL_CASES=1000000 cargo test --release -p fluxforge-core append::model
//! ```
//! A failure prints the smallest history that shows it, and leaves its seed in
//! `proptest-regressions/`, from where it is run first from then on. A seed that showed a mistake
//! is committed with its correction; one of a build broken on purpose is not.

mod history;
mod judge;

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use crate::clock::Clock;
use crate::recover::recover;
use crate::rules::{Rule, leave_out};
use crate::segment::Opening;
use crate::vfs::Vfs;
use crate::vfs::faulty::{Chance, Fault, FaultyVfs, Omit};
use history::{History, Step, config};

fn cases() -> u32 {
    let asked = std::env::var("FLUXFORGE_MODEL_CASES");
    asked.map_or(10_000, |cases| cases.parse().expect("a number of cases"))
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => (1..6_u8).prop_map(Step::Write),
        4 => Just(Step::Rotate),
        2 => Just(Step::Restart),
        1 => Just(Step::Goodbye),
        1 => Just(Step::Hour),
        1 => (0..600_u16).prop_map(Step::Full),
    ];
    proptest::collection::vec(step, 1..12)
}

/// Faults a few operations apart or right after each other.
fn faults() -> impl Strategy<Value = Vec<(u64, Fault)>> {
    let fault = prop_oneof![3 => Just(Fault::Error), 1 => Just(Fault::Short)];
    proptest::collection::vec((1..150_u64, fault), 0..4)
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
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

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

#[test]
fn a_disk_that_is_full_only_when_synced_is_waited_for_without_leaving_files() {
    let mut history = History::new();
    let vfs = disk(&[], Omit::Nothing);
    let mut engine = history.start(&vfs).unwrap();
    // Room for a header, not for a group.
    vfs.set_longest_synced(Some(500));
    history.clock.free_at_next_pause(&vfs);
    // A writer that does not pause would go on for ever.
    vfs.crash_after(1_000);
    assert!(history.write(&mut engine, 20));
    assert_eq!(engine.poisonings, 1);
    let active = vfs.list(&config().place.active).unwrap();
    let segments = active.iter().filter(|name| !name.starts_with('.'));
    assert_eq!(segments.count(), 1, "{active:?}");
    history.judge(&vfs.after_power_cut(&mut Chance(5))).unwrap();
}

/// How many operations of the disk one group takes while nothing is left to do beside it.
const GROUP_OPERATIONS: u64 = 2;
const LONGER_THAN_A_RETRY: Duration = Duration::from_secs(31);

#[test]
fn a_sealed_segment_is_published_again_while_the_feed_goes_on() {
    let mut history = History::new();
    let vfs = disk(&[], Omit::Nothing);
    let mut engine = history.start(&vfs).unwrap();
    assert!(history.write(&mut engine, 2));
    let ready = config().place.ready;
    vfs.refuse_names_in(Some(&ready));
    engine.rotate().unwrap();
    vfs.refuse_names_in(None);
    assert!(engine.publish_error().is_some());
    let before = vfs.operations();
    assert!(history.write(&mut engine, 1));
    assert_eq!(vfs.operations() - before, GROUP_OPERATIONS, "too early");
    history.clock.pause(LONGER_THAN_A_RETRY);
    assert!(history.write(&mut engine, 1));
    assert_eq!(engine.publish_error(), None);
}

#[test]
fn a_poisoned_segment_whose_copy_failed_is_not_copied_at_every_group() {
    let mut history = History::new();
    let vfs = disk(&[], Omit::Nothing);
    let mut engine = history.start(&vfs).unwrap();
    assert!(history.write(&mut engine, 2));
    // The group's sync; then its next segment and the group again; then the first read of the copy.
    vfs.fail_at(vfs.operations() + 2, Fault::Error);
    vfs.fail_at(vfs.operations() + 18, Fault::Error);
    assert!(history.write(&mut engine, 3));
    assert!(engine.publish_error().is_some());
    let before = vfs.operations();
    assert!(history.write(&mut engine, 1));
    assert_eq!(vfs.operations() - before, GROUP_OPERATIONS);
    history.clock.pause(LONGER_THAN_A_RETRY);
    assert!(history.write(&mut engine, 1));
    assert_eq!(engine.publish_error(), None);
    drop(engine);
    history.judge(&vfs.after_power_cut(&mut Chance(9))).unwrap();
}

#[test]
fn a_copy_that_finds_no_room_holds_none() {
    let mut history = History::new();
    let vfs = disk(&[], Omit::Nothing);
    let mut engine = history.start(&vfs).unwrap();
    assert!(history.write(&mut engine, 12));
    vfs.fail_at(vfs.operations() + 2, Fault::Error);
    // Enough for the next segment, not for the copy as well.
    vfs.leave_room_for(1_500);
    assert!(history.write(&mut engine, 1));
    assert!(engine.publish_error().is_some());
    let active = vfs.list(&config().place.active).unwrap();
    let copies = active.iter().filter(|name| name.starts_with(".recovering"));
    assert_eq!(copies.count(), 0, "{active:?}");
}

#[test]
fn what_is_sealed_is_published_also_while_the_disk_is_full() {
    let mut history = History::new();
    let vfs = disk(&[], Omit::Nothing);
    let mut engine = history.start(&vfs).unwrap();
    assert!(history.write(&mut engine, 2));
    let ready = config().place.ready;
    vfs.refuse_names_in(Some(&ready));
    engine.rotate().unwrap();
    vfs.refuse_names_in(None);
    assert!(engine.publish_error().is_some());
    vfs.leave_room_for(0);
    let consumer = vfs.clone();
    let helper = std::thread::spawn(move || {
        let is_there = || !consumer.list(&ready).unwrap().is_empty();
        let seen = (0..500).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            is_there()
        });
        consumer.set_capacity(None);
        seen
    });
    assert!(history.write(&mut engine, 5));
    assert!(helper.join().unwrap(), "it waited for room first");
}

#[test]
fn a_segment_whose_name_may_not_be_durable_is_replaced_and_not_left_behind() {
    let mut history = History::new();
    let vfs = disk(&[], Omit::Nothing);
    let mut engine = history.start(&vfs).unwrap();
    assert!(history.write(&mut engine, 2));
    // At a rotation: the counter takes 6, the hidden file 5, its name 1, and then the directory.
    vfs.fail_at(vfs.operations() + 13, Fault::Error);
    engine.rotate().unwrap();
    assert_eq!(engine.poisonings, 1);
    let active = vfs.list(&config().place.active).unwrap();
    let segments = active.iter().filter(|name| !name.starts_with('.'));
    assert_eq!(segments.count(), 1, "{active:?}");
    assert!(history.write(&mut engine, 1));
    engine.close().unwrap();
    history.closed = true;
    drop(engine);
    history.judge(&vfs.after_power_cut(&mut Chance(4))).unwrap();
}
