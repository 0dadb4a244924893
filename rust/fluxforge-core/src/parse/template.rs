//! Rows read in one go: the wire repeats the same keys in the same order, millions of times.
//!
//! A template is the order of keys that rows of a table had last. A row that follows it to the
//! byte, with values of the shapes that are common, is read by straight comparisons, without a
//! question asked twice (`take.rs`). Any other row is left untouched, to be read the general way; so
//! only speed depends on what is here.

mod take;

pub(crate) use take::{Slots, take};

use super::wide::Literal;
use crate::schema::plan::{Action, Level, TablePlan};
use crate::schema::{Kind, Wire};

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
    /// With the brace or comma before it, and the value's opening quote.
    key: Literal,
    value: Value,
}

/// A value, its lane and its column.
#[derive(Debug, Clone, Copy)]
enum Value {
    Number(usize, usize),
    Time(usize, usize),
    Code(usize, usize),
    Text(usize, usize),
    Product,
    Ignored,
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
                        Kind::Number => Value::Number(lane, column),
                        Kind::Timestamp => Value::Time(lane, column),
                        Kind::Dictionary => Value::Code(lane, column),
                        Kind::String => Value::Text(lane, column),
                        // Rows with them take the general way.
                        Kind::UnixSeconds | Kind::Integer => return None,
                    }
                }
                Action::Product => Value::Product,
                _ => Value::Ignored,
            };
            let before = if place == 0 { "{" } else { "," };
            Some(Step {
                key: Literal::new(format!("{before}\"{}\":\"", field.name).as_bytes())?,
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
}
