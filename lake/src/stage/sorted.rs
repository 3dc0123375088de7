//! Hashes in one sorted part of the temporary file, to be looked up.

use std::cmp::Ordering;

use super::entry::{BYTES, Entry};
use super::runs::{Runs, Writer};
use super::temporary::Extent;
use crate::error::Result;

/// Entries of a block, which is read as a whole for a hash in it.
const BLOCK: usize = 256;

/// Sorted entries, one of each hash. In memory is the first hash of each block: a sixteenth of a byte
/// for each entry.
#[derive(Debug)]
pub(super) struct Sorted {
    entries: Extent,
    first: Vec<u128>,
    /// Number of the block that was read last.
    number: Option<usize>,
    block: Vec<u8>,
    length: u64,
}

impl Sorted {
    /// The entries of runs, those of one hash put together in their order.
    pub(super) fn of(runs: &Runs, together: impl Fn(u64, u64) -> u64) -> Result<Self> {
        let entries = Extent::reserve(runs.file(), runs.len() * BYTES as u64);
        let (mut first, mut length) = (Vec::new(), 0_u64);
        let mut writer = Writer::new();
        Runs::each_range(&[runs], &mut |range| {
            for same in range.chunk_by(|left, right| left.hash() == right.hash()) {
                let numbers = same.iter().map(|entry| entry.number);
                let (Some(entry), Some(number)) = (same.first(), numbers.reduce(&together)) else {
                    continue;
                };
                if length.is_multiple_of(BLOCK as u64) {
                    first.push(entry.hash());
                }
                writer.write(&entries, &Entry::new(entry.hash(), number))?;
                length += 1;
            }
            Ok(())
        })?;
        writer.finish(&entries)?;
        Ok(Self { entries, first, number: None, block: Vec::new(), length })
    }

    /// Counts a hash once less. Whether it was there at least once.
    pub(super) fn take_one(&mut self, hash: u128) -> Result<bool> {
        let Some((number, at)) = self.find(hash)? else { return Ok(false) };
        let Some(left) = self.entry(at).and_then(|entry| entry.number.checked_sub(1)) else {
            return Ok(false);
        };
        let mut bytes = Vec::with_capacity(BYTES);
        Entry::new(hash, left).write(&mut bytes);
        self.entries.write(((number * BLOCK + at) * BYTES) as u64, &bytes)?;
        if let Some(entry) = self.block.get_mut(at * BYTES..(at + 1) * BYTES) {
            entry.copy_from_slice(&bytes);
        }
        Ok(true)
    }

    /// Memory in bytes.
    pub(super) fn memory(&self) -> usize {
        self.first.capacity() * size_of::<u128>()
    }

    /// The block and the position in it where a hash is. Its block is the one in memory then.
    fn find(&mut self, hash: u128) -> Result<Option<(usize, usize)>> {
        let behind = self.first.partition_point(|first| *first <= hash);
        let Some(number) = behind.checked_sub(1) else { return Ok(None) };
        if self.number != Some(number) {
            let from = (number * BLOCK) as u64;
            let count = usize::try_from(self.length - from).unwrap_or(BLOCK).min(BLOCK);
            self.number = None;
            self.block.resize(count * BYTES, 0);
            self.entries.read(from * BYTES as u64, &mut self.block)?;
            self.number = Some(number);
        }
        let (mut from, mut to) = (0, self.block.len() / BYTES);
        while from < to {
            let middle = usize::midpoint(from, to);
            let Some(entry) = self.entry(middle) else { break };
            match entry.hash().cmp(&hash) {
                Ordering::Equal => return Ok(Some((number, middle))),
                Ordering::Less => from = middle + 1,
                Ordering::Greater => to = middle,
            }
        }
        Ok(None)
    }

    /// An entry of the block in memory.
    fn entry(&self, at: usize) -> Option<Entry> {
        Entry::read(self.block.get(at * BYTES..(at + 1) * BYTES)?).next()
    }
}

/// The positions of hashes in ascending order, those of one hash as they come: in this order most
/// blocks are read but once.
pub(super) fn ascending(hashes: &[u128]) -> impl Iterator<Item = (usize, u128)> + use<> {
    let mut ordered: Vec<(usize, u128)> = hashes.iter().copied().enumerate().collect();
    ordered.sort_by_key(|(_, hash)| *hash);
    ordered.into_iter()
}
