//! The keys of the objects at one depth, and what to do with each.

use super::Pattern;
use crate::schema::FeedError;

/// The keys of the objects at one depth.
#[derive(Debug)]
pub(crate) struct Level {
    /// `events[].` and the like: what stands before a key's name in a report.
    pub(crate) prefix: String,
    /// Where its part of a list begins that has one place per object begun and per field.
    pub(crate) slot: usize,
    pub(crate) fields: Vec<Field>,
    /// A bit per field that must have been seen before rows below can be read in place.
    pub(crate) needed: u64,
}

/// One known key.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) pattern: Pattern,
    pub(crate) action: Action,
}
/// What to do with a known key's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Route,
    Timestamp,
    Sequence,
    /// The field that names a frame without a route.
    Unrouted,
    /// The array whose objects are the next level.
    Rows,
    Column(usize),
    Product,
    Ignore,
}

impl Level {
    pub(super) fn new(prefix: String) -> Self {
        Self {
            prefix,
            slot: 0,
            fields: Vec::new(),
            needed: 0,
        }
    }

    pub(super) fn add(&mut self, name: &str, action: Action) -> Result<(), FeedError> {
        if name.is_empty() || name.contains(['.', '[', ']', '"', '\\']) {
            return Err(FeedError(format!(
                "{}{name} is no path to a value",
                self.prefix
            )));
        }
        if self.fields.iter().any(|f| f.name == name) {
            return Err(FeedError(format!(
                "{}{name} is declared twice",
                self.prefix
            )));
        }
        // One bit per field in `needed` and in what the scanner has seen.
        if self.fields.len() == 64 {
            return Err(FeedError(format!(
                "{} has more than 64 fields",
                self.prefix
            )));
        }
        self.fields.push(Field {
            name: name.to_owned(),
            pattern: Pattern::new(&format!("\"{name}\":")),
            action,
        });
        self.needed = needed(&self.fields);
        Ok(())
    }
}

pub(super) fn needed(fields: &[Field]) -> u64 {
    let bits = fields.iter().enumerate().map(|(i, f)| match f.action {
        Action::Rows | Action::Ignore | Action::Unrouted => 0,
        _ => 1 << i,
    });
    bits.sum()
}
