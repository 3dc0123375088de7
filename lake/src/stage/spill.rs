//! Staged rows in the temporary file.
//!
//! Each piece of them lies in it by itself, as an Arrow IPC message with the numbers of its rows and their
//! buckets behind it, and belongs to one group, so that a commit reads only the group it writes.

use std::io;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::MutableBuffer;
use arrow::compute::interleave_record_batch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::reader::FileDecoder;
use arrow::ipc::writer::{
    DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions, write_message,
};
use arrow::ipc::{Block, MetadataVersion};
use rayon::prelude::*;

use super::batches::{BATCH, Batches, Share, in_pieces, pick};
use super::cut::Fineness;
use super::row_set::RowSet;
use super::temporary::{Extent, SpillFile};
use crate::error::{Error, Result};
use crate::table::projection::Projection;

/// Rows of a piece, as far as a group has them: enough that what a piece costs by itself does not count.
const PIECE_ROWS: usize = 4096;

/// The part of the memory that a piece may take.
const PIECE_SHARE: usize = 64;

/// Rows that are put back in order at once.
const ORDERED_ROWS: usize = 4096;

/// As many pieces are read, or put in order, side by side.
const SIDE_BY_SIDE: usize = 4;

/// The part of the memory that pieces may take which are read to put their rows in order.
const ORDER_SHARE: usize = 16;

/// Rows of one table in the temporary file.
#[derive(Debug)]
pub(super) struct Spill {
    file: Arc<SpillFile>,
    schema: SchemaRef,
    /// Number of the first row; those behind it are counted from it.
    first_row: u64,
    /// By group and bucket.
    pieces: Vec<Piece>,
}

/// A batch in the temporary file.
#[derive(Debug)]
struct Piece {
    group: u32,
    /// The bucket of all its rows, of so many.
    part: u32,
    parts: u32,
    /// The number of its first row.
    first: u32,
    rows: usize,
    metadata: usize,
    body: usize,
    extent: Extent,
}

/// The rows of a group that are in one object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Portion {
    pub(super) group: u32,
    pub(super) shard: u32,
    /// The objects into which the group is cut.
    pub(super) shards: u32,
}

impl Piece {
    /// Whether it may have rows of a portion.
    fn may_have(&self, portion: Portion) -> bool {
        let common = self.parts.min(portion.shards);
        self.part % common == portion.shard % common
    }
}

/// A piece that was read.
#[derive(Debug)]
struct Read {
    batch: RecordBatch,
    numbers: Vec<u32>,
    /// The positions of the rows that count.
    kept: Vec<u32>,
}

impl Spill {
    /// Writes the rows of all groups that are in memory and count. `open` says how finely they are
    /// divided where it is open how groups are cut, and how many bytes each group has by then.
    pub(super) fn of(
        file: &Arc<SpillFile>,
        schema: &SchemaRef,
        batches: &Batches,
        groups: Vec<Vec<Share>>,
        open: Option<&(Fineness, Vec<usize>)>,
    ) -> Result<Self> {
        let first_row = batches.first_row().unwrap_or_default();
        let mut spill = Self {
            file: Arc::clone(file),
            schema: SchemaRef::clone(schema),
            first_row,
            pieces: Vec::new(),
        };
        let rows: usize = groups.iter().flatten().map(|share| share.rows.len()).sum();
        let row_bytes = batches.bytes() / rows.max(1);
        let least = (file.memory() / PIECE_SHARE / row_bytes.max(1)).clamp(1, PIECE_ROWS);
        let mut pieces = Vec::new();
        for (group, shares) in (0_u32..).zip(groups) {
            let rows: usize = shares.iter().map(|share| share.rows.len()).sum();
            let parts = open.map_or(1, |(fineness, bytes)| {
                fineness.parts(rows, bytes.get(group as usize).copied().unwrap_or_default())
            });
            let divided = if parts > 1 { batches.divide(shares, parts)? } else { vec![shares] };
            for (part, shares) in (0..).zip(divided) {
                let shares = in_pieces(shares, least).into_iter();
                pieces.extend(shares.map(|shares| (group, part, parts, shares)));
            }
        }
        let write = |(group, part, parts, shares): (u32, u32, u32, Vec<Share>)| {
            spill.write(batches, group, (part, parts), &shares)
        };
        let written: Result<Vec<Piece>> =
            file.spread(|| pieces.into_par_iter().with_max_len(1).map(write).collect());
        spill.pieces = written?;
        Ok(spill)
    }

    fn failed(&self, action: &'static str, error: ArrowError) -> Error {
        self.file.failed(action, io_error(error))
    }

