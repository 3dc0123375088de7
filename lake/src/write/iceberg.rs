//! The commit of an Iceberg table: new files beside those that are there, and one swap that shows all of them and hides
//! what they replace.
//!
//! Nothing is visible before the swap, so that a run which dies has changed nothing. Who is slower than another looks
//! at what has changed: groups whose files are the same keep what was merged for them, others are merged again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::append::{Made, NewFiles};
use super::committed::Committed;
use super::core::Core;
use super::replaced::{self, Replaced, Target};
use super::retry::persist;
use super::upsert::{Merged, Rows, hit, merge_all};
use crate::at_once::at_once;
use crate::error::{Error, Result};
use crate::file::reader::PartReader;
use crate::format::iceberg::change::{Change, RUN};
use crate::format::iceberg::commit::Outcome;
use crate::format::iceberg::manifest::DataFile;
use crate::format::iceberg::pointer::Current;
use crate::format::iceberg::schema::{self, Numbered};
use crate::format::iceberg::spec::Plan;
use crate::format::iceberg::table::{Live, Table};
use crate::format::iceberg::value::Single;
use crate::lake::Lake;
use crate::schema::Column;
use crate::stage::{Cut, Group, Stage};
use crate::table::definition::Definition;
use crate::table::{file_name, key};

/// Where a commit starts from.
struct Start {
    base: Option<Current>,
    columns: Numbered,
    plan: Plan,
}

/// Looks a table up that a run is about to write, where it is one of Iceberg, with the columns that others have given
/// it. `is_known` says that the lake has its definition.
pub(super) fn open(
    lake: &Lake,
    definition: &Definition,
    is_known: bool,
) -> Result<Option<(Table, Vec<Column>)>> {
    if !definition.is_iceberg() {
        return Ok(None);
    }
    let (name, columns) = (&definition.table, &definition.columns);
    let table = lake.iceberg(name)?;
    let strange = match table.load()? {
        Some(found) => {
            schema::strange(&found.metadata, columns).map_err(|reason| Error::Table {
                table: name.to_owned(),
                reason: format!("{reason}; write to another table"),
            })?
        }
        None if is_known => Vec::new(),
        None => {
            check_empty(lake, name)?;
            Vec::new()
        }
    };
    Ok(Some((table, strange)))
}

/// A new table begins in a folder of its own: files of a plain table, or of others, would be orphans of it, which whoever
/// maintains Iceberg tables removes.
fn check_empty(lake: &Lake, table: &str) -> Result<()> {
    let objects = lake.store.list(&format!("{table}/"))?;
    let files: Vec<&str> = objects.iter().map(|object| object.key.as_str()).collect();
    let files: Vec<&str> = files.into_iter().filter(|key| !key.ends_with('/')).collect();
    if files.is_empty() {
        return Ok(());
    }
    Err(Error::Table {
        table: table.to_owned(),
        reason: format!(
            "it is to be an Iceberg table, and its folder has files already: {}; move them, or name another table \
             or destination (a plain table becomes an Iceberg table by `maintain --to iceberg`)",
            file_name::told(&files)
        ),
    })
}

/// The columns of the table's files, by what is known of it now.
pub(super) fn number(core: &mut Core) -> Result<()> {
    let Some(work) = core.iceberg.clone() else { return Ok(()) };
    let base = work.load()?;
    let columns =
        schema::numbered(base.as_ref().map(|base| &base.metadata), &core.definition().columns);
    core.file_schema = Some(schema::with_ids(core.stage.schema(), &columns)?);
    Ok(())
}

