//! Settings of one stream.

use std::collections::BTreeMap;

use clap::ValueEnum;
use lake::file::Encoding;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::columns::{ColumnType, TypedColumn};
use super::shards::Shards;
use super::units::MIB;
use crate::error::Error;

/// Settings of the streams that match one entry of `streams`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub(crate) struct StreamConfig {
    /// Table name, where it shall differ from the stream's.
    pub(crate) table: Option<String>,
    /// Key columns, where they shall differ from the stream's.
    pub(crate) key_properties: Option<Vec<String>>,
    /// Types of columns, where they shall differ from those of the stream's schema: `boolean`, `int`,
    /// `bigint`, `double`, `decimal(precision,scale)`, `string`, `date` or `timestamp`, such as
    /// `{"price": "decimal(38,10)"}`. Decimals have the digits that the tap sends, exactly.
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    pub(crate) columns: Option<BTreeMap<String, ColumnType>>,
    /// As the setting of the same name for all streams.
    pub(crate) load_method: Option<LoadMethod>,
    /// As the setting of the same name for all streams.
    pub(crate) partition_by: Option<PartitionBy>,
    /// As the setting of the same name for all streams.
    pub(crate) compression: Option<Compression>,
    /// As the setting of the same name for all streams.
    pub(crate) compression_level: Option<u32>,
    /// As the setting of the same name for all streams.
    pub(crate) row_group_mb: Option<u32>,
    /// As the setting of the same name for all streams.
    pub(crate) shards: Option<Shards>,
    /// As the setting of the same name for all streams.
    pub(crate) move_keys: Option<bool>,
    /// What the stream's table is to its readers.
    pub(crate) table_format: Option<TableFormat>,
    /// As the setting of the same name for all streams.
    pub(crate) on_invalid: Option<OnInvalid>,
    /// As the setting of the same name for all streams.
    pub(crate) validate_records: Option<bool>,
    /// As the setting of the same name for all streams.
    pub(crate) add_record_metadata: Option<bool>,
    /// As the setting of the same name for all streams.
    pub(crate) max_string_bytes: Option<usize>,
}

/// How rows enter a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LoadMethod {
    /// Replace rows of the same key, add the others.
    Upsert,
    /// Add rows.
    #[serde(alias = "append-only")]
    Append,
    /// Replace the whole table when its stream was seen to end.
    Overwrite,
}

/// Splits a table into folders.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) struct PartitionBy {
    /// Column whose value decides. Rows without a value, or with one that is no date where a part of it
    /// decides, are in `__HIVE_DEFAULT_PARTITION__`. A value that is too long for a folder's name (255 bytes,
    /// with the key and with escapes) does not fit, as `on_invalid` says. Where the value of a row may change,
    /// `move_keys` decides what becomes of its old version.
    pub(crate) column: String,
    /// Part of a date or time that decides; without it, the value itself.
    pub(crate) granularity: Option<Granularity>,
    /// Name of the partition key. Default: `hour`, `dt`, `month` or `year` by granularity, else
    /// `p_<column>`.
    pub(crate) name: Option<String>,
}

/// Part of a date or time that names a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Granularity {
    /// `2026-11-23T17`, of a time
    Hour,
    /// `2026-11-23`
    Day,
    /// `2026-11`
    Month,
    /// `2026`
    Year,
}

/// What a table is to its readers.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TableFormat {
    /// Parquet files in folders.
    #[default]
    Parquet,
    /// An Iceberg table of version 2.
    Iceberg,
}

impl From<TableFormat> for lake::TableFormat {
    fn from(format: TableFormat) -> Self {
        match format {
            TableFormat::Parquet => Self::Parquet,
            TableFormat::Iceberg => Self::Iceberg,
        }
    }
}

/// Codec of Parquet pages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Compression {
    /// Fast, and documented for every reader.
    #[default]
    Snappy,
    /// Smaller; Athena, Spark and DuckDB read it, Redshift Spectrum does not document it.
    Zstd,
    /// Small and slow; read by everything.
    Gzip,
    /// No compression.
    None,
}

/// What happens to a value that does not fit its column.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnInvalid {
    /// Stop with an error.
    #[default]
    Fail,
    /// Write null and count.
    Null,
}

/// What applies to one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StreamSettings {
    /// Configured table name.
    pub(crate) table: Option<String>,
    /// Configured key columns.
    pub(crate) key_properties: Option<Vec<String>>,
    /// Configured types of columns.
    pub(crate) columns: BTreeMap<String, TypedColumn>,
    /// Configured load method.
    pub(crate) load_method: Option<LoadMethod>,
    /// Partition column.
    pub(crate) partition_by: Option<PartitionBy>,
    /// Codec.
    pub(crate) compression: Compression,
    /// Level of the codec.
    pub(crate) compression_level: Option<u32>,
    /// Bytes of a row group.
    pub(crate) row_group_bytes: usize,
    /// Shards of a new table.
    pub(crate) shards: Shards,
    /// What a table is to its readers.
    pub(crate) table_format: TableFormat,
    /// Keys leave partitions that are no more theirs. Nothing where no setting says it.
    pub(crate) move_keys: Option<bool>,
    /// Treatment of values that do not fit.
    pub(crate) on_invalid: OnInvalid,
    /// Full validation of records.
    pub(crate) validate_records: bool,
    /// `_sdc_*` columns.
    pub(crate) add_record_metadata: bool,
    /// Longest string in bytes.
    pub(crate) max_string_bytes: Option<usize>,
}

