//! Rows go straight into the partition where they will lie: (table, `product_id`, day of capture).
//!
//! A frame is atomic. The first row it adds to a partition remembers how long that was; if any
//! later row of the frame is bad, every partition it touched is cut back.

use std::collections::HashMap;

use super::column::{Cell, Column};
use super::fault::Fault;
use super::runs::Run;
use super::stage::Lane;
use crate::schema::Numbers;
use crate::schema::plan::TablePlan;

/// Longest `product_id` in bytes: with its Hive escapes it still fits a file name.
const MAX_PRODUCT_BYTES: usize = 64;
/// What Hive itself writes for a null: a product of that name would read back as none.
const HIVE_NULL: &[u8] = b"__HIVE_DEFAULT_PARTITION__";

/// What is the same for every row of a frame and comes from its envelope.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Origin {
    pub(crate) capture_ns: i64,
    pub(crate) day: i32,
    pub(crate) conn: i32,
    pub(crate) record: u32,
}

/// Rows on their way: they follow each other in one frame.
#[derive(Debug)]
pub(crate) struct Staged<'r> {
    pub(crate) rows: usize,
    /// The number of the first one in its frame.
    pub(crate) first: u32,
    /// Of the columns of which each row has its own value.
    pub(crate) lanes: &'r [Lane],
    /// One per column; only those count that all rows have in common.
    pub(crate) common: &'r [Cell],
    /// The texts that cells point to.
    pub(crate) scratch: &'r [u8],
    /// Values that float64 could not hold.
    pub(crate) inexact: u64,
}

/// What becomes of a part's numbers.
#[derive(Debug)]
pub(crate) struct Codes<'c> {
    pub(crate) conns: &'c [i32],
    /// Per table and column.
    pub(crate) columns: &'c [Vec<Vec<i32>>],
    /// Frames before the part.
    pub(crate) frames: u32,
}

/// The rows of one partition.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) table: usize,
    pub(crate) product: Option<Box<str>>,
    pub(crate) day: i32,
    pub(crate) inexact: u64,
    /// Rows that other threads read, and those before them: they stay where they are until the
    /// partition is finished, which is done for several at once.
    earlier: Vec<Layer>,
    /// Where rows go.
    layer: Layer,
    frame: u64,
}

/// Rows that follow each other, read by one thread.
#[derive(Debug)]
pub(crate) struct Layer {
    /// Rows that are complete in every column.
    pub(crate) rows: usize,
    pub(crate) runs: Vec<Run>,
    pub(crate) columns: Vec<Column>,
}

/// All partitions of a segment, and what it takes to undo a frame.
#[derive(Debug, Default)]
pub(crate) struct Partitions {
    all: Vec<Partition>,
    places: Vec<Places>,
    /// Per table: where rows of products went lately, by [`spot`].
    recent: Vec<[usize; SPOTS]>,
    frame: u64,
    touched: Vec<Mark>,
}

/// Products that are found without a hash that withstands attack.
const SPOTS: usize = 64;

/// Where a product is looked for first.
#[inline]
fn spot(product: &[u8]) -> usize {
    let add = |sum: usize, byte: &u8| sum.wrapping_mul(31).wrapping_add(usize::from(*byte));
    product.iter().fold(0, add) % SPOTS
}

/// Of one table: product to the days it has and the partition of each.
type Places = HashMap<Box<[u8]>, Vec<(i32, usize)>>;

#[derive(Debug)]
struct Mark {
    partition: usize,
    rows: usize,
    runs: usize,
    inexact: u64,
}

impl Partitions {
    pub(crate) fn new(tables: usize) -> Self {
        Self {
            places: vec![HashMap::new(); tables],
            recent: vec![[usize::MAX; SPOTS]; tables],
            frame: 1,
            ..Self::default()
        }
    }

    /// The partition's place, made if it is new. `product` is `None` where the table has none.
    #[inline]
    pub(crate) fn find(
        &mut self,
        table: usize,
        product: Option<&[u8]>,
        day: i32,
        plan: &TablePlan,
        numbers: Numbers,
    ) -> Result<usize, Fault> {
        let wanted = product.unwrap_or_default();
        let spot = spot(wanted);
        let recent = self.recent[table][spot];
        if let Some(partition) = self.all.get(recent)
            && partition.key() == wanted
            && partition.day == day
        {
            return Ok(recent);
        }
        let place = match self.place(table, wanted, day) {
            Some(place) => place,
            None => self.create(table, product, day, plan, numbers)?,
        };
        self.recent[table][spot] = place;
        Ok(place)
    }

