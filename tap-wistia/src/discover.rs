//! The catalog of the tap, and what a catalog selects.

use protocol::singer::{Catalog, CatalogEntry, MetadataEntry, Selection};
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::stream::Stream;
use crate::streams;

/// Streams and what is selected of them.
pub(crate) type Selected = Vec<(&'static Stream, Selection)>;

/// The catalog of all streams.
pub(crate) fn catalog() -> Catalog {
    Catalog { streams: streams::all().map(entry).collect() }
}

/// The catalog as it is written down.
pub(crate) fn document() -> String {
    pretty(&json!(catalog()))
}

/// A JSON document, indented, with a line break at its end.
pub(crate) fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

fn entry(stream: &Stream) -> CatalogEntry {
    let schema = (stream.schema)();
    let mut root = Map::new();
    root.insert("inclusion".into(), json!("available"));
    root.insert("selected-by-default".into(), json!(stream.selected_by_default));
    root.insert("table-key-properties".into(), json!(stream.keys));
    root.insert("forced-replication-method".into(), json!(method(stream)));
    if let Some(key) = stream.replication_key {
        root.insert("valid-replication-keys".into(), json!([key]));
    }
    let mut metadata = vec![MetadataEntry { breadcrumb: Vec::new(), metadata: root }];
    describe(&schema, &mut Vec::new(), stream.keys, &mut metadata);
    CatalogEntry {
        tap_stream_id: stream.name.into(),
        stream: Some(stream.name.into()),
        key_properties: Some(stream.keys.iter().map(|key| (*key).into()).collect()),
        replication_method: Some(method(stream).into()),
        replication_key: stream.replication_key.map(Into::into),
        selected: None,
        schema,
        metadata,
    }
}

fn method(stream: &Stream) -> &'static str {
    if stream.replication_key.is_some() { "INCREMENTAL" } else { "FULL_TABLE" }
}

/// Metadata for every property, those inside objects too.
fn describe(
    schema: &Value,
    breadcrumb: &mut Vec<String>,
    keys: &[&str],
    metadata: &mut Vec<MetadataEntry>,
) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    for (name, property) in properties {
        breadcrumb.extend(["properties".to_owned(), name.clone()]);
        let is_key = breadcrumb.len() == 2 && keys.contains(&name.as_str());
        let mut own = Map::new();
        own.insert("inclusion".into(), json!(if is_key { "automatic" } else { "available" }));
        metadata.push(MetadataEntry { breadcrumb: breadcrumb.clone(), metadata: own });
        describe(property, breadcrumb, keys, metadata);
        breadcrumb.truncate(breadcrumb.len() - 2);
    }
}

/// What a tap without a catalog reads.
pub(crate) fn default_selection() -> Selected {
    streams::all()
        .filter(|stream| stream.selected_by_default)
        .map(|stream| (stream, Selection::all((stream.schema)())))
        .collect()
}

/// What a catalog file selects.
pub(crate) fn selection(name: &str, text: &str) -> Result<Selected> {
    let mut deserializer = serde_json::Deserializer::from_str(text.trim_start_matches('\u{feff}'));
    let catalog: Catalog = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| {
            let (path, reason) = (error.path().to_string(), error.inner().to_string());
            let reason = if path == "." { reason } else { format!("{reason}, at `{path}`") };
            Error::Document { name: name.into(), what: "catalog", reason }
        })
        .and_then(|catalog| {
            deserializer.end().map(|()| catalog).map_err(|error| Error::Document {
                name: name.into(),
                what: "catalog",
                reason: error.to_string(),
            })
        })?;
    for entry in &catalog.streams {
        if streams::by_name(&entry.tap_stream_id).is_none() {
            return Err(Error::UnknownStream {
                catalog: name.into(),
                stream: entry.tap_stream_id.clone(),
            });
        }
    }
    // In the order of dependency, whatever the order in the file.
    let mut selected = Vec::new();
    for stream in streams::all() {
        let entry = catalog.streams.iter().find(|entry| entry.tap_stream_id == stream.name);
        if let Some(entry) = entry.filter(|entry| entry.is_selected()) {
            selected.push((stream, entry.selection(&(stream.schema)(), stream.keys)));
        }
    }
    Ok(selected)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// Compares a generated document with the file that is kept in the repository, or writes it
    /// where UPDATE is set.
    fn check(path: &str, text: &str) {
        let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&file, text).unwrap();
        }
        let kept = std::fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(kept, text, "{path} is out of date: run `UPDATE=1 cargo test -p tap-wistia`");
    }

    #[test]
    fn schemas_and_catalog_are_those_of_the_record_types() {
        for stream in streams::all() {
            check(&format!("schemas/{}.json", stream.name), &pretty(&(stream.schema)()));
        }
        check("catalog.json", &document());
    }

    #[test]
    fn the_discovered_catalog_selects_what_no_catalog_selects() {
        let names = |selected: Selected| selected.iter().map(|(s, _)| s.name).collect::<Vec<_>>();
        let discovered = selection("catalog.json", &document()).unwrap();
        assert_eq!(names(discovered), names(default_selection()));
    }

    #[test]
    fn an_unknown_stream_and_a_damaged_catalog_are_errors() {
        let unknown =
            selection("c.json", r#"{"streams":[{"tap_stream_id":"videos"}]}"#).unwrap_err();
        assert!(unknown.to_string().contains("`videos`"), "{unknown}");
        let damaged = selection("c.json", r#"{"streams":[{}]}"#).unwrap_err();
        assert!(damaged.to_string().contains("tap_stream_id"), "{damaged}");
    }
}
