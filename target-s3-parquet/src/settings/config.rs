//! All settings.

use std::collections::BTreeMap;
use std::path::PathBuf;

use program::settings;
use protocol::mapping::{Flattening, Mapper, StreamMaps};
use schemars::JsonSchema;
use serde::Deserialize;

use super::catalog::CatalogConfig;
use super::s3::S3Config;
use super::shards::Shards;
use super::stream::{
    Compression, LoadMethod, OnInvalid, PartitionBy, StreamConfig, StreamSettings, TableFormat,
};
use super::units::MIB;
use crate::error::Error;

/// More threads than any machine gives work to.
const MAX_THREADS: u32 = 256;

/// The most runs that are remembered of a table.
const MAX_HISTORY: u32 = 1000;

/// Settings of `target-s3-parquet`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub(crate) struct Config {
    /// Where the lake lives: `s3://bucket/prefix`, or the path of a folder.
    #[schemars(extend("examples" = ["s3://my-lake/wistia", "/var/lake"]))]
    pub(crate) destination: String,

    /// How to reach S3. Without it, region and credentials come from the usual AWS chain.
    #[serde(default)]
    pub(crate) s3: S3Config,

    /// How rows enter a table: `upsert` replaces rows of the same key, `append` adds, `overwrite`
    /// replaces the table once its stream was seen whole. Default: `upsert` where the stream has
    /// keys, else `append`. `append-only` is another word for `append`.
    pub(crate) load_method: Option<LoadMethod>,

    /// Splits every table into folders by one of its columns. Usually set per stream under
    /// `streams`.
    pub(crate) partition_by: Option<PartitionBy>,

    /// Codec of the Parquet pages. `snappy` is read by everything, Redshift Spectrum included.
    #[serde(default)]
    pub(crate) compression: Compression,

    /// Level of `zstd` (1 to 22, default 1) or `gzip` (0 to 9, default 6).
    pub(crate) compression_level: Option<u32>,

    /// Size at which a row group is closed, in MiB of encoded data.
    #[serde(default = "default_row_group_mb")]
    #[schemars(range(min = 1, max = 1024))]
    pub(crate) row_group_mb: u32,

    /// Objects per partition of an upserted table, 1 to 10000: rows belong to one by the hash of their
    /// key. With `auto`, as many as make objects of about 128 MB out of the first rows. It is fixed when
    /// the table is made.
    #[serde(default)]
    pub(crate) shards: Shards,

    /// What tables are to their readers: `parquet`, a folder of files with a folder for each partition, which
    /// crawlers, Redshift Spectrum and everything else read; or `iceberg`, an Iceberg table of version 2, of which a
    /// commit is one step and older snapshots stay readable for days. It is fixed when a table is made.
    #[serde(default)]
    pub(crate) table_format: TableFormat,

    /// Whether the old version of a row is taken out of its partition where the new one belongs to another,
    /// because the value of its partition column has changed. Off, a key may be in the table once a
    /// partition. On, each commit of an upserted table reads the key columns of all partitions that get
    /// no rows, but for row groups whose statistics say that they have none of the keys; on S3 the objects are
    /// downloaded for that. Where it is not set, the run that makes such a table asks for it by a warning.
    pub(crate) move_keys: Option<bool>,

    /// Memory for staged rows and open files, in MiB. What does not fit goes to temporary files.
    #[serde(default = "default_memory_mb")]
    #[schemars(range(min = 32))]
    pub(crate) memory_mb: u32,

    /// Threads that decode and encode; one more reads, and one stages rows. 0 is one for each core that
    /// the process may use, by its affinity and the CPU quota of its container. There is at most one for
    /// each 16 of `memory_mb`.
    #[serde(default)]
    #[schemars(range(max = MAX_THREADS))]
    pub(crate) threads: u32,

    /// Seconds between commits in a long run: after this time the next STATE is committed and given
    /// back. It is at least ten times as long as the last commit took, so that a first load does not
    /// write the same rows again and again.
    #[serde(default = "default_commit_interval_seconds")]
    pub(crate) commit_interval_seconds: u64,

    /// How many runs the lake remembers of each table, to say in the summary what is usual and to warn of a run that is
    /// unlike them: far fewer or more records, new nulls, a newest value that is too old. 0 remembers none.
    #[serde(default = "default_history_runs")]
    #[schemars(range(max = MAX_HISTORY))]
    pub(crate) history_runs: u32,

    /// What happens to a value that does not fit its column: `fail` stops the run with the line,
    /// column and value; `null` writes null and counts it in the summary. One that is too long to name its
    /// partition stays, and its row is in `__HIVE_DEFAULT_PARTITION__`.
    #[serde(default)]
    pub(crate) on_invalid: OnInvalid,

    /// Validate every record against its JSON Schema, all rules included. Costs speed; types are
    /// always checked.
    #[serde(default)]
    pub(crate) validate_records: bool,

    /// Add the SDK's `_sdc_*` columns to every table.
    #[serde(default)]
    pub(crate) add_record_metadata: bool,

    /// Cut strings at this many bytes, at a character's border, all but keys. Redshift reads at most
    /// 65535.
    pub(crate) max_string_bytes: Option<usize>,

    /// Folder for temporary files. Default: the system's.
    pub(crate) temp_dir: Option<String>,

    /// Folders and `s3://bucket/prefix` below which the files of BATCH messages are read: a message
    /// of the tap names them, and they are read with the rights of the target. Default: the system's
    /// temporary folder, and the bucket of `destination`.
    pub(crate) batch_from: Option<Vec<String>>,

    /// Where queries find the tables: the Glue Data Catalog.
    #[serde(default)]
    pub(crate) catalog: CatalogConfig,

    /// Renames, drops, copies and filters streams and their properties, in the form of the Meltano
    /// SDK: `{"users": {"__alias__": "people", "full_name": "name", "name": "__NULL__"}}`.
    #[serde(default)]
    pub(crate) stream_maps: StreamMaps,

    /// Make the properties of objects columns of their own, such as `address__city`; arrays and
    /// what is deeper become JSON text.
    #[serde(default)]
    pub(crate) flattening_enabled: bool,

    /// Levels of nesting that become columns. Default: all.
    pub(crate) flattening_max_depth: Option<usize>,

    /// What stands between the names of a flattened column.
    #[serde(default = "default_flattening_separator")]
    pub(crate) flattening_separator: String,

    /// Settings by stream name or glob, such as `{"fact_*": {"partition_by": …}}`. An exact name
    /// wins over a glob, a longer glob over a shorter one.
    #[serde(default)]
    pub(crate) streams: BTreeMap<String, StreamConfig>,
}