    fn place(&self, table: usize, product: &[u8], day: i32) -> Option<usize> {
        let days = self.places[table].get(product)?;
        let found = days.iter().rev().find(|(known, _)| *known == day);
        found.map(|(_, place)| *place)
    }

    #[cold]
    fn create(
        &mut self,
        table: usize,
        product: Option<&[u8]>,
        day: i32,
        plan: &TablePlan,
        numbers: Numbers,
    ) -> Result<usize, Fault> {
        let product = product.map(checked_product).transpose()?;
        let place = self.all.len();
        let key = product.map_or(&[][..], str::as_bytes);
        let columns = plan.columns.iter();
        self.all.push(Partition {
            table,
            product: product.map(Into::into),
            day,
            inexact: 0,
            earlier: Vec::new(),
            layer: Layer {
                rows: 0,
                runs: Vec::new(),
                columns: columns
                    .map(|c| Column::new(c.kind, numbers, c.lane.is_none()))
                    .collect(),
            },
            frame: 0,
        });
        let days = self.places[table].entry(key.into()).or_default();
        days.push((day, place));
        Ok(place)
    }

    /// Gives access for this frame; remembers the partition's length on the first.
    #[inline]
    pub(crate) fn open(&mut self, place: usize) -> &mut Partition {
        let partition = &mut self.all[place];
        if partition.frame != self.frame {
            partition.frame = self.frame;
            self.touched.push(Mark {
                partition: place,
                rows: partition.layer.rows,
                runs: partition.layer.runs.len(),
                inexact: partition.inexact,
            });
        }
        partition
    }

    /// The frame is good: its rows stay. Returns how many there are.
    pub(crate) fn keep(&mut self) -> u64 {
        self.frame += 1;
        let rows = self
            .touched
            .drain(..)
            .map(|mark| self.all[mark.partition].layer.rows - mark.rows);
        rows.sum::<usize>() as u64
    }

    /// The frame is bad: as if it had never been.
    #[cold]
    pub(crate) fn undo(&mut self) {
        self.frame += 1;
        for mark in self.touched.drain(..) {
            self.all[mark.partition].truncate(&mark);
        }
    }

    /// Whether a part's rows find room.
    pub(crate) fn can_add(&self, part: &Self) -> bool {
        part.all.iter().filter(|p| p.layer.rows > 0).all(|more| {
            let known = self.place(more.table, more.key(), more.day);
            known.is_none_or(|place| self.all[place].can_add(more))
        })
    }

    /// Adds a part's rows behind those that there are.
    pub(crate) fn add(&mut self, part: Self, codes: &Codes<'_>) {
        for mut more in part.all.into_iter().filter(|p| p.layer.rows > 0) {
            more.renumber(codes);
            if let Some(place) = self.place(more.table, more.key(), more.day) {
                self.all[place].add(more);
                continue;
            }
            let days = self.places[more.table]
                .entry(more.key().into())
                .or_default();
            days.push((more.day, self.all.len()));
            more.frame = 0;
            self.all.push(more);
        }
    }

    /// Takes those with rows, in the order of table, product and day; none is left.
    pub(crate) fn take_sorted(&mut self) -> Vec<Partition> {
        let tables = self.places.len();
        let mut all = std::mem::replace(self, Self::new(tables)).all;
        all.retain(|p| p.rows() > 0);
        all.sort_by(|a, b| (a.table, &a.product, a.day).cmp(&(b.table, &b.product, b.day)));
        all
    }
}

impl Partition {
    /// Adds rows: what each has of its own, and what they have in common.
    #[inline]
    pub(crate) fn append(
        &mut self,
        plan: &TablePlan,
        origin: &Origin,
        staged: &Staged<'_>,
    ) -> Result<(), Fault> {
        let Staged { rows, scratch, .. } = *staged;
        let layer = &mut self.layer;
        for (lane, &index) in staged.lanes.iter().zip(&plan.per_row) {
            if !layer.columns[index].extend(lane, rows, scratch) {
                return Err(full());
            }
        }
        for &index in &plan.per_run {
            if !layer.columns[index].push(staged.common[index], scratch, rows) {
                return Err(full());
            }
        }
        layer.runs.push(Run {
            rows: u32::try_from(rows).unwrap_or_default(),
            first: staged.first,
            capture_ns: origin.capture_ns,
            conn: origin.conn,
            record: origin.record,
        });
        layer.rows += rows;
        self.inexact += staged.inexact;
        Ok(())
    }

