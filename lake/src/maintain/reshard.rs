//! Resharding: the rows of an upserted table move to another number of objects per partition.
//!
//! The definition says so from the first moment to the last, and no run loads into the table
//! meanwhile. Each partition is read whole and the hash of a key decides where its row belongs. At
//! first every object gains the rows that it lacks, and only then do rows leave the objects where they
//! were: no row is ever missing, and until a partition is done a reader may see rows of it twice.
//! Whatever ends the work, doing it again brings it to its end: doubled rows are the same row.

use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Schema, SchemaRef};

use super::report::Action;
use super::survey;
use crate::error::{Error, Result};
use crate::file::encoding::{Encoding, Format};
use crate::file::reader::PartReader;
use crate::lake::Lake;
use crate::schema;
use crate::stage::Stage;
use crate::store::{Condition, Object};
use crate::table::definition::Definition;
use crate::table::key;
use crate::table::partition::Partitioner;
use crate::write::retry::persist;

/// Moves the rows of a table to `shards` objects per partition. Nothing where they are there already.
pub(super) fn reshard(
    lake: &Lake,
    table: &str,
    encoding: &Encoding,
    shards: u32,
    dry_run: bool,
) -> Result<Option<Action>> {
    let _guard = if dry_run { None } else { lake.store.lock(table)? };
    let (mut stored, mut definition) = survey::definition(lake, table)?;
    let from = definition.shards;
    if from == shards && definition.resharding.is_none() {
        return Ok(None);
    }
    let objects = lake.store.list(&format!("{table}/"))?;
    let folders = survey::folders(&definition, &objects)?;
    let action = Action::Reshard { from, to: shards, partitions: folders.len() };
    if dry_run {
        return Ok(Some(action));
    }
    definition.resharding = Some(shards);
    stored = lake.define(&definition, &stored)?;
    let format = lake.format(encoding, shards);
    for folder in folders {
        let partition = Partition::new(lake, &definition, &format, &folder)?;
        // A run that had begun before may write once more.
        persist(|| partition.reshard())?;
    }
    definition.resharding = None;
    definition.shards = shards;
    lake.define(&definition, &stored)?;
    Ok(Some(action))
}

/// An object of a partition as it was found, or written since.
#[derive(Debug)]
struct Part {
    object: Object,
    shard: u32,
    /// Rows whose keys belong in this object.
    belonging: u64,
    /// Rows whose keys belong in another.
    misplaced: u64,
    /// Its footer names the new number of shards.
    is_new: bool,
}

impl Part {
    fn is_done(&self) -> bool {
        self.is_new && self.misplaced == 0
    }
}

/// The rows of a partition by the objects in which they belong, and the objects where they are.
struct Rows {
    stage: Stage,
    parts: Vec<Part>,
}

/// A partition whose rows move.
struct Partition<'a> {
    lake: &'a Lake,
    format: &'a Format,
    schema: SchemaRef,
    keys: Vec<usize>,
    /// What the keys of its objects begin with.
    prefix: String,
}

impl<'a> Partition<'a> {
    fn new(
        lake: &'a Lake,
        definition: &Definition,
        format: &'a Format,
        folder: &str,
    ) -> Result<Self> {
        Ok(Self {
            lake,
            format,
            schema: Arc::new(Schema::new(schema::fields(&definition.columns))),
            keys: definition.key_positions()?,
            prefix: format!("{}/{folder}part-", definition.table),
        })
    }

    fn reshard(&self) -> Result<()> {
        let mut rows = self.read()?;
        if rows.parts.iter().all(Part::is_done) {
            return Ok(());
        }
        self.add_missing(&mut rows)?;
        self.remove_misplaced(&rows)
    }

    /// Reads all objects of the partition. What is none of the table's stays as it is.
    fn read(&self) -> Result<Rows> {
        let partitioner = Partitioner::new(None);
        let schema = SchemaRef::clone(&self.schema);
        let stage = Stage::new(schema, partitioner, self.format.shards, true);
        let mut rows = Rows { stage, parts: Vec::new() };
        for object in self.lake.store.list(&self.prefix)? {
            if let Some(shard) = self.shard_of(&object.key) {
                let part = self.read_part(object, shard, &mut rows.stage)?;
                rows.parts.push(part);
            }
        }
        Ok(rows)
    }

    fn read_part(&self, object: Object, shard: u32, stage: &mut Stage) -> Result<Part> {
        let (mut belonging, mut all) = (0, 0);
        let shards = self.each(&object, |batch, hashes| {
            all += hashes.len() as u64;
            belonging += hashes.iter().filter(|hash| self.shard(**hash) == shard).count() as u64;
            stage.push(batch, hashes)?;
            if stage.memory() > self.lake.budget {
                stage.spill(&self.lake.spill)?;
            }
            Ok(())
        })?;
        let is_new = shards == Some(self.format.shards);
        Ok(Part { object, shard, belonging, misplaced: all - belonging, is_new })
    }

