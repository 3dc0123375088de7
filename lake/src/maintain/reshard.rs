//! Cutting an upserted table into another number of objects per partition.
//!
//! The definition says so from the first moment to the last, and no run loads into the table
//! meanwhile. Each partition is read whole and its rows are cut by the hash of their keys. At first
//! every object is given the rows that it lacks, and only then are rows taken away from where they
//! were: no row is ever missing, and until a partition is done a reader may see rows of it twice.
//! Whatever ends the work, doing it again brings it to its end: doubled rows are the same row.

use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Schema, SchemaRef};

use super::{Action, survey};
use crate::Lake;
use crate::error::{Error, Result};
use crate::file::{Encoding, Format, PartReader};
use crate::schema;
use crate::stage::Stage;
use crate::store::{Condition, Object};
use crate::table::{Definition, Partitioner, key};
use crate::write::MERGE_ATTEMPTS;

/// Cuts a table into `shards` objects per partition.
pub(super) fn table(
    lake: &Lake,
    table: &str,
    encoding: &Encoding,
    shards: u32,
    dry_run: bool,
) -> Result<Option<Action>> {
    let _guard = if dry_run { None } else { lake.store.lock(table)? };
    let Some((mut stored, mut definition)) = lake.definition(table)? else { return Ok(None) };
    let from = definition.shards;
    if from == shards && definition.resharding.is_none() {
        return Ok(None);
    }
    let objects = lake.store.list(&format!("{table}/"))?;
    let folders = survey::folders(&definition, &objects);
    let action = Action::Reshard { from, to: shards, partitions: folders.len() };
    if dry_run {
        return Ok(Some(action));
    }
    definition.resharding = Some(shards);
    stored = lake.define(&definition, &stored)?;
    let format = lake.format(encoding, shards);
    for folder in folders {
        let mut attempt = 1;
        let partition = Partition::new(lake, &definition, &format, &folder)?;
        while let Err(error) = partition.cut() {
            // A run that had begun before has written once more.
            if !matches!(error, Error::Conflict { .. }) || attempt == MERGE_ATTEMPTS {
                return Err(error);
            }
            attempt += 1;
        }
    }
    definition.resharding = None;
    definition.shards = shards;
    lake.define(&definition, &stored)?;
    Ok(Some(action))
}

/// An object of a partition as it was found.
struct Found {
    object: Object,
    shard: Option<u32>,
    /// Rows that belong into this object.
    own: u64,
    /// Rows that belong into another.
    foreign: u64,
    /// It was written for this number of shards.
    is_cut: bool,
}

/// The cutting of one partition.
struct Partition<'a> {
    lake: &'a Lake,
    format: &'a Format,
    schema: SchemaRef,
    keys: Vec<usize>,
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

    fn cut(&self) -> Result<()> {
        let mut objects = self.lake.store.list(&self.prefix)?;
        objects.retain(|object| self.shard_of(&object.key).is_some());
        let partitioner = Partitioner::new(None);
        let mut stage =
            Stage::new(SchemaRef::clone(&self.schema), partitioner, self.format.shards, true);
        let mut found = Vec::new();
        for object in objects {
            found.push(self.stage(object, &mut stage)?);
        }
        if found.iter().all(|found| found.is_cut && found.foreign == 0) {
            return Ok(());
        }
        let reader = stage.reader()?;
        for group in stage.groups() {
            let key = format!("{}{:05}.parquet", self.prefix, group.shard);
            let mut rows = 0;
            reader.each(*group, |batch| {
                rows += batch.num_rows() as u64;
                Ok(())
            })?;
            let old = found.iter_mut().find(|found| found.shard == Some(group.shard));
            if old.as_ref().is_some_and(|old| old.own == rows) {
                continue;
            }
            let existing = old.as_ref().map(|old| &old.object);
            let mut part =
                self.lake.part(&key, Condition::still(existing), &self.schema, self.format)?;
            if let Some(old) = existing {
                self.read(old, |batch, hashes| {
                    let others = hashes.iter().map(|hash| Some(self.shard(*hash) != group.shard));
                    let others: BooleanArray = others.collect();
                    part.write(&filter_record_batch(&batch, &others).map_err(Error::arrow)?)
                })?;
            }
            reader.each(*group, |batch| part.write(batch))?;
            let written = part.finish()?;
            if let Some(old) = old {
                old.object = written.object;
                old.is_cut = true;
            }
        }
        // Every row is where it belongs; now it goes from where it was.
        for old in found.iter().filter(|old| !old.is_cut || old.foreign > 0) {
            let key = &old.object.key;
            let group = stage.groups().iter().find(|group| old.shard == Some(group.shard));
            let Some(group) = group else {
                self.lake.store.delete(key)?;
                continue;
            };
            let condition = Condition::still(Some(&old.object));
            let mut part = self.lake.part(key, condition, &self.schema, self.format)?;
            reader.each(*group, |batch| part.write(batch))?;
            part.finish()?;
        }
        Ok(())
    }

    fn shard(&self, hash: u128) -> u32 {
        key::shard(hash, self.format.shards)
    }

    fn shard_of(&self, key: &str) -> Option<u32> {
        key.strip_prefix(&self.prefix)?.strip_suffix(".parquet")?.parse().ok()
    }

    /// Stages the rows of an object.
    fn stage(&self, object: Object, stage: &mut Stage) -> Result<Found> {
        let shard = self.shard_of(&object.key);
        let (mut own, mut all) = (0, 0);
        let shards = self.read(&object, |batch, hashes| {
            all += hashes.len() as u64;
            own += hashes.iter().filter(|hash| Some(self.shard(**hash)) == shard).count() as u64;
            stage.push(batch, hashes)?;
            if stage.memory() > self.lake.budget {
                stage.spill(&self.lake.spill)?;
            }
            Ok(())
        })?;
        let is_cut = shards == Some(self.format.shards);
        Ok(Found { object, shard, own, foreign: all - own, is_cut })
    }

    /// Gives the rows of an object with the hashes of their keys; returns the number of shards that
    /// it was written for.
    fn read(
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
