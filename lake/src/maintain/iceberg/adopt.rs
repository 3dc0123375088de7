//! A plain table becomes an Iceberg table without a copy: its files are named by a snapshot, and read by a mapping of
//! names, because their columns have no ids.
//!
//! Nothing is moved or written again, so that the table can be given back until the first commit replaces one of its
//! files. From then on new files have ids, and those of before go as they are replaced.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};

use crate::error::{Error, Result};
use crate::file::reader::PartReader;
use crate::format::TableFormat;
use crate::format::iceberg::change::Change;
use crate::format::iceberg::commit::Outcome;
use crate::format::iceberg::manifest::DataFile;
use crate::format::iceberg::metrics::Metrics;
use crate::format::iceberg::schema;
use crate::format::iceberg::spec::Plan;
use crate::format::iceberg::table::Live;
use crate::lake::Lake;
use crate::maintain::report::Action;
use crate::maintain::survey::{self, Survey, TableFiles};
use crate::store::Object;
use crate::table::definition::{Definition, format_of};
use crate::table::partition::{By, Partitioner};
use crate::write::core::schema_of;
use crate::write::iceberg::covered::note_key;
use crate::write::journal;

/// The note with the definition of the plain table.
const ADOPTED: &str = "adopted";

/// Makes an Iceberg table of a plain one.
pub(crate) fn adopt(
    lake: &Arc<Lake>,
    (stored, plain): &(Object, Definition),
    survey: &Survey,
    dry_run: bool,
) -> Result<Action> {
    let fault = |reason: String| Error::Table { table: plain.table.clone(), reason };
    if !survey.unfinished.is_empty() {
        return Err(fault(
            "a run has left something of it half done; run `maintain --compact` first".into(),
        ));
    }
    let _guard = lake.store.lock(&plain.table)?;
    let prefix = format!("{}/", plain.table);
    let listed = lake.store.list(&prefix)?;
    let open = journal::open_files(lake)?;
    if listed.iter().any(|object| open.contains(&object.key)) {
        return Err(fault(
            "a run has not acknowledged some of its rows yet; run the pipeline once, to its end"
                .into(),
        ));
    }
    let files: Vec<&Object> =
        TableFiles::new(plain, &listed)?.data.into_values().flatten().collect();
    let action = Action::Convert { to: TableFormat::Iceberg, files: files.len() };
    if dry_run {
        return Ok(action);
    }
    let mut definition = plain.clone();
    // How its keys were cut into objects is of no interest any more.
    (definition.shards, definition.first_shard) = (1, 0);
    definition.table_format = TableFormat::Iceberg;
    definition.format = format_of(definition.folders, definition.table_format);
    let table = lake.iceberg(&plain.table)?;
    if table.is_placed_by_catalog() {
        return Err(fault(
            "its files stay where they are, and the catalog would put its metadata elsewhere; set \
             `catalog.rest.location` to `lake`, or load into a new table"
                .into(),
        ));
    }
    let base = table.load()?;
    let columns = schema::numbered(base.as_ref().map(|base| &base.metadata), &definition.columns);
    let plan = Plan::of(&definition)?;
    let ids = schema::leaf_ids(&columns);
    let added: Vec<DataFile> = files
        .iter()
        .map(|object| data_file(lake, &definition, &plan, &ids, object))
        .collect::<Result<_>>()?;
    let text = String::from_utf8(plain.text()?)
        .map_err(|error| Error::broken("a definition is text", error))?;
    let notes = BTreeMap::from([
        (note_key(lake, ADOPTED), text),
        (note_key(lake, "run"), lake.run().to_owned()),
    ]);
    let change = Change {
        added: &added,
        removed: HashMap::new(),
        removes_all: true,
        is_compaction: false,
        notes: &notes,
        is_pinned: false,
        columns: &columns,
        plan: &plan,
    };
    match table.commit(base.as_ref(), &change)? {
        Outcome::Done => {}
        Outcome::Lost => return Err(Error::Conflict { object: plain.table.clone() }),
    }
    // Where nothing locks the table, a run may have replaced an object meanwhile.
    let now = lake.store.list(&prefix)?;
    if let Some(changed) = files.iter().find(|file| !now.contains(**file)) {
        return Err(fault(format!(
            "{} has changed while the table became one of Iceberg; do it again while nothing loads into it",
            lake.store.locate(&changed.key)
        )));
    }
    // Only now: until then it is the plain table that it was.
    lake.define(&definition, stored)?;
    Ok(action)
}

/// Makes the plain table of an Iceberg table again that nothing was written to since it became one.
pub(super) fn give_back(
    lake: &Arc<Lake>,
    definition: &Definition,
    live: &[Live],
    dry_run: bool,
) -> Result<Action> {
    let table = lake.iceberg(&definition.table)?;
    let found = table.load()?;
    let key = note_key(lake, ADOPTED);
    let current = found.as_ref().and_then(|found| found.metadata.current());
    let Some(text) = current.and_then(|current| current.note(&key)) else {
        return Err(Error::Table {
            table: definition.table.clone(),
            reason: "it was no plain table, or was written to since it became one of Iceberg: files of before may be \
                     gone; load into a new table"
                .into(),
        });
    };
    let action = Action::Convert { to: TableFormat::Parquet, files: live.len() };
    if dry_run {
        return Ok(action);
    }
    let plain = Definition::parse(text.as_bytes(), &key)?;
    let (stored, _) = survey::definition(lake, &definition.table)?;
    lake.define(&plain, &stored)?;
    let metadata = lake.store.list(&format!("{}/metadata/", definition.table))?;
    lake.remove(metadata.iter().map(|object| &object.key))?;
    Ok(action)
}

/// A file as a manifest names it.
fn data_file(
    lake: &Lake,
    definition: &Definition,
    plan: &Plan,
    ids: &HashMap<String, i32>,
    object: &Object,
) -> Result<DataFile> {
    let name = lake.store.locate(&object.key);
    let file = lake.store.fetch(object)?;
    let footer = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new());
    let footer =
        footer.map_err(|source| Error::Parquet { action: "read", object: name.clone(), source })?;
    let metrics = Metrics::by_path(footer.metadata().row_groups(), ids);
    let by = definition.partition_by.as_ref().and_then(|by| {
        let position = definition.columns.iter().position(|column| column.is_called(&by.column))?;
        Some((position, By::of(definition, position, usize::MAX, true)?))
    });
    let Some((column, by)) = by else {
        let partition = plan.values(None, 0)?;
        return Ok(DataFile { key: object.key.clone(), size: object.size, partition, metrics });
    };
    let mut partitioner = Partitioner::new(Some(by));
    let mut found = HashSet::new();
    let column =
        definition.columns.get(column).map(|column| column.name.clone()).unwrap_or_default();
    let read = PartReader::open_columns(file, &name, |own| own == column)?;
    for batch in read.batches(&schema_of(definition))? {
        found.extend(partitioner.assign(&batch?)?);
    }
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some(only), None) => {
            let partition = plan.values(partitioner.hidden(only)?, 0)?;
            Ok(DataFile { key: object.key.clone(), size: object.size, partition, metrics })
        }
        (None, _) => {
            let partition = plan.values(None, 0)?;
            Ok(DataFile { key: object.key.clone(), size: object.size, partition, metrics })
        }
        (Some(_), Some(_)) => Err(Error::Table {
            table: definition.table.clone(),
            reason: format!(
                "{name} has rows of several partitions by Iceberg's `{column}`, such as values that are no dates; \
                 load into a new table instead"
            ),
        }),
    }
}
