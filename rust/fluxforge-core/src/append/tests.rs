//! The writer with its thread, on a disk that fills up.

use std::path::Path;
use std::sync::Arc;

use super::model::TestClock;
use super::{OnFull, SegmentWriter, WriterConfig, WriterStats};
use crate::recover::Place;
use crate::segment::Durability;
use crate::vfs::Vfs;
use crate::vfs::faulty::FaultyVfs;

const FRAME: &[u8] = br#"{"text":"some forty bytes of a frame"}"#;

fn start(vfs: &FaultyVfs, clock: &Arc<TestClock>, min_free_bytes: u64) -> SegmentWriter {
    let config = WriterConfig {
        place: Place {
            active: "/raw/a".into(),
            ready: "/raw/r".into(),
            quarantine: "/raw/q".into(),
        },
        source: "test".to_owned(),
        writer: None,
        segment_max_bytes: 1 << 20,
        segment_max_ns: u64::MAX,
        queue_max_bytes: 200,
        durability: Durability::Fsync,
        on_full: OnFull::Drop,
        min_free_bytes,
    };
    SegmentWriter::start(Arc::new(vfs.clone()), clock.clone(), config).unwrap()
}

fn wait_until(writer: &SegmentWriter, holds: impl Fn(&WriterStats) -> bool) {
    while !holds(&writer.stats()) {
        assert!(writer.error().is_none(), "{:?}", writer.error());
        std::thread::yield_now();
    }
}

/// One durable frame on a disk that then has no more room than this; frames until some are dropped.
fn drop_frames(room: usize, min_free_bytes: u64) -> (FaultyVfs, Arc<TestClock>, SegmentWriter) {
    let (vfs, clock) = (FaultyVfs::new(), Arc::<TestClock>::default());
    let writer = start(&vfs, &clock, min_free_bytes);
    writer.append(FRAME, 1_000_000_000, "c").unwrap();
    wait_until(&writer, |stats| stats.frames == 1);
    vfs.leave_room_for(room);
    for n in 1..20 {
        writer.append(FRAME, 1_000_000_000 + n, "c").unwrap();
    }
    assert!(writer.stats().dropped > 0);
    (vfs, clock, writer)
}

/// All that lies in ready/.
fn published(vfs: &FaultyVfs) -> String {
    let ready = Path::new("/raw/r");
    let names = vfs.list(ready).unwrap().into_iter();
    let texts = names.map(|name| String::from_utf8(vfs.read(&ready.join(name)).unwrap()).unwrap());
    texts.collect()
}

#[test]
fn a_closing_writer_that_finds_no_room_says_what_it_did_not_keep() {
    let (vfs, clock, writer) = drop_frames(0, 0);
    let why = writer.close().unwrap_err().to_string();
    let dropped = writer.stats().dropped;
    let lost = format!("{} records that were never reported durable", 19 - dropped);
    assert!(
        why.contains("gave up on closing") && why.contains(&lost),
        "{why}"
    );
    assert!(why.contains(&format!("{dropped} dropped frames")), "{why}");
    // What was not kept lies in the gap that the next start records.
    drop(writer);
    vfs.set_capacity(None);
    start(&vfs, &clock, 0).close().unwrap();
    let gap = r#""kind":"gap","reason":"writer died","start_ts":"1970-01-01T00:00:01.000000000Z""#;
    assert!(published(&vfs).contains(gap), "{}", published(&vfs));
}

#[test]
fn a_closing_writer_uses_the_room_that_it_kept_for_others() {
    let (vfs, _, writer) = drop_frames(8_000, 10_000);
    wait_until(&writer, |stats| stats.waiting_for_space);
    writer.close().unwrap();
    let stats = writer.stats();
    assert_eq!(stats.frames + stats.dropped, 20);
    let event = format!(r#""kind":"dropped","frames":{},"#, stats.dropped);
    assert!(published(&vfs).contains(&event), "{}", published(&vfs));
}

#[test]
fn a_file_that_is_given_up_shows_while_the_writer_still_waits_for_room() {
    let (vfs, clock) = (FaultyVfs::new(), Arc::<TestClock>::default());
    let writer = start(&vfs, &clock, 0);
    // Room for a header, not for a group.
    vfs.set_longest_synced(Some(500));
    let long = vec![b'1'; 1_000];
    writer.append(&long, 1_000_000_000, "c").unwrap();
    wait_until(&writer, |stats| {
        stats.waiting_for_space && stats.poisonings > 0
    });
    clock.free_at_next_pause(&vfs);
    writer.close().unwrap();
    assert_eq!(writer.stats().frames, 1);
}
