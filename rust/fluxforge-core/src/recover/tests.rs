//! Recovery of files that were made by hand.

mod continued;
mod directory;
mod endings;
mod quarantined;
mod rot;

use std::path::Path;

use super::*;
use crate::segment::builder::Builder;
use crate::segment::{Body, GroupReader, Opening, Piece, Record, push_event};
use crate::vfs::faulty::{Chance, FaultyVfs};

const NAME: &str = "segment_20251203T14_00001.ndjson";

fn place() -> Place {
    Place {
        active: "/a".into(),
        ready: "/r".into(),
        quarantine: "/q".into(),
    }
}

fn disk() -> FaultyVfs {
    let vfs = FaultyVfs::new();
    for dir in [place().active, place().ready, place().quarantine] {
        vfs.mkdir(&dir).unwrap();
    }
    vfs
}

impl Builder {
    fn put(&self, vfs: &FaultyVfs) {
        vfs.put(&place().active.join(&self.header.name), &self.bytes);
    }
}

/// Frames and event kinds of a published segment, which must be sound.
fn published(vfs: &FaultyVfs, name: &str) -> (Vec<String>, Vec<String>) {
    let path = place().ready.join(name);
    let bytes = vfs.read(&path).expect("published");
    let line = bytes.split(|&b| b == b'\n').next().unwrap();
    let Opening::Segment(header) = Opening::read(line) else {
        panic!("no header")
    };
    let file = vfs.open(&path).unwrap();
    let mut reader = GroupReader::new(file.as_ref(), header.uid);
    let (mut frames, mut events, mut sealed) = (Vec::new(), Vec::new(), false);
    while let Some(piece) = reader.next_piece().unwrap() {
        match piece {
            Piece::Group { lines, .. } => {
                for record in lines.split(|&b| b == b'\n').filter_map(Record::read) {
                    match record.body {
                        Body::Frame(frame) => frames
                            .push(String::from_utf8(frame.bytes().unwrap().into_owned()).unwrap()),
                        Body::Event(event) => {
                            events.push(crate::segment::event_kind(event).unwrap());
                        }
                    }
                }
            }
            Piece::Seal(seal) => {
                sealed = true;
                assert_eq!(seal.frames, frames.len() as u64);
                assert_eq!(seal.events, events.len() as u64);
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(sealed);
    (frames, events)
}
