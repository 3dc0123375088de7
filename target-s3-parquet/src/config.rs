//! The target's settings, declared once.
//!
//! The doc comments below are the reference: `--about`, the settings schema and the documentation
//! are made from them. [`Config`] is what a user writes; [`StreamSettings`] is what one stream
//! gets after the entries of `streams` that match its name have been laid over it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use program::{Secret, settings};
use protocol::mapping::{Flattening, Mapper, StreamMaps};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalog::settings::CatalogConfig;
use crate::error::Error;

/// Settings of `target-s3-parquet`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Config {
    /// Where the lake lives: `s3://bucket/prefix`, or the path of a folder.
    #[schemars(extend("examples" = ["s3://my-lake/wistia", "/var/lake"]))]
    pub destination: String,

    /// How to reach S3. Without it, region and credentials come from the usual AWS chain.
    #[serde(default)]
    pub s3: S3Config,

    /// How rows enter a table: `upsert` replaces rows of the same key, `append` adds, `overwrite`
    /// replaces the table once its stream was seen whole. Default: `upsert` where the stream has
    /// keys, else `append`. `append-only` is another word for `append`.
    pub load_method: Option<LoadMethod>,

    /// Splits every table into folders by one of its columns. Usually set per stream under
    /// `streams`.
    pub partition_by: Option<PartitionBy>,

    /// Codec of the Parquet pages. `snappy` is read by everything, Redshift Spectrum included.
    #[serde(default)]
    pub compression: Compression,

    /// Level of `zstd` (1 to 22, default 1) or `gzip` (0 to 9, default 6).
    pub compression_level: Option<u32>,

    /// Size at which a row group is closed, in MiB of encoded data.
    #[serde(default = "default_row_group_mb")]
    #[schemars(range(min = 1, max = 1024))]
    pub row_group_mb: u32,

    /// Objects per partition of an upserted table: rows belong to one by the hash of their key. It
    /// is fixed when the table is made.
    #[serde(default = "default_shards")]
    #[schemars(range(min = 1, max = 10_000))]
    pub shards: u32,

    /// Memory for staged rows and open files, in MiB. What does not fit goes to temporary files.
    #[serde(default = "default_memory_mb")]
    #[schemars(range(min = 32))]
    pub memory_mb: u32,

    /// Seconds between commits in a long run: after this time the next STATE is committed and given
    /// back.
    #[serde(default = "default_commit_interval_seconds")]
    pub commit_interval_seconds: u64,

    /// What happens to a value that does not fit its column: `fail` stops the run with the line,
    /// column and value; `null` writes null and counts it in the summary.
    #[serde(default)]
    pub on_invalid: OnInvalid,

    /// Validate every record against its JSON Schema, all rules included. Costs speed; types are
    /// always checked.
    #[serde(default)]
    pub validate_records: bool,

    /// Add the SDK's `_sdc_*` columns to every table.
    #[serde(default)]
    pub add_record_metadata: bool,

    /// Cut strings at this many bytes, at a character's border, all but keys. Redshift reads at most
    /// 65535.
    pub max_string_bytes: Option<usize>,

    /// Folder for temporary files. Default: the system's.
    pub temp_dir: Option<String>,

    /// Where queries find the tables: the Glue Data Catalog.
    #[serde(default)]
    pub catalog: CatalogConfig,

    /// Renames, drops, copies and filters streams and their properties, in the form of the Meltano
    /// SDK: `{"users": {"__alias__": "people", "full_name": "name", "name": "__NULL__"}}`.
    #[serde(default)]
    pub stream_maps: StreamMaps,

    /// Make the properties of objects columns of their own, such as `address__city`; arrays and
    /// what is deeper become JSON text.
    #[serde(default)]
    pub flattening_enabled: bool,

    /// Levels of nesting that become columns. Default: all.
    pub flattening_max_depth: Option<usize>,

    /// What stands between the names of a flattened column.
    #[serde(default = "default_flattening_separator")]
    pub flattening_separator: String,

    /// Settings by stream name or glob, such as `{"fact_*": {"partition_by": …}}`. An exact name
    /// wins over a glob, a longer glob over a shorter one.
    #[serde(default)]
    pub streams: BTreeMap<String, StreamConfig>,
}

fn default_flattening_separator() -> String {
    Flattening::SEPARATOR.into()
}

fn default_row_group_mb() -> u32 {
    128
}

fn default_shards() -> u32 {
    1
}

fn default_memory_mb() -> u32 {
    256
}

fn default_commit_interval_seconds() -> u64 {
    300
}

