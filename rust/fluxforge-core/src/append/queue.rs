//! Records on their way to the writer's thread, in blocks.
//!
//! A block is filled by `append` and taken whole: the lock is held for a copy or a pop, never for
//! a write. Blocks are reused, so steady appending allocates nothing and memory stays near the
//! bytes queued.

use std::collections::VecDeque;

use crate::recover::{Changes, leaves_open};
use crate::segment::{Tally, push_event, push_frame, push_timestamp};

/// A quarter of the largest group.
const BLOCK: usize = 256 << 10;
/// What an envelope adds to a record's own bytes, roughly.
const ENVELOPE: usize = 80;
/// Blocks kept for reuse.
const SPARE: usize = 8;

#[derive(Debug, Clone, Copy)]
struct Entry {
    capture_ns: i64,
    conn_len: u8,
    is_event: bool,
    body_len: usize,
}

/// Records one after another: the connection's name, then the frame or event.
#[derive(Debug, Default)]
pub(crate) struct Block {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

impl Block {
    /// Bytes that this block counts for in the queue's bound.
    fn weight(&self) -> usize {
        self.bytes.len()
    }

    fn has_room(&self, len: usize) -> bool {
        self.entries.is_empty() || self.bytes.len() + len <= BLOCK
    }
}

/// Frames that were refused one after another on one connection.
#[derive(Debug)]
struct Lost {
    conn: String,
    frames: u64,
    bytes: u64,
    first_ns: i64,
    last_ns: i64,
}

/// What waits for the writer's thread.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    blocks: VecDeque<Block>,
    spare: Vec<Block>,
    lost: Vec<Lost>,
    /// Bytes of records that are not durable yet, also those that the thread has taken.
    pub(crate) queued: usize,
    /// Records ever accepted.
    pub(crate) accepted: u64,
}

impl Queue {
    /// Says whether a frame of this length may enter; one that is larger than the bound may when
    /// it is alone.
    pub(crate) fn has_room(&self, len: usize, limit: usize) -> bool {
        self.queued == 0 || self.queued + len <= limit
    }

    /// Puts a frame at the end and returns its position.
    pub(crate) fn push_frame(&mut self, frame: &[u8], capture_ns: i64, conn: &str) -> u64 {
        self.record_lost();
        self.push(frame, capture_ns, conn, false)
    }

    /// Puts an event at the end and returns its position.
    pub(crate) fn push_event(&mut self, event: &[u8], capture_ns: i64, conn: Option<&str>) -> u64 {
        self.record_lost();
        self.push(event, capture_ns, conn.unwrap_or(""), true)
    }

    fn push(&mut self, body: &[u8], capture_ns: i64, conn: &str, is_event: bool) -> u64 {
        let len = conn.len() + body.len();
        if !self.blocks.back().is_some_and(|block| block.has_room(len)) {
            let mut block = self.spare.pop().unwrap_or_default();
            block.bytes.reserve(len.max(BLOCK));
            self.blocks.push_back(block);
        }
        let block = self.blocks.back_mut().expect("one was pushed");
        block.bytes.extend_from_slice(conn.as_bytes());
        block.bytes.extend_from_slice(body);
        let conn_len = u8::try_from(conn.len()).expect("a connection's name has 64 bytes at most");
        block.entries.push(Entry {
            capture_ns,
            conn_len,
            is_event,
            body_len: body.len(),
        });
        self.queued += len;
        self.accepted += 1;
        self.accepted
    }

    /// Remembers a frame that found no room; the next record that does is preceded by an event.
    pub(crate) fn lose(&mut self, len: usize, capture_ns: i64, conn: &str) {
        let known = self.lost.iter().position(|lost| lost.conn == conn);
        let at = known.unwrap_or_else(|| {
            let (conn, first_ns) = (conn.to_owned(), capture_ns);
            self.lost.push(Lost {
                conn,
                frames: 0,
                bytes: 0,
                first_ns,
                last_ns: first_ns,
            });
            self.lost.len() - 1
        });
        let lost = &mut self.lost[at];
        lost.frames += 1;
        lost.bytes += len as u64;
        lost.last_ns = capture_ns;
    }

    /// Dropped frames that no event tells of yet.
    pub(crate) fn dropped_unrecorded(&self) -> u64 {
        self.lost.iter().map(|lost| lost.frames).sum()
    }

