//! Staged rows in the temporary file.
//!
//! Each batch lies in it by itself, as an Arrow IPC message with the numbers of its rows behind it, and
//! belongs to one group, so that a commit reads only the group it writes.

use std::io;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::MutableBuffer;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::reader::FileDecoder;
use arrow::ipc::writer::{
    DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions, write_message,
};
use arrow::ipc::{Block, MetadataVersion};

use super::newest::Newest;
use super::temporary::{Extent, SpillFile};
use crate::error::{Error, Result};
use crate::table::projection::Projection;

/// Rows of one table in the temporary file.
#[derive(Debug)]
pub(super) struct Spill {
    file: Arc<SpillFile>,
    schema: SchemaRef,
    /// Number of the first row; those behind it are counted from it.
    first_row: u64,
    /// By group.
    pieces: Vec<Piece>,
}

/// A batch in the temporary file.
#[derive(Debug)]
struct Piece {
    group: u32,
    metadata: usize,
    body: usize,
    extent: Extent,
}

impl Spill {
    /// A place for rows that come group by group, the first of them with this number.
    pub(super) fn new(file: &Arc<SpillFile>, schema: &SchemaRef, first_row: u64) -> Self {
        Self {
            file: Arc::clone(file),
            schema: SchemaRef::clone(schema),
            first_row,
            pieces: Vec::new(),
        }
    }

    fn failed(&self, action: &'static str, error: ArrowError) -> Error {
        self.file.failed(action, io_error(error))
    }

    /// Writes rows of a group with their numbers, ascending and counted from the first.
    pub(super) fn write(&mut self, group: u32, batch: &RecordBatch, numbers: &[u32]) -> Result<()> {
        let encoded = encode(batch).map_err(|error| self.failed("write", error))?;
        let (mut bytes, metadata, body) = encoded;
        bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        let extent = Extent::of(&self.file, &bytes)?;
        self.pieces.push(Piece { group, metadata, body, extent });
        Ok(())
    }

    pub(super) fn bytes(&self) -> usize {
        self.pieces.iter().map(|piece| piece.body).sum()
    }

    /// Gives the batches of a group, as the columns of `schema`, with the positions of the rows in them
    /// that count.
    pub(super) fn each(
        &self,
        group: u32,
        schema: &SchemaRef,
        newest: &Newest,
        mut take: impl FnMut(&RecordBatch, &[u32]) -> Result<()>,
    ) -> Result<()> {
        let decoder = FileDecoder::new(SchemaRef::clone(&self.schema), MetadataVersion::V5);
        let projection =
            (self.schema != *schema).then(|| Projection::between(self.schema.fields(), schema));
        let from = self.pieces.partition_point(|piece| piece.group < group);
        let of_group = self.pieces.iter().skip(from).take_while(|piece| piece.group == group);
        for piece in of_group {
            let (mut batch, numbers) = self.read(piece, &decoder)?;
            if let Some(projection) = &projection {
                batch = projection.apply(&batch).map_err(|error| self.failed("read", error))?;
            }
            take(&batch, &self.kept(&numbers, newest)?)?;
        }
        Ok(())
    }

    /// The positions of the rows that count.
    fn kept(&self, numbers: &[u32], newest: &Newest) -> Result<Vec<u32>> {
        let row = |number: &u32| self.first_row + u64::from(*number);
        let (Some(first), Some(last)) = (numbers.first(), numbers.last()) else {
            return Ok(Vec::new());
        };
        let span = newest.span(row(first), row(last) + 1, numbers.len())?;
        let mut kept = Vec::with_capacity(numbers.len());
        for (position, number) in (0_u32..).zip(numbers) {
            if span.contains(row(number))? {
                kept.push(position);
            }
        }
        Ok(kept)
    }

    fn read(&self, piece: &Piece, decoder: &FileDecoder) -> Result<(RecordBatch, Vec<u32>)> {
        let length = piece.metadata + piece.body;
        let mut bytes = MutableBuffer::from_len_zeroed(length);
        piece.extent.read(0, &mut bytes)?;
        let behind = usize::try_from(piece.extent.length()).unwrap_or(usize::MAX) - length;
        let mut numbers = vec![0; behind];
        piece.extent.read(length as u64, &mut numbers)?;
        let numbers = numbers.as_chunks().0.iter().map(|number| u32::from_le_bytes(*number));
        let decode = || -> Result<RecordBatch, ArrowError> {
            let invalid = |_| ArrowError::IpcError("a batch is too large".into());
            let metadata = i32::try_from(piece.metadata).map_err(invalid)?;
            let body = i64::try_from(piece.body).map_err(invalid)?;
            decoder
                .read_record_batch(&Block::new(0, metadata, body), &bytes.into())?
                .ok_or_else(|| ArrowError::IpcError("a batch is missing".into()))
        };
        Ok((decode().map_err(|error| self.failed("read", error))?, numbers.collect()))
    }
}

/// A batch as an IPC message, with the lengths of its two parts.
fn encode(batch: &RecordBatch) -> Result<(Vec<u8>, usize, usize), ArrowError> {
    let options = IpcWriteOptions::default();
    let mut dictionaries = DictionaryTracker::new(false);
    let mut context = IpcWriteContext::default();
    let (_, message) =
        IpcDataGenerator::default().encode(batch, &mut dictionaries, &options, &mut context)?;
    let mut bytes = Vec::new();
    let (metadata, body) = write_message(&mut bytes, message, &options)?;
    Ok((bytes, metadata, body))
}

fn io_error(error: ArrowError) -> io::Error {
    match error {
        ArrowError::IoError(_, source) => source,
        other => io::Error::other(other),
    }
}
