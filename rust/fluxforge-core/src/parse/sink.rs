//! What frames write to, and how a bad one is taken back.

use super::census::Census;
use super::column::Cell;
use super::dictionary::Dictionary;
use super::fault::Fault;
use super::hints::Hints;
use super::partition::Partitions;
use super::repeat::Repeat;
use super::shapes::{EventShape, Found, Known, LineShape};
use super::stage::Lane;
use super::template::Template;
use super::time::Clock;
use crate::schema::plan::{Plan, TablePlan};

/// The rows of all frames so far and the frame under way.
#[derive(Debug)]
pub(crate) struct Sink {
    pub(crate) partitions: Partitions,
    /// Per table and column; only dictionary columns use theirs.
    pub(crate) dictionaries: Vec<Vec<Dictionary>>,
    pub(crate) hints: Hints,
    /// The frame's channel.
    pub(crate) channel: Vec<u8>,
    /// The frame's sequence number, also if the frame is rejected later on.
    pub(crate) sequence: Option<i64>,
    pub(crate) census: Census,
    /// One per column: what all rows of the current run have.
    pub(crate) common: Vec<Cell>,
    /// What each row of the current run has of its own; at least as many as the table has lanes.
    pub(crate) lanes: Vec<Lane>,
    /// The texts that cells point to.
    pub(crate) scratch: Vec<u8>,
    pub(crate) clocks: Clocks,
    /// Per table.
    pub(crate) templates: Vec<Template>,
    /// The keys of the row under way, as they come.
    pub(crate) order: Vec<usize>,
    pub(crate) line_shapes: Known<LineShape>,
    /// Per table.
    pub(crate) event_shapes: Vec<Known<EventShape>>,
    /// Whether shapes may be used, and whether one was, in the line under way.
    pub(crate) by_shape: bool,
    pub(crate) shape_used: bool,
    /// Where the line's values are.
    pub(crate) found: Found,
    interned: Vec<(usize, usize)>,
}

/// The times of a line lie apart, those of neighbouring lines do not.
#[derive(Debug, Default)]
pub(crate) struct Clocks {
    pub(crate) capture: Clock,
    pub(crate) server: Clock,
    pub(crate) columns: Clock,
    pub(crate) repeat: Repeat,
}

impl Sink {
    pub(crate) fn new(plan: &Plan) -> Self {
        let of_table = |t: &TablePlan| t.columns.iter().map(|_| Dictionary::default()).collect();
        Self {
            partitions: Partitions::new(plan.tables.len()),
            dictionaries: plan.tables.iter().map(of_table).collect(),
            hints: Hints::new(plan),
            channel: Vec::new(),
            sequence: None,
            census: Census::default(),
            common: Vec::new(),
            lanes: Vec::new(),
            scratch: Vec::new(),
            clocks: Clocks::default(),
            templates: plan.tables.iter().map(Template::declared).collect(),
            order: Vec::new(),
            line_shapes: Known::default(),
            event_shapes: plan.tables.iter().map(|_| Known::default()).collect(),
            by_shape: true,
            shape_used: false,
            found: Found::default(),
            interned: Vec::new(),
        }
    }

    /// A line begins: nothing is known of its frame.
    pub(crate) fn begin(&mut self) {
        self.channel.clear();
        self.sequence = None;
        self.census.begin();
        self.shape_used = false;
        self.found = Found::default();
    }

    /// The number of a dictionary column's text.
    #[inline]
    pub(crate) fn intern(
        &mut self,
        table: usize,
        column: usize,
        text: &[u8],
    ) -> Result<i32, Fault> {
        match self.dictionaries[table][column].intern(text) {
            Some((code, false)) => Ok(code),
            Some((code, true)) => {
                self.interned.push((table, column));
                Ok(code)
            }
            None => Err(Fault::new(
                "more distinct texts than a dictionary column holds",
            )),
        }
    }

    /// The frame is good. Returns its number of rows.
    pub(crate) fn keep(&mut self) -> u64 {
        self.interned.clear();
        self.census.keep(&self.channel);
        self.partitions.keep()
    }

    /// The frame is bad: as if it had never been.
    #[cold]
    pub(crate) fn undo(&mut self) {
        self.partitions.undo();
        while let Some((table, column)) = self.interned.pop() {
            // They may say its number.
            self.event_shapes[table].clear();
            self.dictionaries[table][column].forget_last();
        }
    }
}
