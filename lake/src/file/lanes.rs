//! The columns of a file, each encoded at its own pace.
//!
//! A lane is some columns with a queue, or one leaf of a nested column, which another queue takes apart.
//! While one is still at a chunk, or at the end of a row group, others are at the next; who sends the
//! rows waits for none, but for a chunk some way back, so that what is on its way is bounded. A row
//! group whose lanes have all ended goes to the file.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::concat;
use arrow::datatypes::{DataType, SchemaRef};
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowLeafColumn, compute_leaves,
};
use parquet::errors::ParquetError;
use parquet::file::writer::SerializedFileWriter;

use super::actor::{Actor, Crew};
use crate::allowance::Permit;
use crate::error::{Error, Result};
use crate::store::Upload;

/// About as many lanes as a file has at most: more than any machine has cores.
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
    Encode(Values, Arc<Rows>, Arc<Passage>),
    /// It ends.
    End(Arc<GroupEnd>),
}

/// What a lane encodes of rows.
#[derive(Debug)]
enum Values {
    /// The columns at these positions.
    Columns(Range<usize>),
    /// Leaves of a nested column.
    Leaves(Vec<ArrowLeafColumn>),
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

/// Encoders that work one after the other.
#[derive(Debug)]
struct Lane {
    number: usize,
    leaves: usize,
    encoders: Arc<Actor<Encoders, Work>>,
}

/// Columns and their way to their encoders.
#[derive(Debug)]
enum Track {
    /// A lane encodes them.
    Together(Range<usize>, Lane),
    /// A column of many leaves is taken apart, for lanes of its own.
    Apart(usize, Arc<Actor<(), Work>>, Arc<[Lane]>),
}

impl Track {
    fn lanes(&self) -> &[Lane] {
        match self {
            Self::Together(_, lane) => std::slice::from_ref(lane),
            Self::Apart(_, _, lanes) => lanes,
        }
    }

    fn columns(&self) -> Range<usize> {
        match self {
            Self::Together(columns, _) => columns.clone(),
            Self::Apart(column, ..) => *column..*column + 1,
        }
    }

