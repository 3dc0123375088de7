//! Reading a Parquet file batch by batch.

use std::fs::File;

use arrow::array::{RecordBatch, RecordBatchReader as _};
use arrow::datatypes::SchemaRef;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::encoding::SHARDS;
use crate::error::{Error, Result};
use crate::table::projection::{Projection, keeps_all};

/// Rows that are decoded from a file at a time.
const READ_ROWS: usize = 8192;

/// A Parquet file being read.
#[derive(Debug)]
pub(crate) struct PartReader {
    rows: ParquetRecordBatchReader,
    /// Objects per partition when it was written, where it says so.
    pub shards: Option<u32>,
    object: String,
    has_rows: bool,
}

impl PartReader {
    /// Opens a file; `object` names it in errors.
    pub(crate) fn open(file: File, object: &str) -> Result<Self> {
        Self::open_columns(file, object, |_| true)
    }

    /// Opens a file of which only some columns are read: the others are null.
    pub(crate) fn open_columns(
        file: File,
        object: &str,
        is_read: impl Fn(&str) -> bool,
    ) -> Result<Self> {
        let failed = |source| Error::Parquet { action: "read", object: object.to_owned(), source };
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(failed)?;
        let pairs = builder.metadata().file_metadata().key_value_metadata();
        let noted = pairs
            .and_then(|pairs| pairs.iter().find(|pair| pair.key == SHARDS))
            .and_then(|pair| pair.value.as_deref());
        let shards = noted.map(str::parse).transpose().map_err(|error| {
            let reason = format!("`{SHARDS}` of its footer is damaged: {error}");
            Error::store("read", object, reason)
        })?;
        let has_rows = builder.metadata().file_metadata().num_rows() > 0;
        let columns = builder.schema().fields().iter().enumerate();
        let columns = columns.filter(|(_, column)| is_read(column.name())).map(|(at, _)| at);
        let read = ProjectionMask::roots(builder.parquet_schema(), columns);
        let builder = builder.with_projection(read).with_batch_size(READ_ROWS);
        let rows = builder.build().map_err(failed)?;
        Ok(Self { rows, shards, object: object.to_owned(), has_rows })
    }

    /// Whether it has rows.
    pub(crate) fn has_rows(&self) -> bool {
        self.has_rows
    }

    /// Its columns.
    pub(crate) fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }

    /// Its rows batch by batch, as columns of another schema of the same table.
    ///
    /// # Errors
    ///
    /// [`Error::Newer`] where the file has a column that the schema has not, or a wider one: another
    /// writer has given the table more than the reader knows of, which would be lost.
    pub(crate) fn batches(
        self,
        schema: &SchemaRef,
    ) -> Result<impl Iterator<Item = Result<RecordBatch>> + use<>> {
        if !keeps_all(self.rows.schema().fields(), schema.fields()) {
            return Err(Error::Newer { object: self.object });
        }
        let projection = Projection::between(self.rows.schema().fields(), schema);
        Ok(self.rows.map(move |batch| {
            batch.and_then(|batch| projection.apply(&batch)).map_err(|source| Error::Parquet {
                action: "read",
                object: self.object.clone(),
                source: source.into(),
            })
        }))
    }
}
