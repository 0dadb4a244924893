//! Below the frame's own level: events, and in them the objects that become rows.

use super::column::Cell;
use super::fault::Fault;
use super::frame::Head;
use super::hints::{Key, once};
use super::partition::Origin;
use super::scan::{Scanner, Text};
use super::sink::Sink;
use super::value;
use crate::schema::Kind;
use crate::schema::plan::{Action, Level, Plan, SEQUENCE_NUM, SERVER_TS, TablePlan};

/// The rows of one frame under way.
pub(crate) struct Rows<'a, 's> {
    plan: &'s Plan,
    table: &'s TablePlan,
    index: usize,
    sink: &'s mut Sink,
    origin: Origin,
    /// One per column: what the current row, or all rows of the current run, have.
    cells: Vec<Cell<'a>>,
    scratch: Vec<u8>,
    product: Option<Text<'a>>,
    item: u32,
    /// Values of the current row that float64 could not hold.
    inexact: u64,
    /// The partition whose newest rows still lack what they have in common.
    run: Option<usize>,
}

impl<'a, 's> Rows<'a, 's> {
    pub(crate) fn new(plan: &'s Plan, index: usize, sink: &'s mut Sink, origin: Origin) -> Self {
        let table = &plan.tables[index];
        Self {
            plan,
            table,
            index,
            sink,
            origin,
            cells: vec![Cell::Null; table.columns.len()],
            scratch: Vec::new(),
            product: None,
            item: 0,
            inexact: 0,
            run: None,
        }
    }

    /// Fills in what the frame's own level says.
    pub(crate) fn head(
        &mut self,
        source: &Scanner<'a>,
        head: &Head<'a>,
        route: &[u8],
    ) -> Result<(), Fault> {
        if let Some(at) = head.timestamp {
            let column = &self.table.columns[SERVER_TS];
            self.cells[SERVER_TS] = value::timestamp(&mut source.at(at), column)?;
        }
        if let Some(sequence) = self.sink.sequence {
            self.cells[SEQUENCE_NUM] = Cell::Int(sequence);
        }
        for (index, column) in self.table.columns.iter().enumerate() {
            if column.is_route {
                self.cells[index] = Cell::Code(self.sink.intern(self.index, index, route)?);
            }
        }
        Ok(())
    }

    /// Reads the array of the level's objects. Null is an empty one.
    pub(crate) fn array(&mut self, scanner: &mut Scanner<'a>, depth: usize) -> Result<(), Fault> {
        if scanner.null() {
            return Ok(());
        }
        let mut more = scanner.open(b'[', b']', "an array")?;
        while more {
            self.object(scanner, depth)?;
            more = scanner.more(b']')?;
        }
        Ok(())
    }

    fn object(&mut self, scanner: &mut Scanner<'a>, depth: usize) -> Result<(), Fault> {
        let level = &self.table.levels[depth];
        let mut rows_at = None;
        let (mut seen, mut after) = (0, 0);
        let mut more = scanner.open(b'{', b'}', "an object")?;
        while more {
            match self.sink.hints.key(scanner, level, &mut after)? {
                Key::Known(index) => {
                    once(&mut seen, index, level)?;
                    match level.fields[index].action {
                        Action::Column(column) => self.column(scanner, column)?,
                        Action::Product => {
                            self.product = value::text_or_null(scanner, "product_id")?;
                        }
                        Action::Rows if seen & level.needed == level.needed => {
                            self.array(scanner, depth + 1)?;
                        }
                        Action::Rows => rows_at = Some(value::passed(scanner)?),
                        _ => _ = scanner.skip_value()?,
                    }
                }
                Key::Unknown(key) => {
                    self.sink.unknown_key(level, key);
                    scanner.skip_value()?;
                }
            }
            more = scanner.more(b'}')?;
        }
        if seen & level.needed != level.needed {
            self.absent(level, seen)?;
        }
        if let Some(at) = rows_at {
            self.array(&mut scanner.at(at), depth + 1)?;
        }
        if depth + 1 == self.table.levels.len() {
            return self.row();
        }
        self.finish()
    }

    /// Reads one column's value.
    #[inline]
    fn column(&mut self, scanner: &mut Scanner<'a>, index: usize) -> Result<(), Fault> {
        let column = &self.table.columns[index];
        self.cells[index] = match column.kind {
            Kind::Number => {
                let (cell, inexact) = value::number(scanner, column, self.plan.numbers)?;
                self.inexact += u64::from(inexact);
                cell
            }
            Kind::Timestamp => value::timestamp(scanner, column)?,
            Kind::UnixSeconds => value::unix_seconds(scanner, column)?,
            Kind::Integer => {
                let whole = value::sequence(scanner, column)?;
                whole.map_or(Cell::Null, Cell::Int)
            }
            Kind::String => value::text(scanner, column, &mut self.scratch)?,
            Kind::Dictionary => {
                let text = match value::text(scanner, column, &mut self.scratch)? {
                    Cell::Text(text) => text,
                    Cell::Scratch(start, end) => &self.scratch[start..end],
                    _ => {
                        self.cells[index] = Cell::Null;
                        return Ok(());
                    }
                };
                Cell::Code(self.sink.intern(self.index, index, text)?)
            }
        };
        Ok(())
    }

    /// What an object did not say is null, where the feed allows that.
    #[cold]
    fn absent(&mut self, level: &Level, seen: u64) -> Result<(), Fault> {
        for (bit, field) in level.fields.iter().enumerate() {
            if seen & 1 << bit != 0 {
                continue;
            }
            match field.action {
                Action::Column(index) if self.table.columns[index].nullable => {
                    self.cells[index] = Cell::Null;
                }
                Action::Column(_) => return Err(Fault::field(&field.name, "is missing")),
                Action::Product => self.product = None,
                _ => {}
            }
        }
        Ok(())
    }

    /// A row is complete: into its partition with it.
    fn row(&mut self) -> Result<(), Fault> {
        let mut scratch = Vec::new();
        let product = match self.product {
            Some(text) => Some(text.decode(&mut scratch)?),
            None if self.table.has_product => return Err(Fault::new("product_id is missing")),
            None => None,
        };
        let (table, day) = (self.table, self.origin.day);
        let numbers = self.plan.numbers;
        let partitions = &mut self.sink.partitions;
        let place = partitions.find(self.index, product, day, table, numbers)?;
        if self.run != Some(place) {
            self.finish()?;
            self.run = Some(place);
        }
        let partition = self.sink.partitions.open(place);
        partition.push(table, self.item, &self.cells, &self.scratch)?;
        partition.inexact += self.inexact;
        self.inexact = 0;
        self.item += 1;
        Ok(())
    }

    /// Completes the rows of the current run with what they have in common.
    pub(crate) fn finish(&mut self) -> Result<(), Fault> {
        let Some(place) = self.run.take() else {
            return Ok(());
        };
        let partition = self.sink.partitions.open(place);
        partition.complete(self.table, &self.origin, &self.cells, &self.scratch)
    }
}
