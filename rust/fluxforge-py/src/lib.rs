//! `fluxforge._native`: the thin border between Python and `fluxforge-core`.
//!
//! Every call converts its arguments, detaches from the interpreter, calls the core and converts
//! the result. Errors become the classes of `fluxforge.errors` in [`errors`].

mod delivered;
mod errors;
mod hash;
mod intake;
mod made;
mod parsed;
mod parser;
mod parts;
mod segment_tools;
mod table;
mod writer;

/// The extension module.
#[pyo3::pymodule(gil_used = false)]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::delivered::{captures_with, first_captures};
    #[pymodule_export]
    use crate::hash::Xxh3;
    #[pymodule_export]
    use crate::intake::{Intake, Notice};
    #[pymodule_export]
    use crate::made::make_partition;
    #[pymodule_export]
    use crate::parsed::{Balance, ConnectionSequence, ParsedSegment, SegmentHeader, SequenceGap};
    #[pymodule_export]
    use crate::parser::SegmentParser;
    #[pymodule_export]
    use crate::parts::encode_parts;
    #[pymodule_export]
    use crate::segment_tools::{
        SegmentInspector, recover_segment, segment_has_writer, segment_remainder,
    };
    #[pymodule_export]
    use crate::table::{Partition, Table};
    #[pymodule_export]
    use crate::writer::{Recovered, SegmentWriter, WriterStats, recover_dead};

    /// Adds what is not a function or a class.
    #[pymodule_init]
    fn init(m: &Bound<'_, PyModule>) -> PyResult<()> {
        m.add("PARQUET_WRITER", fluxforge_core::part::writer())?;
        m.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
