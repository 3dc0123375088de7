//! Catalogs: what a source has, and what of it is read and written, and how.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// What a source has to read.
#[derive(Debug, Serialize)]
pub struct Catalog {
    /// The streams.
    pub streams: Vec<Stream>,
}

/// A stream. Of one that is read only the name is certain to be there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Stream {
    /// Its name.
    pub name: String,
    /// What its name belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// JSON Schema of its records.
    #[serde(default)]
    pub json_schema: Value,
    /// How it can be read.
    #[serde(default, deserialize_with = "or_default")]
    pub supported_sync_modes: Vec<SyncMode>,
    /// Whether the source alone decides where an increment begins.
    #[serde(default, deserialize_with = "or_default")]
    pub source_defined_cursor: bool,
    /// Path of the field that increments follow.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub default_cursor_field: Vec<String>,
    /// Paths of the key fields.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub source_defined_primary_key: Vec<Vec<String>>,
    /// Whether a read that broke off can go on where it was.
    #[serde(default, deserialize_with = "or_default")]
    pub is_resumable: bool,
    /// Whether it is made of files.
    #[serde(default, deserialize_with = "or_default")]
    pub is_file_based: bool,
}

/// How a stream is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncMode {
    /// All of it.
    FullRefresh,
    /// What is new.
    Incremental,
}

/// How a stream is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DestinationSyncMode {
    /// It takes the place of what was there.
    Overwrite,
    /// It is added.
    Append,
    /// It is added, and the newest row of each key stays.
    AppendDedup,
    /// Rows are changed.
    Update,
    /// Rows are marked as gone.
    SoftDelete,
}

impl fmt::Display for DestinationSyncMode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(formatter)
    }
}

/// The streams of a sync.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ConfiguredCatalog {
    /// The streams.
    #[serde(deserialize_with = "or_default")]
    pub streams: Vec<ConfiguredStream>,
}

/// A stream of a sync.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ConfiguredStream {
    /// The stream.
    pub stream: Stream,
    /// How it is read.
    pub sync_mode: Option<SyncMode>,
    /// How it is written.
    pub destination_sync_mode: Option<DestinationSyncMode>,
    /// Path of the field that increments follow.
    #[serde(default, deserialize_with = "or_default")]
    pub cursor_field: Vec<String>,
    /// Paths of the key fields.
    #[serde(default, deserialize_with = "or_default")]
    pub primary_key: Vec<Vec<String>>,
    /// The generation of the rows that are written.
    pub generation_id: Option<i64>,
    /// Rows of older generations go when the stream is complete.
    pub minimum_generation_id: Option<i64>,
    /// Number of the sync.
    pub sync_id: Option<i64>,
    /// What the stream shall be called in the destination.
    pub destination_object_name: Option<String>,
}

/// A stream's name and its namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub struct StreamName {
    /// The name.
    pub name: String,
    /// What it belongs to. An empty one is none.
    #[serde(default, deserialize_with = "not_empty")]
    pub namespace: Option<String>,
}

impl fmt::Display for StreamName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(formatter, "{namespace}.{}", self.name),
            None => formatter.write_str(&self.name),
        }
    }
}

impl ConfiguredCatalog {
    /// Reads a catalog file. The error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim_start_matches('\u{feff}');
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let catalog = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
            let (path, reason) = (error.path().to_string(), error.inner());
            if path == "." { reason.to_string() } else { format!("{reason}, at `{path}`") }
        })?;
        deserializer.end().map_err(|error| error.to_string())?;
        Ok(catalog)
    }
}

impl ConfiguredStream {
    /// The stream's full name.
    pub fn name(&self) -> StreamName {
        let namespace = self.stream.namespace.clone().filter(|name| !name.is_empty());
        StreamName { name: self.stream.name.clone(), namespace }
    }

    /// Paths of the key fields: the user's, else the source's.
    pub fn keys(&self) -> &[Vec<String>] {
        if self.primary_key.is_empty() {
            &self.stream.source_defined_primary_key
        } else {
            &self.primary_key
        }
    }
}

/// Null is the same as absent.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn not_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_optional_field_may_be_absent_or_null() {
        let nulls = r#"{"streams":[{"stream":{"name":"s","namespace":null,"json_schema":{},"supported_sync_modes":null,
            "source_defined_cursor":null,"default_cursor_field":null,"source_defined_primary_key":null,"is_resumable":null,
            "is_file_based":null},"sync_mode":null,"destination_sync_mode":null,"cursor_field":null,"primary_key":null,
            "generation_id":null,"minimum_generation_id":null,"sync_id":null,"include_files":null,
            "destination_object_name":null}],"whatever":1}"#;
        let absent = r#"{"streams":[{"stream":{"name":"s","json_schema":{}}}]}"#;
        let catalog = ConfiguredCatalog::parse(nulls).unwrap();
        assert_eq!(catalog, ConfiguredCatalog::parse(absent).unwrap());
        assert_eq!(catalog.streams[0].name().to_string(), "s");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let error = ConfiguredCatalog::parse(
            r#"{"streams":[{"stream":{"name":"s"},"sync_mode":"INVALID"}]}"#,
        )
        .unwrap_err();
        assert!(error.contains("INVALID") && error.contains("streams[0].sync_mode"), "{error}");
        assert!(ConfiguredCatalog::parse(r#"{"streams":[]} x"#).is_err());
    }
}