    fn write(
        &self,
        batches: &Batches,
        group: u32,
        (part, parts): (u32, u32),
        shares: &[Share],
    ) -> Result<Piece> {
        let batch = batches.gather(shares)?;
        let (mut bytes, metadata, body) =
            encode(&batch).map_err(|error| self.failed("write", error))?;
        let rows = batch.num_rows();
        drop(batch);
        let mut first = None;
        for share in shares {
            let staged = batches.of(share)?;
            for row in &share.rows {
                let number = u32::try_from(staged.number(*row) - self.first_row);
                let number = number.map_err(|error| Error::broken(BATCH, error))?;
                first.get_or_insert(number);
                bytes.extend(number.to_le_bytes());
            }
        }
        let first = first.unwrap_or_default();
        for share in shares {
            let staged = batches.of(share)?;
            let buckets = share.rows.iter().filter_map(|row| staged.buckets.get(*row as usize));
            bytes.extend(buckets.flat_map(|bucket| bucket.to_le_bytes()));
        }
        let extent = Extent::of(&self.file, &bytes)?;
        Ok(Piece { group, part, parts, first, rows, metadata, body, extent })
    }

    pub(super) fn bytes(&self) -> usize {
        self.pieces.iter().map(|piece| piece.body).sum()
    }

    /// Adds the bytes of each group to those that are known of it.
    pub(super) fn add_bytes(&self, groups: &mut [usize]) {
        for piece in &self.pieces {
            if let Some(bytes) = groups.get_mut(piece.group as usize) {
                *bytes += piece.body;
            }
        }
    }

    /// Bytes of a portion's rows, about.
    pub(super) fn bytes_of(&self, portion: Portion) -> usize {
        let pieces = self.of_group(portion.group).filter(|piece| piece.may_have(portion));
        // Of a piece that is not divided as finely, a part.
        pieces.map(|piece| piece.body / (portion.shards / piece.parts).max(1) as usize).sum()
    }

    fn of_group(&self, group: u32) -> impl Iterator<Item = &Piece> {
        let from = self.pieces.partition_point(|piece| piece.group < group);
        self.pieces.iter().skip(from).take_while(move |piece| piece.group == group)
    }

    /// Gives the rows of a portion that count, in the order of their arrival, as the columns of `schema`.
    pub(super) fn each(
        &self,
        portion: Portion,
        schema: &SchemaRef,
        rows: &RowSet,
        mut take: impl FnMut(&RecordBatch) -> Result<()>,
    ) -> Result<()> {
        let decoder = FileDecoder::new(SchemaRef::clone(&self.schema), MetadataVersion::V5);
        let projection =
            (self.schema != *schema).then(|| Projection::between(self.schema.fields(), schema));
        let read = |piece: &Piece| -> Result<Read> {
            let mut read = self.read(piece, &decoder, portion, rows)?;
            if let Some(projection) = &projection {
                let batch = projection.apply(&read.batch);
                read.batch = batch.map_err(|error| self.failed("read", error))?;
            }
            Ok(read)
        };
        let mut pieces: Vec<&Piece> =
            self.of_group(portion.group).filter(|piece| piece.may_have(portion)).collect();
        let is_in_order = pieces.windows(2).all(|pair| match pair {
            [one, other] => one.part == other.part,
            _ => true,
        });
        if is_in_order {
            let read = |piece: &&Piece| -> Result<RecordBatch> {
                let Read { batch, kept, .. } = read(piece)?;
                pick(&batch, &kept)
            };
            return pieces.chunks(SIDE_BY_SIDE).try_for_each(|pieces| {
                let batches = self.file.side_by_side(pieces, read)?;
                let batches = batches.iter().filter(|batch| batch.num_rows() > 0);
                batches.into_iter().try_for_each(&mut take)
            });
        }
        // The parts side by side, a stretch of rows after the other.
        pieces.sort_by_key(|piece| piece.first);
        let mut at_hand: Vec<Read> = Vec::new();
        let mut rest = pieces.as_slice();
        while !rest.is_empty() {
            let (next, behind) = rest.split_at(self.stretch(rest));
            at_hand.extend(self.file.side_by_side(next, |piece| read(piece))?);
            rest = behind;
            // What is read later has no row before this one.
            let end = rest.first().map(|piece| piece.first);
            self.in_order(&mut at_hand, end, &mut take)?;
        }
        Ok(())
    }

    /// How many of these pieces are read next.
    fn stretch(&self, pieces: &[&Piece]) -> usize {
        let mut room = self.file.memory() / ORDER_SHARE;
        let fitting = pieces.iter().take_while(|piece| {
            let fits = room >= piece.body;
            room = room.saturating_sub(piece.body);
            fits
        });
        fitting.count().max(1)
    }

