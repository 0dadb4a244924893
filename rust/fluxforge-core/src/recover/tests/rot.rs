//! Bytes that were proved once and are not any more.

use super::*;

#[test]
fn a_corrupt_group_goes_to_quarantine_and_its_neighbours_stay() {
    let vfs = disk();
    let mut builder = Builder::new(1, 1, None)
        .group(&["1"])
        .group(&["2", "3"])
        .group(&["4"]);
    let (from, to) = (builder.starts[2], builder.starts[3]);
    builder.bytes[from + 60] ^= 1;
    builder.put(&vfs);
    let report = recover(&vfs, &place()).unwrap();
    assert!(
        report[0].detail.contains("2 frames"),
        "{}",
        report[0].detail
    );
    let (frames, events) = published(&vfs, NAME);
    assert_eq!(frames, ["1", "4"]);
    assert_eq!(events, ["corrupt", "gap"]);
    let kept = vfs
        .read(&place().quarantine.join(format!("{NAME}.{from}.corrupt")))
        .unwrap();
    assert_eq!(kept, builder.bytes[from..to]);
}

#[test]
fn a_damaged_checkpoint_costs_its_own_group_only() {
    let vfs = disk();
    let mut builder = Builder::new(1, 1, None)
        .group(&["1"])
        .group(&["2"])
        .group(&["3"]);
    let end = builder.starts[3];
    builder.bytes[end - 30] ^= 1;
    builder.put(&vfs);
    recover(&vfs, &place()).unwrap();
    assert_eq!(published(&vfs, NAME).0, ["1", "3"]);
}

/// Harms every second group after the first: with the damage of records no checkpoint is lost.
#[test]
fn however_many_groups_are_damaged_only_they_are_lost() {
    for damaged in 1..=20 {
        let vfs = disk();
        let frames: Vec<String> = (1..=40).map(|n| n.to_string()).collect();
        let mut builder = (frames.iter()).fold(Builder::new(1, 1, None), |builder, frame| {
            builder.group(&[frame])
        });
        let harmed: Vec<usize> = (1..=damaged).map(|n| n * 2 - 1).collect();
        for &group in &harmed {
            let at = builder.starts[group] + 60;
            builder.bytes[at] ^= 1;
        }
        builder.put(&vfs);
        recover(&vfs, &place()).unwrap();
        let is_kept = |frame: &&String| !harmed.contains(&frame.parse().unwrap());
        let kept: Vec<&String> = frames.iter().filter(is_kept).collect();
        assert_eq!(published(&vfs, NAME).0.iter().collect::<Vec<_>>(), kept);
        for name in vfs.list(&place().quarantine).unwrap() {
            let group = vfs.read(&place().quarantine.join(&name)).unwrap();
            let is_one = |&at: &usize| builder.bytes[builder.starts[at]..].starts_with(&group);
            assert!(harmed.iter().any(is_one), "{name}");
        }
        assert_eq!(vfs.list(&place().quarantine).unwrap().len(), damaged);
    }
}

#[test]
fn a_large_group_after_a_damaged_one_is_kept() {
    let vfs = disk();
    let large = format!("\"{}\"", "x".repeat(2_500_000));
    let mut builder = Builder::new(1, 1, None)
        .group(&["1"])
        .group(&["2"])
        .group(&["3", &large]);
    let at = builder.starts[2] + 60;
    builder.bytes[at] ^= 1;
    builder.put(&vfs);
    recover(&vfs, &place()).unwrap();
    assert_eq!(published(&vfs, NAME).0, ["1", "3", &large]);
}

#[test]
fn a_lost_line_break_does_not_join_two_groups() {
    let vfs = disk();
    let mut builder = Builder::new(1, 1, None)
        .group(&["1"])
        .group(&["2"])
        .group(&["3"])
        .group(&["4"]);
    let end = builder.starts[3];
    builder.bytes[end - 1] = b' ';
    builder.put(&vfs);
    recover(&vfs, &place()).unwrap();
    let (frames, _) = published(&vfs, NAME);
    assert!(
        frames.contains(&"1".to_owned()) && frames.contains(&"4".to_owned()),
        "{frames:?}"
    );
}

/// What recovery makes of a segment of four frames in three groups, all of it durable and sealed,
/// after this was done to its bytes.
fn harmed(harm: impl FnOnce(&mut Vec<u8>, &[usize])) -> (Recovered, FaultyVfs) {
    let vfs = disk();
    let mut builder = Builder::new(1, 1, None)
        .group(&["1"])
        .group(&["2", "3"])
        .group(&["4"])
        .seal();
    harm(&mut builder.bytes, &builder.starts);
    builder.put(&vfs);
    let mut report = recover(&vfs, &place()).unwrap();
    assert_eq!(report[0].outcome, Outcome::Sealed);
    assert!(recover(&vfs, &place()).unwrap().is_empty(), "done");
    (report.remove(0), vfs)
}

