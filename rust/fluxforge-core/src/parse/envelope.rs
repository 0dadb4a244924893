//! One line: our envelope, and in it a frame or an event.
//!
//! ```text
//! {"capture_ts":"…","conn":"…","data":<JSON> | "raw":"…" | "raw_b64":"…" | "event":{…}}
//! ```
//!
//! The keys may come in any order and beside others, which are passed. A frame is read where it
//! stands if the writer's order was kept. `conn` may be absent: the predecessor had none.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::column::Cell;
use super::dictionary::Dictionary;
use super::fault::Fault;
use super::frame::{self, Outcome};
use super::hints::{Key, once};
use super::partition::Origin;
use super::scan::{Scanner, Text};
use super::shapes::LineShape;
use super::sink::Sink;
use super::time::{self, Clock};
use super::value;
use crate::schema::plan::{ColumnPlan, Plan};

/// What a good line holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    Frame(Outcome),
    Event,
}

/// What a line's envelope said before the line proved good or bad.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seen {
    pub(crate) capture_ns: Option<i64>,
    pub(crate) conn: Option<i32>,
}

// The places of the keys in `plan::ENVELOPE`.
const CAPTURE_TS: usize = 0;
const CONN: usize = 1;
const DATA: usize = 2;
const RAW: usize = 3;
const RAW_B64: usize = 4;
const EVENT: usize = 5;
const CONTENTS: u64 = 1 << DATA | 1 << RAW | 1 << RAW_B64 | 1 << EVENT;

/// A line under way.
pub(crate) struct Line<'p> {
    pub(crate) plan: &'p Plan,
    pub(crate) sink: &'p mut Sink,
    pub(crate) conns: &'p mut Dictionary,
    pub(crate) record: u32,
    pub(crate) seen: Seen,
}

