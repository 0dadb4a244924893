//! What is found in the end: every published segment, also those that the ETL took.

use std::collections::BTreeMap;
use std::path::Path;

use super::history::{History, place};
use crate::segment::{
    Body, GroupReader, Opening, Piece, Record, SegmentName, Uid, event_kind, parse_timestamp,
};
use crate::vfs::Vfs;
use crate::vfs::faulty::FaultyVfs;

/// What one record says of its connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    Frame(u64),
    Disconnected,
    /// Nobody knows what came after this moment.
    Gap(i64),
}

/// By connection: what was recorded of it and when, in the order of the segments.
pub(super) type Lake = BTreeMap<String, Vec<(i64, Said)>>;

#[derive(Clone, PartialEq, Eq)]
struct Segment {
    hour: String,
    uid: Uid,
    bytes: Vec<u8>,
}

/// Reads all segments, each uid once, and checks their names and seals.
pub(super) fn read(history: &History, vfs: &FaultyVfs) -> Result<Lake, String> {
    let ready = place().ready;
    let mut found = history.consumed.clone();
    for name in vfs.list(&ready).map_err(|error| error.to_string())? {
        // A probe that a crash left.
        if !name.starts_with('.') {
            let bytes = vfs.read(&ready.join(&name)).ok_or("listed and missing")?;
            found.push((name, bytes));
        }
    }
    let mut segments: BTreeMap<(Option<String>, u64), Segment> = BTreeMap::new();
    for (text, bytes) in found {
        let name = SegmentName::parse(&text).ok_or(format!("{text} is no segment's name"))?;
        let line = bytes.split(|&b| b == b'\n').next().unwrap_or_default();
        let Opening::Segment(header) = Opening::read(line) else {
            return Err(format!("{text} has no header"));
        };
        let (hour, uid) = (name.hour, header.uid);
        let segment = Segment { hour, uid, bytes };
        // Published again after the ETL took it: the same bytes, which the uid tells.
        if let Some(same) = segments.insert((name.writer, name.counter), segment.clone())
            && same != segment
        {
            return Err(format!("{text}: two segments have this number"));
        }
    }
    let mut lake = Lake::new();
    let mut before: Option<(&Option<String>, &String)> = None;
    for ((writer, _), Segment { hour, uid, bytes }) in &segments {
        if before.is_some_and(|(of, earlier)| of == writer && hour < earlier) {
            return Err(format!("the hour went back to {hour}"));
        }
        before = Some((writer, hour));
        read_segment(bytes, uid, &mut lake)?;
    }
    Ok(lake)
}

fn read_segment(bytes: &[u8], uid: &Uid, lake: &mut Lake) -> Result<(), String> {
    let (vfs, path) = (FaultyVfs::new(), Path::new("/segment"));
    vfs.put(path, bytes);
    let file = vfs.open(path).map_err(|error| error.to_string())?;
    let mut reader = GroupReader::new(file.as_ref(), uid.clone());
    let mut is_sealed = false;
    while let Some(piece) = reader.next_piece().map_err(|error| error.to_string())? {
        match piece {
            Piece::Group { lines, .. } => {
                for record in lines.split(|&b| b == b'\n').filter_map(Record::read) {
                    // What recovery says about bytes belongs to no connection.
                    let (Some(conn), Some(said)) = (record.conn, said(&record.body)) else {
                        continue;
                    };
                    let of_conn = lake.entry(conn.to_owned()).or_default();
                    of_conn.push((record.capture_ns, said));
                }
            }
            Piece::Seal(_) => is_sealed = true,
            other => return Err(format!("{uid}: {other:?}")),
        }
    }
    if is_sealed {
        Ok(())
    } else {
        Err(format!("{uid} is not sealed"))
    }
}

fn said(body: &Body<'_>) -> Option<Said> {
    let field = |json: &[u8], name: &str| {
        serde_json::from_slice::<serde_json::Value>(json).expect("sound")[name].clone()
    };
    match body {
        Body::Frame(frame) => {
            let id = field(&frame.bytes().expect("sound"), "id");
            Some(Said::Frame(id.as_u64().expect("a number")))
        }
        Body::Event(event) => match event_kind(event).as_deref() {
            Some("disconnected") => Some(Said::Disconnected),
            Some("gap") => {
                let start = field(event, "start_ts");
                let start = start.as_str().expect("a time");
                Some(Said::Gap(
                    parse_timestamp(start.as_bytes()).expect("a time"),
                ))
            }
            _ => None,
        },
    }
}
