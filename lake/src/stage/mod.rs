//! Rows that wait for their commit.
//!
//! A stage keeps what arrived in memory and, beyond the budget, in a temporary file. Rows know
//! their group, that is the partition and shard whose object will hold them, and of several rows
//! with one key only the newest counts. Which that is, [`keys`] says, in memory or beyond as well.
//!
//! ```text
//! Stage ── rows ──► batches ► spill (by group)  ─┐
//!   └───── keys ──► index ──► runs ──► row_set   ├──► temporary (one file)
//! Counts ─ hashes ► index ──► runs ──► sorted   ─┘
//! ```

mod batches;
mod counts;
pub(crate) mod cut;
mod entry;
mod index;
mod keys;
mod reader;
mod row_set;
mod runs;
mod sorted;
mod spill;
mod temporary;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use batches::{BATCH, Batches, Staged};
pub(crate) use counts::Counts;
use cut::Fineness;
pub(crate) use cut::{Cut, Group};
use keys::Keys;
pub(crate) use keys::OldKeys;
pub(crate) use reader::StageReader;
pub(crate) use row_set::RowSet;
use spill::Spill;
pub(crate) use temporary::SpillFile;

use crate::error::{Error, Result};
use crate::table::partition::{Misplaced, Partitioner};
use crate::table::projection::Projection;
use crate::table::{bucket, key};

/// Staged rows of one table.
#[derive(Debug)]
pub(crate) struct Stage {
    schema: SchemaRef,
    partitioner: Partitioner,
    cut: Cut,
    /// The column by whose values rows are cut, as Iceberg cuts; by their keys without one.
    bucketed: Option<usize>,
    fineness: Fineness,
    groups: Vec<Group>,
    numbers: HashMap<Group, u32>,
    batches: Batches,
    next_row: u64,
    /// Which row of each key is the newest; nothing for tables without keys.
    keys: Option<Keys>,
    /// Where rows went that did not fit into memory.
    file: Option<Arc<SpillFile>>,
    spills: Vec<Spill>,
    /// Bytes that each group has in the spills.
    spilled_bytes: Vec<usize>,
    /// Objects into which the groups of the spills were cut afterwards.
    spills_cut: u32,
    /// Spills that are gone again.
    spilled: u64,
    rows: u64,
}

impl Stage {
    /// An empty stage; with `keyed`, the newest row of each key wins.
    pub(crate) fn new(schema: SchemaRef, partitioner: Partitioner, cut: Cut, keyed: bool) -> Self {
        Self {
            schema,
            partitioner,
            cut,
            bucketed: None,
            fineness: Fineness::USUAL,
            groups: Vec::new(),
            numbers: HashMap::new(),
            batches: Batches::default(),
            next_row: 0,
            keys: keyed.then(Keys::default),
            file: None,
            spills: Vec::new(),
            spilled_bytes: Vec::new(),
            spills_cut: 1,
            spilled: 0,
            rows: 0,
        }
    }

    /// Rows are cut by the buckets of a column.
    pub(crate) fn with_buckets_of(mut self, column: usize) -> Self {
        self.bucketed = Some(column);
        self
    }

    /// Rows since the last commit, superseded ones included.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes in memory.
    pub(crate) fn memory(&self) -> usize {
        self.batches.bytes() + self.keys.as_ref().map_or(0, Keys::bytes)
    }

