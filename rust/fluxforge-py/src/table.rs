//! Arrow out of Rust, through the C stream and schema capsules: no copy, no Arrow library needed.

use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::{RecordBatch, RecordBatchIterator};
use arrow_schema::SchemaRef;
use arrow_schema::ffi::FFI_ArrowSchema;
use fluxforge_core::parse::{PartitionRows, TableRows};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

fn schema_capsule<'py>(py: Python<'py>, schema: &SchemaRef) -> PyResult<Bound<'py, PyCapsule>> {
    let exported = FFI_ArrowSchema::try_from(schema.as_ref())
        .map_err(|e| PyValueError::new_err(e.to_string()))?;
    PyCapsule::new_with_value(py, exported, c"arrow_schema")
}

/// A stream that shares the batches' buffers. The schema a consumer asks for is its wish only: the
/// protocol leaves casting to it.
fn stream_capsule<'py>(
    py: Python<'py>,
    schema: &SchemaRef,
    batches: &[RecordBatch],
) -> PyResult<Bound<'py, PyCapsule>> {
    let batches: Vec<_> = batches.iter().cloned().map(Ok).collect();
    let reader = RecordBatchIterator::new(batches, SchemaRef::clone(schema));
    let exported = FFI_ArrowArrayStream::new(Box::new(reader));
    PyCapsule::new_with_value(py, exported, c"arrow_array_stream")
}

/// Rows of one table; any Arrow library reads it.
#[pyclass(frozen, module = "fluxforge._native")]
pub(crate) struct Table(pub(crate) TableRows);

#[pymethods]
impl Table {
    #[getter]
    fn num_rows(&self) -> usize {
        self.0.batches.iter().map(RecordBatch::num_rows).sum()
    }

    #[getter]
    fn column_names(&self) -> Vec<String> {
        let fields = self.0.schema.fields().iter();
        fields.map(|field| field.name().clone()).collect()
    }

    fn __len__(&self) -> usize {
        self.num_rows()
    }

    fn __repr__(&self) -> String {
        format!("<Table {}: {} rows>", self.0.name, self.num_rows())
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        schema_capsule(py, &self.0.schema)
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let _ = requested_schema;
        stream_capsule(py, &self.0.schema, &self.0.batches)
    }
}

/// The rows of one (table, `product_id`, date), in captured order, without those two columns.
#[pyclass(frozen, module = "fluxforge._native")]
pub(crate) struct Partition(pub(crate) PartitionRows);

#[pymethods]
impl Partition {
    #[getter]
    fn table(&self) -> &str {
        &self.0.table
    }

    #[getter]
    fn product_id(&self) -> Option<&str> {
        self.0.product_id.as_deref()
    }

    #[getter]
    fn date(&self) -> &str {
        &self.0.date
    }

    #[getter]
    fn num_rows(&self) -> usize {
        self.0.rows.num_rows()
    }

    #[getter]
    fn min_capture_ns(&self) -> i64 {
        self.0.min_capture_ns
    }

    #[getter]
    fn max_capture_ns(&self) -> i64 {
        self.0.max_capture_ns
    }

    #[getter]
    fn inexact(&self) -> u64 {
        self.0.inexact
    }

    fn __len__(&self) -> usize {
        self.num_rows()
    }

    fn __repr__(&self) -> String {
        let product = self.0.product_id.as_deref().unwrap_or("-");
        let rows = self.num_rows();
        format!(
            "<Partition {} {product} {}: {rows} rows>",
            self.0.table, self.0.date
        )
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        schema_capsule(py, self.0.rows.schema_ref())
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let _ = requested_schema;
        let rows = std::slice::from_ref(&self.0.rows);
        stream_capsule(py, self.0.rows.schema_ref(), rows)
    }
}
