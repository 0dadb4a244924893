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

mod clock;
mod history;
mod judge;
mod lake;
mod scenarios;

pub(super) use clock::TestClock;

use proptest::prelude::*;

use crate::recover::recover;
use crate::rules::{Rule, leave_out};
use crate::segment::Durability;
use crate::vfs::Vfs;
use crate::vfs::faulty::{Chance, Fault, FaultyVfs, Omit};
use history::{History, SOCKETS, Setting, Step, place};

fn cases() -> u32 {
    let asked = std::env::var("FLUXFORGE_MODEL_CASES");
    asked.map_or(10_000, |cases| cases.parse().expect("a number of cases"))
}

fn settings() -> impl Strategy<Value = Setting> {
    let durability = prop_oneof![4 => Just(Durability::Fsync), 1 => Just(Durability::Os)];
    let min_free = prop_oneof![4 => Just(0), 1 => Just(400)];
    (proptest::bool::weighted(0.3), durability, min_free).prop_map(
        |(two_writers, durability, min_free_bytes)| Setting {
            two_writers,
            durability,
            min_free_bytes,
        },
    )
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let writer = 0..2_u8;
    let socket = 0..SOCKETS;
    let step = prop_oneof![
        12 => (writer.clone(), socket.clone(), 1..6_u8)
            .prop_map(|(writer, socket, frames)| Step::Write(writer, socket, frames)),
        4 => writer.clone().prop_map(Step::Rotate),
        2 => writer.clone().prop_map(Step::Restart),
        1 => writer.clone().prop_map(Step::Stop),
        2 => (writer, socket).prop_map(|(writer, socket)| Step::Goodbye(writer, socket)),
        1 => Just(Step::Hour),
        1 => (1..4_u8).prop_map(Step::Back),
        1 => (0..600_u16).prop_map(Step::Full),
        1 => Just(Step::Consume),
    ];
    proptest::collection::vec(step, 1..11)
}

