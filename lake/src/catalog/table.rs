//! What a table must look like in the catalog, and what has to be written for it.
//!
//! The catalog belongs to many. What is there and is not ours stays: columns, comments, parameters,
//! narrower strings. What is there and cannot be ours, such as another location or another type, is
//! a [`Clash`], and nothing is written.

use std::collections::HashMap;
use std::fmt;

use aws_sdk_glue::error::BuildError;
use aws_sdk_glue::types::{
    Column, Partition, PartitionInput, SerDeInfo, StorageDescriptor, Table, TableInput,
};

use super::Options;
use super::hive::Hive;
use crate::error::{Error, Result};
use crate::file::Compression;
use crate::table::Definition;

const INPUT_FORMAT: &str = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat";
const OUTPUT_FORMAT: &str = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat";
const SERDE: &str = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe";

/// Longest comment of a column.
const MAX_COMMENT: usize = 255;

/// A table as the lake has it.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Its name in the catalog.
    pub(super) name: String,
    /// Where its files are, with a slash behind it.
    pub(super) location: String,
    /// Its partition key, if it has one.
    pub(super) key: Option<String>,
    columns: Vec<Column>,
    /// The partition key as a column.
    keys: Vec<Column>,
    parameters: HashMap<String, String>,
    /// A table with nothing but a name.
    blank: TableInput,
}

/// Why the catalog's table cannot be the lake's.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Clash {
    /// It is somewhere else.
    Location(String),
    /// It is of another format.
    Format(String),
    /// It has other partition keys.
    Keys(String, String),
    /// A column has another type.
    Column(String, String, String),
    /// A partition is somewhere else.
    Partition(String, String),
}

impl fmt::Display for Clash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Location(found) => {
                write!(formatter, "it is at {found}, another place than the lake's table")
            }
            Self::Format(found) => write!(formatter, "it is registered as {found}, not as Parquet"),
            Self::Keys(found, wanted) => {
                write!(formatter, "it is partitioned by {found}, the lake's table by {wanted}")
            }
            Self::Column(column, found, wanted) => {
                write!(formatter, "its column `{column}` is {found}, and {wanted} in the lake")
            }
            Self::Partition(value, found) => write!(
                formatter,
                "its partition `{value}` is at {found}, another place than the lake's"
            ),
        }
    }
}

