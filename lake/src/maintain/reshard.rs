//! Resharding: the rows of an upserted table move to another number of objects per partition.
//!
//! ```text
//! definition (resharding) → new objects beside the old ones → definition (cut so) → old objects go
//! ```
//!
//! No object is changed. The new ones have numbers that none of the table's ever had, so whoever has
//! listed the old ones reads all of their rows, or learns that one is gone; and who lists anew finds
//! every row, until the old ones are gone some of them twice. No run loads into the table before the definition
//! says that it is cut. A cut that dies before is begun anew, with other numbers, and what it has
//! written is removed; what one leaves that dies afterwards, [`obsolete`] removes.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};

use super::report::Action;
use super::survey;
use crate::error::{Error, Result};
use crate::file::encoding::{Encoding, Format};
use crate::file::reader::PartReader;
use crate::lake::{Lake, definition_key};
use crate::schema;
use crate::stage::{self, Stage};
use crate::store::{Condition, Object};
use crate::table::definition::Definition;
use crate::table::partition::Partitioner;
use crate::table::{file_name, key};
use crate::write::obsolete;
use crate::write::retry::persist;

/// Moves the rows of a table to `shards` objects per partition. Nothing where they are there already,
/// or where the table has no keys that say which row belongs where.
pub(super) fn reshard(
    lake: &Lake,
    table: &str,
    encoding: &Encoding,
    shards: u32,
    dry_run: bool,
) -> Result<Option<Action>> {
    let _guard = if dry_run { None } else { lake.store.lock(table)? };
    let (stored, mut definition) = survey::definition(lake, table)?;
    let from = definition.shards;
    if from == shards && definition.resharding.is_none() {
        return Ok(None);
    }
    if definition.keys.is_empty() {
        tracing::warn!(table, "a table without keys has one object per partition, and is not cut");
        return Ok(None);
    }
    let prefix = format!("{table}/");
    let objects = lake.store.list(&prefix)?;
    let action = |partitions| Ok(Some(Action::Reshard { from, to: shards, partitions }));
    if dry_run {
        return action(survey::folders(&definition, &objects)?.len());
    }
    let there = objects.iter().filter_map(|object| file_name::part_number(&object.key));
    definition.begin_cut(shards, there)?;
    let stored = lake.define(&definition, &stored)?;
    // A run that had begun before may have made a partition since the first listing.
    let folders = survey::folders(&definition, &lake.store.list(&prefix)?)?;
    let outcome = Cut::new(lake, definition, stored, encoding, shards)?.cut(&folders);
    if let Err(Error::Conflict { .. }) = outcome
        && let Some((_, now)) = lake.definition(table)?
    {
        // If another cut has come to its end, what this one has written is nobody's.
        obsolete::remove(lake, &now)?;
    }
    outcome?;
    action(folders.len())
}

/// A cut of a table that has begun.
struct Cut<'a> {
    lake: &'a Lake,
    definition: Definition,
    /// The definition in the lake.
    stored: Object,
    format: Format,
    schema: SchemaRef,
    keys: Vec<usize>,
    /// The number of the first new object in each partition.
    first: u32,
}

impl<'a> Cut<'a> {
    fn new(
        lake: &'a Lake,
        definition: Definition,
        stored: Object,
        encoding: &Encoding,
        shards: u32,
    ) -> Result<Self> {
        let first = definition.resharding_first;
        Ok(Self {
            lake,
            stored,
            format: lake.format(encoding, shards),
            schema: Arc::new(Schema::new(schema::fields(&definition.columns))),
            keys: definition.key_positions()?,
            first: first.ok_or_else(|| Error::internal("a cut that has begun has numbers"))?,
            definition,
        })
    }

    /// Writes the new objects, makes them the table's, and removes the old ones.
    fn cut(mut self, folders: &BTreeSet<String>) -> Result<()> {
        // What cuts that died have written.
        let table = &self.definition.table;
        obsolete::remove_parts(self.lake, table, self.definition.parts().end..self.first)?;
        let mut written = Vec::new();
        for folder in folders {
            self.check()?;
            self.move_rows(folder, &mut written)?;
        }
        // A run that had begun before, and replaces the table, may have removed some.
        let there = self.lake.store.list(&format!("{table}/"))?;
        let is_there =
            |object: &Object| there.binary_search_by(|there| there.key.cmp(&object.key)).is_ok();
        if let Some(gone) = written.iter().find(|object| !is_there(object)) {
            return Err(Error::Conflict { object: self.lake.store.locate(&gone.key) });
        }
        self.definition.end_cut();
        self.lake.define(&self.definition, &self.stored)?;
        obsolete::remove(self.lake, &self.definition).map(drop)
    }

