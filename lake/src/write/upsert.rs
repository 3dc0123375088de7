//! Upsert: the object of each touched group is read, rid of the keys that are replaced, extended
//! by the new rows and put back in one atomic write. Untouched objects are not even looked at, and
//! an object whose rows all come again as they are stays as it is.

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::{filter_record_batch, not};
use arrow::error::ArrowError;
use crossbeam_channel::{bounded, unbounded};

use super::committed::Committed;
use super::core::Core;
use super::retry::persist;
use super::widen::are_of_current_type;
use crate::error::{Error, Result};
use crate::file::reader::PartReader;
use crate::file::writer::{Ended, PartWriter};
use crate::stage::{Group, StageReader};
use crate::store::{Condition, Object};
use crate::table::content::Content;
use crate::table::key;

/// A larger object is made visible before the next is begun, because what it holds in memory would
/// add up.
const SMALL_BYTES: usize = 4 * 1024 * 1024;

/// Groups whose objects another writer has disturbed.
#[derive(Debug, Default)]
struct Disturbed {
    groups: Vec<Group>,
    /// An object that has more than the definition knows.
    newer: Option<Error>,
}

/// Commits all staged groups.
pub(super) fn commit(table: &mut Core, committed: &mut Committed) -> Result<()> {
    let groups = table.stage.groups().to_vec();
    let mut disturbed = merge_all(table, &groups, committed)?;
    if disturbed.groups.is_empty() {
        return Ok(());
    }
    persist(|| {
        // Whoever was faster may have given the table more columns, which its rows have by now.
        let has_changed = table.catch_up(true)?;
        disturbed = merge_all(table, &disturbed.groups, committed)?;
        match (disturbed.groups.first(), disturbed.newer.take()) {
            (None, _) => Ok(()),
            (Some(_), Some(newer)) if !has_changed => Err(newer),
            (Some(group), _) => {
                Err(Error::Conflict { object: table.lake.store.locate(&table.object_key(*group)?) })
            }
        }
    })
}

/// Merges groups with their objects.
fn merge_all(table: &Core, groups: &[Group], committed: &mut Committed) -> Result<Disturbed> {
    let staged = table.stage.reader()?;
    let keys: Vec<String> =
        groups.iter().map(|group| table.object_key(*group)).collect::<Result<_>>()?;
    let existing = look_up(table, &keys)?;
    if existing.iter().any(Option::is_none) {
        // An object that a cut has removed must not come again under its name.
        table.defined.check_cut(&table.lake)?;
    }
    let mut disturbed = Disturbed::default();
    let mut resolve = |group: Group, outcome: Result<Object>| match outcome {
        Ok(written) => {
            committed.count(&written, &table.stage.folder(group)?);
            Ok(())
        }
        Err(error @ (Error::Conflict { .. } | Error::Newer { .. })) => {
            disturbed.groups.push(group);
            if let Error::Newer { .. } = error {
                disturbed.newer = Some(error);
            }
            Ok(())
        }
        Err(error) => Err(error),
    };
    std::thread::scope(|scope| {
        let (work, ended) = bounded::<(Group, Ended)>(0);
        let (done, outcomes) = unbounded();
        let at_once = table.lake.at_once;
        for _ in 0..at_once {
            let (ended, done) = (ended.clone(), done.clone());
            scope.spawn(move || {
                // Nobody waits for it after an error before it.
                ended.iter().for_each(|(group, file)| _ = done.send((group, file.finish())));
            });
        }
        drop((ended, done));
        for ((group, key), existing) in groups.iter().zip(&keys).zip(&existing) {
            // Other tables may be merged at the same time.
            let size = existing.as_ref().map_or(0, |object| object.size);
            let room = table.lake.room_for(table.stage.schema().flattened_fields().len(), size);
            let merged = merge(table, &staged, *group, key, existing.as_ref());
            drop(room);
            match merged {
                Ok(Some(file)) if file.bytes() <= SMALL_BYTES && at_once > 1 => {
                    _ = work.send((*group, file));
                }
                Ok(Some(file)) => resolve(*group, file.finish())?,
                Ok(None) => {}
                Err(error) => resolve(*group, Err(error))?,
            }
            outcomes.try_iter().try_for_each(|(group, outcome)| resolve(group, outcome))?;
        }
        drop(work);
        outcomes.iter().try_for_each(|(group, outcome)| resolve(group, outcome))
    })?;
    let sizes = existing.iter().flatten().map(|object| object.size);
    committed.bytes_read += sizes.sum::<u64>();
    Ok(disturbed)
}

