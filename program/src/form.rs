//! The connection specification: the settings schema in the part of JSON Schema that Airbyte's forms
//! can show.
//!
//! One type a property, choices as `enum`, an order and a title for all. A map becomes a list whose
//! entries have a `name`, because forms have no maps; [`from_form`] turns what was filled in back.
//!
//! Settings that do nothing under Airbyte are `left_out`: those that map streams, because Airbyte's
//! connections have mappers of their own, and a stream must keep the columns that its catalog promises.

use serde_json::{Map, Value, json};

use crate::schema::has_type;
use crate::settings::{Document, SettingsError};

/// The specification that belongs to a settings schema. Properties with another default for Airbyte
/// have it in `defaults`.
pub fn connection(
    mut schema: Value,
    title: &str,
    defaults: &Map<String, Value>,
    left_out: &[&str],
) -> Value {
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.retain(|name, _| !left_out.contains(&name.as_str()));
        for (name, value) in defaults {
            if let Some(Value::Object(property)) = properties.get_mut(name) {
                property.insert("default".into(), value.clone());
            }
        }
    }
    let Value::Object(root) = formed(schema) else { return Value::Null };
    let mut specification = Map::new();
    specification.insert("$schema".into(), json!("http://json-schema.org/draft-07/schema#"));
    specification.extend(root);
    specification.insert("title".into(), json!(title));
    specification.insert("additionalProperties".into(), json!(true));
    Value::Object(specification)
}

/// A schema as forms understand it.
fn formed(schema: Value) -> Value {
    let Value::Object(mut object) = schema else { return schema };
    if let Some(choices) = choices(&object) {
        object.retain(|key, _| !matches!(key.as_str(), "oneOf" | "anyOf" | "const"));
        object.insert("type".into(), json!("string"));
        object.insert("enum".into(), Value::Array(choices));
    }
    if let Some(Value::Array(kinds)) = object.get("type") {
        let kind = kinds.iter().find(|kind| *kind != "null").cloned().unwrap_or(json!("string"));
        object.insert("type".into(), kind);
    }
    // Marks of other runners.
    object.remove("secret");
    object.remove("writeOnly");
    if let Some(entry) = object.remove("additionalProperties").filter(Value::is_object) {
        object.insert("type".into(), json!("array"));
        object.insert("items".into(), named(entry));
        // The default of a map is no list.
        object.remove("default");
    }
    if let Some(items) = object.remove("items") {
        object.insert("items".into(), formed(items));
    }
    if let Some(Value::Object(properties)) = object.remove("properties") {
        let properties: Map<String, Value> = properties
            .into_iter()
            .zip(0..)
            .map(|((name, schema), order)| {
                let mut schema = formed(schema);
                if let Value::Object(property) = &mut schema {
                    property.insert("title".into(), json!(title(&name)));
                    property.insert("order".into(), json!(order));
                }
                (name, schema)
            })
            .collect();
        object.insert("properties".into(), Value::Object(properties));
    }
    Value::Object(object)
}

/// The words among which a property chooses, if it does.
fn choices(schema: &Map<String, Value>) -> Option<Vec<Value>> {
    if let Some(Value::Array(values)) = schema.get("enum") {
        return Some(values.iter().filter(|value| !value.is_null()).cloned().collect());
    }
    if let Some(value) = schema.get("const") {
        return Some(vec![value.clone()]);
    }
    let branches = schema.get("oneOf").or_else(|| schema.get("anyOf"))?.as_array()?;
    let mut found = Vec::new();
    for branch in branches.iter().filter(|branch| branch.get("type") != Some(&json!("null"))) {
        found.extend(choices(branch.as_object()?)?);
    }
    Some(found)
}

/// The entry of a map as an entry of a list. One that is a single value has it under `value`.
fn named(mut entry: Value) -> Value {
    if !is_object(&entry) {
        return json!({
            "type": "object",
            "properties": {"name": {"type": "string", "description": "What this is for."}, "value": entry},
            "required": ["name", "value"],
        });
    }
    if let Some(Value::Object(own)) = entry.get_mut("properties") {
        let mut properties = Map::new();
        properties.insert(
            "name".into(),
            json!({"type": "string", "description": "Name or glob of what this is for."}),
        );
        properties.append(own);
        *own = properties;
    }
    entry["required"] = json!(["name"]);
    entry
}

/// A property's name as a person reads it.
fn title(name: &str) -> String {
    const UPPER: [&str; 10] = ["api", "arn", "aws", "id", "ids", "kms", "mb", "s3", "sse", "url"];
    let words = name.split('_').enumerate().map(|(at, word)| {
        if UPPER.contains(&word) {
            return if word == "ids" { "IDs".into() } else { word.to_uppercase() };
        }
        let mut letters = word.chars();
        match letters.next().filter(|_| at == 0) {
            Some(first) => first.to_uppercase().chain(letters).collect(),
            None => word.to_owned(),
        }
    });
    words.collect::<Vec<String>>().join(" ")
}

