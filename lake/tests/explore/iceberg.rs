//! An Iceberg table as a reader finds it who knows nothing of the lake: what metadata, lists and manifests say by the
//! specification (<https://iceberg.apache.org/spec/>), read by the Avro crate alone.

use std::collections::{BTreeMap, BTreeSet};

use apache_avro::types::Value;
use lake::Result;
use lake::store::{MemoryStore, Store};
use serde_json::Value as Json;

/// What the keys of the lake's notes in summaries begin with.
const NOTES: &str = "lake.";

/// Whether a table is one of Iceberg: its files are in folders that those of a plain table are not in.
pub(crate) fn is_one(store: &dyn Store, table: &str) -> Result<bool> {
    let listed = store.list(&format!("{table}/"))?;
    let folders = [format!("{table}/metadata/"), format!("{table}/data/")];
    Ok(listed.iter().any(|object| folders.iter().any(|folder| object.key.starts_with(folder))))
}

/// The metadata of a table at a moment.
pub(crate) struct Metadata {
    table: String,
    pub(crate) version: u64,
    json: Json,
}

/// A data file of a snapshot.
pub(crate) struct DataFile {
    pub(crate) key: String,
    size: u64,
    rows: i64,
}

impl Metadata {
    /// The newest version of those that there are; nothing of a table that is not made yet.
    pub(crate) fn newest(store: &dyn Store, table: &str) -> Result<Option<Self>> {
        let prefix = format!("{table}/metadata/v");
        let listed = store.list(&prefix)?;
        let versions = listed.iter().filter_map(|object| {
            object.key.strip_prefix(&prefix)?.strip_suffix(".metadata.json")?.parse().ok()
        });
        versions.max().map(|version| Self::read(store, table, version)).transpose()
    }

    /// The version that the hint names, which is where readers of a folder begin.
    pub(crate) fn hint(store: &dyn Store, table: &str) -> Result<Option<u64>> {
        let hint = store.get(&format!("{table}/metadata/version-hint.text"))?;
        Ok(hint.map(|(_, hint)| String::from_utf8(hint).unwrap().parse().unwrap()))
    }

    /// A version of it, which must be there.
    pub(crate) fn read(store: &dyn Store, table: &str, version: u64) -> Result<Self> {
        let text = content(store, &format!("{table}/metadata/v{version}.metadata.json"))?;
        let json = serde_json::from_slice(&text).unwrap();
        Ok(Self { table: table.to_owned(), version, json })
    }

    fn snapshots(&self) -> impl Iterator<Item = &Json> {
        self.json["snapshots"].as_array().unwrap().iter()
    }

    fn snapshot(&self, id: &Json) -> Option<&Json> {
        self.snapshots().find(|snapshot| snapshot["snapshot-id"] == *id)
    }

    /// The newest snapshot and those before it.
    fn history(&self) -> impl Iterator<Item = &Json> {
        let newest = self.snapshot(&self.json["current-snapshot-id"]);
        std::iter::successors(newest, |newer| self.snapshot(&newer["parent-snapshot-id"]))
    }

    /// The state that covers the rows, as the newest snapshot has it that has one.
    pub(crate) fn state(&self) -> Option<&str> {
        let key = format!("{NOTES}state");
        self.history().find_map(|snapshot| snapshot["summary"][&key].as_str())
    }

    /// The type of a column by the current schema, with its id.
    fn column(&self, name: &str) -> (&str, i64) {
        let schemas = self.json["schemas"].as_array().unwrap();
        let current =
            schemas.iter().find(|schema| schema["schema-id"] == self.json["current-schema-id"]);
        let fields = current.unwrap()["fields"].as_array().unwrap();
        let field = fields.iter().find(|field| field["name"] == name).unwrap();
        (field["type"].as_str().unwrap(), field["id"].as_i64().unwrap())
    }

    /// Whether a file's column is the table's: it has its id, and its type or one that is promoted to it.
    pub(crate) fn check_column(&self, name: &str, id: i64, kind: &str, what: &str) {
        let (of_table, known) = self.column(name);
        assert_eq!(id, known, "{what}: a file's column {name} has another id than the table's");
        let fits = match of_table {
            "long" => matches!(kind, "Int64" | "Int32"),
            "int" => kind == "Int32",
            "double" => kind == "Float64",
            "string" => kind == "Utf8",
            other => panic!("{what}: column {name} is a {other}"),
        };
        assert!(fits, "{what}: a file's column {name} is {kind}, and the table's {of_table}");
    }

    /// The key of what the table's metadata calls by a path.
    fn key(&self, path: &str) -> String {
        let location = self.json["location"].as_str().unwrap();
        let inner = path.strip_prefix(location);
        format!("{}{}", self.table, inner.unwrap_or_else(|| panic!("{path} is not of the table")))
    }

    /// The data files of the newest snapshot.
    pub(crate) fn files(&self, store: &dyn Store) -> Result<Vec<DataFile>> {
        self.history().next().map_or_else(|| Ok(Vec::new()), |newest| self.files_of(store, newest))
    }

