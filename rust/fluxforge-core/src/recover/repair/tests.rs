//! Closing a segment where it lies, and what becomes of that when it is cut short.

use std::path::{Path, PathBuf};

use crate::append::LOCK_FILE;
use crate::recover::{FileOutcome, Outcome, Place, recover, recover_file};
use crate::segment::builder::Builder;
use crate::segment::{Durability, push_event, push_frame};
use crate::vfs::faulty::{Chance, Fault, FaultyVfs};
use crate::vfs::{Vfs, append_all};

const NAME: &str = "segment_20251203T14_00001.ndjson";

fn place() -> Place {
    Place {
        active: "/a".into(),
        ready: "/r".into(),
        quarantine: "/q".into(),
    }
}

fn file() -> PathBuf {
    place().active.join(NAME)
}

fn disk(bytes: &[u8]) -> FaultyVfs {
    let vfs = FaultyVfs::new();
    for dir in [place().active, place().ready, place().quarantine] {
        vfs.mkdir(&dir).unwrap();
    }
    vfs.sync_dir(Path::new("/")).unwrap();
    vfs.put(&file(), bytes);
    vfs
}

fn torn() -> Builder {
    Builder::new(1, 1, None)
        .group(&["1", "2"])
        .group(&["3"])
        .torn(b"{\"capture_ts\":\"2025-12-03T14:00:00.0000000")
}

fn published(vfs: &FaultyVfs) -> Option<Vec<u8>> {
    vfs.read(&place().ready.join(NAME))
}

/// What nobody disturbs.
fn recovered(bytes: &[u8]) -> Vec<u8> {
    let vfs = disk(bytes);
    let report = recover(&vfs, &place()).unwrap();
    assert_eq!(report[0].outcome, Outcome::Sealed, "{report:?}");
    published(&vfs).unwrap()
}

/// What `fluxforge segment recover` writes, which always copies.
fn copied(bytes: &[u8]) -> Vec<u8> {
    let vfs = disk(bytes);
    let outcome = recover_file(&vfs, &file(), Path::new("/out")).unwrap();
    let FileOutcome::Sealed(copy) = outcome else {
        panic!("{outcome:?}")
    };
    vfs.read(&copy.path).unwrap()
}

/// Recovers where there is no room for a copy.
fn is_repaired(bytes: &[u8]) -> bool {
    let vfs = disk(bytes);
    vfs.leave_room_for(bytes.len() - 1);
    recover(&vfs, &place()).unwrap()[0].outcome == Outcome::Sealed
}

/// Some thirty kilobytes, beside which any end is small.
fn long(mut header: Builder) -> Builder {
    for n in 0..30 {
        let frame = format!("\"{n}{}\"", "x".repeat(1000));
        header = header.group(&[&frame]);
    }
    header
}

#[test]
fn a_repair_writes_what_a_copy_holds() {
    let unsealed = Builder::new(1, 1, None).group(&["1"]).group(&["2"]);
    let sealed = Builder::new(1, 1, None).group(&["1"]).seal();
    let header = Builder::new(1, 1, None).torn(b"x");
    // A checkpoint that came to the disk before its group did, and proves nothing.
    let mut reordered = Builder::new(1, 1, None).group(&["1"]).group(&["2", "3"]);
    let at = reordered.starts[2];
    reordered.bytes[at..at + 70].fill(0);
    for segment in [torn(), unsealed, sealed, header, reordered] {
        assert_eq!(recovered(&segment.bytes), copied(&segment.bytes));
    }
}

#[test]
fn only_what_is_at_the_end_may_be_hidden_or_the_file_is_copied() {
    let fsync = || Builder::new(1, 1, None);
    assert!(is_repaired(&long(fsync()).bytes));
    assert!(is_repaired(&long(fsync()).torn(b"{\"capture").bytes));
    assert!(is_repaired(&long(fsync()).seal().bytes));
    for durability in [None, Some(Durability::Os)] {
        let mut header = fsync().header;
        header.durability = durability;
        assert!(!is_repaired(&long(Builder::begin(header)).bytes));
    }
    let mut harmed = long(fsync());
    let at = harmed.starts[5] + 60;
    harmed.bytes[at] ^= 1;
    assert!(!is_repaired(&harmed.bytes));
    // A checkpoint that is right and that no writer would have written there.
    let mut miscounted = long(fsync());
    miscounted.last.frames += 1;
    assert!(!is_repaired(&miscounted.group(&["1"]).bytes));
}

