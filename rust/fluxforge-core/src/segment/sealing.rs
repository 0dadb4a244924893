//! The last line, and what it counts.

use serde::{Deserialize, Serialize};

use super::time::timestamp;

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

    /// Appends the line with its line break.
    pub fn push(&self, out: &mut Vec<u8>) {
        serde_json::to_writer(&mut *out, &Line { seal: self }).expect("strings and numbers");
        out.push(b'\n');
    }

    /// Reads a line, without its line break; does not verify it.
    pub fn read(line: &[u8]) -> Option<Self> {
        line.starts_with(b"{\"seal\":{").then(|| {
            serde_json::from_slice::<Line<Self>>(line)
                .ok()
                .map(|line| line.seal)
        })?
    }
}
