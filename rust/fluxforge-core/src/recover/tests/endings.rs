//! How a segment ends that its writer did not close: torn bytes, connections, the seal.

use super::*;

#[test]
fn torn_bytes_are_cut_and_kept_in_an_event() {
    let vfs = disk();
    Builder::new(1, 1, None)
        .group(&["1", "2"])
        .torn(b"{\"capture_ts\":\"20")
        .put(&vfs);
    let report = recover(&vfs, &place()).unwrap();
    assert_eq!(
        (report[0].outcome, report[0].frames, report[0].cut_bytes),
        (Outcome::Sealed, 2, 17)
    );
    let (frames, events) = published(&vfs, NAME);
    assert_eq!(frames, ["1", "2"]);
    assert_eq!(events, ["cut", "gap"]);
    let text = String::from_utf8(vfs.read(&place().ready.join(NAME)).unwrap()).unwrap();
    assert!(
        text.contains("eyJjYXB0dXJlX3RzIjoiMjA"),
        "the torn bytes, in base64"
    );
    assert!(
        recover(&vfs, &place()).unwrap().is_empty(),
        "nothing is left to do"
    );
}

#[test]
fn a_connection_that_said_goodbye_leaves_no_gap() {
    let vfs = disk();
    let mut goodbye = Vec::new();
    push_event(&mut goodbye, 9, Some("c1"), br#"{"kind":"disconnected"}"#);
    let builder = Builder::new(1, 1, None).group(&["1"]).lines(&goodbye);
    builder.put(&vfs);
    recover(&vfs, &place()).unwrap();
    assert_eq!(published(&vfs, NAME).1, ["disconnected"]);
}

#[test]
fn a_gap_that_its_numbers_tell_of_leaves_the_connection_open() {
    let vfs = disk();
    let mut noticed = Vec::new();
    let gap = br#"{"kind":"gap","reason":"sequence","expected":1,"seen":3,"missing":2}"#;
    push_event(&mut noticed, 9, Some("c1"), gap);
    let builder = Builder::new(1, 1, None).group(&["1"]).lines(&noticed);
    builder.put(&vfs);
    recover(&vfs, &place()).unwrap();
    assert_eq!(
        published(&vfs, NAME).1,
        ["gap", "gap"],
        "its end is another"
    );
}

#[test]
fn the_seal_says_what_the_dead_writer_meant_by_durable() {
    use crate::segment::Durability;
    for (said, expected) in [
        (None, "fsync"),
        (Some(Durability::Fsync), "fsync"),
        (Some(Durability::Os), "os"),
    ] {
        let vfs = disk();
        let mut header = Builder::new(1, 1, None).header;
        header.durability = said;
        Builder::begin(header).group(&["1"]).put(&vfs);
        recover(&vfs, &place()).unwrap();
        let bytes = vfs.read(&place().ready.join(NAME)).unwrap();
        let seal = bytes.split(|&byte| byte == b'\n').rev().nth(1).unwrap();
        let expected = format!("\"durability\":\"{expected}\"}}}}");
        assert!(seal.ends_with(expected.as_bytes()));
    }
}

#[test]
fn a_header_and_nothing_else_is_removed() {
    let vfs = disk();
    Builder::new(1, 1, None).put(&vfs);
    assert_eq!(recover(&vfs, &place()).unwrap()[0].outcome, Outcome::Empty);
    assert!(vfs.list(&place().active).unwrap().is_empty());
    assert!(vfs.list(&place().ready).unwrap().is_empty());
}

#[test]
fn what_is_proved_is_kept_whoever_can_read_it() {
    let vfs = disk();
    let strange = b"{\"capture_ts\":\"yesterday\",\"data\":1}\n";
    Builder::new(1, 1, None).lines(strange).put(&vfs);
    assert_eq!(recover(&vfs, &place()).unwrap()[0].outcome, Outcome::Sealed);
    let bytes = vfs.read(&place().ready.join(NAME)).unwrap();
    assert!(memchr::memmem::find(&bytes, strange).is_some());
}

#[test]
fn a_header_may_name_thousands_of_connections() {
    let vfs = disk();
    let mut header = Builder::new(1, 1, None).header;
    header.open = (0..2_000)
        .map(|n| (format!("{n:064}"), crate::segment::timestamp(n)))
        .collect();
    Builder::begin(header).group(&["1"]).put(&vfs);
    assert_eq!(recover(&vfs, &place()).unwrap()[0].outcome, Outcome::Sealed);
    let (frames, gaps) = published(&vfs, NAME);
    assert_eq!((frames.len(), gaps.len()), (1, 2_001));
    let bytes = vfs.read(&place().ready.join(NAME)).unwrap();
    let seen = crate::fuzzing::inspect(&bytes, 1_000);
    assert_eq!(seen.verdict, crate::inspect::Verdict::Whole);
}