#[test]
fn a_large_file_is_surveyed_as_a_small_one() {
    let mut segment = Builder::new(1, 1, None);
    let mut header = segment.header.clone();
    header.open = (0..5_000)
        .map(|n| (format!("{n:060}"), crate::segment::timestamp(n)))
        .collect();
    segment = Builder::begin(header);
    let mut sizes = Chance(7);
    while segment.bytes.len() < 10 << 20 {
        let mut lines = Vec::new();
        for n in 0..sizes.next() % 400 {
            let conn = format!("c{}", sizes.next() % 3);
            let size = if n == 77 {
                600_000
            } else {
                sizes.next() % 3_000
            };
            let frame = format!("\"{}\"", "y".repeat(usize::try_from(size).unwrap()));
            push_frame(
                &mut lines,
                i64::try_from(n).unwrap(),
                &conn,
                frame.as_bytes(),
            );
            if n == 99 {
                push_event(&mut lines, 7, Some(&conn), br#"{"kind":"disconnected"}"#);
            }
        }
        segment = segment.lines(&lines);
    }
    let segment = segment.torn(b"{\"capture");
    assert!(is_repaired(&segment.bytes));
    assert!(recovered(&segment.bytes) == copied(&segment.bytes));
}

/// The file is on the disk as it is, so there is one right answer. The torn bytes are in it: they
/// outlive a repair that was cut short after it had written over them.
#[test]
fn a_repair_that_is_cut_short_anywhere_ends_in_the_same_bytes() {
    for segment in [torn(), Builder::new(1, 1, None).group(&["1"]).seal()] {
        let expected = recovered(&segment.bytes);
        let whole = disk(&segment.bytes);
        let before = whole.operations();
        recover(&whole, &place()).unwrap();
        for at in 0..=whole.operations() - before {
            for seed in 0..24 {
                let mut chance = Chance(seed);
                let mut vfs = disk(&segment.bytes);
                vfs.crash_after(at);
                let _ = recover(&vfs, &place());
                for _ in 0..seed % 3 {
                    vfs = vfs.after_kill();
                    vfs.crash_after(chance.next() % 30);
                    let _ = recover(&vfs, &place());
                }
                vfs = vfs.after_power_cut(&mut chance);
                recover(&vfs, &place()).unwrap();
                // Published twice is not forbidden: the name in active/ may have come back.
                assert!(
                    published(&vfs) == Some(expected.clone()),
                    "crash after {at}, {seed}"
                );
                let left = vfs.list(&place().active).unwrap();
                assert!(left.is_empty(), "crash after {at}, {seed}: {left:?}");
            }
        }
    }
}

/// A group whose sync failed is in the page cache alone. Whatever recovery makes of it, what it
/// publishes is on the disk, also where a sync of its own fails.
#[test]
fn what_only_the_page_cache_holds_is_written_again() {
    let sound = Builder::new(1, 1, None).group(&["1"]);
    let longer = Builder::new(1, 1, None).group(&["1"]).group(&["2"]);
    let acceptable = [recovered(&sound.bytes), recovered(&longer.bytes)];
    for (failing, seed) in (0..40).flat_map(|at| (0..12).map(move |seed| (at, seed))) {
        let mut chance = Chance(seed);
        let mut vfs = disk(&sound.bytes);
        let mut file = vfs.open(&file()).unwrap();
        append_all(file.as_mut(), &longer.bytes[sound.bytes.len()..]).unwrap();
        vfs.fail_at(vfs.operations() + 1, Fault::Error);
        file.sync_data().unwrap_err();
        drop(file);
        vfs.fail_at(vfs.operations() + failing, Fault::Error);
        let _ = recover(&vfs, &place());
        vfs = vfs.after_kill();
        recover(&vfs, &place()).unwrap();
        let once = published(&vfs).unwrap();
        assert!(once == acceptable[1], "failure at {failing}");
        vfs = vfs.after_power_cut(&mut chance);
        recover(&vfs, &place()).unwrap();
        assert!(
            published(&vfs) == Some(once),
            "failure at {failing}, {seed}"
        );
    }
}

#[test]
fn without_room_for_the_end_the_segment_waits() {
    let segment = torn();
    let expected = recovered(&segment.bytes);
    for room in 0..2_000 {
        let vfs = disk(&segment.bytes);
        vfs.leave_room_for(room);
        let outcome = recover(&vfs, &place()).unwrap()[0].outcome;
        if outcome == Outcome::Sealed {
            assert!(room > 100, "{room}");
            break;
        }
        assert_eq!(outcome, Outcome::Failed);
        vfs.set_capacity(None);
        recover(&vfs, &place()).unwrap();
        assert!(published(&vfs) == Some(expected.clone()), "room for {room}");
    }
}

#[test]
fn a_prepared_end_that_rotted_is_not_believed() {
    let segment = Builder::new(1, 1, None).group(&["1"]).group(&["2"]);
    let vfs = disk(&segment.bytes);
    let ending = place().active.join(format!(".ending_{NAME}"));
    // Prepared, and not a byte of it written yet.
    for operations in 0..100 {
        vfs.crash_after(operations);
        let _ = recover(&vfs, &place());
        if vfs.read(&ending).is_some() {
            break;
        }
    }
    let mut prepared = vfs.read(&ending).unwrap();
    let last = prepared.len() - 3;
    prepared[last] ^= 1;
    let vfs = disk(&segment.bytes);
    vfs.put(&ending, &prepared);
    recover(&vfs, &place()).unwrap();
    assert!(published(&vfs) == Some(recovered(&segment.bytes)));
    assert!(vfs.list(&place().active).unwrap().is_empty());
}

#[test]
fn what_was_prepared_for_segments_that_are_gone_is_removed() {
    let vfs = disk(&torn().bytes);
    let active = |name: &str| place().active.join(name);
    vfs.put(&active(".ending_segment_20251203T14_00009.ndjson"), b"x");
    vfs.put(&active(".preparing_segment_20251203T14_00009.ndjson"), b"x");
    vfs.put(&active(LOCK_FILE), b"");
    recover(&vfs, &place()).unwrap();
    assert_eq!(vfs.list(&place().active).unwrap(), [LOCK_FILE]);
}
