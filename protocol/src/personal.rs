//! The mark of personal data in a JSON Schema: `"x-personal": true` beside a property's type.
//!
//! A property that is marked is personal with all that is in it. The keyword is our own: JSON Schema has
//! none for it, and lets whoever does not know a keyword pass over it
//! (<https://json-schema.org/draft-07/json-schema-core#rfc.section.6.4>).

use serde_json::Value;

/// The keyword.
pub const KEYWORD: &str = "x-personal";

/// Whether a schema is marked itself.
pub fn is_marked(schema: &Value) -> bool {
    schema.get(KEYWORD) == Some(&Value::Bool(true))
}

/// Whether a schema, or one that stands anywhere inside of it, is marked.
pub fn holds_marked(schema: &Value) -> bool {
    is_marked(schema)
        || match schema {
            Value::Object(members) => members.values().any(holds_marked),
            Value::Array(items) => items.iter().any(holds_marked),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        }
}

/// Marks a schema.
pub fn mark(schema: &mut Value) {
    if let Value::Object(members) = schema {
        members.insert(KEYWORD.into(), Value::Bool(true));
    }
}