    /// Writes every object that lacks rows with them, beside the rows that are misplaced in it.
    fn add_missing(&self, rows: &mut Rows) -> Result<()> {
        let reader = rows.stage.reader()?;
        for group in rows.stage.groups() {
            let key = format!("{}{:05}.parquet", self.prefix, group.shard);
            let mut count = 0;
            reader.each(*group, |batch| {
                count += batch.num_rows() as u64;
                Ok(())
            })?;
            let old = rows.parts.iter_mut().find(|part| part.shard == group.shard);
            if old.as_ref().is_some_and(|old| old.belonging == count) {
                continue;
            }
            let existing = old.as_ref().map(|old| &old.object);
            let mut part =
                self.lake.part(&key, Condition::still(existing), &self.schema, self.format)?;
            if let Some(old) = existing {
                self.each(old, |batch, hashes| {
                    let misplaced =
                        hashes.iter().map(|hash| Some(self.shard(*hash) != group.shard));
                    let misplaced: BooleanArray = misplaced.collect();
                    part.write(&filter_record_batch(&batch, &misplaced).map_err(Error::arrow)?)
                })?;
            }
            reader.each(*group, |batch| part.write(batch))?;
            let written = part.finish()?;
            if let Some(old) = old {
                old.object = written;
                old.is_new = true;
            }
        }
        Ok(())
    }

    /// Every row is where it belongs; now it goes from where it does not.
    fn remove_misplaced(&self, rows: &Rows) -> Result<()> {
        let reader = rows.stage.reader()?;
        for old in rows.parts.iter().filter(|part| !part.is_done()) {
            let key = &old.object.key;
            match rows.stage.groups().iter().find(|group| group.shard == old.shard) {
                Some(group) => {
                    let condition = Condition::still(Some(&old.object));
                    let mut part = self.lake.part(key, condition, &self.schema, self.format)?;
                    reader.each(*group, |batch| part.write(batch))?;
                    part.finish()?;
                }
                None => self.lake.store.delete(key)?,
            }
        }
        Ok(())
    }

    fn shard(&self, hash: u128) -> u32 {
        key::shard(hash, self.format.shards)
    }

    /// The shard of an object of the partition; nothing for what is none.
    fn shard_of(&self, key: &str) -> Option<u32> {
        key.strip_prefix(&self.prefix)?.strip_suffix(".parquet")?.parse().ok()
    }

    /// Hands on the rows of an object with the hashes of their keys; returns the number of shards that
    /// it was written for.
    fn each(
        &self,
        object: &Object,
        mut take: impl FnMut(RecordBatch, &[u128]) -> Result<()>,
    ) -> Result<Option<u32>> {
        let name = self.lake.store.locate(&object.key);
        let part = PartReader::open(self.lake.store.fetch(object)?, &name)?;
        let shards = part.shards;
        for batch in part.batches(&self.schema) {
            let batch = batch?;
            let hashes = key::hash_rows(&batch, &self.keys)?;
            take(batch, &hashes)?;
        }
        Ok(shards)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maintain::testing::{dying, load, upsert};
    use crate::testing::{LakeFolder, by_month, found, objects, once};

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
    fn a_run_that_had_begun_before_is_not_overwritten() {
        let folder = loaded();
        let lake = folder.lake();
        let format = lake.format(&Encoding::default(), 2);
        let definition = definition(&folder);
        let partition = Partition::new(&lake, &definition, &format, "month=2026-01/").unwrap();
        let mut rows = partition.read().unwrap();
        partition.add_missing(&mut rows).unwrap();
        upsert(&folder.lake(), 60..90, "b");
        let error = partition.remove_misplaced(&rows).unwrap_err();
        assert!(matches!(error, Error::Conflict { .. }), "{error}");
        resharded(&folder.lake(), 2).unwrap();
        assert_eq!(found(&folder.lake()), once([(0..60, "a"), (60..90, "b")]));
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
                resharded(&folder.lake(), again).unwrap();
                assert_eq!(found(&folder.lake()), expected, "{from} to {to}, {nth}");
                assert_eq!(objects(&folder.lake()).len(), 3 * again as usize);
                assert_eq!(definition(&folder).resharding, None);
            }
            // Two definitions, and in each partition at least one object that gains or loses rows.
            assert!(deaths > 5, "{deaths}");
        }
    }
}
