//! What must hold for any bytes that lie where a segment should: no panic, and no loss.
//!
//! [`recover_any`] and [`inspect_any`] are driven by proptest here and by libFuzzer in rust/fuzz.
//! Chance alone never makes a valid checksum, so [`segment_from`] reads the bytes it is given as
//! instructions: build these groups, then harm them so.

mod script;
#[cfg(test)]
mod tests;

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::inspect::{Harm, Inspection, Inspector, Verdict};
use crate::recover::{FileOutcome, Outcome, Place, recover, recover_file};
use crate::segment::{Checkpoint, Groups, Opening, Piece, SegmentError};
use crate::vfs::Vfs;
use crate::vfs::faulty::FaultyVfs;

pub use crate::parse::fuzzing::{line_any, number_any, parse_any, time_any};
pub use crate::segment::fuzzing::{Validator, json_any};
pub use crate::simd::Way;
pub use script::segment_from;

const NAME: &str = "segment_20251203T14_00001.ndjson";

/// Recovers a directory that holds these bytes alone.
///
/// # Panics
/// If a valid prefix is lost, a byte vanishes, something is made up, or a second recovery finds
/// more to do.
pub fn recover_any(bytes: &[u8]) {
    let place = Place {
        active: "/a".into(),
        ready: "/r".into(),
        quarantine: "/q".into(),
    };
    let disk = FaultyVfs::new();
    for dir in [&place.active, &place.ready, &place.quarantine] {
        disk.mkdir(dir).expect("a sound disk");
    }
    let path = place.active.join(NAME);
    disk.put(&path, bytes);
    let report = match recover(&disk, &place) {
        Err(SegmentError::NewerFormat { .. }) => {
            assert_eq!(disk.read(&path).as_deref(), Some(bytes), "left as it is");
            return;
        }
        report => report.expect("a sound disk"),
    };
    let prefix = proved_lines(bytes);
    let Some(one) = report.first() else {
        assert_eq!(disk.read(&path).as_deref(), Some(bytes), "left as it is");
        assert!(prefix.is_empty(), "a segment was taken for a stranger");
        return;
    };
    match one.outcome {
        Outcome::Sealed => {
            let ready = disk.read(&place.ready.join(NAME)).expect("published");
            hold_against(bytes, &prefix, &ready);
            assert_eq!(one.frames, inspect(&ready, ready.len()).frames);
            assert!(copied(bytes) == ready, "a copy holds something else");
            nothing_vanished(&disk, &place.quarantine, bytes, &ready);
        }
        Outcome::Empty => assert!(prefix.is_empty(), "records were removed"),
        Outcome::Quarantined => {
            assert!(prefix.is_empty(), "what was proved went to quarantine");
            let kept = disk.read(&place.quarantine.join(NAME));
            assert_eq!(kept.as_deref(), Some(bytes), "kept whole");
        }
        Outcome::Locked | Outcome::Failed => panic!("on a sound disk: {one:?}"),
    }
    assert_eq!(disk.read(&path), None, "it lies in active/ still");
    let again = recover(&disk, &place).expect("a sound disk");
    assert!(again.is_empty(), "recovered twice: {again:?}");
}

/// Inspects these bytes, whole and in pieces.
///
/// # Panics
/// If pieces tell something else than the whole, or less is found proved than is.
pub fn inspect_any(bytes: &[u8]) {
    let whole = inspect(bytes, bytes.len().max(1));
    let size = bytes.first().map_or(1, |&byte| usize::from(byte) + 1);
    assert_eq!(inspect(bytes, size), whole, "in pieces of {size}");
    let frames = proved_lines(bytes)
        .iter()
        .filter(|line| is_frame(line))
        .count() as u64;
    assert!(whole.frames >= frames, "{frames} are proved: {whole:?}");
    if whole.verdict == Verdict::Whole {
        assert!(
            whole.damage.is_empty() && whole.frames == frames,
            "{whole:?}"
        );
    }
    let mut end = 0;
    for damage in &whole.damage {
        assert!(damage.offset >= end && damage.line >= 1, "{whole:?}");
        end = damage.offset + damage.bytes;
        if damage.what != Harm::Header {
            let from = usize::try_from(damage.offset).expect("in memory");
            let before = memchr::memchr_iter(b'\n', &bytes[..from]).count() as u64;
            assert_eq!(damage.line, before + 1, "{whole:?}");
        }
    }
    assert!(end <= whole.bytes, "damage beyond the end: {whole:?}");
}

pub(crate) fn inspect(bytes: &[u8], size: usize) -> Inspection {
    let mut inspector = Inspector::new();
    bytes.chunks(size).for_each(|piece| inspector.push(piece));
    inspector.finish(false)
}

/// The records of the longest prefix that proves itself, by the shortest way there is: this is
/// what the readers that ship are held against.
fn proved_lines(bytes: &[u8]) -> Vec<&[u8]> {
    let mut lines = bytes.split_inclusive(|&byte| byte == b'\n');
    let Some(Opening::Segment(header)) = lines.clone().next().map(Opening::read) else {
        return Vec::new();
    };
    let (mut proved, mut group) = (Vec::new(), Vec::new());
    let (mut start, mut at, mut n, mut chain) = (0, 0, 0, 0);
    for line in lines.by_ref() {
        at += line.len();
        let Some(text) = line.strip_suffix(b"\n") else {
            break;
        };
        let Some(checkpoint) = Checkpoint::read(text) else {
            group.push(line);
            continue;
        };
        let is_next = (checkpoint.n, checkpoint.prev) == (n, chain);
        if !is_next || !checkpoint.proves(&header.uid, &bytes[start..at - 1]) {
            break;
        }
        proved.append(&mut group);
        (start, n, chain) = (at, n + 1, checkpoint.crc32c);
    }
    proved.into_iter().filter(|line| is_record(line)).collect()
}

