//! What is found, held against what was promised.

use std::collections::BTreeMap;
use std::path::Path;

use super::history::{History, config};
use crate::segment::{Body, GroupReader, Opening, Piece, Record, Uid, event_kind};
use crate::vfs::Vfs;
use crate::vfs::faulty::FaultyVfs;

impl History {
    /// Recovers, and holds what is found against what was promised.
    pub(super) fn judge(&self, vfs: &FaultyVfs) -> Result<(), String> {
        if self.start(vfs).is_none() {
            return Err("cannot start after the crash".to_owned());
        }
        let left = vfs
            .list(&config().place.active)
            .map_err(|error| error.to_string())?;
        if let Some(name) = left.iter().find(|name| !name.starts_with('.')) {
            return Err(format!("{name} was left in active"));
        }
        let (lake, ends_closed) = read_lake(vfs)?;
        if !self.closed && !lake.is_empty() && !ends_closed {
            return Err("the connection was open and does not end in a gap".to_owned());
        }
        if !lake.is_sorted_by(|one, next| one < next) {
            return Err(format!("out of order or twice: {lake:?}"));
        }
        if let Some(id) = self.acknowledged.iter().find(|id| !lake.contains(id)) {
            return Err(format!("{id} was acknowledged and lost; found {lake:?}"));
        }
        match lake.iter().find(|id| !self.sent.contains(id)) {
            Some(id) => Err(format!("{id} was never sent")),
            None => Ok(()),
        }
    }
}

/// The frames of all published segments, in the order of their counters; each uid once.
fn read_lake(vfs: &FaultyVfs) -> Result<(Vec<u64>, bool), String> {
    let ready = config().place.ready;
    let mut segments: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut lake = Vec::new();
    let mut ends_closed = false;
    for name in vfs.list(&ready).map_err(|error| error.to_string())? {
        let path = ready.join(&name);
        let bytes = vfs.read(&path).ok_or("listed and missing")?;
        let line = bytes.split(|&b| b == b'\n').next().unwrap_or_default();
        let Opening::Segment(header) = Opening::read(line) else {
            return Err(format!("{name} has no header"));
        };
        if let Some(same) = segments.insert(header.uid.to_string(), bytes.clone()) {
            if same != bytes {
                return Err(format!("{name}: two contents under one uid"));
            }
            continue;
        }
        let (frames, closed) = read_segment(vfs, &path, header.uid, ends_closed)?;
        lake.extend(frames);
        ends_closed = closed;
    }
    Ok((lake, ends_closed))
}

/// A sealed segment's frames, and whether the connection is closed or lost after it.
fn read_segment(
    vfs: &FaultyVfs,
    path: &Path,
    uid: Uid,
    mut closed: bool,
) -> Result<(Vec<u64>, bool), String> {
    let file = vfs.open(path).map_err(|error| error.to_string())?;
    let mut reader = GroupReader::new(file.as_ref(), uid);
    let (mut ids, mut sealed) = (Vec::new(), false);
    while let Some(piece) = reader.next_piece().map_err(|error| error.to_string())? {
        match piece {
            Piece::Group { lines, .. } => {
                for record in lines.split(|&b| b == b'\n').filter_map(Record::read) {
                    match record.body {
                        Body::Frame(frame) => {
                            closed = false;
                            ids.push(id_of(&frame.bytes().expect("sound")));
                        }
                        // What recovery says about bytes belongs to no connection.
                        Body::Event(event) if record.conn.is_some() => {
                            let kind = event_kind(event);
                            closed = matches!(kind.as_deref(), Some("gap" | "disconnected"));
                        }
                        Body::Event(_) => {}
                    }
                }
            }
            Piece::Seal(_) => sealed = true,
            other => return Err(format!("{}: {other:?}", path.display())),
        }
    }
    if sealed {
        Ok((ids, closed))
    } else {
        Err(format!("{} is not sealed", path.display()))
    }
}

fn id_of(frame: &[u8]) -> u64 {
    serde_json::from_slice::<serde_json::Value>(frame).unwrap()["id"]
        .as_u64()
        .unwrap()
}
