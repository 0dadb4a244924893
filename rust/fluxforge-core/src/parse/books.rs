//! The books of one segment: every frame is parsed, ignored by name, or rejected with its bytes.

use std::collections::BTreeMap;

use super::census::Fields;
use super::dictionary::Dictionary;
use super::envelope::{Content, Line};
use super::fault::Fault;
use super::frame::Outcome;
use super::scan::Scanner;
use super::sequence::ConnectionSequence;
use super::sink::Sink;
use super::structure::{CHECKPOINT, SEAL};
use super::wide::prefetch;
use crate::schema::plan::Plan;

/// frames = parsed + the sum of ignored + rejected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Balance {
    /// Lines that are neither header, event, checkpoint nor seal.
    pub frames: u64,
    /// Frames that became rows, possibly none.
    pub parsed: u64,
    /// Frames ignored, by name.
    pub ignored: BTreeMap<String, u64>,
    /// Frames rejected.
    pub rejected: u64,
    /// Events of ours.
    pub events: u64,
    /// Rows, by table.
    pub rows: BTreeMap<String, u64>,
    /// Values that float64 could not hold, by table.
    pub inexact: BTreeMap<String, u64>,
    /// Where the wire differs from what the feed says.
    pub fields: Fields,
}

impl Balance {
    /// Whether every frame is accounted for.
    pub fn holds(&self) -> bool {
        self.frames == self.parsed + self.ignored.values().sum::<u64>() + self.rejected
    }
}

/// A line that could not be turned into rows, kept whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// The frame's number in its segment.
    pub record: u32,
    /// The line's number in its segment, from 1.
    pub line: u64,
    /// Where the line begins, in bytes.
    pub offset: u64,
    /// Why.
    pub reason: Box<str>,
    /// The line without its newline.
    pub data: Box<[u8]>,
}

/// While a line is read, what lies this far behind it is fetched from memory: there the next block
/// is hashed.
const AHEAD: usize = 64 << 10;

/// Whole lines that follow each other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lines<'a> {
    /// The lines and what follows them, as far as it is at hand…
    pub(crate) text: &'a [u8],
    /// …and how many bytes the lines are.
    pub(crate) length: usize,
    /// Where they begin in the segment.
    pub(crate) offset: u64,
    /// Why their bytes cannot be believed.
    pub(crate) distrust: Option<&'static str>,
    /// Whether the segment's first line is a header.
    pub(crate) headed: bool,
}

/// A line and its place.
#[derive(Debug, Clone, Copy)]
struct Placed<'a> {
    bytes: &'a [u8],
    /// The line and what follows it, as far as it is at hand.
    ahead: &'a [u8],
    line: u64,
    offset: u64,
}

/// Takes lines, keeps the books.
#[derive(Debug)]
pub(crate) struct Books {
    pub(crate) sink: Sink,
    pub(crate) conns: Dictionary,
    pub(crate) connections: Vec<ConnectionSequence>,
    /// By the connection's code: its place in `connections`.
    places: Vec<Option<usize>>,
    pub(crate) balance: Balance,
    pub(crate) rejects: Vec<Reject>,
    pub(crate) events: Vec<Box<[u8]>>,
    pub(crate) ignored: Vec<u64>,
    /// Lines of any kind.
    pub(crate) lines: u64,
    /// How many frames there were where a proof said how many there should be. Of a part of the
    /// segment it is known only when it is added to what came before.
    pub(crate) counts: Vec<(u64, u64)>,
    pub(crate) is_part: bool,
    agree: bool,
}

