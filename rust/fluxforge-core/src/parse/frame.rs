//! A frame's own level: which table it belongs to, when it was sent, where its rows stand.
//!
//! The scanner knows which key it expects next: the order in which it last saw this object's keys,
//! first the declared one. It compares the whole `"key":` in place and looks the key up only when
//! that fails. Rows are read where they stand if all that they need from above has been seen
//! (venues send it first); else they are passed over, validated, and read at the object's end.
//!
//! A key the feed reads must not occur twice in one object: the frame would say two things. Other
//! keys may.

use super::fault::Fault;
use super::hints::{Key, once};
use super::partition::Origin;
use super::rows::Rows;
use super::scan::{Scanner, Text};
use super::sink::Sink;
use super::value;
use crate::schema::plan::{Action, Plan, Route, SEQUENCE_NUM};

/// What a good frame was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It became rows (possibly none).
    Rows,
    /// It is ignored under this name of the plan.
    Ignored(usize),
}

/// What the frame's own level has shown so far.
#[derive(Debug, Default)]
pub(crate) struct Head<'a> {
    route: Option<Text<'a>>,
    unrouted: Option<Text<'a>>,
    /// Where the value begins.
    pub(crate) timestamp: Option<usize>,
    sequence: Option<usize>,
    rows: Option<usize>,
}

/// Reads the frame at the scanner's place, to its end. Nothing counts until `sink.keep`.
pub(crate) fn read(
    plan: &Plan,
    sink: &mut Sink,
    scanner: &mut Scanner<'_>,
    origin: Origin,
) -> Result<Outcome, Fault> {
    let level = &plan.frame;
    let mut head = Head::default();
    let mut outcome = None;
    let (mut seen, mut after) = (0, 0);
    let mut more = scanner.open(b'{', b'}', "a frame, which is an object,")?;
    while more {
        match sink.hints.key(scanner, level, &mut after)? {
            Key::Known(index) => {
                once(&mut seen, index, level)?;
                sink.census.look(level, index, scanner);
                match level.fields[index].action {
                    Action::Route => head.route = value::text_or_null(scanner, "the channel")?,
                    Action::Unrouted => head.unrouted = value::text_or_other(scanner)?,
                    Action::Timestamp => {
                        let at = value::passed(scanner)?;
                        head.timestamp = Some(at);
                        sink.found.server_time = Some(at..scanner.pos());
                    }
                    Action::Sequence => {
                        let at = value::passed(scanner)?;
                        head.sequence = Some(at);
                        sink.found.sequence = Some(at..scanner.pos());
                        sink.sequence = read_sequence(plan, scanner, at).unwrap_or(None);
                    }
                    Action::Rows if seen & level.needed == level.needed && head.route.is_some() => {
                        let start = scanner.pos();
                        let (what, end) = route(plan, sink, scanner, &head, Some(start), origin)?;
                        outcome = Some(what);
                        scanner.advance(end - start);
                    }
                    Action::Rows => head.rows = Some(value::passed(scanner)?),
                    _ => _ = scanner.skip_value()?,
                }
            }
            Key::Unknown(key) => {
                sink.census.unknown(level, key);
                scanner.skip_value()?;
            }
        }
        more = scanner.more(b'}')?;
    }
    sink.census.ended(level, seen);
    if let Some(outcome) = outcome {
        return Ok(outcome);
    }
    let (outcome, _) = route(plan, sink, scanner, &head, head.rows, origin)?;
    Ok(outcome)
}

/// Reads or passes the array that begins at `at`, as the channel says. Returns where it ends.
fn route<'a>(
    plan: &Plan,
    sink: &mut Sink,
    source: &Scanner<'a>,
    head: &Head<'a>,
    at: Option<usize>,
    origin: Origin,
) -> Result<(Outcome, usize), Fault> {
    let mut scanner = source.at(at.unwrap_or_default());
    let mut pass = || match at {
        Some(_) => scanner.skip_value().map(|_| scanner.pos()),
        None => Ok(0),
    };
    let Some(text) = head.route else {
        let end = pass()?;
        return unrouted(plan, head).map(|outcome| (outcome, end));
    };
    let mut scratch = Vec::new();
    let name = text.decode(&mut scratch)?;
    let table = match plan.route_of(name) {
        Some(Route::Table(table)) => table,
        Some(Route::Ignored(index)) => return Ok((Outcome::Ignored(index), pass()?)),
        None => {
            pass()?;
            return Err(Fault::quoting("unknown channel", name));
        }
    };
    sink.channel.extend_from_slice(name);
    if let (Some(at), None) = (head.sequence, sink.sequence) {
        read_sequence(plan, source, at)?;
    }
    let mut rows = Rows::new(plan, table, sink, origin);
    rows.head(source, head)?;
    let mut scanner = source.at(at.unwrap_or_default());
    if at.is_some() {
        rows.array(&mut scanner, 0)?;
    }
    rows.finish()?;
    if let Some(at) = at {
        sink.found.rows = Some((at..scanner.pos(), table));
    }
    Ok((Outcome::Rows, scanner.pos()))
}

/// A frame without a channel, known by another field or not at all.
#[cold]
fn unrouted(plan: &Plan, head: &Head<'_>) -> Result<Outcome, Fault> {
    let mut scratch = Vec::new();
    if let Some(text) = head.unrouted {
        let name = text.decode(&mut scratch)?;
        let known = plan.unrouted.iter().find(|(value, _)| value == name);
        if let Some((_, index)) = known {
            return Ok(Outcome::Ignored(*index));
        }
    }
    Err(Fault::new("no channel"))
}

fn read_sequence(plan: &Plan, source: &Scanner<'_>, at: usize) -> Result<Option<i64>, Fault> {
    value::sequence(&mut source.at(at), &plan.tables[0].columns[SEQUENCE_NUM])
}