impl StreamConfig {
    /// Checks what the types cannot. `prefix` stands before the keys in errors.
    pub(super) fn validate(&self, prefix: &str) -> Result<(), Error> {
        let fault =
            |key: &str, reason| Err(Error::Setting { key: format!("{prefix}{key}"), reason });
        if let Some(reason) = self.shards.and_then(Shards::fault) {
            return fault("shards", reason);
        }
        if self.row_group_mb == Some(0) {
            return fault("row_group_mb", "it must be at least 1".into());
        }
        if self.max_string_bytes.is_some_and(|bytes| bytes < 4) {
            return fault("max_string_bytes", "it must be at least 4".into());
        }
        let levels = match self.compression {
            Some(Compression::Zstd) => 1..=22,
            Some(Compression::Gzip) => 0..=9,
            // They have no levels.
            Some(Compression::Snappy | Compression::None) | None => return Ok(()),
        };
        match self.compression_level.filter(|level| !levels.contains(level)) {
            None => Ok(()),
            Some(level) => fault(
                "compression_level",
                format!("{level} is not between {} and {}", levels.start(), levels.end()),
            ),
        }
    }
}

impl StreamSettings {
    /// Takes over what an entry of `streams` says, which names the stream itself or, with others, by a
    /// glob.
    pub(super) fn lay_over(&mut self, stream: &StreamConfig, is_exact: bool) {
        fn replace<T: Clone>(old: &mut T, new: Option<&T>) {
            if let Some(new) = new {
                *old = new.clone();
            }
        }
        fn replace_some<T: Clone>(old: &mut Option<T>, new: Option<&T>) {
            if new.is_some() {
                *old = new.cloned();
            }
        }
        replace_some(&mut self.table, stream.table.as_ref());
        replace_some(&mut self.key_properties, stream.key_properties.as_ref());
        for (name, kind) in stream.columns.iter().flatten() {
            let typed = TypedColumn { kind: kind.clone(), must_exist: is_exact };
            self.columns.insert(name.clone(), typed);
        }
        replace_some(&mut self.load_method, stream.load_method.as_ref());
        replace_some(&mut self.partition_by, stream.partition_by.as_ref());
        replace(&mut self.compression, stream.compression.as_ref());
        replace_some(&mut self.compression_level, stream.compression_level.as_ref());
        replace(
            &mut self.row_group_bytes,
            stream.row_group_mb.map(|mb| mb as usize * MIB).as_ref(),
        );
        replace(&mut self.shards, stream.shards.as_ref());
        replace(&mut self.table_format, stream.table_format.as_ref());
        replace_some(&mut self.move_keys, stream.move_keys.as_ref());
        replace(&mut self.on_invalid, stream.on_invalid.as_ref());
        replace(&mut self.validate_records, stream.validate_records.as_ref());
        replace(&mut self.add_record_metadata, stream.add_record_metadata.as_ref());
        replace_some(&mut self.max_string_bytes, stream.max_string_bytes.as_ref());
    }

    /// How the files of the stream's table are written.
    pub(crate) fn encoding(&self) -> Encoding {
        Encoding {
            compression: match self.compression {
                Compression::Snappy => lake::file::Compression::Snappy,
                Compression::Zstd => lake::file::Compression::Zstd,
                Compression::Gzip => lake::file::Compression::Gzip,
                Compression::None => lake::file::Compression::None,
            },
            level: self.compression_level,
            row_group_bytes: self.row_group_bytes,
        }
    }

    /// How rows with or without keys enter the table. What has no keys cannot be upserted; the targets
    /// of the Meltano SDK append then, and so do we.
    pub(crate) fn load(&self, has_keys: bool) -> lake::table::LoadMethod {
        match self.load_method {
            Some(LoadMethod::Overwrite) => lake::table::LoadMethod::Overwrite,
            Some(LoadMethod::Append) => lake::table::LoadMethod::Append,
            Some(LoadMethod::Upsert) | None if has_keys => lake::table::LoadMethod::Upsert,
            Some(LoadMethod::Upsert) | None => lake::table::LoadMethod::Append,
        }
    }
}

