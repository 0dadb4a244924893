//! What follows a place at which another machine closed a segment.

use std::path::Path;

use super::*;
use crate::segment::builder::Builder;
use crate::vfs::faulty::{Fault, FaultyVfs};

const NAME: &str = "segment_20251203T14_00001.ndjson";

fn written() -> Builder {
    let segment = Builder::new(1, 1, None).group(&["1"]).group(&["2", "3"]);
    segment.group(&["4"]).seal()
}

fn disk(segment: &Builder) -> FaultyVfs {
    let vfs = FaultyVfs::new();
    vfs.mkdir(Path::new("/r")).unwrap();
    vfs.put(&Path::new("/r").join(NAME), &segment.bytes);
    vfs
}

fn rest_of(vfs: &FaultyVfs, offset: usize) -> Result<Option<PathBuf>, SegmentError> {
    remainder(
        vfs,
        &Path::new("/r").join(NAME),
        offset as u64,
        Path::new("/r"),
    )
}

fn groups(bytes: &[u8]) -> (Header, Vec<Vec<u8>>, SealLine) {
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap();
    let Opening::Segment(header) = Opening::read(line) else {
        panic!("no header");
    };
    let mut groups = crate::segment::Groups::new(header.uid.clone());
    groups.push(bytes);
    groups.end();
    let (mut found, mut seal) = (Vec::new(), None);
    while let Some(piece) = groups.next_piece() {
        match piece {
            Piece::Group { lines, .. } => found.push(lines),
            Piece::Seal(line) => seal = Some(line),
            other => panic!("{other:?}"),
        }
    }
    (header, found.split_off(1), seal.expect("a seal"))
}

#[test]
fn it_holds_the_groups_after_the_offset_and_says_what_it_continues() {
    let old = written();
    let vfs = disk(&old);
    let path = rest_of(&vfs, old.starts[2]).unwrap().unwrap();
    let (header, rest, seal) = groups(&vfs.read(&path).unwrap());
    let (_, all, _) = groups(&old.bytes);
    assert_eq!(rest, all[1..]);
    assert_eq!((seal.frames, seal.durability), (3, Durability::Fsync));
    let continues = header.continues.unwrap();
    assert_eq!(
        (continues.uid, continues.checkpoint),
        (old.header.uid.clone(), 1)
    );
    assert_ne!(header.uid, old.header.uid);
    let name = path.file_name().unwrap().to_str().unwrap();
    assert_eq!(header.name, name);
    assert!(name.starts_with("segment_20251203T14_00001_"), "{name}");
    assert_eq!(vfs.read(&Path::new("/r").join(NAME)).unwrap(), old.bytes);
}

#[test]
fn made_twice_it_is_the_same_segment_and_from_another_place_another_one() {
    let old = written();
    let vfs = disk(&old);
    let once = rest_of(&vfs, old.starts[2]).unwrap().unwrap();
    let bytes = vfs.read(&once).unwrap();
    assert_eq!(rest_of(&vfs, old.starts[2]).unwrap().unwrap(), once);
    assert_eq!(vfs.read(&once).unwrap(), bytes);
    assert_ne!(rest_of(&vfs, old.starts[3]).unwrap().unwrap(), once);
}

#[test]
fn nothing_follows_the_last_checkpoint_but_the_seal() {
    let old = written();
    let vfs = disk(&old);
    assert_eq!(rest_of(&vfs, old.starts[4]).unwrap(), None);
    assert_eq!(vfs.list(Path::new("/r")).unwrap(), [NAME]);
}

#[test]
fn what_is_not_whole_or_not_cut_there_is_told_and_left_alone() {
    let old = written();
    let open = Builder::new(1, 1, None).group(&["1"]);
    let mut harmed = written();
    harmed.bytes[old.starts[2] + 60] ^= 1;
    for (segment, offset) in [
        (&old, old.starts[2] + 1),
        (&open, open.starts[1]),
        (&harmed, old.starts[2]),
    ] {
        let vfs = disk(segment);
        let refused = rest_of(&vfs, offset).unwrap_err();
        assert!(matches!(refused, SegmentError::Damaged { .. }), "{refused}");
        assert_eq!(vfs.list(Path::new("/r")).unwrap(), [NAME]);
    }
}

#[test]
fn whatever_fails_the_next_try_gives_the_same() {
    let old = written();
    let whole = disk(&old);
    let path = rest_of(&whole, old.starts[2]).unwrap().unwrap();
    let bytes = whole.read(&path).unwrap();
    for at in 1..=whole.operations() {
        let vfs = disk(&old);
        vfs.fail_at(at, Fault::Error);
        let _ = rest_of(&vfs, old.starts[2]);
        vfs.heal();
        assert_eq!(
            rest_of(&vfs, old.starts[2]).unwrap().unwrap(),
            path,
            "at {at}"
        );
        assert_eq!(vfs.read(&path).unwrap(), bytes, "at {at}");
        assert_eq!(vfs.list(Path::new("/r")).unwrap().len(), 2, "at {at}");
    }
}
