//! Dictionary columns. Arrow's codes become the part's own: those of the values that it has, in the
//! order of their first rows, whatever else is in the segment's dictionary.
//!
//! Codes are packed to as few bits as they need, which leaves a compressor little: it gets none.

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, StringArray};
use parquet::basic::{Compression, Encoding};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};

use super::column::Encoded;
use super::hybrid;
use super::schema::ColumnLayout;

/// No row had this value yet.
const UNUSED: u32 = u32::MAX;

/// Encodes a column of codes.
pub(super) fn write(array: &ArrayRef, layout: &ColumnLayout) -> Result<Encoded> {
    let rows = array.as_dictionary::<Int32Type>();
    let values = rows.values().as_string::<i32>();
    let mut dictionary = Dictionary::new(values);
    let keys = rows.keys();
    let codes: Vec<u32> = match keys.nulls() {
        None => keys
            .values()
            .iter()
            .map(|key| dictionary.code(*key))
            .collect(),
        Some(nulls) => nulls
            .valid_indices()
            .map(|row| dictionary.code(keys.values()[row]))
            .collect(),
    };
    let mut body = Vec::with_capacity(codes.len() / 4);
    if layout.descriptor.max_def_level() > 0 {
        levels(array, &mut body);
    }
    // A width of none is allowed, but few readers have ever seen it.
    let width = hybrid::bit_width(dictionary.used.saturating_sub(1)).max(1);
    body.push(width.to_le_bytes()[0]);
    hybrid::encode(&codes, width, &mut body);

    let mut sink = TrackedWrite::new(Vec::with_capacity(body.len() + 256));
    let mut pages = SerializedPageWriter::new(&mut sink);
    let of_values = dictionary.page();
    let of_codes = Page::DataPage {
        buf: body.into(),
        num_values: counted(rows.len())?,
        encoding: Encoding::RLE_DICTIONARY,
        def_level_encoding: Encoding::RLE,
        rep_level_encoding: Encoding::RLE,
        statistics: None,
    };
    let values_spec = pages.write_page(uncompressed(of_values))?;
    let codes_spec = pages.write_page(uncompressed(of_codes))?;
    let bytes_written = values_spec.bytes_written + codes_spec.bytes_written;
    let uncompressed_size = values_spec.uncompressed_size + codes_spec.uncompressed_size;
    let metadata = ColumnChunkMetaData::builder(layout.descriptor.clone())
        .set_compression(Compression::UNCOMPRESSED)
        .set_encodings(vec![
            Encoding::PLAIN,
            Encoding::RLE,
            Encoding::RLE_DICTIONARY,
        ])
        .set_total_compressed_size(offset(bytes_written)?)
        .set_total_uncompressed_size(offset(uncompressed_size as u64)?)
        .set_num_values(offset(rows.len() as u64)?)
        .set_dictionary_page_offset(Some(offset(values_spec.offset)?))
        .set_data_page_offset(offset(codes_spec.offset)?)
        .build()?;
    Ok(Encoded {
        bytes: sink.into_inner()?.into(),
        close: ColumnCloseResult {
            bytes_written,
            rows_written: rows.len() as u64,
            metadata,
            bloom_filter: None,
            column_index: None,
            offset_index: None,
        },
    })
}

/// The values that a part has, numbered as its rows come.
struct Dictionary<'a> {
    values: &'a StringArray,
    codes: Vec<u32>,
    plain: Vec<u8>,
    used: u32,
}

impl<'a> Dictionary<'a> {
    fn new(values: &'a StringArray) -> Self {
        Self {
            values,
            codes: vec![UNUSED; values.len()],
            plain: Vec::new(),
            used: 0,
        }
    }

    #[inline]
    fn code(&mut self, key: i32) -> u32 {
        let key = usize::try_from(key).unwrap_or_default();
        match self.codes[key] {
            UNUSED => self.add(key),
            code => code,
        }
    }

    #[cold]
    fn add(&mut self, key: usize) -> u32 {
        let value = self.values.value(key);
        let length = u32::try_from(value.len()).unwrap_or_default();
        self.plain.extend_from_slice(&length.to_le_bytes());
        self.plain.extend_from_slice(value.as_bytes());
        self.codes[key] = self.used;
        self.used += 1;
        self.codes[key]
    }

    fn page(self) -> Page {
        Page::DictionaryPage {
            buf: self.plain.into(),
            num_values: self.used,
            encoding: Encoding::PLAIN,
            is_sorted: false,
        }
    }
}

/// Which rows have a value, after their length in bytes.
fn levels(array: &ArrayRef, body: &mut Vec<u8>) {
    let present: Vec<u32> = match array.nulls() {
        Some(nulls) => nulls.iter().map(u32::from).collect(),
        None => vec![1; array.len()],
    };
    let start = body.len();
    body.extend_from_slice(&[0; 4]);
    hybrid::encode(&present, 1, body);
    let length = u32::try_from(body.len() - start - 4).unwrap_or_default();
    body[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

fn uncompressed(page: Page) -> CompressedPage {
    let size = page.buffer().len();
    CompressedPage::new(page, size)
}

fn counted(rows: usize) -> Result<u32> {
    u32::try_from(rows).map_err(|_| ParquetError::General(format!("{rows} rows in one page")))
}

fn offset(bytes: u64) -> Result<i64> {
    i64::try_from(bytes).map_err(|_| ParquetError::General(format!("{bytes} bytes in one column")))
}
