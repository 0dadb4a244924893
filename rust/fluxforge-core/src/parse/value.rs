//! One value of the wire to one cell of its column.

use super::column::Cell;
use super::fault::Fault;
use super::number::{Grammar, Number};
use super::repeat::Repeat;
use super::scan::{Scanner, Text};
use super::swar;
use super::text::unescape;
use super::time::{self, Clock, Instant};
use crate::schema::Numbers;
use crate::schema::plan::ColumnPlan;

/// Whole seconds of the years 1 to 9999: what every reader of Arrow can show.
const SHOWABLE_SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// A string, or null.
pub(crate) fn text_or_null<'a>(
    scanner: &mut Scanner<'a>,
    name: &str,
) -> Result<Option<Text<'a>>, Fault> {
    if scanner.null() {
        return Ok(None);
    }
    if scanner.peek() != b'"' {
        return Err(Fault::field(name, "is not a string"));
    }
    scanner.string("").map(Some)
}

/// A string, or anything else, which is passed.
pub(crate) fn text_or_other<'a>(scanner: &mut Scanner<'a>) -> Result<Option<Text<'a>>, Fault> {
    scanner.whitespace();
    if scanner.peek() == b'"' {
        return scanner.string("").map(Some);
    }
    scanner.skip_value().map(|_| None)
}

/// Passes a value and returns where it began.
pub(crate) fn passed(scanner: &mut Scanner<'_>) -> Result<usize, Fault> {
    scanner.whitespace();
    let start = scanner.pos();
    scanner.skip_value()?;
    Ok(start)
}

/// A number column's cell, and whether float64 could not hold all its digits.
#[inline]
pub(crate) fn number(
    scanner: &mut Scanner<'_>,
    column: &ColumnPlan,
    numbers: Numbers,
) -> Result<(Cell, bool), Fault> {
    // Nearly all are short and in a string: read in one step.
    if let Some([b'"', text @ ..]) = scanner.ahead::<{ swar::DECIMAL + 1 }>()
        && let Some(decimal) = text.first_chunk().and_then(swar::decimal)
    {
        scanner.advance(1 + decimal.length);
        let cell = match numbers {
            Numbers::Float64 => Cell::Float(decimal.to_f64()),
            Numbers::Decimal => Cell::Decimal(decimal.to_scaled()),
        };
        return Ok((cell, false));
    }
    let cell = |number: Number<'_>| match numbers {
        Numbers::Float64 => match number.to_f64() {
            Some((value, inexact)) => Ok((Cell::Float(value), inexact)),
            None => Err(Fault::field(&column.name, "is beyond the range of float64")),
        },
        Numbers::Decimal => match number.to_decimal() {
            Some(value) => Ok((Cell::Decimal(value), false)),
            None => Err(Fault::field(
                &column.name,
                "does not fit decimal128(38, 18) exactly",
            )),
        },
    };
    read_number(scanner, column, cell, (Cell::Null, false))
}

/// A cell of whole seconds since 1970.
pub(crate) fn unix_seconds(scanner: &mut Scanner<'_>, column: &ColumnPlan) -> Result<Cell, Fault> {
    let cell = |number: Number<'_>| match number.to_i64() {
        Some(seconds) if SHOWABLE_SECONDS.contains(&seconds) => Ok(Cell::Int(seconds)),
        _ => Err(Fault::field(
            &column.name,
            "is no count of whole seconds in years 1 to 9999",
        )),
    };
    read_number(scanner, column, cell, Cell::Null)
}

/// A sequence number; null is none.
pub(crate) fn sequence(
    scanner: &mut Scanner<'_>,
    column: &ColumnPlan,
) -> Result<Option<i64>, Fault> {
    let whole = |number: Number<'_>| match number.to_i64() {
        Some(sequence) => Ok(Some(sequence)),
        None => Err(Fault::field(&column.name, "is not a 64-bit integer")),
    };
    read_number(scanner, column, whole, None)
}

