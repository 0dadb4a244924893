//! Rows read in one go: the wire repeats the same keys in the same order, millions of times.
//!
//! A template is the order of keys that rows of a table had last. A row that follows it to the
//! byte, with values of the shapes that are common, is read by straight comparisons, without a
//! question asked twice. Any other row is left untouched, to be read the general way; so only
//! speed depends on what is here.

use super::column::Cell;
use super::dictionary::Dictionary;
use super::scan::{Scanner, Text};
use super::sink::Clocks;
use super::stage::Lane;
use super::{swar, value};
use crate::schema::plan::{Action, Level, Pattern, Plan, TablePlan};
use crate::schema::{Kind, Numbers, Wire};

/// What a table's next row is expected to look like.
#[derive(Debug, Default)]
pub(crate) struct Template {
    steps: Vec<Step>,
    order: Vec<usize>,
    /// The order of the last row that was read the general way.
    seen: Vec<usize>,
}

#[derive(Debug)]
struct Step {
    /// With the brace or comma before it.
    key: Pattern,
    value: Value,
}

/// A value, its lane and, where that is needed, its column.
#[derive(Debug, Clone, Copy)]
enum Value {
    Number(usize),
    Time(usize, usize),
    Code(usize, usize),
    Text(usize),
    Product,
    Ignored,
}

/// Where a row's values go, and what helps to read them.
pub(crate) struct Slots<'s> {
    pub(crate) table: &'s TablePlan,
    pub(crate) lanes: &'s mut [Lane],
    pub(crate) row: usize,
    pub(crate) scratch: &'s mut Vec<u8>,
    pub(crate) clocks: &'s mut Clocks,
    pub(crate) dictionaries: &'s [Dictionary],
}

/// A row that was taken.
pub(crate) struct Taken<'a> {
    pub(crate) product: Option<Text<'a>>,
    /// Where it ends.
    pub(crate) end: usize,
}

impl Template {
    /// Expects the keys as the feed declares them.
    pub(crate) fn declared(table: &TablePlan) -> Self {
        let mut template = Self::default();
        if let Some(level) = table.levels.last() {
            template.follow(table, level, (0..level.fields.len()).collect());
        }
        template
    }

    /// A row was read the general way, with its keys in this order. Whoever comes twice is followed.
    pub(crate) fn saw(&mut self, table: &TablePlan, level: &Level, order: &[usize]) {
        if order == self.order {
            return;
        }
        if order == self.seen {
            self.follow(table, level, order.to_vec());
        } else {
            self.seen.clear();
            self.seen.extend_from_slice(order);
        }
    }

    fn follow(&mut self, table: &TablePlan, level: &Level, order: Vec<usize>) {
        let step = |(place, index): (usize, &usize)| {
            let field = &level.fields[*index];
            let value = match field.action {
                // What is not as the feed says is counted on the general way.
                Action::Column(_) if field.wire != Wire::String => return None,
                Action::Column(column) => {
                    let plan = &table.columns[column];
                    let lane = plan.lane?;
                    match plan.kind {
                        Kind::Number => Value::Number(lane),
                        Kind::Timestamp => Value::Time(lane, column),
                        Kind::Dictionary => Value::Code(lane, column),
                        Kind::String => Value::Text(lane),
                        // Rows with them take the general way.
                        Kind::UnixSeconds | Kind::Integer => return None,
                    }
                }
                Action::Product => Value::Product,
                _ => Value::Ignored,
            };
            let before = if place == 0 { "{" } else { "," };
            Some(Step {
                key: Pattern::new(&format!("{before}\"{}\":", field.name)),
                value,
            })
        };
        let seen = order.iter().fold(0_u64, |seen, index| seen | 1 << index);
        let steps = order.iter().enumerate().map(step).collect::<Option<_>>();
        // What a row lacks has its own rules.
        let whole = seen & level.needed == level.needed && !order.is_empty();
        self.steps = steps.filter(|_| whole).unwrap_or_default();
        self.order = order;
    }

    /// Reads the row that begins where the scanner is, if it is as expected; else nothing of it
    /// counts but cells, which the general way fills anew.
    #[inline]
    pub(crate) fn take<'a>(
        &self,
        scanner: &Scanner<'a>,
        plan: &Plan,
        slots: &mut Slots<'_>,
    ) -> Option<Taken<'a>> {
        let (text, mut at) = scanner.whole();
        let mut product = None;
        for step in &self.steps {
            at += step.key.length_in(text.get(at..)?)?;
            let value = text.get(at..)?;
            match step.value {
                Value::Number(lane) => {
                    let decimal = swar::decimal(value.first_chunk()?)?;
                    let cell = match plan.numbers {
                        Numbers::Float64 => Cell::Float(decimal.to_f64()),
                        Numbers::Decimal => Cell::Decimal(decimal.to_scaled()),
                    };
                    slots.lanes[lane].put(slots.row, cell);
                    at += decimal.length;
                }
                Value::Time(lane, column) => {
                    value.starts_with(b"\"").then_some(())?;
                    let mut scanner = scanner.at(at);
                    let (clock, repeat) = (&mut slots.clocks.columns, &mut slots.clocks.repeat);
                    let plan = &slots.table.columns[column];
                    let cell = value::row_timestamp(&mut scanner, plan, clock, repeat);
                    slots.lanes[lane].put(slots.row, cell.ok()?);
                    at = scanner.pos();
                }
                Value::Code(lane, column) => {
                    let (word, length) = swar::quoted(value.first_chunk()?)?;
                    let code = slots.dictionaries[column].recall(word)?;
                    slots.lanes[lane].put(slots.row, Cell::Code(code));
                    at += length;
                }
                Value::Text(lane) => {
                    let (start, raw) = (slots.scratch.len(), swar::plain(value)?);
                    slots.scratch.extend_from_slice(raw);
                    let cell = Cell::Text(start, slots.scratch.len());
                    slots.lanes[lane].put(slots.row, cell);
                    at += raw.len() + 2;
                }
                Value::Product => {
                    let raw = swar::plain(value)?;
                    product = Some(Text {
                        raw,
                        escaped: false,
                    });
                    at += raw.len() + 2;
                }
                Value::Ignored => at += swar::plain(value)?.len() + 2,
            }
        }
        let ends = !self.steps.is_empty() && text.get(at) == Some(&b'}');
        ends.then_some(Taken {
            product,
            end: at + 1,
        })
    }
}
