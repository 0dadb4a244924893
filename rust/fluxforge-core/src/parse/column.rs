//! A column that grows row by row and can be cut back to what it was before a bad frame.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow_array::types::{Int32Type, Int64Type, TimestampNanosecondType, TimestampSecondType};
use arrow_array::{
    ArrayRef, Decimal128Array, DictionaryArray, Float64Array, Int32Array, PrimitiveArray,
    StringArray,
};
use arrow_buffer::{Buffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, TimeUnit};

use super::number::{PRECISION, SCALE};
use super::runs::{Run, expanded};
use super::stage::{Lane, first_rows};
use crate::schema::{Kind, Numbers};

/// One value on its way into a column.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) enum Cell {
    #[default]
    Null,
    Int(i64),
    Float(f64),
    Decimal(i128),
    Code(i32),
    /// Where a text lies in the frame's scratch.
    Text(usize, usize),
}

impl Cell {
    /// As a [`Lane`] holds it.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    #[expect(clippy::cast_sign_loss, reason = "bits")]
    pub(crate) fn words(self) -> (u64, u64) {
        match self {
            Self::Null => (0, 0),
            Self::Int(value) => (value as u64, 0),
            Self::Float(value) => (value.to_bits(), 0),
            Self::Decimal(value) => (value as u64, (value >> 64) as u64),
            Self::Code(code) => (code as u64, 0),
            Self::Text(start, end) => (start as u64, end as u64),
        }
    }
}

/// The values of one column in one partition.
#[derive(Debug)]
pub(crate) struct Column {
    values: Values,
    nulls: NullBufferBuilder,
    /// Rows before the first null need no bit each.
    has_nulls: bool,
    /// A value for each run, not for each row.
    by_run: bool,
}

#[derive(Debug)]
enum Values {
    Int(Vec<i64>),
    Float(Vec<f64>),
    Decimal(Vec<i128>),
    Code(Vec<i32>),
    Text {
        ends: Vec<i32>,
        bytes: Vec<u8>,
        /// Bytes of the rows before these, which will lie in the same Arrow column.
        before: usize,
    },
}

/// The Arrow type of a column.
pub(crate) fn data_type(kind: Kind, numbers: Numbers) -> DataType {
    match kind {
        Kind::Number if numbers == Numbers::Decimal => {
            DataType::Decimal128(PRECISION, i8::try_from(SCALE).unwrap_or_default())
        }
        Kind::Number => DataType::Float64,
        Kind::Timestamp => DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
        Kind::UnixSeconds => DataType::Timestamp(TimeUnit::Second, Some("UTC".into())),
        Kind::Integer => DataType::Int64,
        Kind::String => DataType::Utf8,
        Kind::Dictionary => dictionary_type(),
    }
}

/// `dictionary<int32, utf8>`.
pub(crate) fn dictionary_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// An array of codes into the dictionary's values.
pub(crate) fn dictionary_array(
    codes: ScalarBuffer<i32>,
    nulls: Option<arrow_buffer::NullBuffer>,
    values: &Arc<StringArray>,
) -> Result<ArrayRef, ArrowError> {
    let keys = Int32Array::try_new(codes, nulls)?;
    let array = DictionaryArray::<Int32Type>::try_new(keys, Arc::<StringArray>::clone(values))?;
    Ok(Arc::new(array))
}

impl Column {
    /// `by_run`: what is appended is a value for a run of rows.
    pub(crate) fn new(kind: Kind, numbers: Numbers, by_run: bool) -> Self {
        let values = match kind {
            Kind::Number if numbers == Numbers::Decimal => Values::Decimal(started()),
            Kind::Number => Values::Float(started()),
            Kind::Timestamp | Kind::UnixSeconds | Kind::Integer => Values::Int(started()),
            Kind::String => Values::Text {
                ends: Vec::new(),
                bytes: Vec::new(),
                before: 0,
            },
            Kind::Dictionary => Values::Code(started()),
        };
        Self {
            values,
            nulls: NullBufferBuilder::new(0),
            has_nulls: false,
            by_run: by_run && kind != Kind::String,
        }
    }

