//! Below the frame's own level: events, and in them the objects that become rows.

mod event;

use super::column::Cell;
use super::fault::Fault;
use super::frame::Head;
use super::hints::{Key, once};
use super::partition::{Origin, Staged};
use super::scan::{Scanner, Text};
use super::sink::Sink;
use super::stage::{Lane, ROWS};
use super::template::{self, Slots};
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
    product: Option<Text<'a>>,
    /// Where the rows go, until another product is read.
    place: Option<usize>,
    /// Rows so far.
    item: u32,
    /// Rows that are read and not yet in their partition.
    staged: usize,
    /// Values that float64 could not hold, of the row that is being read and of the run before it.
    inexact_in_row: u64,
    inexact: u64,
    /// The partition where the current run goes.
    run: Option<usize>,
}

impl<'a, 's> Rows<'a, 's> {
    pub(crate) fn new(plan: &'s Plan, index: usize, sink: &'s mut Sink, origin: Origin) -> Self {
        let table = &plan.tables[index];
        sink.common.clear();
        sink.common.resize(table.columns.len(), Cell::Null);
        let lanes = table.per_row.len();
        if sink.lanes.len() < lanes {
            sink.lanes.resize(lanes, Lane::new());
        }
        for lane in &mut sink.lanes {
            lane.nulls = 0;
        }
        sink.scratch.clear();
        Self {
            plan,
            table,
            index,
            sink,
            origin,
            product: None,
            place: None,
            item: 0,
            staged: 0,
            inexact_in_row: 0,
            inexact: 0,
            run: None,
        }
    }

    /// Fills in what the frame's own level says.
    pub(crate) fn head(&mut self, source: &Scanner<'a>, head: &Head<'a>) -> Result<(), Fault> {
        let column = &self.table.columns[SERVER_TS];
        let clock = &mut self.sink.clocks.server;
        let server_ts = match head.timestamp {
            Some(at) => value::timestamp(&mut source.at(at), column, clock)?,
            None => Cell::Null,
        };
        self.routed(server_ts)
    }

    /// Fills in what is known of the frame; its channel and sequence number the sink knows.
    pub(crate) fn routed(&mut self, server_ts: Cell) -> Result<(), Fault> {
        self.sink.common[SERVER_TS] = server_ts;
        if let Some(sequence) = self.sink.sequence {
            self.sink.common[SEQUENCE_NUM] = Cell::Int(sequence);
        }
        for &index in &self.table.routes {
            let channel = std::mem::take(&mut self.sink.channel);
            let code = self.sink.intern(self.index, index, &channel);
            self.sink.channel = channel;
            self.sink.common[index] = Cell::Code(code?);
        }
        Ok(())
    }

    /// Reads the array of the level's objects. Null is an empty one.
    pub(crate) fn array(&mut self, scanner: &mut Scanner<'a>, depth: usize) -> Result<(), Fault> {
        if scanner.null() {
            return Ok(());
        }
        let mut more = scanner.open(b'[', b']', "an array")?;
        let rows = depth + 1 == self.table.levels.len();
        while more {
            let quick = if rows {
                self.take(scanner)?
            } else {
                self.event(scanner, depth)?
            };
            if !quick {
                self.object(scanner, depth)?;
            }
            more = scanner.more(b']')?;
        }
        Ok(())
    }

    /// Reads rows that are as expected. False: the next one is not, and has been left where it
    /// stands.
    fn take(&mut self, scanner: &mut Scanner<'a>) -> Result<bool, Fault> {
        if self.staged > 0 && self.table.product_in_rows {
            // The rows to come may go elsewhere, all of them.
            self.flush()?;
        }
        let sink = &mut *self.sink;
        let slots = Slots {
            plan: self.plan,
            table: self.table,
            lanes: &mut sink.lanes[..self.table.per_row.len()],
            row: self.staged,
            scratch: &mut sink.scratch,
            clocks: &mut sink.clocks,
            dictionaries: &sink.dictionaries[self.index],
        };
        let taken = template::take(&sink.templates[self.index], scanner, slots);
        if taken.rows == 0 {
            return Ok(false);
        }
        scanner.advance(taken.end - scanner.pos());
        if taken.product.is_some() {
            (self.product, self.place) = (taken.product, None);
        }
        if self.place.is_none() {
            self.turn()?;
        }
        self.inexact += taken.inexact;
        self.completed(taken.rows)?;
        Ok(true)
    }

    fn object(&mut self, scanner: &mut Scanner<'a>, depth: usize) -> Result<(), Fault> {
        let level = &self.table.levels[depth];
        let mut rows_at = None;
        scanner.whitespace();
        let begin = scanner.pos();
        let (mut product_place, mut rows_place) = (None, None);
        let (mut seen, mut after) = (0, 0);
        let rows = depth + 1 == self.table.levels.len();
        if rows {
            self.sink.order.clear();
        }
        let mut more = scanner.open(b'{', b'}', "an object")?;
        while more {
            match self.sink.hints.key(scanner, level, &mut after)? {
                Key::Known(index) => {
                    once(&mut seen, index, level)?;
                    self.sink.census.look(level, index, scanner);
                    if rows {
                        self.sink.order.push(index);
                    }
                    match level.fields[index].action {
                        Action::Column(column) => self.column(scanner, column)?,
                        Action::Product => {
                            scanner.whitespace();
                            let start = scanner.pos();
                            self.product = value::text_or_null(scanner, "product_id")?;
                            self.place = None;
                            product_place = Some(start..scanner.pos());
                        }
                        Action::Rows if seen & level.needed == level.needed => {
                            let start = scanner.pos();
                            self.array(scanner, depth + 1)?;
                            rows_place = Some(start..scanner.pos());
                        }
                        Action::Rows => rows_at = Some(value::passed(scanner)?),
                        _ => _ = scanner.skip_value()?,
                    }
                }
                Key::Unknown(key) => {
                    self.sink.census.unknown(level, key);
                    scanner.skip_value()?;
                }
            }
            more = scanner.more(b'}')?;
        }
        self.sink.census.ended(level, seen);
        if seen & level.needed != level.needed {
            self.absent(level, seen)?;
        }
        if let Some(at) = rows_at {
            self.array(&mut scanner.at(at), depth + 1)?;
        }
        if rows {
            self.sink.templates[self.index].saw(self.table, level, &self.sink.order);
            return self.row();
        }
        if let Some(rows) = rows_place
            && depth + 2 == self.table.levels.len()
            && self.sink.census.is_quiet()
        {
            self.learn_event(level, scanner, begin, product_place.as_ref(), &rows);
        }
        self.finish()
    }

