//! Partitions of tables that no frame holds, made in Python: a few rows about the whole segment.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, DictionaryArray, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray,
};
use arrow_schema::{Field, Schema};
use fluxforge_core::parse::PartitionRows;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::table::Partition;

const DAY_NS: i64 = 86_400_000_000_000;

/// A column's name, kind, whether it may hold nulls, and its values.
type Column<'py> = (String, String, bool, Bound<'py, PyAny>);

/// Make a partition by date alone from columns of values.
#[pyfunction]
#[pyo3(signature = (table, *, date, columns, min_capture_ns, max_capture_ns))]
pub(crate) fn make_partition(
    table: &str,
    date: String,
    columns: Vec<Column<'_>>,
    min_capture_ns: i64,
    max_capture_ns: i64,
) -> PyResult<Partition> {
    let mut fields = Vec::with_capacity(columns.len());
    let mut arrays = Vec::with_capacity(columns.len());
    for (name, kind, nullable, values) in columns {
        let array = array(&kind, &values)?;
        fields.push(Field::new(name, array.data_type().clone(), nullable));
        arrays.push(array);
    }
    let schema = Schema::new_with_metadata(fields, HashMap::new());
    let rows = RecordBatch::try_new(Arc::new(schema), arrays)
        .map_err(|e| PyValueError::new_err(format!("making rows of {table}: {e}")))?;
    Ok(Partition(PartitionRows {
        table: table.into(),
        product_id: None,
        date,
        day: i32::try_from(min_capture_ns.div_euclid(DAY_NS)).unwrap_or_default(),
        rows,
        min_capture_ns,
        max_capture_ns,
        inexact: 0,
    }))
}

fn array(kind: &str, values: &Bound<'_, PyAny>) -> PyResult<ArrayRef> {
    Ok(match kind {
        "timestamp" => {
            let times: Vec<Option<i64>> = values.extract()?;
            Arc::new(TimestampNanosecondArray::from(times).with_timezone("UTC"))
        }
        "integer" => Arc::new(Int64Array::from(values.extract::<Vec<Option<i64>>>()?)),
        "string" => Arc::new(StringArray::from(values.extract::<Vec<Option<String>>>()?)),
        "dictionary" => {
            let words: Vec<Option<String>> = values.extract()?;
            let words = words.iter().map(Option::as_deref);
            Arc::new(words.collect::<DictionaryArray<Int32Type>>())
        }
        other => {
            let message = format!("there is no column of kind {other:?}");
            return Err(PyValueError::new_err(message));
        }
    })
}
