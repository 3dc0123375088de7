//! What the snapshots of a commit say: which state covers them, and which they are.

use lake::write::Table;
use lake::write::covered::CommitNote;

use super::tables::Tables;
use crate::error::Result;
use crate::state::Sink;

impl Tables {
    /// Says in the snapshots that the next commit makes which state covers them, and which they are.
    pub(super) fn note(
        &mut self,
        receipt: Option<(String, Option<String>)>,
        held: &[String],
        state: &dyn Sink,
    ) -> Result<()> {
        let mut tables: Vec<_> = self
            .by_stream
            .iter_mut()
            .filter(|(stream, table)| !held.contains(stream) && table.makes_snapshot())
            .collect();
        if tables.is_empty() {
            return Ok(());
        }
        self.snapshots += 1;
        let name = |table: &Table| table.definition().table.clone();
        let names = tables.iter().map(|(_, table)| name(table)).collect();
        let new = tables.iter().filter(|(_, table)| !table.is_made());
        let new = new.map(|(_, table)| name(table)).collect();
        let commit = CommitNote { number: self.snapshots, tables: names, new, receipt };
        for (stream, table) in &mut tables {
            table.set_notes(commit.notes(&self.lake, stream, state.covering(stream))?);
        }
        Ok(())
    }
}