impl Wanted {
    /// The table of a definition whose files are at `location`.
    pub(super) fn new(
        definition: &Definition,
        settings: &Options,
        location: String,
        compression: Compression,
    ) -> Result<Self> {
        let built =
            |error: BuildError| Error::broken("what Glue needs of a column is there", error);
        let name = settings.table(&definition.table);
        let columns = definition.columns.iter().map(|own| {
            let comment = own.description.as_deref().map(comment).filter(|text| !text.is_empty());
            let kind = own.kind.to_string();
            Column::builder().name(&own.name).r#type(kind).set_comment(comment).build()
        });
        let key = definition.partition_key();
        let keys = key.iter().map(|key| Column::builder().name(key).r#type("string").build());
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
            keys: keys.collect::<Result<_, _>>().map_err(built)?,
            blank: TableInput::builder().name(&name).build().map_err(built)?,
            parameters: parameters.map(|(key, value)| (key.into(), value.into())).into(),
            name,
            location,
            key,
        })
    }

    /// The table, where the catalog has none of its name.
    pub(super) fn create(&self) -> TableInput {
        let mut input = self.blank.clone();
        input.table_type = Some("EXTERNAL_TABLE".into());
        input.parameters = Some(self.parameters.clone());
        input.partition_keys = Some(self.keys.clone());
        input.storage_descriptor =
            Some(self.descriptor(self.columns.clone(), self.location.clone()));
        input
    }

    /// What has to be written where the catalog has the table already; nothing where it is right.
    pub(super) fn update(&self, found: &Table) -> Result<Option<TableInput>, Clash> {
        let Some(descriptor) = &found.storage_descriptor else {
            return Err(Clash::Location("no location".into()));
        };
        match &descriptor.location {
            Some(location) if is_same_place(location, &self.location) => {}
            Some(location) => return Err(Clash::Location(location.clone())),
            None => return Err(Clash::Location("no location".into())),
        }
        if let Some(format) = foreign_format(found, descriptor) {
            return Err(Clash::Format(format));
        }
        let found_keys = found.partition_keys();
        let names = |keys: &[Column]| match keys {
            [] => "nothing".to_owned(),
            keys => keys.iter().map(|key| format!("`{}`", key.name)).collect::<Vec<_>>().join(", "),
        };
        if !self.keys.iter().map(|key| &key.name).eq(found_keys.iter().map(|key| &key.name)) {
            return Err(Clash::Keys(names(found_keys), names(&self.keys)));
        }
        let old = self.as_input(found);
        let mut new = old.clone();
        let parameters = new.parameters.get_or_insert_default();
        for (key, value) in &self.parameters {
            parameters.entry(key.clone()).or_insert_with(|| value.clone());
        }
        let mut own = descriptor.clone();
        own.columns = Some(self.merge(descriptor.columns())?);
        new.storage_descriptor = Some(complete(own));
        Ok((old != new).then_some(new))
    }

    /// A column that the catalog's table has not, or has with another type.
    pub(super) fn difference(&self, found: &Table) -> Option<String> {
        let columns = found.storage_descriptor.as_ref().map(StorageDescriptor::columns);
        self.columns.iter().find_map(|own| {
            let kind = own.r#type();
            let there = columns?.iter().find(|column| column.name == own.name);
            match there.map(|column| column.r#type().unwrap_or_default()) {
                None => Some(format!("it has no column `{}`", own.name)),
                Some(found) if Hive::parse(found) == Hive::parse(kind.unwrap_or_default()) => None,
                Some(found) => Some(
                    Clash::Column(own.name.clone(), found.into(), kind.unwrap_or_default().into())
                        .to_string(),
                ),
            }
        })
    }

    /// The partition of a value, where the catalog has none. `columns` are those of the table.
    pub(super) fn create_partition(
        &self,
        value: &str,
        folder: &str,
        columns: &[Column],
    ) -> PartitionInput {
        PartitionInput::builder()
            .values(value)
            .storage_descriptor(
                self.descriptor(bare(columns), format!("{}{folder}", self.location)),
            )
            .set_parameters(Some(self.partition_parameters()))
            .build()
    }

    /// What has to be written where the catalog has the partition already.
    pub(super) fn update_partition(
        &self,
        value: &str,
        folder: &str,
        columns: &[Column],
        found: &Partition,
    ) -> Result<Option<PartitionInput>, Clash> {
        let wanted = format!("{}{folder}", self.location);
        let descriptor = found.storage_descriptor.clone();
        let location = descriptor.as_ref().and_then(|own| own.location.clone());
        match location {
            Some(location) if is_same_place(&location, &wanted) => {}
            other => {
                let place = other.unwrap_or_else(|| "no location".into());
                return Err(Clash::Partition(value.into(), place));
            }
        }
        let mut own = descriptor.unwrap_or_else(|| self.descriptor(Vec::new(), wanted));
        if bare(own.columns()) != bare(columns) {
            own.columns = Some(bare(columns));
        }
        let own = complete(own);
        if found.storage_descriptor.as_ref() == Some(&own) {
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

    /// Whether a partition is at a place of this table.
    pub(super) fn holds(&self, found: &Partition) -> bool {
        let location = found.storage_descriptor.as_ref().and_then(|own| own.location());
        location.is_some_and(|location| location.starts_with(&self.location))
    }

    fn partition_parameters(&self) -> HashMap<String, String> {
        let mut parameters = self.parameters.clone();
        parameters.remove("EXTERNAL");
        parameters
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

    /// The columns of the catalog, with what the lake has more.
    fn merge(&self, found: &[Column]) -> Result<Vec<Column>, Clash> {
        let mut merged = found.to_vec();
        for own in &self.columns {
            let Some(there) = merged.iter_mut().find(|column| column.name == own.name) else {
                merged.push(own.clone());
                continue;
            };
            let (old, new) = (there.r#type().unwrap_or_default(), own.r#type().unwrap_or_default());
            let parsed = Hive::parse(old);
            let Some(kind) = parsed.take_in(&Hive::parse(new)) else {
                return Err(Clash::Column(own.name.clone(), old.into(), new.into()));
            };
            if kind != parsed {
                there.r#type = Some(kind.to_string());
            }
            if there.comment.as_deref().unwrap_or_default().is_empty() {
                there.comment.clone_from(&own.comment);
            }
        }
        Ok(merged)
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

/// A description as a comment: one line, not too long.
fn comment(text: &str) -> String {
    let text = text.split(|c: char| c.is_control() || c == ' ').filter(|word| !word.is_empty());
    let text = text.collect::<Vec<_>>().join(" ");
    let mut end = text.len().min(MAX_COMMENT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

fn is_same_place(left: &str, right: &str) -> bool {
    let plain = |location: &str| {
        let location = location.trim_end_matches('/');
        match location.split_once("://") {
            Some(("s3" | "s3a" | "s3n", path)) => path.to_owned(),
            _ => location.to_owned(),
        }
    };
    plain(left) == plain(right)
}

fn foreign_format(found: &Table, descriptor: &StorageDescriptor) -> Option<String> {
    if let Some(kind) = found.parameters.as_ref().and_then(|own| own.get("table_type")) {
        return Some(kind.clone());
    }
    descriptor.input_format.clone().filter(|format| format != INPUT_FORMAT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Wanted {
        let definition = serde_json::json!({
            "format": 1, "table": "t", "stream": "t", "keys": ["id"], "shards": 1,
            "load_method": "upsert", "partition_by": {"column": "id"},
            "columns": [
                {"source": "id", "name": "id", "kind": "bigint", "description": "The\nid."},
                {"source": "tags", "name": "tags", "kind": {"list": "string"}},
            ],
        });
        let definition = serde_json::from_value(definition).unwrap();
        let options = Options {
            kind: crate::catalog::Kind::Glue,
            database: "d".into(),
            table_prefix: None,
            catalog_id: None,
            region: None,
            endpoint_url: None,
        };
        let location = "s3://b/lake/t/".to_owned();
        Wanted::new(&definition, &options, location, Compression::Snappy).unwrap()
    }

    /// The table as the catalog has it after it was made so.
    fn made(input: &TableInput) -> Table {
        Table::builder()
            .name(&input.name)
            .set_storage_descriptor(input.storage_descriptor.clone())
            .set_partition_keys(input.partition_keys.clone())
            .set_table_type(input.table_type.clone())
            .set_parameters(input.parameters.clone())
            .retention(input.retention)
            .build()
            .unwrap()
    }

    #[test]
    fn what_was_made_is_right() {
        let wanted = wanted();
        let table = made(&wanted.create());
        assert_eq!(wanted.update(&table), Ok(None));
        assert_eq!(wanted.difference(&table), None);
        let columns = table.storage_descriptor.as_ref().unwrap().columns().to_vec();
        assert_eq!(columns[0].comment(), Some("The id."));
        let input = wanted.create_partition("7", "p_id=7/", &columns);
        let partition = Partition::builder()
            .values("7")
            .set_storage_descriptor(input.storage_descriptor)
            .build();
        assert_eq!(wanted.update_partition("7", "p_id=7/", &columns, &partition), Ok(None));
        assert!(wanted.holds(&partition));
    }

    #[test]
    fn a_place_is_the_same_however_it_is_written() {
        let wanted = wanted();
        for (location, is_same) in [
            ("s3://b/lake/t", true),
            ("s3a://b/lake/t/", true),
            ("s3://b/lake/t2/", false),
            ("hdfs://b/lake/t/", false),
        ] {
            let mut table = made(&wanted.create());
            table.storage_descriptor.as_mut().unwrap().location = Some(location.into());
            assert_eq!(wanted.update(&table).is_ok(), is_same, "{location}");
        }
    }

    #[test]
    fn a_difference_names_the_column() {
        let wanted = wanted();
        let mut table = made(&wanted.create());
        let columns = table.storage_descriptor.as_mut().unwrap().columns.as_mut().unwrap();
        columns[1].r#type = Some("array<int>".into());
        assert!(wanted.difference(&table).unwrap().contains("`tags` is array<int>"));
    }

    #[test]
    fn comments_are_one_line_and_not_too_long() {
        assert_eq!(comment("a\n\n b\u{7}\tc"), "a b c");
        let long = comment(&"ä".repeat(200));
        assert!(long.len() <= MAX_COMMENT && long.len() > MAX_COMMENT - 2);
    }
}
