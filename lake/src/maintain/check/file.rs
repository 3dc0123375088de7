//! One file: all of its rows are read, and compared with what is said of them.

use std::fs::File;
use std::sync::{Mutex, PoisonError};

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};

use super::faults::{FaultKind, Faults};
use super::keys::Keys;
use super::statistics::Group;
use super::suspect::{Suspect, Told};
use crate::error::{Error, Result};
use crate::file::reader::{READ_ROWS, footer};
use crate::lake::Lake;
use crate::table::definition::Definition;
use crate::table::key;
use crate::table::projection::{Projection, keeps_all};

/// What all files of a table are checked by.
#[derive(Debug)]
pub(super) struct Check<'a> {
    pub(super) lake: &'a Lake,
    pub(super) definition: &'a Definition,
    pub(super) schema: SchemaRef,
    /// Positions of the key columns, where no two rows may share a key.
    pub(super) key_columns: Vec<usize>,
    pub(super) keys: &'a Mutex<Keys>,
}

/// What was found in a file.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) faults: Faults,
}

impl Check<'_> {
    /// Reads a file.
    pub(super) fn file(&self, suspect: &mut Suspect) -> Result<Found> {
        let name = self.lake.store.locate(&suspect.key);
        let mut found = Found::default();
        let object = match &suspect.object {
            Some(object) => Some(object.clone()),
            None => self.lake.store.head(&suspect.key)?,
        };
        let Some(object) = object else {
            let mut told = Told { file: &name, faults: &mut found.faults };
            told.add(FaultKind::Gone, 1, "the current snapshot names it, and it is gone");
            return Ok(found);
        };
        found.bytes = object.size;
        let file = self.lake.store.fetch(&object)?;
        let footer = footer(&file, &name)?;
        let number = self.keys().file(&name, suspect.place.partition());
        if !keeps_all(footer.schema().fields(), self.schema.fields()) {
            let mut told = Told { file: &name, faults: &mut found.faults };
            told.add(
                FaultKind::Columns,
                1,
                "it has a column that the table has not, or a wider one than the table's",
            );
            return Ok(found);
        }
        let groups = footer.metadata().num_row_groups();
        for at in 0..groups {
            self.group(suspect, &name, (&file, &footer, at), number, &mut found)?;
        }
        if let Some(claims) = &suspect.claims {
            let mut told = Told { file: &name, faults: &mut found.faults };
            claims.compare(footer.metadata(), &mut told);
        }
        Ok(found)
    }

    /// Reads a row group.
    fn group(
        &self,
        suspect: &mut Suspect,
        name: &str,
        (file, footer, at): (&File, &ArrowReaderMetadata, usize),
        number: usize,
        found: &mut Found,
    ) -> Result<()> {
        let failed = |source| Error::Parquet { action: "read", object: name.to_owned(), source };
        let copy = file.try_clone().map_err(|error| Error::store("read", name, error))?;
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(copy, footer.clone())
            .with_row_groups(vec![at])
            .with_batch_size(READ_ROWS)
            .build()
            .map_err(failed)?;
        let mut statistics = Group::new(footer, at).map_err(failed)?;
        let projection = Projection::between(footer.schema().fields(), &self.schema);
        let mut rows = 0;
        for batch in reader {
            let batch = batch.map_err(|source| failed(source.into()))?;
            statistics.see(&batch).map_err(|source| failed(source.into()))?;
            let own = projection.apply(&batch).map_err(|source| failed(source.into()))?;
            self.rows(suspect, name, &own, (number, found.rows + rows), &mut found.faults)?;
            rows += batch.num_rows() as u64;
        }
        let mut told = Told { file: name, faults: &mut found.faults };
        statistics.end(rows, &mut told);
        found.rows += rows;
        Ok(())
    }

    /// Looks at rows, of which the first has that number in its file.
    fn rows(
        &self,
        suspect: &mut Suspect,
        name: &str,
        batch: &RecordBatch,
        (file, first): (usize, u64),
        faults: &mut Faults,
    ) -> Result<()> {
        let mut told = Told { file: name, faults };
        for (column, key) in self.key_columns.iter().zip(&self.definition.keys) {
            let column = batch.columns().get(*column);
            let column = column.ok_or_else(|| Error::internal("a key is a column"))?;
            let nulls = column.null_count() as u64;
            if nulls > 0 {
                told.add(FaultKind::NoKey, nulls, &format!("rows without `{key}`"));
            }
        }
        let hashes = key::hash_rows(batch, &self.key_columns)?;
        self.keys().add(file, first, &hashes)?;
        for (kind, count, at) in suspect.place.strangers(batch, &hashes)? {
            let row = first + at as u64 + 1;
            told.add(kind, count, &format!("row {row} does not belong there"));
        }
        Ok(())
    }

    fn keys(&self) -> std::sync::MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
