//! A line read by its shape: only its values are looked at.

use super::column::Cell;
use super::envelope::{Content, Line};
use super::fault::Fault;
use super::frame::Outcome;
use super::rows::Rows;
use super::scan::Scanner;
use super::shapes::{CAPTURE, LineShape, Value};
use super::time::Clock;
use super::{swar, value};
use crate::schema::plan::{Plan, SEQUENCE_NUM, SERVER_TS};

/// What stands in a line's head.
struct Head<'a> {
    server_ts: Cell,
    sequence: Option<i64>,
    /// At the rows.
    scanner: Scanner<'a>,
}

impl Line<'_> {
    /// Reads a line that has a known shape. None: it has not, and nothing has happened. A fault only
    /// says that the line is to be read again.
    #[inline]
    pub(crate) fn read_quick(&mut self, scanner: &Scanner<'_>) -> Option<Result<Content, Fault>> {
        let mut scanner = scanner.clone();
        if !scanner.take(CAPTURE) || scanner.peek() != b'"' {
            return None;
        }
        let clocks = &mut self.sink.clocks;
        let capture = value::timestamp(&mut scanner, &self.plan.capture, &mut clocks.capture);
        let Ok(Cell::Int(capture_ns)) = capture else {
            return None;
        };
        let (plan, clock) = (self.plan, &mut clocks.server);
        let known = &mut self.sink.line_shapes;
        let (place, head) = known.find(|shape| head(plan, shape, scanner.clone(), clock))?;
        let shape = known.get(place);
        self.seen.capture_ns = Some(capture_ns);
        self.seen.conn = Some(shape.conn);
        self.sink.sequence = head.sequence;
        self.sink.channel.extend_from_slice(&shape.channel);
        let (table, length) = (shape.table, shape.tail.len());
        Some(self.rows(table, head, place, length))
    }

    fn rows(
        &mut self,
        table: usize,
        head: Head<'_>,
        place: usize,
        tail: usize,
    ) -> Result<Content, Fault> {
        let origin = self.origin()?;
        let mut scanner = head.scanner;
        let mut rows = Rows::new(self.plan, table, self.sink, origin);
        rows.routed(head.server_ts)?;
        rows.array(&mut scanner, 0)?;
        rows.finish()?;
        let rest = scanner.rest();
        if rest.len() != tail || *rest != *self.sink.line_shapes.get(place).tail {
            self.sink.line_shapes.lose_last();
            return Err(Fault::new("another shape"));
        }
        Ok(Content::Frame(Outcome::Rows))
    }
}

/// Reads a line's head from behind its capture time, if the shape fits.
#[inline]
fn head<'a>(
    plan: &Plan,
    shape: &LineShape,
    mut scanner: Scanner<'a>,
    clock: &mut Clock,
) -> Option<Head<'a>> {
    let columns = &plan.tables[shape.table].columns;
    let (mut server_ts, mut sequence) = (Cell::Null, None);
    for (before, value) in &shape.head {
        if !scanner.take(before) {
            return None;
        }
        // Nulls and what is of another type are counted the general way.
        match (value, scanner.peek()) {
            (Value::ServerTime, b'"') => {
                let column = &columns[SERVER_TS];
                server_ts = value::timestamp(&mut scanner, column, clock).ok()?;
            }
            (Value::Sequence, b'-' | b'0'..=b'9') => {
                if let Some((number, length)) = scanner.ahead().and_then(swar::whole) {
                    scanner.advance(length);
                    sequence = Some(number.into());
                    continue;
                }
                sequence = value::sequence(&mut scanner, &columns[SEQUENCE_NUM]).ok()?;
            }
            (Value::Rows, b'[') => {}
            _ => return None,
        }
    }
    Some(Head {
        server_ts,
        sequence,
        scanner,
    })
}
