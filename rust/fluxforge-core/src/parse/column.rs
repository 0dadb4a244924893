//! A column that grows row by row and can be cut back to what it was before a bad frame.

use std::sync::Arc;

use arrow_array::types::{Int32Type, Int64Type, TimestampNanosecondType, TimestampSecondType};
use arrow_array::{
    ArrayRef, Decimal128Array, DictionaryArray, Float64Array, Int32Array, PrimitiveArray,
    StringArray,
};
use arrow_buffer::{Buffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, TimeUnit};

use super::number::{PRECISION, SCALE};
use crate::schema::{Kind, Numbers};

/// One value on its way into a column.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Cell {
    #[default]
    Null,
    Int(i64),
    Float(f64),
    /// In halves: a cell that is no wider than a text is quicker to hand on.
    Decimal(i64, u64),
    Code(i32),
    /// Where a text lies in the frame's scratch.
    Text(usize, usize),
}

impl Cell {
    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    #[expect(clippy::cast_sign_loss, reason = "the low half has no sign")]
    pub(crate) fn decimal(value: i128) -> Self {
        Self::Decimal((value >> 64) as i64, value as u64)
    }
}

/// The values of one column in one partition.
#[derive(Debug)]
pub(crate) struct Column {
    values: Values,
    nulls: NullBufferBuilder,
    /// Rows before the first null need no bit each.
    has_nulls: bool,
}

#[derive(Debug)]
enum Values {
    Int(Vec<i64>),
    Float(Vec<f64>),
    Decimal(Vec<i128>),
    Code(Vec<i32>),
    Text { ends: Vec<i32>, bytes: Vec<u8> },
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
    pub(crate) fn new(kind: Kind, numbers: Numbers) -> Self {
        let values = match kind {
            Kind::Number if numbers == Numbers::Decimal => Values::Decimal(started()),
            Kind::Number => Values::Float(started()),
            Kind::Timestamp | Kind::UnixSeconds | Kind::Integer => Values::Int(started()),
            Kind::String => Values::Text {
                ends: Vec::new(),
                bytes: Vec::new(),
            },
            Kind::Dictionary => Values::Code(started()),
        };
        Self {
            values,
            nulls: NullBufferBuilder::new(0),
            has_nulls: false,
        }
    }

    /// Appends the cells of some rows, of the column's own kind or null. False if an Arrow string
    /// column is full.
    #[inline]
    pub(crate) fn extend<'c>(
        &mut self,
        cells: impl Iterator<Item = &'c Cell>,
        rows: usize,
        scratch: &[u8],
    ) -> bool {
        macro_rules! each {
            ($values:ident, $pattern:pat => $value:expr) => {{
                $values.reserve(rows);
                for cell in cells {
                    let $pattern = cell else {
                        append_null(&mut self.nulls, &mut self.has_nulls, $values.len());
                        $values.push(Default::default());
                        continue;
                    };
                    $values.push($value);
                    if self.has_nulls {
                        self.nulls.append_non_null();
                    }
                }
            }};
        }
        match &mut self.values {
            Values::Float(values) => each!(values, Cell::Float(value) => *value),
            Values::Code(values) => each!(values, Cell::Code(value) => *value),
            Values::Int(values) => each!(values, Cell::Int(value) => *value),
            Values::Decimal(values) => {
                each!(values, Cell::Decimal(high, low) => i128::from(*high) << 64 | i128::from(*low));
            }
            Values::Text { ends, bytes } => {
                for cell in cells {
                    if let Cell::Text(start, end) = cell {
                        bytes.extend_from_slice(&scratch[*start..*end]);
                        if self.has_nulls {
                            self.nulls.append_non_null();
                        }
                    } else {
                        append_null(&mut self.nulls, &mut self.has_nulls, ends.len());
                    }
                    let Ok(end) = i32::try_from(bytes.len()) else {
                        return false;
                    };
                    ends.push(end);
                }
            }
        }
        true
    }

    /// Appends the same cell for a run of rows.
    pub(crate) fn fill(&mut self, cell: Cell, scratch: &[u8], rows: usize) -> bool {
        match (&mut self.values, cell) {
            (Values::Code(values), Cell::Code(value)) => values.resize(values.len() + rows, value),
            (Values::Int(values), Cell::Int(value)) => values.resize(values.len() + rows, value),
            _ => return self.extend((0..rows).map(|_| &cell), rows, scratch),
        }
        if self.has_nulls {
            self.nulls.append_n_non_nulls(rows);
        }
        true
    }

    pub(crate) fn truncate(&mut self, rows: usize) {
        match &mut self.values {
            Values::Int(values) => values.truncate(rows),
            Values::Float(values) => values.truncate(rows),
            Values::Decimal(values) => values.truncate(rows),
            Values::Code(values) => values.truncate(rows),
            Values::Text { ends, bytes } => {
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
    ) -> Result<ArrayRef, ArrowError> {
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
            (Values::Text { ends, bytes }, _) => {
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

/// Appends a null behind so many rows; the first gives those before it their bits.
#[cold]
fn append_null(nulls: &mut NullBufferBuilder, has_nulls: &mut bool, rows: usize) {
    if !*has_nulls {
        *has_nulls = true;
        nulls.append_n_non_nulls(rows);
    }
    nulls.append_null();
}

/// Room for a quiet product's rows: a segment has many of those, and growing from nothing takes
/// several steps for each column of each.
pub(crate) fn started<T>() -> Vec<T> {
    Vec::with_capacity(64)
}

/// Growth doubles; what is kept for long gives a large surplus back.
pub(crate) fn shrunk<T>(mut values: Vec<T>) -> Vec<T> {
    if values.len() < values.capacity() / 4 * 3 {
        values.shrink_to_fit();
    }
    values
}