    /// Bytes of the rows, wherever they are.
    pub(crate) fn staged_bytes(&self) -> usize {
        self.batches.bytes() + self.spills.iter().map(Spill::bytes).sum::<usize>()
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

    /// The value of a group's hidden partition; nothing for rows that have none.
    #[allow(dead_code, reason = "it is asked with the feature `iceberg`")]
    pub(crate) fn hidden(&self, group: Group) -> Result<Option<&str>> {
        self.partitioner.hidden(group.partition)
    }

    /// The rows that are in the default partition although they have a value for another.
    pub(crate) fn misplaced(&self) -> Option<Misplaced> {
        self.partitioner.misplaced()
    }

    /// Takes the place of another stage, with rows of which that one has counted some already.
    pub(crate) fn follow(&mut self, other: &Self) {
        self.partitioner.follow(&other.partitioner);
    }

    /// The groups that have rows, in the order of their first. Where a partition was cut after its rows had
    /// come, some may have none.
    pub(crate) fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Whether there are rows that nothing covers yet.
    pub(crate) fn has_uncovered(&self) -> bool {
        self.batches.has_uncovered()
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
        let is_cut = self.cut != Cut::Into(1);
        let bucketed = self.bucketed.filter(|_| is_cut).map(|at| bucket::hashes(batch.column(at)));
        let (shards, buckets) = match (self.cut, &bucketed) {
            (Cut::Into(shards), _) => (shards, Vec::new()),
            (Cut::Open, None) => (1, hashes.iter().map(|hash| cut::bucket(*hash)).collect()),
            (Cut::Open, Some(own)) => (1, own.iter().map(|hash| cut::own_bucket(*hash)).collect()),
        };
        let partitions = self.partitioner.assign(&batch)?;
        let mut last = None;
        let groups = partitions
            .iter()
            .enumerate()
            .map(|(row, partition)| {
                let own = bucketed.as_ref().and_then(|hashes| hashes.get(row));
                let shard = match (own, hashes.get(row)) {
                    (Some(own), _) if shards > 1 => own % shards,
                    (None, Some(hash)) if shards > 1 => key::shard(*hash, shards),
                    _ => 0,
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
        let staged = Staged::new(batch, self.next_row, groups, buckets);
        self.next_row += u64::from(rows);
        self.rows += u64::from(rows);
        self.batches.push(staged, &self.schema)
    }

    /// Everything so far is covered.
    pub(crate) fn cover(&mut self) -> Result<()> {
        self.batches.cover(&self.schema)
    }

    /// Forgets rows that nothing covers. Only for stages without keys: an index would go on
    /// pointing to what is gone.
    pub(crate) fn discard_uncovered(&mut self) {
        self.rows -= self.batches.discard_uncovered();
    }

    /// The table has new columns: rows in memory get them now, spilled ones when they are read.
    pub(crate) fn realign(&mut self, projection: &Projection) -> Result<()> {
        self.batches.realign(projection)?;
        self.schema = SchemaRef::clone(projection.schema());
        Ok(())
    }

    /// Moves the rows in memory to the temporary file, and their keys where these are many or nothing
    /// else is left.
    pub(crate) fn spill(&mut self, file: &Arc<SpillFile>) -> Result<()> {
        self.file = Some(Arc::clone(file));
        let has_rows = !self.batches.is_empty();
        if let Some(first_row) = self.batches.first_row() {
            self.spill_rows(file, first_row)?;
        }
        match &mut self.keys {
            Some(keys) if !has_rows || keys.are_many(file) => keys.spill(file),
            Some(_) | None => Ok(()),
        }
    }

    fn spill_rows(&mut self, file: &Arc<SpillFile>, first_row: u64) -> Result<()> {
        let newest = self.keys.as_ref().map(|keys| keys.newest_in_memory(first_row, self.next_row));
        let newest = newest.unwrap_or(RowSet::All);
        let groups = self.batches.by_group(self.groups.len(), &newest)?;
        let open = self.is_open().then(|| (self.fineness, self.group_bytes()));
        let spill = Spill::of(file, &self.schema, &self.batches, groups, open.as_ref())?;
        self.spilled_bytes.resize(self.groups.len(), 0);
        spill.add_bytes(&mut self.spilled_bytes);
        self.spills.push(spill);
        self.batches.clear();
        Ok(())
    }

    /// Bytes of the rows of each group.
    fn group_bytes(&self) -> Vec<usize> {
        let mut bytes = self.batches.group_bytes(self.groups.len());
        for (bytes, spilled) in bytes.iter_mut().zip(&self.spilled_bytes) {
            *bytes += spilled;
        }
        bytes
    }

    /// Whether it is open into how many objects a partition is cut.
    pub(crate) fn is_open(&self) -> bool {
        self.cut == Cut::Open
    }

    /// About so many bytes of the rows, as they came, and how many they are.
    pub(crate) fn sample(&self, bytes: usize) -> Result<(Vec<RecordBatch>, usize)> {
        match self.spills.first() {
            Some(spill) => spill.sample(bytes, &self.schema),
            None => Ok(self.batches.sample(bytes)),
        }
    }

    /// Bytes of the rows of each partition, where it is open how they are cut.
    pub(crate) fn open_partitions(&self) -> Option<Vec<usize>> {
        self.is_open().then(|| self.group_bytes())
    }

    /// Cuts each partition into so many objects, where that is open, and all that come later.
    pub(crate) fn cut(&mut self, shards: u32) -> Result<()> {
        if !self.is_open() {
            return Ok(());
        }
        self.cut = Cut::Into(shards);
        self.spills_cut = shards;
        if shards == 1 {
            // Each group is an object.
            return Ok(());
        }
        let partitions = std::mem::take(&mut self.groups);
        self.numbers.clear();
        for Group { partition, .. } in partitions {
            for shard in 0..shards {
                let group = Group { partition, shard };
                number_of(&mut self.groups, &mut self.numbers, group)?;
            }
        }
        self.batches.regroup(|group, bucket| group * shards + u32::from(bucket) % shards);
        Ok(())
    }

    /// Prepares to read the rows by group.
    pub(crate) fn reader(&self) -> Result<StageReader<'_>> {
        let newest = match &self.keys {
            Some(keys) => keys.newest(self.next_row, self.file.as_ref())?,
            None => RowSet::All,
        };
        let shares = self.batches.by_group(self.groups.len(), &newest)?;
        Ok(StageReader {
            schema: &self.schema,
            numbers: &self.numbers,
            spills: &self.spills,
            spills_cut: self.spills_cut,
            batches: &self.batches,
            shares: shares.into_iter().map(reader::in_batches).collect(),
            keys: self.keys.as_ref(),
            newest,
        })
    }

    /// Takes the batches in memory that are covered, or all of them, with the group of each
    /// row. Only for stages without keys.
    pub(crate) fn drain(&mut self, all: bool) -> Vec<(RecordBatch, Vec<u32>)> {
        let drained = self.batches.drain(all);
        let drained: Vec<_> = drained.map(|staged| (staged.batch, staged.groups)).collect();
        self.rows -= drained.iter().map(|(batch, _)| batch.num_rows() as u64).sum::<u64>();
        drained
    }

    /// Forgets the rows after they were written, and keeps the groups.
    pub(crate) fn forget_rows(&mut self) {
        self.batches.clear();
        self.next_row = 0;
        self.rows = 0;
        self.spilled += self.spills.len() as u64;
        self.spills.clear();
        self.spilled_bytes.clear();
        self.spills_cut = 1;
    }

    /// Forgets everything after it was committed.
    pub(crate) fn clear(&mut self) {
        self.forget_rows();
        self.groups.clear();
        self.numbers.clear();
        self.keys = self.keys.is_some().then(Keys::default);
    }
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
