//! How many rows have no value in a column, or in a field of a struct. What lies in a list is not counted: a row may have
//! any number of it.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, StructArray};
use arrow::buffer::NullBuffer;

/// Adds the rows of a batch to what is known, by the path of each field: `identity.email`.
pub(crate) fn count(known: &mut BTreeMap<String, u64>, column: &str, values: &ArrayRef) {
    count_below(known, &mut column.to_owned(), values, None);
}

fn count_below(
    known: &mut BTreeMap<String, u64>,
    path: &mut String,
    values: &ArrayRef,
    outer: Option<&NullBuffer>,
) {
    // A field of what is not there is not there either, whatever its own array says.
    let nulls = NullBuffer::union(outer, values.nulls());
    let count = nulls.as_ref().map_or(0, NullBuffer::null_count) as u64;
    match known.get_mut(path) {
        Some(known) => *known += count,
        None => _ = known.insert(path.clone(), count),
    }
    let Some(fields) = values.as_any().downcast_ref::<StructArray>() else { return };
    let length = path.len();
    for (name, values) in fields.column_names().into_iter().zip(fields.columns()) {
        path.push('.');
        path.push_str(name);
        count_below(known, path, values, nulls.as_ref());
        path.truncate(length);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};
    use arrow::datatypes::{DataType, Field, Fields};

    use super::*;

    #[test]
    fn fields_of_structs_are_counted_with_the_structs_that_are_not_there() {
        let text: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("hidden")]));
        let inner = Fields::from(vec![Field::new("email", DataType::Utf8, true)]);
        let nulls = NullBuffer::from(vec![true, true, false]);
        let identity: ArrayRef = Arc::new(StructArray::new(inner, vec![text], Some(nulls)));
        let id: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let mut known = BTreeMap::new();
        for _ in 0..2 {
            count(&mut known, "id", &id);
            count(&mut known, "identity", &identity);
        }
        let expected = [("id", 0), ("identity", 2), ("identity.email", 4)];
        assert_eq!(known, expected.map(|(path, count)| (path.to_owned(), count)).into());
    }
}
