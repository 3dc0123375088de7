//! Whatever a schema describes, only so much of it is looked at.

use proptest::prelude::*;
use protocol::schema_limits::{MAX_FIELDS, MAX_PARTS};
use serde_json::json;

use super::*;

/// What the types of a schema are, or why they are not, and how many parts were looked at.
fn derive(schema: &Value) -> (Result<usize, String>, usize) {
    let resolver = Resolver::of(schema);
    let columns = resolver.all().map(|columns| columns.len()).map_err(|error| error.to_string());
    (columns, resolver.budget.parts_seen())
}

fn reference(to: usize) -> Value {
    json!({"$ref": format!("#/definitions/d{to}")})
}

/// A column `x` of the first of `depth` definitions, each made of the next one.
fn chain(depth: usize, last: &Value, of_next: impl Fn(Value) -> Value) -> Value {
    let mut definitions = Map::new();
    for at in 0..depth {
        definitions.insert(format!("d{at}"), of_next(reference(at + 1)));
    }
    definitions.insert(format!("d{depth}"), last.clone());
    json!({"properties": {"x": reference(0)}, "definitions": definitions})
}

/// An object whose `count` properties have all the same schema.
fn object(count: usize, schema: &Value) -> Value {
    let properties: Map<String, Value> =
        (0..count).map(|at| (format!("p{at}"), schema.clone())).collect();
    json!({"type": "object", "properties": properties})
}

#[test]
fn a_small_schema_of_many_columns_is_refused_before_they_are_made() {
    let integer = json!({"type": "integer"});
    let long = "x".repeat(1 << 20);
    let many = |value: Value| Value::from(vec![value; 8]);
    for (attack, schema, limit) in [
        ("properties", chain(20, &integer, |next| object(8, &next)), "columns and nested"),
        ("two at each level", chain(60, &integer, |next| object(2, &next)), "columns and nested"),
        (
            "arrays",
            chain(20, &integer, |next| object(8, &json!({"type": "array", "items": next}))),
            "columns and nested",
        ),
        ("anyOf", chain(20, &integer, |next| json!({"anyOf": many(next)})), "alternatives"),
        ("oneOf", chain(20, &integer, |next| json!({"oneOf": many(next)})), "alternatives"),
        ("allOf", chain(20, &integer, |next| json!({"allOf": many(next)})), "alternatives"),
        (
            "branches beside a type",
            chain(
                20,
                &integer,
                |next| json!({"type": "object", "properties": {"a": next}, "anyOf": many(next)}),
            ),
            "columns and nested",
        ),
        ("types", object(40, &json!({"type": vec!["object"; 5000]})), "alternatives"),
        (
            "descriptions",
            chain(1, &json!({"type": "integer", "description": long}), |next| object(99, &next)),
            "bytes",
        ),
        (
            "names",
            chain(2, &json!({"type": "object", "properties": {&long: {}}}), |next| {
                object(5, &next)
            }),
            "bytes",
        ),
        ("enums", chain(1, &json!({"enum": vec![1; 1 << 18]}), |next| object(99, &next)), "bytes"),
        (
            "references",
            json!({
                "properties": {"x": object(99, &json!({"$ref": format!("#/definitions/{long}")}))},
                "definitions": {&long: integer},
            }),
            "bytes",
        ),
        ("what is written out", object(MAX_FIELDS + 1, &integer), "columns and nested"),
    ] {
        let (columns, seen) = derive(&schema);
        let error = columns.expect_err(attack);
        assert!(error.contains(limit), "{attack}: {error}");
        assert!(seen <= MAX_PARTS, "{attack}: {seen}");
    }
}

#[test]
fn the_same_type_again_in_a_list_of_types_is_looked_at_once() {
    let twice = json!(["object", "object"]);
    let schema = chain(
        30,
        &json!({"type": "integer"}),
        |next| json!({"type": twice, "properties": {"a": next}}),
    );
    assert_eq!(derive(&schema), (Ok(1), 1 + 30 * 3));
}

