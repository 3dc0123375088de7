//! What the listing of a table says.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::error::{Error, Result};
use crate::format::TableFormat;
use crate::lake::Lake;
use crate::store::Object;
use crate::table::definition::{Definition, LoadMethod};
use crate::table::file_name;
use crate::write::FILE_BYTES;

/// A file below a quarter of a full one is small, where it is not alone in its partition.
pub const SMALL_BYTES: u64 = FILE_BYTES as u64 / 4;

/// The state of a table's files.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Survey {
    /// The table.
    pub table: String,
    /// How it is stored.
    pub table_format: TableFormat,
    /// How rows enter it.
    pub load_method: LoadMethod,
    /// Objects per partition of an upserted table.
    pub shards: u32,
    /// Partitions that have files.
    pub partitions: usize,
    /// Data files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of the smallest; 0 where there is none.
    pub smallest: u64,
    /// Bytes of the largest; 0 where there is none.
    pub largest: u64,
    /// Files that are better compacted.
    pub small_files: usize,
    /// Objects below the table's prefix that this program has not written; of an Iceberg table those that no snapshot
    /// names either.
    pub orphans: Vec<String>,
    /// What a run is at, or has left half done.
    pub unfinished: Vec<Unfinished>,
}

/// What a run is at with the objects of a table, or has left half done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unfinished {
    /// A column becomes wider, and objects may be of the narrower type.
    Widening,
    /// The table is cut into this many objects per partition.
    Resharding(u32),
    /// So many objects of before the table was cut are left.
    Obsolete(usize),
}

/// The objects below a table's prefix, each of which is in exactly one of these.
#[derive(Debug)]
pub(super) struct TableFiles<'a> {
    /// The table's own, in the order of their keys, by the folder of their partition.
    pub(super) data: BTreeMap<&'a str, Vec<&'a Object>>,
    /// Those of another cut than the table's: of one before, or of one that is being made.
    pub(super) of_other_cuts: Vec<&'a Object>,
    /// All others.
    pub(super) orphans: Vec<&'a Object>,
}

impl<'a> TableFiles<'a> {
    /// Sorts the objects of a table's listing.
    pub(super) fn new(definition: &Definition, objects: &'a [Object]) -> Result<Self> {
        let (data, of_other_cuts, orphans) = Default::default();
        let mut files = Self { data, of_other_cuts, orphans };
        for object in objects {
            let (folder, name) = split(definition, &object.key)?;
            if is_of_other_cut(definition, name) && is_in_place(definition, folder) {
                files.of_other_cuts.push(object);
            } else if is_data(definition, folder, name) {
                files.data.entry(folder).or_default().push(object);
            } else {
                files.orphans.push(object);
            }
        }
        Ok(files)
    }
}

/// The definition of a table that was listed, with the object that holds it.
pub(super) fn definition(lake: &Lake, table: &str) -> Result<(Object, Definition)> {
    lake.definition(table)?.ok_or_else(|| Error::Table {
        table: table.to_owned(),
        reason: "its definition has gone since the tables were listed".into(),
    })
}

/// Judges the files of a table.
pub(super) fn survey(definition: &Definition, files: &TableFiles<'_>) -> Survey {
    let crowded = files.data.values().filter(|objects| objects.len() > 1).flatten();
    let small_files = match definition.load_method {
        LoadMethod::Append => crowded.filter(|object| object.size < SMALL_BYTES).count(),
        LoadMethod::Upsert | LoadMethod::Overwrite => 0,
    };
    let sizes = files.data.values().flatten().map(|object| object.size);
    let obsolete = files.of_other_cuts.iter().filter(|object| {
        file_name::part_number(&object.key).is_some_and(|number| number < definition.first_shard)
    });
    let unfinished = [
        definition.widening.then_some(Unfinished::Widening),
        definition.resharding.map(Unfinished::Resharding),
        Some(Unfinished::Obsolete(obsolete.count()))
            .filter(|left| *left != Unfinished::Obsolete(0)),
    ];
    Survey {
        table: definition.table.clone(),
        table_format: definition.table_format,
        load_method: definition.load_method,
        shards: definition.shards,
        partitions: files.data.len(),
        files: files.data.values().map(Vec::len).sum(),
        bytes: sizes.clone().sum(),
        smallest: sizes.clone().min().unwrap_or(0),
        largest: sizes.max().unwrap_or(0),
        small_files,
        orphans: files.orphans.iter().map(|object| object.key.clone()).collect(),
        unfinished: unfinished.into_iter().flatten().collect(),
    }
}

/// The folders below a table that have objects, whoever has written these, each with a slash behind
/// it; the empty one for the table itself.
pub(super) fn folders(definition: &Definition, objects: &[Object]) -> Result<BTreeSet<String>> {
    let folder = |object: &Object| Ok(split(definition, &object.key)?.0.to_owned());
    objects.iter().map(folder).collect()
}