fn default_flattening_separator() -> String {
    Flattening::SEPARATOR.into()
}

fn default_row_group_mb() -> u32 {
    128
}

fn default_memory_mb() -> u32 {
    256
}

fn default_history_runs() -> u32 {
    14
}

fn default_commit_interval_seconds() -> u64 {
    300
}

impl Config {
    /// Checks what the types cannot. An entry of `streams` is checked with what it takes over from the
    /// settings for all streams.
    pub(crate) fn validate(&self) -> Result<(), Error> {
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
        for place in self.batch_from.iter().flatten() {
            let scheme = place.split_once("://").map(|(scheme, _)| scheme);
            let is_bucket = place
                .strip_prefix("s3://")
                .is_none_or(|path| !path.trim_start_matches('/').is_empty());
            if place.trim().is_empty()
                || !is_bucket
                || !matches!(scheme, None | Some("s3" | "file"))
            {
                let reason = format!("`{place}` is neither a folder nor s3://bucket/prefix");
                return fault("batch_from", reason);
            }
        }
        self.catalog.validate(&self.destination)?;
        let formats = self.streams.values().map(|stream| stream.table_format);
        let mut formats = formats.flatten().chain([self.table_format]);
        self.catalog.validate_for(formats.any(|format| format == TableFormat::Iceberg))?;
        if self.memory_mb < 32 {
            return fault("memory_mb", format!("{} is less than 32", self.memory_mb));
        }
        if self.history_runs > MAX_HISTORY {
            return fault(
                "history_runs",
                format!("{} is more than {MAX_HISTORY}", self.history_runs),
            );
        }
        if self.threads > MAX_THREADS {
            return fault("threads", format!("{} is more than {MAX_THREADS}", self.threads));
        }
        self.s3.validate()?;
        let all = StreamConfig {
            shards: Some(self.shards),
            move_keys: self.move_keys,
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
    pub(crate) fn stream(&self, name: &str) -> StreamSettings {
        let mut settings = StreamSettings {
            table: None,
            key_properties: None,
            columns: BTreeMap::new(),
            load_method: self.load_method,
            partition_by: self.partition_by.clone(),
            compression: self.compression,
            compression_level: self.compression_level,
            row_group_bytes: self.row_group_mb as usize * MIB,
            shards: self.shards,
            table_format: self.table_format,
            move_keys: self.move_keys,
            on_invalid: self.on_invalid,
            validate_records: self.validate_records,
            add_record_metadata: self.add_record_metadata,
            max_string_bytes: self.max_string_bytes,
        };
        let mut matching: Vec<_> = self
            .streams
            .iter()
            .filter(|(pattern, _)| {
                pattern.as_str() == name || wildmatch::WildMatch::new(pattern).matches(name)
            })
            .collect();
        matching.sort_by_key(|(pattern, _)| (pattern.as_str() == name, pattern.len()));
        for (pattern, stream) in matching {
            settings.lay_over(stream, pattern == name);
        }
        settings
    }

    /// Names in `streams` that are none of the `seen` streams' but nearly so, each with the one that
    /// may be meant.
    pub(crate) fn misnamed<'a>(&'a self, seen: &[&'a str]) -> Vec<(&'a str, &'a str)> {
        let is_plain = |name: &&str| !settings::is_glob(name) && !seen.contains(name);
        let names = self.streams.keys().map(String::as_str).filter(is_plain);
        let without = || seen.iter().copied().filter(|name| !self.streams.contains_key(*name));
        names.filter_map(|name| Some((name, settings::nearest(name, without())?))).collect()
    }

    /// How streams are mapped.
    pub(crate) fn mapper(&self) -> Mapper {
        let flattening = Flattening::of(
            self.flattening_enabled,
            self.flattening_max_depth,
            &self.flattening_separator,
        );
        Mapper::new(self.stream_maps.clone(), flattening)
    }

    /// The folder for temporary files.
    pub(crate) fn temp_dir(&self) -> PathBuf {
        self.temp_dir.as_ref().map_or_else(std::env::temp_dir, PathBuf::from)
    }

    /// What the lake gets of temporary files and S3.
    pub(crate) fn lake_options(&self) -> lake::Options {
        lake::Options {
            temp_dir: self.temp_dir(),
            s3: self.s3.options(),
            iceberg: self.catalog.iceberg(),
            ..lake::Options::default()
        }
    }

    /// The memory budget in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory_mb as usize * MIB
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
        assert_eq!(config.stream("fact_events").shards, Shards::Exactly(5));
        assert_eq!(config.stream("fact_events").row_group_bytes, MIB);
        assert_eq!(config.stream("fact_x").shards, Shards::Exactly(4));
        assert_eq!(config.stream("dim_media").shards, Shards::Exactly(3));
    }

    #[test]
    fn types_of_columns_are_laid_over_each_other_column_by_column() {
        let config = config(
            r#"{"destination":"lake","streams":{
                "*":{"columns":{"a":"int","b":"string"}},"x":{"columns":{"a":"decimal(38,10)"}}}}"#,
        );
        let typed = |name: &str| {
            let columns = config.stream(name).columns;
            let typed = columns.into_iter().map(|(name, typed)| (name, typed.must_exist));
            typed.collect::<Vec<_>>()
        };
        assert_eq!(typed("x"), [("a".to_owned(), true), ("b".to_owned(), false)]);
        assert_eq!(typed("y"), [("a".to_owned(), false), ("b".to_owned(), false)]);
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
            (
                r#"{"destination":"x","catalog":{"type":"rest","rest":{"uri":"https://h","namespace":"n"}}}"#,
                "catalog.type",
            ),
            (r#"{"destination":"x","batch_from":[""]}"#, "batch_from"),
            (r#"{"destination":"x","batch_from":["/a","s3://"]}"#, "batch_from"),
            (r#"{"destination":"x","batch_from":["gs://b/x"]}"#, "batch_from"),
            (r#"{"destination":"x","memory_mb":1}"#, "memory_mb"),
            (r#"{"destination":"x","threads":257}"#, "threads"),
            (r#"{"destination":"x","history_runs":1001}"#, "history_runs"),
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

    #[test]
    fn a_name_much_like_one_that_came_is_found_and_a_glob_or_another_name_is_not() {
        let config = config(
            r#"{"destination":"x","streams":{"fact_evnts":{},"fact_*":{},"dim_media":{},"quite_else":{}}}"#,
        );
        let found = config.misnamed(&["fact_events", "dim_media"]);
        assert_eq!(found, [("fact_evnts", "fact_events")]);
        assert!(config.misnamed(&[]).is_empty());
    }

    #[test]
    fn sizes_are_bytes_and_the_folder_for_temporary_files_is_the_systems_unless_it_is_set() {
        let config = config(r#"{"destination":"x","memory_mb":64}"#);
        assert_eq!(config.memory_bytes(), 64 << 20);
        assert_eq!(config.lake_options().temp_dir, std::env::temp_dir());
        let own: Config = serde_json::from_str(r#"{"destination":"x","temp_dir":"/own"}"#).unwrap();
        assert_eq!(own.lake_options().temp_dir, PathBuf::from("/own"));
    }

    #[test]
    fn defaults_stand_in_the_schema() {
        let schema = settings::schema::<Config>();
        for (pointer, default) in [
            // A default of an enum only stands there if the enum can be serialized.
            ("/properties/compression/default", "snappy"),
            ("/properties/s3/properties/checksum/default", "when_supported"),
        ] {
            let found = schema.pointer(pointer).and_then(serde_json::Value::as_str);
            assert_eq!(found, Some(default), "{pointer}");
        }
    }
}
