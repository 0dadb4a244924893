//! The core's errors as the classes of `fluxforge.errors`.

use fluxforge_core::segment::SegmentError;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// What the caller was doing: the same refusal of the disk means something else before capture
/// has begun than after.
#[derive(Clone, Copy)]
pub(crate) enum While {
    /// Opening directories: the user's configuration or permissions must change.
    Starting,
    /// Writing.
    Running,
}

/// Makes the Python exception of an error of the writing side.
#[cold]
pub(crate) fn segment_error(py: Python<'_>, error: &SegmentError, during: While) -> PyErr {
    let message = error.to_string();
    match (error, during) {
        (SegmentError::Invalid(_), _) => PyValueError::new_err(message),
        (SegmentError::QueueFull { .. }, _) => raise(py, "QueueFullError", (message,)),
        (SegmentError::Locked { .. }, _) => raise(py, "WriterLockedError", (message,)),
        (SegmentError::NewerFormat { .. }, _) => raise(py, "SegmentFormatError", (message,)),
        (SegmentError::Closed | SegmentError::Damaged { .. }, _) => {
            raise(py, "SegmentError", (message,))
        }
        (SegmentError::Io { .. }, While::Starting) => {
            let advice = "check that the directory exists and that this user may write to it";
            raise(py, "StorageAccessError", (format!("{message}: {advice}"),))
        }
        (SegmentError::Io { .. } | SegmentError::Stopped { .. }, _) => match error.errno() {
            // An OSError keeps its number only in this form.
            Some(errno) => raise(py, "SegmentWriteError", (errno, message)),
            None => raise(py, "SegmentWriteError", (message,)),
        },
    }
}

fn raise<'py, A>(py: Python<'py>, class: &str, args: A) -> PyErr
where
    A: IntoPyObject<'py, Target = PyTuple, Output = Bound<'py, PyTuple>, Error = PyErr>,
{
    let make = || {
        py.import("fluxforge.errors")?
            .getattr(class)?
            .call1(args.into_pyobject(py)?)
    };
    match make() {
        Ok(exception) => PyErr::from_value(exception),
        Err(error) => PyRuntimeError::new_err(format!("cannot raise fluxforge's {class}: {error}")),
    }
}
