//! Where finished pages go: compressed by a context that lives as long as its thread.
//!
//! A context costs more to make than a small page to compress. The crate would make one for every
//! column of every part; it is told that nothing is compressed, and [`Pages`] does it on the way.

use bytes::Bytes;
use parquet::basic::Compression;
use parquet::column::page::{CompressedPage, Page, PageWriteSpec, PageWriter};
use parquet::errors::{ParquetError, Result};
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};

/// What one thread compresses pages with.
pub(super) enum Compressor {
    Zstandard(zstd::bulk::Compressor<'static>, Compression),
    /// The crate compresses, or nobody does.
    Crate,
}

impl Compressor {
    pub(super) fn new(compression: Compression) -> Result<Self> {
        let Compression::ZSTD(level) = compression else {
            return Ok(Self::Crate);
        };
        let context = zstd::bulk::Compressor::new(level.compression_level())?;
        Ok(Self::Zstandard(context, compression))
    }

    /// The codec that readers must be told of, where the crate knows of none.
    pub(super) fn codec(&self) -> Option<Compression> {
        match self {
            Self::Zstandard(_, codec) => Some(*codec),
            Self::Crate => None,
        }
    }
}

/// The pages of one column chunk, in the order of the file.
pub(super) struct Pages<'a> {
    sink: &'a mut TrackedWrite<Vec<u8>>,
    compressor: &'a mut Compressor,
}

impl<'a> Pages<'a> {
    pub(super) fn new(sink: &'a mut TrackedWrite<Vec<u8>>, compressor: &'a mut Compressor) -> Self {
        Self { sink, compressor }
    }
}

impl PageWriter for Pages<'_> {
    fn write_page(&mut self, page: CompressedPage) -> Result<PageWriteSpec> {
        let page = match (&mut *self.compressor, page.compressed_page()) {
            (
                Compressor::Zstandard(context, _),
                &Page::DataPage {
                    ref buf,
                    num_values,
                    encoding,
                    def_level_encoding,
                    rep_level_encoding,
                    ..
                },
            ) => {
                let compressed = Page::DataPage {
                    buf: Bytes::from(context.compress(buf)?),
                    num_values,
                    encoding,
                    def_level_encoding,
                    rep_level_encoding,
                    statistics: None,
                };
                CompressedPage::new(compressed, page.uncompressed_size())
            }
            (Compressor::Zstandard(..), _) => {
                let what = page.page_type();
                return Err(ParquetError::General(format!("no {what:?} was asked for")));
            }
            (Compressor::Crate, _) => page,
        };
        SerializedPageWriter::new(self.sink).write_page(page)
    }

    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}
