//! What a footer says of the columns of a row group, beside the values that are there.
//!
//! Engines pass over row groups whose least and greatest values leave out what is asked for, and some answer `MIN`,
//! `MAX` and `COUNT` by them alone
//! (<https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift>).

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Datum as _, Float64Array, RecordBatch, Scalar,
};
use arrow::compute::filter;
use arrow::compute::kernels::cmp::{eq, gt, lt};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use arrow::error::ArrowError;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::errors::ParquetError;

use super::faults::FaultKind;
use super::suspect::Told;

/// What is said of a row group, and what was seen of it.
#[derive(Debug)]
pub(super) struct Group {
    /// Rows that it is said to have.
    rows: u64,
    /// By column of the file: its leaves, or nothing for one of a type that is not taken apart.
    columns: Vec<Option<Vec<Leaf>>>,
}

/// A column of values.
#[derive(Debug)]
struct Leaf {
    name: String,
    least: Option<Bound>,
    greatest: Option<Bound>,
    /// Nulls that it is said to have; nothing within lists, where Parquet counts absent lists as well.
    nulls: Option<u64>,
    seen_nulls: u64,
    /// Whether there was a value.
    has_values: bool,
    /// Values beyond the bounds.
    beyond: u64,
}

/// The least or the greatest value that is said to be there.
#[derive(Debug)]
struct Bound {
    value: Scalar<ArrayRef>,
    /// Whether it is said to be one of them.
    is_exact: bool,
    is_met: bool,
}

impl Group {
    /// What the footer says of the row group at that place.
    pub(super) fn new(footer: &ArrowReaderMetadata, at: usize) -> Result<Self, ParquetError> {
        let descriptor = footer.parquet_schema();
        let group = footer.metadata().row_group(at);
        let mut columns = Vec::new();
        for (root, field) in footer.schema().fields().iter().enumerate() {
            let places = (0..descriptor.num_columns())
                .filter(|leaf| descriptor.get_column_root_idx(*leaf) == root);
            let places: Vec<usize> = places.collect();
            let mut fields = Vec::new();
            flatten(field, field.name(), false, &mut fields);
            if fields.len() != places.len() {
                columns.push(None);
                continue;
            }
            let mut leaves = Vec::new();
            for (place, (name, field, in_list)) in places.into_iter().zip(fields) {
                let said = StatisticsConverter::from_column_index(place, &field, descriptor)?
                    .with_missing_null_counts_as_zero(false);
                let exact =
                    |flags: BooleanArray| !flags.is_empty() && flags.is_valid(0) && flags.value(0);
                let bound = |value: ArrayRef, is_exact| {
                    let is_known = value.len() == 1 && value.is_valid(0);
                    is_known.then(|| Bound { value: Scalar::new(value), is_exact, is_met: false })
                };
                let is_exact = exact(said.row_group_is_min_value_exact([group])?);
                let least = bound(said.row_group_mins([group])?, is_exact);
                let is_exact = exact(said.row_group_is_max_value_exact([group])?);
                let greatest = bound(said.row_group_maxes([group])?, is_exact);
                let nulls = said.row_group_null_counts([group])?;
                let nulls = (!in_list && nulls.is_valid(0)).then(|| nulls.value(0));
                let (seen_nulls, has_values, beyond) = (0, false, 0);
                leaves.push(Leaf { name, least, greatest, nulls, seen_nulls, has_values, beyond });
            }
            columns.push(Some(leaves));
        }
        Ok(Self { rows: u64::try_from(group.num_rows()).unwrap_or(0), columns })
    }

    /// Compares rows of it.
    pub(super) fn see(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        for (leaves, column) in self.columns.iter_mut().zip(batch.columns()) {
            let Some(leaves) = leaves else { continue };
            let mut arrays = Vec::new();
            take_apart(column, &mut arrays);
            for (leaf, array) in leaves.iter_mut().zip(arrays) {
                leaf.see(&array)?;
            }
        }
        Ok(())
    }

