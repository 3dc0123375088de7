//! The metadata of a table: JSON of which everything is kept that others have put into it
//! (<https://iceberg.apache.org/spec/#table-metadata>).

use std::io::Read as _;

use flate2::read::GzDecoder;
use serde_json::{Value, json};

use crate::error::{Error, Result};

/// The version of the format that is written.
const VERSION: i64 = 2;

/// How old metadata files are dealt with: each commit leaves one.
const PREVIOUS_VERSIONS: &str = "write.metadata.previous-versions-max";

/// The metadata of a table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Metadata {
    json: Value,
}

/// A snapshot of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Snapshot<'a>(&'a Value);

impl Metadata {
    /// Reads a metadata file, compressed or not; `object` names it in errors.
    pub(crate) fn parse(bytes: &[u8], object: &str) -> Result<Self> {
        let damaged =
            |reason: String| Error::store("read", object, format!("it is damaged: {reason}"));
        let mut plain = Vec::new();
        let bytes = if bytes.starts_with(&[0x1f, 0x8b]) {
            GzDecoder::new(bytes)
                .read_to_end(&mut plain)
                .map_err(|error| damaged(error.to_string()))?;
            &plain
        } else {
            bytes
        };
        let json = serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
        Self::new(json, object)
    }

    /// Takes metadata that came as JSON.
    pub(crate) fn new(json: Value, object: &str) -> Result<Self> {
        let refused = |reason: String| Err(Error::store("read", object, reason));
        match json["format-version"].as_i64() {
            Some(VERSION) => {}
            Some(other) => {
                return refused(format!(
                    "it is of version {other} of Iceberg's format; this program reads and writes version {VERSION}"
                ));
            }
            None => return refused("it is no metadata of an Iceberg table".into()),
        }
        for key in ["table-uuid", "location"] {
            if !json[key].is_string() {
                return refused(format!("it is damaged: it has no `{key}`"));
            }
        }
        for key in ["schemas", "partition-specs"] {
            if !json[key].is_array() {
                return refused(format!("it is damaged: it has no `{key}`"));
            }
        }
        let metadata = Self { json };
        // Taken for a table that holds nothing, its rows would be gone with the next commit.
        match metadata.json["current-snapshot-id"].as_i64() {
            Some(current) if current >= 0 && metadata.snapshot(current).is_none() => refused(
                format!("it is damaged: its current snapshot {current} is none of its snapshots"),
            ),
            Some(_) | None => Ok(metadata),
        }
    }

    /// The metadata of a table that has nothing yet.
    pub(crate) fn empty(
        location: &str,
        schema: &Value,
        last_column: i64,
        spec: &Value,
        properties: &Value,
    ) -> Self {
        let fields = spec.as_array().map_or(0, Vec::len);
        Self {
            json: json!({
                "format-version": VERSION,
                "table-uuid": uuid(),
                "location": location,
                "last-sequence-number": 0,
                "last-updated-ms": chrono::Utc::now().timestamp_millis(),
                "last-column-id": last_column,
                "current-schema-id": 0,
                "schemas": [schema],
                "default-spec-id": 0,
                "partition-specs": [{"spec-id": 0, "fields": spec}],
                "last-partition-id": 999 + fields,
                "default-sort-order-id": 0,
                "sort-orders": [{"order-id": 0, "fields": []}],
                "properties": properties,
                "current-snapshot-id": -1,
                "refs": {},
                "snapshots": [],
                "statistics": [],
                "partition-statistics": [],
                "snapshot-log": [],
                "metadata-log": [],
            }),
        }
    }

