//! Writing a Parquet file column by column over all cores.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowLeafColumn, ArrowRowGroupWriterFactory, ArrowWriter,
    ArrowWriterOptions, compute_leaves,
};
use parquet::errors::ParquetError;
use parquet::file::writer::SerializedFileWriter;
use rayon::prelude::*;

use super::encoding::{Format, Signature};
use crate::error::{Error, Result};
use crate::store::{Object, Upload};

/// What the encoder of a column takes before it holds a value.
pub(crate) const ENCODER_BYTES: usize = 64 * 1024;

/// Bytes of rows that are worth encoding at once.
pub(crate) const ENCODE_BYTES: usize = 8 * 1024 * 1024;

/// A Parquet file being written.
pub(crate) struct PartWriter {
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

impl PartWriter {
    /// Begins a file; `object` names it in errors.
    pub(crate) fn new(
        upload: Box<dyn Upload>,
        schema: &SchemaRef,
        format: &Format,
        signature: &Signature,
        pool: Arc<rayon::ThreadPool>,
        object: String,
    ) -> Result<Self> {
        let failed = |source| Error::Parquet { action: "begin", object: object.clone(), source };
        let options =
            ArrowWriterOptions::new().with_properties(format.properties(signature, schema)?);
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
    pub(crate) fn memory(&self) -> usize {
        let open = self.columns.iter().map(|column| column.memory_size() + ENCODER_BYTES);
        self.pending_bytes + open.sum::<usize>()
    }

    /// Adds rows of the writer's schema.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
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
    pub(crate) fn encode(&mut self) -> Result<()> {
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
    pub(crate) fn close_row_group(&mut self) -> Result<()> {
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

    /// The columns of the file.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Rows so far.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Encoded bytes so far.
    pub(crate) fn bytes(&self) -> usize {
        self.file.bytes_written() + self.open_bytes()
    }

    fn open_bytes(&self) -> usize {
        self.columns.iter().map(ArrowColumnWriter::get_estimated_total_bytes).sum()
    }

    /// Ends the file and makes it visible.
    pub(crate) fn finish(self) -> Result<Object> {
        self.end()?.finish()
    }

    /// Ends the file, which is yet to be made visible.
    pub(crate) fn end(mut self) -> Result<Ended> {
        self.close_row_group()?;
        let Self { file, object, .. } = self;
        let bytes = file.bytes_written();
        let upload = file.into_inner().map_err(|source| Error::Parquet {
            action: "write",
            object,
            source,
        })?;
        Ok(Ended { upload, bytes })
    }
}

/// A file that is whole and that nobody sees yet. Dropping it takes everything back.
pub(crate) struct Ended {
    upload: Box<dyn Upload>,
    bytes: usize,
}

impl std::fmt::Debug for Ended {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Ended").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl Ended {
    /// Its size, but for the footer.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The file waits for its end, and takes neither memory nor an open file meanwhile.
    pub(crate) fn hold(&mut self) -> Result<()> {
        self.upload.hold()
    }

    /// Makes the file visible.
    pub(crate) fn finish(self) -> Result<Object> {
        self.upload.finish()
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
