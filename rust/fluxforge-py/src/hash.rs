//! Streaming XXH3-64: the hash in seals, commits and part names.

use std::sync::{Mutex, PoisonError};

use fluxforge_core::segment;
use pyo3::prelude::*;

/// Streaming XXH3-64.
#[pyclass(frozen, module = "fluxforge._native")]
pub(crate) struct Xxh3(Mutex<segment::Xxh3>);

#[pymethods]
impl Xxh3 {
    #[new]
    fn new() -> Self {
        Self(Mutex::new(segment::Xxh3::new()))
    }

    fn update(&self, py: Python<'_>, data: &[u8]) {
        py.detach(|| {
            let mut hash = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            hash.update(data);
        });
    }

    /// Sixteen lower-case hex digits.
    fn hexdigest(&self) -> String {
        let hash = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        format!("{:016x}", hash.digest())
    }
}
