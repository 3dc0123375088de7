//! How files are written: codec, row groups, and what their footers say.

use arrow::datatypes::SchemaRef;
use parquet::basic::{Compression as Codec, GzipLevel, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;

use crate::error::{Error, Result};

/// The footer's key of the number of shards.
pub(super) const SHARDS: &str = "lake.shards";

/// The footer's key of the run.
const RUN: &str = "lake.run";

/// Columns beyond which numbers have no dictionary: an empty one takes 70 kB, and every column of an
/// open row group has its own.
const DICTIONARY_COLUMNS: usize = 256;

/// Codec of Parquet pages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Compression {
    /// Fast, and documented for every reader.
    #[default]
    Snappy,
    /// Smaller.
    Zstd,
    /// Small and slow.
    Gzip,
    /// No compression.
    None,
}

/// How the pages and row groups of a table's files are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoding {
    /// Codec of the pages.
    pub compression: Compression,
    /// Its level; the codec's own where there is none.
    pub level: Option<u32>,
    /// Encoded bytes at which a row group is closed.
    pub row_group_bytes: usize,
}

impl Default for Encoding {
    fn default() -> Self {
        Self { compression: Compression::default(), level: None, row_group_bytes: 128 << 20 }
    }
}

/// How files are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Format {
    /// Codec and row groups.
    pub encoding: Encoding,
    /// Bytes of rows that are encoded at once.
    pub chunk_bytes: usize,
    /// Objects per partition of the table: noted in the file, so that a run with another number
    /// knows it when it meets it.
    pub shards: u32,
}

/// What a file says about who wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signature {
    /// The run.
    pub run: String,
    /// The program, as `created_by` of the footer.
    pub created_by: String,
}

impl Format {
    /// Version 1 pages with dictionaries and page statistics: what every reader of the lake takes,
    /// Redshift Spectrum and old Sparks included.
    pub(super) fn properties(
        &self,
        signature: &Signature,
        schema: &SchemaRef,
    ) -> Result<WriterProperties> {
        let mut properties = WriterProperties::builder();
        if schema.fields().len() > DICTIONARY_COLUMNS {
            let numbers = schema.fields().iter().filter(|field| field.data_type().is_primitive());
            for field in numbers {
                let path = ColumnPath::from(field.name().as_str());
                properties = properties.set_column_dictionary_enabled(path, false);
            }
        }
        Ok(properties
            .set_writer_version(WriterVersion::PARQUET_1_0)
            .set_compression(self.codec()?)
            // Lists are `list.element`, as the Parquet specification names them.
            .set_coerce_types(true)
            .set_statistics_enabled(EnabledStatistics::Page)
            .set_created_by(signature.created_by.clone())
            .set_key_value_metadata(Some(vec![
                KeyValue::new(RUN.into(), signature.run.clone()),
                KeyValue::new(SHARDS.into(), self.shards.to_string()),
            ]))
            .build())
    }

    fn codec(&self) -> Result<Codec> {
        let refused = |error: ParquetError| Error::Option {
            name: "compression_level",
            reason: error.to_string(),
        };
        Ok(match (self.encoding.compression, self.encoding.level) {
            (Compression::Snappy, _) => Codec::SNAPPY,
            (Compression::None, _) => Codec::UNCOMPRESSED,
            // Level 1 is twice as fast as 3 and a few percent larger.
            (Compression::Zstd, None) => Codec::ZSTD(ZstdLevel::default()),
            (Compression::Zstd, Some(level)) => {
                let level = i32::try_from(level).unwrap_or(i32::MAX);
                Codec::ZSTD(ZstdLevel::try_new(level).map_err(refused)?)
            }
            (Compression::Gzip, None) => Codec::GZIP(GzipLevel::default()),
            (Compression::Gzip, Some(level)) => {
                Codec::GZIP(GzipLevel::try_new(level).map_err(refused)?)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codec(compression: Compression, level: Option<u32>) -> Result<Codec> {
        let encoding = Encoding { compression, level, ..Encoding::default() };
        Format { encoding, chunk_bytes: 1, shards: 1 }.codec()
    }

    #[test]
    fn a_level_that_a_codec_has_not_is_refused_and_not_replaced_by_another() {
        assert_eq!(codec(Compression::Zstd, None).unwrap(), Codec::ZSTD(ZstdLevel::default()));
        let nine = ZstdLevel::try_new(9).unwrap();
        assert_eq!(codec(Compression::Zstd, Some(9)).unwrap(), Codec::ZSTD(nine));
        for (compression, level) in [(Compression::Zstd, 23), (Compression::Gzip, 11)] {
            let error = codec(compression, Some(level)).unwrap_err();
            assert!(error.to_string().contains("`compression_level`"), "{error}");
        }
        assert_eq!(codec(Compression::Snappy, Some(99)).unwrap(), Codec::SNAPPY);
    }
}
