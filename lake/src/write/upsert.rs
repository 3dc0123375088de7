//! Upsert: the object of each touched group is read, rid of the keys that are replaced, extended
//! by the new rows and put back in one atomic write. Untouched objects are not even looked at, and
//! an object whose rows all come again as they are stays as it is.

use std::fs::File;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::{filter_record_batch, not};
use arrow::error::ArrowError;

use super::committed::Committed;
use super::core::Core;
use super::replaced::{self, Existing, OfObject, Replaced};
use super::retry::persist;
use super::widen::are_of_current_type;
use crate::at_once::{Room, at_once};
use crate::error::{Error, Result};
use crate::file::reader::PartReader;
use crate::file::writer::{Ended, PartWriter};
use crate::stage::{Group, StageReader};
use crate::store::{Condition, Object};
use crate::table::content::Content;

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

/// Merges groups with their objects, several at once.
fn merge_all(table: &Core, groups: &[Group], committed: &mut Committed) -> Result<Disturbed> {
    let staged = table.stage.reader()?;
    let existing = look_up(table, groups)?;
    if existing.iter().any(|(_, object)| object.is_none()) {
        // An object that a cut has removed must not come again under its name.
        table.defined.check_cut(&table.lake)?;
    }
    let mut disturbed = Disturbed::default();
    for groups in replaced::together(&staged, &existing) {
        let replaced = Replaced::of(table, &staged, groups)?;
        merge_some(table, &staged, groups, &replaced, &mut disturbed, committed)?;
    }
    let sizes = existing.iter().filter_map(|(_, object)| Some(object.as_ref()?.size));
    committed.bytes_read += sizes.sum::<u64>();
    Ok(disturbed)
}

/// The objects of these groups that there are.
fn look_up(table: &Core, groups: &[Group]) -> Result<Vec<Existing>> {
    let keys = groups.iter().map(|group| Ok((*group, table.object_key(*group)?)));
    let keys: Vec<(Group, String)> = keys.collect::<Result<_>>()?;
    let mut found: Vec<Existing> = groups.iter().map(|group| (*group, None)).collect();
    let head = |(at, (_, key)): (usize, &(Group, String))| (at, table.lake.store.head(key));
    at_once(table.lake.at_once, keys.iter().enumerate(), head, |(at, object)| {
        if let Some((_, place)) = found.get_mut(at) {
            *place = object?;
        }
        Ok(())
    })?;
    Ok(found)
}

/// Merges some groups with their objects.
fn merge_some(
    table: &Core,
    staged: &StageReader<'_>,
    groups: &[Existing],
    replaced: &Replaced<'_>,
    disturbed: &mut Disturbed,
    committed: &mut Committed,
) -> Result<()> {
    let room = Room::new(table.lake.budget);
    let merge = |(at, (group, existing)): (usize, &Existing)| -> Result<Option<Object>> {
        let merge = Merge { table, staged, group: *group, existing: existing.as_ref() };
        let taken = room.take(merge.memory()?);
        let file = merge.merge(replaced, at)?;
        // It becomes visible while others are merged.
        drop(taken);
        file.map(Ended::finish).transpose()
    };
    let work = |(at, existing): (usize, &Existing)| (existing.0, merge((at, existing)));
    at_once(table.lake.at_once, groups.iter().enumerate(), work, |(group, outcome)| match outcome {
        Ok(Some(written)) => {
            committed.count(&written, &table.stage.folder(group)?);
            Ok(())
        }
        Ok(None) => Ok(()),
        Err(error @ (Error::Conflict { .. } | Error::Newer { .. })) => {
            disturbed.groups.push(group);
            if let Error::Newer { .. } = error {
                disturbed.newer = Some(error);
            }
            Ok(())
        }
        Err(error) => Err(error),
    })
}

/// The staged rows of a group, and its object.
#[derive(Debug, Clone, Copy)]
struct Merge<'a> {
    table: &'a Core,
    staged: &'a StageReader<'a>,
    group: Group,
    existing: Option<&'a Object>,
}

impl Merge<'_> {
    /// Memory in bytes, about: rows that are yet to be encoded, and an open row group.
    fn memory(&self) -> Result<usize> {
        let staged = self.staged.bytes(self.group)?;
        let old =
            self.existing.map_or(0, |object| usize::try_from(object.size).unwrap_or(usize::MAX));
        let all = (staged / 2).saturating_add(old.saturating_mul(2));
        Ok(all.min(self.table.lake.budget / 8 * 5))
    }

    /// Writes them as one file; nothing where all rows are there already.
    fn merge(&self, replaced: &Replaced<'_>, at: usize) -> Result<Option<Ended>> {
        let Self { table, staged, group, existing } = *self;
        let mut part = table.part(&table.object_key(group)?, Condition::still(existing))?;
        if let Some(object) = existing {
            let mut gone = Content::new(table.stage.schema()).map_err(Error::arrow)?;
            let (file, replaced) = replaced.in_object(at)?;
            let old = Old::open(table, object, file)?;
            let is_current = old.is_current;
            // An object of older columns is written again in any case.
            let note = |rows: &RecordBatch| if is_current { gone.add(rows) } else { Ok(()) };
            old.copy(&mut part, replaced, note)?;
            if gone.rows() > 0 {
                let mut new = Content::new(table.stage.schema()).map_err(Error::arrow)?;
                staged.each(group, |batch| {
                    // More rows than are replaced are other rows, whatever they hold.
                    if new.rows() <= gone.rows() {
                        new.add(batch).map_err(Error::arrow)
                    } else {
                        Ok(())
                    }
                })?;
                if new.is(&gone) {
                    return Ok(None);
                }
            }
        }
        staged.each(group, |batch| part.write(batch))?;
        // A partition that was cut after its rows had come may have an object without any.
        if existing.is_none() && part.rows() == 0 {
            return Ok(None);
        }
        part.end().map(Some)
    }
}

/// An object as it was before the commit.
struct Old<'a> {
    table: &'a Core,
    part: PartReader,
    /// Whether the object has the table's columns, all of them and as they are now.
    is_current: bool,
}

impl<'a> Old<'a> {
    /// Opens it; `file` is it where it was fetched before.
    fn open(table: &'a Core, object: &Object, file: Option<File>) -> Result<Self> {
        let name = table.lake.store.locate(&object.key);
        let file = file.map_or_else(|| table.lake.store.fetch(object), Ok)?;
        let part = PartReader::open(file, &name)?;
        if let Some(shards) = part.shards.filter(|shards| *shards != table.definition().shards) {
            return Err(table.resharded(shards));
        }
        let columns = part.schema();
        let is_current = columns.fields().len() == table.stage.schema().fields().len()
            && are_of_current_type(columns.fields(), table.stage.schema());
        Ok(Self { table, part, is_current })
    }

    /// Copies the rows but those that are `replaced`, as the table's columns are now; the others go to `rest`.
    fn copy(
        self,
        new: &mut PartWriter,
        mut replaced: OfObject<'_>,
        mut rest: impl FnMut(&RecordBatch) -> std::result::Result<(), ArrowError>,
    ) -> Result<()> {
        for batch in self.part.batches(self.table.stage.schema())? {
            let batch = batch?;
            let gone = BooleanArray::from(replaced.next(&batch)?);
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
