//! Checking: that a table holds what it promises, shown by reading all of it. Nothing is changed.
//!
//! ```text
//! check → file (one file, row by row) → belonging (partition and shard of its rows)
//!       │                             → statistics (what its footer says of its columns)
//!       └ keys (which key is there twice, beyond the memory too)
//! ```
//!
//! What is promised: no two rows of a partition have one key, and none has no key; a row is in the partition and
//! in the object where its values belong; what footers, and manifests of Iceberg, say of rows is so, because
//! engines pass over files by it; every file can be read, with columns that the table has. Syncs may go on meanwhile:
//! a file that one replaces is not checked, and that is said.

pub(super) mod belonging;
mod faults;
mod file;
mod keys;
mod statistics;
pub(super) mod suspect;
#[cfg(test)]
mod tests;

use std::sync::{Mutex, PoisonError};

use serde::Serialize;

pub use faults::{Fault, FaultKind};

use super::survey::{TableFiles, Unfinished, survey};
use crate::at_once::at_once;
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::table::definition::Definition;
use crate::table::file_name;
use crate::table::partition::Partitioner;
use crate::write::schema_of;
use belonging::Folder;
use faults::Faults;
use file::Check;
use keys::Keys;
use suspect::Suspect;

/// What a check of a table found.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// The table.
    pub table: String,
    /// Files that were read, each of them whole.
    pub files: u64,
    /// Their rows.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What is not as it should be, by kind.
    pub faults: Vec<Fault>,
    /// What is as it may be, and worth knowing.
    pub notes: Vec<String>,
}

/// Checks a table whose files are in the folders of its partitions.
pub(super) fn plain(lake: &Lake, definition: &Definition) -> Result<Checked> {
    let objects = lake.store.list(&format!("{}/", definition.table))?;
    let files = TableFiles::new(definition, &objects)?;
    let mut suspects = Vec::new();
    for (folder, objects) in &files.data {
        for object in objects {
            let number = file_name::part_number(&object.key).filter(|_| definition.is_keyed());
            let number = number.and_then(|number| number.checked_sub(definition.first_shard));
            let partitioner = Partitioner::of(definition, lake.store.longest_key(), true)?;
            let place = Folder {
                path: (*folder).to_owned(),
                shard: number.map(|number| (number, definition.shards)),
                partitioner,
            };
            suspects.push(Suspect {
                key: object.key.clone(),
                object: Some((*object).clone()),
                place: Box::new(place),
                claims: None,
            });
        }
    }
    let mut checked = check(lake, definition, suspects)?;
    for left in survey(definition, &files).unfinished {
        let (count, example) = match left {
            Unfinished::Widening => {
                (1, "a column becomes wider, and files may be of either type".to_owned())
            }
            Unfinished::Resharding(shards) => (
                1,
                format!(
                    "the table is being cut into {shards} objects, and rows may be there twice"
                ),
            ),
            Unfinished::Obsolete(objects) => (
                objects as u64,
                format!(
                    "{objects} objects of before it was cut are left, whose rows are there twice"
                ),
            ),
        };
        checked.faults.push(Fault { kind: FaultKind::Unfinished, count, examples: vec![example] });
    }
    Ok(checked)
}

/// Reads files of a table.
pub(super) fn check(
    lake: &Lake,
    definition: &Definition,
    suspects: Vec<Suspect>,
) -> Result<Checked> {
    let key_columns = if definition.is_keyed() { definition.key_positions()? } else { Vec::new() };
    let keys = Mutex::new(Keys::new(lake, definition));
    let check = Check { lake, definition, schema: schema_of(definition), key_columns, keys: &keys };
    let mut checked = Checked { table: definition.table.clone(), ..Checked::default() };
    let (mut faults, mut replaced) = (Faults::default(), 0);
    // Each file takes a core, and a batch of memory.
    let most = lake.at_once().min(lake.pool().current_num_threads().max(1) * 2);
    at_once(
        most,
        suspects,
        |mut suspect| check.file(&mut suspect),
        |outcome| {
            match outcome {
                Ok(found) => {
                    checked.files += 1;
                    checked.rows += found.rows;
                    checked.bytes += found.bytes;
                    faults.extend(found.faults);
                }
                Err(Error::Conflict { .. }) => replaced += 1,
                // What was read is no file of Parquet any more.
                Err(error @ Error::Parquet { .. }) => {
                    checked.files += 1;
                    faults.add(FaultKind::Unreadable, 1, || error.to_string());
                }
                Err(error) => return Err(error),
            }
            Ok(())
        },
    )?;
    let found = keys.into_inner().unwrap_or_else(PoisonError::into_inner).repeated(&mut faults)?;
    if found > 0 {
        checked.notes.push(format!(
            "rows whose key is in another partition as well, because the value of their partition column has changed: {found}; \
             `move_keys` takes such rows out of their old partition when their key comes again"
        ));
    }
    if replaced > 0 {
        checked.notes.push(format!(
            "files that were replaced meanwhile and are not checked: {replaced}; check again"
        ));
    }
    checked.faults = faults.into();
    Ok(checked)
}
