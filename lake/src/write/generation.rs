//! Generations: rows that replace all older ones, once their stream is complete.
//!
//! A source that reads everything again may break off and go on from its last STATE, so its rows must
//! be durable before their stream is complete, while readers still see the old ones. They wait in
//! `_lake/generations/<table>/<generation>/`, written like appended files, and enter the table at the
//! end: a copy of each file for a table that is appended to, a merge by key for one that is upserted.
//!
//! ```text
//! rows wait … STATE given back … stream complete → files enter the table → old files go
//!   → the definition has the generation → the staging prefix is emptied → … → the generation has ended
//! ```
//!
//! Whatever breaks off, the next run of the generation goes on: before the definition has it, the
//! files enter again, the same under the same names; afterwards its rows are added to the table. Where
//! another generation comes that deletes nothing, what waits is added to the table first.

use super::committed::Committed;
use super::load::{Load, Waiting};
use super::table::Table;
use super::waiting::{Promotion, delete, promote};
use crate::error::Result;
use crate::store::Object;
use crate::table::definition::Generation;
use crate::table::file_name::GENERATIONS;

impl Table {
    /// Resolves what earlier runs have left in waiting, before the first row comes.
    pub fn begin_generation(&mut self) -> Result<Committed> {
        let mut committed = Committed::default();
        let Some(refresh) = self.refresh else { return Ok(committed) };
        let folder = format!("{GENERATIONS}/{}/", self.definition().table);
        let waiting = self.core.lake.store.list(&folder)?;
        match &self.load {
            Load::Waiting(Waiting { root, .. }) => {
                if refresh.generation.is_none() {
                    // Without numbers a run cannot know that it goes on from another.
                    let of_root = |object: &&Object| object.key.starts_with(root.as_str());
                    delete(&self.core, waiting.iter().filter(of_root))?;
                }
                return Ok(committed);
            }
            Load::Upsert | Load::Append(_) | Load::Replace(_) => {}
        }
        let is_there = refresh.generation.is_some()
            && self.definition().generation.map(|known| known.id) == refresh.generation;
        let nameless = format!("{folder}none/");
        let numbered = waiting.iter().filter(|object| !object.key.starts_with(&nameless));
        let numbered: Vec<&Object> = numbered.filter(|_| !is_there).collect();
        if !numbered.is_empty() {
            let _guard = self.core.lake.store.lock(&self.definition().table)?;
            self.store_definition()?;
            self.widen(&mut committed)?;
            promote(&mut self.core, numbered, Promotion::Beside, &mut committed)?;
        }
        delete(&self.core, &waiting)?;
        if let (Some(id), false) = (refresh.generation, is_there) {
            self.set_generation(Some(Generation { id, ended: false }));
        }
        Ok(committed)
    }

    /// The stream is complete and its rows are committed: those that wait enter the table, and those
    /// of older generations go.
    pub fn end_generation(&mut self) -> Result<Committed> {
        let mut committed = Committed::default();
        let Some(refresh) = self.refresh else { return Ok(committed) };
        let id = refresh.generation;
        let root = match &self.load {
            Load::Waiting(Waiting { root, .. }) => Some(root.clone()),
            Load::Upsert | Load::Append(_) | Load::Replace(_) => None,
        };
        if let Some(root) = root {
            self.load = Load::from(self.definition().load_method);
            let _guard = self.core.lake.store.lock(&self.definition().table)?;
            let folder = format!("{GENERATIONS}/{}/", self.definition().table);
            let waiting = self.core.lake.store.list(&folder)?;
            let own: Vec<&Object> =
                waiting.iter().filter(|object| object.key.starts_with(&root)).collect();
            promote(&mut self.core, own, Promotion::Alone, &mut committed)?;
            self.set_generation(id.map(|id| Generation { id, ended: false }));
            self.store_definition()?;
            delete(&self.core, &waiting)?;
        }
        if let (Some(id), true) = (id, self.core.defined.is_stored()) {
            self.set_generation(Some(Generation { id, ended: true }));
            self.store_definition()?;
        }
        Ok(committed)
    }
}
