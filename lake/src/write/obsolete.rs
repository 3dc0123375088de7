//! Objects that have had their time: a cut has given their rows to objects of higher numbers.
//!
//! Who cuts a table removes them when it is done. Where it dies before, they are left, and a run that
//! had begun before the cut may even add some, where nothing locks the table: it fails then, and its
//! rows come again. Numbers never come again, so that whoever finds such objects removes them, however
//! old the definition is that it knows.

use std::ops::RangeBounds;

use crate::error::Result;
use crate::lake::Lake;
use crate::store::Object;
use crate::table::definition::Definition;
use crate::table::file_name;

/// Removes the objects of a table that have had their time. How many there were.
pub(crate) fn remove(lake: &Lake, definition: &Definition) -> Result<usize> {
    match definition.first_shard {
        0 => Ok(0),
        first => remove_parts(lake, &definition.table, ..first),
    }
}

/// Removes the objects of a table that have these numbers. How many there were.
pub(crate) fn remove_parts(
    lake: &Lake,
    table: &str,
    numbers: impl RangeBounds<u32>,
) -> Result<usize> {
    let prefix = format!("{table}/");
    let objects = lake.store.list(&prefix)?;
    let obsolete = objects.iter().filter(|object| is_part(object, &prefix, &numbers));
    let obsolete: Vec<&String> = obsolete.map(|object| &object.key).collect();
    let removed = obsolete.len();
    lake.remove(obsolete)?;
    if removed > 0 {
        tracing::info!(table, objects = removed, "objects of before the table was cut are removed");
    }
    Ok(removed)
}

fn is_part(object: &Object, prefix: &str, numbers: &impl RangeBounds<u32>) -> bool {
    let is_own = object.key.strip_prefix(prefix).is_some_and(file_name::is_own);
    is_own && file_name::part_number(&object.key).is_some_and(|number| numbers.contains(&number))
}
