//! `SegmentWriter`: the core's writer for Python. The interpreter is released in every call that
//! blocks; `append` alone keeps it, because a copy into the queue is over sooner.

use std::path::PathBuf;
use std::sync::Arc;

use fluxforge_core::append::{self, OnFull, WriterConfig};
use fluxforge_core::clock::SystemClock;
use fluxforge_core::recover::{self, Outcome, Place};
use fluxforge_core::segment::{Durability, SegmentError};
use fluxforge_core::vfs::Disk;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::errors::{While, segment_error};

/// Appends frames to segments on a thread of its own.
#[pyclass(frozen, module = "fluxforge._native")]
pub(crate) struct SegmentWriter {
    pub(crate) inner: append::SegmentWriter,
}

impl Drop for SegmentWriter {
    /// Closing may wait for the disk for seconds, in which Python goes on. A finalizing interpreter
    /// has no threads to wait for.
    fn drop(&mut self) {
        let _ = Python::try_attach(|py| py.detach(|| self.inner.close()));
    }
}

#[pymethods]
impl SegmentWriter {
    #[new]
    #[pyo3(signature = (
        active_dir, ready_dir, quarantine_dir, *, source, writer_id = None, segment_max_bytes,
        segment_max_seconds, queue_max_bytes, durability = "fsync", on_full = "block",
        min_free_bytes = 0,
    ))]
    #[expect(clippy::too_many_arguments, reason = "keyword-only in Python")]
    fn new(
        py: Python<'_>,
        active_dir: PathBuf,
        ready_dir: PathBuf,
        quarantine_dir: PathBuf,
        source: String,
        writer_id: Option<String>,
        segment_max_bytes: u64,
        segment_max_seconds: f64,
        queue_max_bytes: usize,
        durability: &str,
        on_full: &str,
        min_free_bytes: u64,
    ) -> PyResult<Self> {
        let config = WriterConfig {
            place: Place {
                active: active_dir,
                ready: ready_dir,
                quarantine: quarantine_dir,
            },
            source,
            writer: writer_id,
            segment_max_bytes,
            segment_max_ns: nanoseconds(segment_max_seconds)?,
            queue_max_bytes,
            durability: match durability {
                "fsync" => Durability::Fsync,
                "os" => Durability::Os,
                _ => return Err(PyValueError::new_err("durability is \"fsync\" or \"os\"")),
            },
            on_full: match on_full {
                "block" => OnFull::Block,
                "drop" => OnFull::Drop,
                _ => return Err(PyValueError::new_err("on_full is \"block\" or \"drop\"")),
            },
            min_free_bytes,
        };
        let start =
            || append::SegmentWriter::start(Arc::new(Disk), Arc::new(SystemClock::new()), config);
        let inner = py
            .detach(start)
            .map_err(|error| segment_error(py, &error, While::Starting))?;
        Ok(Self { inner })
    }

    fn append(&self, py: Python<'_>, frame: &[u8], capture_ns: i64, conn: &str) -> PyResult<u64> {
        self.inner
            .append(frame, capture_ns, conn)
            .map_err(|error| running(py, &error))
    }

    fn append_event(
        &self,
        py: Python<'_>,
        event: &[u8],
        capture_ns: i64,
        conn: Option<&str>,
    ) -> PyResult<u64> {
        self.inner
            .append_event(event, capture_ns, conn)
            .map_err(|error| running(py, &error))
    }

    #[getter]
    fn durable_position(&self) -> u64 {
        self.inner.durable_position()
    }

    /// A durable position, and the segment and the length up to which its records lie.
    fn durable_mark(&self) -> (u64, String, u64) {
        let append::Mark {
            position,
            segment,
            bytes,
        } = self.inner.durable_mark();
        (position, segment, bytes)
    }

    #[getter]
    fn accepted_position(&self) -> u64 {
        self.inner.accepted_position()
    }

    #[getter]
    fn queue_bytes(&self) -> usize {
        self.inner.queue_bytes()
    }

    #[getter]
    fn wake_fd(&self) -> i32 {
        self.inner.wake_fd()
    }

    fn acknowledge_wake(&self) {
        self.inner.acknowledge_wake();
    }

    #[getter]
    fn error(&self) -> Option<String> {
        self.inner.error().map(|error| error.to_string())
    }

    /// Raises what `error` describes, as `append` would.
    fn raise_error(&self, py: Python<'_>) -> PyResult<()> {
        self.inner
            .error()
            .map_or(Ok(()), |error| Err(running(py, &error)))
    }

    #[getter]
    fn recovered(&self) -> Vec<Recovered> {
        self.inner.recovered().iter().map(Recovered::from).collect()
    }

    fn stats(&self, py: Python<'_>) -> WriterStats {
        WriterStats {
            inner: py.detach(|| self.inner.stats()),
        }
    }

    fn hold(&self, held: bool) {
        self.inner.hold(held);
    }

    fn rotate(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.inner.rotate())
            .map_err(|error| running(py, &error))
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.inner.close())
            .map_err(|error| running(py, &error))
    }
}

