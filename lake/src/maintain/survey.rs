//! What the listing of a table tells.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;

use crate::store::Object;
use crate::table::{Definition, LoadMethod};
use crate::write::FILE_BYTES;

/// A file below a quarter of a full one is small, where it is not alone in its partition.
pub const SMALL_BYTES: u64 = FILE_BYTES as u64 / 4;

/// The state of a table's files.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Survey {
    /// The table.
    pub table: String,
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
    /// Bytes of the smallest.
    pub smallest: u64,
    /// Bytes of the largest.
    pub largest: u64,
    /// Files that are better put together.
    pub small_files: usize,
    /// Objects below the table's prefix that this program has not written.
    pub orphans: Vec<String>,
}

/// Looks at the objects below a table's prefix.
pub(super) fn survey(definition: &Definition, objects: &[Object]) -> Survey {
    let (data, orphans): (Vec<&Object>, Vec<&Object>) =
        objects.iter().partition(|object| is_data(definition, &object.key));
    let mut partitions: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for object in &data {
        partitions.entry(folder(definition, &object.key)).or_default().push(object.size);
    }
    let crowded = partitions.values().filter(|sizes| sizes.len() > 1).flatten();
    let small_files = match definition.load_method {
        LoadMethod::Append => crowded.filter(|size| **size < SMALL_BYTES).count(),
        LoadMethod::Upsert | LoadMethod::Overwrite => 0,
    };
    let sizes = data.iter().map(|object| object.size);
    Survey {
        table: definition.table.clone(),
        load_method: definition.load_method,
        shards: definition.shards,
        partitions: partitions.len(),
        files: data.len(),
        bytes: sizes.clone().sum(),
        smallest: sizes.clone().min().unwrap_or_default(),
        largest: sizes.max().unwrap_or_default(),
        small_files,
        orphans: orphans.into_iter().map(|object| object.key.clone()).collect(),
    }
}

/// The folder of an object's partition below its table, with a slash behind it, or nothing.
pub(super) fn folder<'a>(definition: &Definition, key: &'a str) -> &'a str {
    let inner = key.strip_prefix(definition.table.as_str()).and_then(|rest| rest.strip_prefix('/'));
    inner.and_then(|rest| rest.rfind('/').and_then(|at| rest.get(..=at))).unwrap_or_default()
}

/// Whether an object is one of the table's own.
pub(super) fn is_data(definition: &Definition, key: &str) -> bool {
    let folder = folder(definition, key);
    let in_place = match definition.partition_key() {
        Some(name) => folder.matches('/').count() == 1 && folder.starts_with(&format!("{name}=")),
        None => folder.is_empty(),
    };
    let name = key.rsplit('/').next().unwrap_or_default();
    let Some((stem, number)) = name.strip_suffix(".parquet").and_then(|stem| stem.rsplit_once('-'))
    else {
        return false;
    };
    let is_number = number.len() >= 5 && number.bytes().all(|digit| digit.is_ascii_digit());
    let is_own = match definition.load_method {
        LoadMethod::Append => true,
        LoadMethod::Upsert | LoadMethod::Overwrite => {
            stem == "part" && number.parse().is_ok_and(|shard: u32| shard < definition.shards)
        }
    };
    in_place && is_number && is_own
}

/// The folders of the partitions that have objects.
pub(super) fn folders(definition: &Definition, objects: &[Object]) -> Vec<String> {
    let mut seen = HashSet::new();
    objects
        .iter()
        .map(|object| folder(definition, &object.key).to_owned())
        .filter(|folder| seen.insert(folder.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Granularity, PartitionBy};

    fn definition(load_method: LoadMethod, shards: u32) -> Definition {
        Definition {
            format: 1,
            table: "t".into(),
            stream: "t".into(),
            columns: Vec::new(),
            keys: Vec::new(),
            load_method,
            partition_by: Some(PartitionBy {
                column: "at".into(),
                granularity: Some(Granularity::Month),
                name: None,
            }),
            shards,
            resharding: None,
            version: None,
            generation: None,
            widening: false,
        }
    }

    fn object(key: &str, size: u64) -> Object {
        Object { key: key.into(), size, version: String::new() }
    }

    #[test]
    fn small_files_count_where_they_could_be_put_together() {
        let survey = survey(
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
        let survey = survey(&definition(LoadMethod::Upsert, 2), &objects);
        assert_eq!(survey.orphans, keys);
        assert_eq!((survey.files, survey.small_files), (1, 0));
        assert_eq!(survey.largest, 600 * 1024 * 1024);
    }
}
