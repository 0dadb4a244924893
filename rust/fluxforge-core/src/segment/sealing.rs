//! The last line, and what it counts.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::time::timestamp;

/// What a seal's line begins with.
const START: &[u8] = b"{\"seal\":{";

/// What a writer promises when it calls a record durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// It survives a power cut: every group is synced.
    Fsync,
    /// It survives the end of the process: every group is written, the seal alone is synced.
    Os,
}

/// Counts records as they are written or read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Frames.
    pub frames: u64,
    /// Events of ours.
    pub events: u64,
    /// The smallest and the greatest capture time, in nanoseconds since 1970.
    pub span: Option<(i64, i64)>,
}

impl Tally {
    /// Counts a frame.
    pub fn frame(&mut self, capture_ns: i64) {
        self.frames += 1;
        self.see(capture_ns, capture_ns);
    }

    /// Counts an event.
    pub fn event(&mut self, capture_ns: i64) {
        self.events += 1;
        self.see(capture_ns, capture_ns);
    }

    /// Counts what another has counted.
    pub fn add(&mut self, other: &Self) {
        self.frames += other.frames;
        self.events += other.events;
        if let Some((first, last)) = other.span {
            self.see(first, last);
        }
    }

    fn see(&mut self, first: i64, last: i64) {
        let (low, high) = self.span.unwrap_or((first, last));
        self.span = Some((low.min(first), high.max(last)));
    }
}

/// What the seal says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealLine {
    /// Frames in the segment.
    pub frames: u64,
    /// Events of ours in the segment.
    pub events: u64,
    /// The offset of this line's first byte.
    pub bytes: u64,
    /// XXH3-64 over all bytes before this line, 16 hex digits.
    pub xxh3: String,
    /// The smallest capture time.
    pub first_ts: Option<String>,
    /// The greatest capture time.
    pub last_ts: Option<String>,
    /// What "durable" meant to the writer.
    pub durability: Durability,
}

#[derive(Serialize, Deserialize)]
struct Line<T> {
    seal: T,
}

impl SealLine {
    /// The seal of a segment with these counts, this length and this hash.
    pub fn new(tally: &Tally, bytes: u64, xxh3: u64, durability: Durability) -> Self {
        Self {
            frames: tally.frames,
            events: tally.events,
            bytes,
            xxh3: format!("{xxh3:016x}"),
            first_ts: tally.span.map(|(first, _)| timestamp(first)),
            last_ts: tally.span.map(|(_, last)| timestamp(last)),
            durability,
        }
    }

    /// Says whether it counts so.
    pub(crate) fn counts(&self, tally: &Tally) -> bool {
        let time = |at: Option<i64>| at.map(timestamp);
        let (first, last) = (tally.span.map(|span| span.0), tally.span.map(|span| span.1));
        (self.frames, self.events) == (tally.frames, tally.events)
            && (&self.first_ts, &self.last_ts) == (&time(first), &time(last))
    }

    /// Appends the line with its line break.
    pub fn push(&self, out: &mut Vec<u8>) {
        serde_json::to_writer(&mut *out, &Line { seal: self }).expect("strings and numbers");
        out.push(b'\n');
    }

    /// Reads a line, without its line break; does not verify it.
    pub fn read(line: &[u8]) -> Option<Self> {
        line.starts_with(START).then(|| {
            serde_json::from_slice::<Line<Self>>(line)
                .ok()
                .map(|line| line.seal)
        })?
    }
}

/// A seal in bytes of which neither a checkpoint nor a seal proves anything.
#[derive(Debug)]
pub(crate) struct BrokenSeal {
    /// Where its line stands in them.
    pub(crate) line: Range<usize>,
    /// What it says, if it can be read.
    pub(crate) seal: Option<SealLine>,
}

impl BrokenSeal {
    /// Finds one in what follows the last checkpoint that holds.
    ///
    /// Where there is one, no crash tore these bytes. A seal is written in one piece when all
    /// before it is proved and synced, and nothing is written after it: a crash leaves a part of
    /// its line, at its place. So bytes before a whole seal were proved once, bytes after one
    /// belong to nobody, and a seal with beginning and end that does not hold has rotted, or what
    /// it seals has.
    ///
    /// Damage of a seal's first or last few bytes looks as if a crash had torn it. A stale sector
    /// with a seal of another file would be taken for damage: told once too often, nothing lost.
    pub(crate) fn find(tail: &[u8]) -> Option<Self> {
        let mut at = 0;
        tail.split_inclusive(|&byte| byte == b'\n')
            .find_map(|line| {
                let begin = at;
                at += line.len();
                let text = line.strip_suffix(b"\n")?;
                let seal = SealLine::read(text);
                // Where one belongs it is known by its shape, elsewhere by what it says.
                let has_shape = text.starts_with(START) && text.ends_with(b"}}");
                (seal.is_some() || begin == 0 && has_shape).then_some(Self {
                    line: begin..at,
                    seal,
                })
            })
    }
}
