//! How large rows are, whatever the batches that they come in.
//!
//! The size is that of the values and of one bit a row for nulls. What an array has beside them, room
//! that is not used or a mask that it does not need, depends on how it was made, and a file must not.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::DataType;

/// The bits of rows `from` to `to` of a batch.
pub(super) fn bits(batch: &RecordBatch, from: usize, to: usize) -> usize {
    batch.columns().iter().map(|column| column_bits(column, from, to)).sum()
}

/// How many of the first rows of a batch reach `least` bits, of which the whole batch has enough. At
/// least one.
pub(super) fn rows_for(batch: &RecordBatch, least: usize) -> usize {
    let (mut below, mut reach) = (0, batch.num_rows());
    while reach - below > 1 {
        let middle = below + (reach - below) / 2;
        if bits(batch, 0, middle) < least { below = middle } else { reach = middle }
    }
    reach
}

fn column_bits(column: &ArrayRef, from: usize, to: usize) -> usize {
    let rows = to - from;
    let values = match column.data_type() {
        DataType::Boolean => rows,
        DataType::Utf8 => {
            let (from, to) = between(column.as_string::<i32>().value_offsets(), from, to);
            (to - from) * 8 + rows * 32
        }
        DataType::List(_) => {
            let list = column.as_list::<i32>();
            let (from, to) = between(list.value_offsets(), from, to);
            column_bits(list.values(), from, to) + rows * 32
        }
        DataType::Struct(_) => {
            let columns = column.as_struct().columns().iter();
            columns.map(|column| column_bits(column, from, to)).sum()
        }
        other => other.primitive_width().map_or(64, |bytes| bytes * 8) * rows,
    };
    values + rows
}

/// The first of the values of rows `from` to `to`, and the one behind the last.
fn between(offsets: &[i32], from: usize, to: usize) -> (usize, usize) {
    let at = |row: usize| offsets.get(row).and_then(|offset| usize::try_from(*offset).ok());
    let (from, to) = (at(from).unwrap_or(0), at(to).unwrap_or(0));
    (from, to.max(from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::rows;

    #[test]
    fn the_size_of_rows_does_not_depend_on_the_batches_that_they_come_in() {
        let all = rows(0..100, "some text");
        let whole = bits(&all, 0, 100);
        assert!(whole > 100 * 8 * "some text".len());
        for border in [0, 1, 63, 64, 99, 100] {
            assert_eq!(bits(&all, 0, border) + bits(&all, border, 100), whole);
            let (left, right) = (all.slice(0, border), all.slice(border, 100 - border));
            assert_eq!(bits(&left, 0, border) + bits(&right, 0, 100 - border), whole);
        }
    }

    #[test]
    fn as_many_rows_are_taken_as_reach_a_size_and_at_least_one() {
        let all = rows(0..100, "some text");
        for (least, expected) in [(0, 1), (1, 1), (bits(&all, 0, 7), 7), (bits(&all, 0, 7) + 1, 8)]
        {
            assert_eq!(rows_for(&all, least), expected);
        }
    }
}