    fn leaves(&self) -> usize {
        self.lanes().iter().map(|lane| lane.leaves).sum()
    }
}

/// The lanes of a file. Dropping them ends the work.
#[derive(Debug)]
pub(super) struct Lanes {
    shared: Arc<Shared>,
    tracks: Vec<Track>,
    /// How many there are.
    count: usize,
}

impl Lanes {
    pub(super) fn new(
        file: Output,
        schema: &SchemaRef,
        pool: Arc<rayon::ThreadPool>,
        object: String,
    ) -> Self {
        let tracks = tracks(schema);
        Self {
            count: tracks.iter().map(|track| track.lanes().len()).sum(),
            tracks,
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
        self.tracks.iter().map(Track::leaves).sum()
    }

    /// Begins a row group.
    pub(super) fn begin(&self, writers: Vec<ArrowColumnWriter>) -> Result<()> {
        if writers.len() != self.leaves() {
            return Err(Error::internal("every leaf of the columns has an encoder"));
        }
        let mut writers = writers.into_iter();
        for track in &self.tracks {
            let own = writers.by_ref().take(track.leaves()).collect();
            self.shared.send(track, Work::Begin(own));
        }
        Ok(())
    }

    /// Sends rows through all lanes.
    pub(super) fn encode(&self, batches: Vec<RecordBatch>, permit: Permit) -> Result<Arc<Passage>> {
        let rows = Arc::new(Rows { batches, _permit: permit });
        let passage = Arc::new(Passage {
            left: AtomicUsize::new(self.count),
            closed: AtomicUsize::default(),
            open: AtomicUsize::default(),
            memory: AtomicUsize::default(),
        });
        for track in &self.tracks {
            let columns = Values::Columns(track.columns());
            let work = Work::Encode(columns, Arc::clone(&rows), Arc::clone(&passage));
            self.shared.send(track, work);
        }
        drop(rows);
        if self.shared.crew.is_single() {
            self.wait(&passage)?;
        }
        Ok(passage)
    }

    /// Ends the row group.
    pub(super) fn end(&self) -> Result<()> {
        let chunks = (0..self.count).map(|_| Mutex::default()).collect();
        let end = Arc::new(GroupEnd { left: AtomicUsize::new(self.count), chunks });
        for track in &self.tracks {
            self.shared.send(track, Work::End(Arc::clone(&end)));
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

    /// Sends work on the way of some columns.
    fn send(self: &Arc<Self>, track: &Track, work: Work) {
        match track {
            Track::Together(_, lane) => self.send_to(lane, work),
            Track::Apart(_, taker, lanes) => {
                let (shared, lanes) = (Arc::clone(self), Arc::clone(lanes));
                taker.send(&self.crew, work, move |(), work| shared.take_apart(&lanes, work));
            }
        }
    }

    /// Divides the work for a nested column among the lanes of its leaves.
    fn take_apart(self: &Arc<Self>, lanes: &[Lane], work: Work) {
        if self.crew.has_failed() {
            return;
        }
        match work {
            Work::Begin(writers) => {
                let mut writers = writers.into_iter();
                for lane in lanes {
                    let own = writers.by_ref().take(lane.leaves).collect();
                    self.send_to(lane, Work::Begin(own));
                }
            }
            Work::Encode(values, rows, passage) => match self.leaves(values, &rows.batches) {
                Ok(leaves) => {
                    let mut leaves = leaves.into_iter();
                    for lane in lanes {
                        let own = Values::Leaves(leaves.by_ref().take(lane.leaves).collect());
                        let (rows, passage) = (Arc::clone(&rows), Arc::clone(&passage));
                        self.send_to(lane, Work::Encode(own, rows, passage));
                    }
                }
                Err(error) => self.fail(error),
            },
            Work::End(end) => {
                for lane in lanes {
                    self.send_to(lane, Work::End(Arc::clone(&end)));
                }
            }
        }
    }

    fn send_to(self: &Arc<Self>, lane: &Lane, work: Work) {
        let (shared, number) = (Arc::clone(self), lane.number);
        lane.encoders.send(&self.crew, work, move |encoders, work| {
            if shared.crew.has_failed() {
                return;
            }
            let outcome = match work {
                Work::Begin(writers) => {
                    encoders.writers = writers;
                    Ok(())
                }
                Work::Encode(values, rows, passage) => {
                    let encoded = shared.encode(encoders, values, &rows.batches);
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

    fn encode(
        &self,
        encoders: &mut Encoders,
        values: Values,
        batches: &[RecordBatch],
    ) -> std::result::Result<(), ParquetError> {
        let leaves = self.leaves(values, batches)?;
        encoders.writers.iter_mut().zip(&leaves).try_for_each(|(writer, leaf)| writer.write(leaf))
    }

    /// The leaves of columns. They are written at once, so that pages end where they do however the rows
    /// came.
    fn leaves(
        &self,
        values: Values,
        batches: &[RecordBatch],
    ) -> std::result::Result<Vec<ArrowLeafColumn>, ParquetError> {
        let columns = match values {
            Values::Leaves(leaves) => return Ok(leaves),
            Values::Columns(columns) => columns,
        };
        let mut leaves = Vec::new();
        let fields = self.schema.fields().iter().enumerate();
        for (at, field) in fields.skip(columns.start).take(columns.len()) {
            leaves.extend(compute_leaves(field, &whole(batches, at)?)?);
        }
        Ok(leaves)
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

/// The ways of the columns: many of few leaves share a lane where there are very many, and one of more
/// is taken apart.
fn tracks(schema: &SchemaRef) -> Vec<Track> {
    let leaves: Vec<usize> =
        schema.fields().iter().map(|field| leaves(field.data_type())).collect();
    let width = leaves.iter().sum::<usize>().div_ceil(LANES).max(1);
    let mut numbers = 0..;
    let mut lane = |leaves| Lane {
        number: numbers.next().unwrap_or_default(),
        leaves,
        encoders: Arc::new(Actor::new(Encoders::default())),
    };
    let mut tracks = Vec::new();
    let mut rest = leaves.into_iter().enumerate().peekable();
    while let Some((column, own)) = rest.next() {
        if own > width {
            let lanes = (0..own).step_by(width).map(|from| lane(width.min(own - from)));
            tracks.push(Track::Apart(column, Arc::new(Actor::new(())), lanes.collect()));
            continue;
        }
        let (mut end, mut together) = (column + 1, own);
        while let Some((next, more)) = rest.next_if(|(_, more)| together + more <= width) {
            (end, together) = (next + 1, together + more);
        }
        tracks.push(Track::Together(column..end, lane(together)));
    }
    if tracks.is_empty() {
        // Rows without columns are counted as well.
        tracks.push(Track::Together(0..0, lane(0)));
    }
    tracks
}

/// How many columns of values a type has.
fn leaves(data_type: &DataType) -> usize {
    match data_type {
        DataType::Struct(fields) => fields.iter().map(|field| leaves(field.data_type())).sum(),
        DataType::List(element) => leaves(element.data_type()),
        _ => 1,
    }
}
