//! The keys of staged rows: which row of each is the newest.

use std::sync::Arc;

use super::entry::Entry;
use super::index::HashIndex;
use super::newest::{Bits, Newest};
use super::runs::Runs;
use super::sorted::{Sorted, ascending};
use super::temporary::SpillFile;
use crate::error::Result;

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
    pub(super) fn newest_in_memory(&self, from: u64, to: u64) -> Newest {
        let mut bits = Bits::none(from, to);
        for entry in self.index.entries() {
            // Rows that went to the file before are none of them.
            bits.set(entry.number);
        }
        Newest::Of(bits)
    }

    /// Which of so many rows are the newest of their keys. `file` is where rows went, if any did.
    pub(super) fn newest(&self, rows: u64, file: Option<&Arc<SpillFile>>) -> Result<Newest> {
        Newest::collect(rows, file, |take| {
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

    /// Which of these keys are among them. `sorted` is made when it is first needed.
    pub(super) fn contain(
        &self,
        hashes: &[u128],
        sorted: &mut Option<Sorted>,
    ) -> Result<Vec<bool>> {
        let Some(spilled) = &self.spilled else {
            return Ok(hashes.iter().map(|hash| self.index.contains(*hash)).collect());
        };
        let sorted = match sorted {
            Some(sorted) => sorted,
            None => sorted.insert(Sorted::of(spilled, |_, row| row)?),
        };
        let mut found = vec![false; hashes.len()];
        for (at, hash) in ascending(hashes) {
            if let Some(found) = found.get_mut(at) {
                *found = self.index.contains(hash) || sorted.contains(hash)?;
            }
        }
        Ok(found)
    }
}
