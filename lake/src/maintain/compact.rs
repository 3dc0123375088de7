//! Compaction: one file of the small ones of an appended table.
//!
//! The new file becomes visible before the old ones go, so no row is ever missing; between these
//! two moments a reader may see the rows of one file twice. The journal knows which files take the
//! place of which, so that a run that dies in between is brought to its end by the next one.
//!
//! Files whose state has not been acknowledged stay by themselves, because they may have to go again;
//! so do files without rows, which keep the file of a run that was given up from appearing.

use std::sync::Arc;

use arrow::datatypes::Schema;

use super::report::Action;
use super::survey::TableFiles;
use crate::error::{Error, Result};
use crate::file::encoding::Encoding;
use crate::file::reader::PartReader;
use crate::lake::Lake;
use crate::schema;
use crate::store::{Condition, Object};
use crate::table::definition::Definition;
use crate::write::FILE_BYTES;
use crate::write::journal::{Replacement, open_files};

/// Compacts small neighbours, partition by partition.
pub(super) fn compact(
    lake: &Lake,
    definition: &Definition,
    encoding: &Encoding,
    files: &TableFiles<'_>,
    dry_run: bool,
) -> Result<Vec<Action>> {
    let _guard = if dry_run { None } else { lake.store.lock(&definition.table)? };
    let mut actions = Vec::new();
    // After the table was listed: a file that was not noted by then is there for good.
    let open = open_files(lake)?;
    for (folder, objects) in &files.data {
        let mut settled = Vec::new();
        for object in objects.iter().filter(|object| !open.contains(&object.key)) {
            if object.size > EMPTY_BYTES || has_rows(lake, object)? {
                settled.push(*object);
            }
        }
        for bin in bins(&settled) {
            let key =
                format!("{}/{folder}{}-{:05}.parquet", definition.table, lake.run, actions.len());
            if dry_run || compact_bin(lake, definition, encoding, &bin, &key)? {
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

/// A file of more bytes has rows.
const EMPTY_BYTES: u64 = 64 * 1024;

/// Whether a file has rows; one that has gone has none.
fn has_rows(lake: &Lake, object: &Object) -> Result<bool> {
    let file = match lake.store.fetch(object) {
        Ok(file) => file,
        Err(Error::Conflict { .. }) => return Ok(false),
        Err(error) => return Err(error),
    };
    Ok(PartReader::open(file, &lake.store.locate(&object.key))?.has_rows())
}

/// Runs of neighbours that fill a file; what is alone stays alone.
fn bins<'a>(objects: &[&'a Object]) -> Vec<Vec<&'a Object>> {
    let mut bins: Vec<Vec<&Object>> = Vec::new();
    let mut size = 0;
    for object in objects {
        match bins.last_mut() {
            Some(bin) if size + object.size <= FILE_BYTES as u64 => bin.push(object),
            Some(_) | None => {
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
fn compact_bin(
    lake: &Lake,
    definition: &Definition,
    encoding: &Encoding,
    bin: &[&Object],
    key: &str,
) -> Result<bool> {
    let schema = Arc::new(Schema::new(schema::fields(&definition.columns)));
    let format = lake.format(encoding, definition.shards);
    let mut part = lake.part(key, Condition::Absent, &schema, &format)?;
    for object in bin {
        let name = lake.store.locate(&object.key);
        let file = match lake.store.fetch(object) {
            Ok(file) => PartReader::open(file, &name)?,
            Err(Error::Conflict { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        match file.batches(&schema) {
            Ok(mut batches) => batches.try_for_each(|batch| part.write(&batch?))?,
            // A run has given the table a column since its definition was read.
            Err(Error::Newer { .. }) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    let obsolete = bin.iter().map(|object| object.key.clone()).collect();
    let replacement = Replacement::begin(lake, key, obsolete)?;
    for object in bin {
        if lake.store.head(&object.key)?.as_ref() != Some(*object) {
            replacement.end(lake, false)?;
            return Ok(false);
        }
    }
    let is_there = match part.finish() {
        Ok(_) => true,
        // Somebody was at the same, and keeps this file from appearing.
        Err(Error::Conflict { .. }) => false,
        Err(error) => return Err(error),
    };
    replacement.end(lake, is_there)?;
    Ok(is_there)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maintain::testing::{append, dying};
    use crate::testing::{LakeFolder, found, objects, once};
    use crate::write::journal::Journal;

    /// Compacts the table `t`.
    fn compacted(lake: &Lake) -> Result<Vec<Action>> {
        let (_, definition) = lake.definition("t")?.unwrap();
        let objects = lake.store.list("t/")?;
        let files = TableFiles::new(&definition, &objects)?;
        compact(lake, &definition, &Encoding::default(), &files, false)
    }

    /// A table of three partitions with two files each.
    fn loaded() -> LakeFolder {
        let folder = LakeFolder::new();
        append(&folder.lake(), 0..6, "a");
        append(&folder.lake(), 6..12, "b");
        folder
    }

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

    #[test]
    fn every_row_is_there_after_as_before_in_one_file_a_partition() {
        let folder = loaded();
        let before = found(&folder.lake());
        let actions = compacted(&folder.lake()).unwrap();
        let shown = |action: &Action| match action {
            Action::Compact { partition, files, .. } => (partition.clone(), *files),
            Action::Reshard { .. }
            | Action::Convert { .. }
            | Action::Expire { .. }
            | Action::Finish { .. }
            | Action::Erase { .. } => {
                panic!("{action:?}")
            }
        };
        let expected = ["month=2026-01", "month=2026-02", "month=2026-03"];
        let expected = expected.map(|partition| (partition.to_owned(), 2));
        assert_eq!(actions.iter().map(shown).collect::<Vec<_>>(), expected);
        assert_eq!(objects(&folder.lake()).len(), 3);
        assert_eq!(found(&folder.lake()), before);
        assert!(folder.lake().store.list("_lake/commits/").unwrap().is_empty());
        assert_eq!(compacted(&folder.lake()).unwrap(), []);
    }

    #[test]
    fn a_file_of_another_program_is_not_compacted() {
        let folder = loaded();
        let lake = folder.lake();
        let (_, text) = lake.store.get(&objects(&lake)[0].key).unwrap().unwrap();
        let theirs = "t/month=2026-01/theirs.parquet";
        lake.store.put(theirs, &text, Condition::Absent).unwrap();
        compacted(&folder.lake()).unwrap();
        assert!(lake.store.head(theirs).unwrap().is_some());
        assert_eq!(objects(&lake).len(), 4);
    }

    #[test]
    fn files_that_change_meanwhile_are_left_to_whoever_was_faster() {
        let folder = loaded();
        let lake = folder.lake();
        let (_, definition) = lake.definition("t").unwrap().unwrap();
        let listed = objects(&lake);
        let bin: Vec<&Object> = listed[..2].iter().collect();
        // Another run has replaced one of them since they were listed.
        let (_, text) = lake.store.get(&listed[1].key).unwrap().unwrap();
        lake.store.put(&listed[1].key, &text, Condition::Always).unwrap();
        let before = objects(&lake);
        let key = "t/month=2026-01/run-00000.parquet";
        let done = compact_bin(&lake, &definition, &Encoding::default(), &bin, key).unwrap();
        assert!(!done);
        assert_eq!(objects(&lake), before);
        assert!(lake.store.list("_lake/commits/").unwrap().is_empty());
    }

    #[test]
    fn a_compaction_that_dies_at_any_change_is_brought_to_its_end() {
        let expected = once([(0..6, "a"), (6..12, "b")]);
        let mut deaths = 0;
        for nth in 1.. {
            let folder = loaded();
            let outcome = compacted(&dying(&folder, nth));
            // No row is missing, whatever a reader sees twice.
            assert!(found(&folder.lake()).keys().eq(expected.keys()), "{nth}");
            Journal::open(&folder.lake(), None).unwrap();
            assert_eq!(found(&folder.lake()), expected, "{nth}");
            assert!(folder.lake().store.list("_lake/commits/").unwrap().is_empty());
            if outcome.is_ok() {
                break;
            }
            deaths += 1;
            compacted(&folder.lake()).unwrap();
            let lake = folder.lake();
            let files = objects(&lake);
            let full = files.iter().filter(|file| has_rows(&lake, file).unwrap()).count();
            assert_eq!(full, 3, "{nth}");
            // The file that the dead run was about to show never appears.
            assert!(files.len() - full <= 1, "{nth}");
            assert_eq!(found(&folder.lake()), expected, "{nth}");
        }
        // Note, new file, two old files and the end of the note, three times.
        assert_eq!(deaths, 15);
    }
}
