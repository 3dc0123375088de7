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

use std::io::{self, Seek};

use arrow::datatypes::SchemaRef;

use super::core::{Core, keyed_stage};
use super::load::{Load, Waiting};
use super::{Committed, Table, replace, upsert};
use crate::error::{Error, Result};
use crate::file::PartReader;
use crate::store::{Condition, Object};
use crate::table::{Generation, LoadMethod, Refresh, key};

const FOLDER: &str = "_lake/generations";

/// The staging prefix where the rows of a run wait, if they replace what is there. `known` is the generation of the
/// table, where there is a table.
pub(super) fn root(
    table: &str,
    refresh: &Refresh,
    known: Option<Option<Generation>>,
) -> Option<String> {
    let Refresh { generation, minimum, overwrite } = *refresh;
    let (Some(id), Some(minimum)) = (generation, minimum) else {
        return overwrite.then(|| format!("{FOLDER}/{table}/none/"));
    };
    let replaces = minimum > 0
        && match known? {
            // A run of this generation that broke off goes on. One that ended is replaced: some
            // sources give all their generations the same number.
            Some(known) if known.id == id => overwrite && known.ended,
            Some(known) => overwrite || known.id < minimum,
            // Rows of no generation are older than none.
            None => overwrite,
        };
    replaces.then(|| format!("{FOLDER}/{table}/{id}/"))
}

