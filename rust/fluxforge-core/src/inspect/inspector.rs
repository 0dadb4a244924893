//! Bytes in, an inspection out.

use super::found::{Found, count_lines};
use super::{Inspection, Verdict};
use crate::segment::{Groups, Header, LONGEST_HEADER, Opening, timestamp};

/// Looks at a segment whose bytes come in pieces of any size. Does no I/O.
#[derive(Debug, Default)]
pub struct Inspector {
    /// The bytes so far, until they tell what the file is.
    first_line: Vec<u8>,
    opening: Option<Opening>,
    /// Only a segment of a known format has groups.
    groups: Option<Groups>,
    bytes: u64,
    line_breaks: u64,
    ends_in_break: bool,
    found: Found,
}

impl Inspector {
    /// An inspector that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the bytes that come next.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.line_breaks += count_lines(bytes);
        if let Some(last) = bytes.last() {
            self.ends_in_break = *last == b'\n';
        }
        if self.opening.is_some() {
            self.feed(bytes);
            return;
        }
        self.first_line.extend_from_slice(bytes);
        if bytes.contains(&b'\n') || self.first_line.len() > LONGEST_HEADER {
            self.open();
        }
    }

    /// The bytes have ended. A living writer's file may end anywhere.
    pub fn finish(mut self, writer_lives: bool) -> Inspection {
        if self.opening.is_none() {
            self.open();
        }
        if let Some(mut groups) = self.groups.take() {
            groups.end();
            self.found.follow(&mut groups);
        }
        let opening = self.opening.take().unwrap_or(Opening::Plain);
        let verdict = match &opening {
            _ if self.bytes == 0 => Verdict::Empty,
            Opening::Plain => Verdict::Plain,
            Opening::Newer(_) => Verdict::Newer,
            Opening::Damaged => {
                self.found.damaged_header(self.bytes, self.line_breaks);
                Verdict::Damaged
            }
            Opening::Segment(_) => self.found.verdict(writer_lives),
        };
        self.told(verdict, opening)
    }

    fn told(self, verdict: Verdict, opening: Opening) -> Inspection {
        let (format, header): (Option<u64>, Option<Header>) = match opening {
            Opening::Segment(header) => (Some(header.format), Some(header)),
            Opening::Newer(format) => (Some(format), None),
            Opening::Damaged | Opening::Plain => (None, None),
        };
        let found = self.found;
        let open_line = u64::from(self.bytes > 0 && !self.ends_in_break);
        Inspection {
            verdict,
            format,
            header,
            bytes: self.bytes,
            lines: self.line_breaks + open_line,
            frames: found.tally.frames,
            events: found.tally.events,
            first_ts: found.tally.span.map(|(first, _)| timestamp(first)),
            last_ts: found.tally.span.map(|(_, last)| timestamp(last)),
            connections: found.connections,
            kinds: found.kinds,
            groups: found.groups,
            last_checkpoint: found.last,
            seal: found.seal,
            seal_holds: found.seal_holds,
            damage: found.damage,
        }
    }

    /// Decides by the first line what the file is.
    fn open(&mut self) {
        let bytes = std::mem::take(&mut self.first_line);
        let end = memchr::memchr(b'\n', &bytes).unwrap_or(bytes.len());
        let opening = Opening::read(&bytes[..end]);
        if let Opening::Segment(header) = &opening {
            self.groups = Some(Groups::new(header.uid.clone()));
        }
        self.opening = Some(opening);
        self.feed(&bytes);
    }

    fn feed(&mut self, bytes: &[u8]) {
        if let Some(groups) = &mut self.groups {
            groups.push(bytes);
            self.found.follow(groups);
        }
    }
}