    /// The text to store.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(&self.json).map_err(|error| Error::broken("metadata is JSON", error))
    }

    /// All of it.
    pub(crate) fn json(&self) -> &Value {
        &self.json
    }

    /// All of it, to change it.
    pub(super) fn json_mut(&mut self) -> &mut Value {
        &mut self.json
    }

    /// Where the table lies: a URL, or a path.
    pub(crate) fn location(&self) -> &str {
        self.json["location"].as_str().unwrap_or_default()
    }

    /// What names the table whatever it is called: another one is another table.
    pub(crate) fn uuid(&self) -> &str {
        self.json["table-uuid"].as_str().unwrap_or_default()
    }

    /// When it was made, in milliseconds since 1970.
    pub(super) fn updated(&self) -> i64 {
        self.json["last-updated-ms"].as_i64().unwrap_or(0)
    }

    /// A property of the table.
    pub(super) fn property(&self, key: &str) -> Option<&str> {
        self.json["properties"][key].as_str()
    }

    /// How many earlier metadata files are kept.
    pub(super) fn previous_versions(&self) -> usize {
        self.property(PREVIOUS_VERSIONS).and_then(|most| most.parse().ok()).unwrap_or(100)
    }

    /// The schema that rows are written in.
    pub(super) fn schema(&self) -> &Value {
        by_id(&self.json["schemas"], "schema-id", &self.json["current-schema-id"])
            .unwrap_or(&Value::Null)
    }

    /// The fields of the partition spec that files are written by.
    pub(super) fn default_spec(&self) -> &Value {
        self.spec(self.default_spec_id())
    }

    /// Which of the partition specs files are written by.
    pub(crate) fn default_spec_id(&self) -> i64 {
        self.json["default-spec-id"].as_i64().unwrap_or(0)
    }

    /// The fields of a partition spec.
    pub(super) fn spec(&self, id: i64) -> &Value {
        by_id(&self.json["partition-specs"], "spec-id", &id.into())
            .map_or(&Value::Null, |spec| &spec["fields"])
    }

    /// All snapshots.
    pub(super) fn snapshots(&self) -> impl Iterator<Item = Snapshot<'_>> {
        self.json["snapshots"].as_array().into_iter().flatten().map(Snapshot)
    }

    /// A snapshot that has not expired.
    pub(super) fn snapshot(&self, id: i64) -> Option<Snapshot<'_>> {
        self.snapshots().find(|snapshot| snapshot.id() == id)
    }

    /// What the table holds now, if it ever held something.
    pub(crate) fn current(&self) -> Option<Snapshot<'_>> {
        self.snapshot(self.json["current-snapshot-id"].as_i64()?)
    }

    /// The current snapshot and those that it came from, the newest first, as far as they have not expired.
    pub(crate) fn history(&self) -> impl Iterator<Item = Snapshot<'_>> {
        std::iter::successors(self.current(), |newer| self.snapshot(newer.parent()?))
    }

    /// Names of branches and tags with the snapshots that they stand for.
    pub(super) fn refs(&self) -> impl Iterator<Item = (&str, i64)> {
        let refs = self.json["refs"].as_object().into_iter().flatten();
        refs.filter_map(|(name, to)| Some((name.as_str(), to["snapshot-id"].as_i64()?)))
    }
}

impl<'a> Snapshot<'a> {
    /// Its number.
    pub(crate) fn id(self) -> i64 {
        self.0["snapshot-id"].as_i64().unwrap_or(-1)
    }

    /// The one that it came from.
    pub(super) fn parent(self) -> Option<i64> {
        self.0["parent-snapshot-id"].as_i64()
    }

    /// When it was made, in milliseconds since 1970.
    pub(crate) fn made(self) -> i64 {
        self.0["timestamp-ms"].as_i64().unwrap_or(0)
    }

    /// Where the list of its manifests is.
    pub(super) fn manifest_list(self) -> &'a str {
        self.0["manifest-list"].as_str().unwrap_or_default()
    }

    /// What its summary says.
    pub(crate) fn note(self, key: &str) -> Option<&'a str> {
        self.0["summary"][key].as_str()
    }

    /// A number of its summary; 0 where it says nothing of it.
    pub(super) fn count(self, key: &str) -> i64 {
        self.note(key).and_then(|count| count.parse().ok()).unwrap_or(0)
    }
}

