//! Failures at chosen moments, one at a time.

use std::path::Path;
use std::time::Duration;

use super::disk;
use super::history::{History, place};
use crate::clock::Clock;
use crate::segment::Opening;
use crate::vfs::Vfs;
use crate::vfs::faulty::{Chance, Fault, Omit};

#[test]
fn a_failed_sync_goes_on_in_a_segment_that_continues() {
    let mut history = History::new();
    let vfs = disk(&[], Omit::Nothing);
    let mut engine = history.start(&vfs).unwrap();
    assert!(history.write(&mut engine, 2));
    // The next operations are the group's write and its sync.
    vfs.fail_at(vfs.operations() + 2, Fault::Error);
    assert!(history.write(&mut engine, 3));
    history.close(&mut engine).unwrap();
    assert_eq!(history.stats().poisonings, 1);
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
    assert_eq!(history.stats().poisonings, 0, "a full disk is no failure");
    history.close(&mut engine).unwrap();
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
    assert_eq!(history.stats().poisonings, 1);
    let active = vfs.list(&place().active).unwrap();
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
    let ready = place().ready;
    vfs.refuse_names_in(Some(&ready));
    engine.rotate().unwrap();
    vfs.refuse_names_in(None);
    assert!(history.stats().publish_error.is_some());
    let before = vfs.operations();
    assert!(history.write(&mut engine, 1));
    assert_eq!(vfs.operations() - before, GROUP_OPERATIONS, "too early");
    history.clock.pause(LONGER_THAN_A_RETRY);
    assert!(history.write(&mut engine, 1));
    assert_eq!(history.stats().publish_error, None);
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
    assert!(history.stats().publish_error.is_some());
    let before = vfs.operations();
    assert!(history.write(&mut engine, 1));
    assert_eq!(vfs.operations() - before, GROUP_OPERATIONS);
    history.clock.pause(LONGER_THAN_A_RETRY);
    assert!(history.write(&mut engine, 1));
    assert_eq!(history.stats().publish_error, None);
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
    assert!(history.stats().publish_error.is_some());
    let active = vfs.list(&place().active).unwrap();
    let copies = active.iter().filter(|name| name.starts_with(".recovering"));
    assert_eq!(copies.count(), 0, "{active:?}");
}

#[test]
fn what_is_sealed_is_published_also_while_the_disk_is_full() {
    let mut history = History::new();
    let vfs = disk(&[], Omit::Nothing);
    let mut engine = history.start(&vfs).unwrap();
    assert!(history.write(&mut engine, 2));
    let ready = place().ready;
    vfs.refuse_names_in(Some(&ready));
    engine.rotate().unwrap();
    vfs.refuse_names_in(None);
    assert!(history.stats().publish_error.is_some());
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
    assert_eq!(history.stats().poisonings, 1);
    let active = vfs.list(&place().active).unwrap();
    let segments = active.iter().filter(|name| !name.starts_with('.'));
    assert_eq!(segments.count(), 1, "{active:?}");
    assert!(history.write(&mut engine, 1));
    history.close(&mut engine).unwrap();
    drop(engine);
    history.judge(&vfs.after_power_cut(&mut Chance(4))).unwrap();
}

/// Fails the sync of a group while the segment before it gives back something else from an offset
/// on, and says what was found of that, in the end.
fn poisoned_and_rotten(from: usize) -> (Option<String>, String, usize) {
    let mut history = History::new();
    let vfs = disk(&[], Omit::Nothing);
    let mut engine = history.start(&vfs).unwrap();
    assert!(history.write(&mut engine, 2));
    assert!(history.write(&mut engine, 3));
    let first = place().active.join("segment_20251203T14_00001.ndjson");
    vfs.rot(&first, from);
    vfs.fail_at(vfs.operations() + 2, Fault::Error);
    assert!(history.write(&mut engine, 1));
    assert_eq!(history.stats().publish_error, None);
    let damage = history.stats().damage;
    let closed = history.close(&mut engine).unwrap_err().to_string();
    let kept = vfs.list(&place().quarantine).unwrap().len();
    (damage, closed, kept)
}

#[test]
fn durable_frames_that_a_failed_disk_does_not_give_back_are_an_alarm() {
    // In the second of two groups.
    let (damage, closed, kept) = poisoned_and_rotten(700);
    let damage = damage.expect("an alarm");
    assert!(
        damage.contains("of 5 durable frames the disk gave back 2"),
        "{damage}"
    );
    assert_eq!(closed, damage);
    assert_eq!(kept, 1);
}

#[test]
fn a_failed_disk_that_gives_nothing_back_does_not_hold_up_what_follows() {
    let (damage, _, kept) = poisoned_and_rotten(0);
    let damage = damage.expect("an alarm");
    assert!(
        damage.contains("of 5 durable frames the disk gave back 0"),
        "{damage}"
    );
    assert_eq!(kept, 1);
}

#[test]
fn the_hour_does_not_go_back_with_the_clock_nor_does_a_name_come_again() {
    let mut history = History::new();
    let vfs = disk(&[], Omit::Nothing);
    let mut names = Vec::new();
    for counter_is_lost in [false, false, true] {
        if counter_is_lost {
            vfs.unlink(&place().active.join(".counter")).unwrap();
        }
        let mut engine = history.start(&vfs).unwrap();
        assert!(history.write(&mut engine, 1));
        history.close(&mut engine).unwrap();
        names = vfs.list(&place().ready).unwrap();
        history.clock.set_back(Duration::from_secs(5 * 3600));
    }
    let expected = (1..=3).map(|n| format!("segment_20251203T14_{n:05}.ndjson"));
    assert_eq!(names, expected.collect::<Vec<_>>());
}

#[test]
fn a_connection_ends_although_recovery_failed_once_and_the_writer_went_on() {
    let mut history = History::new();
    let vfs = disk(&[], Omit::Nothing);
    let mut engine = history.start(&vfs).unwrap();
    assert!(history.write(&mut engine, 2));
    drop(engine);
    history.end_life(0);
    vfs.refuse_names_in(Some(&place().active));
    let mut engine = history.start(&vfs).unwrap();
    vfs.refuse_names_in(None);
    let left = vfs.list(&place().active).unwrap();
    assert!(left.iter().any(|name| !name.starts_with('.')), "{left:?}");
    assert!(history.write(&mut engine, 1));
    drop(engine);
    history.judge(&vfs.after_kill()).unwrap();
}