impl From<&PartitionBy> for lake::table::PartitionBy {
    fn from(by: &PartitionBy) -> Self {
        Self {
            column: by.column.clone(),
            granularity: by.granularity.map(|granularity| match granularity {
                Granularity::Hour => lake::table::Granularity::Hour,
                Granularity::Day => lake::table::Granularity::Day,
                Granularity::Month => lake::table::Granularity::Month,
                Granularity::Year => lake::table::Granularity::Year,
            }),
            name: by.name.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> StreamSettings {
        StreamSettings {
            table: Some("t".into()),
            key_properties: None,
            columns: BTreeMap::new(),
            load_method: Some(LoadMethod::Upsert),
            partition_by: None,
            compression: Compression::Snappy,
            compression_level: None,
            row_group_bytes: 1,
            shards: Shards::Auto,
            table_format: TableFormat::Parquet,
            move_keys: None,
            on_invalid: OnInvalid::Fail,
            validate_records: false,
            add_record_metadata: false,
            max_string_bytes: None,
        }
    }

    #[test]
    fn an_entry_takes_the_place_of_what_it_says_and_of_nothing_else() {
        let mut own = settings();
        own.lay_over(&StreamConfig::default(), true);
        assert_eq!(own, settings());
        let entry: StreamConfig = serde_json::from_str(
            r#"{"key_properties":["a"],"columns":{"x":"decimal(20,0)"},"load_method":"overwrite","compression":"zstd",
                "compression_level":3,"row_group_mb":2,"shards":4,"table_format":"iceberg","move_keys":true,"on_invalid":"null",
                "validate_records":true,"add_record_metadata":true,"max_string_bytes":9,
                "partition_by":{"column":"d","granularity":"month"}}"#,
        )
        .unwrap();
        own.lay_over(&entry, true);
        assert_eq!(
            own,
            StreamSettings {
                table: Some("t".into()),
                key_properties: Some(vec!["a".into()]),
                columns: BTreeMap::from([(
                    "x".into(),
                    TypedColumn {
                        kind: ColumnType::try_from("decimal(20)".to_owned()).unwrap(),
                        must_exist: true,
                    }
                )]),
                load_method: Some(LoadMethod::Overwrite),
                partition_by: Some(PartitionBy {
                    column: "d".into(),
                    granularity: Some(Granularity::Month),
                    name: None,
                }),
                compression: Compression::Zstd,
                compression_level: Some(3),
                row_group_bytes: 2 * MIB,
                shards: Shards::Exactly(4),
                table_format: TableFormat::Iceberg,
                move_keys: Some(true),
                on_invalid: OnInvalid::Null,
                validate_records: true,
                add_record_metadata: true,
                max_string_bytes: Some(9),
            }
        );
    }

    #[test]
    fn rows_without_keys_are_added_unless_they_replace_the_table() {
        use lake::table::LoadMethod as Load;
        for (method, with_keys, without) in [
            (None, Load::Upsert, Load::Append),
            (Some(LoadMethod::Upsert), Load::Upsert, Load::Append),
            (Some(LoadMethod::Append), Load::Append, Load::Append),
            (Some(LoadMethod::Overwrite), Load::Overwrite, Load::Overwrite),
        ] {
            let own = StreamSettings { load_method: method, ..settings() };
            assert_eq!((own.load(true), own.load(false)), (with_keys, without), "{method:?}");
        }
    }

    #[test]
    fn levels_belong_to_their_codec() {
        let entry = |compression, level| StreamConfig {
            compression: Some(compression),
            compression_level: Some(level),
            ..StreamConfig::default()
        };
        for (compression, level, is_valid) in [
            (Compression::Zstd, 1, true),
            (Compression::Zstd, 22, true),
            (Compression::Zstd, 0, false),
            (Compression::Zstd, 23, false),
            (Compression::Gzip, 0, true),
            (Compression::Gzip, 10, false),
            (Compression::Snappy, 99, true),
            (Compression::None, 99, true),
        ] {
            let outcome = entry(compression, level).validate("");
            assert_eq!(outcome.is_ok(), is_valid, "{compression:?} {level}");
        }
    }

    #[test]
    fn the_lake_gets_the_settings_under_its_own_names() {
        use lake::table::Granularity as Part;
        for (own, lakes) in [
            (Granularity::Day, Part::Day),
            (Granularity::Month, Part::Month),
            (Granularity::Year, Part::Year),
        ] {
            let by =
                PartitionBy { column: "d".into(), granularity: Some(own), name: Some("x".into()) };
            let by = lake::table::PartitionBy::from(&by);
            assert_eq!(
                (by.column.as_str(), by.granularity, by.name.as_deref()),
                ("d", Some(lakes), Some("x"))
            );
        }
        for (own, lakes) in [
            (Compression::Snappy, lake::file::Compression::Snappy),
            (Compression::Zstd, lake::file::Compression::Zstd),
            (Compression::Gzip, lake::file::Compression::Gzip),
            (Compression::None, lake::file::Compression::None),
        ] {
            let encoding = StreamSettings { compression: own, ..settings() }.encoding();
            assert_eq!(encoding.compression, lakes);
        }
    }
}
