//! One column of a row group, encoded into memory.

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float64Type, Int64Type, UInt32Type};
use arrow_array::types::{TimestampNanosecondType, TimestampSecondType};
use arrow_array::{Array, ArrayRef};
use arrow_buffer::{NullBuffer, ScalarBuffer};
use arrow_schema::{DataType, TimeUnit};
use bytes::Bytes;
use parquet::column::writer::{ColumnCloseResult, ColumnWriterImpl};
use parquet::data_type as physical;
use parquet::errors::{ParquetError, Result};
use parquet::file::writer::TrackedWrite;

use super::codes;
use super::pages::{Compressor, Pages};
use super::schema::ColumnLayout;

/// Nanoseconds in a microsecond, milliseconds in a second.
const THOUSAND: i64 = 1000;

/// A column chunk that is not in its file yet.
pub(super) struct Encoded {
    pub(super) bytes: Bytes,
    pub(super) close: ColumnCloseResult,
}

/// Encodes a column.
pub(super) fn write(
    array: &ArrayRef,
    layout: &ColumnLayout,
    compressor: &mut Compressor,
) -> Result<Encoded> {
    let nulls = array.nulls();
    match array.data_type() {
        DataType::Int64 => {
            let values = array.as_primitive::<Int64Type>().values();
            plain::<physical::Int64Type>(values, nulls, layout, compressor)
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            let values = array.as_primitive::<TimestampNanosecondType>().values();
            if layout.timestamp_unit == TimeUnit::Microsecond {
                let values: Vec<i64> = values.iter().map(|ns| ns.div_euclid(THOUSAND)).collect();
                return plain::<physical::Int64Type>(&values, nulls, layout, compressor);
            }
            plain::<physical::Int64Type>(values, nulls, layout, compressor)
        }
        DataType::Timestamp(TimeUnit::Second, _) => {
            let values = array.as_primitive::<TimestampSecondType>().values();
            let values: Vec<i64> = values.iter().map(|s| s.saturating_mul(THOUSAND)).collect();
            plain::<physical::Int64Type>(&values, nulls, layout, compressor)
        }
        DataType::UInt32 => {
            // Parquet's unsigned numbers are the same bits under the name of signed ones.
            let values = array.as_primitive::<UInt32Type>().values().inner();
            let values = ScalarBuffer::<i32>::new(values.clone(), 0, array.len());
            plain::<physical::Int32Type>(&values, nulls, layout, compressor)
        }
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>().values();
            plain::<physical::DoubleType>(values, nulls, layout, compressor)
        }
        DataType::Decimal128(..) => {
            let values = array.as_primitive::<Decimal128Type>().values().iter();
            let digits = Bytes::from(values.flat_map(|v| v.to_be_bytes()).collect::<Vec<_>>());
            let values: Vec<physical::FixedLenByteArray> = (0..digits.len())
                .step_by(16)
                .map(|at| physical::ByteArray::from(digits.slice(at..at + 16)).into())
                .collect();
            plain::<physical::FixedLenByteArrayType>(&values, nulls, layout, compressor)
        }
        DataType::Utf8 => {
            let strings = array.as_string::<i32>();
            let text = Bytes::from_owner(strings.values().clone());
            let ends = strings.offsets().windows(2);
            let place = |offset: i32| usize::try_from(offset).unwrap_or_default();
            let values: Vec<physical::ByteArray> = ends
                .map(|ends| text.slice(place(ends[0])..place(ends[1])).into())
                .collect();
            plain::<physical::ByteArrayType>(&values, nulls, layout, compressor)
        }
        DataType::Dictionary(..) => codes::write(array, layout),
        other => Err(ParquetError::NYI(format!(
            "writing a column of type {other}"
        ))),
    }
}

fn plain<T: physical::DataType>(
    values: &[T::T],
    nulls: Option<&NullBuffer>,
    layout: &ColumnLayout,
    compressor: &mut Compressor,
) -> Result<Encoded> {
    let codec = compressor.codec();
    let mut sink = TrackedWrite::new(Vec::new());
    let pages = Box::new(Pages::new(&mut sink, compressor));
    let (descriptor, properties) = (layout.descriptor.clone(), layout.properties.clone());
    let optional = descriptor.max_def_level() > 0;
    let mut writer = ColumnWriterImpl::<T>::new(descriptor, properties, pages);
    match nulls {
        Some(nulls) => {
            let levels: Vec<i16> = nulls.iter().map(i16::from).collect();
            let present: Vec<T::T> = nulls
                .valid_indices()
                .map(|index| values[index].clone())
                .collect();
            writer.write_batch(&present, Some(&levels), None)?;
        }
        None if optional => {
            let levels = vec![1; values.len()];
            writer.write_batch(values, Some(&levels), None)?;
        }
        None => {
            writer.write_batch(values, None, None)?;
        }
    }
    let mut close = writer.close()?;
    if let Some(codec) = codec {
        let metadata = close.metadata.into_builder().set_compression(codec);
        close.metadata = metadata.build()?;
    }
    Ok(Encoded {
        bytes: sink.into_inner()?.into(),
        close,
    })
}
