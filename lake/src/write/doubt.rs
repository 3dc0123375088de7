//! Rows in doubt: they are visible, and nobody knows whether their state was acknowledged.
//!
//! Where it was not, the same rows come again. They are known by what they hold, and left out; each
//! row in doubt stands for one that comes, so that one which comes twice is there twice.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, SchemaRef};
use xxhash_rust::xxh3::xxh3_128;

use crate::at_once::at_once;
use crate::error::{Error, Result};
use crate::file::reader::PartReader;
use crate::lake::Lake;
use crate::stage::{Counts, SpillFile};
use crate::table::key;

/// The rows in doubt of one table, by the hash of what they hold.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    counts: Counts,
    /// Columns that say how a row came, and are others when it comes again.
    incidental: Vec<String>,
    recognised: u64,
}

impl Doubts {
    /// No row is in doubt. `incidental` columns say how a row came, not what it is.
    pub(super) fn none(incidental: &[String]) -> Self {
        Self { incidental: incidental.to_vec(), ..Self::default() }
    }

    /// Adds the rows of files, as columns of the table.
    pub(super) fn add(&mut self, lake: &Lake, files: &[String], schema: &SchemaRef) -> Result<()> {
        at_once(
            lake.at_once,
            files,
            |file| fetch(lake, file),
            |part| {
                let Some(part) = part? else { return Ok(()) };
                for batch in part.batches(schema)? {
                    let hashes = self.hashes(&batch?)?;
                    self.counts.add(&lake.spill, &hashes)?;
                }
                Ok(())
            },
        )?;
        self.counts.settle(&lake.spill)
    }

    /// Whether no row is in doubt.
    pub(super) fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Memory in bytes.
    pub(super) fn memory(&self) -> usize {
        self.counts.memory()
    }

    /// Memory in bytes that [`spill`](Self::spill) gives back.
    pub(super) fn spillable(&self) -> usize {
        self.counts.spillable()
    }

    /// Moves the hashes in memory to the temporary file.
    pub(super) fn spill(&mut self, file: &Arc<SpillFile>) -> Result<()> {
        self.counts.spill(file)
    }

    /// How many rows came again so far.
    pub(super) fn recognised(&self) -> u64 {
        self.recognised
    }

    /// Takes the rows out of a batch that came again. `hashes` are those of their keys.
    pub(super) fn take_out(
        &mut self,
        batch: &RecordBatch,
        hashes: &[u128],
    ) -> Result<(RecordBatch, Vec<u128>)> {
        let contents = self.hashes(batch)?;
        let came_again = self.counts.take(&contents)?;
        self.recognised += came_again.iter().filter(|came_again| **came_again).count() as u64;
        let is_new: Vec<bool> = came_again.into_iter().map(|came_again| !came_again).collect();
        let kept = hashes.iter().zip(&is_new).filter(|(_, is_new)| **is_new);
        let kept = kept.map(|(hash, _)| *hash).collect();
        let is_new = BooleanArray::from(is_new);
        Ok((filter_record_batch(batch, &is_new).map_err(Error::arrow)?, kept))
    }

    /// The hash of what each row holds: its values with the names of their columns. A column without
    /// a value does not count, so that one which comes later changes nothing.
    fn hashes(&self, batch: &RecordBatch) -> Result<Vec<u128>> {
        let schema = batch.schema();
        let names = schema.fields().iter().map(|field| field.name());
        let columns = names.zip(batch.columns());
        let columns = columns.filter(|(name, _)| !self.incidental.contains(name));
        let columns: Vec<(&String, &ArrayRef)> = columns.collect();
        let mut text = Vec::new();
        let rows = 0..batch.num_rows();
        rows.map(|row| {
            text.clear();
            for (name, column) in &columns {
                append_named(name, column, row, &mut text)?;
            }
            Ok(xxh3_128(&text))
        })
        .collect()
    }
}

