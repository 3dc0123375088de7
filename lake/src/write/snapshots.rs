//! What only an Iceberg table does in a run: its snapshots say which state covers them, and its files are written anew.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;

use super::committed::Committed;
use super::covered::Preceding;
use super::iceberg;
use super::journal::Receipt;
use super::load::Load;
use super::retry::persist;
use super::table::Table;
use crate::error::Result;

impl Table {
    /// What the summaries of the table's next snapshots say besides, where it is one of Iceberg: the state that
    /// covers their rows, above all.
    pub fn set_notes(&mut self, notes: BTreeMap<String, String>) {
        self.core.notes = notes;
    }

    /// The rows of its newest snapshot may come again, where it is an Iceberg table and a run has died over them.
    pub fn doubt_snapshot(&mut self, receipt: Option<&dyn Receipt>) -> Result<()> {
        if !self.definition().is_iceberg() {
            return Ok(());
        }
        let preceding = Preceding::of(&self.core.lake, &self.definition().table, receipt)?;
        self.core.doubt(&preceding.doubtful)?;
        self.core.preceding = Some(preceding.commit);
        Ok(())
    }

    /// Whether it is there already, where it is an Iceberg table.
    pub fn is_made(&self) -> bool {
        self.core.iceberg.as_ref().is_some_and(|table| table.is_made())
    }

    /// Whether the next commit makes a snapshot of it, where it is an Iceberg table.
    pub fn makes_snapshot(&self) -> bool {
        let is_waiting = matches!(self.load, Load::Waiting(_));
        self.definition().is_iceberg() && !is_waiting && self.has_work()
    }

    /// Writes files of an Iceberg table anew whose paths are wanted, each batch as `filter` says; as it is where that says nothing. Another
    /// commit that takes one of them away is an error: look again.
    pub fn rewrite(
        &mut self,
        is_wanted: &dyn Fn(&str) -> bool,
        filter: &mut dyn FnMut(&RecordBatch) -> Result<Option<RecordBatch>>,
        committed: &mut Committed,
    ) -> Result<()> {
        let _guard = self.core.lake.store.lock(&self.core.definition().table)?;
        iceberg::rewrite_files(&mut self.core, is_wanted, filter, committed)
    }

    /// Cuts an Iceberg table into another number of shards. Runs that are at work with it learn of it.
    pub fn recut(&mut self, shards: u32, committed: &mut Committed) -> Result<()> {
        let _guard = self.core.lake.store.lock(&self.core.definition().table)?;
        self.core.defined.propose(shards);
        self.core.defined.store(&self.core.lake, false)?;
        // Whoever was faster has learned of it or has not: all files are looked at again.
        persist(|| iceberg::rewrite_files(&mut self.core, &|_| true, &mut |_| Ok(None), committed))
    }
}
