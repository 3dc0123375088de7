//! The maintenance of Iceberg tables: small files, shards, rows that shall go, snapshots and orphans.
//!
//! All of it is commits as others are: beside loads, and beside what other programs do with the table.

mod adopt;
mod check;
#[cfg(test)]
mod tests;

pub(super) use adopt::adopt;
pub(super) use check::checked;

use std::cell::Cell;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::{filter_record_batch, not};

use super::erase;
use super::report::{Action, Options, TableReport};
use super::survey::{SMALL_BYTES, Survey};
use crate::error::{Error, Result};
use crate::file::encoding::Encoding;
use crate::file::reader::PartReader;
use crate::format::TableFormat;
use crate::format::iceberg::table::Live;
use crate::format::iceberg::upkeep::is_strange;
use crate::lake::Lake;
use crate::table::definition::Definition;
use crate::table::file_name;
use crate::table::spec::Spec;
use crate::write::retry::persist;
use crate::write::{Committed, Table, schema_of};

/// Surveys a table, and does what is asked of it.
pub(super) fn maintain(
    lake: &Arc<Lake>,
    definition: &Definition,
    encoding: Encoding,
    options: &Options,
) -> Result<TableReport> {
    let name = &definition.table;
    let own = lake.iceberg(name)?;
    let look = || -> Result<Vec<Live>> {
        let found = own.load()?;
        found.map_or_else(|| Ok(Vec::new()), |found| own.live(&found.metadata, None))
    };
    if options.may_change()
        && let Some(found) = own.load()?
    {
        // Who reads by what a dead run has left behind would find files gone.
        own.mend(&found)?;
    }
    let live = look()?;
    let small = small(&live);
    let unnamed = own.unnamed()?;
    let survey = survey(definition, &live, small.values().map(Vec::len).sum(), &unnamed);
    let mut actions = Vec::new();
    if options.to == Some(TableFormat::Parquet) {
        let done = adopt::give_back(lake, definition, &live, options.dry_run)?;
        return Ok(TableReport { survey, actions: vec![done] });
    }
    let spec = Arc::new(spec(definition, encoding));
    let rewrite =
        |keep: &HashSet<&str>,
         filter: &mut dyn FnMut(&RecordBatch) -> Result<Option<RecordBatch>>| {
            let mut committed = Committed::default();
            let mut table = Table::open(lake, &spec)?;
            let found = Cell::new(0_usize);
            let is_wanted = |path: &str| {
                let is_wanted = keep.contains(path);
                found.set(found.get() + usize::from(is_wanted));
                is_wanted
            };
            table.rewrite(&is_wanted, filter, &mut committed)?;
            if found.get() < keep.len() {
                // Another commit has replaced some since they were looked at.
                return Err(Error::Conflict { object: name.clone() });
            }
            Ok(())
        };
    if !options.erase.is_empty() {
        // First what waits to enter it.
        let waiting = erase::erase(lake, definition, &encoding, &options.erase, options.dry_run)?;
        let (mut rows, mut files) = match waiting {
            Some(Action::Erase { rows, files }) => (rows, files),
            Some(_) | None => (0, 0),
        };
        let tests = erase::tests(definition, &options.erase)?;
        if tests.is_empty() {
            return Ok(TableReport { survey, actions });
        }
        let (found, held) = persist(|| {
            // With each try anew: whoever was faster may have moved the rows, or brought some.
            let live = look()?;
            let (found, holding) = holding(lake, definition, &live, &tests)?;
            if !holding.is_empty() && !options.dry_run {
                rewrite(&holding, &mut |batch| {
                    let kept = not(&erase::matches(&tests, batch)?).map_err(Error::arrow)?;
                    Ok(Some(filter_record_batch(batch, &kept).map_err(Error::arrow)?))
                })?;
            }
            Ok((found, holding.len()))
        })?;
        rows += found;
        files += held;
        if !options.dry_run {
            // Older snapshots have them still.
            own.expire(Some(1))?;
            // Files that an earlier try has died over have them, too.
            own.remove_forgotten()?;
        }
        actions.push(Action::Erase { rows, files });
        return Ok(TableReport { survey, actions });
    }
    if options.compact && !small.is_empty() {
        for (partition, files) in &small {
            let bytes = files.iter().map(|file| file.size).sum();
            actions.push(Action::Compact {
                partition: partition.clone(),
                files: files.len(),
                bytes,
            });
        }
        if !options.dry_run {
            persist(|| {
                let live = look()?;
                let small = self::small(&live);
                let chosen = small.values().flatten().map(|file| file.path.as_str()).collect();
                rewrite(&chosen, &mut |_| Ok(None))
            })?;
        }
    }
    if let Some(shards) =
        options.shards.filter(|shards| definition.is_keyed() && *shards != definition.shards)
    {
        let partitions = live.iter().map(folder).collect::<HashSet<_>>().len();
        actions.push(Action::Reshard { from: definition.shards, to: shards, partitions });
        if !options.dry_run {
            Table::open(lake, &spec)?.recut(shards, &mut Committed::default())?;
        }
    }
    if options.expire {
        let orphans = own.orphans(&unnamed)?;
        let snapshots = if options.dry_run { own.due()? } else { own.expire(None)? };
        if !options.dry_run {
            own.remove(&orphans)?;
        }
        actions.push(Action::Expire { snapshots, orphans: orphans.len() });
    }
    Ok(TableReport { survey, actions })
}

