//! Where the rows of a file belong.

use std::fmt;

use arrow::array::RecordBatch;

use super::faults::FaultKind;
use crate::error::Result;
use crate::table::key;
use crate::table::partition::Partitioner;

/// Where a file says that its rows belong.
pub(crate) trait Belongs: Send + fmt::Debug {
    /// How many of these rows do not belong there, and of what kind the fault is, with the first of them. `hashes`
    /// are those of their keys, where the table has keys.
    fn strangers(
        &mut self,
        rows: &RecordBatch,
        hashes: &[u128],
    ) -> Result<Vec<(FaultKind, u64, usize)>>;

    /// Unlike that of any other partition.
    fn partition(&self) -> &str;
}

/// In a folder, and in one of several objects there.
#[derive(Debug)]
pub(crate) struct Folder {
    /// Below the table, with a slash behind it.
    pub(crate) path: String,
    /// The number of the object among so many, where keys decide it.
    pub(crate) shard: Option<(u32, u32)>,
    pub(crate) partitioner: Partitioner,
}

impl Belongs for Folder {
    fn strangers(
        &mut self,
        rows: &RecordBatch,
        hashes: &[u128],
    ) -> Result<Vec<(FaultKind, u64, usize)>> {
        let numbers = self.partitioner.assign(rows)?;
        let mut found = Vec::new();
        let mut last = None;
        let mut here = Vec::with_capacity(numbers.len());
        for number in numbers {
            let is_here = match last {
                Some((known, is_here)) if known == number => is_here,
                Some(_) | None => self.partitioner.folder(number)? == self.path,
            };
            last = Some((number, is_here));
            here.push(is_here);
        }
        found.extend(strangers(FaultKind::Partition, here.into_iter()));
        if let Some((own, shards)) = self.shard {
            let here = hashes.iter().map(|hash| key::shard(*hash, shards) == own);
            found.extend(strangers(FaultKind::Shard, here));
        }
        Ok(found)
    }

    fn partition(&self) -> &str {
        &self.path
    }
}

/// How many rows are not where they belong, and the first of them.
pub(crate) fn strangers(
    kind: FaultKind,
    here: impl Iterator<Item = bool>,
) -> Option<(FaultKind, u64, usize)> {
    let mut strangers = here.enumerate().filter(|(_, is_here)| !is_here);
    let (first, _) = strangers.next()?;
    Some((kind, 1 + strangers.count() as u64, first))
}
