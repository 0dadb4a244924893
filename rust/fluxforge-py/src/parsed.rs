//! What a parsed segment is in Python: made once per segment, then only shared.

use std::collections::BTreeMap;

use fluxforge_core::parse::census::FieldCounts;
use fluxforge_core::parse::{self, rejects};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use crate::table::{Partition, Table};

/// Everything that one segment says.
#[pyclass(frozen, module = "fluxforge._native")]
pub(crate) struct ParsedSegment {
    #[pyo3(get)]
    tables: Py<PyDict>,
    #[pyo3(get)]
    partitions: Py<PyList>,
    #[pyo3(get)]
    rejects: Py<Table>,
    #[pyo3(get)]
    balance: Py<Balance>,
    #[pyo3(get)]
    header: Option<Py<SegmentHeader>>,
    #[pyo3(get)]
    sealed: bool,
    #[pyo3(get)]
    verified: bool,
    #[pyo3(get)]
    raw_bytes: u64,
    #[pyo3(get)]
    raw_xxh3: String,
    #[pyo3(get)]
    connections: Py<PyList>,
    #[pyo3(get)]
    events: Py<PyList>,
    rejected: Vec<parse::Reject>,
    reject_lines: Option<Vec<u8>>,
}

impl ParsedSegment {
    pub(crate) fn new(py: Python<'_>, parsed: parse::ParsedSegment) -> PyResult<Self> {
        let tables = PyDict::new(py);
        for table in parsed.tables {
            let name = table.name.clone();
            tables.set_item(&*name, Py::new(py, Table(table))?)?;
        }
        let header = parsed
            .header
            .map(|header| Py::new(py, SegmentHeader(header)));
        Ok(Self {
            tables: tables.unbind(),
            partitions: list_of(py, parsed.partitions, Partition)?,
            rejects: Py::new(py, Table(rejects::to_table(&parsed.rejects)))?,
            balance: Py::new(py, Balance(parsed.balance))?,
            header: header.transpose()?,
            sealed: parsed.sealed,
            verified: parsed.verified,
            raw_bytes: parsed.raw_bytes,
            raw_xxh3: format!("{:016x}", parsed.raw_xxh3),
            connections: list_of(py, parsed.connections, ConnectionSequence)?,
            events: PyList::new(py, parsed.events.iter().map(|e| PyBytes::new(py, e)))?.unbind(),
            rejected: parsed.rejects,
            reject_lines: parsed.reject_lines,
        })
    }
}

#[pymethods]
impl ParsedSegment {
    fn rejects_ndjson<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        if let Some(lines) = &self.reject_lines {
            return PyBytes::new(py, lines);
        }
        let lines = py.detach(|| rejects::to_ndjson(&self.rejected));
        PyBytes::new(py, &lines)
    }
}

fn list_of<T, C>(py: Python<'_>, items: Vec<T>, class: fn(T) -> C) -> PyResult<Py<PyList>>
where
    C: pyo3::PyClass + Into<PyClassInitializer<C>>,
{
    let items: PyResult<Vec<Py<C>>> = items.into_iter().map(|i| Py::new(py, class(i))).collect();
    Ok(PyList::new(py, items?)?.unbind())
}

/// frames = parsed + the sum of ignored + rejected.
#[pyclass(frozen, module = "fluxforge._native")]
pub(crate) struct Balance(parse::Balance);

#[pymethods]
impl Balance {
    #[getter]
    fn frames(&self) -> u64 {
        self.0.frames
    }

    #[getter]
    fn parsed(&self) -> u64 {
        self.0.parsed
    }

    #[getter]
    fn ignored(&self) -> BTreeMap<String, u64> {
        self.0.ignored.clone()
    }

    #[getter]
    fn rejected(&self) -> u64 {
        self.0.rejected
    }

    #[getter]
    fn events(&self) -> u64 {
        self.0.events
    }

    #[getter]
    fn rows(&self) -> BTreeMap<String, u64> {
        self.0.rows.clone()
    }

    #[getter]
    fn inexact(&self) -> BTreeMap<String, u64> {
        self.0.inexact.clone()
    }

    #[getter]
    fn unknown_fields(&self) -> FieldCounts {
        self.0.fields.unknown.clone()
    }

    #[getter]
    fn missing_fields(&self) -> FieldCounts {
        self.0.fields.missing.clone()
    }

    #[getter]
    fn null_fields(&self) -> FieldCounts {
        self.0.fields.null.clone()
    }

    #[getter]
    fn retyped_fields(&self) -> FieldCounts {
        self.0.fields.retyped.clone()
    }

    fn holds(&self) -> bool {
        self.0.holds()
    }

    fn __repr__(&self) -> String {
        let Self(b) = self;
        let ignored: u64 = b.ignored.values().sum();
        format!(
            "<Balance: {} frames = {} parsed + {ignored} ignored + {} rejected>",
            b.frames, b.parsed, b.rejected
        )
    }
}

/// Line 1 of a segment.
#[pyclass(frozen, module = "fluxforge._native")]
pub(crate) struct SegmentHeader(parse::SegmentHeader);

#[pymethods]
impl SegmentHeader {
    #[getter]
    fn format(&self) -> u32 {
        self.0.format
    }

    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }

    #[getter]
    fn uid(&self) -> &str {
        &self.0.uid
    }

    #[getter]
    fn source(&self) -> &str {
        &self.0.source
    }

    #[getter]
    fn writer(&self) -> Option<&str> {
        self.0.writer.as_deref()
    }

    #[getter]
    fn created(&self) -> &str {
        &self.0.created
    }
}

/// What one connection's sequence numbers say about completeness inside this segment.
#[pyclass(frozen, module = "fluxforge._native")]
pub(crate) struct ConnectionSequence(parse::ConnectionSequence);

#[pymethods]
impl ConnectionSequence {
    #[getter]
    fn conn(&self) -> &str {
        &self.0.conn
    }

    #[getter]
    fn frames(&self) -> u64 {
        self.0.frames
    }

    #[getter]
    fn first_sequence(&self) -> Option<i64> {
        self.0.first_sequence
    }

    #[getter]
    fn last_sequence(&self) -> Option<i64> {
        self.0.last_sequence
    }

    #[getter]
    fn first_capture_ns(&self) -> i64 {
        self.0.first_capture_ns
    }

    #[getter]
    fn last_capture_ns(&self) -> i64 {
        self.0.last_capture_ns
    }

    #[getter]
    fn missing(&self) -> u64 {
        self.0.missing
    }

    #[getter]
    fn gaps(&self) -> Vec<SequenceGap> {
        self.0.gaps.iter().copied().map(SequenceGap).collect()
    }
}

/// One place where a connection's sequence number did not go up by one.
#[pyclass(frozen, module = "fluxforge._native")]
pub(crate) struct SequenceGap(parse::SequenceGap);

#[pymethods]
impl SequenceGap {
    #[getter]
    fn expected(&self) -> i64 {
        self.0.expected
    }

    #[getter]
    fn seen(&self) -> i64 {
        self.0.seen
    }

    #[getter]
    fn record(&self) -> u32 {
        self.0.record
    }

    #[getter]
    fn capture_ns(&self) -> i64 {
        self.0.capture_ns
    }

    #[getter]
    fn after_ns(&self) -> i64 {
        self.0.after_ns
    }
}
