//! Writing a Parquet file column by column over all cores.
//!
//! The same rows make the same file, whatever batches they come in and however fast the workers are:
//! chunks end at a row, by the size of the rows alone, and row groups by what is known of the columns
//! some chunks back, when all of them have passed.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::arrow_writer::{ArrowRowGroupWriterFactory, ArrowWriter, ArrowWriterOptions};

use super::encoding::{Format, Signature};
use super::lanes::{Lanes, Passage};
use super::size;
use crate::allowance::Allowance;
use crate::error::{Error, Result};
use crate::format::iceberg::metrics::Metrics;
use crate::store::{Object, Upload};

pub(crate) use super::lanes::ENCODER_BYTES;

/// Chunks that may be on their way through the columns: a slow one may be so far behind.
const WINDOW: usize = 3;

/// Who writes the files of a lake, and how much may be on its way.
#[derive(Debug, Clone)]
pub(crate) struct Workers {
    /// They encode.
    pub(crate) pool: Arc<rayon::ThreadPool>,
    /// Bytes of chunks on their way.
    pub(crate) allowance: Allowance,
}

/// A Parquet file being written.
#[derive(Debug)]
pub(crate) struct PartWriter {
    lanes: Lanes,
    factory: ArrowRowGroupWriterFactory,
    schema: SchemaRef,
    allowance: Allowance,
    row_group_bytes: usize,
    chunk_bits: usize,
    /// Rows that are yet to be encoded, and their size.
    pending: Vec<RecordBatch>,
    pending_bits: usize,
    /// Chunks on their way, and how large the file was by the last before them.
    on_way: VecDeque<OnWay>,
    known: Known,
    /// The open row group, counted from 1, if it has rows.
    open: Option<u64>,
    groups: u64,
    /// Bits that all chunks had, and those of the open row group.
    bits: usize,
    rows: u64,
}

/// A chunk on its way.
#[derive(Debug)]
struct OnWay {
    passage: Arc<Passage>,
    group: u64,
    bits: usize,
}

/// How large a file was by a chunk.
#[derive(Debug, Default)]
struct Known {
    group: u64,
    /// Bits of all chunks up to it.
    bits: usize,
    closed: usize,
    open: usize,
    memory: usize,
}

impl PartWriter {
    /// Begins a file; `object` names it in errors.
    pub(crate) fn new(
        upload: Box<dyn Upload>,
        schema: &SchemaRef,
        format: &Format,
        signature: &Signature,
        workers: &Workers,
        object: String,
    ) -> Result<Self> {
        let failed = |source| Error::Parquet { action: "begin", object: object.clone(), source };
        let options =
            ArrowWriterOptions::new().with_properties(format.properties(signature, schema)?);
        let writer = ArrowWriter::try_new_with_options(upload, Arc::clone(schema), options)
            .map_err(failed)?;
        let (file, factory) = writer.into_serialized_writer().map_err(failed)?;
        Ok(Self {
            lanes: Lanes::new(file, schema, Arc::clone(&workers.pool), object),
            factory,
            schema: Arc::clone(schema),
            allowance: workers.allowance.clone(),
            row_group_bytes: format.encoding.row_group_bytes,
            chunk_bits: format.chunk_bytes * 8,
            pending: Vec::new(),
            pending_bits: 0,
            on_way: VecDeque::new(),
            known: Known::default(),
            open: None,
            groups: 0,
            bits: 0,
            rows: 0,
        })
    }

    /// Bytes held in memory: rows that wait or are on their way, and what is encoded of the open row
    /// group.
    pub(crate) fn memory(&self) -> usize {
        self.known.memory + self.on_way()
    }

    /// Bytes of rows that are yet to be encoded.
    pub(super) fn on_way(&self) -> usize {
        let on_way: usize = self.on_way.iter().map(|chunk| chunk.bits).sum();
        (self.pending_bits + on_way) / 8
    }