    fn files_of(&self, store: &dyn Store, snapshot: &Json) -> Result<Vec<DataFile>> {
        let mut files = Vec::new();
        let list = self.key(snapshot["manifest-list"].as_str().unwrap());
        for manifest in records(&content(store, &list)?) {
            assert_eq!(number(&manifest, "content"), 0, "nobody writes delete files");
            let manifest = self.key(text(&manifest, "manifest_path"));
            for entry in records(&content(store, &manifest)?) {
                let file = field(&entry, "data_file");
                // 2 is one that the snapshot has taken away.
                if number(&entry, "status") != 2 {
                    files.push(DataFile {
                        key: self.key(text(file, "file_path")),
                        size: u64::try_from(number(file, "file_size_in_bytes")).unwrap(),
                        rows: number(file, "record_count"),
                    });
                }
            }
        }
        Ok(files)
    }

    /// Each snapshot can be read: whoever has begun with it, or asks for it by its number, finds all that it names,
    /// and as much as it says.
    fn check(&self, store: &MemoryStore, what: &str) {
        let sizes: BTreeMap<String, u64> = store
            .list(&format!("{}/data/", self.table))
            .unwrap()
            .into_iter()
            .map(|o| (o.key, o.size))
            .collect();
        for snapshot in self.snapshots() {
            let id = &snapshot["snapshot-id"];
            let files = self.files_of(store, snapshot).unwrap();
            let keys: BTreeSet<&String> = files.iter().map(|file| &file.key).collect();
            assert_eq!(keys.len(), files.len(), "{what}: snapshot {id} names a file twice");
            for file in &files {
                let size = sizes.get(&file.key);
                assert_eq!(size, Some(&file.size), "{what}: {} of snapshot {id}", file.key);
            }
            let total = |key: &str| -> i64 {
                snapshot["summary"][key].as_str().map_or(0, |total| total.parse().unwrap())
            };
            let rows: i64 = files.iter().map(|file| file.rows).sum();
            assert_eq!(total("total-records"), rows, "{what}: the rows of snapshot {id}");
            assert_eq!(
                usize::try_from(total("total-data-files")),
                Ok(files.len()),
                "{what}: the files of snapshot {id}"
            );
        }
        for (name, to) in self.json["refs"].as_object().unwrap() {
            let is_there = self.snapshot(&to["snapshot-id"]).is_some();
            assert!(is_there, "{what}: {name} names a snapshot that is not there");
        }
        let newest = &self.json["current-snapshot-id"];
        assert!(
            newest.as_i64() == Some(-1) || self.snapshot(newest).is_some(),
            "{what}: the newest snapshot is not there"
        );
    }
}

/// What must hold of an Iceberg table at every moment, whatever it holds: that of each snapshot can be read all, by who
/// looks for the newest metadata and by who takes the hint for it.
pub(crate) fn check(store: &MemoryStore, table: &str, what: &str) {
    let Some(newest) = Metadata::newest(store, table).unwrap() else { return };
    newest.check(store, what);
    let Some(hint) = Metadata::hint(store, table).unwrap() else { return };
    assert!(hint <= newest.version, "{what}: the hint of {table} is ahead");
    if hint < newest.version {
        Metadata::read(store, table, hint).unwrap().check(store, what);
    }
}

/// What must hold once a run has come to its end: who takes the hint finds the newest.
pub(crate) fn check_hint(store: &MemoryStore, table: &str, what: &str) {
    let newest = Metadata::newest(store, table).unwrap().map(|newest| newest.version);
    let hint = Metadata::hint(store, table).unwrap();
    assert_eq!(hint, newest, "{what}: the hint of {table} is behind");
}

/// What an object that metadata names holds, which must be there.
fn content(store: &dyn Store, key: &str) -> Result<Vec<u8>> {
    let found = store.get(key)?;
    Ok(found.unwrap_or_else(|| panic!("{key} is named by the table's metadata, and is gone")).1)
}

/// Whether an object is a manifest or a list of some.
pub(crate) fn is_manifest(key: &str) -> bool {
    key.strip_suffix("avro").is_some()
}

/// The records of an Avro file.
pub(crate) fn records(bytes: &[u8]) -> Vec<Value> {
    apache_avro::Reader::new(bytes).unwrap().map(std::result::Result::unwrap).collect()
}

fn field<'a>(record: &'a Value, name: &str) -> &'a Value {
    let Value::Record(fields) = record else { panic!("{record:?} is no record") };
    let field = fields.iter().find(|(field, _)| field == name);
    match &field.unwrap_or_else(|| panic!("it has no {name}")).1 {
        Value::Union(_, inner) => inner,
        value => value,
    }
}

fn number(record: &Value, name: &str) -> i64 {
    match field(record, name) {
        Value::Int(number) => i64::from(*number),
        Value::Long(number) => *number,
        other => panic!("{name} is {other:?}"),
    }
}

fn text<'a>(record: &'a Value, name: &str) -> &'a str {
    match field(record, name) {
        Value::String(text) => text,
        other => panic!("{name} is {other:?}"),
    }
}
