//! One file at a time, and what recovery of the whole directory would have made of it.

use super::*;
use crate::recover::{Place, recover};
use crate::segment::Continues;
use crate::segment::builder::Builder;
use crate::vfs::faulty::{Fault, FaultyVfs};

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

fn disk(segments: &[Builder]) -> FaultyVfs {
    let vfs = FaultyVfs::new();
    for dir in [place().active, place().ready, place().quarantine] {
        vfs.mkdir(&dir).unwrap();
    }
    for segment in segments {
        vfs.put(&place().active.join(&segment.header.name), &segment.bytes);
    }
    vfs
}

fn harmed() -> Builder {
    let mut segment = Builder::new(1, 1, None)
        .group(&["1"])
        .group(&["2", "3"])
        .group(&["4"])
        .torn(b"{\"capture_ts\":\"2025");
    let at = segment.starts[2] + 60;
    segment.bytes[at] ^= 1;
    segment
}

fn sealed(outcome: FileOutcome) -> RecoveredFile {
    match outcome {
        FileOutcome::Sealed(recovered) => recovered,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_copy_is_what_recovery_publishes_and_the_file_stays_as_it_is() {
    let vfs = disk(&[harmed()]);
    let recovered = sealed(recover_file(&vfs, &file(), Path::new("/a/out")).unwrap());
    assert_eq!(vfs.read(&file()).unwrap(), harmed().bytes);
    assert_eq!(recovered.path, Path::new("/a/out").join(NAME));
    assert_eq!((recovered.frames, recovered.cut_bytes), (2, 19));
    let [kept] = recovered.kept.as_slice() else {
        panic!("{:?}", recovered.kept)
    };
    let (from, to) = (harmed().starts[2], harmed().starts[3]);
    assert_eq!(vfs.read(kept).unwrap(), harmed().bytes[from..to]);

    let copy = vfs.read(&recovered.path).unwrap();
    recover(&vfs, &place()).unwrap();
    assert_eq!(vfs.read(&place().ready.join(NAME)).unwrap(), copy);
}

#[test]
fn twice_gives_the_same_bytes_once() {
    let vfs = disk(&[harmed()]);
    let out = Path::new("/out");
    let once = recover_file(&vfs, &file(), out).unwrap();
    let there = vfs.list(out).unwrap();
    assert_eq!(recover_file(&vfs, &file(), out).unwrap(), once);
    assert_eq!(vfs.list(out).unwrap(), there);
    assert_eq!(there.len(), 2, "the copy and the corrupt group: {there:?}");
}

#[test]
fn in_its_own_directory_the_copy_takes_another_name() {
    let vfs = disk(&[harmed()]);
    for _ in 0..2 {
        let recovered = sealed(recover_file(&vfs, &file(), &place().active).unwrap());
        let name = "/a/segment_20251203T14_00001_01010101.ndjson";
        assert_eq!(recovered.path, Path::new(name));
        assert_eq!(vfs.read(&file()).unwrap(), harmed().bytes);
    }
}

#[test]
fn a_copy_is_not_put_where_a_writer_would_publish_it_again() {
    let vfs = disk(&[harmed()]);
    vfs.put(&place().active.join(".lock_b"), b"");
    let refused = recover_file(&vfs, &file(), &place().active).unwrap_err();
    assert!(
        refused.to_string().contains("another directory"),
        "{refused}"
    );
}

#[test]
fn a_segment_beside_it_that_continues_it_cuts_it() {
    let first = Builder::new(1, 1, None).group(&["1"]).group(&["2"]);
    let continues = Continues {
        uid: first.header.uid.clone(),
        checkpoint: 1,
    };
    let vfs = disk(&[
        first,
        Builder::new(2, 2, Some(continues)).group(&["2", "3"]),
    ]);
    let recovered = sealed(recover_file(&vfs, &file(), Path::new("/out")).unwrap());
    assert_eq!(recovered.frames, 1);
    let copy = vfs.read(&recovered.path).unwrap();
    recover(&vfs, &place()).unwrap();
    assert_eq!(vfs.read(&place().ready.join(NAME)).unwrap(), copy);
}

#[test]
fn the_file_of_a_living_writer_is_left_alone() {
    let vfs = disk(&[harmed()]);
    let living = vfs.open(&file()).unwrap();
    assert!(living.try_lock().unwrap());
    let outcome = recover_file(&vfs, &file(), Path::new("/out")).unwrap();
    assert_eq!(outcome, FileOutcome::Locked);
    assert!(!vfs.exists(Path::new("/out")).unwrap());
}

#[test]
fn where_nothing_is_proved_nothing_is_written() {
    let mut unprovable = Builder::new(1, 1, None);
    let at = unprovable.starts[1] - 10;
    unprovable.bytes[at] ^= 1;
    let mut half = Builder::new(1, 1, None);
    half.bytes.truncate(30);
    for (segment, expected) in [
        (unprovable, FileOutcome::Unprovable),
        (half, FileOutcome::Unprovable),
        (Builder::new(1, 1, None), FileOutcome::Empty),
    ] {
        let vfs = disk(&[segment]);
        let outcome = recover_file(&vfs, &file(), Path::new("/out")).unwrap();
        assert_eq!(outcome, expected);
        assert!(vfs.list(Path::new("/out")).unwrap_or_default().is_empty());
    }
}

#[test]
fn strangers_newer_formats_and_missing_files_are_errors_that_say_so() {
    let vfs = disk(&[]);
    let out = Path::new("/out");
    let missing = recover_file(&vfs, &file(), out).unwrap_err();
    assert!(matches!(missing, SegmentError::Io { .. }), "{missing}");
    vfs.put(&file(), b"{\"capture_ts\":\"x\"}\n");
    let stranger = recover_file(&vfs, &file(), out).unwrap_err();
    assert!(stranger.to_string().contains("not a segment"), "{stranger}");
    vfs.put(&file(), b"{\"segment\":{\"format\":2}}\n");
    let newer = recover_file(&vfs, &file(), out).unwrap_err();
    assert!(newer.to_string().contains("upgrade"), "{newer}");
}

#[test]
fn whatever_fails_the_file_is_unharmed_and_the_next_try_succeeds() {
    let whole = disk(&[harmed()]);
    recover_file(&whole, &file(), Path::new("/out")).unwrap();
    let copy = whole.read(&Path::new("/out").join(NAME)).unwrap();
    let mut failures = 0;
    for at in 1..=whole.operations() {
        let vfs = disk(&[harmed()]);
        vfs.fail_at(at, Fault::Error);
        failures += u32::from(recover_file(&vfs, &file(), Path::new("/out")).is_err());
        assert_eq!(vfs.read(&file()).unwrap(), harmed().bytes);
        vfs.heal();
        let recovered = sealed(recover_file(&vfs, &file(), Path::new("/out")).unwrap());
        assert_eq!(vfs.read(&recovered.path).unwrap(), copy, "failure at {at}");
    }
    assert!(failures > 20, "{failures}");
}