    /// Reads one column's value.
    #[inline]
    fn column(&mut self, scanner: &mut Scanner<'a>, index: usize) -> Result<(), Fault> {
        let column = &self.table.columns[index];
        let cell = match column.kind {
            Kind::Number => {
                let (cell, inexact) = value::number(scanner, column, self.plan.numbers)?;
                self.inexact_in_row += u64::from(inexact);
                cell
            }
            Kind::Timestamp => {
                let clocks = &mut self.sink.clocks;
                value::row_timestamp(scanner, column, &mut clocks.columns, &mut clocks.repeat)?
            }
            Kind::UnixSeconds => value::unix_seconds(scanner, column)?,
            Kind::Integer => {
                let whole = value::sequence(scanner, column)?;
                whole.map_or(Cell::Null, Cell::Int)
            }
            Kind::String => value::text(scanner, column, &mut self.sink.scratch)?,
            Kind::Dictionary => self.code(scanner, index)?,
        };
        self.put(index, cell);
        Ok(())
    }

    #[inline]
    fn put(&mut self, index: usize, cell: Cell) {
        match self.table.columns[index].lane {
            Some(lane) => self.sink.lanes[lane].put(self.staged, cell),
            None => self.sink.common[index] = cell,
        }
    }

    /// A dictionary column's cell. Short texts that came lately are known by their word.
    #[inline]
    fn code(&mut self, scanner: &mut Scanner<'_>, index: usize) -> Result<Cell, Fault> {
        let word = value::short_text(scanner);
        let dictionary = &self.sink.dictionaries[self.index][index];
        if let Some((word, length)) = word
            && let Some(code) = dictionary.recall(word)
        {
            scanner.advance(length);
            return Ok(Cell::Code(code));
        }
        let column = &self.table.columns[index];
        let mut text = Vec::new();
        if !matches!(value::text(scanner, column, &mut text)?, Cell::Text(..)) {
            return Ok(Cell::Null);
        }
        let code = self.sink.intern(self.index, index, &text)?;
        if let Some((word, _)) = word {
            self.sink.dictionaries[self.index][index].remember(word, code);
        }
        Ok(Cell::Code(code))
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
                    self.put(index, Cell::Null);
                }
                Action::Column(_) => return Err(Fault::field(&field.name, "is missing")),
                Action::Product => (self.product, self.place) = (None, None),
                _ => {}
            }
        }
        Ok(())
    }

    /// A row is complete.
    #[inline]
    fn row(&mut self) -> Result<(), Fault> {
        if self.place.is_none() {
            self.turn()?;
        }
        self.inexact += std::mem::take(&mut self.inexact_in_row);
        self.completed(1)
    }

    #[inline]
    fn completed(&mut self, rows: usize) -> Result<(), Fault> {
        self.staged += rows;
        self.item += u32::try_from(rows).unwrap_or_default();
        if self.staged == ROWS {
            self.flush()?;
        }
        Ok(())
    }

    /// Finds where rows of the current product go; a new run begins if that is elsewhere.
    fn turn(&mut self) -> Result<(), Fault> {
        let mut scratch = Vec::new();
        let product = match self.product {
            Some(text) => Some(text.decode(&mut scratch)?),
            None if self.table.has_product => return Err(Fault::new("product_id is missing")),
            None => None,
        };
        let (day, numbers) = (self.origin.day, self.plan.numbers);
        let partitions = &mut self.sink.partitions;
        let place = partitions.find(self.index, product, day, self.table, numbers)?;
        if self.run != Some(place) {
            // The row that is complete already belongs to the new run.
            let row = self.staged;
            self.flush()?;
            for lane in &mut self.sink.lanes[..self.table.per_row.len()] {
                lane.begin_at(row);
            }
            self.run = Some(place);
        }
        self.place = Some(place);
        Ok(())
    }

    /// Ends the current run: what follows may have other things in common, in the same partition.
    pub(crate) fn finish(&mut self) -> Result<(), Fault> {
        self.flush()?;
        (self.place, self.run) = (None, None);
        Ok(())
    }

    /// Moves the rows that are read to their partition.
    fn flush(&mut self) -> Result<(), Fault> {
        let (Some(place), 1..) = (self.run, self.staged) else {
            return Ok(());
        };
        let sink = &mut *self.sink;
        let rows = std::mem::take(&mut self.staged);
        let staged = Staged {
            rows,
            first: self.item - u32::try_from(rows).unwrap_or_default(),
            lanes: &sink.lanes[..self.table.per_row.len()],
            common: &sink.common,
            scratch: &sink.scratch,
            inexact: std::mem::take(&mut self.inexact),
        };
        let partition = sink.partitions.open(place);
        partition.append(self.table, &self.origin, &staged)?;
        for lane in &mut sink.lanes[..self.table.per_row.len()] {
            lane.forget(rows);
        }
        Ok(())
    }
}
