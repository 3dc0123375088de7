//! Entries beyond the memory: sorted runs in the temporary file, read range by range of their hashes.
//!
//! What fills the memory is sorted and becomes a run. Whoever wants all entries of a hash together
//! gets them range by range: of each run the part in the range, which is found by halving, because a
//! run is in order. A range has as many entries as fit into their share of the memory; how the hashes
//! are spread does not matter.

use std::sync::Arc;

use rayon::prelude::*;

use super::entry::{BYTES, Entry};
use super::temporary::{Extent, SpillFile};
use crate::error::Result;

/// The part of the memory that a range may take.
const SHARE: usize = 6;

/// Entries that are written, or read, at once.
const AT_ONCE: usize = 4096;

/// Sorted runs of entries.
#[derive(Debug)]
pub(super) struct Runs {
    file: Arc<SpillFile>,
    runs: Vec<Extent>,
}

impl Runs {
    /// No runs, in this file.
    pub(super) fn new(file: &Arc<SpillFile>) -> Self {
        Self { file: Arc::clone(file), runs: Vec::new() }
    }

    /// The file in which they are.
    pub(super) fn file(&self) -> &Arc<SpillFile> {
        &self.file
    }

    /// As many entries as have room in memory at a time.
    pub(super) fn most(&self) -> usize {
        (self.file.memory() / SHARE / BYTES).max(1)
    }

    /// Adds entries as a run, of which nothing is left in memory.
    pub(super) fn push(&mut self, mut entries: Vec<Entry>) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        self.file.spread(|| entries.par_sort_unstable());
        let run = Extent::reserve(&self.file, (entries.len() * BYTES) as u64);
        let mut writer = Writer::new();
        entries.iter().try_for_each(|entry| writer.write(&run, entry))?;
        writer.finish(&run)?;
        self.runs.push(run);
        Ok(())
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> u64 {
        self.runs.iter().map(|run| run.length() / BYTES as u64).sum()
    }

    /// Memory in bytes.
    pub(super) fn memory(&self) -> usize {
        self.runs.capacity() * size_of::<Extent>()
    }

    /// Hands on the entries of all these in their order, some at a time. Those of one hash come
    /// together.
    pub(super) fn each_range(
        all: &[&Self],
        take: &mut dyn FnMut(&[Entry]) -> Result<()>,
    ) -> Result<()> {
        let most = all.first().map_or(1, |runs| runs.most());
        let all = all.iter().flat_map(|runs| &runs.runs);
        let all: Vec<_> = all.map(Slice::of).collect();
        let (mut low, mut high) = (u128::MAX, 0);
        for slice in &all {
            low = low.min(slice.hash(slice.from)?);
            high = high.max(slice.hash(slice.to - 1)?);
        }
        Reader { most: most as u64, range: Vec::new() }.visit(all, low, high, take)
    }
}

/// Writes entries one after the other into a part of the file.
#[derive(Debug)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    at: u64,
}

impl Writer {
    pub(super) fn new() -> Self {
        Self { bytes: Vec::new(), at: 0 }
    }

    pub(super) fn write(&mut self, to: &Extent, entry: &Entry) -> Result<()> {
        entry.write(&mut self.bytes);
        if self.bytes.len() < AT_ONCE * BYTES { Ok(()) } else { self.finish(to) }
    }

    pub(super) fn finish(&mut self, to: &Extent) -> Result<()> {
        to.write(self.at, &self.bytes)?;
        self.at += self.bytes.len() as u64;
        self.bytes.clear();
        Ok(())
    }
}

/// Some entries of a run, by their positions.
#[derive(Debug, Clone, Copy)]
struct Slice<'a> {
    run: &'a Extent,
    from: u64,
    to: u64,
}

impl<'a> Slice<'a> {
    fn of(run: &'a Extent) -> Self {
        Self { run, from: 0, to: run.length() / BYTES as u64 }
    }

    /// The hash of an entry of the run.
    fn hash(&self, at: u64) -> Result<u128> {
        let mut bytes = [0; BYTES];
        self.run.read(at * BYTES as u64, &mut bytes)?;
        Ok(Entry::read(&bytes).map(|entry| entry.hash()).sum())
    }

    /// The entries up to a hash, and those behind it.
    fn split(self, hash: u128) -> Result<(Self, Self)> {
        let (mut from, mut to) = (self.from, self.to);
        while from < to {
            let middle = from + (to - from) / 2;
            if self.hash(middle)? <= hash {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        Ok((Self { to: from, ..self }, Self { from, ..self }))
    }

    fn load(&self, into: &mut Vec<Entry>) -> Result<()> {
        let mut bytes = vec![0; AT_ONCE * BYTES];
        let mut at = self.from * BYTES as u64;
        let end = self.to * BYTES as u64;
        while at < end {
            let length = usize::try_from(end - at).unwrap_or(usize::MAX).min(bytes.len());
            let Some(bytes) = bytes.get_mut(..length) else { break };
            self.run.read(at, bytes)?;
            into.extend(Entry::read(bytes));
            at += length as u64;
        }
        Ok(())
    }
}

/// Reads ranges.
struct Reader {
    most: u64,
    /// The entries of a range.
    range: Vec<Entry>,
}

impl Reader {
    /// Hands on the entries of slices, whose hashes lie between two.
    fn visit(
        &mut self,
        slices: Vec<Slice<'_>>,
        low: u128,
        high: u128,
        take: &mut dyn FnMut(&[Entry]) -> Result<()>,
    ) -> Result<()> {
        let count: u64 = slices.iter().map(|slice| slice.to - slice.from).sum();
        if count == 0 {
            return Ok(());
        }
        // One hash alone is no more than an entry a run, if whoever writes them has put them together.
        if count <= self.most || low == high {
            self.range.clear();
            self.range.reserve_exact(usize::try_from(count).unwrap_or(0));
            slices.iter().try_for_each(|slice| slice.load(&mut self.range))?;
            self.range.sort_unstable();
            return take(&self.range);
        }
        let middle = low + (high - low) / 2;
        let halves = slices.iter().map(|slice| slice.split(middle));
        let (below, above) = halves.collect::<Result<(Vec<_>, Vec<_>)>>()?;
        drop(slices);
        let has_entries = |slice: &Slice<'_>| slice.from < slice.to;
        self.visit(below.into_iter().filter(has_entries).collect(), low, middle, take)?;
        self.visit(above.into_iter().filter(has_entries).collect(), middle + 1, high, take)
    }
}
