//! Reading a Parquet file batch by batch.

use std::fs::File;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchReader as _};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::statistics::Statistics;

use super::encoding::SHARDS;
use crate::error::{Error, Result};
use crate::table::projection::{Projection, keeps_all};

/// Rows that are decoded from a file at a time.
pub(crate) const READ_ROWS: usize = 8192;

/// What was found of a file.
#[derive(Debug)]
pub(crate) enum Scanned {
    /// Rows.
    Rows(RecordBatch),
    /// So many rows that were not looked at.
    Skipped(u64),
}

/// A Parquet file being read.
#[derive(Debug)]
pub(crate) struct PartReader {
    rows: ParquetRecordBatchReader,
    /// Objects per partition when it was written, where it says so.
    pub shards: Option<u32>,
    object: String,
    /// Of the whole file.
    row_count: u64,
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
        let metadata = load(&file).map_err(failed)?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
        let pairs = builder.metadata().file_metadata().key_value_metadata();
        let noted = pairs
            .and_then(|pairs| pairs.iter().find(|pair| pair.key == SHARDS))
            .and_then(|pair| pair.value.as_deref());
        let shards = noted.map(str::parse).transpose().map_err(|error| {
            let reason = format!("`{SHARDS}` of its footer is damaged: {error}");
            Error::store("read", object, reason)
        })?;
        let row_count = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
        let columns = builder.schema().fields().iter().enumerate();
        let columns = columns.filter(|(_, column)| is_read(column.name())).map(|(at, _)| at);
        let read = ProjectionMask::roots(builder.parquet_schema(), columns);
        let builder = builder.with_projection(read).with_batch_size(READ_ROWS);
        let rows = builder.build().map_err(failed)?;
        Ok(Self { rows, shards, object: object.to_owned(), row_count })
    }

    /// Its rows in some columns, row group by row group, as columns of another schema of the same table; of
    /// row groups that `meets` does not want, by the statistics of a column, only how many rows they have. Until `take` has seen
    /// enough.
    pub(crate) fn scan_columns(
        file: &File,
        object: &str,
        schema: &SchemaRef,
        columns: &[String],
        meets: impl Fn(Option<&Statistics>) -> bool,
        mut take: impl FnMut(Scanned) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let failed = |source| Error::Parquet { action: "read", object: object.to_owned(), source };
        let copy = || file.try_clone().map_err(|error| Error::store("read", object, error));
        let metadata = load(file).map_err(failed)?;
        if !keeps_all(metadata.schema().fields(), schema.fields()) {
            return Err(Error::Newer { object: object.to_owned() });
        }
        let (descriptor, fields) = (metadata.parquet_schema(), metadata.schema().fields());
        let read = fields.iter().enumerate();
        let read = read.filter(|(_, field)| columns.contains(field.name())).map(|(at, _)| at);
        let mask = ProjectionMask::roots(descriptor, read);
        let leaf = columns.first().and_then(|first| {
            descriptor.columns().iter().position(|leaf| leaf.path().parts() == [first.as_str()])
        });
        for (at, group) in metadata.metadata().row_groups().iter().enumerate() {
            let statistics = leaf.and_then(|leaf| group.columns().get(leaf)?.statistics());
            if !meets(statistics) {
                let rows = u64::try_from(group.num_rows()).unwrap_or_default();
                if take(Scanned::Skipped(rows))?.is_break() {
                    return Ok(());
                }
                continue;
            }
            let reader =
                ParquetRecordBatchReaderBuilder::new_with_metadata(copy()?, metadata.clone())
                    .with_projection(mask.clone())
                    .with_row_groups(vec![at])
                    .with_batch_size(READ_ROWS)
                    .build()
                    .map_err(failed)?;
            let projection = Projection::between(reader.schema().fields(), schema);
            for batch in reader {
                let batch = batch.and_then(|batch| projection.apply(&batch));
                let batch = batch.map_err(|source| failed(source.into()))?;
                if take(Scanned::Rows(batch))?.is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Whether it has rows.
    pub(crate) fn has_rows(&self) -> bool {
        self.row_count > 0
    }

    /// How many it has.
    pub(crate) fn rows(&self) -> u64 {
        self.row_count
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

/// The footer of a file, which `object` names in errors.
pub(crate) fn footer(file: &File, object: &str) -> Result<ArrowReaderMetadata> {
    load(file).map_err(|source| Error::Parquet {
        action: "read",
        object: object.to_owned(),
        source,
    })
}

/// Reads a footer. Columns have the types of the table's then, without the ids that Iceberg gives them.
fn load(file: &File) -> Result<ArrowReaderMetadata, ParquetError> {
    let found = ArrowReaderMetadata::load(file, ArrowReaderOptions::new())?;
    if found.schema().fields().iter().all(|field| field.metadata().is_empty()) {
        return Ok(found);
    }
    let fields: Fields = found.schema().fields().iter().map(|field| plain(field)).collect();
    let options = ArrowReaderOptions::new().with_schema(Arc::new(Schema::new(fields)));
    ArrowReaderMetadata::try_new(Arc::clone(found.metadata()), options)
}

/// A field without what its file says beside its type.
fn plain(field: &Field) -> Field {
    let data_type = match field.data_type() {
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|field| plain(field)).collect())
        }
        DataType::List(element) => DataType::List(Arc::new(plain(element))),
        other => other.clone(),
    };
    Field::new(field.name(), data_type, field.is_nullable())
}