/// Settings of S3 and of stores that speak its protocol.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct S3Config {
    /// AWS region of the bucket.
    #[schemars(extend("examples" = ["eu-central-1"]))]
    pub region: Option<String>,
    /// Another S3 endpoint, such as `http://localhost:9000`.
    pub endpoint_url: Option<String>,
    /// Address buckets in the path, not in the host name. Default: true with an `endpoint_url`.
    pub force_path_style: Option<bool>,
    /// Profile of the AWS configuration files.
    pub profile: Option<String>,
    /// Access key, where the usual chain of credentials is not wanted.
    pub access_key_id: Option<Secret>,
    /// Secret of the access key.
    pub secret_access_key: Option<Secret>,
    /// Session token of temporary credentials.
    pub session_token: Option<Secret>,
    /// Role to assume for all access.
    pub role_arn: Option<String>,
    /// External id that the role asks for.
    pub external_id: Option<String>,
    /// Server-side encryption of the objects. Default: the bucket's.
    pub sse: Option<Encryption>,
    /// KMS key, where `sse` is one of KMS. Default: the key of AWS for S3.
    pub kms_key_id: Option<String>,
    /// Storage class of the objects, such as `INTELLIGENT_TIERING`.
    pub storage_class: Option<String>,
    /// Account that must own the bucket.
    pub expected_bucket_owner: Option<String>,
    /// Seconds after which one try of a request is given up and repeated. A part of 8 MiB must fit.
    #[serde(default = "default_request_timeout_seconds")]
    #[schemars(range(min = 1))]
    pub request_timeout_seconds: u64,
    /// Checksums of uploads; `when_required` is for stores that reject them.
    #[serde(default)]
    pub checksum: Checksum,
}

impl Default for S3Config {
    fn default() -> Self {
        Self {
            region: None,
            endpoint_url: None,
            force_path_style: None,
            profile: None,
            access_key_id: None,
            secret_access_key: None,
            session_token: None,
            role_arn: None,
            external_id: None,
            sse: None,
            kms_key_id: None,
            storage_class: None,
            expected_bucket_owner: None,
            request_timeout_seconds: default_request_timeout_seconds(),
            checksum: Checksum::default(),
        }
    }
}

fn default_request_timeout_seconds() -> u64 {
    60
}

/// Server-side encryption of S3, in S3's own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Encryption {
    /// By keys of S3.
    #[serde(rename = "AES256")]
    S3,
    /// By a key of KMS.
    #[serde(rename = "aws:kms")]
    Kms,
    /// Twice by a key of KMS.
    #[serde(rename = "aws:kms:dsse")]
    KmsTwice,
}

/// When uploads carry a checksum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Checksum {
    /// Always.
    #[default]
    WhenSupported,
    /// Only where S3 refuses an upload without.
    WhenRequired,
}

/// Settings of the streams that match one entry of `streams`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct StreamConfig {
    /// Table name, where it shall differ from the stream's.
    pub table: Option<String>,
    /// Key columns, where they shall differ from the stream's.
    pub key_properties: Option<Vec<String>>,
    /// As the setting of the same name for all streams.
    pub load_method: Option<LoadMethod>,
    /// As the setting of the same name for all streams.
    pub partition_by: Option<PartitionBy>,
    /// As the setting of the same name for all streams.
    pub compression: Option<Compression>,
    /// As the setting of the same name for all streams.
    pub compression_level: Option<u32>,
    /// As the setting of the same name for all streams.
    pub row_group_mb: Option<u32>,
    /// As the setting of the same name for all streams.
    pub shards: Option<u32>,
    /// As the setting of the same name for all streams.
    pub on_invalid: Option<OnInvalid>,
    /// As the setting of the same name for all streams.
    pub validate_records: Option<bool>,
    /// As the setting of the same name for all streams.
    pub add_record_metadata: Option<bool>,
    /// As the setting of the same name for all streams.
    pub max_string_bytes: Option<usize>,
}

/// How rows enter a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LoadMethod {
    /// Replace rows of the same key, add the others.
    Upsert,
    /// Add rows.
    #[serde(alias = "append-only")]
    Append,
    /// Replace the whole table when its stream was seen to end.
    Overwrite,
}

/// Splits a table into folders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PartitionBy {
    /// Column whose value decides.
    pub column: String,
    /// Part of a date or time that decides; without it, the value itself.
    pub granularity: Option<Granularity>,
    /// Name of the partition key. Default: `dt`, `month` or `year` by granularity, else
    /// `p_<column>`.
    pub name: Option<String>,
}

/// Part of a date or time that names a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Granularity {
    /// `2026-11-23`
    Day,
    /// `2026-11`
    Month,
    /// `2026`
    Year,
}

/// Codec of Parquet pages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
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
pub enum OnInvalid {
    /// Stop with an error.
    #[default]
    Fail,
    /// Write null and count.
    Null,
}

