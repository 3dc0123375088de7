//! A table as the catalog must have it, and what has to be written for that.
//!
//! The catalog belongs to many. What is there and is not ours stays: columns, comments, parameters,
//! narrower strings. What is there and cannot be ours, such as another location or another type, is
//! a [`Mismatch`], and nothing is written.

use std::collections::HashMap;

use aws_sdk_glue::error::BuildError;
use aws_sdk_glue::types::{
    Column, Partition, PartitionInput, SerDeInfo, StorageDescriptor, Table, TableInput,
};

use super::comment::comment;
use super::hive::HiveType;
use super::mismatch::Mismatch;
use super::options::Options;
use crate::error::{Error, Result};
use crate::file::encoding::Compression;
use crate::table::definition::Definition;

// How Hive reads and writes Parquet, as Athena names it for tables on Parquet files
// (<https://docs.aws.amazon.com/athena/latest/ug/parquet-serde.html>).
const INPUT_FORMAT: &str = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat";
const OUTPUT_FORMAT: &str = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat";
const SERDE: &str = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe";

/// A table as the lake has it.
#[derive(Debug)]
pub(super) struct TableEntry {
    /// Its name in the catalog.
    pub(super) name: String,
    /// Where its files are, with a slash behind it.
    location: String,
    columns: Vec<EntryColumn>,
    /// The partition key, if it has one.
    key: Option<Column>,
    parameters: HashMap<String, String>,
    /// A table with nothing but a name.
    blank: TableInput,
}

/// A column of the lake's table.
#[derive(Debug)]
struct EntryColumn {
    column: Column,
    /// Its type, as the column has it.
    kind: String,
}

impl EntryColumn {
    /// Brings the catalog's column of this name up to the lake's.
    fn merge_into(&self, found: &mut Column) -> Result<(), Mismatch> {
        let known = found.r#type().map(HiveType::parse);
        let merged = known.as_ref().and_then(|known| known.merge(&HiveType::parse(&self.kind)));
        let merged = merged.ok_or_else(|| self.mismatch(found))?;
        if known.as_ref() != Some(&merged) {
            found.r#type = Some(merged.to_string());
        }
        if found.comment.as_deref().is_none_or(str::is_empty) {
            found.comment.clone_from(&self.column.comment);
        }
        Ok(())
    }

    fn mismatch(&self, found: &Column) -> Mismatch {
        Mismatch::Column {
            column: self.column.name.clone(),
            found: found.r#type.clone(),
            expected: self.kind.clone(),
        }
    }

    /// In what the columns of the catalog differ from this one.
    fn difference(&self, found: &[Column]) -> Option<Mismatch> {
        let Some(there) = found.iter().find(|column| column.name == self.column.name) else {
            return Some(Mismatch::NoColumn { column: self.column.name.clone() });
        };
        let known = there.r#type().map(HiveType::parse);
        (known != Some(HiveType::parse(&self.kind))).then(|| self.mismatch(there))
    }
}

