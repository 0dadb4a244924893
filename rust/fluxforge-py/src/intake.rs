//! `Intake`: one connection's frames, looked at and appended in one call.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fluxforge_core::intake;
use pyo3::prelude::*;

use crate::writer::{SegmentWriter, running};

/// Takes one connection's frames in.
#[pyclass(frozen, module = "fluxforge._native")]
pub(crate) struct Intake {
    writer: Py<SegmentWriter>,
    conn: String,
    seen: Mutex<Seen>,
}

struct Seen {
    intake: intake::Intake,
    frames: u64,
    bytes: u64,
}

impl Intake {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Intake {
    #[new]
    #[pyo3(signature = (writer, conn, *, attend = Vec::new()))]
    #[expect(clippy::needless_pass_by_value, reason = "made from Python's values")]
    fn new(writer: Py<SegmentWriter>, conn: String, attend: Vec<String>) -> Self {
        let intake = intake::Intake::new(attend.iter().map(String::as_str));
        Self {
            writer,
            conn,
            seen: Mutex::new(Seen {
                intake,
                frames: 0,
                bytes: 0,
            }),
        }
    }

    /// Appends a frame, then looks at it: what the queue does not take is not counted as seen.
    fn append(&self, py: Python<'_>, frame: &[u8], capture_ns: i64) -> PyResult<Option<Notice>> {
        let writer = &self.writer.get().inner;
        writer
            .append(frame, capture_ns, &self.conn)
            .map_err(|error| running(py, &error))?;
        let mut seen = self.seen();
        seen.frames += 1;
        seen.bytes += frame.len() as u64;
        let Some(notice) = seen.intake.observe(frame) else {
            return Ok(None);
        };
        drop(seen);
        if let Some(broken) = notice.broken {
            writer
                .append_event(broken.event().as_bytes(), capture_ns, Some(&self.conn))
                .map_err(|error| running(py, &error))?;
        }
        Ok(Some(Notice::from(notice)))
    }

    #[pyo3(signature = (channel, product_ids, *, snapshot = false))]
    #[expect(clippy::needless_pass_by_value, reason = "made from Python's values")]
    fn expect(&self, channel: &str, product_ids: Vec<String>, snapshot: bool) {
        let mut seen = self.seen();
        for product in &product_ids {
            seen.intake.expect(channel, product, snapshot);
        }
    }

    fn forget(&self, channel: &str) -> Vec<String> {
        self.seen().intake.forget(channel)
    }

    #[getter]
    fn awaited(&self) -> Vec<(String, String)> {
        let seen = self.seen();
        let awaited = seen.intake.awaited();
        awaited
            .map(|(channel, product)| (channel.to_owned(), product.to_owned()))
            .collect()
    }

    #[getter]
    fn channels(&self) -> HashMap<String, u64> {
        self.seen().intake.channels().collect()
    }

    #[getter]
    fn frames(&self) -> u64 {
        self.seen().frames
    }

    #[getter]
    fn bytes(&self) -> u64 {
        self.seen().bytes
    }
}

/// What is not the rule about a frame.
#[pyclass(frozen, get_all, module = "fluxforge._native")]
pub(crate) struct Notice {
    kind: Option<&'static str>,
    expected: Option<i64>,
    seen: Option<i64>,
    missing: u64,
    attend: bool,
    arrived: Vec<(String, String)>,
}

impl From<intake::Notice> for Notice {
    fn from(notice: intake::Notice) -> Self {
        let broken = notice.broken;
        Self {
            kind: broken.map(|broken| broken.kind.name()),
            expected: broken.map(|broken| broken.expected),
            seen: broken.map(|broken| broken.seen),
            missing: broken.map_or(0, |broken| broken.missing()),
            attend: notice.attend,
            arrived: notice.arrived,
        }
    }
}
