//! The keys of staged rows: which row of each is the newest, and which rows in the lake have one of them.

use std::sync::Arc;

use super::entry::Entry;
use super::index::HashIndex;
use super::row_set::{Bits, RowSet};
use super::runs::Runs;
use super::temporary::SpillFile;
use crate::error::{Error, Result};

/// The part of the memory that keys may take while rows can still be moved out.
const SHARE: usize = 3;

/// The newest row of each key, in memory and, beyond, in the temporary file.
#[derive(Debug, Default)]
pub(super) struct Keys {
    index: HashIndex,
    spilled: Option<Runs>,
}

impl Keys {
    /// Notes that a row is the newest of its key, by the hash of it.
    pub(super) fn insert(&mut self, hash: u128, row: u64) {
        self.index.insert(hash, row);
    }

    /// Memory in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.index.bytes() + self.spilled.as_ref().map_or(0, Runs::memory)
    }

    /// Whether the keys in memory are more than their share of it.
    pub(super) fn are_many(&self, file: &SpillFile) -> bool {
        self.index.bytes() > file.memory() / SHARE
    }

    /// Moves the keys in memory to the temporary file. No row is in memory that came before.
    pub(super) fn spill(&mut self, file: &Arc<SpillFile>) -> Result<()> {
        if self.index.is_empty() {
            return Ok(());
        }
        let entries = self.index.entries().copied().collect();
        self.spilled.get_or_insert_with(|| Runs::new(file)).push(entries)?;
        self.index = HashIndex::default();
        Ok(())
    }

    /// Which of the rows in memory, from one up to another, are so far the newest of their keys.
    pub(super) fn newest_in_memory(&self, from: u64, to: u64) -> RowSet {
        let mut bits = Bits::none(from, to);
        for entry in self.index.entries() {
            // Rows that went to the file before are none of them.
            bits.set(entry.number);
        }
        RowSet::Of(bits)
    }

    /// Which of so many rows are the newest of their keys. `file` is where rows went, if any did.
    pub(super) fn newest(&self, rows: u64, file: Option<&Arc<SpillFile>>) -> Result<RowSet> {
        RowSet::collect(rows, file, |take| {
            self.each_range(&mut |entries| {
                let same = entries.chunk_by(|left, right| left.hash() == right.hash());
                same.filter_map(<[Entry]>::last).try_for_each(|newest| take(newest.number))
            })
        })
    }

    /// Hands on all keys with their rows, range by range of their hashes where they are spilled. Of one
    /// key the newest row comes last, in the same range.
    fn each_range(&self, take: &mut dyn FnMut(&[Entry]) -> Result<()>) -> Result<()> {
        let mut entries = self.index.entries();
        let Some(spilled) = &self.spilled else {
            return entries.try_for_each(|entry| take(std::slice::from_ref(entry)));
        };
        let mut rest = Runs::new(spilled.file());
        rest.push(entries.copied().collect())?;
        Runs::each_range(&[spilled, &rest], take)
    }

    /// Whether keys are in the temporary file.
    pub(super) fn are_spilled(&self) -> bool {
        self.spilled.is_some()
    }

    /// Which of these keys are among them, all of which are in memory.
    pub(super) fn contain(&self, hashes: &[u128]) -> Result<Vec<bool>> {
        if self.are_spilled() {
            return Err(Error::internal("keys that are looked up one by one are in memory"));
        }
        Ok(hashes.iter().map(|hash| self.index.contains(*hash)).collect())
    }

    /// Which of some rows in the lake have one of these keys: both are read range by range of their hashes
    /// (a Grace hash join, <https://doi.org/10.1007/BF03037022>).
    pub(super) fn find(&self, old: OldKeys) -> Result<RowSet> {
        let OldKeys { rows, file, .. } = &old;
        let (rows, file) = (*rows, Arc::clone(file));
        let mut own = Runs::new(&file);
        own.push(self.index.entries().copied().collect())?;
        let old = old.ended()?;
        let all: Vec<&Runs> = self.spilled.iter().chain([&own, &old]).collect();
        RowSet::collect(rows, Some(&file), |take| {
            Runs::each_range(&all, &mut |entries| {
                let same = entries.chunk_by(|left, right| left.hash() == right.hash());
                for entries in same {
                    // Those of staged rows come first.
                    if entries.first().is_none_or(|first| first.number >= OLD) {
                        continue;
                    }
                    let old = entries.iter().filter_map(|entry| entry.number.checked_sub(OLD));
                    old.into_iter().try_for_each(&mut *take)?;
                }
                Ok(())
            })
        })
    }
}

/// From this number on a row is one of the lake.
const OLD: u64 = 1 << 63;

/// The keys of rows in the lake, in the order of the rows.
#[derive(Debug)]
pub(crate) struct OldKeys {
    file: Arc<SpillFile>,
    runs: Runs,
    waiting: Vec<Entry>,
    rows: u64,
}

impl OldKeys {
    /// None so far.
    pub(crate) fn new(file: &Arc<SpillFile>) -> Self {
        Self { file: Arc::clone(file), runs: Runs::new(file), waiting: Vec::new(), rows: 0 }
    }

    /// How many rows there are so far.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Adds the keys of the next rows, by their hashes.
    pub(crate) fn add(&mut self, hashes: &[u128]) -> Result<()> {
        let entries = hashes.iter().zip(self.rows..);
        self.waiting.extend(entries.map(|(hash, row)| Entry::new(*hash, row | OLD)));
        self.rows += hashes.len() as u64;
        if self.waiting.len() < self.runs.most() { Ok(()) } else { self.spill() }
    }

    /// The next rows have no key that could be among the others.
    pub(crate) fn skip(&mut self, rows: u64) {
        self.rows += rows;
    }

    /// Hands on the rows of each key that more than one row has, in their order.
    pub(crate) fn each_repeated(self, take: &mut dyn FnMut(&[u64]) -> Result<()>) -> Result<()> {
        let runs = self.ended()?;
        if runs.len() == 0 {
            return Ok(());
        }
        let mut rows = Vec::new();
        Runs::each_range(&[&runs], &mut |entries| {
            let same = entries.chunk_by(|left, right| left.hash() == right.hash());
            for entries in same.filter(|entries| entries.len() > 1) {
                rows.clear();
                rows.extend(entries.iter().map(|entry| entry.number & !OLD));
                take(&rows)?;
            }
            Ok(())
        })
    }

    fn spill(&mut self) -> Result<()> {
        self.runs.push(std::mem::take(&mut self.waiting))
    }

    fn ended(mut self) -> Result<Runs> {
        self.spill()?;
        Ok(self.runs)
    }
}
