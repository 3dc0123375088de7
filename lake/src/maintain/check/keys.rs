//! Which keys are there twice: their hashes are compared range by range, beyond the memory too.

use std::collections::HashMap;

use super::faults::{FaultKind, Faults};
use crate::error::Result;
use crate::lake::Lake;
use crate::stage::OldKeys;
use crate::table::definition::Definition;

/// The keys of all rows.
#[derive(Debug)]
pub(super) struct Keys {
    /// Nothing where rows may have any.
    known: Option<OldKeys>,
    /// Where the rows are from, in their order.
    stretches: Vec<Stretch>,
    /// Partitions by their names, and files with theirs.
    partitions: HashMap<String, u32>,
    files: Vec<(String, u32)>,
}

/// Rows that follow each other in one file.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    /// The number of the first one among all.
    first: u64,
    /// In the list of files.
    file: usize,
    /// The number of the first one in the file.
    row: u64,
}

impl Keys {
    pub(super) fn new(lake: &Lake, definition: &Definition) -> Self {
        let known = definition.is_keyed().then(|| OldKeys::new(&lake.spill));
        let (stretches, partitions, files) = Default::default();
        Self { known, stretches, partitions, files }
    }

    /// A file begins: the number that it has here.
    pub(super) fn file(&mut self, name: &str, partition: &str) -> usize {
        let next = u32::try_from(self.partitions.len()).unwrap_or(u32::MAX);
        let partition = *self.partitions.entry(partition.to_owned()).or_insert(next);
        self.files.push((name.to_owned(), partition));
        self.files.len() - 1
    }

    /// Adds the keys of rows of a file, from one of its rows on.
    pub(super) fn add(&mut self, file: usize, row: u64, hashes: &[u128]) -> Result<()> {
        let Some(known) = &mut self.known else { return Ok(()) };
        let first = known.rows();
        let follows = self
            .stretches
            .last()
            .is_some_and(|last| last.file == file && last.row + (first - last.first) == row);
        if !follows {
            self.stretches.push(Stretch { first, file, row });
        }
        known.add(hashes)
    }

    /// Adds a fault for each row whose key another row of its partition has. How many more rows have one that is
    /// in another partition.
    pub(super) fn repeated(self, faults: &mut Faults) -> Result<u64> {
        let Self { known, stretches, files, .. } = self;
        let Some(known) = known else { return Ok(0) };
        let place = |number: u64| {
            let at = stretches.partition_point(|stretch| stretch.first <= number);
            let stretch = at.checked_sub(1).and_then(|at| stretches.get(at))?;
            let (name, partition) = files.get(stretch.file)?;
            Some((*partition, name, stretch.row + (number - stretch.first) + 1))
        };
        let mut elsewhere = 0;
        known.each_repeated(&mut |rows| {
            let mut seen: HashMap<u32, (&String, u64)> = HashMap::new();
            for (partition, name, row) in rows.iter().filter_map(|row| place(*row)) {
                match seen.get(&partition) {
                    Some((other, first)) => faults.add(FaultKind::KeyTwice, 1, || {
                        format!("row {row} of {name} has the key of row {first} of {other}")
                    }),
                    None => {
                        elsewhere += u64::from(!seen.is_empty());
                        seen.insert(partition, (name, row));
                    }
                }
            }
            Ok(())
        })?;
        Ok(elsewhere)
    }
}
