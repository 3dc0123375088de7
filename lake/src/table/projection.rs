//! From the columns of a batch to the columns of a table.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, ListArray, RecordBatch, RecordBatchOptions, StructArray,
    new_null_array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use arrow::error::ArrowError;

use crate::schema::{Column, Kind, fields};

/// How each column of a table is made from a batch of an older or another schema.
#[derive(Debug, Clone)]
pub(crate) struct Projection {
    schema: SchemaRef,
    steps: Vec<Step>,
}

/// How one column is made.
#[derive(Debug, Clone)]
enum Step {
    /// It is the column at this position.
    Keep(usize),
    /// It is the column at this position, made into something else.
    Change(usize, Change),
    /// Nothing holds it.
    Null,
}

#[derive(Debug, Clone)]
enum Change {
    Cast(DataType),
    Struct(Fields, Vec<Step>),
    List(Arc<Field>, Option<Box<Self>>),
}

impl Projection {
    /// From batches of a plan, whose columns are known by their source.
    pub(crate) fn from_columns(from: &[Column], to: &[Column]) -> Self {
        let schema = Arc::new(Schema::new(fields(to)));
        let steps = steps(&source_fields(from), &source_fields(to), schema.fields());
        Self { schema, steps }
    }

    /// Between two schemas of one table, whose columns are known by their name.
    pub(crate) fn between(from: &Fields, to: &SchemaRef) -> Self {
        Self { schema: Arc::clone(to), steps: steps(from, to.fields(), to.fields()) }
    }

    /// The schema of the table.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Makes the table's columns.
    pub(crate) fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let rows = batch.num_rows();
        let arrays = project(batch.columns(), &self.steps, self.schema.fields(), rows)?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
    }
}

/// Fields that are called by their source, so that plans are matched by source at every level.
fn source_fields(columns: &[Column]) -> Fields {
    columns
        .iter()
        .map(|column| Field::new(&column.source, source_type(&column.kind), true))
        .collect()
}

fn source_type(kind: &Kind) -> DataType {
    match kind {
        Kind::Struct(columns) => DataType::Struct(source_fields(columns)),
        Kind::List(element) => {
            DataType::List(Field::new("element", source_type(element), true).into())
        }
        other => other.data_type(),
    }
}

/// The steps to the fields of `to`. `keys` has the same fields under the names by which `from` is
/// searched.
fn steps(from: &Fields, keys: &Fields, to: &Fields) -> Vec<Step> {
    let positions: HashMap<&str, usize> =
        from.iter().enumerate().map(|(at, field)| (field.name().as_str(), at)).collect();
    keys.iter()
        .zip(to)
        .map(|(key, target)| {
            let Some(at) = positions.get(key.name().as_str()).copied() else { return Step::Null };
            let Some(field) = from.get(at) else { return Step::Null };
            match change(field.data_type(), key.data_type(), target.data_type()) {
                Some(change) => Step::Change(at, change),
                None => Step::Keep(at),
            }
        })
        .collect()
}

fn change(from: &DataType, key: &DataType, to: &DataType) -> Option<Change> {
    if from == to {
        return None;
    }
    match (from, key, to) {
        (DataType::Struct(from), DataType::Struct(keys), DataType::Struct(to)) => {
            Some(Change::Struct(to.clone(), steps(from, keys, to)))
        }
        (DataType::List(from), DataType::List(key), DataType::List(to)) => {
            let inner = change(from.data_type(), key.data_type(), to.data_type());
            Some(Change::List(Arc::clone(to), inner.map(Box::new)))
        }
        _ => Some(Change::Cast(to.clone())),
    }
}

fn project(
    columns: &[ArrayRef],
    steps: &[Step],
    fields: &Fields,
    rows: usize,
) -> Result<Vec<ArrayRef>, ArrowError> {
    let column = |at: &usize| {
        columns
            .get(*at)
            .ok_or_else(|| ArrowError::SchemaError(format!("a batch has no column {at}")))
    };
    steps
        .iter()
        .zip(fields)
        .map(|(step, field)| match step {
            Step::Keep(at) => column(at).cloned(),
            Step::Null => Ok(new_null_array(field.data_type(), rows)),
            Step::Change(at, change) => apply(column(at)?, change),
        })
        .collect()
}

