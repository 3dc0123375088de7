//! The columns of a file, each encoded at its own pace.
//!
//! A lane is some columns with a queue. While one is still at a chunk, or at the end of a row group,
//! others are at the next; who sends the rows waits for none, but for a chunk some way back, so that
//! what is on its way is bounded. A row group whose lanes have all ended goes to the file.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::concat;
use arrow::datatypes::{DataType, SchemaRef};
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, compute_leaves};
use parquet::errors::ParquetError;
use parquet::file::writer::SerializedFileWriter;
use rayon::prelude::*;

use super::actor::{Actor, Crew};
use crate::allowance::Permit;
use crate::error::{Error, Result};
use crate::store::Upload;

/// Lanes of a file: more than any machine has cores, and few enough to be asked one by one.
const LANES: usize = 256;

/// What the encoder of a column takes before it holds a value.
pub(crate) const ENCODER_BYTES: usize = 64 * 1024;

/// The file below the lanes.
pub(super) type Output = SerializedFileWriter<Box<dyn Upload>>;

/// The rows of a chunk on their way through the lanes.
#[derive(Debug)]
struct Rows {
    batches: Vec<RecordBatch>,
    _permit: Permit,
}

/// How large a file has become by a chunk. It is known once all lanes have passed it.
#[derive(Debug)]
pub(super) struct Passage {
    /// Lanes that are yet to pass.
    left: AtomicUsize,
    /// Encoded bytes of closed row groups.
    closed: AtomicUsize,
    /// Encoded bytes of the open row group.
    open: AtomicUsize,
    /// Bytes that the encoders take.
    memory: AtomicUsize,
}

impl Passage {
    pub(super) fn is_over(&self) -> bool {
        self.left.load(Ordering::Acquire) == 0
    }

    pub(super) fn closed(&self) -> usize {
        self.closed.load(Ordering::Relaxed)
    }

    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    pub(super) fn memory(&self) -> usize {
        self.memory.load(Ordering::Relaxed)
    }
}

/// The end of a row group, which each lane comes to.
#[derive(Debug)]
struct GroupEnd {
    left: AtomicUsize,
    chunks: Vec<Mutex<Vec<ArrowColumnChunk>>>,
}

/// What comes to a lane.
#[derive(Debug)]
enum Work {
    /// A row group begins.
    Begin(Vec<ArrowColumnWriter>),
    /// Rows of it.
    Encode(Arc<Rows>, Arc<Passage>),
    /// It ends.
    End(Arc<GroupEnd>),
}

/// The encoders of a lane.
#[derive(Debug, Default)]
struct Encoders {
    writers: Vec<ArrowColumnWriter>,
    closed: usize,
}

/// What all lanes share.
#[derive(Debug)]
struct Shared {
    crew: Arc<Crew>,
    schema: SchemaRef,
    file: Arc<Actor<Output, Vec<ArrowColumnChunk>>>,
    object: String,
}

#[derive(Debug)]
struct Lane {
    number: usize,
    /// Positions of its columns.
    columns: Range<usize>,
    /// Their leaves.
    leaves: usize,
    encoders: Arc<Actor<Encoders, Work>>,
}

/// The lanes of a file. Dropping them ends the work.
#[derive(Debug)]
pub(super) struct Lanes {
    shared: Arc<Shared>,
    lanes: Vec<Lane>,
}

impl Lanes {
    pub(super) fn new(
        file: Output,
        schema: &SchemaRef,
        pool: Arc<rayon::ThreadPool>,
        object: String,
    ) -> Self {
        let fields = schema.fields();
        let width = fields.len().div_ceil(LANES).max(1);
        let lanes = (0..fields.len().max(1)).step_by(width).enumerate().map(|(number, from)| {
            let columns = from..(from + width).min(fields.len());
            let own = fields.iter().skip(columns.start).take(columns.len());
            let leaves = own.map(|field| leaves(field.data_type())).sum();
            let encoders = Arc::new(Actor::new(Encoders::default()));
            Lane { number, columns, leaves, encoders }
        });
        Self {
            lanes: lanes.collect(),
            shared: Arc::new(Shared {
                crew: Arc::new(Crew::new(pool)),
                schema: SchemaRef::clone(schema),
                file: Arc::new(Actor::new(file)),
                object,
            }),
        }
    }

