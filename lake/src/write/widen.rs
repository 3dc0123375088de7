//! Widening: after a column has become wider, all objects of the table are brought to the new type
//! before a row of the new type becomes visible.
//!
//! ```text
//! definition (widening) → all objects written in the new type → all of them visible → definition
//! ```
//!
//! A reader sees two types only while the objects become visible, which are written by then. A run that
//! dies before has shown nothing of it; one that dies meanwhile leaves the rest to whoever opens the
//! table next, or maintains it.

use std::sync::{Mutex, PoisonError};

use arrow::datatypes::{Fields, Schema};

use super::committed::Committed;
use super::core::schema_of;
use super::defined::resharded;
use super::obsolete;
use super::retry::{MERGE_ATTEMPTS, persist};
use super::together::Together;
use crate::error::{Error, Result};
use crate::file::encoding::Encoding;
use crate::file::reader::PartReader;
use crate::file::writer::Ended;
use crate::lake::{Lake, definition_key};
use crate::store::{Condition, Object};
use crate::table::definition::Definition;
use crate::table::file_name;

/// Brings all objects of a table to the types of its definition.
pub(super) fn widen(
    lake: &Lake,
    definition: &Definition,
    encoding: &Encoding,
    committed: &mut Committed,
) -> Result<()> {
    let prefix = format!("{}/", definition.table);
    let own = |object: &Object| object.key.strip_prefix(&prefix).is_some_and(file_name::is_own);
    let objects = lake.store.list(&prefix)?.into_iter().filter(own);
    let faster = Mutex::new(Vec::new());
    let files = Together::write(lake, objects, |object| {
        let room = lake.room_for(definition.columns.len(), object.size);
        match rewritten(lake, definition, encoding, &object) {
            Ok(Some(file)) => Ok(Some((object, file, room))),
            Ok(None) => Ok(None),
            Err(Error::Conflict { .. }) => {
                faster.lock().unwrap_or_else(PoisonError::into_inner).push(object.key);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    })?;
    let mut disturbed = faster.into_inner().unwrap_or_else(PoisonError::into_inner);
    if files.len() > 0 {
        let (table, objects) = (&definition.table, files.len());
        tracing::info!(table, objects, "a column is wider; objects take their new types");
    }
    let count = |committed: &mut Committed, written: &Object| {
        let inner = written.key.strip_prefix(&prefix).unwrap_or_default();
        committed.count(written, file_name::split(inner).0);
    };
    let mut failed = Ok(());
    for (object, outcome) in files.finish(lake)? {
        committed.bytes_read += object.size;
        match outcome {
            Ok(written) => count(committed, &written),
            Err(Error::Conflict { .. }) => disturbed.push(object.key),
            Err(error) => failed = Err(error),
        }
    }
    failed?;
    for key in disturbed {
        let written = persist(|| match lake.store.head(&key)? {
            Some(object) => {
                rewritten(lake, definition, encoding, &object)?.map(Ended::finish).transpose()
            }
            None => Ok(None),
        })?;
        if let Some(written) = written {
            count(committed, &written);
        }
    }
    Ok(())
}

/// An object in the types of the table; nothing where it has them.
fn rewritten(
    lake: &Lake,
    definition: &Definition,
    encoding: &Encoding,
    object: &Object,
) -> Result<Option<Ended>> {
    let old = PartReader::open(lake.store.fetch(object)?, &lake.store.locate(&object.key))?;
    if let Some(shards) = old.shards.filter(|shards| *shards != definition.shards) {
        return Err(resharded(definition, shards));
    }
    let schema = schema_of(definition);
    if are_of_current_type(old.schema().fields(), &schema) {
        return Ok(None);
    }
    let format = lake.format(encoding, definition.shards);
    let mut part = lake.part(&object.key, Condition::still(Some(object)), &schema, &format)?;
    old.batches(&schema)?.try_for_each(|batch| part.write(&batch?))?;
    part.end().map(Some)
}

/// Whether every column that a file has is of the table's type.
pub(super) fn are_of_current_type(file: &Fields, table: &Schema) -> bool {
    file.iter().all(|field| {
        table.field_with_name(field.name()).is_ok_and(|own| own.data_type() == field.data_type())
    })
}

/// Brings to its end what a run has left of a table that died: objects of a narrower type, and such as
/// have had their time. The definition as it is then.
pub(crate) fn mend(
    lake: &Lake,
    found: (Object, Definition),
    encoding: &Encoding,
) -> Result<(Object, Definition)> {
    if found.1.is_iceberg() {
        return Ok(found);
    }
    obsolete::remove(lake, &found.1)?;
    if !found.1.widening || found.1.resharding.is_some() {
        return Ok(found);
    }
    let table = found.1.table;
    let _guard = lake.store.lock(&table)?;
    for _ in 0..MERGE_ATTEMPTS {
        // Whoever was at it may live, and have come to its end.
        let (stored, mut definition) = lake.definition(&table)?.ok_or_else(|| Error::Table {
            table: table.clone(),
            reason: "its definition has gone".into(),
        })?;
        if !definition.widening || definition.resharding.is_some() {
            return Ok((stored, definition));
        }
        widen(lake, &definition, encoding, &mut Committed::default())?;
        definition.widening = false;
        match lake.define(&definition, &stored) {
            Ok(stored) => return Ok((stored, definition)),
            Err(Error::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::Conflict { object: lake.store.locate(&definition_key(&table)) })
}

#[cfg(test)]
mod tests {
    use std::ops::Range;
    use std::sync::Arc;

    use arrow::array::RecordBatch;
    use arrow::compute::cast;
    use arrow::datatypes::DataType;

    use super::*;
    use crate::schema::{Column, Kind, fields};
    use crate::table::spec::Spec;
    use crate::testing::{LakeFolder, columns, objects, rows};
    use crate::write::Table;

    fn wide_columns() -> Vec<Column> {
        let mut columns = columns();
        columns[0].kind = Kind::Double;
        columns
    }

    fn narrow() -> Arc<Spec> {
        Arc::new(Spec::append("t", columns()))
    }

    fn wide() -> Arc<Spec> {
        Arc::new(Spec::append("t", wide_columns()))
    }

    fn wide_rows(ids: Range<i64>) -> RecordBatch {
        let narrow = rows(ids, "wide");
        let mut arrays = narrow.columns().to_vec();
        arrays[0] = cast(&arrays[0], &DataType::Float64).unwrap();
        RecordBatch::try_new(Arc::new(Schema::new(fields(&wide_columns()))), arrays).unwrap()
    }

    /// A run that has begun a file of narrow rows.
    fn begun(lake: &Arc<Lake>) -> Table {
        let mut table = Table::open(lake, &narrow()).unwrap();
        table.push(&narrow(), &rows(0..8000, "narrow")).unwrap();
        table.free_memory().unwrap();
        assert!(table.load.files().is_some_and(|files| files.rows() == 8000));
        table
    }

    fn commit(table: &mut Table) {
        table.cover().unwrap();
        table.prepare(true).unwrap();
        table.commit(true).unwrap();
    }

    fn types(lake: &Lake) -> Vec<DataType> {
        let of = |object: Object| {
            let part = PartReader::open(lake.store.fetch(&object).unwrap(), &object.key).unwrap();
            part.schema().field(0).data_type().clone()
        };
        objects(lake).into_iter().map(of).collect()
    }

    #[test]
    fn rows_that_were_encoded_before_their_column_became_wider_are_wide_in_the_end() {
        for is_new in [true, false] {
            let folder = LakeFolder::new();
            if !is_new {
                commit(&mut begun(&folder.lake()));
            }
            let mut table = begun(&folder.lake());
            table.push(&wide(), &wide_rows(8000..8010)).unwrap();
            commit(&mut table);
            let files = if is_new { 2 } else { 3 };
            assert_eq!(types(&folder.lake()), vec![DataType::Float64; files]);
            assert!(!folder.lake().definition("t").unwrap().unwrap().1.widening);
        }
    }

    #[test]
    fn rows_that_were_encoded_before_another_run_made_their_column_wider_are_wide_in_the_end() {
        let folder = LakeFolder::new();
        commit(&mut begun(&folder.lake()));
        let mut late = begun(&folder.lake());
        let lake = folder.lake();
        let mut other = Table::open(&lake, &wide()).unwrap();
        other.push(&wide(), &wide_rows(8000..8010)).unwrap();
        commit(&mut other);
        commit(&mut late);
        assert_eq!(types(&folder.lake()), vec![DataType::Float64; 3]);
        assert!(!folder.lake().definition("t").unwrap().unwrap().1.widening);
    }

    #[test]
    fn what_is_not_the_tables_stays_as_it_is() {
        let folder = LakeFolder::new();
        commit(&mut begun(&folder.lake()));
        let lake = folder.lake();
        let theirs = ["t/notes.txt", "t/theirs.parquet"];
        for key in theirs {
            lake.store.put(key, b"theirs", Condition::Absent).unwrap();
        }
        let mut table = Table::open(&lake, &wide()).unwrap();
        table.push(&wide(), &wide_rows(8000..8010)).unwrap();
        commit(&mut table);
        for key in theirs {
            assert_eq!(lake.store.get(key).unwrap().unwrap().1, b"theirs");
        }
    }

    #[test]
    fn what_a_run_has_left_half_done_is_ended_when_the_table_is_opened() {
        let folder = LakeFolder::new();
        commit(&mut begun(&folder.lake()));
        let lake = folder.lake();
        let (stored, mut definition) = lake.definition("t").unwrap().unwrap();
        definition.columns = wide_columns();
        definition.widening = true;
        lake.define(&definition, &stored).unwrap();
        let table = Table::open(&folder.lake(), &narrow()).unwrap();
        assert!(!table.definition().widening);
        assert_eq!(types(&folder.lake()), [DataType::Float64]);
        assert!(!folder.lake().definition("t").unwrap().unwrap().1.widening);
    }
}
