//! Rows that wait for their commit.
//!
//! A stage keeps what arrived in memory and, beyond the budget, in a temporary file. Rows know
//! their group, that is the partition and shard whose object will hold them, and of several rows
//! with one key only the newest counts. Which that is, [`keys`] says, in memory or beyond as well.
//!
//! ```text
//! Stage ── rows ──► spill (batches by group)  ─┐
//!   └───── keys ──► index ──► runs ──► newest  ├──► temporary (one file)
//! Counts ─ hashes ► index ──► runs ──► sorted ─┘
//! ```

mod counts;
mod entry;
mod index;
mod keys;
mod newest;
mod runs;
mod sorted;
mod spill;
mod temporary;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::SchemaRef;

pub(crate) use counts::Counts;
use keys::Keys;
use newest::Newest;
use sorted::Sorted;
use spill::Spill;
pub(crate) use temporary::SpillFile;

use crate::error::{Error, Result};
use crate::table::key;
use crate::table::partition::Partitioner;
use crate::table::projection::Projection;

/// Batches smaller than this are put together, so that a thousand interleaved streams do not
/// leave a thousand tiny batches each.
const SMALL_ROWS: usize = 1024;

/// As many small batches of about the same size in a row are put together. The result is larger
/// by about this factor, so that a row is copied but a few times.
const SMALL_RUN: usize = 8;

/// What a batch must be.
const BATCH: &str = "a batch has fewer rows than 2^32";

/// A partition and a shard of it: what one object holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Group {
    /// Number of the partition.
    pub partition: u32,
    /// Number of the shard.
    pub shard: u32,
}

/// Staged rows of one table.
#[derive(Debug)]
pub(crate) struct Stage {
    schema: SchemaRef,
    partitioner: Partitioner,
    shards: u32,
    groups: Vec<Group>,
    numbers: HashMap<Group, u32>,
    batches: Vec<Staged>,
    /// Batches behind which whoever sends the rows can go on.
    covered: usize,
    bytes: usize,
    next_row: u64,
    /// Which row of each key is the newest; nothing for tables without keys.
    keys: Option<Keys>,
    /// Where rows went that did not fit into memory.
    file: Option<Arc<SpillFile>>,
    spills: Vec<Spill>,
    /// Spills that are gone again.
    spilled: u64,
    rows: u64,
}

/// What a group has of a batch in memory.
#[derive(Debug)]
struct Share {
    /// Position of the batch.
    batch: usize,
    /// Positions of the rows in it, ascending.
    rows: Vec<u32>,
}

/// A batch in memory.
#[derive(Debug)]
struct Staged {
    batch: RecordBatch,
    first_row: u64,
    groups: Vec<u32>,
    bytes: usize,
}

impl Staged {
    fn new(batch: RecordBatch, first_row: u64, groups: Vec<u32>) -> Self {
        let bytes = bytes_of(&batch, &groups);
        Self { batch, first_row, groups, bytes }
    }
}

impl Stage {
    /// An empty stage; with `keyed`, the newest row of each key wins.
    pub(crate) fn new(
        schema: SchemaRef,
        partitioner: Partitioner,
        shards: u32,
        keyed: bool,
    ) -> Self {
        Self {
            schema,
            partitioner,
            shards,
            groups: Vec::new(),
            numbers: HashMap::new(),
            batches: Vec::new(),
            covered: 0,
            bytes: 0,
            next_row: 0,
            keys: keyed.then(Keys::default),
            file: None,
            spills: Vec::new(),
            spilled: 0,
            rows: 0,
        }
    }

    /// Rows since the last commit, superseded ones included.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes in memory.
    pub(crate) fn memory(&self) -> usize {
        self.bytes + self.keys.as_ref().map_or(0, Keys::bytes)
    }

    /// Bytes of the rows, wherever they are.
    pub(crate) fn staged_bytes(&self) -> usize {
        self.bytes + self.spills.iter().map(Spill::bytes).sum::<usize>()
    }