/// Faults a few operations apart or right after each other.
fn faults() -> impl Strategy<Value = Vec<(u64, Fault)>> {
    let fault = prop_oneof![
        6 => Just(Fault::Error),
        2 => Just(Fault::Short),
        1 => Just(Fault::NoSpace),
        1 => Just(Fault::Quota),
    ];
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

/// So many frames over the first writer's first socket.
const fn write(frames: u8) -> Step {
    Step::Write(0, 0, frames)
}

/// Crashes a history after each of its operations, and recovery after some of its own.
fn crash_everywhere(
    setting: Setting,
    steps: &[Step],
    faults: &[(u64, Fault)],
    seed: u64,
    omit: Omit,
) -> Result<(), String> {
    let vfs = disk(faults, omit);
    History::of(setting).run(&vfs, steps);
    let whole = vfs.operations();
    for at in 0..=whole {
        let mut chance = Chance(seed ^ at);
        let mut history = History::of(setting);
        let mut vfs = disk(faults, omit);
        vfs.crash_after(at);
        history.run(&vfs, steps);
        vfs = end(&mut history, &vfs, &mut chance);
        // Recovery may fail and be cut short as well, and its own crash in turn.
        for round in 0..seed % 3 {
            vfs.crash_after((seed ^ at).rotate_left(7) % 50 + round);
            vfs.fail_at((seed ^ at).rotate_left(13) % 60, Fault::Error);
            drop(history.start(&vfs));
            vfs = end(&mut history, &vfs, &mut chance);
        }
        history
            .judge(&vfs)
            .map_err(|what| format!("crash after {at} of {whole}: {what}"))?;
        let once = vfs.list(&place().ready).unwrap();
        recover(&vfs, &place()).unwrap();
        let twice = vfs.list(&place().ready).unwrap();
        if once != twice {
            return Err(format!("recovering twice changed {once:?} to {twice:?}"));
        }
        // What recovery publishes has to be on the disk, whatever the page cache showed it.
        let content = |vfs: &FaultyVfs| {
            let read = |name: &String| vfs.read(&place().ready.join(name));
            once.iter().map(read).collect::<Vec<_>>()
        };
        if content(&vfs) != content(&vfs.after_power_cut(&mut chance)) {
            return Err(format!(
                "crash after {at} of {whole}: {once:?} did not stay"
            ));
        }
    }
    Ok(())
}

/// The processes are killed, or the power is cut.
fn end(history: &mut History, vfs: &FaultyVfs, chance: &mut Chance) -> FaultyVfs {
    if chance.next().is_multiple_of(2) {
        return vfs.after_kill();
    }
    history.power_was_cut = true;
    vfs.after_power_cut(chance)
}

fn crash_the_usual(steps: &[Step], faults: &[(u64, Fault)], seed: u64) -> Result<(), String> {
    crash_everywhere(Setting::default(), steps, faults, seed, Omit::Nothing)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn what_was_acknowledged_survives_a_crash_after_every_operation(
        setting in settings(), steps in steps(), faults in faults(), seed: u64,
    ) {
        if let Err(what) = crash_everywhere(setting, &steps, &faults, seed, Omit::Nothing) {
            prop_assert!(false, "{what}");
        }
    }

    #[test]
    fn without_a_crash_nothing_is_lost_to_a_failing_disk(
        setting in settings(), steps in steps(), faults in faults(),
    ) {
        let (vfs, mut history) = (disk(&faults, Omit::Nothing), History::of(setting));
        history.run(&vfs, &steps);
        if let Err(what) = history.judge(&vfs.after_kill()) {
            prop_assert!(false, "{what}");
        }
    }
}

/// Chance seldom meets the moment between a failed sync and the rescue of the old segment; this
/// meets it each time.
#[test]
fn every_single_failure_followed_by_every_crash_loses_nothing() {
    let steps = [write(2), write(3), write(1)];
    let vfs = disk(&[], Omit::Nothing);
    History::new().run(&vfs, &steps);
    let whole = vfs.operations();
    for at in 1..=whole {
        for seed in 0..12 {
            crash_the_usual(&steps, &[(at, Fault::Error)], seed)
                .unwrap_or_else(|what| panic!("failure at {at}, seed {seed}: {what}"));
        }
    }
}

/// An hour without a frame, then a clean end: what a connection carries from segment to segment is
/// no gap, although an empty segment could not be removed at once.
#[test]
fn a_connection_that_went_on_is_no_gap_whatever_fails_once() {
    let steps = [write(1), Step::Rotate(0), Step::Hour, Step::Stop(0)];
    let vfs = disk(&[], Omit::Nothing);
    History::new().run(&vfs, &steps);
    for at in 1..=vfs.operations() {
        let (vfs, mut history) = (disk(&[(at, Fault::Error)], Omit::Nothing), History::new());
        history.run(&vfs, &steps);
        let judged = history.judge(&vfs.after_kill());
        judged.unwrap_or_else(|what| panic!("failure at {at}: {what}"));
    }
}

/// The suite itself is tested: leave one promise out and it must notice.
#[test]
fn each_promise_left_out_is_noticed() {
    let steps = [
        write(3),
        write(2),
        Step::Rotate(0),
        write(1),
        Step::Rotate(0),
    ];
    for omit in [Omit::SyncData, Omit::SyncDir] {
        let noticed = (0..20)
            .any(|seed| crash_everywhere(Setting::default(), &steps, &[], seed, omit).is_err());
        assert!(noticed, "{omit:?} was left out and nothing showed it");
    }
}

#[test]
fn continues_left_out_is_noticed() {
    let steps = [write(2), write(3), write(1)];
    let _left_out = leave_out(Rule::Continues);
    let noticed = (1..80).any(|at| {
        let faults = [(at, Fault::Error)];
        (0..3).any(|seed| crash_the_usual(&steps, &faults, seed).is_err())
    });
    assert!(noticed, "nothing showed it");
}

/// Segments of one shape, so that a group in stale sectors fits where the torn one was to be.
#[test]
fn the_chain_left_out_is_noticed() {
    let steps = [write(1), Step::Rotate(0)].repeat(6);
    let noticed = || (0..100).any(|seed| crash_the_usual(&steps, &[], seed).is_err());
    assert!(!noticed());
    let _left_out = leave_out(Rule::Chain);
    assert!(noticed(), "nothing showed it");
}

/// The page cache shows a group whose sync failed. Its process dies; what recovers it must not
/// rely on what it sees.
#[test]
fn the_last_group_not_written_again_is_noticed() {
    let steps = [write(2), write(3), write(1)];
    let noticed = || {
        (1..60).any(|at| {
            let faults = [(at, Fault::Error)];
            (0..3).any(|seed| crash_the_usual(&steps, &faults, seed).is_err())
        })
    };
    assert!(!noticed());
    let _left_out = leave_out(Rule::LastGroup);
    assert!(noticed(), "nothing showed it");
}