/// What applies to one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSettings {
    /// Configured table name.
    pub table: Option<String>,
    /// Configured key columns.
    pub key_properties: Option<Vec<String>>,
    /// Configured load method.
    pub load_method: Option<LoadMethod>,
    /// Partition column.
    pub partition_by: Option<PartitionBy>,
    /// Codec.
    pub compression: Compression,
    /// Level of the codec.
    pub compression_level: Option<u32>,
    /// Bytes of a row group.
    pub row_group_bytes: usize,
    /// Shards of a new table.
    pub shards: u32,
    /// Treatment of values that do not fit.
    pub on_invalid: OnInvalid,
    /// Full validation of records.
    pub validate_records: bool,
    /// `_sdc_*` columns.
    pub add_record_metadata: bool,
    /// Longest string in bytes.
    pub max_string_bytes: Option<usize>,
    /// The generation of the rows, where the source has generations.
    pub refresh: Option<Refresh>,
}

/// What a source says about the generation of the rows that it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refresh {
    /// The generation; without it every run is one of its own.
    pub generation: Option<i64>,
    /// Rows of generations before this one are obsolete once the stream is complete.
    pub minimum: Option<i64>,
    /// The rows replace the table, even one of the same generation.
    pub overwrite: bool,
}

impl StreamConfig {
    fn validate(&self, prefix: &str) -> Result<(), Error> {
        let fault =
            |key: &str, reason| Err(Error::Setting { key: format!("{prefix}{key}"), reason });
        if let Some(shards) = self.shards.filter(|shards| !(1..=10_000).contains(shards)) {
            return fault("shards", format!("{shards} is not between 1 and 10000"));
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
            _ => return Ok(()),
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

impl S3Config {
    /// A setting that does nothing without another would be ignored in silence.
    fn validate(&self) -> Result<(), Error> {
        let has_keys = self.access_key_id.is_some();
        let is_kms = matches!(self.sse, Some(Encryption::Kms | Encryption::KmsTwice));
        for (key, is_set, needed, is_there) in [
            ("access_key_id", has_keys, "secret_access_key", self.secret_access_key.is_some()),
            ("secret_access_key", self.secret_access_key.is_some(), "access_key_id", has_keys),
            ("session_token", self.session_token.is_some(), "access_key_id", has_keys),
            ("external_id", self.external_id.is_some(), "role_arn", self.role_arn.is_some()),
            ("kms_key_id", self.kms_key_id.is_some(), "sse: aws:kms", is_kms),
        ] {
            if is_set && !is_there {
                return Err(Error::Setting {
                    key: format!("s3.{key}"),
                    reason: format!("it does nothing without `{needed}`"),
                });
            }
        }
        Ok(())
    }
}

impl Config {
    /// Checks what the types cannot.
    pub fn validate(&self) -> Result<(), Error> {
        let fault = |key: &str, reason: String| Err(Error::Setting { key: key.into(), reason });
        if self.destination.trim().is_empty() {
            return fault("destination", "it is empty; name a folder or s3://bucket/prefix".into());
        }
        if let Some((scheme, _)) = self.destination.split_once("://")
            && scheme != "s3"
            && scheme != "file"
        {
            return fault(
                "destination",
                format!("`{scheme}://` is not supported; use s3://bucket/prefix or a folder"),
            );
        }
        self.catalog.validate(&self.destination)?;
        if self.memory_mb < 32 {
            return fault("memory_mb", format!("{} is less than 32", self.memory_mb));
        }
        self.s3.validate()?;
        let all = StreamConfig {
            shards: Some(self.shards),
            row_group_mb: Some(self.row_group_mb),
            max_string_bytes: self.max_string_bytes,
            compression: Some(self.compression),
            compression_level: self.compression_level,
            ..StreamConfig::default()
        };
        all.validate("")?;
        self.streams.iter().try_for_each(|(name, stream)| {
            let compression = stream.compression.or(all.compression);
            let compression_level = stream.compression_level.or(all.compression_level);
            let stream = StreamConfig { compression, compression_level, ..stream.clone() };
            stream.validate(&format!("streams.{name}."))
        })
    }

    /// The settings of one stream.
    pub fn stream(&self, name: &str) -> StreamSettings {
        let mut settings = StreamSettings {
            table: None,
            key_properties: None,
            load_method: self.load_method,
            partition_by: self.partition_by.clone(),
            compression: self.compression,
            compression_level: self.compression_level,
            row_group_bytes: self.row_group_mb as usize * MIB,
            shards: self.shards,
            on_invalid: self.on_invalid,
            validate_records: self.validate_records,
            add_record_metadata: self.add_record_metadata,
            max_string_bytes: self.max_string_bytes,
            refresh: None,
        };
        let mut matching: Vec<_> = self
            .streams
            .iter()
            .filter(|(pattern, _)| {
                pattern.as_str() == name || wildmatch::WildMatch::new(pattern).matches(name)
            })
            .collect();
        matching.sort_by_key(|(pattern, _)| (pattern.as_str() == name, pattern.len()));
        for (_, stream) in matching {
            settings.lay_over(stream);
        }
        settings
    }

    /// Names in `streams` that are none of the `seen` streams' but nearly so, each with the one that
    /// may be meant.
    pub fn misnamed<'a>(&'a self, seen: &[&'a str]) -> Vec<(&'a str, &'a str)> {
        let is_plain = |name: &&str| !settings::is_glob(name) && !seen.contains(name);
        let names = self.streams.keys().map(String::as_str).filter(is_plain);
        let without = || seen.iter().copied().filter(|name| !self.streams.contains_key(*name));
        names.filter_map(|name| Some((name, settings::nearest(name, without())?))).collect()
    }

    /// How streams are mapped.
    pub fn mapper(&self) -> Mapper {
        let flattening = Flattening::of(
            self.flattening_enabled,
            self.flattening_max_depth,
            &self.flattening_separator,
        );
        Mapper::new(self.stream_maps.clone(), flattening)
    }

    /// The folder for temporary files.
    pub fn temp_dir(&self) -> PathBuf {
        self.temp_dir.as_ref().map_or_else(std::env::temp_dir, PathBuf::from)
    }

    /// The memory budget in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.memory_mb as usize * MIB
    }
}

/// Bytes of a mebibyte.
pub const MIB: usize = 1024 * 1024;

impl StreamSettings {
    fn lay_over(&mut self, stream: &StreamConfig) {
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
        replace_some(&mut self.load_method, stream.load_method.as_ref());
        replace_some(&mut self.partition_by, stream.partition_by.as_ref());
        replace(&mut self.compression, stream.compression.as_ref());
        replace_some(&mut self.compression_level, stream.compression_level.as_ref());
        replace(
            &mut self.row_group_bytes,
            stream.row_group_mb.map(|mb| mb.max(1) as usize * MIB).as_ref(),
        );
        replace(&mut self.shards, stream.shards.map(|shards| shards.max(1)).as_ref());
        replace(&mut self.on_invalid, stream.on_invalid.as_ref());
        replace(&mut self.validate_records, stream.validate_records.as_ref());
        replace(&mut self.add_record_metadata, stream.add_record_metadata.as_ref());
        replace_some(&mut self.max_string_bytes, stream.max_string_bytes.as_ref());
    }
}

impl PartitionBy {
    /// The name of the partition key.
    pub fn key_name(&self) -> String {
        match (&self.name, self.granularity) {
            (Some(name), _) => name.clone(),
            (None, Some(Granularity::Day)) => "dt".into(),
            (None, Some(Granularity::Month)) => "month".into(),
            (None, Some(Granularity::Year)) => "year".into(),
            (None, None) => format!("p_{}", self.column),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn an_exact_name_wins_over_globs_and_a_longer_glob_over_a_shorter() {
        let config = config(
            r#"{"destination":"lake","shards":2,"streams":{
                "fact_events":{"shards":5},"*":{"shards":3,"row_group_mb":1},"fact_*":{"shards":4}}}"#,
        );
        assert_eq!(config.stream("fact_events").shards, 5);
        assert_eq!(config.stream("fact_events").row_group_bytes, MIB);
        assert_eq!(config.stream("fact_x").shards, 4);
        assert_eq!(config.stream("dim_media").shards, 3);
    }

    #[test]
    fn append_only_is_another_word_for_append() {
        let config = config(r#"{"destination":"lake","load_method":"append-only"}"#);
        assert_eq!(config.load_method, Some(LoadMethod::Append));
    }

    #[test]
    fn what_the_types_cannot_check_is_refused_with_its_key() {
        for (text, key) in [
            (r#"{"destination":""}"#, "destination"),
            (r#"{"destination":"gs://x"}"#, "destination"),
            (r#"{"destination":"x","shards":0}"#, "shards"),
            (r#"{"destination":"x","memory_mb":1}"#, "memory_mb"),
            (
                r#"{"destination":"x","compression":"zstd","compression_level":99}"#,
                "compression_level",
            ),
            (r#"{"destination":"x","streams":{"a":{"shards":0}}}"#, "streams.a.shards"),
            (
                r#"{"destination":"x","compression":"zstd","compression_level":22,"streams":{"a":{"compression":"gzip"}}}"#,
                "streams.a.compression_level",
            ),
            (r#"{"destination":"x","s3":{"access_key_id":"a"}}"#, "s3.access_key_id"),
            (r#"{"destination":"x","s3":{"external_id":"a"}}"#, "s3.external_id"),
            (r#"{"destination":"x","s3":{"sse":"AES256","kms_key_id":"a"}}"#, "s3.kms_key_id"),
        ] {
            let error = config(text).validate().unwrap_err().to_string();
            assert!(error.contains(&format!("`{key}`")), "{error}");
        }
    }
}
