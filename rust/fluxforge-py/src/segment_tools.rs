//! For a person with one segment in hand. What is found out goes to Python as JSON: it is printed
//! or put into words there, and crossing the border field by field would say it all once more.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use fluxforge_core::inspect::Inspector;
use fluxforge_core::recover::{self, FileOutcome};
use fluxforge_core::vfs::{self, Disk};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::{While, segment_error};

/// Looks at a segment whose bytes come in pieces of any size.
#[pyclass(frozen, module = "fluxforge._native")]
pub(crate) struct SegmentInspector(Mutex<Option<Inspector>>);

#[pymethods]
impl SegmentInspector {
    #[new]
    fn new() -> Self {
        Self(Mutex::new(Some(Inspector::new())))
    }

    fn push(&self, py: Python<'_>, data: &[u8]) -> PyResult<()> {
        py.detach(|| match &mut *self.inspector() {
            Some(inspector) => {
                inspector.push(data);
                Ok(())
            }
            None => Err(finished()),
        })
    }

    /// The inspection as one JSON object.
    fn finish<'py>(&self, py: Python<'py>, writer_lives: bool) -> PyResult<Bound<'py, PyBytes>> {
        let inspector = self.inspector().take().ok_or_else(finished)?;
        let text = py.detach(|| {
            serde_json::to_vec(&inspector.finish(writer_lives)).expect("numbers and strings")
        });
        Ok(PyBytes::new(py, &text))
    }
}

impl SegmentInspector {
    fn inspector(&self) -> std::sync::MutexGuard<'_, Option<Inspector>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cold]
fn finished() -> PyErr {
    PyValueError::new_err("this inspection is finished: make another SegmentInspector")
}

/// Says whether a living process holds a file's lock, as a writer does.
#[pyfunction]
pub(crate) fn segment_has_writer(py: Python<'_>, path: PathBuf) -> PyResult<bool> {
    Ok(py.detach(move || vfs::has_lock(&path))?)
}

/// Writes a sealed copy of what one file proves into a directory, and says what became of it.
#[pyfunction]
pub(crate) fn recover_segment(
    py: Python<'_>,
    path: PathBuf,
    into: PathBuf,
) -> PyResult<Bound<'_, PyBytes>> {
    let outcome = py
        .detach(move || recover::recover_file(&Disk, &path, &into))
        .map_err(|error| segment_error(py, &error, While::Starting))?;
    let told = match outcome {
        FileOutcome::Sealed(copy) => serde_json::json!({
            "outcome": "sealed",
            "path": copy.path.to_string_lossy(),
            "frames": copy.frames,
            "cut_bytes": copy.cut_bytes,
            "damaged": copy.is_damaged,
            "kept": copy.kept.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>(),
            "detail": copy.detail,
        }),
        FileOutcome::Locked => serde_json::json!({ "outcome": "locked" }),
        FileOutcome::Empty => serde_json::json!({ "outcome": "empty" }),
        FileOutcome::Unprovable => serde_json::json!({ "outcome": "unprovable" }),
    };
    Ok(PyBytes::new(py, told.to_string().as_bytes()))
}

/// Writes what a sealed segment holds beyond a place where another machine closed it, as a segment
/// of its own. Says where; `None` if nothing follows but the seal.
#[pyfunction]
pub(crate) fn segment_remainder(
    py: Python<'_>,
    path: PathBuf,
    offset: u64,
    into: PathBuf,
) -> PyResult<Option<PathBuf>> {
    py.detach(move || recover::remainder(&Disk, &path, offset, &into))
        .map_err(|error| segment_error(py, &error, While::Starting))
}