    /// About so many bytes of the rows, and how many they are.
    pub(super) fn sample(
        &self,
        bytes: usize,
        schema: &SchemaRef,
    ) -> Result<(Vec<RecordBatch>, usize)> {
        let decoder = FileDecoder::new(SchemaRef::clone(&self.schema), MetadataVersion::V5);
        let projection = Projection::between(self.schema.fields(), schema);
        let (mut sampled, mut sample) = (0, Vec::new());
        for piece in &self.pieces {
            if sampled >= bytes {
                break;
            }
            sampled += piece.body;
            let all = Portion { group: piece.group, shard: 0, shards: 1 };
            let batch = self.read(piece, &decoder, all, &RowSet::All)?.batch;
            sample.push(projection.apply(&batch).map_err(|error| self.failed("read", error))?);
        }
        Ok((sample, sampled))
    }

    fn read(
        &self,
        piece: &Piece,
        decoder: &FileDecoder,
        portion: Portion,
        rows: &RowSet,
    ) -> Result<Read> {
        let length = piece.metadata + piece.body;
        let mut bytes = MutableBuffer::from_len_zeroed(length);
        piece.extent.read(0, &mut bytes)?;
        let behind = usize::try_from(piece.extent.length()).unwrap_or(usize::MAX) - length;
        let mut notes = vec![0; behind];
        piece.extent.read(length as u64, &mut notes)?;
        let (numbers, buckets) = notes.split_at_checked(piece.rows * 4).unwrap_or_default();
        let numbers = numbers.as_chunks().0.iter().map(|number| u32::from_le_bytes(*number));
        let numbers: Vec<u32> = numbers.collect();
        let mut kept = self.kept(&numbers, rows)?;
        if piece.parts < portion.shards {
            let buckets = buckets.as_chunks().0;
            kept.retain(|row| {
                let bucket = buckets.get(*row as usize).map(|bucket| u16::from_le_bytes(*bucket));
                bucket.is_some_and(|bucket| u32::from(bucket) % portion.shards == portion.shard)
            });
        }
        let decode = || -> Result<RecordBatch, ArrowError> {
            let invalid = |_| ArrowError::IpcError("a batch is too large".into());
            let metadata = i32::try_from(piece.metadata).map_err(invalid)?;
            let body = i64::try_from(piece.body).map_err(invalid)?;
            decoder
                .read_record_batch(&Block::new(0, metadata, body), &bytes.into())?
                .ok_or_else(|| ArrowError::IpcError("a batch is missing".into()))
        };
        let batch = decode().map_err(|error| self.failed("read", error))?;
        Ok(Read { batch, numbers, kept })
    }

    /// The positions of the rows that count.
    fn kept(&self, numbers: &[u32], rows: &RowSet) -> Result<Vec<u32>> {
        let row = |number: &u32| self.first_row + u64::from(*number);
        let (Some(first), Some(last)) = (numbers.first(), numbers.last()) else {
            return Ok(Vec::new());
        };
        let span = rows.span(row(first), row(last) + 1, numbers.len())?;
        let mut kept = Vec::with_capacity(numbers.len());
        for (position, number) in (0_u32..).zip(numbers) {
            if span.contains(row(number))? {
                kept.push(position);
            }
        }
        Ok(kept)
    }

    /// Gives the rows of several pieces in the order of their numbers, as far as those before `end`, and keeps
    /// the pieces that have others.
    fn in_order(
        &self,
        pieces: &mut Vec<Read>,
        end: Option<u32>,
        mut take: impl FnMut(&RecordBatch) -> Result<()>,
    ) -> Result<()> {
        let mut places: Vec<(u32, (usize, usize))> = Vec::new();
        for (at, Read { numbers, kept, .. }) in pieces.iter_mut().enumerate() {
            let number = |row: &u32| numbers.get(*row as usize).copied().unwrap_or_default();
            let given = kept.partition_point(|row| end.is_none_or(|end| number(row) < end));
            places.extend(kept.drain(..given).map(|row| (number(&row), (at, row as usize))));
        }
        places.sort_unstable();
        let places: Vec<(usize, usize)> = places.into_iter().map(|(_, place)| place).collect();
        let batches: Vec<&RecordBatch> = pieces.iter().map(|piece| &piece.batch).collect();
        let order = |places: &&[(usize, usize)]| {
            interleave_record_batch(&batches, places).map_err(Error::arrow)
        };
        let chunks: Vec<&[(usize, usize)]> = places.chunks(ORDERED_ROWS).collect();
        chunks.chunks(SIDE_BY_SIDE).try_for_each(|chunks| {
            self.file.side_by_side(chunks, order)?.iter().try_for_each(&mut take)
        })?;
        pieces.retain(|piece| !piece.kept.is_empty());
        Ok(())
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