fn apply(array: &ArrayRef, change: &Change) -> Result<ArrayRef, ArrowError> {
    Ok(match change {
        Change::Cast(target) => cast(array, target)?,
        Change::Struct(fields, steps) => {
            let old = array.as_struct();
            let arrays = project(old.columns(), steps, fields, old.len())?;
            let nulls = old.nulls().cloned();
            Arc::new(StructArray::try_new_with_length(fields.clone(), arrays, nulls, old.len())?)
        }
        Change::List(field, inner) => {
            let old = array.as_list::<i32>();
            let values = match inner {
                Some(inner) => apply(old.values(), inner)?,
                None => Arc::clone(old.values()),
            };
            let (offsets, nulls) = (old.offsets().clone(), old.nulls().cloned());
            Arc::new(ListArray::try_new(Arc::clone(field), offsets, values, nulls)?)
        }
    })
}

/// Whether rows of these columns lose nothing when they become rows of those: each column is among them, and
/// none is narrower there. A column that is not is of a definition that is newer than the reader's.
pub(crate) fn keeps_all(from: &Fields, to: &Fields) -> bool {
    from.iter().all(|field| {
        let same = to.find(field.name()).map(|(_, same)| same);
        same.is_some_and(|same| keeps_value(field.data_type(), same.data_type()))
    })
}

fn keeps_value(from: &DataType, to: &DataType) -> bool {
    match (from, to) {
        (DataType::Struct(from), DataType::Struct(to)) => keeps_all(from, to),
        (DataType::List(from), DataType::List(to)) => keeps_value(from.data_type(), to.data_type()),
        (DataType::Int64, DataType::Int32)
        | (DataType::Float64 | DataType::Decimal128(..), DataType::Int32 | DataType::Int64) => {
            false
        }
        (DataType::Decimal128(digits, _), DataType::Decimal128(fewer, _)) => digits <= fewer,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Int32Array;
    use arrow::datatypes::Int64Type;

    fn column(source: &str, name: &str, kind: Kind) -> Column {
        Column { source: source.into(), ..Column::same(name, kind) }
    }

    #[test]
    fn columns_are_found_widened_and_filled_with_nulls_at_every_level() {
        let inner_old = vec![column("fileSize", "file_size", Kind::Int)];
        let inner_new = vec![
            column("fileSize", "file_size", Kind::Bigint),
            column("type", "type", Kind::String),
        ];
        let old = [column("b", "b", Kind::Struct(inner_old.clone())), column("a", "a", Kind::Int)];
        let new = [
            column("a", "a", Kind::Double),
            column("c", "c", Kind::Date),
            column("b", "b", Kind::Struct(inner_new)),
        ];
        let structs = StructArray::new(
            fields(&inner_old),
            vec![Arc::new(Int32Array::from(vec![5, 6]))],
            Some(vec![true, false].into()),
        );
        let batch = RecordBatch::try_new(
            Arc::new(Schema::new(fields(&old))),
            vec![Arc::new(structs), Arc::new(Int32Array::from(vec![Some(1), None]))],
        )
        .unwrap();
        let schema = Arc::new(Schema::new(fields(&new)));
        for projection in
            [Projection::from_columns(&old, &new), Projection::between(&fields(&old), &schema)]
        {
            let projected = projection.apply(&batch).unwrap();
            assert_eq!(projected.schema().as_ref(), &Schema::new(fields(&new)));
            assert_eq!(projected.column(1).null_count(), 2);
            let structs = projected.column(2).as_struct();
            assert!(structs.is_null(1));
            assert_eq!(structs.column(0).as_primitive::<Int64Type>().value(0), 5);
            assert_eq!(structs.column(1).null_count(), 2);
        }
    }
}