impl Line<'_> {
    /// Reads a whole line of valid UTF-8, at whose beginning the scanner is. What the frame adds
    /// counts once the sink keeps it.
    #[inline]
    pub(crate) fn read(&mut self, scanner: &Scanner<'_>) -> Result<Content, Fault> {
        match self.read_quick(scanner) {
            Some(Ok(content)) => return Ok(content),
            Some(Err(_)) => self.again(),
            None => {}
        }
        let read = self.read_any(scanner.clone());
        if read.is_ok() || !self.sink.shape_used {
            return read;
        }
        // Why a line is bad says the general way alone.
        self.again();
        self.sink.by_shape = false;
        let read = self.read_any(scanner.clone());
        self.sink.by_shape = true;
        read
    }

    /// Makes the line begin anew, as if nothing of it had been read.
    #[cold]
    fn again(&mut self) {
        self.sink.undo();
        self.sink.begin();
        self.seen = Seen::default();
    }

    fn read_any(&mut self, mut scanner: Scanner<'_>) -> Result<Content, Fault> {
        let level = &self.plan.envelope;
        let mut data_at = None;
        let mut raw: Option<Text<'_>> = None;
        let mut outcome = None;
        let (mut seen, mut after) = (0, 0);
        let mut more = scanner.open(b'{', b'}', "an envelope, which is an object,")?;
        while more {
            match self.sink.hints.key(&mut scanner, level, &mut after)? {
                Key::Known(index) => {
                    once(&mut seen, index, level)?;
                    match index {
                        CAPTURE_TS => {
                            scanner.whitespace();
                            let start = scanner.pos();
                            let clock = &mut self.sink.clocks.capture;
                            self.seen.capture_ns =
                                Some(capture_ns(&mut scanner, &self.plan.capture, clock)?);
                            self.sink.found.capture = Some(start..scanner.pos());
                        }
                        CONN => {
                            let conn = value::text_or_null(&mut scanner, "conn")?;
                            self.seen.conn = Some(self.conn(conn)?);
                        }
                        DATA if self.seen.capture_ns.is_some() && self.seen.conn.is_some() => {
                            let origin = self.origin()?;
                            let read = frame::read(self.plan, self.sink, &mut scanner, origin);
                            outcome = Some(read?);
                        }
                        DATA => data_at = Some(value::passed(&mut scanner)?),
                        RAW | RAW_B64 => raw = value::text_or_null(&mut scanner, "raw")?,
                        _ => _ = scanner.skip_value()?,
                    }
                }
                Key::Unknown(_) => _ = scanner.skip_value()?,
            }
            more = scanner.more(b'}')?;
        }
        scanner.whitespace();
        if !scanner.rest().is_empty() {
            return Err(scanner.fault("the line's end"));
        }
        let contents = seen & CONTENTS;
        if contents.count_ones() != 1 {
            return Err(Fault::new(
                "not exactly one of data, raw, raw_b64 and event",
            ));
        }
        let origin = self.origin()?;
        if contents == 1 << EVENT {
            return Ok(Content::Event);
        }
        if let Some(outcome) = outcome {
            if outcome == Outcome::Rows && self.sink.census.is_quiet() {
                self.learn(&scanner, origin.conn);
            }
            return Ok(Content::Frame(outcome));
        }
        if let Some(at) = data_at {
            let read = frame::read(self.plan, self.sink, &mut scanner.at(at), origin);
            return read.map(Content::Frame);
        }
        let text = raw.ok_or_else(|| Fault::new("raw is null"))?;
        self.raw(text, contents == 1 << RAW_B64, origin)
    }

    /// Learns the shape of a good line, whose values have been read where they stand.
    #[cold]
    fn learn(&mut self, scanner: &Scanner<'_>, conn: i32) {
        let sink = &mut *self.sink;
        let (text, end) = scanner.whole();
        if let Some(shape) = LineShape::of(&text[..end], &sink.found, conn, &sink.channel) {
            sink.line_shapes.learn(shape);
        }
    }

    fn conn(&mut self, text: Option<Text<'_>>) -> Result<i32, Fault> {
        let mut scratch = Vec::new();
        let name = match text {
            Some(text) => text.decode(&mut scratch)?,
            None => b"",
        };
        let code = self.conns.intern(name).map(|(code, _)| code);
        code.ok_or_else(|| Fault::new("more connections than a dictionary holds"))
    }

    pub(crate) fn origin(&mut self) -> Result<Origin, Fault> {
        let capture_ns = self.seen.capture_ns;
        let capture_ns = capture_ns.ok_or_else(|| Fault::new("capture_ts is missing"))?;
        let conn = match self.seen.conn {
            Some(conn) => conn,
            None => self.conn(None)?,
        };
        self.seen.conn = Some(conn);
        Ok(Origin {
            capture_ns,
            day: time::day_of(capture_ns),
            conn,
            record: self.record,
        })
    }

    /// A frame that could not stand on one line as it was.
    #[cold]
    fn raw(&mut self, text: Text<'_>, base64: bool, origin: Origin) -> Result<Content, Fault> {
        let mut scratch = Vec::new();
        let text = text.decode(&mut scratch)?;
        let decoded;
        let bytes = if base64 {
            decoded = STANDARD
                .decode(text)
                .map_err(|_| Fault::new("raw_b64 is not base64"))?;
            &decoded
        } else {
            text
        };
        if std::str::from_utf8(bytes).is_err() {
            return Err(Fault::new("not UTF-8"));
        }
        let mut scanner = Scanner::new(bytes);
        let outcome = frame::read(self.plan, self.sink, &mut scanner, origin)?;
        scanner.whitespace();
        if scanner.pos() != bytes.len() {
            return Err(scanner.fault("the frame's end"));
        }
        Ok(Content::Frame(outcome))
    }
}

fn capture_ns(
    scanner: &mut Scanner<'_>,
    column: &ColumnPlan,
    clock: &mut Clock,
) -> Result<i64, Fault> {
    match value::timestamp(scanner, column, clock)? {
        Cell::Int(nanos) => Ok(nanos),
        _ => Err(Fault::field(&column.name, "is null")),
    }
}