impl TableEntry {
    /// The table of a definition whose files are at `location`.
    pub(super) fn new(
        definition: &Definition,
        options: &Options,
        location: String,
        compression: Compression,
    ) -> Result<Self> {
        let built =
            |error: BuildError| Error::broken("what Glue needs of a column is there", error);
        let name = options.table_name(&definition.table);
        let columns = definition.columns.iter().map(|own| {
            let comment = own.description.as_deref().map(comment).filter(|text| !text.is_empty());
            let kind = own.kind.to_string();
            let column = Column::builder().name(&own.name).r#type(&kind).set_comment(comment);
            Ok(EntryColumn { column: column.build()?, kind })
        });
        let key = definition.partition_key();
        let key = key.map(|key| Column::builder().name(key).r#type("string").build());
        let codec = match compression {
            Compression::Snappy => "snappy",
            Compression::Zstd => "zstd",
            Compression::Gzip => "gzip",
            Compression::None => "none",
        };
        let parameters = [
            ("EXTERNAL", "TRUE"),
            ("classification", "parquet"),
            ("compressionType", codec),
            ("typeOfData", "file"),
        ];
        Ok(Self {
            columns: columns.collect::<Result<_, _>>().map_err(built)?,
            key: key.transpose().map_err(built)?,
            blank: TableInput::builder().name(&name).build().map_err(built)?,
            parameters: parameters.map(|(key, value)| (key.into(), value.into())).into(),
            name,
            location,
        })
    }

    /// The name of its partition key, if it has one.
    pub(super) fn key(&self) -> Option<&str> {
        self.key.as_ref().map(|key| key.name.as_str())
    }

    /// The table, where the catalog has none of its name.
    pub(super) fn create(&self) -> TableInput {
        let mut input = self.blank.clone();
        input.table_type = Some("EXTERNAL_TABLE".into());
        input.parameters = Some(self.parameters.clone());
        input.partition_keys = Some(self.key.iter().cloned().collect());
        let columns = self.columns.iter().map(|own| own.column.clone()).collect();
        input.storage_descriptor = Some(self.descriptor(columns, self.location.clone()));
        input
    }

    /// What has to be written where the catalog has the table already; nothing where it is right.
    pub(super) fn update(&self, found: &Table) -> Result<Option<TableInput>, Mismatch> {
        let descriptor = self.check(found)?;
        let mut own = descriptor.clone();
        let mut columns = descriptor.columns().to_vec();
        for column in &self.columns {
            match columns.iter_mut().find(|there| there.name == column.column.name) {
                Some(there) => column.merge_into(there)?,
                None => columns.push(column.column.clone()),
            }
        }
        own.columns = Some(columns);
        let old = self.as_input(found);
        let mut new = old.clone();
        new.storage_descriptor = Some(complete(own));
        let parameters = new.parameters.get_or_insert_default();
        for (key, value) in &self.parameters {
            parameters.entry(key.clone()).or_insert_with(|| value.clone());
        }
        Ok((old != new).then_some(new))
    }

    /// The storage of a table that can be the lake's: at its location, of Parquet, with its keys.
    fn check<'a>(&self, found: &'a Table) -> Result<&'a StorageDescriptor, Mismatch> {
        let descriptor = found.storage_descriptor.as_ref();
        let location = descriptor.and_then(StorageDescriptor::location);
        let (Some(descriptor), Some(location)) = (descriptor, location) else {
            return Err(Mismatch::Location { found: None });
        };
        if !is_same_location(location, &self.location) {
            return Err(Mismatch::Location { found: Some(location.to_owned()) });
        }
        if let Some(found) = foreign_format(found, descriptor) {
            return Err(Mismatch::Format { found });
        }
        let found_keys = found.partition_keys();
        if !self.key.iter().map(|key| &key.name).eq(found_keys.iter().map(|key| &key.name)) {
            return Err(Mismatch::Keys {
                found: key_names(found_keys.iter()),
                expected: key_names(self.key.iter()),
            });
        }
        Ok(descriptor)
    }

    /// A column that the catalog's table has not, or has with another type.
    pub(super) fn difference(&self, found: &Table) -> Option<Mismatch> {
        let columns = match &found.storage_descriptor {
            Some(descriptor) => descriptor.columns(),
            None => &[],
        };
        self.columns.iter().find_map(|own| own.difference(columns))
    }

    /// The partition of a value, where the catalog has none. `columns` are those of the table.
    pub(super) fn create_partition(
        &self,
        value: &str,
        folder: &str,
        columns: &[Column],
    ) -> PartitionInput {
        let location = format!("{}{folder}", self.location);
        // A partition is as external as its table.
        let parameters = self.parameters.iter().filter(|(key, _)| *key != "EXTERNAL");
        let parameters = parameters.map(|(key, value)| (key.clone(), value.clone())).collect();
        PartitionInput::builder()
            .values(value)
            .storage_descriptor(self.descriptor(bare(columns), location))
            .set_parameters(Some(parameters))
            .build()
    }

    /// What has to be written where the catalog has the partition already.
    pub(super) fn update_partition(
        &self,
        value: &str,
        folder: &str,
        columns: &[Column],
        found: &Partition,
    ) -> Result<Option<PartitionInput>, Mismatch> {
        let elsewhere = |found: Option<&str>| Mismatch::Partition {
            value: value.to_owned(),
            found: found.map(str::to_owned),
        };
        let descriptor = found.storage_descriptor.as_ref().ok_or_else(|| elsewhere(None))?;
        let location = descriptor.location();
        let expected = format!("{}{folder}", self.location);
        if !location.is_some_and(|location| is_same_location(location, &expected)) {
            return Err(elsewhere(location));
        }
        let mut own = descriptor.clone();
        if bare(own.columns()) != bare(columns) {
            own.columns = Some(bare(columns));
        }
        let own = complete(own);
        if *descriptor == own {
            return Ok(None);
        }
        Ok(Some(
            PartitionInput::builder()
                .values(value)
                .storage_descriptor(own)
                .set_parameters(found.parameters.clone())
                .set_last_access_time(found.last_access_time)
                .set_last_analyzed_time(found.last_analyzed_time)
                .build(),
        ))
    }

    /// Whether a partition is below this table's location.
    pub(super) fn holds(&self, found: &Partition) -> bool {
        let location = found.storage_descriptor.as_ref().and_then(StorageDescriptor::location);
        location.is_some_and(|location| location.starts_with(&self.location))
    }

    fn descriptor(&self, columns: Vec<Column>, location: String) -> StorageDescriptor {
        let descriptor = StorageDescriptor::builder()
            .set_columns(Some(columns))
            .location(location)
            .compressed(self.parameters.get("compressionType").is_some_and(|codec| codec != "none"))
            .number_of_buckets(-1)
            .stored_as_sub_directories(false)
            .build();
        complete(descriptor)
    }

    /// What of a table can be written back.
    fn as_input(&self, table: &Table) -> TableInput {
        let mut input = self.blank.clone();
        input.name.clone_from(&table.name);
        input.description.clone_from(&table.description);
        input.owner.clone_from(&table.owner);
        input.last_access_time = table.last_access_time;
        input.last_analyzed_time = table.last_analyzed_time;
        input.retention = table.retention;
        input.storage_descriptor.clone_from(&table.storage_descriptor);
        input.partition_keys.clone_from(&table.partition_keys);
        input.view_original_text.clone_from(&table.view_original_text);
        input.view_expanded_text.clone_from(&table.view_expanded_text);
        input.table_type.clone_from(&table.table_type);
        input.parameters.clone_from(&table.parameters);
        input.target_table.clone_from(&table.target_table);
        input
    }
}

