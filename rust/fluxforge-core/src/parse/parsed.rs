//! The finished segment: partitions as Arrow, tables over them, books.

use std::sync::Arc;

use arrow_array::types::{TimestampNanosecondType, UInt32Type};
use arrow_array::{ArrayRef, Date32Array, PrimitiveArray, RecordBatch, StringArray};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};

use super::books::{Balance, Books, Reject};
use super::column::{data_type, dictionary_array, dictionary_type};
use super::dictionary::Dictionary;
use super::partition::Partition;
use super::runs::{expanded, items};
use super::sequence::ConnectionSequence;
use super::structure::SegmentHeader;
use super::time::format_day;
use crate::schema::plan::{EVENT_TYPE, Plan, SEQUENCE_NUM, SERVER_TS, TablePlan};
use crate::schema::{Kind, Numbers};
use crate::side_by_side::side_by_side;

/// The rows of one (table, product, day), in captured order, without the last two as columns.
#[derive(Debug, Clone)]
pub struct PartitionRows {
    /// The table's name.
    pub table: Arc<str>,
    /// The product; none for a table without.
    pub product_id: Option<Arc<str>>,
    /// The UTC day of capture as `YYYY-MM-DD`.
    pub date: String,
    /// The day, counted from 1970.
    pub day: i32,
    /// The rows.
    pub rows: RecordBatch,
    /// Capture time of the first frame in time.
    pub min_capture_ns: i64,
    /// Capture time of the last frame in time.
    pub max_capture_ns: i64,
    /// Values that float64 could not hold.
    pub inexact: u64,
}

/// A table's rows: one batch per partition, `product_id` and `date` appended.
#[derive(Debug, Clone)]
pub struct TableRows {
    /// The table's name.
    pub name: Arc<str>,
    /// What all batches share.
    pub schema: SchemaRef,
    /// The partitions, in their order.
    pub batches: Vec<RecordBatch>,
}

/// Everything that one segment says.
#[derive(Debug)]
pub struct ParsedSegment {
    /// In the order of their names; also those without rows.
    pub tables: Vec<TableRows>,
    /// In the order of table, product and day.
    pub partitions: Vec<PartitionRows>,
    /// In the order of the lines; none if they leave in lists.
    pub rejects: Vec<Reject>,
    /// The last rejects as lines, if they leave in lists.
    pub reject_lines: Option<Vec<u8>>,
    /// The books.
    pub balance: Balance,
    /// Line 1, where there is one.
    pub header: Option<SegmentHeader>,
    /// Whether a seal ends the segment.
    pub sealed: bool,
    /// Whether every byte is covered by checkpoints and seal, and all agree.
    pub verified: bool,
    /// The segment's length in bytes.
    pub raw_bytes: u64,
    /// XXH3-64 of all its bytes.
    pub raw_xxh3: u64,
    /// In the order of their first frames.
    pub connections: Vec<ConnectionSequence>,
    /// The lines that hold events of ours, verbatim.
    pub events: Vec<Box<[u8]>>,
}

impl ParsedSegment {
    pub(crate) fn new(plan: &Plan, mut books: Books, threads: usize) -> Self {
        let mut tables = Vec::new();
        let partitions = finish_rows(plan, &mut books, threads, |frame, partitions| {
            let rows = frame.table(partitions);
            tables.push(rows.expect("constants beside finished columns"));
        });
        Self {
            balance: books.balance(plan),
            tables,
            partitions,
            rejects: books.rejects,
            reject_lines: None,
            header: None,
            sealed: false,
            verified: false,
            raw_bytes: 0,
            raw_xxh3: 0,
            connections: books.connections,
            events: books.events,
        }
    }
}

/// Takes all rows so far out of their builders, several partitions at once, and books them; shows
/// each table its own.
pub(crate) fn finish_rows(
    plan: &Plan,
    books: &mut Books,
    threads: usize,
    mut show: impl FnMut(&TableFrame<'_>, &[PartitionRows]),
) -> Vec<PartitionRows> {
    let mut unfinished = books.sink.partitions.take_sorted();
    let conns = conns_with_rows(&books.conns, &mut unfinished);
    let tables = plan.tables.iter().zip(&books.sink.dictionaries);
    let frames: Vec<TableFrame<'_>> = tables
        .map(|(table, dictionaries)| TableFrame::new(table, plan.numbers, dictionaries, &conns))
        .collect();
    let places: Vec<usize> = unfinished.iter().map(|partition| partition.table).collect();
    let finish = |partition: Partition| {
        let rows = frames[partition.table].finish(partition);
        rows.expect("columns of one length and their types")
    };
    let finished = side_by_side(unfinished, threads, Partition::rows, || finish);
    let mut first = 0;
    for (index, frame) in frames.iter().enumerate() {
        let end = places.partition_point(|table| *table <= index);
        let partitions = &finished[first..end];
        for rows in partitions {
            let balance = &mut books.balance;
            *balance.rows.entry(rows.table.to_string()).or_default() += rows.rows.num_rows() as u64;
            *balance.inexact.entry(rows.table.to_string()).or_default() += rows.inexact;
        }
        show(frame, partitions);
        first = end;
    }
    finished
}

/// The connections that have rows. Others, known from ignored or rejected frames alone, would make
/// a bad line show in its neighbours' dictionaries.
fn conns_with_rows(conns: &Dictionary, partitions: &mut [Partition]) -> Arc<StringArray> {
    let place = |code: i32| usize::try_from(code).unwrap_or_default();
    let mut used = vec![false; conns.values().len()];
    for run in partitions.iter().flat_map(Partition::runs) {
        used[place(run.conn)] = true;
    }
    let mut next = 0..;
    let codes: Vec<Option<i32>> = used.iter().map(|used| used.then(|| next.next())?).collect();
    if used.contains(&false) {
        for run in partitions.iter_mut().flat_map(Partition::runs_mut) {
            run.conn = codes[place(run.conn)].unwrap_or_default();
        }
    }
    let kept = conns.values().iter().zip(used).filter(|(_, used)| *used);
    Arc::new(StringArray::from_iter_values(kept.map(|(name, _)| name)))
}

/// What all partitions of a table share.
pub(crate) struct TableFrame<'a> {
    plan: &'a TablePlan,
    name: Arc<str>,
    schema: SchemaRef,
    dictionaries: Vec<Arc<StringArray>>,
    conns: &'a Arc<StringArray>,
}

