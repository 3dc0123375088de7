//! Parquet files: written column by column over all cores, read batch by batch.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchReader as _};
use arrow::datatypes::SchemaRef;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowLeafColumn, ArrowRowGroupWriterFactory, ArrowWriter,
    ArrowWriterOptions, compute_leaves,
};
use parquet::basic::{Compression as Codec, GzipLevel, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::store::{Object, Upload};
use crate::table::Projection;

/// The footer's key of the number of shards.
const SHARDS: &str = "lake.shards";

/// Rows that are decoded from a file at a time.
const READ_ROWS: usize = 8192;

/// What the encoder of a column takes before it holds a value.
pub const ENCODER_BYTES: usize = 64 * 1024;

/// Bytes of rows that are worth encoding at once.
pub const ENCODE_BYTES: usize = 8 * 1024 * 1024;

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
pub struct Format {
    /// Codec and row groups.
    pub encoding: Encoding,
    /// Objects per partition of the table: noted in the file, so that a run with another number
    /// knows it when it meets it.
    pub shards: u32,
}

/// What a file says about who wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The run.
    pub run: String,
    /// The program, as `created_by` of the footer.
    pub created_by: String,
}

impl Format {
    /// Version 1 pages with dictionaries and page statistics: what every reader of the lake takes,
    /// Redshift Spectrum and old Sparks included.
    fn properties(&self, signature: &Signature, schema: &SchemaRef) -> WriterProperties {
        let mut properties = WriterProperties::builder();
        if schema.fields().len() > DICTIONARY_COLUMNS {
            let numbers = schema.fields().iter().filter(|field| field.data_type().is_primitive());
            for field in numbers {
                let path = ColumnPath::from(field.name().as_str());
                properties = properties.set_column_dictionary_enabled(path, false);
            }
        }
        properties
            .set_writer_version(WriterVersion::PARQUET_1_0)
            .set_compression(self.codec())
            // Lists are `list.element`, as the Parquet specification names them.
            .set_coerce_types(true)
            .set_statistics_enabled(EnabledStatistics::Page)
            .set_created_by(signature.created_by.clone())
            .set_key_value_metadata(Some(vec![
                KeyValue::new("lake.run".into(), signature.run.clone()),
                KeyValue::new(SHARDS.into(), self.shards.to_string()),
            ]))
            .build()
    }

    fn codec(&self) -> Codec {
        match self.encoding.compression {
            Compression::Snappy => Codec::SNAPPY,
            Compression::None => Codec::UNCOMPRESSED,
            Compression::Zstd => {
                let level = self.encoding.level.and_then(|level| i32::try_from(level).ok());
                Codec::ZSTD(level.and_then(|l| ZstdLevel::try_new(l).ok()).unwrap_or_else(|| {
                    // Level 1 is twice as fast as 3 and a few percent larger.
                    ZstdLevel::default()
                }))
            }
            Compression::Gzip => Codec::GZIP(
                self.encoding
                    .level
                    .and_then(|level| GzipLevel::try_new(level).ok())
                    .unwrap_or_default(),
            ),
        }
    }
}

/// A Parquet file being written.
pub struct PartWriter {
    file: SerializedFileWriter<Box<dyn Upload>>,
    factory: ArrowRowGroupWriterFactory,
    schema: SchemaRef,
    columns: Vec<ArrowColumnWriter>,
    /// Rows that are yet to be encoded.
    pending: Vec<RecordBatch>,
    pending_bytes: usize,
    /// Rows in the open row group.
    open_rows: usize,
    row_group_bytes: usize,
    pool: Arc<rayon::ThreadPool>,
    object: String,
    rows: u64,
}

impl std::fmt::Debug for PartWriter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("PartWriter").field("object", &self.object).finish_non_exhaustive()
    }
}

/// A file that was written.
#[derive(Debug, Clone)]
pub struct Written {
    /// The object.
    pub object: Object,
    /// Its rows.
    pub rows: u64,
}

impl PartWriter {
    /// Begins a file; `object` names it in errors.
    pub fn new(
        upload: Box<dyn Upload>,
        schema: &SchemaRef,
        format: &Format,
        signature: &Signature,
        pool: Arc<rayon::ThreadPool>,
        object: String,
    ) -> Result<Self> {
        let failed = |source| Error::Parquet { action: "begin", object: object.clone(), source };
        let options =
            ArrowWriterOptions::new().with_properties(format.properties(signature, schema));
        let writer = ArrowWriter::try_new_with_options(upload, Arc::clone(schema), options)
            .map_err(failed)?;
        let (file, factory) = writer.into_serialized_writer().map_err(failed)?;
        Ok(Self {
            file,
            factory,
            schema: Arc::clone(schema),
            columns: Vec::new(),
            pending: Vec::new(),
            pending_bytes: 0,
            open_rows: 0,
            row_group_bytes: format.encoding.row_group_bytes,
            pool,
            object,
            rows: 0,
        })
    }

    fn failed(&self, source: ParquetError) -> Error {
        Error::Parquet { action: "write", object: self.object.clone(), source }
    }

    /// Bytes held in memory for the open row group.
    pub fn memory(&self) -> usize {
        let open = self.columns.iter().map(|column| column.memory_size() + ENCODER_BYTES);
        self.pending_bytes + open.sum::<usize>()
    }