impl Table {
    /// Resolves what earlier runs have left in waiting, before the first row comes.
    pub fn begin_generation(&mut self) -> Result<Committed> {
        let mut committed = Committed::default();
        let Some(refresh) = self.refresh else { return Ok(committed) };
        let folder = format!("{FOLDER}/{}/", self.definition().table);
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
        let numbered = waiting.iter().filter(|object| !object.key.starts_with(&nameless)).cloned();
        let numbered: Vec<Object> = numbered.filter(|_| !is_there).collect();
        if !numbered.is_empty() {
            let _guard = self.core.lake.store.lock(&self.definition().table)?;
            self.store_definition()?;
            promote(&mut self.core, &numbered, Promotion::Beside, &mut committed)?;
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
        let method = self.definition().load_method;
        if matches!(self.load, Load::Waiting(_))
            && let Load::Waiting(Waiting { root, .. }) =
                std::mem::replace(&mut self.load, Load::from(method))
        {
            let _guard = self.core.lake.store.lock(&self.definition().table)?;
            let folder = format!("{FOLDER}/{}/", self.definition().table);
            let waiting = self.core.lake.store.list(&folder)?;
            let own: Vec<Object> =
                waiting.iter().filter(|object| object.key.starts_with(&root)).cloned().collect();
            promote(&mut self.core, &own, Promotion::Alone, &mut committed)?;
            self.core.defined.set_generation(id.map(|id| Generation { id, ended: false }));
            self.core.defined.touch();
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

/// How files that wait enter their table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Promotion {
    /// Beside the rows that are there.
    Beside,
    /// In the place of every other row.
    Alone,
}

/// Brings files that wait into the table.
fn promote(
    core: &mut Core,
    waiting: &[Object],
    how: Promotion,
    committed: &mut Committed,
) -> Result<()> {
    match core.definition().load_method {
        LoadMethod::Append => copy(core, waiting, how, committed),
        LoadMethod::Upsert | LoadMethod::Overwrite => merge(core, waiting, how, committed),
    }
}

fn copy(core: &Core, waiting: &[Object], how: Promotion, committed: &mut Committed) -> Result<()> {
    let (store, table) = (&core.lake.store, core.prefix());
    let old = match how {
        Promotion::Alone => store.list(&table)?,
        Promotion::Beside => Vec::new(),
    };
    let mut current = Vec::new();
    let mut narrow = false;
    for object in waiting {
        // `_lake/generations/<table>/<generation>/` goes, the partition stays.
        let name = object.key.splitn(5, '/').nth(4).ok_or_else(|| {
            Error::internal(format!("{} is below the prefix of a generation", object.key))
        })?;
        let key = format!("{table}{name}");
        let from = store.locate(&object.key);
        let failed = |error: io::Error| Error::store("copy", &from, error);
        let mut file = store.fetch(object)?;
        let part = PartReader::open(file.try_clone().map_err(failed)?, &from)?;
        // An earlier run of the generation may have known a narrower type.
        narrow |= !upsert::are_of_current_type(part.schema().fields(), core.stage.schema());
        let mut upload = store.create(&key, Condition::Always)?;
        file.rewind().and_then(|()| io::copy(&mut file, &mut upload)).map_err(failed)?;
        let written = upload.finish()?;
        let folder =
            name.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
        committed.count(&written, &folder);
        current.push(key);
    }
    committed.replaced = how == Promotion::Alone;
    delete(core, old.iter().filter(|object| !current.contains(&object.key)))?;
    if narrow { upsert::widen_rest(core, committed) } else { Ok(()) }
}

fn delete<'a>(core: &Core, objects: impl IntoIterator<Item = &'a Object>) -> Result<()> {
    objects.into_iter().try_for_each(|object| core.lake.store.delete(&object.key))
}

fn merge(
    core: &mut Core,
    waiting: &[Object],
    how: Promotion,
    committed: &mut Committed,
) -> Result<()> {
    // By the name of the file, that is in the order in which the rows came.
    let mut waiting: Vec<&Object> = waiting.iter().collect();
    waiting.sort_by_key(|object| object.key.rsplit('/').next());
    core.stage = keyed_stage(core.definition())?;
    let keys = core.definition().key_positions()?;
    for object in waiting {
        let name = core.lake.store.locate(&object.key);
        let part = PartReader::open(core.lake.store.fetch(object)?, &name)?;
        let schema = SchemaRef::clone(core.stage.schema());
        for batch in part.batches(&schema) {
            let batch = batch?;
            let hashes = key::hash_rows(&batch, &keys)?;
            core.stage.push(batch, &hashes)?;
            if core.stage.memory() > core.lake.budget / 2 {
                core.stage.spill(&core.lake.spill)?;
            }
        }
    }
    match how {
        Promotion::Alone => replace::commit(core, committed)?,
        Promotion::Beside => upsert::commit(core, committed)?,
    }
    core.stage.clear();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(id: i64, minimum: i64, overwrite: bool, known: Option<Option<(i64, bool)>>) -> bool {
        let refresh = Refresh { generation: Some(id), minimum: Some(minimum), overwrite };
        let known = known.map(|known| known.map(|(id, ended)| Generation { id, ended }));
        root("t", &refresh, known).is_some()
    }

    #[test]
    fn rows_wait_where_they_replace_older_ones() {
        let ended = |id| Some(Some((id, true)));
        let broken = |id| Some(Some((id, false)));
        for (id, minimum, overwrite, known, expected) in [
            // A new table has nothing to lose.
            (1, 1, true, None, false),
            (42, 42, true, ended(41), true),
            (42, 42, false, ended(41), true),
            // The same generation goes on …
            (42, 42, true, broken(42), false),
            (42, 42, false, ended(42), false),
            // … unless a run ended and another one overwrites, as PyAirbyte does.
            (1, 1, true, ended(1), true),
            (43, 0, false, broken(41), false),
            (43, 0, true, ended(41), false),
            // A table that was not written by Airbyte.
            (1, 1, false, Some(None), false),
            (1, 1, true, Some(None), true),
        ] {
            assert_eq!(waits(id, minimum, overwrite, known), expected, "{id} {minimum} {known:?}");
        }
        let legacy = Refresh { generation: None, minimum: None, overwrite: true };
        assert_eq!(root("t", &legacy, None).as_deref(), Some("_lake/generations/t/none/"));
    }
}