    /// How often rows went to temporary files.
    pub(crate) fn spills(&self) -> u64 {
        self.spilled + self.spills.len() as u64
    }

    /// Whether rows are in temporary files now.
    pub(crate) fn is_spilled(&self) -> bool {
        !self.spills.is_empty()
    }

    /// The columns that rows must have.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The folder of a group's partition, with a slash behind it; empty without partitions.
    pub(crate) fn folder(&self, group: Group) -> Result<String> {
        self.partitioner.folder(group.partition)
    }

    /// The groups that have rows, in the order of their first.
    pub(crate) fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Whether there are rows that nothing covers yet.
    pub(crate) fn has_uncovered(&self) -> bool {
        self.covered < self.batches.len()
    }

    /// Adds rows of the table's columns; `hashes` are those of their keys.
    pub(crate) fn push(&mut self, batch: RecordBatch, hashes: &[u128]) -> Result<()> {
        let rows = u32::try_from(batch.num_rows()).map_err(|error| Error::broken(BATCH, error))?;
        if rows == 0 {
            return Ok(());
        }
        let is_hashed = hashes.len() == batch.num_rows();
        if !is_hashed && (self.keys.is_some() || !hashes.is_empty()) {
            return Err(Error::internal(format!(
                "each of {rows} rows has the hash of its key; there are {}",
                hashes.len()
            )));
        }
        let partitions = self.partitioner.assign(&batch)?;
        let mut last = None;
        let groups = partitions
            .iter()
            .enumerate()
            .map(|(row, partition)| {
                let shard = match hashes.get(row) {
                    Some(hash) if self.shards > 1 => key::shard(*hash, self.shards),
                    Some(_) | None => 0,
                };
                let group = Group { partition: *partition, shard };
                match last {
                    Some((known, number)) if known == group => Ok(number),
                    Some(_) | None => {
                        let number = number_of(&mut self.groups, &mut self.numbers, group)?;
                        last = Some((group, number));
                        Ok(number)
                    }
                }
            })
            .collect::<Result<_>>()?;
        if let Some(keys) = &mut self.keys {
            for (hash, row) in hashes.iter().zip(self.next_row..) {
                keys.insert(*hash, row);
            }
        }
        let staged = Staged::new(batch, self.next_row, groups);
        self.bytes += staged.bytes;
        self.batches.push(staged);
        self.next_row += u64::from(rows);
        self.rows += u64::from(rows);
        self.compact()
    }

    /// Everything so far is covered.
    pub(crate) fn cover(&mut self) -> Result<()> {
        self.covered = self.batches.len();
        self.compact()
    }

    /// Forgets rows that nothing covers. Only for stages without keys: an index would go on
    /// pointing to what is gone.
    pub(crate) fn discard_uncovered(&mut self) {
        for staged in self.batches.drain(self.covered..) {
            self.bytes -= staged.bytes;
            self.rows -= staged.batch.num_rows() as u64;
        }
    }

    /// Puts runs of small batches at the end together. What is covered stays apart from what is
    /// not.
    fn compact(&mut self) -> Result<()> {
        let level = |staged: &Staged| staged.batch.num_rows().checked_ilog(SMALL_RUN);
        let from = if self.has_uncovered() { self.covered } else { 0 };
        loop {
            let Some(last) = self.batches.last().filter(|last| last.batch.num_rows() < SMALL_ROWS)
            else {
                return Ok(());
            };
            let run = self.batches.iter().skip(from).rev();
            let run = run.take_while(|staged| level(staged) == level(last)).count();
            if run < SMALL_RUN {
                return Ok(());
            }
            let small = self.batches.split_off(self.batches.len() - run);
            let first_row = small.first().map(|staged| staged.first_row);
            let first_row =
                first_row.ok_or_else(|| Error::internal("a run of batches has a first"))?;
            let batch = concat_batches(&self.schema, small.iter().map(|staged| &staged.batch))
                .map_err(Error::arrow)?;
            self.bytes -= small.iter().map(|staged| staged.bytes).sum::<usize>();
            let groups = small.into_iter().flat_map(|staged| staged.groups).collect();
            let staged = Staged::new(batch, first_row, groups);
            self.bytes += staged.bytes;
            self.batches.push(staged);
            self.covered = self.covered.min(self.batches.len());
        }
    }