/// Adds how to read the files, where it is not said.
fn complete(mut descriptor: StorageDescriptor) -> StorageDescriptor {
    descriptor.input_format.get_or_insert_with(|| INPUT_FORMAT.into());
    descriptor.output_format.get_or_insert_with(|| OUTPUT_FORMAT.into());
    descriptor.serde_info.get_or_insert_with(|| {
        SerDeInfo::builder()
            .serialization_library(SERDE)
            .parameters("serialization.format", "1")
            .build()
    });
    descriptor
}

/// Names and types alone. Comments of a partition's columns are shown nowhere.
fn bare(columns: &[Column]) -> Vec<Column> {
    let mut columns = columns.to_vec();
    for column in &mut columns {
        column.comment = None;
        column.parameters = None;
    }
    columns
}

/// Whether two locations are one: Hadoop's schemes of S3 name the same objects as `s3`.
fn is_same_location(left: &str, right: &str) -> bool {
    let plain = |location: &str| {
        let location = location.trim_end_matches('/');
        match location.split_once("://") {
            Some(("s3" | "s3a" | "s3n", path)) => path.to_owned(),
            _ => location.to_owned(),
        }
    };
    plain(left) == plain(right)
}

/// The format of a table that is none of Parquet files: a table format's, or Hive's.
fn foreign_format(found: &Table, descriptor: &StorageDescriptor) -> Option<String> {
    if let Some(kind) = found.parameters.as_ref().and_then(|own| own.get("table_type")) {
        return Some(kind.clone());
    }
    descriptor.input_format.clone().filter(|format| format != INPUT_FORMAT)
}

