//! Rows that wait in memory.

use arrow::array::{Array as _, ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, interleave_record_batch, take_record_batch};
use arrow::datatypes::SchemaRef;

use super::row_set::RowSet;
use crate::error::{Error, Result};
use crate::table::projection::Projection;

/// What a batch must be.
pub(super) const BATCH: &str = "a batch has fewer rows than 2^32";

/// Batches of fewer rows than this are put together, so that a thousand interleaved streams do not
/// leave a thousand tiny batches each.
const SMALL_ROWS: usize = 1024;

/// But not those whose columns have more bytes on average: few rows are many bytes where they are long, and
/// putting them together copies them.
const SMALL_COLUMN: usize = 4096;

/// As many small batches of about the same size in a row are put together. The result is larger
/// by about this factor, so that a row is copied but a few times.
pub(super) const SMALL_RUN: usize = 8;

/// Batches in memory, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Batches {
    staged: Vec<Staged>,
    /// Batches behind which whoever sends the rows can go on.
    covered: usize,
    bytes: usize,
}

/// A batch in memory.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) batch: RecordBatch,
    pub(super) first_row: u64,
    /// The number of each row's group.
    pub(super) groups: Vec<u32>,
    /// The bucket of each row, where it is open how rows are cut.
    pub(super) buckets: Vec<u16>,
    bytes: usize,
}

/// What a group has of a batch.
#[derive(Debug)]
pub(super) struct Share {
    /// Position of the batch.
    batch: usize,
    /// Positions of the rows in it, ascending.
    pub(super) rows: Vec<u32>,
}

impl Staged {
    pub(super) fn new(
        batch: RecordBatch,
        first_row: u64,
        groups: Vec<u32>,
        buckets: Vec<u16>,
    ) -> Self {
        let mut staged = Self { batch, first_row, groups, buckets, bytes: 0 };
        staged.bytes = staged.measure();
        staged
    }

    /// Whether it is worth putting together with others.
    fn is_small(&self) -> bool {
        self.batch.num_rows() < SMALL_ROWS && self.bytes < SMALL_COLUMN * self.batch.num_columns()
    }

    /// Bytes, with the eighth of spare room that buffers are given. How large they happen to be depends on who has
    /// filled them, and what follows from it would as well: where a row group ends early.
    fn measure(&self) -> usize {
        let values = |column: &ArrayRef| {
            let size = column.to_data().get_slice_memory_size();
            size.unwrap_or_else(|_| column.get_array_memory_size())
        };
        let values: usize = self.batch.columns().iter().map(values).sum();
        values / 8 * 9 + size_of_val(&self.groups[..]) + size_of_val(&self.buckets[..])
    }

    /// The number of a row among all of the stage.
    pub(super) fn number(&self, row: u32) -> u64 {
        self.first_row + u64::from(row)
    }
}

