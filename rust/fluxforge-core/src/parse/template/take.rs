//! Rows that follow their template, read until one does not.

#![expect(clippy::inline_always, reason = "parts of a job: see `wide`")]

use super::{Step, Template, Value};
use crate::parse::column::Cell;
use crate::parse::dictionary::Dictionary;
use crate::parse::scan::{Scanner, Text};
use crate::parse::sink::Clocks;
use crate::parse::stage::{Lane, ROWS, first_rows};
use crate::parse::value;
use crate::parse::wide::{Job, STEP, Wide, with_widest};
use crate::schema::Numbers;
use crate::schema::plan::{Plan, TablePlan};

/// Bytes at hand at each step: a key, and behind it what a step looks at.
const WINDOW: usize = 3 * STEP;

/// Where rows' values go, and what helps to read them.
pub(crate) struct Slots<'s> {
    pub(crate) plan: &'s Plan,
    pub(crate) table: &'s TablePlan,
    pub(crate) lanes: &'s mut [Lane],
    /// The first row's place in the lanes.
    pub(crate) row: usize,
    pub(crate) scratch: &'s mut Vec<u8>,
    pub(crate) clocks: &'s mut Clocks,
    pub(crate) dictionaries: &'s [Dictionary],
}

/// Rows that were taken, all of one product.
pub(crate) struct Taken<'a> {
    pub(crate) rows: usize,
    /// Their product, if it stands in them.
    pub(crate) product: Option<Text<'a>>,
    /// Values that float64 could not hold.
    pub(crate) inexact: u64,
    /// Where the last one ends.
    pub(crate) end: usize,
}

/// Reads rows from where the scanner is, as long as they are as expected, have one product and find
/// room. Of a row that is not, nothing counts but words in lanes, which the general way fills anew.
pub(crate) fn take<'a>(template: &Template, scanner: &Scanner<'a>, slots: Slots<'_>) -> Taken<'a> {
    let taken = Taken {
        rows: 0,
        product: None,
        inexact: 0,
        end: scanner.pos(),
    };
    if template.steps.is_empty() {
        return taken;
    }
    with_widest(Taking {
        steps: &template.steps,
        scanner,
        slots,
        taken,
        inexact: 0,
    })
}

struct Taking<'t, 'a, 's> {
    steps: &'t [Step],
    scanner: &'t Scanner<'a>,
    slots: Slots<'s>,
    taken: Taken<'a>,
    /// Of the row under way.
    inexact: u64,
}

impl<'a> Job for Taking<'_, 'a, '_> {
    type Done = Taken<'a>;

    #[inline(always)]
    fn with(mut self, wide: impl Wide) -> Taken<'a> {
        let (text, start) = self.scanner.whole();
        let mut rest = text.get(start..).unwrap_or_default();
        while let Some(behind) = self.row(wide, rest) {
            self.taken.rows += 1;
            self.taken.inexact += std::mem::take(&mut self.inexact);
            self.taken.end = text.len() - behind.len();
            self.slots.row += 1;
            match behind {
                [b',', next @ ..] if self.slots.row < ROWS => rest = next,
                _ => return self.taken,
            }
        }
        self.abandon();
        self.taken
    }
}