/// Reads a number from a JSON number or a string; `null` stands for the wire's null.
#[inline]
fn read_number<T>(
    scanner: &mut Scanner<'_>,
    column: &ColumnPlan,
    convert: impl Fn(Number<'_>) -> Result<T, Fault>,
    null: T,
) -> Result<T, Fault> {
    scanner.whitespace();
    match scanner.peek() {
        b'"' => {
            let rest = &scanner.rest()[1..];
            if let Some((number, length)) = Number::prefix(rest, Grammar::Text)
                && rest.get(length) == Some(&b'"')
            {
                scanner.advance(length + 2);
                return convert(number);
            }
            let mut scratch = Vec::new();
            let text = scanner.string("")?.decode(&mut scratch)?;
            match Number::parse(text, Grammar::Text) {
                Some(number) => convert(number),
                None => Err(Fault::quoting(
                    &format!("{} is no number:", column.name),
                    text,
                )),
            }
        }
        b'-' | b'0'..=b'9' => convert(scanner.number()?),
        _ => null_or(scanner, column, null, "is neither a number nor a string"),
    }
}

/// A row's timestamp, which the next one may repeat.
pub(crate) fn row_timestamp(
    scanner: &mut Scanner<'_>,
    column: &ColumnPlan,
    clock: &mut Clock,
    repeat: &mut Repeat,
) -> Result<Cell, Fault> {
    let start = scanner.pos();
    let (text, _) = scanner.whole();
    let cell = timestamp(scanner, column, clock)?;
    repeat.remember(&text[start..scanner.pos()], cell);
    Ok(cell)
}

/// A timestamp column's cell: nanoseconds, or null for a sentinel.
pub(crate) fn timestamp(
    scanner: &mut Scanner<'_>,
    column: &ColumnPlan,
    clock: &mut Clock,
) -> Result<Cell, Fault> {
    scanner.whitespace();
    if scanner.peek() != b'"' {
        return null_or(scanner, column, Cell::Null, "is not a string");
    }
    let rest = &scanner.rest()[1..];
    let ahead = scanner.ahead::<{ time::UTC_TEXT + 1 }>();
    if let Some((instant, length)) =
        clock.read(rest, ahead.and_then(|ahead| ahead[1..].first_chunk()))
        && rest.get(length) == Some(&b'"')
    {
        scanner.advance(length + 2);
        return instant_cell(instant, column);
    }
    let mut scratch = Vec::new();
    let text = scanner.string("")?.decode(&mut scratch)?;
    match time::parse(text) {
        Some(instant) => instant_cell(instant, column),
        None => Err(Fault::quoting(
            &format!("{} is no RFC 3339 time:", column.name),
            text,
        )),
    }
}

#[inline]
fn instant_cell(instant: Instant, column: &ColumnPlan) -> Result<Cell, Fault> {
    if column.nulls.contains(&instant) {
        return null(column, Cell::Null);
    }
    match instant.nanos() {
        Some(nanos) => Ok(Cell::Int(nanos)),
        None => Err(Fault::field(
            &column.name,
            "lies outside the years 1677 to 2262",
        )),
    }
}

/// A text cell: where the text lies in the scratch. A JSON number is kept as it is written.
#[inline]
pub(crate) fn text(
    scanner: &mut Scanner<'_>,
    column: &ColumnPlan,
    scratch: &mut Vec<u8>,
) -> Result<Cell, Fault> {
    scanner.whitespace();
    let start = scratch.len();
    match scanner.peek() {
        b'"' => {
            let text = scanner.string("")?;
            if text.escaped {
                unescape(text.raw, scratch)?;
            } else {
                scratch.extend_from_slice(text.raw);
            }
        }
        b'-' | b'0'..=b'9' => scratch.extend_from_slice(scanner.skip_value()?),
        _ => return null_or(scanner, column, Cell::Null, "is not a string"),
    }
    Ok(Cell::Text(start, scratch.len()))
}

/// A dictionary column's short text without escapes: a word to look it up by.
#[inline]
pub(crate) fn short_text(scanner: &Scanner<'_>) -> Option<(u64, usize)> {
    swar::quoted(scanner.ahead()?)
}

/// The column's null, where the feed allows one.
pub(crate) fn null<T>(column: &ColumnPlan, value: T) -> Result<T, Fault> {
    if column.nullable {
        return Ok(value);
    }
    Err(Fault::field(&column.name, "is null"))
}

fn null_or<T>(
    scanner: &mut Scanner<'_>,
    column: &ColumnPlan,
    value: T,
    problem: &str,
) -> Result<T, Fault> {
    if scanner.null() {
        return null(column, value);
    }
    scanner.skip_value()?;
    Err(Fault::field(&column.name, problem))
}
