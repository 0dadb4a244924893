//! Segments of which one goes on where the disk failed under another.

use super::*;

#[test]
fn a_segment_that_another_continues_is_cut_there_whatever_validates_beyond() {
    let vfs = disk();
    let first = Builder::new(1, 1, None).group(&["1"]).group(&["2"]);
    let continues = crate::segment::Continues {
        uid: first.header.uid.clone(),
        checkpoint: 1,
    };
    first.put(&vfs);
    Builder::new(2, 2, Some(continues))
        .group(&["2", "3"])
        .put(&vfs);
    recover(&vfs, &place()).unwrap();
    assert_eq!(published(&vfs, NAME), (vec!["1".to_owned()], vec![]));
    let (frames, events) = published(&vfs, "segment_20251203T14_00002.ndjson");
    assert_eq!(frames, ["2", "3"]);
    assert_eq!(events, ["gap"], "the connection went on, and ended here");
}

#[test]
fn a_header_that_rotted_cuts_no_other_segment() {
    let vfs = disk();
    let first = Builder::new(1, 1, None).group(&["1"]).group(&["2"]);
    let continues = crate::segment::Continues {
        uid: first.header.uid.clone(),
        checkpoint: 2,
    };
    first.put(&vfs);
    let mut second = Builder::new(2, 2, Some(continues)).group(&["3"]);
    let number = memchr::memmem::find(&second.bytes, b"\"checkpoint\":2").unwrap();
    second.bytes[number + 13] = b'0';
    second.put(&vfs);
    recover(&vfs, &place()).unwrap();
    assert_eq!(published(&vfs, NAME).0, ["1", "2"]);
    assert_eq!(published(&vfs, "segment_20251203T14_00002.ndjson").0, ["3"]);
}

/// Two groups that the second segment does not have, the last of them harmed: `more` says whether
/// anything valid follows the harm.
fn continued_and_harmed(vfs: &FaultyVfs, more: bool) -> Builder {
    let mut first = Builder::new(1, 1, None).group(&["1"]).group(&["2", "3"]);
    if more {
        first = first.group(&["4"]);
    }
    let continues = crate::segment::Continues {
        uid: first.header.uid.clone(),
        checkpoint: 2,
    };
    let at = first.starts[2] + 60;
    first.bytes[at] ^= 1;
    first.put(vfs);
    Builder::new(2, 2, Some(continues)).group(&["4"]).put(vfs);
    first
}

#[test]
fn a_damaged_group_of_a_continued_segment_is_kept_and_told() {
    for more in [true, false] {
        let vfs = disk();
        let first = continued_and_harmed(&vfs, more);
        let report = recover(&vfs, &place()).unwrap();
        assert!(report[0].is_damaged, "{report:?}");
        assert!(!report[1].is_damaged, "{report:?}");
        let lost = if more { "2" } else { "an unknown number of" };
        let told = format!("{lost} frames, lie in quarantine");
        assert!(report[0].detail.contains(&told), "{}", report[0].detail);
        let (frames, events) = published(&vfs, NAME);
        assert_eq!((frames, events), (vec!["1".into()], vec!["corrupt".into()]));
        let from = first.starts[2];
        let kept = vfs.read(&place().quarantine.join(format!("{NAME}.{from}.corrupt")));
        assert_eq!(kept.unwrap(), first.bytes[from..first.starts[3]]);
        assert_eq!(published(&vfs, "segment_20251203T14_00002.ndjson").0, ["4"]);
    }
}

#[test]
fn a_continued_segment_that_ends_too_early_is_told_of() {
    let vfs = disk();
    let first = Builder::new(1, 1, None).group(&["1"]);
    let continues = crate::segment::Continues {
        uid: first.header.uid.clone(),
        checkpoint: 2,
    };
    first.put(&vfs);
    Builder::new(2, 2, Some(continues)).group(&["3"]).put(&vfs);
    let report = recover(&vfs, &place()).unwrap();
    assert!(report[0].is_damaged && !report[1].is_damaged, "{report:?}");
    assert!(published(&vfs, NAME).1.is_empty(), "its connection went on");
}

/// Where groups need not be synced a power cut takes the one that says how a connection ended, and
/// the segment that goes on does not name it any more.
#[test]
fn a_connection_whose_end_is_lost_in_a_continued_segment_ends_in_a_gap() {
    let vfs = disk();
    let first = Builder::new(1, 1, None).group(&["1"]);
    let continues = crate::segment::Continues {
        uid: first.header.uid.clone(),
        checkpoint: 2,
    };
    first.put(&vfs);
    let mut header = Builder::new(2, 2, Some(continues)).header;
    header.open.clear();
    Builder::begin(header).group(&["3"]).put(&vfs);
    recover(&vfs, &place()).unwrap();
    assert_eq!(published(&vfs, NAME).1, ["gap"]);
}

/// One bit of `continues` rots and line 1 still reads: the group after it proves the segment.
#[test]
fn a_header_that_rotted_is_given_no_proof_of_what_it_continues() {
    let vfs = disk();
    let other = Builder::new(1, 1, None).header.uid;
    let continues = crate::segment::Continues {
        uid: other,
        checkpoint: 2,
    };
    let mut second = Builder::new(2, 2, Some(continues)).group(&["3"]);
    let number = memchr::memmem::find(&second.bytes, b"\"checkpoint\":2").unwrap();
    second.bytes[number + 13] = b'0';
    second.put(&vfs);
    let report = recover(&vfs, &place()).unwrap();
    assert!(report[0].is_damaged, "{report:?}");
    let published = vfs.read(&place().ready.join(&second.header.name)).unwrap();
    let line = published.split(|&byte| byte == b'\n').next().unwrap();
    let Opening::Segment(header) = Opening::read(line) else {
        panic!("no header")
    };
    assert_eq!(header.continues, None);
    assert_eq!(header.uid, second.header.uid);
}

#[test]
fn a_segment_is_not_published_before_the_one_it_continues() {
    let mut held_back = 0;
    for at in 1..60 {
        let vfs = disk();
        let first = Builder::new(1, 1, None).group(&["1"]).group(&["2"]);
        let continues = crate::segment::Continues {
            uid: first.header.uid.clone(),
            checkpoint: 1,
        };
        first.put(&vfs);
        Builder::new(2, 2, Some(continues)).group(&["2"]).put(&vfs);
        vfs.fail_at(vfs.operations() + at, crate::vfs::faulty::Fault::Error);
        let report = recover(&vfs, &place()).unwrap_or_default();
        vfs.heal();
        let ready = vfs.list(&place().ready).unwrap();
        if !ready.contains(&NAME.to_owned()) {
            assert!(ready.is_empty(), "failure at {at}: {ready:?}");
            held_back += usize::from(report.len() == 2);
        }
        recover(&vfs, &place()).unwrap();
        assert_eq!(published(&vfs, NAME).0, ["1"], "failure at {at}");
        assert_eq!(published(&vfs, "segment_20251203T14_00002.ndjson").0, ["2"]);
    }
    assert!(held_back > 0, "the failures never hit the first segment");
}