/// Where a commit starts from. Where the columns or their division ask for it, every file is written anew before.
fn start(core: &mut Core, work: &Table, committed: &mut Committed) -> Result<Start> {
    let base = work.load()?;
    let metadata = base.as_ref().map(|base| &base.metadata);
    let columns = schema::numbered(metadata, &core.definition().columns);
    let plan = Plan::of(core.definition())?;
    core.file_schema = Some(schema::with_ids(core.stage.schema(), &columns)?);
    let start = Start { base, columns, plan };
    let is_of_before = start.base.as_ref().is_some_and(|base| {
        start.columns.is_rewritten || !start.plan.is_of(&base.metadata, &start.columns)
    });
    let has_files = start.base.as_ref().is_some_and(|base| base.metadata.current().is_some());
    if !is_of_before || !has_files {
        return Ok(start);
    }
    // It may be another run that has divided them anew.
    core.catch_up(true)?;
    rewrite(core, work, &start, |_| true, |_| Ok(None), committed)?;
    // Whoever is faster than this is written anew with the next try.
    Err(Error::Conflict { object: work.name().to_owned() })
}

/// Adds a commit's files. Nothing, where another commit was faster.
fn swap(
    core: &Core,
    work: &Table,
    start: &Start,
    files: &[DataFile],
    change: impl FnOnce(Change<'_>) -> Result<Outcome>,
) -> Result<()> {
    let mut notes = core.notes.clone();
    notes.insert(RUN.into(), core.lake.run.clone());
    let outcome = change(Change {
        added: files,
        removed: HashSet::new(),
        removes_all: false,
        is_compaction: false,
        notes: &notes,
        columns: &start.columns,
        plan: &start.plan,
    })?;
    match outcome {
        Outcome::Done(_) => Ok(()),
        Outcome::Lost => Err(Error::Conflict { object: work.name().to_owned() }),
    }
}

/// Commits all staged groups: rows take the place of those with their keys.
pub(super) fn upsert(core: &mut Core, committed: &mut Committed) -> Result<()> {
    let work = work(core)?;
    let mut merges = Merges::default();
    let outcome = persist(|| {
        let start = start(core, &work, committed)?;
        merges.bring_up(core, &work, &start)?;
        let (files, removed) = merges.files();
        if files.is_empty() && removed.is_empty() {
            return Ok(());
        }
        swap(core, &work, &start, &files, |change| {
            work.commit(start.base.as_ref(), &Change { removed, ..change })
        })
    });
    match outcome {
        Ok(()) => merges.count(core, committed),
        Err(error) => {
            // Whether a request was on its way is not known, so that what was written stays.
            if let Error::Conflict { .. } = error {
                merges.discard(core);
            }
            Err(error)
        }
    }
}

/// What was merged, group by group.
#[derive(Debug, Default)]
struct Merges {
    /// The columns of what was written.
    columns: Option<SchemaRef>,
    groups: HashMap<Group, Merge>,
    /// What left partitions that get no rows.
    elsewhere: Merge,
}

/// What was merged for a group.
#[derive(Debug, Default)]
struct Merge {
    /// Paths of the files that were there.
    basis: Vec<String>,
    removed: Vec<String>,
    files: Vec<DataFile>,
    rows: Vec<(Rows, bool)>,
    bytes_read: u64,
}

impl Merges {
    /// Merges the groups whose files are others than those by which they were merged.
    fn bring_up(&mut self, core: &Core, work: &Table, start: &Start) -> Result<()> {
        if self.columns != core.file_schema {
            self.discard(core);
            self.columns.clone_from(&core.file_schema);
        }
        let groups = core.stage.groups();
        let value = |group: &Group| -> Result<_> {
            Ok((*group, start.plan.values(core.stage.hidden(*group)?, group.shard)))
        };
        let values: Vec<(Group, Vec<Single>)> = groups.iter().map(value).collect::<Result<_>>()?;
        let wanted: Vec<Vec<Single>> = values.iter().map(|(_, value)| value.clone()).collect();
        let live = match &start.base {
            Some(base) => {
                let wanted = (!core.moves_keys).then_some(wanted.as_slice());
                work.live(&base.metadata, wanted)?
            }
            None => Vec::new(),
        };
        let mut by_value: HashMap<&[Single], Vec<&Live>> = HashMap::new();
        for file in &live {
            by_value.entry(&file.partition).or_default().push(file);
        }
        let mut due = Vec::new();
        for (group, value) in &values {
            let there = by_value.remove(value.as_slice()).unwrap_or_default();
            let is_same =
                |merge: &Merge| merge.basis.iter().eq(there.iter().map(|file| &file.path));
            if !self.groups.get(group).is_some_and(is_same) {
                due.push((*group, value.clone(), there));
            }
        }
        let mut others: Vec<&Live> = by_value.into_values().flatten().collect();
        others.sort_by(|one, other| one.path.cmp(&other.path));
        let moved = core.moves_keys.then_some(others).unwrap_or_default();
        let is_same = self.elsewhere.basis.iter().eq(moved.iter().map(|file| &file.path));
        for (group, ..) in &due {
            if let Some(old) = self.groups.remove(group) {
                old.discard(core);
            }
        }
        if !is_same {
            std::mem::take(&mut self.elsewhere).discard(core);
            self.elsewhere.basis = moved.iter().map(|file| file.path.clone()).collect();
        }
        self.merge(core, &due, if is_same { &[] } else { &moved })
    }

    fn merge(
        &mut self,
        core: &Core,
        due: &[(Group, Vec<Single>, Vec<&Live>)],
        moved: &[&Live],
    ) -> Result<()> {
        let mut targets = Vec::new();
        // By the key of what is written: whose it is, and the file that it takes the place of.
        let mut owners: HashMap<String, (Option<Group>, Vec<Single>, Option<String>)> =
            HashMap::new();
        let mut add =
            |group: Option<Group>, owner, value: &[Single], old: Option<&Live>| -> Result<()> {
                let key = core.new_key(owner)?;
                let path = old.map(|old| old.path.clone());
                owners.insert(key.clone(), (owner, value.to_vec(), path));
                targets.push((Target { key, group, object: None }, old.map(|old| old.key.clone())));
                Ok(())
            };
        for (group, value, there) in due {
            // The smallest takes the new rows in, unless it is full.
            let home = there.iter().enumerate().min_by_key(|(_, file)| file.size);
            let home = home.filter(|(_, file)| file.size < super::FILE_BYTES as u64);
            add(Some(*group), Some(*group), value, home.map(|(_, file)| *file))?;
            for (at, file) in there.iter().enumerate() {
                if home.is_none_or(|(home, _)| home != at) {
                    add(None, Some(*group), value, Some(file))?;
                }
            }
            let basis = there.iter().map(|file| file.path.clone()).collect();
            self.groups.insert(*group, Merge { basis, ..Merge::default() });
        }
        for file in moved {
            add(None, None, &file.partition, Some(file))?;
        }
        let targets = looked_up(core, targets)?;
        let staged = core.stage.reader()?;
        for targets in replaced::together(&staged, &targets) {
            let replaced = Replaced::of(core, &staged, targets)?;
            let with_rows = targets.iter().enumerate().filter(|(_, target)| target.group.is_some());
            let others = targets.iter().enumerate().filter(|(_, target)| target.group.is_none());
            let mut all: Vec<_> = with_rows.collect();
            all.extend(hit(core, others, &replaced)?);
            let take = |target: &Target, merged: Result<Merged>| {
                let (owner, value, old) = owners
                    .remove(&target.key)
                    .ok_or_else(|| Error::internal("what is merged is merged for somebody"))?;
                let of_group = owner.and_then(|group| self.groups.get_mut(&group));
                of_group.unwrap_or(&mut self.elsewhere).take(core, target, merged?, value, old)
            };
            merge_all(core, &staged, all, &replaced, take)?;
        }
        Ok(())
    }

    /// The new files, and the paths of those that go.
    fn files(&self) -> (Vec<DataFile>, HashSet<String>) {
        let merges = || self.groups.values().chain([&self.elsewhere]);
        let files = merges().flat_map(|merge| merge.files.iter().cloned()).collect();
        (files, merges().flat_map(|merge| merge.removed.iter().cloned()).collect())
    }

    fn count(self, core: &Core, committed: &mut Committed) -> Result<()> {
        let groups = self.groups.into_iter().map(|(group, merge)| (Some(group), merge));
        for (group, merge) in groups.chain([(None, self.elsewhere)]) {
            committed.bytes_read += merge.bytes_read;
            for (rows, is_written) in merge.rows {
                if is_written {
                    committed.rows += rows.new;
                    committed.replaced_rows += rows.gone;
                } else {
                    committed.unchanged_rows += rows.new;
                }
            }
            let folder =
                group.map_or_else(|| Ok(String::new()), |group| core.stage.folder(group))?;
            for file in merge.files {
                committed.files += 1;
                committed.bytes += file.size;
                committed.partitions.insert(folder.clone());
            }
        }
        Ok(())
    }

    /// Takes back what was merged: certainly nobody knows of it.
    fn discard(&mut self, core: &Core) {
        self.groups.drain().for_each(|(_, merge)| merge.discard(core));
        std::mem::take(&mut self.elsewhere).discard(core);
    }
}

impl Merge {
    fn take(
        &mut self,
        core: &Core,
        target: &Target,
        merged: Merged,
        partition: Vec<Single>,
        old: Option<String>,
    ) -> Result<()> {
        let Merged { file, rows } = merged;
        self.bytes_read += target.object.as_ref().map_or(0, |object| object.size);
        self.rows.push((rows, file.is_some()));
        let Some((object, metrics)) = file else { return Ok(()) };
        self.removed.extend(old);
        let metrics = metrics.ok_or_else(no_metrics)?;
        if metrics.rows() == 0 {
            return core.lake.store.delete(&object.key);
        }
        self.files.push(DataFile { key: object.key, size: object.size, partition, metrics });
        Ok(())
    }

    fn discard(self, core: &Core) {
        discard(core, self.files.iter().map(|file| &file.key));
    }
}

/// The objects that targets take the place of, as they are.
fn looked_up(core: &Core, targets: Vec<(Target, Option<String>)>) -> Result<Vec<Target>> {
    let mut found = Vec::with_capacity(targets.len());
    let look = |(at, (target, old)): (usize, (Target, Option<String>))| -> Result<_> {
        let object = match old {
            None => None,
            // A file that has gone was replaced by another commit meanwhile.
            Some(key) => Some(core.lake.store.head(&key)?.ok_or(Error::Conflict { object: key })?),
        };
        Ok((at, Target { object, ..target }))
    };
    at_once(core.lake.at_once, targets.into_iter().enumerate(), look, |target| {
        found.push(target?);
        Ok(())
    })?;
    found.sort_unstable_by_key(|(at, _)| *at);
    Ok(found.into_iter().map(|(_, target)| target).collect())
}

/// Shows files that were written while rows arrived, and what still waits.
pub(super) fn append(
    core: &mut Core,
    files: &mut NewFiles,
    committed: &mut Committed,
) -> Result<()> {
    let made = files.finish(core)?;
    add(core, made, false, committed)
}

/// Puts the staged groups in the place of all that is there.
pub(super) fn replace(core: &mut Core, committed: &mut Committed) -> Result<()> {
    let made = written(core)?;
    committed.rows += made
        .iter()
        .filter_map(|made| made.metrics.as_ref())
        .map(|known| known.rows().unsigned_abs())
        .sum::<u64>();
    add(core, made, true, committed)?;
    committed.replaced = true;
    core.defined.set_widened();
    Ok(())
}

/// Adds what the stage holds to what is there.
pub(super) fn add_staged(core: &mut Core, committed: &mut Committed) -> Result<()> {
    let made = written(core)?;
    committed.rows += made
        .iter()
        .filter_map(|made| made.metrics.as_ref())
        .map(|known| known.rows().unsigned_abs())
        .sum::<u64>();
    add(core, made, false, committed)
}

/// Files of all staged groups.
fn written(core: &mut Core) -> Result<Vec<Made>> {
    number(core)?;
    let core = &*core;
    let reader = core.stage.reader()?;
    let file = |group: &Group| -> Result<Option<Made>> {
        let mut room = core.room();
        let mut part = core.part(&core.new_key(Some(*group))?, crate::store::Condition::Absent)?;
        reader.each(*group, |batch| {
            part.write(batch)?;
            room.resize(part.memory());
            Ok(())
        })?;
        // A partition that was cut after its rows had come may have a group without any.
        if part.rows() == 0 {
            return Ok(None);
        }
        let mut file = part.end()?;
        let metrics = file.take_metrics();
        Ok(Some(Made { group: *group, object: file.finish()?, metrics }))
    };
    let mut made = Vec::new();
    at_once(core.lake.merges, core.stage.groups(), file, |file| {
        made.extend(file?);
        Ok(())
    })?;
    Ok(made)
}

/// Adds files to a table, or puts them in the place of all that is there.
fn add(
    core: &mut Core,
    made: Vec<Made>,
    removes_all: bool,
    committed: &mut Committed,
) -> Result<()> {
    let work = work(core)?;
    let columns = core.file_schema.clone();
    let mut made = made;
    let outcome = persist(|| {
        let start = start(core, &work, committed)?;
        if core.file_schema != columns {
            // Another run has given the ids of this one's columns to columns of its own.
            made = made.iter().map(|old| renumbered(core, old)).collect::<Result<_>>()?;
        }
        let files = data_files(core, &start.plan, &made)?;
        if files.is_empty() && !removes_all {
            return Ok(());
        }
        swap(core, &work, &start, &files, |change| {
            work.commit(start.base.as_ref(), &Change { removes_all, ..change })
        })
    });
    if let Err(error) = outcome {
        if let Error::Conflict { .. } = error {
            discard(core, made.iter().map(|made| &made.object.key));
        }
        return Err(error);
    }
    for made in &made {
        committed.count(&made.object, &core.stage.folder(made.group)?);
    }
    Ok(())
}

fn data_files(core: &Core, plan: &Plan, made: &[Made]) -> Result<Vec<DataFile>> {
    let file = |made: &Made| -> Result<DataFile> {
        Ok(DataFile {
            key: made.object.key.clone(),
            size: made.object.size,
            partition: plan.values(core.stage.hidden(made.group)?, made.group.shard),
            metrics: made.metrics.clone().ok_or_else(no_metrics)?,
        })
    };
    made.iter().map(file).collect()
}

/// A file with the ids that its columns have by now.
fn renumbered(core: &Core, old: &Made) -> Result<Made> {
    let name = core.lake.store.locate(&old.object.key);
    let read = PartReader::open(core.lake.store.fetch(&old.object)?, &name)?;
    let mut part = core.part(&core.new_key(Some(old.group))?, crate::store::Condition::Absent)?;
    read.batches(core.stage.schema())?.try_for_each(|batch| part.write(&batch?))?;
    let mut file = part.end()?;
    let metrics = file.take_metrics();
    let made = Made { group: old.group, object: file.finish()?, metrics };
    discard(core, [&old.object.key]);
    Ok(made)
}

/// Writes files anew, as the definition has columns and shards now: those that are `wanted`, with the rows that `filter` keeps of
/// each batch, all of them where it says nothing.
pub(super) fn rewrite_with(
    core: &mut Core,
    is_wanted: impl Fn(&Live) -> bool,
    filter: impl FnMut(&RecordBatch) -> Result<Option<RecordBatch>>,
    committed: &mut Committed,
) -> Result<()> {
    let work = work(core)?;
    let base = work.load()?;
    let metadata = base.as_ref().map(|base| &base.metadata);
    let columns = schema::numbered(metadata, &core.definition().columns);
    let plan = Plan::of(core.definition())?;
    core.file_schema = Some(schema::with_ids(core.stage.schema(), &columns)?);
    rewrite(core, &work, &Start { base, columns, plan }, is_wanted, filter, committed)
}

fn rewrite(
    core: &mut Core,
    work: &Table,
    start: &Start,
    is_wanted: impl Fn(&Live) -> bool,
    filter: impl FnMut(&RecordBatch) -> Result<Option<RecordBatch>>,
    committed: &mut Committed,
) -> Result<()> {
    let Some(base) = &start.base else { return Ok(()) };
    let mut live = work.live(&base.metadata, None)?;
    live.retain(is_wanted);
    if live.is_empty() {
        return Ok(());
    }
    let table = work.name();
    tracing::info!(table, files = live.len(), "{table}: {} files are written anew", live.len());
    let cut = Cut::Into(core.definition().shards);
    let anew = core.keyed_stage(cut)?;
    let own = std::mem::replace(&mut core.stage, anew);
    let outcome = rewritten(core, work, start, &live, filter, committed);
    core.stage = own;
    outcome
}

fn rewritten(
    core: &mut Core,
    work: &Table,
    start: &Start,
    live: &[Live],
    mut filter: impl FnMut(&RecordBatch) -> Result<Option<RecordBatch>>,
    committed: &mut Committed,
) -> Result<()> {
    let mut is_compaction = true;
    for file in live {
        let object = core.lake.store.head(&file.key)?;
        let object = object.ok_or_else(|| Error::Conflict { object: file.path.clone() })?;
        let read = PartReader::open(core.lake.store.fetch(&object)?, &file.path)?;
        committed.bytes_read += object.size;
        let schema = SchemaRef::clone(core.stage.schema());
        for batch in read.batches(&schema)? {
            let batch = batch?;
            let kept = filter(&batch)?;
            is_compaction &= kept.is_none();
            restage(
                &mut core.stage,
                &core.lake,
                core.defined.key_positions()?,
                kept.unwrap_or(batch),
            )?;
        }
    }
    let made = written(core)?;
    let files = data_files(core, &start.plan, &made)?;
    let removed = live.iter().map(|file| file.path.clone()).collect();
    let swapped = swap(core, work, start, &files, |change| {
        work.commit(start.base.as_ref(), &Change { removed, is_compaction, ..change })
    });
    match swapped {
        Ok(()) => {
            for made in &made {
                committed.count(&made.object, &core.stage.folder(made.group)?);
            }
            Ok(())
        }
        Err(error) => {
            if let Error::Conflict { .. } = error {
                discard(core, made.iter().map(|made| &made.object.key));
            }
            Err(error)
        }
    }
}

fn restage(
    stage: &mut Stage,
    lake: &Lake,
    keys: Option<Vec<usize>>,
    batch: RecordBatch,
) -> Result<()> {
    let hashes = keys.map_or_else(|| Ok(Vec::new()), |keys| key::hash_rows(&batch, &keys))?;
    stage.push(batch, &hashes)?;
    if stage.memory() > lake.budget() / 2 {
        stage.spill(&lake.spill)?;
    }
    Ok(())
}

fn work(core: &Core) -> Result<Arc<Table>> {
    core.iceberg.clone().ok_or_else(|| Error::internal("an Iceberg table was opened as one"))
}

fn no_metrics() -> Error {
    Error::internal("a file of an Iceberg table is written with ids")
}

/// Removes files that nobody knows of. That one stays is no fault: whoever removes orphans finds it.
fn discard<'a>(core: &Core, keys: impl IntoIterator<Item = &'a String>) {
    if let Err(error) = core.lake.remove(keys) {
        tracing::info!(%error, "files of a commit that another overtook are left");
    }
}
