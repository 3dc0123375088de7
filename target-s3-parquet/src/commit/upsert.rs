//! Upsert: the object of each touched group is read, rid of the keys that are replaced, extended
//! by the new rows and put back in one atomic write. Untouched objects are not even looked at.

use std::time::Duration;

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;

use super::{Committed, MERGE_ATTEMPTS, TableWriter};
use crate::error::{Error, Result};
use crate::parquet_file::{self, PartWriter, Written};
use crate::stage::{Group, StageReader};
use crate::store::{Condition, Object};
use crate::table::{Projection, key};

/// Commits all staged groups.
pub(super) fn commit(table: &mut TableWriter, committed: &mut Committed) -> Result<()> {
    let reader = table.stage.reader();
    for group in table.stage.groups() {
        let key = table.object_key(*group);
        let written = persist(|| {
            let existing = table.lake.store.head(&key)?;
            merge(table, &reader, *group, &key, existing.as_ref())
        })?;
        committed.add(&written, &table.stage.folder(*group));
    }
    Ok(())
}

/// Tries again while another writer is faster.
fn persist(mut write: impl FnMut() -> Result<Written>) -> Result<Written> {
    let mut attempt = 1;
    loop {
        match write() {
            Err(Error::Conflict { object }) if attempt < MERGE_ATTEMPTS => {
                tracing::info!(object, attempt, "another writer was faster; merging again");
                std::thread::sleep(Duration::from_millis(20 << attempt.min(6)));
                attempt += 1;
            }
            outcome => return outcome,
        }
    }
}

fn merge(
    table: &TableWriter,
    staged: &StageReader<'_>,
    group: Group,
    key: &str,
    existing: Option<&Object>,
) -> Result<Written> {
    let mut part = table.part(key, Condition::still(existing))?;
    if let Some(object) = existing {
        copy(table, object, &mut part, |hash| !table.stage.replaces(hash))?;
    }
    staged.each(group, |batch| part.write(batch))?;
    part.finish()
}

/// Copies the rows of an object whose keys `keep`, as the table's columns are now.
fn copy(
    table: &TableWriter,
    object: &Object,
    part: &mut PartWriter,
    keep: impl Fn(u128) -> bool,
) -> Result<()> {
    let name = table.lake.store.locate(&object.key);
    let broken = |source: arrow::error::ArrowError| Error::Parquet {
        action: "read",
        object: name.clone(),
        source: source.into(),
    };
    let keys = table.definition.key_positions();
    let reader = parquet_file::read(table.lake.store.fetch(object)?, &name)?;
    let fields = arrow::array::RecordBatchReader::schema(&reader);
    let projection = Projection::between(fields.fields(), table.stage.schema());
    for batch in reader {
        let batch = projection.apply(&batch.map_err(broken)?).map_err(broken)?;
        let kept: BooleanArray =
            key::hash_rows(&batch, &keys).into_iter().map(|hash| Some(keep(hash))).collect();
        if kept.is_empty() || kept.true_count() == batch.num_rows() {
            part.write(&batch)?;
        } else {
            part.write(&filter_record_batch(&batch, &kept).map_err(broken)?)?;
        }
    }
    Ok(())
}

/// After a column has widened: brings the objects that no commit has touched to the new type.
pub(super) fn widen_rest(table: &TableWriter, committed: &mut Committed) -> Result<()> {
    let prefix = format!("{}/", table.definition.table);
    for listed in table.lake.store.list(&prefix)? {
        let name = table.lake.store.locate(&listed.key);
        let reader = parquet_file::read(table.lake.store.fetch(&listed)?, &name)?;
        let fields = arrow::array::RecordBatchReader::schema(&reader);
        if is_current(fields.fields(), table.stage.schema()) {
            continue;
        }
        let written = persist(|| {
            let Some(object) = table.lake.store.head(&listed.key)? else {
                return Err(Error::Conflict { object: name.clone() });
            };
            let mut part = table.part(&listed.key, Condition::still(Some(&object)))?;
            copy(table, &object, &mut part, |_| true)?;
            part.finish()
        })?;
        let folder = listed.key.strip_prefix(&prefix).and_then(|rest| rest.rsplit_once('/'));
        committed
            .add(&written, &folder.map_or_else(String::new, |(folder, _)| format!("{folder}/")));
    }
    Ok(())
}

/// Whether every column that a file has is of the table's type.
fn is_current(file: &arrow::datatypes::Fields, table: &arrow::datatypes::Schema) -> bool {
    file.iter().all(|field| {
        table.field_with_name(field.name()).is_ok_and(|own| own.data_type() == field.data_type())
    })
}