fn key_names<'a>(keys: impl Iterator<Item = &'a Column>) -> String {
    let names: Vec<_> = keys.map(|key| format!("`{}`", key.name)).collect();
    if names.is_empty() { "nothing".into() } else { names.join(", ") }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::catalog::fake::{column, partition_of, table_of, types};
    use crate::catalog::options::Method;

    /// The table `t` at `s3://b/lake/t/`, split by its key.
    pub(in crate::catalog) fn entry_with(columns: &serde_json::Value) -> TableEntry {
        let definition = serde_json::json!({
            "format": 1, "table": "t", "stream": "t", "keys": ["id"], "shards": 1,
            "load_method": "upsert", "partition_by": {"column": "id"}, "columns": columns,
        });
        let definition = serde_json::from_value(definition).unwrap();
        let options = Options {
            method: Method::Registration,
            database: "d".into(),
            table_prefix: None,
            catalog_id: None,
            region: None,
            endpoint_url: None,
        };
        let location = "s3://b/lake/t/".to_owned();
        TableEntry::new(&definition, &options, location, Compression::Snappy).unwrap()
    }

    pub(in crate::catalog) fn entry() -> TableEntry {
        entry_with(&serde_json::json!([
            {"source": "id", "name": "id", "kind": "bigint", "description": "The\nid."},
            {"source": "tags", "name": "tags", "kind": {"list": "string"}},
        ]))
    }

    fn made(entry: &TableEntry) -> Table {
        table_of(&entry.create(), 1)
    }

    fn change_descriptor(table: &mut Table, change: impl FnOnce(&mut StorageDescriptor)) {
        change(table.storage_descriptor.as_mut().unwrap());
    }

    #[test]
    fn what_was_created_needs_no_update() {
        let entry = entry();
        let table = made(&entry);
        assert_eq!(entry.update(&table), Ok(None));
        assert_eq!(entry.difference(&table), None);
        let columns = table.storage_descriptor.as_ref().unwrap().columns();
        assert_eq!(columns[0].comment(), Some("The id."));
        let partition = partition_of(&entry.create_partition("7", "p_id=7/", columns));
        assert_eq!(entry.update_partition("7", "p_id=7/", columns, &partition), Ok(None));
        assert!(entry.holds(&partition));
    }

    #[test]
    fn a_location_is_the_same_however_it_is_written() {
        let entry = entry();
        for (location, is_same) in [
            ("s3://b/lake/t", true),
            ("s3a://b/lake/t/", true),
            ("s3://b/lake/t2/", false),
            ("hdfs://b/lake/t/", false),
        ] {
            let mut table = made(&entry);
            change_descriptor(&mut table, |own| own.location = Some(location.into()));
            assert_eq!(entry.update(&table).is_ok(), is_same, "{location}");
        }
    }

    #[test]
    fn a_table_that_cannot_be_the_lakes_is_not_written() {
        let entry = entry();
        let mismatch = |change: &dyn Fn(&mut Table)| {
            let mut table = made(&entry);
            change(&mut table);
            entry.update(&table).unwrap_err().to_string()
        };
        for (change, words) in [
            (
                &(|table: &mut Table| table.storage_descriptor = None) as &dyn Fn(&mut Table),
                "no location",
            ),
            (&|table| change_descriptor(table, |own| own.location = None), "no location"),
            (
                &|table| change_descriptor(table, |own| own.input_format = Some("Text".into())),
                "registered as Text, not as Parquet",
            ),
            (
                &|table| {
                    let parameters = table.parameters.as_mut().unwrap();
                    parameters.insert("table_type".into(), "ICEBERG".into());
                },
                "registered as ICEBERG",
            ),
            (
                &|table| table.partition_keys = Some(vec![column("month", "string")]),
                "partitioned by `month`, the lake's table by `p_id`",
            ),
            (&|table| table.partition_keys = None, "partitioned by nothing"),
            (
                &|table| {
                    change_descriptor(table, |own| own.columns = Some(vec![column("id", "date")]));
                },
                "its column `id` is date, and bigint in the lake",
            ),
            (
                &|table| {
                    let untyped = Column::builder().name("id").build().unwrap();
                    change_descriptor(table, |own| own.columns = Some(vec![untyped]));
                },
                "its column `id` is without a type",
            ),
        ] {
            let text = mismatch(change);
            assert!(text.contains(words), "{text}");
        }
    }

    #[test]
    fn columns_comments_and_parameters_of_others_stay() {
        let entry = entry();
        let mut table = made(&entry);
        let mut theirs = column("id", "int");
        theirs.comment = Some("Their words.".into());
        change_descriptor(&mut table, |own| {
            own.columns = Some(vec![column("more", "string"), theirs]);
        });
        table.description = Some("Their table.".into());
        let parameters = table.parameters.as_mut().unwrap();
        parameters.insert("compressionType".into(), "theirs".into());
        parameters.insert("numRows".into(), "7".into());
        parameters.remove("classification");
        let update = entry.update(&table).unwrap().unwrap();
        let expected = [("more", "string"), ("id", "bigint"), ("tags", "array<string>")];
        let expected = expected.map(|(name, kind)| (name.to_owned(), kind.to_owned()));
        assert_eq!(types(update.storage_descriptor()), expected);
        let columns = update.storage_descriptor().unwrap().columns();
        assert_eq!(columns[1].comment(), Some("Their words."));
        assert_eq!(update.description(), Some("Their table."));
        let parameters = update.parameters().unwrap();
        assert_eq!(parameters["compressionType"], "theirs");
        assert_eq!(parameters["numRows"], "7");
        assert_eq!(parameters["classification"], "parquet");
    }

    #[test]
    fn a_difference_names_the_column() {
        let entry = entry();
        let differs = |columns: Option<Vec<Column>>| {
            let mut table = made(&entry);
            change_descriptor(&mut table, |own| own.columns = columns);
            entry.difference(&table).map(|mismatch| mismatch.to_string())
        };
        let id = column("id", "BIGINT");
        let tags = |kind: &str| Some(vec![id.clone(), column("tags", kind)]);
        assert_eq!(differs(tags("array< string >")), None);
        let text = differs(tags("array<int>")).unwrap();
        assert!(text.contains("`tags` is array<int>"), "{text}");
        let text = differs(Some(vec![id.clone()])).unwrap();
        assert_eq!(text, "it has no column `tags`");
        let mut bare = made(&entry);
        bare.storage_descriptor = None;
        assert_eq!(entry.difference(&bare), Some(Mismatch::NoColumn { column: "id".into() }));
    }

    #[test]
    fn a_partition_has_the_columns_of_its_table_without_their_comments() {
        let entry = entry();
        let columns = [column("id", "bigint")];
        let old = partition_of(&entry.create_partition("7", "p_id=7/", &columns));
        let mut new = [column("id", "bigint"), column("tags", "array<string>")];
        new[0].comment = Some("The id.".into());
        let update = entry.update_partition("7", "p_id=7/", &new, &old).unwrap().unwrap();
        let columns = update.storage_descriptor().unwrap().columns();
        assert_eq!(columns, [column("id", "bigint"), column("tags", "array<string>")]);
        assert_eq!(update.values(), ["7"]);
        assert_eq!(update.parameters(), old.parameters());
    }

    #[test]
    fn a_partition_of_another_location_is_left_alone() {
        let entry = entry();
        let mut partition = partition_of(&entry.create_partition("7", "p_id=7/", &[]));
        for location in [Some("s3://b/lake/t/p_id=8/"), None] {
            partition.storage_descriptor.as_mut().unwrap().location = location.map(str::to_owned);
            let mismatch = entry.update_partition("7", "p_id=7/", &[], &partition).unwrap_err();
            assert!(mismatch.to_string().contains("its partition `7` is at"), "{mismatch}");
        }
        partition.storage_descriptor = None;
        assert!(entry.update_partition("7", "p_id=7/", &[], &partition).is_err());
        assert!(!entry.holds(&partition));
    }
}
