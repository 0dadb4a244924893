//! `SegmentParser`. The border is crossed per piece of a segment, detached.

use std::sync::{Arc, Mutex, PoisonError};

use fluxforge_core::parse;
use fluxforge_core::schema::Numbers;
use fluxforge_core::schema::plan::Plan;
use pyo3::exceptions::PyValueError;
use pyo3::import_exception;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::parsed::ParsedSegment;
use crate::table::Partition;

import_exception!(fluxforge.errors, FeedError);
import_exception!(fluxforge.errors, SegmentFormatError);

/// Parses a segment that arrives in pieces of any size. Does no I/O.
#[pyclass(frozen, module = "fluxforge._native")]
pub(crate) struct SegmentParser(Mutex<Option<parse::SegmentParser>>);

#[pymethods]
impl SegmentParser {
    #[new]
    #[pyo3(signature = (feed, *, numbers="float64", threads=1, stretch=None))]
    fn new(feed: &[u8], numbers: &str, threads: usize, stretch: Option<u64>) -> PyResult<Self> {
        let numbers = match numbers {
            "float64" => Numbers::Float64,
            "decimal" => Numbers::Decimal,
            other => {
                let message = format!("numbers must be 'float64' or 'decimal', not {other:?}");
                return Err(PyValueError::new_err(message));
            }
        };
        if threads == 0 {
            return Err(PyValueError::new_err("threads must be at least 1"));
        }
        let plan = Plan::compile(feed, numbers).map_err(|e| FeedError::new_err(e.to_string()))?;
        let mut parser = parse::SegmentParser::new(Arc::new(plan)).with_threads(threads);
        if let Some(bytes) = stretch {
            parser = parser.in_stretches(bytes);
        }
        Ok(Self(Mutex::new(Some(parser))))
    }

    fn push(&self, py: Python<'_>, data: &[u8]) -> PyResult<()> {
        py.detach(|| {
            let mut parser = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let parser = parser.as_mut().ok_or_else(finished)?;
            parser.push(data).map_err(newer)
        })
    }

    fn take(&self, py: Python<'_>) -> PyResult<Vec<Partition>> {
        py.detach(|| {
            let mut parser = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let parser = parser.as_mut().ok_or_else(finished)?;
            Ok(parser.take().into_iter().map(Partition).collect())
        })
    }

    fn take_rejects<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let mut parser = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lists = parser.as_mut().ok_or_else(finished)?.take_rejects();
        Ok(lists.iter().map(|list| PyBytes::new(py, list)).collect())
    }

    fn finish(&self, py: Python<'_>) -> PyResult<ParsedSegment> {
        let parsed = py.detach(|| {
            let mut parser = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let parser = parser.take().ok_or_else(finished)?;
            parser.finish().map_err(newer)
        })?;
        ParsedSegment::new(py, parsed)
    }
}

fn finished() -> PyErr {
    PyValueError::new_err("this parser has finished: make a new one for each segment")
}

fn newer(error: parse::NewerFormat) -> PyErr {
    SegmentFormatError::new_err(error.to_string())
}