#[test]
fn what_is_allowed_becomes_columns() {
    let nullable = json!({"anyOf": [{"type": ["string", "null"]}, {"type": "null"}]});
    assert_eq!(derive(&object(MAX_FIELDS, &nullable)).0, Ok(MAX_FIELDS));
    let described = json!({"type": "string", "description": "x".repeat(1024)});
    assert_eq!(derive(&object(MAX_FIELDS, &described)).0, Ok(MAX_FIELDS));
}

/// A part of a schema whose references lead to definitions that stand behind it.
#[derive(Debug, Clone)]
enum Part {
    Leaf,
    /// The definition that is so many behind this one.
    Next(usize),
    Object(Vec<Self>),
    List(Box<Self>),
    Branches(&'static str, Vec<Self>),
}

impl Part {
    fn schema(&self, definition: usize) -> Value {
        match self {
            Self::Leaf => json!({"type": "integer"}),
            Self::Next(by) => reference(definition + by),
            Self::Object(parts) => {
                let properties = parts.iter().zip(0..);
                let properties: Map<String, Value> = properties
                    .map(|(part, at)| (format!("p{at}"), part.schema(definition)))
                    .collect();
                json!({"type": "object", "properties": properties})
            }
            Self::List(part) => json!({"type": "array", "items": part.schema(definition)}),
            Self::Branches(key, parts) => {
                let parts: Vec<Value> = parts.iter().map(|part| part.schema(definition)).collect();
                json!({*key: parts})
            }
        }
    }

    /// Its fields and its parts, by those of the definitions.
    fn size(&self, definition: usize, sizes: &[(u64, u64)]) -> (u64, u64) {
        let sum = |parts: &[Self]| {
            let sizes = parts.iter().map(|part| part.size(definition, sizes));
            sizes.fold((0_u64, 0_u64), |(fields, parts), (more_fields, more_parts)| {
                (fields.saturating_add(more_fields), parts.saturating_add(more_parts))
            })
        };
        match self {
            Self::Leaf => (0, 0),
            // Behind the last there is nothing.
            Self::Next(by) => sizes.get(definition + by).copied().unwrap_or((0, 0)),
            Self::Object(parts) => {
                let (fields, inner) = sum(parts);
                let own = parts.len() as u64;
                (fields.saturating_add(own), inner.saturating_add(own))
            }
            Self::List(part) => {
                let (fields, parts) = part.size(definition, sizes);
                (fields, parts.saturating_add(1))
            }
            Self::Branches(_, parts) => {
                let (fields, inner) = sum(parts);
                (fields, inner.saturating_add(parts.len() as u64))
            }
        }
    }
}

fn part() -> impl Strategy<Value = Part> {
    let leaf = prop_oneof![Just(Part::Leaf), (1..3_usize).prop_map(Part::Next)];
    leaf.prop_recursive(2, 24, 6, |inner| {
        let some = || prop::collection::vec(inner.clone(), 1..7);
        prop_oneof![
            some().prop_map(Part::Object),
            inner.clone().prop_map(|part| Part::List(Box::new(part))),
            (prop::sample::select(vec!["anyOf", "oneOf", "allOf"]), some())
                .prop_map(|(key, parts)| Part::Branches(key, parts)),
        ]
    })
}

proptest! {
    /// The sizes are sums of sums, from the last definition to the first; what is tested walks.
    #[test]
    fn a_schema_is_refused_if_it_has_more_than_is_allowed_and_only_then(
        parts in prop::collection::vec(part(), 1..14),
    ) {
        let mut sizes = vec![(0, 0); parts.len()];
        for at in (0..parts.len()).rev() {
            sizes[at] = parts[at].size(at, &sizes);
        }
        let definitions: Map<String, Value> =
            parts.iter().enumerate().map(|(at, part)| (format!("d{at}"), part.schema(at))).collect();
        let schema = json!({"properties": {"x": reference(0)}, "definitions": definitions});
        let (fields, inner) = (sizes[0].0.saturating_add(1), sizes[0].1.saturating_add(1));
        let is_allowed = fields <= MAX_FIELDS as u64 && inner <= MAX_PARTS as u64;
        let (columns, seen) = derive(&schema);
        prop_assert_eq!(columns.is_ok(), is_allowed, "{} fields, {} parts", fields, inner);
        if is_allowed {
            prop_assert_eq!(seen as u64, inner);
        }
        prop_assert!(seen <= MAX_PARTS);
    }
}
