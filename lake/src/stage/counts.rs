//! How often each hash is there, in memory or beyond.

use std::sync::Arc;

use super::entry::Entry;
use super::index::HashIndex;
use super::runs::Runs;
use super::sorted::{Sorted, ascending};
use super::temporary::SpillFile;
use crate::error::Result;

/// The part of the memory that hashes may take before they go to the temporary file.
const SHARE: usize = 4;

/// Hashes, each as often as it was added and not yet taken.
///
/// Beyond its share of the memory they lie in the temporary file, in order, and one is found by one
/// read of some kilobytes.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    index: HashIndex,
    /// What was added and is not yet in order.
    runs: Option<Runs>,
    spilled: Vec<Sorted>,
    left: u64,
}

impl Counts {
    /// Adds hashes. [`settle`](Self::settle) follows the last of them.
    pub(crate) fn add(&mut self, file: &Arc<SpillFile>, hashes: &[u128]) -> Result<()> {
        for hash in hashes {
            self.index.count(*hash);
        }
        self.left += hashes.len() as u64;
        if self.index.bytes() > file.memory() / SHARE { self.write(file) } else { Ok(()) }
    }

    /// Brings what was added in order, where it is more than has room in memory.
    pub(crate) fn settle(&mut self, file: &Arc<SpillFile>) -> Result<()> {
        if self.runs.is_some() { self.spill(file) } else { Ok(()) }
    }

    /// Moves the hashes in memory to the temporary file.
    pub(crate) fn spill(&mut self, file: &Arc<SpillFile>) -> Result<()> {
        self.write(file)?;
        if let Some(runs) = &self.runs {
            self.spilled.push(Sorted::of(runs, |one, other| one + other)?);
        }
        self.runs = None;
        Ok(())
    }

    fn write(&mut self, file: &Arc<SpillFile>) -> Result<()> {
        if self.index.is_empty() {
            return Ok(());
        }
        let entries: Vec<Entry> = self.index.entries().copied().collect();
        self.runs.get_or_insert_with(|| Runs::new(file)).push(entries)?;
        self.index = HashIndex::default();
        Ok(())
    }

    /// Whether no hash is there.
    pub(crate) fn is_empty(&self) -> bool {
        self.left == 0
    }

    /// Takes each hash that is there, once for each time that it comes. Which were there.
    pub(crate) fn take(&mut self, hashes: &[u128]) -> Result<Vec<bool>> {
        let mut taken = vec![false; hashes.len()];
        if self.spilled.is_empty() {
            for (hash, taken) in hashes.iter().zip(&mut taken) {
                *taken = self.index.take_one(*hash);
            }
        } else {
            for (at, hash) in ascending(hashes) {
                if let Some(taken) = taken.get_mut(at) {
                    *taken = self.take_one(hash)?;
                }
            }
        }
        self.left -= taken.iter().filter(|taken| **taken).count() as u64;
        if self.is_empty() {
            *self = Self::default();
        }
        Ok(taken)
    }

    fn take_one(&mut self, hash: u128) -> Result<bool> {
        if self.index.take_one(hash) {
            return Ok(true);
        }
        for sorted in &mut self.spilled {
            if sorted.take_one(hash)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Memory in bytes.
    pub(crate) fn memory(&self) -> usize {
        let spilled = self.spilled.iter().map(Sorted::memory).sum::<usize>();
        self.spillable() + self.runs.as_ref().map_or(0, Runs::memory) + spilled
    }

    /// Memory in bytes that [`spill`](Self::spill) gives back.
    pub(crate) fn spillable(&self) -> usize {
        self.index.bytes()
    }
}