    /// Appends the first rows of a lane. False if an Arrow string column is full.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a lane holds what was cast to words"
    )]
    #[expect(clippy::cast_possible_wrap, reason = "the same")]
    pub(crate) fn extend(&mut self, lane: &Lane, rows: usize, scratch: &[u8]) -> bool {
        let words = &lane.words[..rows];
        let before = match &mut self.values {
            Values::Float(values) => {
                grow(values, rows);
                values.extend(words.iter().map(|word| f64::from_bits(*word)));
                values.len() - rows
            }
            Values::Int(values) => {
                grow(values, rows);
                values.extend(words.iter().map(|word| *word as i64));
                values.len() - rows
            }
            Values::Code(values) => {
                grow(values, rows);
                values.extend(words.iter().map(|word| *word as i32));
                values.len() - rows
            }
            Values::Decimal(values) => {
                grow(values, rows);
                let whole =
                    |(low, high): (&u64, &u64)| i128::from(*high as i64) << 64 | i128::from(*low);
                values.extend(words.iter().zip(&lane.highs).map(whole));
                values.len() - rows
            }
            Values::Text {
                ends,
                bytes,
                before,
            } => {
                for (start, end) in words.iter().zip(&lane.highs) {
                    bytes.extend_from_slice(&scratch[*start as usize..*end as usize]);
                    if i32::try_from(*before + bytes.len()).is_err() {
                        return false;
                    }
                    // Not above what has just been seen to be small enough.
                    ends.push(bytes.len() as i32);
                }
                ends.len() - rows
            }
        };
        let nulls = lane.nulls & first_rows(rows);
        if nulls != 0 {
            self.extend_nulls(before, rows, nulls);
        } else if self.has_nulls {
            self.nulls.append_n_non_nulls(rows);
        }
        true
    }

    /// Says which of the rows that come behind so many others are null.
    #[cold]
    fn extend_nulls(&mut self, before: usize, rows: usize, nulls: u128) {
        if !self.has_nulls {
            self.has_nulls = true;
            self.nulls.append_n_non_nulls(before);
        }
        for row in 0..rows {
            self.nulls.append(nulls >> row & 1 == 0);
        }
    }

    /// Appends what a run of rows has in common: of the column's own kind, or null.
    #[inline]
    pub(crate) fn push(&mut self, cell: Cell, scratch: &[u8], rows: usize) -> bool {
        if !self.by_run {
            return self.fill(cell, scratch, rows);
        }
        let (before, has_nulls) = (self.len(), self.has_nulls);
        match (&mut self.values, cell) {
            (Values::Int(values), Cell::Int(value)) => values.push(value),
            (Values::Code(values), Cell::Code(value)) => values.push(value),
            (Values::Float(values), Cell::Float(value)) => values.push(value),
            (Values::Decimal(values), Cell::Decimal(value)) => values.push(value),
            (Values::Int(values), _) => values.push(0),
            (Values::Code(values), _) => values.push(0),
            (Values::Float(values), _) => values.push(0.0),
            (Values::Decimal(values), _) => values.push(0),
            (Values::Text { .. }, _) => {}
        }
        if cell == Cell::Null {
            self.extend_nulls(before, 1, 1);
        } else if has_nulls {
            self.nulls.append_non_null();
        }
        true
    }

    /// Appends the same cell for each row: texts, which could grow beyond what a column holds.
    #[cold]
    fn fill(&mut self, cell: Cell, scratch: &[u8], rows: usize) -> bool {
        let mut lane = Lane::new();
        (0..rows).for_each(|row| lane.put(row, cell));
        self.extend(&lane, rows, scratch)
    }

    fn len(&self) -> usize {
        match &self.values {
            Values::Int(values) => values.len(),
            Values::Float(values) => values.len(),
            Values::Decimal(values) => values.len(),
            Values::Code(values) => values.len(),
            Values::Text { ends, .. } => ends.len(),
        }
    }

    /// From a value per run to a value per row.
    fn expand(&mut self, runs: &[Run], rows: usize) {
        match &mut self.values {
            Values::Int(values) => *values = expanded(runs, rows, values.iter().copied()),
            Values::Float(values) => *values = expanded(runs, rows, values.iter().copied()),
            Values::Decimal(values) => *values = expanded(runs, rows, values.iter().copied()),
            Values::Code(values) => *values = expanded(runs, rows, values.iter().copied()),
            Values::Text { .. } => {}
        }
        if self.has_nulls {
            let mut nulls = NullBufferBuilder::new(rows);
            for (place, run) in runs.iter().enumerate() {
                let rows = run.rows as usize;
                if self.nulls.is_valid(place) {
                    nulls.append_n_non_nulls(rows);
                } else {
                    nulls.append_n_nulls(rows);
                }
            }
            self.nulls = nulls;
        }
    }

    /// Whether another's rows find room behind its own.
    pub(crate) fn can_add(&self, more: &Self) -> bool {
        i32::try_from(self.text_bytes() + more.text_bytes()).is_ok()
    }

    /// Takes note of the column that lies before it and will be one with it.
    pub(crate) fn follow(&mut self, earlier: &Self) {
        let text = earlier.text_bytes();
        if let Values::Text { before, .. } = &mut self.values {
            *before += text;
        }
    }

    /// Bytes of its texts and of those before it.
    fn text_bytes(&self) -> usize {
        match &self.values {
            Values::Text { bytes, before, .. } => before + bytes.len(),
            _ => 0,
        }
    }

    /// Makes just the room that others need behind its own rows, or runs.
    pub(crate) fn reserve<'c>(&mut self, others: impl Iterator<Item = &'c Self>) {
        let sizes = others.map(|other| match &other.values {
            Values::Text { bytes, .. } => (other.len(), bytes.len()),
            _ => (other.len(), 0),
        });
        let (rows, text) = sizes.fold((0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1));
        match &mut self.values {
            Values::Int(values) => values.reserve_exact(rows),
            Values::Float(values) => values.reserve_exact(rows),
            Values::Decimal(values) => values.reserve_exact(rows),
            Values::Code(values) => values.reserve_exact(rows),
            Values::Text { ends, bytes, .. } => {
                ends.reserve_exact(rows);
                bytes.reserve_exact(text);
            }
        }
    }

    /// Adds another's rows, or runs.
    pub(crate) fn add(&mut self, more: Self) {
        let (before, rows) = (self.len(), more.len());
        match (&mut self.values, more.values) {
            (Values::Int(values), Values::Int(more)) => values.extend(more),
            (Values::Float(values), Values::Float(more)) => values.extend(more),
            (Values::Decimal(values), Values::Decimal(more)) => values.extend(more),
            (Values::Code(values), Values::Code(more)) => values.extend(more),
            (
                Values::Text { ends, bytes, .. },
                Values::Text {
                    ends: more,
                    bytes: text,
                    ..
                },
            ) => {
                let start = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
                ends.extend(more.into_iter().map(|end| start + end));
                bytes.extend(text);
            }
            _ => unreachable!("the same column of the same table"),
        }
        if more.has_nulls && !self.has_nulls {
            self.has_nulls = true;
            self.nulls.append_n_non_nulls(before);
        }
        if more.has_nulls {
            (0..rows).for_each(|row| self.nulls.append(more.nulls.is_valid(row)));
        } else if self.has_nulls {
            self.nulls.append_n_non_nulls(rows);
        }
    }

    /// Gives a dictionary's texts other numbers.
    pub(crate) fn renumber(&mut self, codes: &[i32]) {
        let same = codes.iter().zip(0..).all(|(code, place)| *code == place);
        let (Values::Code(values), false) = (&mut self.values, same) else {
            return;
        };
        for (row, value) in values.iter_mut().enumerate() {
            let code = usize::try_from(*value).ok().and_then(|at| codes.get(at));
            // A null's value stays as it is.
            if let (Some(code), true) = (code, !self.has_nulls || self.nulls.is_valid(row)) {
                *value = *code;
            }
        }
    }

    pub(crate) fn truncate(&mut self, rows: usize, runs: usize) {
        let rows = if self.by_run { runs } else { rows };
        match &mut self.values {
            Values::Int(values) => values.truncate(rows),
            Values::Float(values) => values.truncate(rows),
            Values::Decimal(values) => values.truncate(rows),
            Values::Code(values) => values.truncate(rows),
            Values::Text { ends, bytes, .. } => {
                ends.truncate(rows);
                let end = ends.last().copied().unwrap_or(0);
                bytes.truncate(usize::try_from(end).unwrap_or(0));
            }
        }
        // A frame is cut off in the middle of a row: not every column may have come this far.
        if self.nulls.len() > rows {
            self.nulls.truncate(rows);
        }
    }

    /// The finished Arrow array; a dictionary column points into the values given.
    pub(crate) fn finish(
        mut self,
        kind: Kind,
        values: Option<&Arc<StringArray>>,
        runs: &[Run],
        rows: usize,
    ) -> Result<ArrayRef, ArrowError> {
        if self.by_run {
            self.expand(runs, rows);
        }
        let nulls = self.nulls.finish();
        Ok(match (self.values, values) {
            (Values::Code(codes), Some(values)) => {
                return dictionary_array(shrunk(codes).into(), nulls, values);
            }
            (Values::Code(codes), None) => Arc::new(Int32Array::try_new(codes.into(), nulls)?),
            (Values::Float(values), _) => {
                Arc::new(Float64Array::try_new(shrunk(values).into(), nulls)?)
            }
            (Values::Decimal(values), _) => {
                let array = Decimal128Array::try_new(shrunk(values).into(), nulls)?;
                let scale = i8::try_from(SCALE).unwrap_or_default();
                Arc::new(array.with_precision_and_scale(PRECISION, scale)?)
            }
            (Values::Int(values), _) => {
                let values = ScalarBuffer::from(shrunk(values));
                match kind {
                    Kind::Timestamp => Arc::new(
                        PrimitiveArray::<TimestampNanosecondType>::try_new(values, nulls)?
                            .with_timezone("UTC"),
                    ),
                    Kind::UnixSeconds => Arc::new(
                        PrimitiveArray::<TimestampSecondType>::try_new(values, nulls)?
                            .with_timezone("UTC"),
                    ),
                    _ => Arc::new(PrimitiveArray::<Int64Type>::try_new(values, nulls)?),
                }
            }
            (Values::Text { ends, bytes, .. }, _) => {
                let mut offsets = Vec::with_capacity(ends.len() + 1);
                offsets.push(0);
                offsets.extend_from_slice(&ends);
                let offsets = OffsetBuffer::new(offsets.into());
                Arc::new(StringArray::try_new(
                    offsets,
                    Buffer::from_vec(shrunk(bytes)),
                    nulls,
                )?)
            }
        })
    }
}

/// Room for a quiet product's rows: a segment has many of those, and growing from nothing takes
/// several steps for each column of each.
pub(crate) fn started<T>() -> Vec<T> {
    Vec::with_capacity(64)
}

/// Makes room for more rows: in long strides, as each copies all that there is, and what is not
/// used of the last one costs nothing before it is given back.
#[inline]
fn grow<T>(values: &mut Vec<T>, rows: usize) {
    if values.capacity() - values.len() < rows {
        values.reserve_exact(rows.max(values.len() * 3));
    }
}

/// What is kept for long gives a large surplus back.
pub(crate) fn shrunk<T>(mut values: Vec<T>) -> Vec<T> {
    if values.len() < values.capacity() / 4 * 3 {
        values.shrink_to_fit();
    }
    values
}