fn is_record(line: &[u8]) -> bool {
    crate::segment::Record::read(line.strip_suffix(b"\n").unwrap_or(line)).is_some()
}

fn is_frame(line: &[u8]) -> bool {
    use crate::segment::{Body, Record};
    let record = Record::read(line.strip_suffix(b"\n").unwrap_or(line));
    record.is_some_and(|record| matches!(record.body, Body::Frame(_)))
}

/// What was published begins with what was proved, is whole itself, holds the frames that are
/// proved anywhere and no other, each once and in order, and its books say what inspecting the old
/// file says.
fn hold_against(old: &[u8], prefix: &[&[u8]], published: &[u8]) {
    let (before, after) = (inspect(old, old.len()), inspect(published, published.len()));
    assert_eq!(after.verdict, Verdict::Whole);
    let records = proved_lines(published);
    assert!(records.starts_with(prefix), "a proved record was lost");
    let frames: Vec<&[u8]> = records.into_iter().filter(|line| is_frame(line)).collect();
    let expected = proved_frames(old);
    assert!(frames == expected, "lost, made up or moved");
    assert_eq!(
        (before.frames, &before.connections),
        (after.frames, &after.connections)
    );
    assert_eq!(after.frames, frames.len() as u64);
    for (kind, times) in &before.kinds {
        assert!(after.kinds[kind] >= *times, "{kind}: {:?}", after.kinds);
    }
}

/// The frames of all groups that are proved, also of those after damage.
fn proved_frames(bytes: &[u8]) -> Vec<Vec<u8>> {
    let line = bytes
        .split(|&byte| byte == b'\n')
        .next()
        .unwrap_or_default();
    let Opening::Segment(header) = Opening::read(line) else {
        return Vec::new();
    };
    let mut groups = Groups::new(header.uid);
    groups.push(bytes);
    groups.end();
    let pieces = std::iter::from_fn(|| groups.next_piece());
    let proved = pieces.filter_map(|piece| match piece {
        Piece::Group { lines, .. } => Some(lines),
        _ => None,
    });
    let lines = proved.collect::<Vec<_>>().concat();
    let lines = lines.split_inclusive(|&byte| byte == b'\n');
    lines
        .filter(|line| is_frame(line))
        .map(<[u8]>::to_vec)
        .collect()
}

/// What `fluxforge segment recover` makes of it, which always copies.
fn copied(bytes: &[u8]) -> Vec<u8> {
    let disk = FaultyVfs::new();
    let (dir, out) = (Path::new("/there"), Path::new("/out"));
    disk.mkdir(dir).expect("a sound disk");
    disk.put(&dir.join(NAME), bytes);
    let outcome = recover_file(&disk, &dir.join(NAME), out).expect("a sound disk");
    let FileOutcome::Sealed(copy) = outcome else {
        panic!("{outcome:?}")
    };
    disk.read(&copy.path).expect("just written")
}

/// What is not in the published segment lies in quarantine or stands in its `cut` event.
fn nothing_vanished(disk: &FaultyVfs, quarantine: &Path, old: &[u8], published: &[u8]) {
    let seen = inspect(old, old.len());
    let kept = disk.list(quarantine).expect("a sound disk");
    // A seal holds nothing of its own: recovery writes another.
    let places = seen
        .damage
        .iter()
        .filter(|damage| damage.what != Harm::Seal);
    for damage in places {
        let from = usize::try_from(damage.offset).expect("in memory");
        let to = from + usize::try_from(damage.bytes).expect("in memory");
        let in_file = kept.iter().any(|name| {
            let Some(begin) = evidence_from(name) else {
                return false;
            };
            let bytes = disk.read(&quarantine.join(name)).expect("just listed");
            begin <= from && begin + bytes.len() >= to && old[begin..].starts_with(&bytes)
        });
        // A cut reaches to the end of the file; its base64 is held whole in one event.
        let in_event = cut_bytes(published)
            .is_some_and(|cut| old.ends_with(&cut) && from + cut.len() >= old.len());
        assert!(in_file || in_event, "{from}..{to} vanished");
    }
}

/// The place in the segment of damaged bytes that are kept under this name.
fn evidence_from(name: &str) -> Option<usize> {
    let rest = name.strip_prefix(NAME)?.strip_prefix('.')?;
    rest.strip_suffix(".corrupt")?.parse().ok()
}

fn cut_bytes(published: &[u8]) -> Option<Vec<u8>> {
    let records = proved_lines(published);
    let last = records.iter().rev().find(|line| {
        memchr::memmem::find(line, br#""event":{"bytes":"#).is_some()
            && memchr::memmem::find(line, br#""kind":"cut""#).is_some()
    })?;
    let value: serde_json::Value = serde_json::from_slice(last).ok()?;
    STANDARD.decode(value["event"]["raw_b64"].as_str()?).ok()
}
