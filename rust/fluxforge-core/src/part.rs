//! Rows as Parquet files, *parts*: the same rows and properties give the same bytes.
//!
//! ```text
//! schema      Arrow's types → Parquet's, and what is written how
//! column      one column of a row group → pages, by the `parquet` crate's column writers
//! codes       dictionary columns: Arrow's codes are the pages' codes already, so they are packed here
//! hybrid      codes and levels in runs and bit-packed groups
//! pages       where finished pages go: through one Zstandard context for all parts of a thread
//! ```
//!
//! The crate has the format: page headers, levels, plain values, statistics, footers. Two of its
//! habits cost more than all else in small parts, so they are done here: it makes a compression
//! context per column, and it hashes every value of a dictionary column anew.
//!
//! Nothing here knows of time, host or place. Parts are encoded side by side, each by one thread.

mod codes;
mod column;
mod hybrid;
mod pages;
mod schema;
#[cfg(test)]
mod tests;

use arrow_array::RecordBatch;
use parquet::basic::{GzipLevel, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::writer::SerializedFileWriter;
use twox_hash::XxHash3_64;

use pages::Compressor;
use schema::Layouts;

use crate::side_by_side::side_by_side;

pub use arrow_schema::TimeUnit;
pub use parquet::basic::Compression;

/// Prices and times hold little that a higher level finds, and it takes longer to look.
const DEFAULT_ZSTD: u32 = 1;
const DEFAULT_GZIP: u32 = 6;

/// What writes parts, for the recipe: other versions may give other bytes.
pub fn writer() -> String {
    let crate_version = parquet::file::properties::DEFAULT_CREATED_BY.replace(" version ", " ");
    format!(
        "{crate_version}, zstd {}",
        zstd::zstd_safe::version_string()
    )
}

/// The codec that a configuration names, if there is one of that level.
pub fn codec(name: &str, level: Option<u32>) -> Option<Compression> {
    match (name, level) {
        ("zstd", level) => {
            let level = i32::try_from(level.unwrap_or(DEFAULT_ZSTD)).ok()?;
            Some(Compression::ZSTD(ZstdLevel::try_new(level).ok()?))
        }
        ("gzip", level) => {
            let level = GzipLevel::try_new(level.unwrap_or(DEFAULT_GZIP)).ok()?;
            Some(Compression::GZIP(level))
        }
        ("snappy", None) => Some(Compression::SNAPPY),
        ("lz4", None) => Some(Compression::LZ4_RAW),
        ("none", None) => Some(Compression::UNCOMPRESSED),
        _ => None,
    }
}

/// What determines a part's bytes beside its rows.
#[derive(Debug, Clone)]
pub struct Properties {
    /// The codec of all columns but dictionaries, whose codes are packed to bits already.
    pub compression: Compression,
    /// Rows in a row group.
    pub rows_per_group: usize,
    /// Nanoseconds or microseconds: what Arrow's nanoseconds become.
    pub timestamp_unit: TimeUnit,
    /// Columns that readers skip by.
    pub statistics: Vec<String>,
}

/// One part's rows, and what its footer says beside them.
#[derive(Debug)]
pub struct Rows<'a> {
    /// The rows.
    pub batch: &'a RecordBatch,
    /// Keys and values for the footer, in this order.
    pub footer: Vec<(String, String)>,
}

/// A part that is not stored yet.
#[derive(Debug)]
pub struct Part {
    /// The file.
    pub data: Vec<u8>,
    /// Its hash.
    pub xxh3: u64,
}

/// Encodes parts side by side, each on one of at most `threads` threads.
///
/// # Errors
///
/// A batch has a type that no feed has, or more than fits a page.
pub fn encode_all(
    parts: &[Rows<'_>],
    properties: &Properties,
    threads: usize,
) -> Result<Vec<Part>, ParquetError> {
    let layouts = Layouts::new(parts.iter().map(|part| part.batch.schema_ref()), properties)?;
    let worker = || {
        let mut compressor = None;
        let layouts = &layouts;
        move |part: &Rows<'_>| {
            let compressor = match &mut compressor {
                Some(compressor) => compressor,
                none => none.insert(Compressor::new(properties.compression)?),
            };
            encode(part, layouts, compressor)
        }
    };
    let weight = |part: &&Rows<'_>| part.batch.num_rows();
    let encoded = side_by_side(parts.iter().collect(), threads, weight, worker);
    encoded.into_iter().collect()
}

fn encode(
    rows: &Rows<'_>,
    layouts: &Layouts,
    compressor: &mut Compressor,
) -> Result<Part, ParquetError> {
    let layout = layouts.of(rows.batch.schema_ref());
    let mut file = SerializedFileWriter::new(
        Vec::new(),
        layout.schema.root_schema_ptr(),
        layout.properties.clone(),
    )?;
    for first in (0..rows.batch.num_rows()).step_by(layouts.rows_per_group) {
        let length = layouts.rows_per_group.min(rows.batch.num_rows() - first);
        let mut group = file.next_row_group()?;
        for (index, array) in rows.batch.columns().iter().enumerate() {
            // A slice costs as much as a small column.
            let slice = (length < array.len()).then(|| array.slice(first, length));
            let array = slice.as_ref().unwrap_or(array);
            let column = column::write(array, &layout.column(index), compressor)?;
            group.append_column(&column.bytes, column.close)?;
        }
        group.close()?;
    }
    for (key, value) in &rows.footer {
        file.append_key_value_metadata(KeyValue::new(key.clone(), value.clone()));
    }
    let data = file.into_inner()?;
    Ok(Part {
        xxh3: XxHash3_64::oneshot(&data),
        data,
    })
}
