//! Catalogs and what they select.
//!
//! The rules are those of the Meltano SDK: `unsupported` is never selected and `automatic` always;
//! else `selected` decides, else `selected-by-default`, else the parent.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// A Singer catalog.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Catalog {
    /// The streams.
    pub streams: Vec<CatalogEntry>,
}

/// A stream in a catalog.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CatalogEntry {
    /// Its name in the tap.
    pub tap_stream_id: String,
    /// Its name in messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// Its key columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_properties: Option<Vec<String>>,
    /// `FULL_TABLE` or `INCREMENTAL`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replication_method: Option<String>,
    /// The column that bookmarks are about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replication_key: Option<String>,
    /// The legacy way to select a stream.
    #[serde(default, deserialize_with = "flag", skip_serializing_if = "Option::is_none")]
    pub selected: Option<bool>,
    /// Its JSON Schema.
    #[serde(default)]
    pub schema: Value,
    /// Metadata of the stream and its properties.
    #[serde(default)]
    pub metadata: Vec<MetadataEntry>,
}

/// Metadata of a stream (empty breadcrumb) or of a property.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetadataEntry {
    /// Path to the property: `["properties", "a", "properties", "b"]`.
    pub breadcrumb: Vec<String>,
    /// The metadata.
    pub metadata: Map<String, Value>,
}

/// What a catalog selects of one stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// The schema of what is sent.
    pub schema: Value,
    /// Which fields are sent.
    pub fields: Fields,
}

/// The fields of records that are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fields {
    /// All of them.
    All,
    /// Those that the selection's schema has.
    Some,
}

/// A flag, which the specification's own examples write as text.
fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    Ok(as_flag(&Value::deserialize(deserializer)?))
}

fn as_flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

impl CatalogEntry {
    fn metadata_of(&self, breadcrumb: &[String]) -> Option<&Map<String, Value>> {
        self.metadata
            .iter()
            .find(|entry| entry.breadcrumb == breadcrumb)
            .map(|entry| &entry.metadata)
    }

    fn decides(&self, breadcrumb: &[String], parent: bool) -> bool {
        let Some(metadata) = self.metadata_of(breadcrumb) else { return parent };
        match metadata.get("inclusion").and_then(Value::as_str) {
            Some("unsupported") => return false,
            Some("automatic") => return true,
            _ => {}
        }
        let flag = |key: &str| metadata.get(key).and_then(as_flag);
        flag("selected").or_else(|| flag("selected-by-default")).unwrap_or(parent)
    }

    /// Whether the stream is selected.
    pub fn is_selected(&self) -> bool {
        let metadata = self.metadata_of(&[]);
        let flag = |key: &str| metadata.and_then(|metadata| metadata.get(key)).and_then(as_flag);
        if metadata.and_then(|m| m.get("inclusion")).and_then(Value::as_str) == Some("unsupported")
        {
            return false;
        }
        let legacy = self.selected.or_else(|| self.schema.get("selected").and_then(as_flag));
        flag("selected").or(legacy).or_else(|| flag("selected-by-default")).unwrap_or(false)
    }

    /// What is selected of a stream whose records have the schema `full`. Keys are always sent; a
    /// property that the catalog's own schema leaves out is not.
    pub fn selection(&self, full: &Value, keys: &[&str]) -> Selection {
        let mut schema = full.clone();
        let own = self.schema.get("properties").is_some().then_some(&self.schema);
        self.prune(&mut schema, own, &mut Vec::new(), true, keys);
        let fields = if schema == *full { Fields::All } else { Fields::Some };
        Selection { schema, fields }
    }

    fn prune(
        &self,
        schema: &mut Value,
        own: Option<&Value>,
        breadcrumb: &mut Vec<String>,
        parent: bool,
        keys: &[&str],
    ) {
        let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
        let known = own.and_then(|own| own.get("properties"));
        let names: Vec<String> = properties.keys().cloned().collect();
        for name in names {
            breadcrumb.extend(["properties".to_owned(), name.clone()]);
            let is_key = breadcrumb.len() == 2 && keys.contains(&name.as_str());
            let listed = known.is_none_or(|known| known.get(&name).is_some());
            let selected = is_key || (listed && self.decides(breadcrumb, parent));
            if selected {
                if let Some(inner) = properties.get_mut(&name) {
                    let own = known.and_then(|known| known.get(&name));
                    self.prune(inner, own, breadcrumb, selected, keys);
                }
            } else {
                properties.shift_remove(&name);
            }
            breadcrumb.truncate(breadcrumb.len() - 2);
        }
    }
}

impl Selection {
    /// Everything of a stream.
    pub fn all(schema: Value) -> Self {
        Self { schema, fields: Fields::All }
    }

    /// Takes out of a record what is not selected.
    pub fn project(&self, record: &mut Value) {
        project(record, &self.schema);
    }
}

fn project(value: &mut Value, schema: &Value) {
    match value {
        Value::Object(object) => {
            let Some(Value::Object(properties)) = schema.get("properties") else { return };
            object.retain(|name, _| properties.contains_key(name));
            for (name, inner) in object {
                if let Some(schema) = properties.get(name) {
                    project(inner, schema);
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                for item in items {
                    project(item, schema);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn entry(metadata: &Value) -> CatalogEntry {
        serde_json::from_value(json!({
            "tap_stream_id": "s",
            "schema": {"properties": {"id": {}, "a": {}, "o": {"properties": {"x": {}, "y": {}}}}},
            "metadata": metadata,
        }))
        .unwrap()
    }

    #[test]
    fn a_stream_is_selected_by_any_of_the_known_marks() {
        for (metadata, selected) in [
            (json!([]), false),
            (json!([{"breadcrumb": [], "metadata": {"selected": true}}]), true),
            (json!([{"breadcrumb": [], "metadata": {"selected": "true"}}]), true),
            (json!([{"breadcrumb": [], "metadata": {"selected-by-default": true}}]), true),
            (
                json!([{"breadcrumb": [], "metadata": {"selected": false, "selected-by-default": true}}]),
                false,
            ),
            (
                json!([{"breadcrumb": [], "metadata": {"selected": true, "inclusion": "unsupported"}}]),
                false,
            ),
        ] {
            assert_eq!(entry(&metadata).is_selected(), selected, "{metadata}");
        }
        let legacy = CatalogEntry { selected: Some(true), ..entry(&json!([])) };
        assert!(legacy.is_selected());
    }

    #[test]
    fn fields_are_left_out_at_every_level_but_keys_are_always_sent() {
        let full = json!({"properties": {"id": {}, "a": {}, "o": {"properties": {"x": {}, "y": {}}}, "new": {}}});
        let selection = entry(&json!([
            {"breadcrumb": ["properties", "id"], "metadata": {"selected": false}},
            {"breadcrumb": ["properties", "a"], "metadata": {"selected": false}},
            {"breadcrumb": ["properties", "o", "properties", "y"], "metadata": {"selected": "false"}},
        ]))
        .selection(&full, &["id"]);
        assert_eq!(
            selection.schema,
            json!({"properties": {"id": {}, "o": {"properties": {"x": {}}}}})
        );
        let mut record = json!({"id": 1, "a": 2, "o": {"x": 3, "y": 4}, "new": 5});
        selection.project(&mut record);
        assert_eq!(record, json!({"id": 1, "o": {"x": 3}}));
    }
}