    /// Adds rows of the writer's schema.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.rows += batch.num_rows() as u64;
        self.pending_bytes += batch.get_array_memory_size();
        self.pending.push(batch.clone());
        if self.pending_bytes >= ENCODE_BYTES { self.encode() } else { Ok(()) }
    }

    /// Encodes the rows that wait: each column is a task, and none waits for the others between two
    /// batches.
    pub fn encode(&mut self) -> Result<()> {
        let batches = std::mem::take(&mut self.pending);
        self.pending_bytes = 0;
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        if rows == 0 {
            return Ok(());
        }
        if self.columns.is_empty() {
            let index = self.file.flushed_row_groups().len();
            self.columns =
                self.factory.create_column_writers(index).map_err(|error| self.failed(error))?;
        }
        let (fields, columns) = (self.schema.fields(), &mut self.columns);
        let encoded = self.pool.install(|| {
            let leaves = fields.par_iter().enumerate().with_max_len(1).map(|(at, field)| {
                let leaves = batches.iter().map(|batch| compute_leaves(field, batch.column(at)));
                leaves.collect::<std::result::Result<Vec<_>, _>>().map(transpose)
            });
            let leaves = leaves.collect::<std::result::Result<Vec<_>, _>>()?;
            let work: Vec<_> = columns.iter_mut().zip(leaves.into_iter().flatten()).collect();
            work.into_par_iter().with_max_len(1).try_for_each(|(column, leaves)| {
                leaves.iter().try_for_each(|leaf| column.write(leaf))
            })
        });
        encoded.map_err(|error| self.failed(error))?;
        self.open_rows += rows;
        if self.open_bytes() >= self.row_group_bytes {
            self.close_row_group()?;
        }
        Ok(())
    }

    /// Ends the open row group and gives its memory back.
    pub fn close_row_group(&mut self) -> Result<()> {
        self.encode()?;
        if self.open_rows == 0 {
            return Ok(());
        }
        self.open_rows = 0;
        let columns = std::mem::take(&mut self.columns);
        let chunks: std::result::Result<Vec<ArrowColumnChunk>, _> =
            self.pool.install(|| columns.into_par_iter().map(ArrowColumnWriter::close).collect());
        let written = chunks.and_then(|chunks| {
            let mut group = self.file.next_row_group()?;
            for chunk in chunks {
                chunk.append_to_row_group(&mut group)?;
            }
            group.close()
        });
        written.map(|_| ()).map_err(|error| self.failed(error))
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Encoded bytes so far.
    pub fn bytes(&self) -> usize {
        self.file.bytes_written() + self.open_bytes()
    }

    fn open_bytes(&self) -> usize {
        self.columns.iter().map(ArrowColumnWriter::get_estimated_total_bytes).sum()
    }

    /// Ends the file and makes it visible.
    pub fn finish(self) -> Result<Written> {
        self.end()?.finish()
    }

    /// Ends the file, which is yet to be made visible.
    pub fn end(mut self) -> Result<Ended> {
        self.close_row_group()?;
        let Self { file, object, rows, .. } = self;
        let bytes = file.bytes_written();
        let upload = file.into_inner().map_err(|source| Error::Parquet {
            action: "write",
            object,
            source,
        })?;
        Ok(Ended { upload, rows, bytes })
    }
}

/// A file that is whole and that nobody sees yet. Dropping it takes everything back.
pub struct Ended {
    upload: Box<dyn Upload>,
    rows: u64,
    bytes: usize,
}

impl std::fmt::Debug for Ended {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Ended").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl Ended {
    /// Its size, but for the footer.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Makes the file visible.
    pub fn finish(self) -> Result<Written> {
        Ok(Written { object: self.upload.finish()?, rows: self.rows })
    }
}

/// The leaves of each column, batch after batch, out of those of each batch.
fn transpose(batches: Vec<Vec<ArrowLeafColumn>>) -> Vec<Vec<ArrowLeafColumn>> {
    let mut columns = Vec::new();
    for batch in batches {
        columns.resize_with(batch.len(), || Vec::with_capacity(batch.len()));
        for (column, leaf) in columns.iter_mut().zip(batch) {
            column.push(leaf);
        }
    }
    columns
}

/// A Parquet file being read.
#[derive(Debug)]
pub struct PartReader {
    rows: ParquetRecordBatchReader,
    /// Objects per partition when it was written, where it says so.
    pub shards: Option<u32>,
    object: String,
}

impl PartReader {
    /// Opens a file; `object` names it in errors.
    pub fn open(file: File, object: &str) -> Result<Self> {
        let failed = |source| Error::Parquet { action: "read", object: object.to_owned(), source };
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(failed)?;
        let pairs = builder.metadata().file_metadata().key_value_metadata();
        let shards = pairs
            .and_then(|pairs| pairs.iter().find(|pair| pair.key == SHARDS))
            .and_then(|pair| pair.value.as_ref()?.parse().ok());
        let rows = builder.with_batch_size(READ_ROWS).build().map_err(failed)?;
        Ok(Self { rows, shards, object: object.to_owned() })
    }

    /// Its columns.
    pub fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }

    /// Its rows batch by batch, as columns of another schema of the same table.
    pub fn batches(self, schema: &SchemaRef) -> impl Iterator<Item = Result<RecordBatch>> {
        let projection = Projection::between(self.rows.schema().fields(), schema);
        self.rows.map(move |batch| {
            batch.and_then(|batch| projection.apply(&batch)).map_err(|source| Error::Parquet {
                action: "read",
                object: self.object.clone(),
                source: source.into(),
            })
        })
    }
}
