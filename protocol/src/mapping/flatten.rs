//! Flattening: `{"user": {"name": …}}` becomes `user__name`.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::draft::{Draft, Origin};
use super::path::{MAX_DEPTH, Path};
use crate::personal;
use crate::schema_limits::{Budget, TooLarge};

/// How nested properties become flat ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flattening {
    /// Levels of nesting that become columns; what is deeper becomes JSON text.
    pub max_depth: usize,
    /// What stands between the names.
    pub separator: String,
}

/// A property that may become several.
struct Property<'a> {
    name: String,
    path: Path,
    schema: &'a Value,
    is_personal: bool,
}

/// Properties that have become flat.
struct Flat<'a> {
    root: &'a Value,
    budget: Budget,
    drafts: Vec<Draft<'a>>,
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

    pub(super) fn apply<'a>(
        &self,
        drafts: Vec<Draft<'a>>,
        root: &'a Value,
    ) -> Result<Vec<Draft<'a>>, TooLarge> {
        let mut flat = Flat { root, budget: Budget::default(), drafts: Vec::new() };
        for Draft { name, origin, schema, is_personal } in drafts {
            match (origin, schema) {
                (Origin::Property { path, .. }, Cow::Borrowed(schema)) => {
                    let property = Property { name, path, schema, is_personal };
                    self.expand(property, &[], 0, &mut flat)?;
                }
                (origin, schema) => {
                    flat.drafts.push(Draft { name, origin, schema, is_personal });
                }
            }
        }
        Ok(flat.drafts)
    }

    /// `open` are the references that lead to the property: one that comes round is a tree, which
    /// ends in JSON text.
    fn expand<'a>(
        &self,
        property: Property<'a>,
        open: &[&'a str],
        depth: usize,
        flat: &mut Flat<'a>,
    ) -> Result<(), TooLarge> {
        let Property { name, path, schema, mut is_personal } = property;
        // The name is the path, and both are written for each property.
        flat.budget.text(2 * name.len())?;
        let mut open = open.to_vec();
        let (schema, text) = match shape(flat.root, schema, &mut open, &flat.budget)? {
            Shape::Object(properties) if depth < self.max_depth.min(MAX_DEPTH) => {
                flat.budget.fields(properties.len())?;
                is_personal |= personal::is_marked(schema);
                for (inner, schema) in properties {
                    let mut path = path.clone();
                    path.push(inner.clone());
                    let name = format!("{name}{}{inner}", self.separator);
                    let property = Property { name, path, schema, is_personal };
                    self.expand(property, &open, depth + 1, flat)?;
                }
                return Ok(());
            }
            Shape::Object(_) | Shape::Nested => {
                flat.budget.text(weight(schema))?;
                let mut text = json!({"type": ["null", "string"]});
                if let Some(description) = schema.get("description") {
                    text["description"] = description.clone();
                }
                is_personal |= personal::holds_marked(schema);
                (Cow::Owned(text), true)
            }
            Shape::Plain => {
                flat.budget.text(weight(schema))?;
                (Cow::Borrowed(schema), false)
            }
        };
        let origin = Origin::Property { path, text };
        flat.drafts.push(Draft { name, origin, schema, is_personal });
        Ok(())
    }
}

/// What a schema costs to copy, about in bytes.
fn weight(schema: &Value) -> usize {
    match schema {
        Value::Null | Value::Bool(_) | Value::Number(_) => size_of::<Value>(),
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(weight).sum(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| name.len() + weight(value)).sum()
        }
    }
}

/// The schema of a property, if there is one under this path, and whether it is inside of something
/// personal.
pub(super) fn property<'a>(root: &'a Value, path: &Path) -> Option<(&'a Value, bool)> {
    let budget = Budget::default();
    path.iter().try_fold((root, false), |(schema, is_personal), name| {
        match shape(root, schema, &mut Vec::new(), &budget).ok()? {
            Shape::Object(properties) => {
                let schema = properties.get(name)?;
                Some((schema, is_personal || personal::is_marked(schema)))
            }
            Shape::Nested | Shape::Plain => None,
        }
    })
}

/// The shape of a schema behind references and alternatives; null is no alternative.
fn shape<'a>(
    root: &'a Value,
    schema: &'a Value,
    open: &mut Vec<&'a str>,
    budget: &Budget,
) -> Result<Shape<'a>, TooLarge> {
    if let Some(Value::String(reference)) = schema.get("$ref") {
        if open.contains(&reference.as_str()) || open.len() > MAX_DEPTH {
            return Ok(Shape::Nested);
        }
        budget.text(reference.len())?;
        open.push(reference);
        let target = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        return target.map_or(Ok(Shape::Nested), |target| shape(root, target, open, budget));
    }
    if let Some(kind) = schema.get("type") {
        budget.parts(kind.as_array().map_or(0, Vec::len))?;
        let has = |wanted| names_type(kind, wanted);
        if !has("object") && !has("array") {
            return Ok(Shape::Plain);
        }
        let is_only_object = ["array", "string", "number", "integer", "boolean"]
            .into_iter()
            .all(|other| !has(other));
        return Ok(match named(schema).filter(|_| is_only_object) {
            Some(properties) => Shape::Object(properties),
            None => Shape::Nested,
        });
    }
    if let Some(properties) = named(schema) {
        return Ok(Shape::Object(properties));
    }
    if schema.get("items").is_some() {
        return Ok(Shape::Nested);
    }
    let alternatives = ["anyOf", "oneOf"].into_iter().find_map(|key| schema.get(key)?.as_array());
    let alternatives = alternatives.map_or(&[][..], Vec::as_slice);
    budget.parts(alternatives.len())?;
    let mut shapes = alternatives
        .iter()
        .filter(|branch| branch.get("type") != Some(&json!("null")))
        .map(|branch| shape(root, branch, open, budget))
        .collect::<Result<Vec<_>, _>>()?;
    if shapes.len() == 1 {
        return Ok(shapes.pop().unwrap_or(Shape::Plain));
    }
    Ok(if shapes.iter().all(|shape| matches!(shape, Shape::Plain)) {
        Shape::Plain
    } else {
        Shape::Nested
    })
}

fn named(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties")?.as_object().filter(|properties| !properties.is_empty())
}

/// Whether the `type` of a schema is `wanted`, or has it in its list.
fn names_type(kind: &Value, wanted: &str) -> bool {
    let is_wanted = |name: &Value| name.as_str() == Some(wanted);
    kind.as_array().map_or_else(|| is_wanted(kind), |names| names.iter().any(is_wanted))
}