    /// The table has new columns: rows in memory get them now, spilled ones when they are read.
    pub(crate) fn realign(&mut self, projection: &Projection) -> Result<()> {
        for staged in &mut self.batches {
            staged.batch = projection.apply(&staged.batch).map_err(Error::arrow)?;
            self.bytes -= staged.bytes;
            staged.bytes = bytes_of(&staged.batch, &staged.groups);
            self.bytes += staged.bytes;
        }
        self.schema = SchemaRef::clone(projection.schema());
        Ok(())
    }

    /// Moves the rows in memory to the temporary file, and their keys where these are many or nothing
    /// else is left.
    pub(crate) fn spill(&mut self, file: &Arc<SpillFile>) -> Result<()> {
        self.file = Some(Arc::clone(file));
        let has_rows = !self.batches.is_empty();
        if let Some(first_row) = self.batches.first().map(|first| first.first_row) {
            self.spill_rows(file, first_row)?;
        }
        match &mut self.keys {
            Some(keys) if !has_rows || keys.are_many(file) => keys.spill(file),
            Some(_) | None => Ok(()),
        }
    }

    fn spill_rows(&mut self, file: &Arc<SpillFile>, first_row: u64) -> Result<()> {
        let mut spill = Spill::new(file, &self.schema, first_row);
        let newest = self.keys.as_ref().map(|keys| keys.newest_in_memory(first_row, self.next_row));
        let groups = self.by_group(newest.as_ref().unwrap_or(&Newest::All))?;
        for (number, shares) in (0..).zip(groups) {
            for Share { batch, rows } in shares {
                let staged = self.batches.get(batch).ok_or_else(no_batch)?;
                let batch = pick(&staged.batch, &rows)?;
                let first = u32::try_from(staged.first_row - first_row);
                let first = first.map_err(|error| Error::broken(BATCH, error))?;
                let numbers: Vec<u32> = rows.iter().map(|row| first + row).collect();
                spill.write(number, &batch, &numbers)?;
            }
        }
        self.spills.push(spill);
        self.batches.clear();
        self.covered = 0;
        self.bytes = 0;
        Ok(())
    }

    /// The rows in memory that still count, by the number of their group.
    fn by_group(&self, newest: &Newest) -> Result<Vec<Vec<Share>>> {
        let mut groups: Vec<Vec<Share>> = Vec::new();
        groups.resize_with(self.groups.len(), Vec::new);
        for (at, staged) in self.batches.iter().enumerate() {
            let (first_row, rows) = (staged.first_row, staged.groups.len());
            let span = newest.span(first_row, first_row + rows as u64, rows)?;
            for (row, number) in (0_u32..).zip(&staged.groups) {
                if !span.contains(first_row + u64::from(row))? {
                    continue;
                }
                let shares = groups
                    .get_mut(*number as usize)
                    .ok_or_else(|| Error::internal(format!("group {number} of a row is known")))?;
                match shares.last_mut() {
                    Some(share) if share.batch == at => share.rows.push(row),
                    Some(_) | None => shares.push(Share { batch: at, rows: vec![row] }),
                }
            }
        }
        Ok(groups)
    }