    /// The file in errors.
    pub(super) fn object(&self) -> &str {
        &self.shared.object
    }

    /// Columns of values.
    pub(super) fn leaves(&self) -> usize {
        self.lanes.iter().map(|lane| lane.leaves).sum()
    }

    /// Begins a row group.
    pub(super) fn begin(&self, writers: Vec<ArrowColumnWriter>) -> Result<()> {
        if writers.len() != self.leaves() {
            return Err(Error::internal("every leaf of the columns has an encoder"));
        }
        let mut writers = writers.into_iter();
        for lane in &self.lanes {
            self.send(lane, Work::Begin(writers.by_ref().take(lane.leaves).collect()));
        }
        Ok(())
    }

    /// Sends rows through all lanes.
    pub(super) fn encode(&self, batches: Vec<RecordBatch>, permit: Permit) -> Result<Arc<Passage>> {
        let rows = Arc::new(Rows { batches, _permit: permit });
        let passage = Arc::new(Passage {
            left: AtomicUsize::new(self.lanes.len()),
            closed: AtomicUsize::default(),
            open: AtomicUsize::default(),
            memory: AtomicUsize::default(),
        });
        for lane in &self.lanes {
            self.send(lane, Work::Encode(Arc::clone(&rows), Arc::clone(&passage)));
        }
        drop(rows);
        if self.shared.crew.is_single() {
            self.wait(&passage)?;
        }
        Ok(passage)
    }

    /// Ends the row group.
    pub(super) fn end(&self) -> Result<()> {
        let chunks = self.lanes.iter().map(|_| Mutex::default()).collect();
        let end = Arc::new(GroupEnd { left: AtomicUsize::new(self.lanes.len()), chunks });
        for lane in &self.lanes {
            self.send(lane, Work::End(Arc::clone(&end)));
        }
        if self.shared.crew.is_single() { self.wait_for_all() } else { Ok(()) }
    }

    /// Waits until all lanes have passed.
    pub(super) fn wait(&self, passage: &Passage) -> Result<()> {
        self.shared.crew.wait(|| passage.is_over())
    }

    /// Waits until everything is done that was sent.
    pub(super) fn wait_for_all(&self) -> Result<()> {
        self.shared.crew.wait_for_all();
        self.shared.crew.wait(|| true)
    }

    /// The file, once everything is done.
    pub(super) fn into_file(self) -> Result<Output> {
        self.wait_for_all()?;
        let file = self.shared.file.take();
        file.ok_or_else(|| Error::internal("nobody has the file once all are done"))
    }

    fn send(&self, lane: &Lane, work: Work) {
        let (shared, number) = (Arc::clone(&self.shared), lane.number);
        let columns = lane.columns.clone();
        lane.encoders.send(&self.shared.crew, work, move |encoders, work| {
            if shared.crew.has_failed() {
                return;
            }
            let outcome = match work {
                Work::Begin(writers) => {
                    encoders.writers = writers;
                    Ok(())
                }
                Work::Encode(rows, passage) => {
                    let encoded = shared.encode(encoders, &columns, &rows.batches);
                    drop(rows);
                    encoded.map(|()| shared.pass(encoders, &passage))
                }
                Work::End(end) => shared.end(encoders, number, &end),
            };
            if let Err(error) = outcome {
                shared.fail(error);
            }
        });
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        self.shared.crew.dismiss();
        self.shared.crew.wait_for_all();
    }
}

impl Shared {
    fn fail(&self, source: ParquetError) {
        let object = self.object.clone();
        self.crew.fail(Error::Parquet { action: "write", object, source });
    }

