//! Putting the small files of an appended table together.
//!
//! The new file becomes visible before the old ones go, so no row is ever missing; between these
//! two moments a reader may see the rows of one file twice. The journal knows which files take the
//! place of which, so that a run that dies in between is brought to its end by the next one.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::Schema;

use super::{Action, survey};
use crate::Lake;
use crate::error::{Error, Result};
use crate::file::{Encoding, PartReader};
use crate::schema;
use crate::store::{Condition, Object};
use crate::table::Definition;
use crate::write::FILE_BYTES;
use crate::write::journal::Journal;

/// Puts small neighbours together, partition by partition.
pub(super) fn table(
    lake: &Lake,
    definition: &Definition,
    encoding: &Encoding,
    objects: &[Object],
    dry_run: bool,
) -> Result<Vec<Action>> {
    let _guard = if dry_run { None } else { lake.store.lock(&definition.table)? };
    let mut partitions: BTreeMap<&str, Vec<&Object>> = BTreeMap::new();
    for object in objects.iter().filter(|object| survey::is_data(definition, &object.key)) {
        partitions.entry(survey::folder(definition, &object.key)).or_default().push(object);
    }
    let mut actions = Vec::new();
    for (folder, objects) in partitions {
        for bin in bins(&objects) {
            let key =
                format!("{}/{folder}{}-{:05}.parquet", definition.table, lake.run, actions.len());
            if dry_run || put_together(lake, definition, encoding, &bin, &key)? {
                actions.push(Action::Compact {
                    partition: folder.trim_end_matches('/').to_owned(),
                    files: bin.len(),
                    bytes: bin.iter().map(|object| object.size).sum(),
                });
            }
        }
    }
    Ok(actions)
}

/// Runs of neighbours that fill a file; what is alone stays alone.
fn bins<'a>(objects: &[&'a Object]) -> Vec<Vec<&'a Object>> {
    let mut bins: Vec<Vec<&Object>> = Vec::new();
    let mut size = 0;
    for object in objects {
        match bins.last_mut() {
            Some(bin) if size + object.size <= FILE_BYTES as u64 => bin.push(object),
            _ => {
                bins.push(vec![object]);
                size = 0;
            }
        }
        size += object.size;
    }
    bins.retain(|bin| bin.len() > 1);
    bins
}

/// Replaces files by one. False if another run was faster.
fn put_together(
    lake: &Lake,
    definition: &Definition,
    encoding: &Encoding,
    old: &[&Object],
    key: &str,
) -> Result<bool> {
    let schema = Arc::new(Schema::new(schema::fields(&definition.columns)));
    let format = lake.format(encoding, definition.shards);
    let mut part = lake.part(key, Condition::Absent, &schema, &format)?;
    for object in old {
        let name = lake.store.locate(&object.key);
        let old = match lake.store.fetch(object) {
            Ok(file) => PartReader::open(file, &name)?,
            Err(Error::Conflict { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        old.batches(&schema).try_for_each(|batch| part.write(&batch?))?;
    }
    let mut journal = Journal::compaction(&definition.table);
    let obsolete = old.iter().map(|object| object.key.clone()).collect();
    journal.replacing(lake, key, obsolete)?;
    for object in old {
        if lake.store.head(&object.key)?.as_ref() != Some(*object) {
            journal.acknowledged(lake)?;
            return Ok(false);
        }
    }
    part.finish()?;
    old.iter().try_for_each(|object| lake.store.delete(&object.key))?;
    journal.acknowledged(lake)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_fill_a_file_and_full_ones_stay() {
        let megabyte = 1024 * 1024;
        let objects: Vec<Object> = [1, 2, 126, 1, 200, 3, 4]
            .iter()
            .map(|size| Object {
                key: String::new(),
                size: size * megabyte,
                version: String::new(),
            })
            .collect();
        let objects: Vec<&Object> = objects.iter().collect();
        let sizes: Vec<Vec<u64>> = bins(&objects)
            .iter()
            .map(|bin| bin.iter().map(|object| object.size / megabyte).collect())
            .collect();
        assert_eq!(sizes, [vec![1, 2], vec![126, 1], vec![3, 4]]);
    }
}