impl Batches {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.staged.is_empty()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.staged.len()
    }

    /// The number of the first row.
    pub(super) fn first_row(&self) -> Option<u64> {
        self.staged.first().map(|first| first.first_row)
    }

    /// The batch of a share.
    pub(super) fn of(&self, share: &Share) -> Result<&Staged> {
        let staged = self.staged.get(share.batch);
        staged.ok_or_else(|| Error::internal("a batch that a group has rows in is staged"))
    }

    /// Bytes of a share's rows.
    pub(super) fn bytes_of(&self, share: &Share) -> Result<usize> {
        let staged = self.of(share)?;
        Ok(staged.bytes / staged.groups.len().max(1) * share.rows.len())
    }

    pub(super) fn push(&mut self, staged: Staged, schema: &SchemaRef) -> Result<()> {
        self.bytes += staged.bytes;
        self.staged.push(staged);
        self.compact(schema)
    }

    /// Whether there are rows that nothing covers yet.
    pub(super) fn has_uncovered(&self) -> bool {
        self.covered < self.staged.len()
    }

    /// Everything so far is covered.
    pub(super) fn cover(&mut self, schema: &SchemaRef) -> Result<()> {
        self.covered = self.staged.len();
        self.compact(schema)
    }

    /// Puts runs of small batches at the end together. What is covered stays apart from what is
    /// not.
    fn compact(&mut self, schema: &SchemaRef) -> Result<()> {
        let level = |staged: &Staged| staged.batch.num_rows().checked_ilog(SMALL_RUN);
        let from = if self.has_uncovered() { self.covered } else { 0 };
        loop {
            let Some(last) = self.staged.last().filter(|last| last.is_small()) else {
                return Ok(());
            };
            let run = self.staged.iter().skip(from).rev();
            let is_alike = |staged: &&Staged| staged.is_small() && level(staged) == level(last);
            let run = run.take_while(is_alike).count();
            if run < SMALL_RUN {
                return Ok(());
            }
            let small = self.staged.split_off(self.staged.len() - run);
            let first_row = small.first().map(|staged| staged.first_row);
            let first_row =
                first_row.ok_or_else(|| Error::internal("a run of batches has a first"))?;
            let batch = concat_batches(schema, small.iter().map(|staged| &staged.batch))
                .map_err(Error::arrow)?;
            self.bytes -= small.iter().map(|staged| staged.bytes).sum::<usize>();
            let (mut groups, mut buckets) = (Vec::new(), Vec::new());
            for staged in small {
                groups.extend(staged.groups);
                buckets.extend(staged.buckets);
            }
            let staged = Staged::new(batch, first_row, groups, buckets);
            self.bytes += staged.bytes;
            self.staged.push(staged);
            self.covered = self.covered.min(self.staged.len());
        }
    }

    /// Brings the rows to other columns.
    pub(super) fn realign(&mut self, projection: &Projection) -> Result<()> {
        for staged in &mut self.staged {
            staged.batch = projection.apply(&staged.batch).map_err(Error::arrow)?;
            self.bytes -= staged.bytes;
            staged.bytes = staged.measure();
            self.bytes += staged.bytes;
        }
        Ok(())
    }

    /// Gives rows other groups, by the number of the one they have and their bucket. Buckets are no more
    /// needed then.
    pub(super) fn regroup(&mut self, number: impl Fn(u32, u16) -> u32) {
        for staged in &mut self.staged {
            for (group, bucket) in staged.groups.iter_mut().zip(staged.buckets.drain(..)) {
                *group = number(*group, bucket);
            }
        }
    }

    /// Takes those that are covered, or all.
    pub(super) fn drain(&mut self, all: bool) -> impl Iterator<Item = Staged> {
        let count = if all { self.staged.len() } else { self.covered };
        self.covered = 0;
        self.bytes -= self.staged.iter().take(count).map(|staged| staged.bytes).sum::<usize>();
        self.staged.drain(..count)
    }

    /// Takes those that nothing covers. How many rows they have.
    pub(super) fn discard_uncovered(&mut self) -> u64 {
        let uncovered = self.staged.drain(self.covered..);
        uncovered.fold(0, |rows, staged| {
            self.bytes -= staged.bytes;
            rows + staged.batch.num_rows() as u64
        })
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The rows that count of each group, by its number.
    pub(super) fn by_group(&self, groups: usize, rows: &RowSet) -> Result<Vec<Vec<Share>>> {
        let mut shares: Vec<Vec<Share>> = Vec::new();
        shares.resize_with(groups, Vec::new);
        for (at, staged) in self.staged.iter().enumerate() {
            let (first_row, count) = (staged.first_row, staged.groups.len());
            let span = rows.span(first_row, first_row + count as u64, count)?;
            for (row, number) in (0_u32..).zip(&staged.groups) {
                if !span.contains(staged.number(row))? {
                    continue;
                }
                let shares = shares
                    .get_mut(*number as usize)
                    .ok_or_else(|| Error::internal(format!("group {number} of a row is known")))?;
                match shares.last_mut() {
                    Some(share) if share.batch == at => share.rows.push(row),
                    Some(_) | None => shares.push(Share { batch: at, rows: vec![row] }),
                }
            }
        }
        Ok(shares)
    }

    /// Bytes of each group, as its share of the rows has them.
    pub(super) fn group_bytes(&self, groups: usize) -> Vec<usize> {
        if groups == 1 {
            return vec![self.bytes];
        }
        let mut bytes = vec![0; groups];
        for staged in &self.staged {
            let each = staged.bytes / staged.groups.len().max(1);
            for group in &staged.groups {
                if let Some(bytes) = bytes.get_mut(*group as usize) {
                    *bytes += each;
                }
            }
        }
        bytes
    }

    /// About so many bytes of the rows, and how many they are.
    pub(super) fn sample(&self, bytes: usize) -> (Vec<RecordBatch>, usize) {
        let (mut sampled, mut sample) = (0, Vec::new());
        for staged in &self.staged {
            if sampled >= bytes {
                break;
            }
            sampled += staged.bytes;
            sample.push(staged.batch.clone());
        }
        (sample, sampled)
    }

    /// Divides the shares of a group by the buckets of their rows into so many parts.
    pub(super) fn divide(&self, shares: Vec<Share>, parts: u32) -> Result<Vec<Vec<Share>>> {
        let mut divided: Vec<Vec<Share>> = Vec::new();
        divided.resize_with(parts as usize, Vec::new);
        for share in shares {
            let staged = self.of(&share)?;
            for row in share.rows {
                let bucket = staged.buckets.get(row as usize);
                let part = bucket.map(|bucket| u32::from(*bucket) % parts);
                let part = part.and_then(|part| divided.get_mut(part as usize));
                let part =
                    part.ok_or_else(|| Error::internal("a row that may be cut has a bucket"))?;
                match part.last_mut() {
                    Some(last) if last.batch == share.batch => last.rows.push(row),
                    Some(_) | None => part.push(Share { batch: share.batch, rows: vec![row] }),
                }
            }
        }
        Ok(divided)
    }

    /// The rows of some shares as one batch.
    pub(super) fn gather(&self, shares: &[Share]) -> Result<RecordBatch> {
        if let [share] = shares {
            return pick(&self.of(share)?.batch, &share.rows);
        }
        let batches = shares.iter().map(|share| Ok(&self.of(share)?.batch));
        let batches: Vec<&RecordBatch> = batches.collect::<Result<_>>()?;
        let places = shares
            .iter()
            .enumerate()
            .flat_map(|(at, share)| share.rows.iter().map(move |row| (at, *row as usize)));
        let places: Vec<(usize, usize)> = places.collect();
        interleave_record_batch(&batches, &places).map_err(Error::arrow)
    }
}

/// Shares put together so that a piece has about so many rows. What has an eighth of that is a piece by itself:
/// putting it together with others would copy it.
pub(super) fn in_pieces(shares: Vec<Share>, rows: usize) -> Vec<Vec<Share>> {
    let mut pieces: Vec<Vec<Share>> = Vec::new();
    let mut room = 0;
    for share in shares {
        let is_large = share.rows.len() >= rows.div_ceil(8);
        if is_large || room == 0 {
            pieces.push(Vec::new());
            room = rows;
        }
        room = if is_large { 0 } else { room.saturating_sub(share.rows.len()) };
        if let Some(piece) = pieces.last_mut() {
            piece.push(share);
        }
    }
    pieces
}

/// The rows at ascending positions.
pub(super) fn pick(batch: &RecordBatch, rows: &[u32]) -> Result<RecordBatch> {
    if rows.len() == batch.num_rows() {
        return Ok(batch.clone());
    }
    take_record_batch(batch, &UInt32Array::from(rows.to_vec())).map_err(Error::arrow)
}
