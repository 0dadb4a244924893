//! `encode_parts`: partitions to Parquet, in one detached call for all of them.

use std::collections::HashMap;
use std::num::NonZero;
use std::thread::available_parallelism;

use fluxforge_core::part::{self, Compression, Properties, Rows, TimeUnit};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::table::Partition;

/// A Parquet file in memory and its XXH3-64 as 16 hex digits.
type Encoded<'py> = (Bound<'py, PyBytes>, String);

/// Encode partitions side by side; each becomes one part.
#[pyfunction]
#[pyo3(signature = (
    partitions, *, compression, level, rows_per_group, timestamp_unit, statistics, footers, threads=None
))]
#[expect(clippy::too_many_arguments, reason = "named ones")]
#[expect(clippy::needless_pass_by_value, reason = "made from Python's values")]
pub(crate) fn encode_parts<'py>(
    py: Python<'py>,
    partitions: Vec<Py<Partition>>,
    compression: &str,
    level: Option<u32>,
    rows_per_group: usize,
    timestamp_unit: &str,
    statistics: Vec<String>,
    footers: HashMap<String, Vec<(String, String)>>,
    threads: Option<usize>,
) -> PyResult<Vec<Encoded<'py>>> {
    let properties = Properties {
        compression: codec(compression, level)?,
        rows_per_group: rows_per_group.max(1),
        timestamp_unit: match timestamp_unit {
            "ns" => TimeUnit::Nanosecond,
            "us" => TimeUnit::Microsecond,
            other => {
                let message = format!("timestamp_unit must be 'ns' or 'us', not {other:?}");
                return Err(PyValueError::new_err(message));
            }
        },
        statistics,
    };
    let threads = threads.or_else(|| available_parallelism().ok().map(NonZero::get));
    let partitions: Vec<&Partition> = partitions.iter().map(Py::get).collect();
    let parts = py
        .detach(|| {
            let rows: Vec<Rows<'_>> = partitions
                .iter()
                .map(|Partition(rows)| {
                    let mut footer = footers.get(&*rows.table).cloned().unwrap_or_default();
                    footer.push(("fluxforge.inexact".into(), rows.inexact.to_string()));
                    let batch = &rows.rows;
                    Rows { batch, footer }
                })
                .collect();
            part::encode_all(&rows, &properties, threads.unwrap_or(1))
        })
        .map_err(|e| PyValueError::new_err(format!("encoding parts: {e}")))?;
    // One by one, so that a part is here or there but for a moment.
    let parts = parts.into_iter();
    Ok(parts
        .map(|part| (PyBytes::new(py, &part.data), format!("{:016x}", part.xxh3)))
        .collect())
}

fn codec(name: &str, level: Option<u32>) -> PyResult<Compression> {
    part::codec(name, level).ok_or_else(|| {
        let level = level.map_or_else(String::new, |level| format!(" with level {level}"));
        PyValueError::new_err(format!("there is no compression {name:?}{level}"))
    })
}
