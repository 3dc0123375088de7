//! Tells whether two sets of rows are the same.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use xxhash_rust::xxh3::xxh3_128;

/// What a set of rows holds: their number and the sum of their hashes, which do not depend on the
/// order in which the rows come.
#[derive(Debug)]
pub struct Content {
    converter: RowConverter,
    rows: u64,
    sum: u128,
}

impl Content {
    /// No rows of these columns.
    pub fn new(schema: &SchemaRef) -> Result<Self, ArrowError> {
        let fields = schema.fields().iter().map(|field| SortField::new(field.data_type().clone()));
        Ok(Self { converter: RowConverter::new(fields.collect())?, rows: 0, sum: 0 })
    }

    /// Adds rows.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let rows = self.converter.convert_columns(batch.columns())?;
        self.rows += batch.num_rows() as u64;
        for row in &rows {
            self.sum = self.sum.wrapping_add(xxh3_128(row.as_ref()));
        }
        Ok(())
    }

    /// How many rows there are.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Whether the other set holds the same rows.
    pub fn is(&self, other: &Self) -> bool {
        (self.rows, self.sum) == (other.rows, other.sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int64Array, ListArray, StringArray};
    use arrow::datatypes::Int64Type;
    use std::sync::Arc;

    fn rows(keys: &[i64], names: &[Option<&str>]) -> RecordBatch {
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>(
            keys.iter().map(|key| (*key > 0).then(|| vec![Some(*key), None])),
        );
        let columns: [(&str, ArrayRef); 3] = [
            ("k", Arc::new(Int64Array::from(keys.to_vec()))),
            ("n", Arc::new(StringArray::from(names.to_vec()))),
            ("l", Arc::new(lists)),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn content(batches: &[RecordBatch]) -> Content {
        let mut content = Content::new(&batches[0].schema()).unwrap();
        for batch in batches {
            content.add(batch).unwrap();
        }
        content
    }

    #[test]
    fn order_does_not_matter_and_every_value_does() {
        let all = content(&[rows(&[1, 0, 2], &[Some("a"), None, Some("")])]);
        assert!(all.is(&content(&[rows(&[2, 1], &[Some(""), Some("a")]), rows(&[0], &[None])])));
        for other in [
            rows(&[1, 0, 2], &[Some("a"), Some(""), Some("")]),
            rows(&[1, 0, 3], &[Some("a"), None, Some("")]),
            rows(&[1, 0], &[Some("a"), None]),
        ] {
            assert!(!all.is(&content(&[other])));
        }
    }
}