impl Books {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            lines: 0,
            counts: Vec::new(),
            is_part: false,
            agree: true,
            sink: Sink::new(plan),
            conns: Dictionary::default(),
            connections: Vec::new(),
            places: Vec::new(),
            balance: Balance::default(),
            rejects: Vec::new(),
            events: Vec::new(),
            ignored: vec![0; plan.ignored.len()],
        }
    }

    /// Takes lines. What holds no record is known by its beginning: without a header, proofs prove
    /// nothing, but they are no frames either.
    pub(crate) fn take(&mut self, plan: &Plan, lines: &Lines<'_>) {
        let bytes = &lines.text[..lines.length];
        // Nearly always it is plain ASCII, which is quicker to see.
        let utf8 = bytes.is_ascii() || std::str::from_utf8(bytes).is_ok();
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let length = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let line = &rest[..length];
            prefetch(lines.text.get(at + AHEAD..).unwrap_or_default(), length);
            self.lines += 1;
            let offset = lines.offset + at as u64;
            let is_header = offset == 0 && lines.headed;
            if !is_header && !line.starts_with(CHECKPOINT) && !line.starts_with(SEAL) {
                let placed = Placed {
                    bytes: line,
                    ahead: &lines.text[at..],
                    line: self.lines,
                    offset,
                };
                self.line(plan, placed, utf8, lines.distrust);
            }
            at += length + 1;
        }
    }

    /// Passes a line that is a proof; it may say how many frames there were.
    pub(crate) fn pass(&mut self, frames: Option<u64>) {
        self.lines += 1;
        match frames {
            Some(told) if self.is_part => self.counts.push((self.balance.frames, told)),
            Some(told) => self.agree &= told == self.balance.frames,
            None => {}
        }
    }

    /// As [`Self::pass`] of what a part noted, with what came before it.
    pub(crate) fn pass_counts(&mut self, counts: &[(u64, u64)]) {
        let before = self.balance.frames;
        let agrees = |(counted, told): &(u64, u64)| before + counted == *told;
        self.agree &= counts.iter().all(agrees);
    }

    /// Whether there were as many frames as all proofs said.
    pub(crate) fn agree(&self) -> bool {
        self.agree
    }

    /// Takes a line that is a frame or an event. `distrust` says why its bytes cannot be believed.
    #[inline]
    fn line(&mut self, plan: &Plan, placed: Placed<'_>, utf8: bool, distrust: Option<&str>) {
        // Four thousand million frames do not fit a segment; the last number then repeats.
        let record = u32::try_from(self.balance.frames).unwrap_or(u32::MAX);
        self.sink.begin();
        let mut line = Line {
            plan,
            sink: &mut self.sink,
            conns: &mut self.conns,
            record,
            seen: super::envelope::Seen::default(),
        };
        let read = if utf8 || std::str::from_utf8(placed.bytes).is_ok() {
            line.read(&Scanner::within(placed.ahead, placed.bytes.len()))
        } else {
            Err(Fault::new("not UTF-8"))
        };
        let seen = line.seen;
        let read = match (read, distrust) {
            (Ok(Content::Frame(_)) | Err(_), Some(reason)) => Err(Fault::new(reason)),
            (read, _) => read,
        };
        match read {
            Ok(Content::Event) => {
                self.balance.events += 1;
                self.events.push(placed.bytes.into());
                return;
            }
            Ok(Content::Frame(Outcome::Rows)) => {
                self.sink.keep();
                self.balance.parsed += 1;
            }
            Ok(Content::Frame(Outcome::Ignored(index))) => self.ignored[index] += 1,
            Err(fault) => self.reject(record, placed, fault),
        }
        self.balance.frames += 1;
        if let (Some(conn), Some(capture_ns), None) = (seen.conn, seen.capture_ns, distrust) {
            self.observe(conn, capture_ns, record);
        }
    }

    #[inline]
    fn observe(&mut self, conn: i32, capture_ns: i64, record: u32) {
        let place = self.place_of(conn, capture_ns);
        self.connections[place].observe(self.sink.sequence, capture_ns, record);
    }

    /// Where the connection's sequence is, begun if it is new.
    #[inline]
    pub(crate) fn place_of(&mut self, conn: i32, capture_ns: i64) -> usize {
        let code = usize::try_from(conn).unwrap_or_default();
        if code >= self.places.len() {
            self.places.resize(code + 1, None);
        }
        *self.places[code].get_or_insert_with(|| {
            let name = &self.conns.values()[code];
            let connection = ConnectionSequence::new(name, capture_ns, self.is_part);
            self.connections.push(connection);
            self.connections.len() - 1
        })
    }

    #[cold]
    fn reject(&mut self, record: u32, placed: Placed<'_>, fault: Fault) {
        self.sink.undo();
        self.balance.rejected += 1;
        self.rejects.push(Reject {
            record,
            line: placed.line,
            offset: placed.offset,
            reason: fault.into_reason(),
            data: placed.bytes.into(),
        });
    }

    /// For a part of the segment.
    pub(crate) fn part(plan: &Plan) -> Self {
        Self {
            is_part: true,
            ..Self::new(plan)
        }
    }

    /// The balance with its names filled in.
    pub(crate) fn balance(&mut self, plan: &Plan) -> Balance {
        let mut balance = std::mem::take(&mut self.balance);
        for (name, count) in plan.ignored.iter().zip(&self.ignored) {
            if *count > 0 {
                *balance.ignored.entry(name.clone()).or_default() += count;
            }
        }
        balance.fields = self.sink.census.tell(plan);
        for table in &plan.tables {
            balance.rows.entry(table.name.clone()).or_default();
            balance.inexact.entry(table.name.clone()).or_default();
        }
        balance
    }
}