impl<'a> Taking<'_, 'a, '_> {
    /// Reads one row and returns what is behind it.
    #[inline(always)]
    fn row(&mut self, wide: impl Wide, text: &'a [u8]) -> Option<&'a [u8]> {
        let mut rest = text;
        let row = self.slots.row % ROWS;
        for step in self.steps {
            let window: &[u8; WINDOW] = rest.first_chunk()?;
            if !wide.begins_with(window.first_chunk()?, &step.key) {
                return None;
            }
            let key = step.key.length();
            let value: &[u8; STEP] = window[key..].first_chunk()?;
            let length = match step.value {
                Value::Number(lane, column) => match wide.decimal(value) {
                    Some(decimal) => {
                        let lane = self.slots.lanes.get_mut(lane)?;
                        match self.slots.plan.numbers {
                            Numbers::Float64 => lane.words[row] = decimal.to_f64().to_bits(),
                            Numbers::Decimal => lane.put_decimal(row, decimal.to_scaled()),
                        }
                        decimal.length
                    }
                    None => self.number(rest, key, lane, column)?,
                },
                Value::Time(lane, column) => match self.slots.clocks.repeat.recall(wide, value) {
                    Some((Some(nanos), length)) => {
                        self.slots.lanes.get_mut(lane)?.words[row] = nanos.cast_unsigned();
                        length
                    }
                    Some((None, length)) => {
                        self.slots.lanes.get_mut(lane)?.put(row, Cell::Null);
                        length
                    }
                    None => self.time(rest, key, lane, column)?,
                },
                Value::Code(lane, column) => {
                    // What is recalled has been read whole before: here only its end is looked for.
                    let word = u64::from_le_bytes(*value.first_chunk()?);
                    let length = wide.quote(word);
                    let word = word & 1_u64.checked_shl(8 * length)?.wrapping_sub(1);
                    let code = self.slots.dictionaries.get(column)?.recall(word)?;
                    self.slots.lanes.get_mut(lane)?.words[row] = u64::from(code.cast_unsigned());
                    length as usize + 1
                }
                Value::Text(lane, column) => match wide.plain(value) {
                    Some(length) => {
                        let scratch = &mut *self.slots.scratch;
                        let start = scratch.len();
                        scratch.extend_from_slice(&value[..length]);
                        let lane = &mut self.slots.lanes[lane];
                        (lane.words[row], lane.highs[row]) = (start as u64, scratch.len() as u64);
                        length + 1
                    }
                    None => self.text(rest, key, lane, column)?,
                },
                Value::Product => {
                    let length = wide.plain(value)?;
                    self.is_of(&rest[key..key + length]).then_some(length + 1)?
                }
                Value::Ignored => wide.plain(value)? + 1,
            };
            rest = rest.get(key + length..)?;
        }
        rest.strip_prefix(b"}")
    }

    /// Whether the row is of the first one's product.
    #[inline(always)]
    fn is_of(&mut self, raw: &'a [u8]) -> bool {
        if self.taken.rows == 0 {
            let escaped = false;
            self.taken.product = Some(Text { raw, escaped });
        }
        self.taken.product.is_some_and(|first| first.raw == raw)
    }

    /// What no wide step reads: long numbers.
    #[cold]
    fn number(&mut self, rest: &[u8], key: usize, lane: usize, column: usize) -> Option<usize> {
        let mut scanner = self.at_quote(rest, key);
        let column = &self.slots.table.columns[column];
        let read = value::number(&mut scanner, column, self.slots.plan.numbers);
        let (cell, inexact) = read.ok()?;
        self.slots.lanes[lane].put(self.slots.row, cell);
        self.inexact += u64::from(inexact);
        Some(self.length(rest, key, &scanner))
    }

    /// A time that is new.
    #[inline(never)]
    fn time(&mut self, rest: &[u8], key: usize, lane: usize, column: usize) -> Option<usize> {
        let mut scanner = self.at_quote(rest, key);
        let column = &self.slots.table.columns[column];
        let (clock, repeat) = (
            &mut self.slots.clocks.columns,
            &mut self.slots.clocks.repeat,
        );
        let cell = value::row_timestamp(&mut scanner, column, clock, repeat).ok()?;
        self.slots.lanes[lane].put(self.slots.row, cell);
        Some(self.length(rest, key, &scanner))
    }

    /// Long texts and those with escapes.
    #[cold]
    fn text(&mut self, rest: &[u8], key: usize, lane: usize, column: usize) -> Option<usize> {
        let mut scanner = self.at_quote(rest, key);
        let column = &self.slots.table.columns[column];
        let cell = value::text(&mut scanner, column, self.slots.scratch).ok()?;
        self.slots.lanes[lane].put(self.slots.row, cell);
        Some(self.length(rest, key, &scanner))
    }

    /// At the value's opening quote, with which the key's literal ends.
    fn at_quote(&self, rest: &[u8], key: usize) -> Scanner<'a> {
        let (text, _) = self.scanner.whole();
        self.scanner.at(text.len() - rest.len() + key - 1)
    }

    fn length(&self, rest: &[u8], key: usize, behind: &Scanner<'_>) -> usize {
        let (text, _) = self.scanner.whole();
        behind.pos() - (text.len() - rest.len()) - key
    }

    /// The row under way is not taken: it leaves no null behind.
    #[cold]
    fn abandon(&mut self) {
        for lane in &mut *self.slots.lanes {
            lane.nulls &= first_rows(self.slots.row);
        }
    }
}
