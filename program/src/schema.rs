//! JSON Schemas from Rust types, in the plain form that Singer targets and Airbyte accept.
//!
//! schemars describes a type exactly, with `$defs`, `anyOf` and numeric formats. Consumers of
//! streams understand less: this module inlines every definition, writes "may be null" as
//! `"type": ["null", …]` and drops what describes Rust rather than the data.

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

/// The JSON Schema of a record type `T`: one object schema without references.
pub fn record<T: JsonSchema>() -> Value {
    let mut schema = inline::<T>();
    if let Some(object) = schema.as_object_mut() {
        object.remove("title");
        object.remove("description");
        object.remove("required");
    }
    schema
}

/// The inlined JSON Schema of any type, with the title and the description of its root kept.
pub(crate) fn inline<T: JsonSchema>() -> Value {
    let generator = SchemaSettings::draft07()
        .with(|settings| {
            settings.inline_subschemas = true;
            settings.meta_schema = None;
        })
        .with_transform(RecursiveTransform(simplify))
        .into_generator();
    let mut schema = generator.into_root_schema_for::<T>();
    // The recursive transform visits the children of a node after the node itself, so a node that
    // was merged out of `anyOf` is simplified by a second pass.
    RecursiveTransform(simplify).transform(&mut schema);
    unwrap_descriptions(schema.to_value())
}

fn simplify(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    merge_single_all_of(object);
    name_choices(object);
    merge_nullable_any_of(object);
    null_first(object);
    // What may be absent defaults to null anyway.
    if object.get("default").is_some_and(Value::is_null) {
        object.remove("default");
    }
    if !object.get("type").is_some_and(|kind| has_type(kind, "string")) {
        object.remove("format");
    }
    if object.get("minimum") == Some(&json!(0)) && !object.contains_key("maximum") {
        // Unsigned Rust integers: a lower bound alone says nothing to a column type.
        object.remove("minimum");
    }
}

/// `{"allOf": [X], "description": …}` is how schemars hangs a description on a referenced type.
fn merge_single_all_of(object: &mut Map<String, Value>) {
    let single = match object.get("allOf") {
        Some(Value::Array(parts)) if parts.len() == 1 => parts[0].as_object().cloned(),
        _ => None,
    };
    if let Some(part) = single {
        object.remove("allOf");
        fill(object, part);
    }
}

/// `{"oneOf": [{"const": "a", …}, …]}`, an enumeration with documented values, becomes `enum`.
fn name_choices(object: &mut Map<String, Value>) {
    let Some(Value::Array(branches)) = object.get("oneOf") else { return };
    let values =
        branches.iter().map(|branch| branch.get("const").filter(|value| value.is_string()));
    let Some(values) = values.map(Option::<&Value>::cloned).collect::<Option<Vec<_>>>() else {
        return;
    };
    object.remove("oneOf");
    object.insert("type".into(), json!("string"));
    object.insert("enum".into(), Value::Array(values));
}

/// `{"anyOf": [X, {"type": "null"}]}` becomes X with `"null"` among its types.
fn merge_nullable_any_of(object: &mut Map<String, Value>) {
    let Some(Value::Array(branches)) = object.get("anyOf") else { return };
    let is_null = |branch: &Value| branch.get("type") == Some(&json!("null"));
    let [other] = branches.iter().filter(|branch| !is_null(branch)).collect::<Vec<_>>()[..] else {
        return;
    };
    if branches.len() != 2 {
        return;
    }
    let Some(mut part) = other.as_object().cloned() else { return };
    let Some(kind) = part.get("type").cloned() else { return };
    let mut kinds = vec![json!("null")];
    match kind {
        Value::Array(list) => kinds.extend(list.into_iter().filter(|name| name != "null")),
        name => kinds.push(name),
    }
    part.insert("type".into(), Value::Array(kinds));
    if let Some(Value::Array(values)) = part.get_mut("enum") {
        values.push(Value::Null);
    }
    object.remove("anyOf");
    fill(object, part);
}

fn null_first(object: &mut Map<String, Value>) {
    if let Some(Value::Array(kinds)) = object.get_mut("type") {
        kinds.sort_by_key(|kind| kind != "null");
    }
}

/// Adds what `object` does not say itself.
fn fill(object: &mut Map<String, Value>, part: Map<String, Value>) {
    for (key, value) in part {
        object.entry(key).or_insert(value);
    }
}

/// Doc comments are wrapped where the source line ends; a description is one paragraph a blank line.
fn unwrap_descriptions(mut value: Value) -> Value {
    match &mut value {
        Value::Object(object) => {
            for (key, child) in object.iter_mut() {
                match child {
                    Value::String(text) if key == "description" => {
                        *child = Value::String(
                            text.split("\n\n")
                                .map(|paragraph| paragraph.replace('\n', " "))
                                .collect::<Vec<_>>()
                                .join("\n\n"),
                        );
                    }
                    other => *other = unwrap_descriptions(other.take()),
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                *item = unwrap_descriptions(item.take());
            }
        }
        _ => {}
    }
    value
}

/// Whether a schema's `type` names `wanted`, alone or in a list.
pub fn has_type(kind: &Value, wanted: &str) -> bool {
    match kind {
        Value::String(name) => name == wanted,
        Value::Array(names) => names.iter().any(|name| name == wanted),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Inner {
        /// Where it is.
        url: Option<String>,
        width: Option<i64>,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Row {
        /// The key of
        /// the row.
        id: i64,
        ratio: Option<f64>,
        /// A picture.
        picture: Option<Inner>,
        many: Option<Vec<Inner>>,
        #[schemars(range(min = 0, max = 1))]
        flag: i32,
    }

    #[test]
    fn a_record_schema_is_inlined_nullable_and_free_of_rust_formats() {
        assert_eq!(
            record::<Row>(),
            json!({
                "type": "object",
                "properties": {
                    "id": {"description": "The key of the row.", "type": "integer"},
                    "ratio": {"type": ["null", "number"]},
                    "picture": {
                        "description": "A picture.",
                        "type": ["null", "object"],
                        "properties": {
                            "url": {"description": "Where it is.", "type": ["null", "string"]},
                            "width": {"type": ["null", "integer"]}
                        }
                    },
                    "many": {
                        "type": ["null", "array"],
                        "items": {
                            "type": "object",
                            "properties": {
                                "url": {"description": "Where it is.", "type": ["null", "string"]},
                                "width": {"type": ["null", "integer"]}
                            }
                        }
                    },
                    "flag": {"type": "integer", "minimum": 0, "maximum": 1}
                }
            })
        );
    }
}
