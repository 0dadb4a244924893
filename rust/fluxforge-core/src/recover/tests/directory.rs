//! What lies beside each other in active/, and where it goes.

use super::*;

/// The limit is a process's own, so the test below runs in another.
#[test]
fn active_may_hold_more_segments_than_a_process_may_open() {
    let test = "recover::tests::directory::a_hundred_segments_on_a_real_disk";
    let limited = r#"ulimit -n 64 && exec "$0" --ignored --exact "$1""#;
    let output = std::process::Command::new("sh")
        .args(["-c", limited])
        .arg(std::env::current_exe().unwrap())
        .arg(test)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
}

#[test]
#[ignore = "the test above runs it, where files are few"]
fn a_hundred_segments_on_a_real_disk() {
    let root = tempfile::tempdir().unwrap();
    let place = Place {
        active: root.path().join("active"),
        ready: root.path().join("ready"),
        quarantine: root.path().join("quarantine"),
    };
    for dir in [&place.active, &place.ready, &place.quarantine] {
        std::fs::create_dir(dir).unwrap();
    }
    for n in 1..=100 {
        let segment = Builder::new(n, n.into(), None).group(&["1"]);
        std::fs::write(place.active.join(&segment.header.name), &segment.bytes).unwrap();
    }
    let report = recover(&crate::vfs::Disk, &place).unwrap();
    assert_eq!(report.len(), 100);
    assert!(report.iter().all(|one| one.outcome == Outcome::Sealed));
}

#[test]
fn a_newer_format_stops_everything_before_anything_is_touched() {
    let vfs = disk();
    Builder::new(1, 1, None).group(&["1"]).put(&vfs);
    vfs.put(
        Path::new("/a/segment_20251203T14_00002.ndjson"),
        br#"{"segment":{"format":2}}"#,
    );
    assert!(matches!(
        recover(&vfs, &place()),
        Err(SegmentError::NewerFormat { format: 2, .. })
    ));
    assert_eq!(vfs.list(&place().active).unwrap().len(), 2);
}

#[test]
fn files_that_are_no_segments_and_segments_of_the_living_are_left_alone() {
    let vfs = disk();
    vfs.put(Path::new("/a/notes.txt"), b"hello");
    let builder = Builder::new(1, 1, None).group(&["1"]);
    vfs.put(Path::new(&format!("/a/{NAME}.bak")), &builder.bytes);
    builder.put(&vfs);
    let living = vfs.open(&place().active.join(NAME)).unwrap();
    assert!(living.try_lock().unwrap());
    let report = recover(&vfs, &place()).unwrap();
    assert_eq!(report.len(), 1);
    assert_eq!(report[0].outcome, Outcome::Locked);
    assert_eq!(vfs.list(&place().active).unwrap().len(), 3);
}

#[test]
fn a_name_that_is_taken_in_ready_by_another_segment_is_not_replaced() {
    let vfs = disk();
    vfs.put(&place().ready.join(NAME), b"something else\n");
    Builder::new(1, 1, None).group(&["1"]).put(&vfs);
    recover(&vfs, &place()).unwrap();
    assert_eq!(
        vfs.read(&place().ready.join(NAME)).unwrap(),
        b"something else\n"
    );
    assert_eq!(
        published(&vfs, "segment_20251203T14_00001_01010101.ndjson").0,
        ["1"]
    );
}

#[test]
fn the_other_name_of_a_writers_segment_is_a_segments_name_too() {
    for writer in ["a".to_owned(), "w".repeat(63)] {
        let vfs = disk();
        let mut header = Builder::new(1, 1, None).header;
        header.name = format!("segment_20251203T14_00001_{writer}.ndjson");
        header.writer = Some(writer);
        vfs.put(&place().ready.join(&header.name), b"something else\n");
        Builder::begin(header).group(&["1"]).put(&vfs);
        recover(&vfs, &place()).unwrap();
        let names = vfs.list(&place().ready).unwrap();
        let is_ours = |name: &str| {
            let name = crate::segment::SegmentName::parse(name)?;
            name.writer.filter(|id| id.ends_with("-01010101"))
        };
        assert_eq!(names.len(), 2);
        assert!(
            names.iter().any(|name| is_ours(name).is_some()),
            "{names:?}"
        );
    }
}

/// Killed between giving the next segment its name and syncing active/; then the power goes while
/// that is recovered. The first segment counts on the second to end its connection.
#[test]
fn a_segment_that_others_rely_on_does_not_vanish_in_the_next_power_cut() {
    for (at, seed) in (0..30).flat_map(|at| (0..40).map(move |seed| (at, seed))) {
        let vfs = disk();
        vfs.sync_dir(Path::new("/")).unwrap();
        Builder::new(1, 1, None).group(&["1"]).put(&vfs);
        let mut header = Builder::new(2, 2, None).header;
        (header.open).insert("c1".to_owned(), "1970-01-01T00:00:00.000000005Z".to_owned());
        let hidden = place().active.join(".opening");
        let named = place().active.join(&header.name);
        vfs.put(&hidden, &Builder::begin(header).bytes);
        vfs.rename(&hidden, &named).unwrap();
        vfs.crash_after(at);
        let _ = recover(&vfs, &place());
        let vfs = vfs.after_power_cut(&mut Chance(seed));
        recover(&vfs, &place()).unwrap();
        let published_events = |name: String| published(&vfs, &name).1;
        let ready = vfs.list(&place().ready).unwrap();
        let events: Vec<String> = ready.into_iter().flat_map(published_events).collect();
        assert_eq!(events, ["gap"], "crash after {at}, seed {seed}");
    }
}