/// The folder of an object below its table, with a slash behind it or empty, and its name there.
fn split<'a>(definition: &Definition, key: &'a str) -> Result<(&'a str, &'a str)> {
    let inner = key.strip_prefix(definition.table.as_str()).and_then(|rest| rest.strip_prefix('/'));
    let inner = inner.ok_or_else(|| {
        Error::internal(format!(
            "an object of table `{}` is below it, not `{key}`",
            definition.table
        ))
    })?;
    Ok(file_name::split(inner))
}

/// Whether a folder is one of the table's partitions.
fn is_in_place(definition: &Definition, folder: &str) -> bool {
    match definition.partition_key() {
        Some(key) => folder.matches('/').count() == 1 && folder.starts_with(&format!("{key}=")),
        None => folder.is_empty(),
    }
}

/// Whether an object is one of the table's own.
fn is_data(definition: &Definition, folder: &str, name: &str) -> bool {
    let is_own = match definition.load_method {
        LoadMethod::Append => file_name::is_own(name),
        LoadMethod::Upsert | LoadMethod::Overwrite => {
            file_name::part_number(name).is_some_and(|number| definition.parts().contains(&number))
        }
    };
    is_own && is_in_place(definition, folder)
}

/// Whether an object was written for another cut of the table than the one that counts.
fn is_of_other_cut(definition: &Definition, name: &str) -> bool {
    let is_old = |number| number < definition.first_shard;
    let is_new =
        |number| definition.resharding_first.is_some_and(|_| number >= definition.parts().end);
    file_name::part_number(name).is_some_and(|number| is_old(number) || is_new(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::definition::{FolderForm, Granularity, PartitionBy};

    fn definition(load_method: LoadMethod, shards: u32) -> Definition {
        Definition {
            format: 1,
            table: "t".into(),
            stream: "t".into(),
            columns: Vec::new(),
            keys: Vec::new(),
            load_method,
            table_format: TableFormat::Parquet,
            partition_by: Some(PartitionBy {
                column: "at".into(),
                granularity: Some(Granularity::Month),
                name: None,
            }),
            folders: FolderForm::First,
            shards,
            first_shard: 0,
            resharding: None,
            resharding_first: None,
            version: None,
            generation: None,
            widening: false,
        }
    }

    fn object(key: &str, size: u64) -> Object {
        Object { key: key.into(), size, version: String::new() }
    }

    fn surveyed(definition: &Definition, objects: &[Object]) -> Survey {
        survey(definition, &TableFiles::new(definition, objects).unwrap())
    }

    #[test]
    fn small_files_count_where_they_could_be_put_together() {
        let survey = surveyed(
            &definition(LoadMethod::Append, 1),
            &[
                object("t/month=2026-01/20260101T000000-00001-00000.parquet", 10),
                object("t/month=2026-01/20260102T000000-00001-00000.parquet", 20),
                object("t/month=2026-02/20260201T000000-00001-00000.parquet", 30),
            ],
        );
        assert_eq!((survey.partitions, survey.files, survey.bytes), (2, 3, 60));
        assert_eq!((survey.smallest, survey.largest, survey.small_files), (10, 30, 2));
    }

    #[test]
    fn what_is_not_of_the_table_is_an_orphan() {
        let keys = [
            "t/month=2026-01/part-00002.parquet",
            "t/month=2026-01/20260101T000000-00001-00000.parquet",
            "t/month=2026-01/part-00000.csv",
            "t/day=1/part-00000.parquet",
            "t/part-00000.parquet",
            "t/month=2026-01/gen=1/part-00000.parquet",
        ];
        let mut objects: Vec<Object> = keys.iter().map(|key| object(key, 1)).collect();
        objects.push(object("t/month=2026-01/part-00001.parquet", 600 * 1024 * 1024));
        let survey = surveyed(&definition(LoadMethod::Upsert, 2), &objects);
        assert_eq!(survey.orphans, keys);
        assert_eq!((survey.files, survey.small_files), (1, 0));
        assert_eq!(survey.largest, 600 * 1024 * 1024);
    }

    #[test]
    fn a_table_without_files_has_sizes_of_nothing() {
        let survey = surveyed(&definition(LoadMethod::Upsert, 2), &[]);
        assert_eq!((survey.files, survey.bytes, survey.smallest, survey.largest), (0, 0, 0, 0));
    }

    #[test]
    fn folders_are_those_of_all_objects() {
        let keys = ["t/month=2026-01/part-00000.parquet", "t/x/notes.json", "t/stray.parquet"];
        let objects = keys.map(|key| object(key, 1));
        let folders = folders(&definition(LoadMethod::Upsert, 2), &objects).unwrap();
        assert_eq!(folders.iter().collect::<Vec<_>>(), ["", "month=2026-01/", "x/"]);
    }

    #[test]
    fn an_object_of_another_table_is_an_error() {
        let objects = [object("t2/month=2026-01/part-00000.parquet", 1)];
        let error = TableFiles::new(&definition(LoadMethod::Upsert, 2), &objects).unwrap_err();
        assert!(error.to_string().contains("not `t2/month=2026-01/"), "{error}");
    }
}