impl<'a> TableFrame<'a> {
    fn new(
        plan: &'a TablePlan,
        numbers: Numbers,
        dictionaries: &[Dictionary],
        conns: &'a Arc<StringArray>,
    ) -> Self {
        let field = |index: usize| {
            let column = &plan.columns[index];
            Field::new(
                &column.name,
                data_type(column.kind, numbers),
                column.nullable,
            )
        };
        let capture = data_type(Kind::Timestamp, numbers);
        let mut fields = vec![
            Field::new("capture_ts", capture, false),
            field(SERVER_TS),
            Field::new("conn", dictionary_type(), false),
            field(SEQUENCE_NUM),
            Field::new("record", DataType::UInt32, false),
            Field::new("item", DataType::UInt32, false),
        ];
        fields.extend((EVENT_TYPE..plan.columns.len()).map(field));
        Self {
            plan,
            name: plan.name.as_str().into(),
            schema: Arc::new(Schema::new(fields)),
            dictionaries: dictionaries.iter().map(Dictionary::to_array).collect(),
            conns,
        }
    }

    fn finish(&self, mut partition: Partition) -> Result<PartitionRows, ArrowError> {
        let (product, day) = (partition.product.take(), partition.day);
        let inexact = partition.inexact;
        let layer = partition.into_layer();
        let (runs, rows) = (&layer.runs, layer.rows);
        let times = runs.iter().map(|run| run.capture_ns);
        let min_capture_ns = times.clone().min().unwrap_or_default();
        let max_capture_ns = times.clone().max().unwrap_or_default();
        let mut columns = layer
            .columns
            .into_iter()
            .enumerate()
            .map(|(index, column)| {
                let plan = &self.plan.columns[index];
                let values = (plan.kind == Kind::Dictionary).then(|| &self.dictionaries[index]);
                column.finish(plan.kind, values, runs, rows)
            });
        let mut next = || {
            columns
                .next()
                .unwrap_or_else(|| unreachable!("three stand first"))
        };
        let (server_ts, sequence_num) = (next()?, next()?);
        let capture: PrimitiveArray<TimestampNanosecondType> =
            PrimitiveArray::new(expanded(runs, rows, times).into(), None);
        let conns = runs.iter().map(|run| run.conn);
        let records = runs.iter().map(|run| run.record);
        let mut arrays: Vec<ArrayRef> = vec![
            Arc::new(capture.with_timezone("UTC")),
            server_ts,
            dictionary_array(expanded(runs, rows, conns).into(), None, self.conns)?,
            sequence_num,
            Arc::new(PrimitiveArray::<UInt32Type>::new(
                expanded(runs, rows, records).into(),
                None,
            )),
            Arc::new(PrimitiveArray::<UInt32Type>::new(
                items(runs, rows).into(),
                None,
            )),
        ];
        for column in columns {
            arrays.push(column?);
        }
        Ok(PartitionRows {
            table: Arc::clone(&self.name),
            product_id: product.map(Into::into),
            date: format_day(day),
            day,
            rows: RecordBatch::try_new(Arc::clone(&self.schema), arrays)?,
            min_capture_ns,
            max_capture_ns,
            inexact,
        })
    }

    fn table(&self, partitions: &[PartitionRows]) -> Result<TableRows, ArrowError> {
        let mut fields = self.schema.fields().to_vec();
        if self.plan.has_product {
            fields.push(Arc::new(Field::new("product_id", dictionary_type(), false)));
        }
        fields.push(Arc::new(Field::new("date", DataType::Date32, false)));
        let schema = Arc::new(Schema::new(fields));
        // They are sorted, so equal products are neighbours.
        let mut products: Vec<&str> = Vec::new();
        let mut codes = Vec::new();
        for product in partitions
            .iter()
            .map(|p| p.product_id.as_deref().unwrap_or_default())
        {
            if products.last() != Some(&product) {
                products.push(product);
            }
            codes.push(i32::try_from(products.len()).unwrap_or(i32::MAX) - 1);
        }
        let products = Arc::new(StringArray::from_iter_values(products));
        let mut batches = Vec::with_capacity(partitions.len());
        for (partition, code) in partitions.iter().zip(codes) {
            let rows = partition.rows.num_rows();
            let mut columns = partition.rows.columns().to_vec();
            if self.plan.has_product {
                columns.push(dictionary_array(vec![code; rows].into(), None, &products)?);
            }
            columns.push(Arc::new(Date32Array::from(vec![partition.day; rows])));
            batches.push(RecordBatch::try_new(Arc::clone(&schema), columns)?);
        }
        Ok(TableRows {
            name: Arc::clone(&self.name),
            schema,
            batches,
        })
    }
}
