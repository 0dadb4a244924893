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
pub(crate) enum Cell<'a> {
    #[default]
    Null,
    Int(i64),
    Float(f64),
    Decimal(i128),
    Code(i32),
    Text(&'a [u8]),
    /// A text that had escapes: where it lies in the frame's scratch.
    Scratch(usize, usize),
}

/// The values of one column in one partition.
#[derive(Debug)]
pub(crate) struct Column {
    values: Values,
    nulls: NullBufferBuilder,
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
            Kind::Number if numbers == Numbers::Decimal => Values::Decimal(Vec::new()),
            Kind::Number => Values::Float(Vec::new()),
            Kind::Timestamp | Kind::UnixSeconds | Kind::Integer => Values::Int(Vec::new()),
            Kind::String => Values::Text {
                ends: Vec::new(),
                bytes: Vec::new(),
            },
            Kind::Dictionary => Values::Code(Vec::new()),
        };
        Self {
            values,
            nulls: NullBufferBuilder::new(0),
        }
    }

    /// Appends a cell of the column's own kind. False if an Arrow string column is full.
    #[inline]
    pub(crate) fn push(&mut self, cell: Cell<'_>, scratch: &[u8]) -> bool {
        match (&mut self.values, cell) {
            (Values::Float(values), Cell::Float(value)) => values.push(value),
            (Values::Code(values), Cell::Code(value)) => values.push(value),
            (Values::Int(values), Cell::Int(value)) => values.push(value),
            (Values::Decimal(values), Cell::Decimal(value)) => values.push(value),
            (Values::Text { ends, bytes }, cell) => {
                match cell {
                    Cell::Text(text) => bytes.extend_from_slice(text),
                    Cell::Scratch(start, end) => bytes.extend_from_slice(&scratch[start..end]),
                    _ => self.nulls.append_null(),
                }
                let Ok(end) = i32::try_from(bytes.len()) else {
                    return false;
                };
                ends.push(end);
                if !matches!(cell, Cell::Text(_) | Cell::Scratch(..)) {
                    return true;
                }
            }
            (values, _) => {
                values.push_default();
                self.nulls.append_null();
                return true;
            }
        }
        self.nulls.append_non_null();
        true
    }

    /// Appends the same cell for a run of rows.
    pub(crate) fn fill(&mut self, cell: Cell<'_>, scratch: &[u8], rows: usize) -> bool {
        match (&mut self.values, cell) {
            (Values::Code(values), Cell::Code(value)) => {
                values.resize(values.len() + rows, value);
                self.nulls.append_n_non_nulls(rows);
            }
            (Values::Int(values), Cell::Int(value)) => {
                values.resize(values.len() + rows, value);
                self.nulls.append_n_non_nulls(rows);
            }
            _ => return (0..rows).all(|_| self.push(cell, scratch)),
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

impl Values {
    #[cold]
    fn push_default(&mut self) {
        match self {
            Self::Int(values) => values.push(0),
            Self::Float(values) => values.push(0.0),
            Self::Decimal(values) => values.push(0),
            Self::Code(values) => values.push(0),
            Self::Text { .. } => {}
        }
    }
}

/// Growth doubles; what is kept for long gives the surplus back.
pub(crate) fn shrunk<T>(mut values: Vec<T>) -> Vec<T> {
    values.shrink_to_fit();
    values
}