    /// What it is found by, beside its table and day.
    fn key(&self) -> &[u8] {
        self.product.as_deref().unwrap_or_default().as_bytes()
    }

    fn can_add(&self, part: &Self) -> bool {
        let mut columns = self.layer.columns.iter().zip(&part.layer.columns);
        columns.all(|(all, more)| all.can_add(more))
    }

    /// Puts a part's rows behind its own. Those to come join the part's, so that a segment has no
    /// more layers than there were parts.
    fn add(&mut self, part: Self) {
        let below = std::mem::replace(&mut self.layer, part.layer);
        for (column, earlier) in self.layer.columns.iter_mut().zip(&below.columns) {
            column.follow(earlier);
        }
        if below.rows > 0 {
            self.earlier.push(below);
        }
        self.inexact += part.inexact;
        self.frame = 0;
    }

    /// From a part's numbers to those of the whole.
    fn renumber(&mut self, codes: &Codes<'_>) {
        for run in &mut self.layer.runs {
            run.record = run.record.saturating_add(codes.frames);
            run.conn = codes.conns[usize::try_from(run.conn).unwrap_or_default()];
        }
        let columns = self.layer.columns.iter_mut();
        for (column, codes) in columns.zip(&codes.columns[self.table]) {
            column.renumber(codes);
        }
    }

    fn truncate(&mut self, mark: &Mark) {
        self.inexact = mark.inexact;
        self.layer.rows = mark.rows;
        self.layer.runs.truncate(mark.runs);
        for column in &mut self.layer.columns {
            column.truncate(mark.rows, mark.runs);
        }
    }

    /// All its rows.
    pub(crate) fn rows(&self) -> usize {
        self.earlier.iter().map(|layer| layer.rows).sum::<usize>() + self.layer.rows
    }

    /// All its runs.
    pub(crate) fn runs(&self) -> impl Iterator<Item = &Run> {
        let earlier = self.earlier.iter().flat_map(|layer| &layer.runs);
        earlier.chain(&self.layer.runs)
    }

    /// All its runs, to be changed.
    pub(crate) fn runs_mut(&mut self) -> impl Iterator<Item = &mut Run> {
        let earlier = self.earlier.iter_mut().flat_map(|layer| &mut layer.runs);
        earlier.chain(&mut self.layer.runs)
    }

    /// Takes its rows out, as one layer.
    pub(crate) fn into_layer(self) -> Layer {
        let mut layers = self.earlier.into_iter().chain([self.layer]);
        let mut whole = layers
            .next()
            .unwrap_or_else(|| unreachable!("one at least"));
        let rest: Vec<Layer> = layers.filter(|layer| layer.rows > 0).collect();
        if rest.is_empty() {
            return whole;
        }
        for (index, column) in whole.columns.iter_mut().enumerate() {
            column.reserve(rest.iter().map(|layer| &layer.columns[index]));
        }
        for layer in rest {
            whole.add(layer);
        }
        whole
    }
}

impl Layer {
    fn add(&mut self, more: Self) {
        for (all, more) in self.columns.iter_mut().zip(more.columns) {
            all.add(more);
        }
        self.runs.extend(more.runs);
        self.rows += more.rows;
    }
}

#[cold]
fn full() -> Fault {
    Fault::new("more text than one Arrow string column holds: use smaller segments")
}

/// A product becomes a directory's name; what cannot be one safely is refused.
fn checked_product(product: &[u8]) -> Result<&str, Fault> {
    let text = std::str::from_utf8(product).map_err(|_| Fault::new("product_id is not text"))?;
    if text.is_empty() {
        return Err(Fault::new("product_id is empty"));
    }
    if text.len() > MAX_PRODUCT_BYTES {
        return Err(Fault::quoting(
            "product_id is longer than 64 bytes:",
            product,
        ));
    }
    if text.chars().any(char::is_control) {
        return Err(Fault::quoting(
            "product_id holds a control character:",
            product,
        ));
    }
    if product == HIVE_NULL {
        return Err(Fault::quoting(
            "product_id is Hive's name for none:",
            product,
        ));
    }
    Ok(text)
}
