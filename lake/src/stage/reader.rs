//! Staged rows as a commit reads them: by the object that will hold them.

use std::collections::HashMap;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::batches::{Batches, Share, in_pieces};
use super::cut::Group;
use super::keys::{Keys, OldKeys};
use super::row_set::RowSet;
use super::spill::{Portion, Spill};
use crate::error::{Error, Result};

/// Rows in memory that are put together for the encoder.
const TOGETHER: usize = 4096;

/// What a group has in memory, as batches for the encoder.
pub(super) fn in_batches(shares: Vec<Share>) -> Vec<Vec<Share>> {
    in_pieces(shares, TOGETHER)
}

/// Reads staged rows by group, those that count.
#[derive(Debug)]
pub(crate) struct StageReader<'a> {
    pub(super) schema: &'a SchemaRef,
    pub(super) numbers: &'a HashMap<Group, u32>,
    pub(super) spills: &'a [Spill],
    /// Objects into which the groups of the spills were cut afterwards.
    pub(super) spills_cut: u32,
    pub(super) batches: &'a Batches,
    /// What each group has in memory.
    pub(super) shares: Vec<Vec<Vec<Share>>>,
    pub(super) keys: Option<&'a Keys>,
    pub(super) newest: RowSet,
}

impl StageReader<'_> {
    /// Gives the rows of one group batch by batch, as the table's columns.
    pub(crate) fn each(
        &self,
        group: Group,
        mut take: impl FnMut(&RecordBatch) -> Result<()>,
    ) -> Result<()> {
        let number = self.number(group)?;
        let portion = self.portion(number);
        for spill in self.spills {
            spill.each(portion, self.schema, &self.newest, &mut take)?;
        }
        for shares in self.shares.get(number as usize).into_iter().flatten() {
            take(&self.batches.gather(shares)?)?;
        }
        Ok(())
    }

    fn number(&self, group: Group) -> Result<u32> {
        let number = self.numbers.get(&group).copied();
        number.ok_or_else(|| Error::internal(format!("{group:?} has staged rows")))
    }

    /// What the spills have of a group.
    fn portion(&self, number: u32) -> Portion {
        let shards = self.spills_cut;
        Portion { group: number / shards, shard: number % shards, shards }
    }

    /// Bytes of a group's rows, about: those that are superseded are among them.
    pub(crate) fn bytes(&self, group: Group) -> Result<usize> {
        let number = self.number(group)?;
        let portion = self.portion(number);
        let spilled: usize = self.spills.iter().map(|spill| spill.bytes_of(portion)).sum();
        let shares = self.shares.get(number as usize).into_iter().flatten().flatten();
        shares
            .map(|share| self.batches.bytes_of(share))
            .sum::<Result<usize>>()
            .map(|own| own + spilled)
    }

    /// Whether keys are in the temporary file, so that rows in the lake are looked for all together:
    /// [`find`](Self::find).
    pub(crate) fn has_spilled_keys(&self) -> bool {
        self.keys.is_some_and(Keys::are_spilled)
    }

    /// Which rows in the lake are replaced by staged ones, by the hashes of their keys. All keys are in
    /// memory.
    pub(crate) fn replaces(&self, hashes: &[u128]) -> Result<Vec<bool>> {
        match self.keys {
            Some(keys) => keys.contain(hashes),
            None => Ok(vec![false; hashes.len()]),
        }
    }

    /// Which of these rows in the lake are replaced by staged ones.
    pub(crate) fn find(&self, old: OldKeys) -> Result<RowSet> {
        match self.keys {
            Some(keys) => keys.find(old),
            None => Err(Error::internal("rows that are replaced have keys")),
        }
    }
}
