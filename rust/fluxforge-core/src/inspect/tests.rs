//! Segments made by hand, and what is said about them.

use super::*;
use crate::segment::builder::Builder;
use crate::segment::{push_event, push_frame};

fn inspect(bytes: &[u8], writer_lives: bool) -> Inspection {
    let mut inspector = Inspector::new();
    inspector.push(bytes);
    inspector.finish(writer_lives)
}

fn three_groups() -> Builder {
    Builder::new(1, 1, None)
        .group(&["1"])
        .group(&["2", "3"])
        .group(&["4"])
}

fn harms(inspection: &Inspection) -> Vec<Harm> {
    inspection.damage.iter().map(|damage| damage.what).collect()
}

#[test]
fn a_whole_segment_is_told_with_its_counts() {
    let segment = three_groups().seal();
    let seen = inspect(&segment.bytes, false);
    assert_eq!(seen.verdict, Verdict::Whole);
    assert_eq!((seen.frames, seen.events, seen.groups), (4, 0, 4));
    assert_eq!(seen.lines, 1 + 1 + 2 + 3 + 2 + 1);
    assert_eq!(seen.bytes, segment.bytes.len() as u64);
    assert_eq!(seen.connections["c1"], 4);
    assert!(seen.seal_holds && seen.damage.is_empty());
    assert_eq!(seen.header.unwrap(), segment.header);
    let last = seen.last_checkpoint.unwrap();
    assert_eq!((last.n, last.end), (3, segment.starts[4] as u64));
}

#[test]
fn pieces_of_any_size_tell_the_same() {
    let segment = three_groups().torn(b"{\"capture_ts\":").bytes;
    let whole = inspect(&segment, false);
    for size in [1, 7, 100] {
        let mut inspector = Inspector::new();
        segment.chunks(size).for_each(|piece| inspector.push(piece));
        assert_eq!(inspector.finish(false), whole, "pieces of {size}");
    }
}

#[test]
fn torn_bytes_after_the_last_checkpoint_are_a_cut() {
    let segment = three_groups().torn(b"{\"half\":1}\n{\"hal");
    let seen = inspect(&segment.bytes, false);
    assert_eq!(seen.verdict, Verdict::Cut);
    let place = Damage {
        what: Harm::Torn,
        line: 10,
        lines: 2,
        offset: segment.starts[4] as u64,
        bytes: 16,
        group: 4,
        frames: None,
    };
    assert_eq!(seen.damage, [place]);
    assert_eq!(seen.frames, 4, "what was proved is still there");
}

#[test]
fn a_living_writer_makes_a_growing_segment_of_it() {
    for tail in [&b""[..], b"{\"half\":"] {
        let seen = inspect(&three_groups().torn(tail).bytes, true);
        assert_eq!(seen.verdict, Verdict::Growing);
    }
    let mut harmed = three_groups();
    let at = harmed.starts[2] + 40;
    harmed.bytes[at] ^= 1;
    assert_eq!(inspect(&harmed.bytes, true).verdict, Verdict::Damaged);
}

#[test]
fn without_a_seal_it_is_unsealed() {
    assert_eq!(
        inspect(&three_groups().bytes, false).verdict,
        Verdict::Unsealed
    );
}

#[test]
fn a_corrupt_group_is_told_by_line_byte_group_and_frames() {
    let mut segment = three_groups().seal();
    let (from, to) = (segment.starts[2], segment.starts[3]);
    segment.bytes[from + 60] ^= 1;
    let seen = inspect(&segment.bytes, false);
    assert_eq!(seen.verdict, Verdict::Damaged);
    let place = Damage {
        what: Harm::Corrupt,
        line: 5,
        lines: 3,
        offset: from as u64,
        bytes: (to - from) as u64,
        group: 2,
        frames: Some(2),
    };
    assert_eq!(
        seen.damage,
        [place],
        "a seal over damage is no second damage"
    );
    assert_eq!(seen.frames, 2);
    assert!(seen.seal.is_some() && !seen.seal_holds);
}