    /// Adds rows of the writer's schema.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut from = 0;
        self.rows += batch.num_rows() as u64;
        while from < batch.num_rows() {
            let rest = batch.slice(from, batch.num_rows() - from);
            let bits = size::bits(&rest, 0, rest.num_rows());
            if self.pending_bits + bits < self.chunk_bits {
                self.pending_bits += bits;
                self.pending.push(rest);
                return Ok(());
            }
            let rows = size::rows_for(&rest, self.chunk_bits.saturating_sub(self.pending_bits));
            self.pending_bits += size::bits(&rest, 0, rows);
            self.pending.push(rest.slice(0, rows));
            self.encode()?;
            from += rows;
        }
        Ok(())
    }

    /// Sends the rows that wait through the columns. Before them a row group ends that is full.
    fn encode(&mut self) -> Result<()> {
        let batches = std::mem::take(&mut self.pending);
        let bits = std::mem::take(&mut self.pending_bits);
        if batches.is_empty() {
            return Ok(());
        }
        while self.on_way.len() >= WINDOW {
            self.look_back()?;
        }
        if self.open.is_some() && self.open_bytes() >= self.row_group_bytes {
            self.end_row_group()?;
        }
        let group = match self.open {
            Some(group) => group,
            None => self.begin_row_group()?,
        };
        self.bits += bits;
        let permit = self.allowance.take(bits / 8);
        let passage = self.lanes.encode(batches, permit)?;
        self.on_way.push_back(OnWay { passage, group, bits });
        Ok(())
    }

    fn begin_row_group(&mut self) -> Result<u64> {
        let at = usize::try_from(self.groups).unwrap_or(usize::MAX);
        let writers = self.factory.create_column_writers(at).map_err(|source| Error::Parquet {
            action: "write",
            object: self.lanes.object().to_owned(),
            source,
        })?;
        self.lanes.begin(writers)?;
        self.groups += 1;
        Ok(*self.open.insert(self.groups))
    }

    fn end_row_group(&mut self) -> Result<()> {
        self.open = None;
        self.lanes.end()?;
        // Where encoders alone are as much as a row group, there are not those of two.
        if self.lanes.leaves() * ENCODER_BYTES > self.row_group_bytes {
            self.lanes.wait_for_all()?;
        }
        Ok(())
    }

    /// Waits until the first of the chunks on their way has passed.
    fn look_back(&mut self) -> Result<()> {
        let Some(OnWay { passage, group, bits }) = self.on_way.pop_front() else { return Ok(()) };
        self.lanes.wait(&passage)?;
        self.known = Known {
            group,
            bits: self.known.bits + bits,
            closed: passage.closed(),
            open: passage.open(),
            memory: passage.memory(),
        };
        Ok(())
    }

    /// Ends the open row group and gives its memory back.
    pub(crate) fn close_row_group(&mut self) -> Result<()> {
        self.encode()?;
        if self.open.is_some() {
            self.end_row_group()?;
        }
        while !self.on_way.is_empty() {
            self.look_back()?;
        }
        self.lanes.wait_for_all()?;
        self.known = Known {
            group: self.groups,
            bits: self.bits,
            closed: self.known.closed + self.known.open,
            open: 0,
            memory: 0,
        };
        Ok(())
    }

    /// The columns of the file.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Rows so far.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// About the encoded bytes so far.
    pub(crate) fn bytes(&self) -> usize {
        self.known.closed + self.known.open + self.encoded(self.bits - self.known.bits)
    }

    /// About the encoded bytes of the open row group.
    fn open_bytes(&self) -> usize {
        let on_way = self.on_way.iter().filter(|chunk| Some(chunk.group) == self.open);
        let known = if Some(self.known.group) == self.open { self.known.open } else { 0 };
        known + self.encoded(on_way.map(|chunk| chunk.bits).sum())
    }

    /// About the bytes of rows of which these are the bits once they are encoded, if they are like those
    /// of which that is known.
    fn encoded(&self, bits: usize) -> usize {
        let Known { closed, open, bits: known, .. } = self.known;
        if known == 0 {
            return bits / 8;
        }
        let bytes = (closed + open) as u128 * bits as u128 / known as u128;
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    /// Ends the file and makes it visible.
    pub(crate) fn finish(self) -> Result<Object> {
        self.end()?.finish()
    }

    /// Ends the file, which is yet to be made visible.
    pub(crate) fn end(mut self) -> Result<Ended> {
        self.close_row_group()?;
        let object = self.lanes.object().to_owned();
        let file = self.lanes.into_file()?;
        let bytes = file.bytes_written();
        let has_ids = self.schema.fields().iter().any(|field| !field.metadata().is_empty());
        let metrics = has_ids.then(|| Metrics::of(file.flushed_row_groups())).flatten();
        let upload = file.into_inner().map_err(|source| Error::Parquet {
            action: "write",
            object,
            source,
        })?;
        Ok(Ended { upload, bytes, metrics })
    }
}

/// A file that is whole and that nobody sees yet. Dropping it takes everything back.
pub(crate) struct Ended {
    upload: Box<dyn Upload>,
    bytes: usize,
    metrics: Option<Metrics>,
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

    /// What its footer says of its columns, where they have ids.
    pub(crate) fn take_metrics(&mut self) -> Option<Metrics> {
        self.metrics.take()
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