    /// It had so many rows: what was not so.
    pub(super) fn end(&self, rows: u64, told: &mut Told<'_>) {
        let mut fault = |what: String| told.add(FaultKind::Statistics, 1, &what);
        if rows != self.rows {
            fault(format!("rows of a row group: {rows}, and {} by the footer", self.rows));
        }
        for leaf in self.columns.iter().flatten().flatten() {
            let Leaf { name, nulls, seen_nulls, beyond, .. } = leaf;
            if let Some(said) = nulls
                && said != seen_nulls
            {
                fault(format!("nulls of `{name}`: {seen_nulls}, and {said} by the footer"));
            }
            if *beyond > 0 {
                fault(format!("values of `{name}` beyond the bounds of the footer: {beyond}"));
            }
            for (bound, what) in [(&leaf.least, "least"), (&leaf.greatest, "greatest")] {
                let is_missed = |bound: &&Bound| bound.is_exact && !bound.is_met && leaf.has_values;
                if bound.as_ref().is_some_and(|bound| is_missed(&bound)) {
                    fault(format!("no value of `{name}` is the {what} one that the footer names"));
                }
            }
        }
    }
}

impl Leaf {
    fn see(&mut self, array: &ArrayRef) -> Result<(), ArrowError> {
        self.seen_nulls += array.null_count() as u64;
        let array = without_nan(array)?;
        self.has_values |= array.len() > array.null_count();
        for (bound, is_least) in [(&mut self.least, true), (&mut self.greatest, false)] {
            let Some(bound) = bound else { continue };
            let compare = if is_least { lt } else { gt };
            self.beyond += compare(&array, &bound.value)?.true_count() as u64;
            if bound.is_exact && !bound.is_met {
                bound.is_met = eq(&array, &bound.value)?.true_count() > 0
                    || is_zero(bound)
                        && array.as_primitive_opt::<Float64Type>().is_some_and(has_zero);
            }
        }
        Ok(())
    }
}

/// Whether a bound is a zero: writers give it the sign by which it leaves out neither of both, whichever is there
/// (<https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift>, `ColumnOrder`).
fn is_zero(bound: &Bound) -> bool {
    let (value, _) = bound.value.get();
    value.as_primitive_opt::<Float64Type>().is_some_and(has_zero)
}

fn has_zero(numbers: &Float64Array) -> bool {
    numbers.iter().flatten().any(|number| number.abs().to_bits() == 0)
}

/// No bound says anything of what is no number.
fn without_nan(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    if !matches!(array.data_type(), DataType::Float64) {
        return Ok(Arc::clone(array));
    }
    let numbers = array.as_primitive::<Float64Type>();
    let is_number: BooleanArray =
        numbers.iter().map(|number| Some(number.is_none_or(|number| !number.is_nan()))).collect();
    filter(array, &is_number)
}

/// The leaves of a field in the order in which Parquet has them, and whether they are within a list.
fn flatten(field: &Field, name: &str, in_list: bool, leaves: &mut Vec<(String, FieldRef, bool)>) {
    match field.data_type() {
        DataType::Struct(fields) => {
            for inner in fields {
                flatten(inner, &format!("{name}.{}", inner.name()), in_list, leaves);
            }
        }
        DataType::List(element) => flatten(element, &format!("{name}[]"), true, leaves),
        other => {
            leaves.push((name.to_owned(), Field::new("leaf", other.clone(), true).into(), in_list));
        }
    }
}

/// The values of an array's leaves.
fn take_apart(array: &ArrayRef, leaves: &mut Vec<ArrayRef>) {
    match array.data_type() {
        DataType::Struct(_) => {
            for column in array.as_struct().columns() {
                take_apart(column, leaves);
            }
        }
        DataType::List(_) => {
            let lists = array.as_list::<i32>();
            let ends = lists.offsets();
            let place = |end: Option<&i32>| end.and_then(|end| usize::try_from(*end).ok());
            let from = place(ends.iter().next()).unwrap_or(0);
            let to = place(ends.iter().next_back()).unwrap_or(from);
            take_apart(&lists.values().slice(from, to - from), leaves);
        }
        _ => leaves.push(Arc::clone(array)),
    }
}