    fn record_lost(&mut self) {
        if self.lost.is_empty() {
            // Each append comes by here, with the lock held.
            return;
        }
        for lost in std::mem::take(&mut self.lost) {
            let Lost {
                conn,
                frames,
                bytes,
                first_ns,
                last_ns,
            } = lost;
            let mut event =
                format!(r#"{{"kind":"dropped","frames":{frames},"bytes":{bytes},"first_ts":""#)
                    .into_bytes();
            push_timestamp(&mut event, first_ns);
            event.extend_from_slice(b"\",\"last_ts\":\"");
            push_timestamp(&mut event, last_ns);
            event.extend_from_slice(b"\"}");
            self.push(&event, last_ns, &conn, true);
        }
    }

    /// Moves blocks into `group` up to its limit, at least one if there is any. Losses that no
    /// record followed are recorded as soon as the queue runs empty.
    pub(crate) fn take(&mut self, group: &mut Group) {
        if self.blocks.is_empty() {
            self.record_lost();
        }
        for mut block in group.blocks.drain(..) {
            block.bytes.clear();
            block.entries.clear();
            if self.spare.len() < SPARE && block.bytes.capacity() <= 2 * BLOCK {
                self.spare.push(block);
            }
        }
        group.weight = 0;
        let mut estimate = 0;
        while let Some(block) = self.blocks.front() {
            estimate += block.weight() + block.entries.len() * ENVELOPE;
            if estimate > Group::LIMIT && !group.blocks.is_empty() {
                break;
            }
            group.weight += block.weight();
            group.blocks.extend(self.blocks.pop_front());
        }
    }

    /// Says whether there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.blocks.is_empty() && self.lost.is_empty()
    }
}

/// What one write and one sync make durable.
#[derive(Debug, Default)]
pub(crate) struct Group {
    blocks: Vec<Block>,
    /// The records' lines.
    pub(crate) lines: Vec<u8>,
    /// What they count.
    pub(crate) tally: Tally,
    /// What they change about which connections are open.
    pub(crate) changes: Changes,
    /// The queue's bytes that they were.
    pub(crate) weight: usize,
}

impl Group {
    /// Larger groups ran slower: the disk works while the next one fills.
    const LIMIT: usize = 1 << 20;

    /// Makes lines of the records. After this the group can be written any number of times.
    pub(crate) fn encode(&mut self) {
        self.lines.clear();
        if self.lines.capacity() > 4 * Self::LIMIT {
            // One huge frame should not cost its memory for ever.
            self.lines.shrink_to(Self::LIMIT);
        }
        self.tally = Tally::default();
        self.changes.clear();
        for block in &mut self.blocks {
            let mut at = 0;
            for entry in &block.entries {
                let body = at + usize::from(entry.conn_len);
                let end = body + entry.body_len;
                let conn = std::str::from_utf8(&block.bytes[at..body]).expect("validated on entry");
                let text = &block.bytes[body..end];
                if entry.is_event {
                    let conn = Some(conn).filter(|conn| !conn.is_empty());
                    push_event(&mut self.lines, entry.capture_ns, conn, text);
                    self.tally.event(entry.capture_ns);
                } else {
                    push_frame(&mut self.lines, entry.capture_ns, conn, text);
                    self.tally.frame(entry.capture_ns);
                }
                let leaves_open = if entry.is_event {
                    leaves_open(text)
                } else {
                    Some(true)
                };
                note(&mut self.changes, conn, entry.capture_ns, leaves_open);
                at = end;
            }
            block.bytes.clear();
        }
    }

    /// The capture times of its frames, in order.
    pub(crate) fn capture_times(&self) -> impl Iterator<Item = i64> {
        let entries = self.blocks.iter().flat_map(|block| &block.entries);
        entries
            .filter(|entry| !entry.is_event)
            .map(|entry| entry.capture_ns)
    }

    /// How many records it holds.
    pub(crate) fn records(&self) -> u64 {
        self.tally.frames + self.tally.events
    }
}

/// Remembers what a record changes about its connection.
fn note(changes: &mut Changes, conn: &str, capture_ns: i64, leaves_open: Option<bool>) {
    let Some(stays) = leaves_open.filter(|_| !conn.is_empty()) else {
        return;
    };
    let last = stays.then_some(capture_ns);
    match changes.get_mut(conn) {
        Some(known) => *known = last,
        None => drop(changes.insert(conn.to_owned(), last)),
    }
}