/// The table as a run would ask for it that changes nothing.
fn spec(definition: &Definition, encoding: Encoding) -> Spec {
    Spec {
        stream: definition.stream.clone(),
        keys: definition.keys.clone(),
        load: definition.load_method,
        table_format: definition.table_format,
        partition_by: definition.partition_by.clone(),
        encoding,
        ..Spec::append(&definition.table, definition.columns.clone())
    }
}

/// The folder of a file below the table.
fn folder(file: &Live) -> String {
    let inner = file.key.split_once("/data/").map_or("", |(_, inner)| inner);
    file_name::split(inner).0.to_owned()
}

/// Small files that are not alone in their partition and bucket, by the folder of these.
fn small(live: &[Live]) -> BTreeMap<String, Vec<&Live>> {
    let mut groups: BTreeMap<(i64, Vec<_>), Vec<&Live>> = BTreeMap::new();
    for file in live.iter().filter(|file| file.size < SMALL_BYTES) {
        groups.entry((file.spec, file.partition.clone())).or_default().push(file);
    }
    let mut small: BTreeMap<String, Vec<&Live>> = BTreeMap::new();
    for files in groups.into_values().filter(|files| files.len() > 1) {
        for file in files {
            small.entry(folder(file)).or_default().push(file);
        }
    }
    small
}

fn survey(
    definition: &Definition,
    live: &[Live],
    small_files: usize,
    unnamed: &[String],
) -> Survey {
    let sizes = || live.iter().map(|file| file.size);
    let partitions: HashSet<String> = live.iter().map(folder).collect();
    Survey {
        table: definition.table.clone(),
        table_format: definition.table_format,
        load_method: definition.load_method,
        shards: definition.shards,
        partitions: partitions.len(),
        files: live.len(),
        bytes: sizes().sum(),
        smallest: sizes().min().unwrap_or(0),
        largest: sizes().max().unwrap_or(0),
        small_files,
        orphans: unnamed.iter().filter(|key| is_strange(key)).cloned().collect(),
        unfinished: Vec::new(),
    }
}

/// How many rows match, and the files that hold some.
fn holding<'l>(
    lake: &Lake,
    definition: &Definition,
    live: &'l [Live],
    tests: &[erase::Test],
) -> Result<(u64, HashSet<&'l str>)> {
    let schema = schema_of(definition);
    let (mut rows, mut files) = (0, HashSet::new());
    for file in live {
        let object = lake.store.head(&file.key)?;
        let object = object.ok_or_else(|| Error::Conflict { object: file.path.clone() })?;
        let read = PartReader::open(lake.store.fetch(&object)?, &file.path)?;
        let mut found = 0;
        for batch in read.batches(&schema)? {
            found += erase::matches(tests, &batch?)?.true_count() as u64;
        }
        if found > 0 {
            rows += found;
            files.insert(file.path.as_str());
        }
    }
    Ok((rows, files))
}