#[test]
fn the_last_group_before_a_seal_cannot_have_been_cut_by_a_crash() {
    let mut segment = three_groups().seal();
    let from = segment.starts[3];
    segment.bytes[from + 60] ^= 1;
    let seen = inspect(&segment.bytes, false);
    assert_eq!(seen.verdict, Verdict::Damaged);
    let [place] = seen.damage.as_slice() else {
        panic!("{:?}", seen.damage)
    };
    assert_eq!((place.what, place.line, place.group), (Harm::Corrupt, 8, 3));
    assert_eq!(place.frames, Some(1), "the seal knows how many there were");
}

#[test]
fn a_seal_that_does_not_fit_is_damage_and_so_is_what_follows_one() {
    let mut segment = three_groups().seal();
    let hash = memchr::memmem::rfind(&segment.bytes, b"\"xxh3\":\"").unwrap();
    segment.bytes[hash + 8] ^= 1;
    let seen = inspect(&segment.bytes, false);
    assert_eq!(
        (seen.verdict, harms(&seen)),
        (Verdict::Damaged, vec![Harm::Seal])
    );

    let seen = inspect(&three_groups().seal().torn(b"{}\n").bytes, false);
    assert_eq!(
        (seen.verdict, harms(&seen)),
        (Verdict::Damaged, vec![Harm::Trailing])
    );
    assert_eq!(seen.damage[0].line, 11);
}

#[test]
fn a_seal_that_cannot_be_read_is_damage_unless_a_crash_may_have_torn_it() {
    let whole = three_groups().seal();
    let mut rotten = three_groups().seal();
    rotten.bytes[whole.starts[4] + 12] ^= 1;
    let seen = inspect(&rotten.bytes, false);
    assert_eq!(
        (seen.verdict, harms(&seen)),
        (Verdict::Damaged, vec![Harm::Seal])
    );
    let seen = inspect(&whole.bytes[..whole.bytes.len() - 1], false);
    assert_eq!(
        (seen.verdict, harms(&seen)),
        (Verdict::Cut, vec![Harm::Torn])
    );
}

#[test]
fn a_header_that_was_never_proved_is_damage() {
    let mut segment = Builder::new(1, 1, None);
    let at = segment.starts[1] - 10;
    segment.bytes[at] ^= 1;
    assert_eq!(inspect(&segment.bytes, false).verdict, Verdict::Damaged);
    let seen = inspect(b"{\"segment\":{\"format\":1,\"uid\":", false);
    assert_eq!(
        (seen.verdict, harms(&seen)),
        (Verdict::Damaged, vec![Harm::Header])
    );
}

#[test]
fn what_is_no_segment_of_this_format_is_called_by_its_name() {
    assert_eq!(inspect(b"", false).verdict, Verdict::Empty);
    let plain = inspect(b"{\"capture_ts\":1}\n{}", false);
    assert_eq!((plain.verdict, plain.lines), (Verdict::Plain, 2));
    let newer = inspect(b"{\"segment\":{\"format\":7,\"new\":1}}\n", false);
    assert_eq!((newer.verdict, newer.format), (Verdict::Newer, Some(7)));
    let endless = inspect(&vec![b'x'; 200_000], false);
    assert_eq!((endless.verdict, endless.lines), (Verdict::Plain, 1));
}

#[test]
fn events_are_counted_by_kind() {
    let mut lines = Vec::new();
    push_event(&mut lines, 5, None, br#"{"kind":"gap"}"#);
    push_event(&mut lines, 5, Some("c1"), br#"{"kind":"gap"}"#);
    push_frame(&mut lines, 7, "c2", b"[]");
    let seen = inspect(&Builder::new(1, 1, None).lines(&lines).bytes, false);
    assert_eq!(seen.kinds["gap"], 2);
    assert_eq!((seen.frames, seen.events), (1, 2));
    assert_eq!(seen.first_ts.unwrap(), "1970-01-01T00:00:00.000000005Z");
    assert_eq!(seen.last_ts.unwrap(), "1970-01-01T00:00:00.000000007Z");
}

#[test]
fn the_inspection_as_json_has_the_words_of_the_documentation() {
    let seen = serde_json::to_value(inspect(&three_groups().torn(b"x").bytes, false)).unwrap();
    assert_eq!(seen["verdict"], "cut");
    assert_eq!(seen["damage"][0]["what"], "torn");
    assert_eq!(seen["header"]["uid"], "01".repeat(16));
    assert_eq!(seen["last_checkpoint"]["n"], 3);
    assert_eq!(seen["seal"], serde_json::Value::Null);
}