/// A file as it is now. One that is gone has no rows.
fn fetch(lake: &Lake, file: &str) -> Result<Option<PartReader>> {
    while let Some(object) = lake.store.head(file)? {
        match lake.store.fetch(&object) {
            Ok(part) => return PartReader::open(part, &lake.store.locate(file)).map(Some),
            Err(Error::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn append_named(name: &str, column: &ArrayRef, row: usize, text: &mut Vec<u8>) -> Result<()> {
    if column.is_null(row) {
        return Ok(());
    }
    let from = text.len();
    append_framed(text, |text| {
        text.extend_from_slice(name.as_bytes());
        Ok(())
    })?;
    append_framed(text, |text| append_value(column, row, text))?;
    // A struct without a value in it is as good as none.
    if matches!(column.data_type(), DataType::Struct(_)) && text.ends_with(&[0; 4]) {
        text.truncate(from);
    }
    Ok(())
}

/// Appends something behind its length, so that no two sequences of values have one text.
fn append_framed(
    text: &mut Vec<u8>,
    append: impl FnOnce(&mut Vec<u8>) -> Result<()>,
) -> Result<()> {
    let at = text.len();
    text.extend_from_slice(&[0; 4]);
    append(text)?;
    let length = u32::try_from(text.len() - at - 4)
        .map_err(|error| Error::broken("a value has fewer bytes than 2^32", error))?;
    if let Some(frame) = text.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
        *frame = length.to_le_bytes();
    }
    Ok(())
}

fn append_value(column: &ArrayRef, row: usize, text: &mut Vec<u8>) -> Result<()> {
    match column.data_type() {
        DataType::Struct(fields) => {
            let inner = column.as_struct();
            let named = fields.iter().map(|field| field.name()).zip(inner.columns());
            for (name, column) in named {
                append_named(name, column, row, text)?;
            }
            Ok(())
        }
        DataType::List(_) => {
            let elements = column.as_list::<i32>().value(row);
            for at in 0..elements.len() {
                append_framed(text, |text| {
                    if elements.is_null(at) {
                        return Ok(());
                    }
                    text.push(1);
                    append_value(&elements, at, text)
                })?;
            }
            Ok(())
        }
        _ => key::append_text(column, row, text),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, Int64Array, ListArray, StringArray, StructArray};
    use arrow::datatypes::{Field, Int64Type};

    use super::*;

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable(
            columns.into_iter().map(|(name, column)| (name, column, true)),
        )
        .unwrap()
    }

    fn ids(ids: &[i64]) -> RecordBatch {
        batch(vec![("id", Arc::new(Int64Array::from(ids.to_vec())))])
    }

    fn hashes(batch: &RecordBatch) -> Vec<u128> {
        Doubts::none(&["came".to_owned()]).hashes(batch).unwrap()
    }

    #[test]
    fn each_row_in_doubt_stands_for_one_that_comes() {
        let mut doubts = Doubts::none(&[]);
        let hashes = doubts.hashes(&ids(&[1, 2, 2])).unwrap();
        doubts.counts.add(&Arc::new(SpillFile::new("/nowhere".into(), 1 << 20)), &hashes).unwrap();
        let (left, kept) = doubts.take_out(&ids(&[2, 3, 2, 2]), &[2, 3, 20, 200]).unwrap();
        assert_eq!(left, ids(&[3, 2]));
        assert_eq!((kept, doubts.recognised()), (vec![3, 200], 2));
        let (left, _) = doubts.take_out(&ids(&[1, 1]), &[]).unwrap();
        assert_eq!((left.num_rows(), doubts.recognised()), (1, 3));
        assert!(doubts.is_empty());
    }

    #[test]
    fn what_a_row_holds_does_not_depend_on_its_columns_their_order_or_their_width() {
        let id = || -> ArrayRef { Arc::new(Int64Array::from(vec![7])) };
        let name = || -> ArrayRef { Arc::new(StringArray::from(vec!["x"])) };
        let null: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>]));
        let wide: ArrayRef = Arc::new(Float64Array::from(vec![7.0]));
        let came: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        let one = hashes(&batch(vec![("id", id()), ("name", name())]));
        assert_eq!(one, hashes(&batch(vec![("id", wide), ("name", name()), ("new", null)])));
        assert_eq!(one, hashes(&batch(vec![("id", id()), ("name", name()), ("came", came)])));
        assert_ne!(one, hashes(&batch(vec![("id", id()), ("other", name())])));
        assert_ne!(one, hashes(&batch(vec![("id", id())])));
    }

    #[test]
    fn nested_values_count_with_their_place() {
        let list = |values: Vec<Option<Vec<Option<i64>>>>| -> ArrayRef {
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(values))
        };
        let of = |values| hashes(&batch(vec![("l", list(vec![values]))]))[0];
        let all = [
            of(None),
            of(Some(vec![])),
            of(Some(vec![None])),
            of(Some(vec![Some(1)])),
            of(Some(vec![Some(1), None])),
            of(Some(vec![None, Some(1)])),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(!all[..at].contains(one), "{at}");
        }
        let inner: ArrayRef = Arc::new(StringArray::from(vec![Some("x"), None]));
        let field = Arc::new(Field::new("a", DataType::Utf8, true));
        let nested: ArrayRef = Arc::new(StructArray::from(vec![(field, inner)]));
        let found = hashes(&batch(vec![("s", nested)]));
        assert_ne!(found[0], found[1]);
        assert_eq!(
            found[1],
            hashes(&batch(vec![("s", Arc::new(StringArray::from(vec![None::<&str>])) as _)]))[0]
        );
    }
}
