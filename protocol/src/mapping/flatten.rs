//! Flattening: `{"user": {"name": …}}` becomes `user__name`.

use serde_json::{Map, Value, json};

use super::draft::{Draft, Origin};
use super::path::{MAX_DEPTH, Path};
use crate::personal;

/// How nested properties become flat ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flattening {
    /// Levels of nesting that become columns; what is deeper becomes JSON text.
    pub max_depth: usize,
    /// What stands between the names.
    pub separator: String,
}

/// What a schema describes, as far as flattening asks.
enum Shape<'a> {
    /// An object with named properties.
    Object(&'a Map<String, Value>),
    /// Something else that may be nested.
    Nested,
    /// A plain value, or one that nothing is known of.
    Plain,
}

impl Flattening {
    /// What the SDK puts between the names.
    pub const SEPARATOR: &str = "__";

    /// Flattening as the settings of the same names say, if it is enabled.
    pub fn of(enabled: bool, max_depth: Option<usize>, separator: &str) -> Option<Self> {
        let max_depth = max_depth.unwrap_or(usize::MAX);
        enabled.then(|| Self { max_depth, separator: separator.to_owned() })
    }

    pub(super) fn apply(&self, drafts: Vec<Draft>, root: &Value) -> Vec<Draft> {
        let mut flat = Vec::with_capacity(drafts.len());
        for draft in drafts {
            self.expand(draft, root, &[], 0, &mut flat);
        }
        flat
    }

    /// `open` are the references that lead to the draft: one that comes round is a tree, which ends
    /// in JSON text.
    fn expand(
        &self,
        draft: Draft,
        root: &Value,
        open: &[String],
        depth: usize,
        flat: &mut Vec<Draft>,
    ) {
        let Origin::Property { path, .. } = &draft.origin else {
            flat.push(draft);
            return;
        };
        let mut open = open.to_vec();
        let shape = shape(root, &draft.schema, &mut open);
        match shape {
            Shape::Object(properties) if depth < self.max_depth.min(MAX_DEPTH) => {
                for (name, schema) in properties {
                    let mut path = path.clone();
                    path.push(name.clone());
                    let mut schema = schema.clone();
                    if personal::is_marked(&draft.schema) {
                        personal::mark(&mut schema);
                    }
                    let inner = Draft {
                        name: format!("{}{}{name}", draft.name, self.separator),
                        origin: Origin::Property { path, text: false },
                        schema,
                    };
                    self.expand(inner, root, &open, depth + 1, flat);
                }
            }
            Shape::Object(_) | Shape::Nested => {
                let mut text = json!({"type": ["null", "string"]});
                if let Some(description) = draft.schema.get("description") {
                    text["description"] = description.clone();
                }
                if personal::holds_marked(&draft.schema) {
                    personal::mark(&mut text);
                }
                let origin = Origin::Property { path: path.clone(), text: true };
                flat.push(Draft { name: draft.name, origin, schema: text });
            }
            Shape::Plain => flat.push(draft),
        }
    }
}

/// The schema of a property, if there is one under this path. What is inside of something personal is
/// so as well.
pub(super) fn property(root: &Value, path: &Path) -> Option<Value> {
    let (mut found, mut is_personal) = (root, false);
    for name in path {
        let Shape::Object(properties) = shape(root, found, &mut Vec::new()) else { return None };
        found = properties.get(name)?;
        is_personal |= personal::is_marked(found);
    }
    let mut found = found.clone();
    if is_personal {
        personal::mark(&mut found);
    }
    Some(found)
}

/// The shape of a schema behind references and alternatives; null is no alternative.
fn shape<'a>(root: &'a Value, schema: &'a Value, open: &mut Vec<String>) -> Shape<'a> {
    if let Some(Value::String(reference)) = schema.get("$ref") {
        if open.contains(reference) || open.len() > MAX_DEPTH {
            return Shape::Nested;
        }
        open.push(reference.clone());
        let target = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        return target.map_or(Shape::Nested, |target| shape(root, target, open));
    }
    if let Some(kind) = schema.get("type") {
        let has = |wanted| names_type(kind, wanted);
        if !has("object") && !has("array") {
            return Shape::Plain;
        }
        let is_only_object = ["array", "string", "number", "integer", "boolean"]
            .into_iter()
            .all(|other| !has(other));
        return match named(schema).filter(|_| is_only_object) {
            Some(properties) => Shape::Object(properties),
            None => Shape::Nested,
        };
    }
    if let Some(properties) = named(schema) {
        return Shape::Object(properties);
    }
    if schema.get("items").is_some() {
        return Shape::Nested;
    }
    let alternatives = ["anyOf", "oneOf"].into_iter().find_map(|key| schema.get(key)?.as_array());
    let mut shapes = alternatives
        .into_iter()
        .flatten()
        .filter(|branch| branch.get("type") != Some(&json!("null")))
        .map(|branch| shape(root, branch, open))
        .collect::<Vec<_>>();
    if shapes.len() == 1 {
        return shapes.pop().unwrap_or(Shape::Plain);
    }
    if shapes.iter().all(|shape| matches!(shape, Shape::Plain)) {
        Shape::Plain
    } else {
        Shape::Nested
    }
}

fn named(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties")?.as_object().filter(|properties| !properties.is_empty())
}

/// Whether the `type` of a schema is `wanted`, or has it in its list.
fn names_type(kind: &Value, wanted: &str) -> bool {
    let is_wanted = |name: &Value| name.as_str() == Some(wanted);
    kind.as_array().map_or_else(|| is_wanted(kind), |names| names.iter().any(is_wanted))
}
