//! The keys of the objects at one depth, and what to do with each.

use super::Pattern;
use crate::schema::{FeedError, Wire};

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
    /// A bit per field that the feed expects in every object: without it, one is missing.
    pub(crate) named: u64,
}

/// One known key.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) pattern: Pattern,
    pub(crate) action: Action,
    pub(crate) wire: Wire,
    /// The channels on which it is to be expected; all if none is named.
    pub(crate) channels: Vec<String>,
}

impl Field {
    /// Whether a frame of the channel that lacks it lacks something.
    pub(crate) fn is_due_on(&self, channel: &[u8]) -> bool {
        self.channels.is_empty() || self.channels.iter().any(|c| c.as_bytes() == channel)
    }
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

impl Action {
    /// How such a value is written unless the feed says otherwise.
    fn usual_wire(self) -> Wire {
        match self {
            Self::Route | Self::Timestamp | Self::Column(_) | Self::Product => Wire::String,
            Self::Sequence => Wire::Number,
            Self::Rows => Wire::Array,
            Self::Unrouted | Self::Ignore => Wire::Any,
        }
    }
}

impl Level {
    pub(super) fn new(prefix: String) -> Self {
        Self {
            prefix,
            slot: 0,
            fields: Vec::new(),
            needed: 0,
            named: 0,
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
            wire: action.usual_wire(),
            channels: Vec::new(),
        });
        self.count_bits();
        Ok(())
    }

    /// Puts the array last: what its rows need usually stands before it on the wire.
    pub(super) fn declare_in_wire_order(&mut self) {
        self.fields.sort_by_key(|f| f.action == Action::Rows);
        self.count_bits();
    }

    fn count_bits(&mut self) {
        let bits = |of: fn(&Field) -> bool| {
            let fields = self.fields.iter().enumerate();
            fields.fold(0, |bits, (i, f)| bits | u64::from(of(f)) << i)
        };
        self.named = bits(|f| f.wire != Wire::Any);
        self.needed = bits(|f| f.wire != Wire::Any && f.action != Action::Rows);
    }

    /// The field's place in the list where each has one.
    pub(crate) fn slot_of(&self, index: usize) -> usize {
        self.slot + 1 + index
    }
}