/// A snapshot of the writer's counters.
#[pyclass(frozen, module = "fluxforge._native")]
pub(crate) struct WriterStats {
    inner: append::WriterStats,
}

/// One getter per counter, by its own name.
macro_rules! counters {
    ($($name:ident: $kind:ty),* $(,)?) => {
        #[pymethods]
        impl WriterStats {
            $(#[getter] fn $name(&self) -> $kind { self.inner.$name.clone() })*

            fn __repr__(&self) -> String {
                format!("{:?}", self.inner)
            }
        }
    };
}

counters! {
    frames: u64,
    events: u64,
    bytes: u64,
    dropped: u64,
    groups: u64,
    segments_sealed: u64,
    segments_recovered: u64,
    poisonings: u64,
    queue_bytes: u64,
    lag_p50_ns: u64,
    lag_p99_ns: u64,
    lag_p999_ns: u64,
    lag_max_ns: u64,
    sync_p50_ns: u64,
    sync_p99_ns: u64,
    waiting_for_space: bool,
    publish_error: Option<String>,
    damage: Option<String>,
}

/// What recovery did with one file of active/.
#[pyclass(frozen, get_all, module = "fluxforge._native")]
pub(crate) struct Recovered {
    name: String,
    uid: String,
    outcome: &'static str,
    frames: u64,
    cut_bytes: u64,
    damaged: bool,
    detail: String,
}

impl From<&recover::Recovered> for Recovered {
    fn from(one: &recover::Recovered) -> Self {
        Self {
            name: one.name.clone(),
            uid: one.uid.clone(),
            outcome: match one.outcome {
                Outcome::Sealed => "sealed",
                Outcome::Empty => "empty",
                Outcome::Quarantined => "quarantined",
                Outcome::Locked => "locked",
                Outcome::Failed => "failed",
            },
            frames: one.frames,
            cut_bytes: one.cut_bytes,
            damaged: one.is_damaged,
            detail: one.detail.clone(),
        }
    }
}

#[pymethods]
impl Recovered {
    fn __repr__(&self) -> String {
        let Self {
            name,
            uid,
            outcome,
            frames,
            cut_bytes,
            damaged,
            detail,
        } = self;
        format!(
            "Recovered(name={name:?}, uid={uid:?}, outcome={outcome:?}, frames={frames}, \
             cut_bytes={cut_bytes}, damaged={damaged}, detail={detail:?})"
        )
    }
}

/// Closes every segment in active/ whose writer is dead.
#[pyfunction]
#[pyo3(name = "recover")]
pub(crate) fn recover_dead(
    py: Python<'_>,
    active_dir: PathBuf,
    ready_dir: PathBuf,
    quarantine_dir: PathBuf,
) -> PyResult<Vec<Recovered>> {
    let place = Place {
        active: active_dir,
        ready: ready_dir,
        quarantine: quarantine_dir,
    };
    let report = py
        .detach(|| recover::recover(&Disk, &place))
        .map_err(|error| segment_error(py, &error, While::Starting))?;
    Ok(report.iter().map(Recovered::from).collect())
}

/// The exception of an error while writing.
#[cold]
pub(crate) fn running(py: Python<'_>, error: &SegmentError) -> PyErr {
    segment_error(py, error, While::Running)
}

fn nanoseconds(seconds: f64) -> PyResult<u64> {
    let duration = std::time::Duration::try_from_secs_f64(seconds)
        .map_err(|error| PyValueError::new_err(format!("segment_max_seconds: {error}")))?;
    Ok(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}