/// The item of a list with this id.
pub(super) fn by_id<'a>(list: &'a Value, key: &str, id: &Value) -> Option<&'a Value> {
    list.as_array()?.iter().find(|item| item[key] == *id)
}

/// Adds an item to a list of the metadata.
pub(super) fn push(json: &mut Value, key: &str, item: Value) {
    match json[key].as_array_mut() {
        Some(list) => list.push(item),
        None => json[key] = json!([item]),
    }
}

/// Leaves out what is too old of the log of metadata files. The files that go with it.
pub(super) fn cut_log(json: &mut Value, most: usize) -> Vec<String> {
    let Some(log) = json["metadata-log"].as_array_mut() else { return Vec::new() };
    let gone = log.drain(..log.len().saturating_sub(most));
    gone.filter_map(|old| old["metadata-file"].as_str().map(str::to_owned)).collect()
}

/// A number that nothing else has: of a snapshot it must be positive.
pub(super) fn random() -> i64 {
    i64::try_from(uuid::Uuid::new_v4().as_u64_pair().0 >> 1).unwrap_or(1).max(1)
}

/// A name that nothing else has.
pub(super) fn uuid() -> String {
    uuid::Uuid::new_v4().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> Value {
        let spec = json!([]);
        let schema = json!({"type": "struct", "schema-id": 0, "fields": []});
        Metadata::empty("s3://b/t", &schema, 0, &spec, &json!({})).json
    }

    #[test]
    fn metadata_is_read_plain_and_compressed_with_what_nobody_knows_of_it() {
        use std::io::Write as _;
        let mut json = text();
        json["x-theirs"] = json!({"kept": [1, "two"]});
        let plain = serde_json::to_vec(&json).unwrap();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(&plain).unwrap();
        for bytes in [plain, gzip.finish().unwrap()] {
            let metadata = Metadata::parse(&bytes, "o").unwrap();
            assert_eq!(serde_json::from_slice::<Value>(&metadata.bytes().unwrap()).unwrap(), json);
        }
    }

    #[test]
    fn what_is_cut_or_of_another_version_is_refused_by_name() {
        let whole = serde_json::to_vec(&text()).unwrap();
        let mut headless = text();
        headless["current-snapshot-id"] = 7.into();
        let headless = serde_json::to_vec(&headless).unwrap();
        for (bytes, reason) in [
            (whole[..whole.len() / 2].to_vec(), "damaged"),
            (b"\x1f\x8b\x08cut".to_vec(), "damaged"),
            (b"{}".to_vec(), "no metadata of an Iceberg table"),
            (br#"{"format-version": 3}"#.to_vec(), "version 3"),
            (br#"{"format-version": 2, "table-uuid": "u"}"#.to_vec(), "`location`"),
            (headless, "current snapshot 7"),
        ] {
            let error = Metadata::parse(&bytes, "m/v1.metadata.json").unwrap_err();
            let told = format!("{error}: {}", std::error::Error::source(&error).unwrap());
            assert!(told.contains("m/v1.metadata.json") && told.contains(reason), "{told}");
        }
    }

    #[test]
    fn history_goes_back_to_where_it_has_expired() {
        let mut json = text();
        json["snapshots"] = json!([
            {"snapshot-id": 2, "parent-snapshot-id": 1, "summary": {"x.run": "b"}},
            {"snapshot-id": 3, "parent-snapshot-id": 2, "summary": {"x.run": "c"}},
        ]);
        json["current-snapshot-id"] = 3.into();
        let metadata = Metadata::new(json, "o").unwrap();
        let runs: Vec<_> =
            metadata.history().filter_map(|snapshot| snapshot.note("x.run")).collect();
        assert_eq!(runs, ["c", "b"]);
    }
}