/// The objects of these keys that there are.
fn look_up(table: &Core, keys: &[String]) -> Result<Vec<Option<Object>>> {
    let store = &table.lake.store;
    std::thread::scope(|scope| {
        let shares = keys.chunks(keys.len().div_ceil(table.lake.at_once).max(1));
        let threads: Vec<_> = shares
            .map(|keys| scope.spawn(|| keys.iter().map(|key| store.head(key)).collect()))
            .collect();
        let died = |_| Error::internal("a thread that looks objects up lives to its end");
        let found = threads.into_iter().map(|thread| thread.join().map_err(died)?);
        let found: Result<Vec<Vec<_>>> = found.collect();
        Ok(found?.concat())
    })
}

/// Merges the staged rows of a group with those of its object; nothing is written where they are
/// there already.
fn merge(
    table: &Core,
    staged: &StageReader<'_>,
    group: Group,
    key: &str,
    existing: Option<&Object>,
) -> Result<Option<Ended>> {
    let mut part = table.part(key, Condition::still(existing))?;
    if let Some(object) = existing {
        let mut replaced = Content::new(table.stage.schema()).map_err(Error::arrow)?;
        let old = Old::open(table, object)?;
        let is_current = old.is_current;
        // An object of older columns is written again in any case.
        let note = |rows: &RecordBatch| if is_current { replaced.add(rows) } else { Ok(()) };
        old.copy(&mut part, |hashes| staged.replaces(hashes), note)?;
        if replaced.rows() > 0 {
            let mut new = Content::new(table.stage.schema()).map_err(Error::arrow)?;
            staged.each(group, |batch| {
                // More rows than are replaced are other rows, whatever they hold.
                if new.rows() <= replaced.rows() {
                    new.add(batch).map_err(Error::arrow)
                } else {
                    Ok(())
                }
            })?;
            if new.is(&replaced) {
                return Ok(None);
            }
        }
    }
    staged.each(group, |batch| part.write(batch))?;
    part.end().map(Some)
}

/// An object as it was before the commit.
struct Old<'a> {
    table: &'a Core,
    part: PartReader,
    /// Whether the object has the table's columns, all of them and as they are now.
    is_current: bool,
}

impl<'a> Old<'a> {
    fn open(table: &'a Core, object: &Object) -> Result<Self> {
        let name = table.lake.store.locate(&object.key);
        let part = PartReader::open(table.lake.store.fetch(object)?, &name)?;
        if let Some(shards) = part.shards.filter(|shards| *shards != table.definition().shards) {
            return Err(table.resharded(shards));
        }
        let columns = part.schema();
        let is_current = columns.fields().len() == table.stage.schema().fields().len()
            && are_of_current_type(columns.fields(), table.stage.schema());
        Ok(Self { table, part, is_current })
    }

    /// Copies the rows but those that are `replaced`, by the hashes of their keys, as the table's columns
    /// are now; the others go to `rest`.
    fn copy(
        self,
        new: &mut PartWriter,
        replaced: impl Fn(&[u128]) -> Result<Vec<bool>>,
        mut rest: impl FnMut(&RecordBatch) -> std::result::Result<(), ArrowError>,
    ) -> Result<()> {
        let keys = self.table.definition().key_positions()?;
        for batch in self.part.batches(self.table.stage.schema())? {
            let batch = batch?;
            let gone = BooleanArray::from(replaced(&key::hash_rows(&batch, &keys)?)?);
            if gone.true_count() == 0 {
                new.write(&batch)?;
            } else {
                let kept = not(&gone).map_err(Error::arrow)?;
                new.write(&filter_record_batch(&batch, &kept).map_err(Error::arrow)?)?;
                rest(&filter_record_batch(&batch, &gone).map_err(Error::arrow)?)
                    .map_err(Error::arrow)?;
            }
        }
        Ok(())
    }
}