    fn encode(
        &self,
        encoders: &mut Encoders,
        columns: &Range<usize>,
        batches: &[RecordBatch],
    ) -> std::result::Result<(), ParquetError> {
        let mut writers = encoders.writers.as_mut_slice();
        let fields = self.schema.fields().iter().enumerate();
        for (at, field) in fields.skip(columns.start).take(columns.len()) {
            // Written at once, so that pages end where they do however the rows came.
            let leaves = compute_leaves(field, &whole(batches, at)?)?;
            let (own, others) = writers.split_at_mut(leaves.len().min(writers.len()));
            writers = others;
            match (own, leaves.as_slice()) {
                ([writer], [leaf]) => writer.write(leaf)?,
                (writers, leaves) => {
                    let work = writers.par_iter_mut().zip(leaves).with_max_len(1);
                    work.try_for_each(|(writer, leaf)| writer.write(leaf))?;
                }
            }
        }
        Ok(())
    }

    /// Says how large the columns of a lane are now.
    fn pass(&self, encoders: &Encoders, passage: &Passage) {
        let writers = || encoders.writers.iter();
        let open = writers().map(ArrowColumnWriter::get_estimated_total_bytes).sum();
        let memory = writers().map(|writer| writer.memory_size() + ENCODER_BYTES).sum();
        passage.closed.fetch_add(encoders.closed, Ordering::Relaxed);
        passage.open.fetch_add(open, Ordering::Relaxed);
        passage.memory.fetch_add(memory, Ordering::Relaxed);
        if passage.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.crew.tell();
        }
    }

    /// Ends the columns of a lane. Behind the last lane the row group goes to the file.
    fn end(
        &self,
        encoders: &mut Encoders,
        number: usize,
        end: &GroupEnd,
    ) -> std::result::Result<(), ParquetError> {
        let writers = std::mem::take(&mut encoders.writers).into_iter();
        let chunks =
            writers.map(ArrowColumnWriter::close).collect::<std::result::Result<Vec<_>, _>>()?;
        let bytes = chunks.iter().map(|chunk| chunk.close().bytes_written);
        encoders.closed += usize::try_from(bytes.sum::<u64>()).unwrap_or(usize::MAX);
        let lock = |slot: &Mutex<Vec<ArrowColumnChunk>>| {
            std::mem::take(&mut *slot.lock().unwrap_or_else(PoisonError::into_inner))
        };
        if let Some(slot) = end.chunks.get(number) {
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = chunks;
        }
        if end.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            let chunks = end.chunks.iter().flat_map(lock).collect();
            let crew = Arc::clone(&self.crew);
            let object = self.object.clone();
            self.file.send(&self.crew, chunks, move |file, chunks| {
                if crew.has_failed() {
                    return;
                }
                if let Err(source) = write(file, chunks) {
                    crew.fail(Error::Parquet { action: "write", object: object.clone(), source });
                }
            });
        }
        Ok(())
    }
}

/// Writes a row group.
fn write(
    file: &mut Output,
    chunks: Vec<ArrowColumnChunk>,
) -> std::result::Result<(), ParquetError> {
    let mut group = file.next_row_group()?;
    for chunk in chunks {
        chunk.append_to_row_group(&mut group)?;
    }
    group.close().map(drop)
}

/// A column of some batches in one piece.
fn whole(batches: &[RecordBatch], column: usize) -> std::result::Result<ArrayRef, ParquetError> {
    if let [batch] = batches {
        return Ok(Arc::clone(batch.column(column)));
    }
    let pieces: Vec<&dyn Array> =
        batches.iter().map(|batch| batch.column(column).as_ref()).collect();
    Ok(concat(&pieces)?)
}

/// How many columns of values a type has.
fn leaves(data_type: &DataType) -> usize {
    match data_type {
        DataType::Struct(fields) => fields.iter().map(|field| leaves(field.data_type())).sum(),
        DataType::List(element) => leaves(element.data_type()),
        _ => 1,
    }
}