fn evidence(vfs: &FaultyVfs) -> Vec<Vec<u8>> {
    let names = vfs.list(&place().quarantine).unwrap();
    let read = |name| vfs.read(&place().quarantine.join(name)).unwrap();
    names.iter().map(read).collect()
}

/// No crash can tear it: the seal was written after its sync had returned.
#[test]
fn the_last_group_of_a_sealed_segment_that_rotted_is_damage() {
    let mut tail = Vec::new();
    let (report, vfs) = harmed(|bytes, starts| {
        bytes[starts[3] + 60] ^= 1;
        tail = bytes[starts[3]..].to_vec();
    });
    assert!(report.is_damaged, "{report:?}");
    assert!(report.detail.contains(", 1 frames, lie in quarantine"));
    assert_eq!(report.cut_bytes, 0, "nothing was torn");
    let (frames, events) = published(&vfs, NAME);
    assert_eq!(frames, ["1", "2", "3"]);
    assert_eq!(events, ["corrupt", "gap"]);
    assert_eq!(evidence(&vfs), [tail]);
}

#[test]
fn several_groups_that_rotted_before_a_seal_are_counted_by_it() {
    let (report, vfs) = harmed(|bytes, starts| {
        bytes[starts[2] + 60] ^= 1;
        bytes[starts[3] + 60] ^= 1;
    });
    assert!(report.detail.contains(", 3 frames, lie"), "{report:?}");
    assert_eq!(published(&vfs, NAME).0, ["1"]);
}

#[test]
fn a_seal_that_rotted_is_damage_and_no_frame_is_lost() {
    let seal = Builder::new(1, 1, None).group(&["1"]).seal();
    let len = seal.bytes.len() - seal.starts[2];
    let (beginning, end) = (b"{\"seal\":{".len(), b"}}\n".len());
    for at in beginning..len - end {
        let (report, vfs) = harmed(|bytes, starts| bytes[starts[4] + at] ^= 1);
        assert!(report.is_damaged, "byte {at}: {report:?}");
        assert!(report.detail.contains(", 0 frames, lie"), "{report:?}");
        assert_eq!(published(&vfs, NAME).0, ["1", "2", "3", "4"]);
        assert_eq!(evidence(&vfs).len(), 1);
    }
}

#[test]
fn bytes_after_a_seal_are_damage() {
    for more in [&b"x"[..], b"{\"capture_ts\":1}\n", &[0; 512]] {
        let (report, vfs) = harmed(|bytes, _| bytes.extend_from_slice(more));
        assert!(report.is_damaged, "{report:?}");
        assert_eq!(published(&vfs, NAME).0, ["1", "2", "3", "4"]);
        assert!(evidence(&vfs)[0].ends_with(more));
    }
}

#[test]
fn a_seal_over_damage_is_no_damage_of_its_own() {
    let (report, vfs) = harmed(|bytes, starts| bytes[starts[2] + 60] ^= 1);
    assert!(report.is_damaged, "{report:?}");
    assert_eq!(published(&vfs, NAME).1, ["corrupt", "gap"]);
    assert_eq!(evidence(&vfs).len(), 1, "the seal is not among it");
}

/// What a crash leaves of a seal: its beginning, or where it lies in two sectors, either of them.
#[test]
fn a_seal_that_was_being_written_at_the_crash_is_cut_like_any_torn_bytes() {
    let whole = Builder::new(1, 1, None).group(&["1"]).seal();
    let len = whole.bytes.len() - whole.starts[2];
    for at in 1..len {
        let beginning = harmed(|bytes, starts| bytes.truncate(starts[4] + at));
        let end = harmed(|bytes, starts| bytes[starts[4]..starts[4] + at].fill(0));
        let zeros = harmed(|bytes, starts| bytes[starts[4] + at..].fill(0));
        for (report, vfs) in [beginning, end, zeros] {
            assert!(!report.is_damaged, "at {at}: {report:?}");
            assert!(report.cut_bytes > 0, "at {at}: {report:?}");
            assert_eq!(published(&vfs, NAME).0, ["1", "2", "3", "4"]);
            assert!(evidence(&vfs).is_empty(), "at {at}");
        }
    }
}