    /// Prepares to read the rows by group.
    pub(crate) fn reader(&self) -> Result<StageReader<'_>> {
        let newest = match &self.keys {
            Some(keys) => keys.newest(self.next_row, self.file.as_ref())?,
            None => Newest::All,
        };
        let groups = self.by_group(&newest)?;
        Ok(StageReader { stage: self, groups, newest, sorted: RefCell::default() })
    }

    /// Takes the batches in memory that are covered, or all of them, with the group of each
    /// row. Only for stages without keys.
    pub(crate) fn drain(&mut self, all: bool) -> Vec<(RecordBatch, Vec<u32>)> {
        let count = if all { self.batches.len() } else { self.covered };
        let drained: Vec<_> = self
            .batches
            .drain(..count)
            .map(|staged| {
                self.bytes -= staged.bytes;
                self.rows -= staged.batch.num_rows() as u64;
                (staged.batch, staged.groups)
            })
            .collect();
        self.covered = 0;
        drained
    }

    /// Forgets the rows after they were written, and keeps the groups.
    pub(crate) fn forget_rows(&mut self) {
        self.batches.clear();
        self.covered = 0;
        self.bytes = 0;
        self.next_row = 0;
        self.rows = 0;
        self.spilled += self.spills.len() as u64;
        self.spills.clear();
    }

    /// Forgets everything after it was committed.
    pub(crate) fn clear(&mut self) {
        self.forget_rows();
        self.groups.clear();
        self.numbers.clear();
        self.keys = self.keys.is_some().then(Keys::default);
    }
}

/// Reads staged rows by group, those that count.
#[derive(Debug)]
pub(crate) struct StageReader<'a> {
    stage: &'a Stage,
    groups: Vec<Vec<Share>>,
    newest: Newest,
    /// The spilled keys, once somebody has asked for one.
    sorted: RefCell<Option<Sorted>>,
}

impl StageReader<'_> {
    /// Gives the rows of one group batch by batch, as the table's columns.
    pub(crate) fn each(
        &self,
        group: Group,
        mut take: impl FnMut(&RecordBatch) -> Result<()>,
    ) -> Result<()> {
        let number = self.stage.numbers.get(&group).copied();
        let number = number.ok_or_else(|| Error::internal(format!("{group:?} has staged rows")))?;
        for spill in &self.stage.spills {
            spill.each(number, &self.stage.schema, &self.newest, |batch, rows| {
                take(&pick(batch, rows)?)
            })?;
        }
        for Share { batch, rows } in self.groups.get(number as usize).into_iter().flatten() {
            let staged = self.stage.batches.get(*batch).ok_or_else(no_batch)?;
            take(&pick(&staged.batch, rows)?)?;
        }
        Ok(())
    }

    /// Which rows in the lake are replaced by staged ones, by the hashes of their keys.
    pub(crate) fn replaces(&self, hashes: &[u128]) -> Result<Vec<bool>> {
        match &self.stage.keys {
            Some(keys) => keys.contain(hashes, &mut self.sorted.borrow_mut()),
            None => Ok(vec![false; hashes.len()]),
        }
    }
}

/// Bytes of a batch and of the numbers of its groups.
fn bytes_of(batch: &RecordBatch, groups: &[u32]) -> usize {
    batch.get_array_memory_size() + size_of_val(groups)
}

/// The rows at ascending positions.
fn pick(batch: &RecordBatch, rows: &[u32]) -> Result<RecordBatch> {
    if rows.len() == batch.num_rows() {
        return Ok(batch.clone());
    }
    take_record_batch(batch, &UInt32Array::from(rows.to_vec())).map_err(Error::arrow)
}

fn number_of(
    groups: &mut Vec<Group>,
    numbers: &mut HashMap<Group, u32>,
    group: Group,
) -> Result<u32> {
    if let Some(number) = numbers.get(&group) {
        return Ok(*number);
    }
    let number = u32::try_from(groups.len())
        .map_err(|error| Error::broken("a table has fewer groups than 2^32", error))?;
    groups.push(group);
    numbers.insert(group, number);
    Ok(number)
}

fn no_batch() -> Error {
    Error::internal("a batch that a group has rows in is staged")
}