    /// Nobody else has begun to cut the table.
    fn check(&self) -> Result<()> {
        let key = definition_key(&self.definition.table);
        match self.lake.store.head(&key)? {
            Some(now) if now.version == self.stored.version => Ok(()),
            Some(_) | None => Err(Error::Conflict { object: self.lake.store.locate(&key) }),
        }
    }

    /// Writes the rows of a partition to its new objects.
    fn move_rows(&self, folder: &str, written: &mut Vec<Object>) -> Result<()> {
        let prefix = format!("{}/{folder}", self.definition.table);
        // A run that had begun before may write once more.
        let rows = persist(|| self.read(&prefix))?;
        let reader = rows.reader()?;
        for group in rows.groups() {
            let key = format!("{prefix}{}", file_name::part(self.first + group.shard));
            let mut part = self.lake.part(&key, Condition::Absent, &self.schema, &self.format)?;
            reader.each(*group, |batch| part.write(batch))?;
            written.push(part.finish()?);
        }
        Ok(())
    }

    /// Reads the old objects of a partition. What is none of the table's stays as it is.
    fn read(&self, prefix: &str) -> Result<Stage> {
        let schema = SchemaRef::clone(&self.schema);
        // Where the first release has died in a cut, rows are there twice.
        let cut = stage::Cut::Into(self.format.shards);
        let mut rows = Stage::new(schema, Partitioner::new(None), cut, true);
        let old = self.definition.parts();
        for object in self.lake.store.list(&format!("{prefix}part-"))? {
            if !file_name::part_number(&object.key).is_some_and(|number| old.contains(&number)) {
                continue;
            }
            let name = self.lake.store.locate(&object.key);
            let part = PartReader::open(self.lake.store.fetch(&object)?, &name)?;
            for batch in part.batches(&self.schema)? {
                let batch = batch?;
                let hashes = key::hash_rows(&batch, &self.keys)?;
                rows.push(batch, &hashes)?;
                if rows.memory() > self.lake.budget {
                    rows.spill(&self.lake.spill)?;
                }
            }
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::maintain::testing::{dying, load, upsert};
    use crate::table::definition::LoadMethod;
    use crate::table::spec::Spec;
    use crate::testing::{LakeFolder, by_month, found, objects, once};
    use crate::write::Table;

    fn resharded(lake: &Lake, shards: u32) -> Result<Option<Action>> {
        reshard(lake, "t", &Encoding::default(), shards, false)
    }

    fn definition(folder: &LakeFolder) -> Definition {
        folder.lake().definition("t").unwrap().unwrap().1
    }

    /// A table of three partitions with one object each.
    fn loaded() -> LakeFolder {
        let folder = LakeFolder::new();
        upsert(&folder.lake(), 0..60, "a");
        folder
    }

    #[test]
    fn every_row_is_there_after_as_before_and_found_by_what_is_loaded_next() {
        let folder = loaded();
        for (from, to) in [(1, 3), (3, 2), (2, 1)] {
            let action = resharded(&folder.lake(), to).unwrap();
            assert_eq!(action, Some(Action::Reshard { from, to, partitions: 3 }));
            assert_eq!(objects(&folder.lake()).len(), 3 * to as usize);
            assert_eq!(found(&folder.lake()), once([(0..60, "a")]));
            assert_eq!((definition(&folder).shards, definition(&folder).resharding), (to, None));
        }
        resharded(&folder.lake(), 4).unwrap();
        upsert(&folder.lake(), 30..90, "b");
        assert_eq!(found(&folder.lake()), once([(0..30, "a"), (30..90, "b")]));
    }

    #[test]
    fn a_table_that_has_the_shards_already_is_not_touched() {
        let folder = loaded();
        let before = folder.lake().store.list("").unwrap();
        assert_eq!(resharded(&folder.lake(), 1).unwrap(), None);
        assert_eq!(folder.lake().store.list("").unwrap(), before);
    }

    #[test]
    fn a_dry_run_changes_nothing() {
        let folder = loaded();
        let before = folder.lake().store.list("").unwrap();
        let action = reshard(&folder.lake(), "t", &Encoding::default(), 3, true).unwrap();
        assert_eq!(action, Some(Action::Reshard { from: 1, to: 3, partitions: 3 }));
        assert_eq!(folder.lake().store.list("").unwrap(), before);
    }

    #[test]
    fn rows_beyond_the_budget_are_resharded_as_well() {
        let folder = LakeFolder::new();
        upsert(&folder.lake(), 0..3000, "a");
        resharded(&folder.lake_with(4096), 3).unwrap();
        assert_eq!(found(&folder.lake()), once([(0..3000, "a")]));
    }

    #[test]
    fn a_file_of_another_program_stays_as_it_is() {
        let folder = loaded();
        let lake = folder.lake();
        let theirs = "t/month=2026-01/part-theirs.parquet";
        lake.store.put(theirs, b"theirs", Condition::Absent).unwrap();
        resharded(&folder.lake(), 2).unwrap();
        let (_, text) = lake.store.get(theirs).unwrap().unwrap();
        assert_eq!(text, b"theirs");
        assert_eq!(objects(&lake).len(), 7);
    }

    #[test]
    fn no_object_is_ever_another_than_it_was() {
        let folder = loaded();
        let mut known = BTreeMap::new();
        for shards in [2, 3, 1, 1, 2] {
            resharded(&folder.lake(), shards).unwrap();
            for object in objects(&folder.lake()) {
                let version = known.entry(object.key).or_insert_with(|| object.version.clone());
                assert_eq!(*version, object.version);
            }
        }
        assert_eq!((definition(&folder).parts(), known.len()), (7..9, 3 * 8));
    }

    #[test]
    fn a_table_without_keys_is_not_cut() {
        let folder = LakeFolder::new();
        let spec = Spec { keys: Vec::new(), load: LoadMethod::Overwrite, ..by_month() };
        load(&folder.lake(), spec.clone(), 0..60, "a").unwrap();
        let before = folder.lake().store.list("").unwrap();
        assert_eq!(resharded(&folder.lake(), 3).unwrap(), None);
        assert_eq!(folder.lake().store.list("").unwrap(), before);
    }

    #[test]
    fn no_run_loads_into_a_table_that_is_being_resharded() {
        let folder = loaded();
        // Dies after the definition is marked.
        resharded(&dying(&folder, 2), 3).unwrap_err();
        assert_eq!((definition(&folder).shards, definition(&folder).resharding), (1, Some(3)));
        let error = load(&folder.lake(), by_month(), 0..1, "b").unwrap_err().to_string();
        assert!(error.contains("maintain --table t --shards 3"), "{error}");
        resharded(&folder.lake(), 3).unwrap();
        upsert(&folder.lake(), 0..60, "b");
        assert_eq!(found(&folder.lake()), once([(0..60, "b")]));
    }

    #[test]
    fn a_resharding_that_dies_at_any_change_is_brought_to_its_end_by_another() {
        let expected = once([(0..60, "a")]);
        for (from, to, again) in [(1, 3, 3), (3, 1, 1), (2, 3, 1)] {
            let mut deaths = 0;
            for nth in 1.. {
                let folder = loaded();
                resharded(&folder.lake(), from).unwrap();
                let outcome = resharded(&dying(&folder, nth), to);
                let left = found(&folder.lake());
                assert!(left.keys().eq(expected.keys()), "no row is missing: {nth}");
                assert!(left.values().flatten().all(|name| name == "a"), "{nth}");
                if outcome.is_ok() {
                    break;
                }
                deaths += 1;
                if definition(&folder).resharding.is_none() {
                    // Whatever loads into it finds what is left.
                    Table::open(&folder.lake(), &Arc::new(by_month())).unwrap();
                    assert_eq!(found(&folder.lake()), expected, "{from} to {to}, {nth}");
                }
                resharded(&folder.lake(), again).unwrap();
                assert_eq!(found(&folder.lake()), expected, "{from} to {to}, {nth}");
                assert_eq!(objects(&folder.lake()).len(), 3 * again as usize);
                assert_eq!(definition(&folder).resharding, None);
            }
            // Two definitions, and in each partition at least one object that comes and one that goes.
            assert!(deaths >= 8, "{deaths}");
        }
    }
}
