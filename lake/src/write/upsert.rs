//! Upsert: the object of each touched group is read, rid of the keys that are replaced, extended
//! by the new rows and put back in one atomic write. Untouched objects are not even looked at, and
//! an object whose rows all come again as they are stays as it is.

use std::collections::HashSet;
use std::fs::File;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::{filter_record_batch, not};
use arrow::error::ArrowError;

use super::committed::Committed;
use super::core::Core;
use super::replaced::{self, OfObject, Replaced, Target};
use super::retry::persist;
use super::widen::are_of_current_type;
use crate::at_once::at_once;
use crate::error::{Error, Result};
use crate::file::reader::PartReader;
use crate::file::writer::{ENCODER_BYTES, Ended, PartWriter};
use crate::format::iceberg::metrics::Metrics;
use crate::room::Part;
use crate::stage::{Group, StageReader};
use crate::store::Object;
use crate::table::content::Content;
use crate::table::file_name;

/// Objects that another writer has disturbed.
#[derive(Debug, Default)]
struct Disturbed {
    groups: Vec<Group>,
    /// Keys of objects that get no staged rows.
    others: Vec<String>,
    /// An object that has more than the definition knows.
    newer: Option<Error>,
}

/// Commits all staged groups.
pub(super) fn commit(table: &mut Core, committed: &mut Committed) -> Result<()> {
    if table.moves_keys {
        // Before: a key is never there twice.
        let mut is_again = false;
        persist(|| {
            if std::mem::replace(&mut is_again, true) {
                table.catch_up(true)?;
            }
            leave_other_partitions(table, committed)
        })?;
    }
    let groups = table.stage.groups().to_vec();
    let mut disturbed = merge_groups(table, &groups, committed)?;
    if disturbed.groups.is_empty() {
        return Ok(());
    }
    persist(|| {
        // Whoever was faster may have given the table more columns, which its rows have by now.
        let has_changed = table.catch_up(true)?;
        disturbed = merge_groups(table, &disturbed.groups, committed)?;
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
fn merge_groups(table: &Core, groups: &[Group], committed: &mut Committed) -> Result<Disturbed> {
    let staged = table.stage.reader()?;
    let targets = look_up(table, groups)?;
    if targets.iter().any(|target| target.object.is_none()) {
        // An object that a cut has removed must not come again under its name.
        table.defined.check_cut(&table.lake)?;
    }
    let mut disturbed = Disturbed::default();
    for targets in replaced::together(&staged, &targets) {
        let replaced = Replaced::of(table, &staged, targets)?;
        let all = targets.iter().enumerate().collect();
        let take = |target: &Target, merged| disturbed.take(table, target, merged, committed);
        merge_all(table, &staged, all, &replaced, take)?;
    }
    Ok(disturbed)
}

/// Takes staged keys out of the partitions that they come from, where these get no staged rows. Of each object
/// the key columns are read, where they may have one of them.
fn leave_other_partitions(table: &Core, committed: &mut Committed) -> Result<()> {
    let touched = table.stage.groups().iter().map(|group| table.object_key(*group));
    let touched: HashSet<String> = touched.collect::<Result<_>>()?;
    let prefix = table.prefix();
    let parts = table.definition().parts();
    let is_other = |object: &Object| {
        object.key.strip_prefix(&prefix).is_some_and(file_name::is_own)
            && file_name::part_number(&object.key).is_some_and(|number| parts.contains(&number))
            && !touched.contains(&object.key)
    };
    let others = table.lake.store.list(&prefix)?.into_iter().filter(is_other);
    let others =
        others.map(|object| Target { key: object.key.clone(), group: None, object: Some(object) });
    let others: Vec<Target> = others.collect();
    let staged = table.stage.reader()?;
    let mut disturbed = Disturbed::default();
    for targets in replaced::together(&staged, &others) {
        let replaced = Replaced::of(table, &staged, targets)?;
        let hit = hit(table, targets.iter().enumerate(), &replaced)?;
        let take = |target: &Target, merged| disturbed.take(table, target, merged, committed);
        merge_all(table, &staged, hit, &replaced, take)?;
    }
    match (disturbed.newer, disturbed.others.pop()) {
        (Some(newer), _) => Err(newer),
        (None, Some(object)) => Err(Error::Conflict { object: table.lake.store.locate(&object) }),
        (None, None) => Ok(()),
    }
}

/// Those of some targets that have rows which are replaced.
pub(super) fn hit<'t>(
    table: &Core,
    targets: impl Iterator<Item = (usize, &'t Target)>,
    replaced: &Replaced<'_>,
) -> Result<Vec<(usize, &'t Target)>> {
    let mut hit = Vec::new();
    let look = |(at, target)| (at, target, replaced.are_in(at, target));
    at_once(table.lake.at_once, targets, look, |(at, target, are_in)| {
        if are_in? {
            hit.push((at, target));
        }
        Ok(())
    })?;
    Ok(hit)
}

/// The objects of these groups.
fn look_up(table: &Core, groups: &[Group]) -> Result<Vec<Target>> {
    let targets = groups.iter().map(|group| {
        Ok(Target { key: table.object_key(*group)?, group: Some(*group), object: None })
    });
    let mut targets: Vec<Target> = targets.collect::<Result<_>>()?;
    let keys: Vec<String> = targets.iter().map(|target| target.key.clone()).collect();
    let head = |(at, key): (usize, &String)| (at, table.lake.store.head(key));
    at_once(table.lake.at_once, keys.iter().enumerate(), head, |(at, object)| {
        if let Some(target) = targets.get_mut(at) {
            target.object = object?;
        }
        Ok(())
    })?;
    Ok(targets)
}

/// Writes objects again, several at once. `take` hears of each what came of it.
pub(super) fn merge_all<'a>(
    table: &'a Core,
    staged: &'a StageReader<'a>,
    targets: Vec<(usize, &'a Target)>,
    replaced: &Replaced<'_>,
    mut take: impl FnMut(&Target, Result<Merged>) -> Result<()>,
) -> Result<()> {
    let merge = |merge: Merge<'a>| (merge.target, merge.write(replaced));
    let finish = |(target, written): (&'a Target, Result<Written<'_>>)| {
        (target, written.and_then(Written::finish))
    };
    let merges = targets.into_iter().map(|(at, target)| Merge::new(table, staged, at, target));
    let merges: Vec<Merge<'_>> = merges.collect::<Result<_>>()?;
    let is_small = |merge: &Merge<'_>| merge.memory <= table.lake.room_of_small();
    let (small, large): (Vec<_>, Vec<_>) = merges.into_iter().partition(is_small);
    let mut take = |(target, outcome): (&Target, Result<Merged>)| take(target, outcome);
    // Many small ones wait for the store together. A large one has the workers for itself, and becomes visible
    // while the next is merged.
    at_once(table.lake.at_once, small, |small| finish(merge(small)), &mut take)?;
    if table.lake.merges > 1 {
        return at_once(table.lake.merges, large, |large| finish(merge(large)), take);
    }
    at_once(table.lake.at_once, large.into_iter().map(merge), finish, take)
}

impl Disturbed {
    /// Counts an object, or keeps in mind that another writer was faster.
    fn take(
        &mut self,
        table: &Core,
        target: &Target,
        merged: Result<Merged>,
        committed: &mut Committed,
    ) -> Result<()> {
        match merged {
            Ok(Merged { file, rows }) => {
                committed.bytes_read += target.object.as_ref().map_or(0, |object| object.size);
                if let Some((written, _)) = file {
                    let prefix = table.prefix();
                    let inner = target.key.strip_prefix(&prefix).unwrap_or_default();
                    committed.count(&written, file_name::split(inner).0);
                    committed.rows += rows.new;
                    committed.replaced_rows += rows.gone;
                } else {
                    committed.unchanged_rows += rows.new;
                }
                Ok(())
            }
            Err(error @ (Error::Conflict { .. } | Error::Newer { .. })) => {
                match target.group {
                    Some(group) => self.groups.push(group),
                    None => self.others.push(target.key.clone()),
                }
                if let Error::Newer { .. } = error {
                    self.newer = Some(error);
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

/// How many rows a merge brings, and of how many others they take the place.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Rows {
    pub(super) new: u64,
    pub(super) gone: u64,
}

/// What came of a merge: the object that was written, unless all its rows were there already.
#[derive(Debug)]
pub(super) struct Merged {
    pub(super) file: Option<(Object, Option<Metrics>)>,
    pub(super) rows: Rows,
}

/// An object that nobody sees yet, with its part of the lake's room; nothing where all rows are there already.
#[derive(Debug)]
struct Written<'a> {
    file: Option<Ended>,
    rows: Rows,
    _room: Part<'a>,
}

impl Written<'_> {
    fn finish(self) -> Result<Merged> {
        let finish = |mut file: Ended| -> Result<_> {
            let metrics = file.take_metrics();
            Ok((file.finish()?, metrics))
        };
        Ok(Merged { file: self.file.map(finish).transpose()?, rows: self.rows })
    }
}

/// An object that is written again, with staged rows or without.
#[derive(Debug, Clone, Copy)]
struct Merge<'a> {
    table: &'a Core,
    staged: &'a StageReader<'a>,
    /// Its position among those whose replaced rows are known together.
    at: usize,
    target: &'a Target,
    /// In bytes, about: rows that are yet to be encoded, and an open row group.
    memory: usize,
}

impl<'a> Merge<'a> {
    fn new(
        table: &'a Core,
        staged: &'a StageReader<'a>,
        at: usize,
        target: &'a Target,
    ) -> Result<Self> {
        let rows = target.group.map_or(Ok(0), |group| staged.bytes(group))?;
        let old = target.object.as_ref().map_or(0, |object| object.size);
        let old = usize::try_from(old).unwrap_or(usize::MAX).saturating_mul(2);
        let columns = table.stage.schema().flattened_fields().len();
        let memory = (columns * ENCODER_BYTES).saturating_add(rows / 2).saturating_add(old);
        Ok(Self { table, staged, at, target, memory })
    }

    /// Writes it where there is room.
    fn write(&self, replaced: &Replaced<'_>) -> Result<Written<'a>> {
        let lake = &self.table.lake;
        let mut room = lake.room.take(self.memory.min(lake.room_of_large()));
        let (file, rows) = self.merge(replaced)?;
        // Most of a large one is with the store already.
        room.resize(file.as_ref().map_or(0, Ended::bytes).min(lake.chunk_bytes()));
        Ok(Written { file, rows, _room: room })
    }

    /// Gives the staged rows.
    fn each(&self, take: impl FnMut(&RecordBatch) -> Result<()>) -> Result<()> {
        self.target.group.map_or(Ok(()), |group| self.staged.each(group, take))
    }

    /// Puts its rows together; nothing where all of them are there already.
    fn merge(&self, replaced: &Replaced<'_>) -> Result<(Option<Ended>, Rows)> {
        let Self { table, target, .. } = *self;
        let Target { key, object, .. } = target;
        let mut part = table.part(key, target.condition())?;
        let mut rows = Rows::default();
        if let Some(object) = object {
            let mut gone = Content::new(table.stage.schema()).map_err(Error::arrow)?;
            let (file, replaced) = replaced.in_object(self.at)?;
            let old = Old::open(table, object, file)?;
            let is_current = old.is_current;
            // An object of older columns is written again in any case.
            let note = |rows: &RecordBatch| if is_current { gone.add(rows) } else { Ok(()) };
            rows.gone = old.copy(&mut part, replaced, note)?;
            if gone.rows() > 0 && self.target.group.is_some() {
                let mut new = Content::new(table.stage.schema()).map_err(Error::arrow)?;
                self.each(|batch| {
                    // More rows than are replaced are other rows, whatever they hold.
                    if new.rows() <= gone.rows() {
                        new.add(batch).map_err(Error::arrow)
                    } else {
                        Ok(())
                    }
                })?;
                if new.is(&gone) {
                    return Ok((None, Rows { new: new.rows(), ..rows }));
                }
            }
        }
        let kept = part.rows();
        self.each(|batch| part.write(batch))?;
        rows.new = part.rows() - kept;
        // A partition that was cut after its rows had come may have an object without any.
        if object.is_none() && part.rows() == 0 {
            return Ok((None, rows));
        }
        Ok((Some(part.end()?), rows))
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
        let is_of_other_cut = |shards: &u32| *shards != table.definition().shards;
        // Of an Iceberg table the metadata says how its files are cut.
        if let Some(shards) = part.shards.filter(is_of_other_cut)
            && !table.definition().is_iceberg()
        {
            return Err(table.resharded(shards));
        }
        let columns = part.schema();
        let is_current = columns.fields().len() == table.stage.schema().fields().len()
            && are_of_current_type(columns.fields(), table.stage.schema());
        Ok(Self { table, part, is_current })
    }

    /// Copies the rows but those that are `replaced`, as the table's columns are now; the others go to `rest`.
    /// How many these are.
    fn copy(
        self,
        new: &mut PartWriter,
        mut replaced: OfObject<'_>,
        mut rest: impl FnMut(&RecordBatch) -> std::result::Result<(), ArrowError>,
    ) -> Result<u64> {
        let mut count = 0;
        for batch in self.part.batches(self.table.stage.schema())? {
            let batch = batch?;
            let gone = BooleanArray::from(replaced.next(&batch)?);
            count += gone.true_count() as u64;
            if gone.true_count() == 0 {
                new.write(&batch)?;
            } else {
                let kept = not(&gone).map_err(Error::arrow)?;
                new.write(&filter_record_batch(&batch, &kept).map_err(Error::arrow)?)?;
                rest(&filter_record_batch(&batch, &gone).map_err(Error::arrow)?)
                    .map_err(Error::arrow)?;
            }
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use arrow::array::{ArrayRef, AsArray, Int64Array, StringArray};
    use arrow::datatypes::{Int64Type, Schema};

    use crate::lake::Lake;
    use crate::schema::fields;
    use crate::table::spec::Spec;
    use crate::testing::{LakeFolder, by_month, columns, keyed, objects, rows, table};
    use crate::write::{Committed, Table};

    /// Rows of these ids in one month.
    fn in_month(ids: std::ops::Range<i64>, month: &str) -> super::RecordBatch {
        let texts = |text: &str| Arc::new(StringArray::from_iter_values(ids.clone().map(|_| text)));
        let id = Arc::new(ids.clone().collect::<Int64Array>());
        let arrays: Vec<ArrayRef> = vec![id, texts("x"), texts(month)];
        super::RecordBatch::try_new(Arc::new(Schema::new(fields(&columns()))), arrays).unwrap()
    }

    fn load(lake: &Arc<Lake>, spec: &Arc<Spec>, batches: &[super::RecordBatch]) -> Committed {
        let mut table = Table::open(lake, spec).unwrap();
        for batch in batches {
            table.push(spec, batch).unwrap();
            if table.memory() > lake.budget() {
                table.free_memory().unwrap();
            }
        }
        table.commit(true).unwrap()
    }

    /// The months of each id.
    fn months(lake: &Lake) -> BTreeMap<i64, Vec<String>> {
        let mut months: BTreeMap<i64, Vec<String>> = BTreeMap::new();
        for batch in table(lake) {
            let ids = batch.column(0).as_primitive::<Int64Type>();
            let at = batch.column(2).as_string::<i32>();
            for row in 0..batch.num_rows() {
                months.entry(ids.value(row)).or_default().push(at.value(row).to_owned());
            }
        }
        months
    }

    #[test]
    fn a_key_whose_partition_changes_leaves_the_old_one_where_that_is_asked_for() {
        // In memory, and beyond.
        for memory in [8 << 20, 0] {
            for moves_keys in [true, false] {
                let folder = LakeFolder::new();
                let spec = Arc::new(Spec { moves_keys, shards: Some(2), ..by_month() });
                let lake = || folder.lake_with(memory);
                load(
                    &lake(),
                    &spec,
                    &[in_month(0..40, "2026-01-01"), in_month(40..80, "2026-02-01")],
                );
                let moved = load(&lake(), &spec, &[in_month(30..50, "2026-03-01")]);
                let found = months(&lake());
                assert_eq!(found.len(), 80);
                for (id, months) in found {
                    let old = if id < 40 { "2026-01-01" } else { "2026-02-01" };
                    match (30..50).contains(&id) {
                        true if moves_keys => assert_eq!(months, ["2026-03-01"], "{id}"),
                        true => assert_eq!(months, [old, "2026-03-01"], "{id}"),
                        false => assert_eq!(months, [old], "{id}"),
                    }
                }
                assert_eq!(moved.partitions.len(), if moves_keys { 3 } else { 1 });
            }
        }
    }

    #[test]
    fn partitions_that_have_none_of_the_keys_stay_as_they_are() {
        let folder = LakeFolder::new();
        let spec = Arc::new(Spec { moves_keys: true, ..by_month() });
        load(
            &folder.lake(),
            &spec,
            &[in_month(0..40, "2026-01-01"), in_month(40..80, "2026-02-01")],
        );
        let before = objects(&folder.lake());
        let committed = load(&folder.lake(), &spec, &[in_month(100..110, "2026-03-01")]);
        assert_eq!(committed.files, 1);
        assert_eq!(objects(&folder.lake())[..2], before[..]);
    }

    #[test]
    fn a_new_table_is_cut_by_what_its_rows_are_worth_and_keeps_that() {
        let folder = LakeFolder::new();
        // What hardly shrinks: some hundred kilobytes a row.
        let text = |seed: i64| -> String {
            let words = (0..480_000_u64).map(|at| {
                xxhash_rust::xxh3::xxh3_64_with_seed(
                    &at.to_le_bytes(),
                    u64::try_from(seed).unwrap(),
                )
            });
            words.map(|word| char::from(b'0' + (word % 64) as u8)).collect()
        };
        let batch = |ids: std::ops::Range<i64>| {
            let names = Arc::new(StringArray::from_iter_values(ids.clone().map(text)));
            let at = Arc::new(StringArray::from_iter_values(ids.clone().map(|_| "2026-01-01")));
            let id = Arc::new(ids.collect::<Int64Array>());
            super::RecordBatch::try_new(
                Arc::new(Schema::new(fields(&columns()))),
                vec![id, names, at],
            )
            .unwrap()
        };
        let spec = keyed();
        let batches: Vec<_> = (0..500).step_by(20).map(|from| batch(from..from + 20)).collect();
        load(&folder.lake(), &spec, &batches);
        let made = objects(&folder.lake());
        assert_eq!(made.len(), 2, "240 MB that hardly shrink");
        assert!(made.iter().all(|object| (90 << 20..181 << 20).contains(&object.size)), "{made:?}");
        assert_eq!(folder.lake().definition("t").unwrap().unwrap().1.shards, 2);
        load(&folder.lake(), &spec, &[rows(0..600, "small")]);
        assert_eq!(objects(&folder.lake()).len(), 2);
        assert_eq!(
            table(&folder.lake()).iter().map(super::RecordBatch::num_rows).sum::<usize>(),
            600
        );
    }
}
