//! A segment of any size in bounded memory: its rows leave the parser stretch by stretch.
//!
//! A stretch ends with the first line (in a segment with a header, the first group) that reaches a
//! fixed number of raw bytes since the last one. That depends on the segment alone, not on how it
//! was cut into pieces, so the rows of each stretch are the same over runs.

/// Counts raw bytes up to the next end.
#[derive(Debug)]
pub(crate) struct Stretch {
    length: u64,
    end: u64,
}

impl Stretch {
    pub(crate) fn new(length: u64) -> Self {
        Self {
            length,
            end: length,
        }
    }

    /// Whether the stretch is over at this place; if so, the next one begins here.
    pub(crate) fn is_over(&mut self, place: u64) -> bool {
        let over = place >= self.end;
        if over {
            self.end = place + self.length;
        }
        over
    }

    /// How many of these whole lines, which begin at a place, belong to the stretch.
    pub(crate) fn share(&self, place: u64, lines: &[u8]) -> usize {
        let room = usize::try_from(self.end - place).unwrap_or(usize::MAX);
        if room >= lines.len() {
            return lines.len();
        }
        let last = room.saturating_sub(1);
        memchr::memchr(b'\n', &lines[last..]).map_or(lines.len(), |at| last + at + 1)
    }
}