/// A settings document as Airbyte hands it over, made into one of ours: lists of named entries are
/// maps again, and what is not given has Airbyte's default.
pub fn from_form(
    document: &Document,
    schema: &Value,
    defaults: &Map<String, Value>,
    left_out: &[&str],
    rename: impl FnOnce(&mut Map<String, Value>) -> Result<(), String>,
) -> Result<Document, SettingsError> {
    let mut settings = document.object()?;
    // An empty field of a form is one that was left out.
    settings.retain(|_, value| !matches!(value.as_str(), Some("")));
    rename(&mut settings).map_err(|reason| SettingsError::Invalid {
        key: "format".into(),
        origin: document.name.clone(),
        reason,
        unknown: Vec::new(),
    })?;
    for name in left_out {
        if settings.remove(*name).is_some_and(|value| !value.is_null()) {
            tracing::warn!("`{name}` is ignored: streams of Airbyte are mapped by its connections");
        }
    }
    unlist_inside(&mut settings, schema);
    for (name, value) in defaults {
        if settings.get(name).is_none_or(Value::is_null) {
            settings.insert(name.clone(), value.clone());
        }
    }
    Ok(Document { name: document.name.clone(), text: Value::Object(settings).to_string() })
}

fn is_object(schema: &Value) -> bool {
    schema.get("type").is_some_and(|kind| has_type(kind, "object"))
}

/// Makes maps of lists again in the properties of an object.
fn unlist_inside(object: &mut Map<String, Value>, schema: &Value) {
    for (name, property) in
        schema.get("properties").and_then(Value::as_object).into_iter().flatten()
    {
        let entry = property.get("additionalProperties").filter(|entry| entry.is_object());
        if let (Some(value), Some(entry)) = (object.get_mut(name), entry)
            && is_object(property)
        {
            unlist(value, entry);
        }
    }
}

fn unlist(value: &mut Value, schema: &Value) {
    let Value::Array(entries) = value else { return };
    let map = entries.drain(..).filter_map(|mut entry| {
        let own = entry.as_object_mut()?;
        let name = own.remove("name")?.as_str()?.to_owned();
        if !is_object(schema) {
            return Some((name, own.remove("value")?));
        }
        unlist_inside(own, schema);
        Some((name, entry))
    });
    *value = Value::Object(map.collect());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Secret, settings};
    use schemars::JsonSchema;
    use serde::Deserialize;
    use std::collections::BTreeMap;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    enum Choice {
        /// One.
        One,
        /// Two.
        Two,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Inner {
        choice: Option<Choice>,
        columns: Option<BTreeMap<String, String>>,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Config {
        /// The token.
        api_token: Secret,
        media_ids: Option<Vec<String>>,
        #[serde(default)]
        streams: BTreeMap<String, Inner>,
    }

    fn defaults() -> Map<String, Value> {
        Map::from_iter([("media_ids".to_owned(), json!(["a"]))])
    }

    #[test]
    fn a_specification_has_one_type_a_property_an_order_and_a_title() {
        let specification = connection(settings::schema::<Config>(), "X", &defaults(), &[]);
        assert_eq!(specification["required"], json!(["api_token"]));
        assert_eq!(
            specification["properties"],
            json!({
                "api_token": {"type": "string", "description": "The token.", "airbyte_secret": true, "title": "API token", "order": 0},
                "media_ids": {"type": "array", "items": {"type": "string"}, "default": ["a"], "title": "Media IDs", "order": 1},
                "streams": {"type": "array", "title": "Streams", "order": 2, "items": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {
                        "name": {"type": "string", "description": "Name or glob of what this is for.", "title": "Name", "order": 0},
                        "choice": {"type": "string", "enum": ["one", "two"], "title": "Choice", "order": 1},
                        "columns": {"type": "array", "title": "Columns", "order": 2, "items": {
                            "type": "object",
                            "required": ["name", "value"],
                            "properties": {
                                "name": {"type": "string", "description": "What this is for.", "title": "Name", "order": 0},
                                "value": {"type": "string", "title": "Value", "order": 1},
                            }
                        }},
                    }
                }},
            })
        );
    }

    #[test]
    fn what_a_form_holds_becomes_settings() {
        let text = r#"{"api_token":"t","media_ids":null,"x":"","streams":[{"name":"a*","choice":"one","columns":[{"name":"x","value":"int"}]}]}"#;
        let document = Document { name: "c".into(), text: text.into() };
        let schema = settings::schema::<Config>();
        let ours = from_form(&document, &schema, &defaults(), &[], |_| Ok(())).unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&ours.text).unwrap(),
            json!({"api_token": "t", "media_ids": ["a"], "streams": {"a*": {"choice": "one", "columns": {"x": "int"}}}})
        );
    }
}
