//! JSON Schema to column types.
//!
//! Every construct that taps emit is resolved to one type from the schema alone; where several
//! types are possible, to the narrowest that holds them all ([`join`]).

use std::cell::RefCell;
use std::collections::HashSet;

use serde_json::{Map, Value};

use lake::schema::{Column, Kind, names};
use protocol::personal;

/// Nesting beyond this becomes JSON text: Hive and Redshift stop at 100 levels.
const MAX_DEPTH: usize = 64;

/// Digits of a decimal whose schema names no precision.
const DECIMAL_PRECISION: u8 = 38;

/// Scale of a Singer decimal whose schema names none.
const DECIMAL_SCALE: i8 = 9;

/// Whether a schema describes an object with named properties, as a table needs.
pub(crate) fn is_object_schema(schema: &Value) -> bool {
    let resolver = Resolver { root: schema, open: RefCell::default() };
    resolver.properties(schema).is_some_and(|properties| !properties.is_empty())
}

/// The columns of a stream, in the order of its schema.
pub(crate) fn columns(schema: &Value) -> Vec<Column> {
    let resolver = Resolver { root: schema, open: RefCell::default() };
    match resolver.properties(schema) {
        Some(properties) => resolver.columns(properties, 0),
        None => Vec::new(),
    }
}

struct Resolver<'a> {
    root: &'a Value,
    /// References being resolved: one that comes up again inside itself describes a tree, which no
    /// column type can.
    open: RefCell<Vec<&'a str>>,
}

impl<'a> Resolver<'a> {
    fn properties(&self, schema: &'a Value) -> Option<&'a Map<String, Value>> {
        let schema = self.dereference(schema.as_object()?)?;
        schema.get("properties")?.as_object()
    }

    fn columns(&self, properties: &'a Map<String, Value>, depth: usize) -> Vec<Column> {
        // A name that needs no folding keeps it, whatever stands before it.
        let plain: HashSet<String> =
            properties.keys().filter(|source| names::fold(source) == **source).cloned().collect();
        let mut taken = plain.clone();
        properties
            .iter()
            .map(|(source, schema)| {
                let name = if plain.contains(source) {
                    source.clone()
                } else {
                    names::unique(source, &taken)
                };
                taken.insert(name.clone());
                Column {
                    source: source.clone(),
                    name,
                    kind: self.kind(schema, depth + 1).unwrap_or(Kind::Json),
                    description: self.description(schema),
                    personal: self.is_personal(schema),
                }
            })
            .collect()
    }

    fn description(&self, schema: &'a Value) -> Option<String> {
        let schema = schema.as_object()?;
        let own = schema.get("description").and_then(Value::as_str);
        own.or_else(|| self.dereference(schema)?.get("description")?.as_str()).map(str::to_owned)
    }

    /// Whether a schema, what it refers to or its elements are marked as personal data.
    fn is_personal(&self, schema: &'a Value) -> bool {
        let has_mark =
            |schema: &Map<String, Value>| schema.get(personal::KEYWORD) == Some(&Value::Bool(true));
        let Some(schema) = schema.as_object() else { return false };
        let elements = schema.get("items").and_then(Value::as_object);
        has_mark(schema)
            || self.dereference(schema).is_some_and(has_mark)
            || elements.is_some_and(has_mark)
    }

    /// The schema behind local references, or nothing for a reference that leads nowhere or round.
    fn dereference(&self, schema: &'a Map<String, Value>) -> Option<&'a Map<String, Value>> {
        let mut schema = schema;
        for _ in 0..MAX_DEPTH {
            let Some(Value::String(reference)) = schema.get("$ref") else { return Some(schema) };
            schema = self.root.pointer(reference.strip_prefix('#')?)?.as_object()?;
        }
        None
    }

    /// The type of a schema, or nothing where it allows no value but null.
    fn kind(&self, schema: &'a Value, depth: usize) -> Option<Kind> {
        let Some(object) = schema.as_object().filter(|_| depth <= MAX_DEPTH) else {
            return Some(Kind::Json);
        };
        if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
            if self.open.borrow().contains(&reference) {
                return Some(Kind::Json);
            }
            self.open.borrow_mut().push(reference);
            let kind = match self.dereference(object) {
                Some(schema) => self.resolved(schema, depth),
                None => Some(Kind::Json),
            };
            self.open.borrow_mut().pop();
            return kind;
        }
        self.resolved(object, depth)
    }

    fn resolved(&self, schema: &'a Map<String, Value>, depth: usize) -> Option<Kind> {
        if let Some(kind) = decimal_string(schema) {
            return Some(kind);
        }
        if let Some(types) = types_of(schema) {
            let kinds = types.iter().filter(|name| **name != "null");
            let own = kinds.filter_map(|name| self.typed(name, schema, depth)).reduce(join);
            // `{"type": ["object", "null"], "anyOf": […]}`: the branches may know more.
            return match (own, self.branches(schema, depth)) {
                (Some(Kind::Json), Some(Some(kind @ (Kind::Struct(_) | Kind::List(_))))) => {
                    Some(kind)
                }
                (own, _) => own,
            };
        }
        if schema.contains_key("properties") {
            return self.typed("object", schema, depth);
        }
        if schema.contains_key("items") {
            return self.typed("array", schema, depth);
        }
        if let Some(kind) = self.branches(schema, depth) {
            return kind;
        }
        if let Some(values) = schema.get("enum").and_then(Value::as_array) {
            return values.iter().filter_map(kind_of_value).reduce(join);
        }
        if let Some(value) = schema.get("const") {
            return kind_of_value(value);
        }
        Some(Kind::Json)
    }

    /// The type of `anyOf`, `oneOf` or `allOf`; the outer option says whether there is one.
    fn branches(&self, schema: &'a Map<String, Value>, depth: usize) -> Option<Option<Kind>> {
        let alternatives = ["anyOf", "oneOf"]
            .into_iter()
            .find_map(|key| schema.get(key)?.as_array())
            .map(|branches| {
                branches.iter().filter_map(|branch| self.kind(branch, depth + 1)).reduce(join)
            });
        alternatives.or_else(|| {
            // All parts hold at once, so a part that says nothing takes nothing away.
            let parts = schema.get("allOf")?.as_array()?;
            let kinds = parts.iter().map(|part| self.kind(part, depth + 1));
            let mut known =
                kinds.filter(|kind| *kind != Some(Kind::Json)).collect::<Vec<_>>().into_iter();
            let first = known.next().unwrap_or(Some(Kind::Json));
            Some(known.fold(first, |left, right| Some(join(left?, right?))))
        })
    }

    fn typed(&self, name: &str, schema: &'a Map<String, Value>, depth: usize) -> Option<Kind> {
        let text = |key: &str| schema.get(key).and_then(Value::as_str);
        Some(match name {
            "null" => return None,
            "boolean" => Kind::Boolean,
            "integer" => integer(schema),
            "number" if text("airbyte_type") == Some("integer") => Kind::Bigint,
            "number" => decimal_number(schema).unwrap_or(Kind::Double),
            "string" => match text("format") {
                Some("date-time") => Kind::Timestamp,
                Some("date") => Kind::Date,
                _ => Kind::String,
            },
            "object" => match schema.get("properties").and_then(Value::as_object) {
                Some(properties) if !properties.is_empty() => {
                    Kind::Struct(self.columns(properties, depth))
                }
                _ => Kind::Json,
            },
            "array" => {
                let element = schema.get("items").and_then(|items| self.kind(items, depth + 1));
                Kind::List(Box::new(element.unwrap_or(Kind::Json)))
            }
            _ => Kind::Json,
        })
    }
}

fn types_of(schema: &Map<String, Value>) -> Option<Vec<&str>> {
    match schema.get("type")? {
        Value::String(name) => Some(vec![name]),
        Value::Array(names) => Some(names.iter().filter_map(Value::as_str).collect()),
        _ => None,
    }
}

/// The narrowest type that holds the values of both.
pub(crate) fn join(left: Kind, right: Kind) -> Kind {
    use Kind::{
        Bigint, Boolean, Date, Decimal, Double, Int, Json, List, String, Struct, Timestamp,
    };
    match (left, right) {
        (left, right) if left == right => left,
        (Int, Bigint) | (Bigint, Int) => Bigint,
        (Int | Bigint | Double | Decimal(..), Double) | (Double, Int | Bigint | Decimal(..)) => {
            Double
        }
        (Decimal(_, left), Decimal(_, right)) => Decimal(DECIMAL_PRECISION, left.max(right)),
        (Int | Bigint, kind @ Decimal(..)) | (kind @ Decimal(..), Int | Bigint) => kind,
        (String | Date | Timestamp, String | Date | Timestamp) => String,
        (Struct(left), Struct(right)) => Struct(join_columns(left, right)),
        (List(left), List(right)) => List(Box::new(join(*left, *right))),
        // No type but text holds both.
        (
            Boolean | Int | Bigint | Double | Decimal(..) | String | Json | Date | Timestamp
            | Struct(_) | List(_),
            Boolean | Int | Bigint | Double | Decimal(..) | String | Json | Date | Timestamp
            | Struct(_) | List(_),
        ) => Json,
    }
}

fn join_columns(mut left: Vec<Column>, right: Vec<Column>) -> Vec<Column> {
    for column in right {
        match left.iter_mut().find(|other| other.source == column.source) {
            Some(other) => {
                let own = std::mem::replace(&mut other.kind, Kind::Json);
                other.kind = join(own, column.kind);
                other.personal |= column.personal;
            }
            None => left.push(column),
        }
    }
    left
}

/// `int` when both bounds fit 32 bits, else `bigint`.
fn integer(schema: &Map<String, Value>) -> Kind {
    let bound = |inclusive: &str, exclusive: &str| {
        [inclusive, exclusive].iter().find_map(|key| schema.get(*key)?.as_f64())
    };
    let fits = |bound: f64| (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&bound);
    match (bound("minimum", "exclusiveMinimum"), bound("maximum", "exclusiveMaximum")) {
        (Some(low), Some(high)) if fits(low) && fits(high) => Kind::Int,
        _ => Kind::Bigint,
    }
}

/// A number whose `multipleOf` is a decimal fraction: as many decimals as that has.
fn decimal_number(schema: &Map<String, Value>) -> Option<Kind> {
    let step = schema.get("multipleOf")?.as_f64().filter(|step| *step > 0.0)?;
    let text = format!("{step:e}");
    let (mantissa, exponent) = text.split_once('e')?;
    let digits = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let scale = i64::try_from(digits).ok()? - exponent.parse::<i64>().ok()?;
    let scale = i8::try_from(scale.max(0)).ok()?;
    (scale <= 37).then_some(Kind::Decimal(DECIMAL_PRECISION, scale))
}

/// The decimal formats of singer-python and of the Meltano SDK.
fn decimal_string(schema: &Map<String, Value>) -> Option<Kind> {
    let format = schema.get("format")?.as_str()?;
    if format != "singer.decimal" && format != "x-singer.decimal" {
        return None;
    }
    let number = |key: &str| schema.get(key).and_then(Value::as_u64);
    let precision = number("precision").unwrap_or(u64::from(DECIMAL_PRECISION)).clamp(1, 38);
    let scale = number("scale").unwrap_or(DECIMAL_SCALE as u64).min(precision);
    Some(Kind::Decimal(u8::try_from(precision).ok()?, i8::try_from(scale).ok()?))
}

fn kind_of_value(value: &Value) -> Option<Kind> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(_) => Kind::Boolean,
        Value::Number(number) if number.is_f64() => Kind::Double,
        Value::Number(_) => Kind::Bigint,
        Value::String(_) => Kind::String,
        Value::Array(_) | Value::Object(_) => Kind::Json,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn kind(schema: &Value) -> String {
        let root = json!({
            "properties": {"x": schema},
            "definitions": {"money": {"type": "number"}, "loop": {"$ref": "#/definitions/loop"}},
            "$defs": {"tree": {"type": "object", "properties": {
                "name": {"type": "string"},
                "children": {"type": "array", "items": {"$ref": "#/$defs/tree"}}
            }}}
        });
        columns(&root)[0].kind.to_string()
    }

    #[test]
    fn every_construct_has_one_type() {
        for (schema, hive) in [
            (json!({"type": "integer"}), "bigint"),
            (json!({"type": ["null", "integer"], "minimum": 0, "maximum": 1}), "int"),
            (json!({"type": "integer", "minimum": 0}), "bigint"),
            (json!({"type": "integer", "minimum": 0, "maximum": 2_147_483_648_u64}), "bigint"),
            (json!({"type": ["number", "null"]}), "double"),
            (json!({"type": "number", "multipleOf": 0.01}), "decimal(38,2)"),
            (json!({"type": "number", "multipleOf": 1e-9}), "decimal(38,9)"),
            (json!({"type": "number", "multipleOf": 1}), "decimal(38,0)"),
            (json!({"type": "integer", "multipleOf": 5}), "bigint"),
            (json!({"type": ["null", "string"], "format": "singer.decimal"}), "decimal(38,9)"),
            (
                json!({"type": "string", "format": "x-singer.decimal", "precision": 10, "scale": 2}),
                "decimal(10,2)",
            ),
            (json!({"type": "boolean"}), "boolean"),
            (json!({"type": "string"}), "string"),
            (json!({"type": "string", "format": "date-time"}), "timestamp"),
            (json!({"type": "string", "format": "date"}), "date"),
            (json!({"type": "string", "format": "time"}), "string"),
            (json!({"type": "string", "format": "uuid"}), "string"),
            (json!({"type": ["integer", "number"]}), "double"),
            (json!({"type": ["integer", "string"]}), "string"),
            (json!({"type": ["integer", "boolean", "null"]}), "string"),
            (json!({"anyOf": [{"type": "integer"}, {"type": "null"}]}), "bigint"),
            (
                json!({"oneOf": [{"type": "null"}, {"type": "string", "format": "date-time"}]}),
                "timestamp",
            ),
            (
                json!({"anyOf": [{"type": "string", "format": "date-time"}, {"type": ["string", "null"]}]}),
                "string",
            ),
            (json!({"allOf": [{"$ref": "#/definitions/money"}, {"description": "x"}]}), "double"),
            (json!({"$ref": "#/definitions/money"}), "double"),
            (json!({"$ref": "#/definitions/loop"}), "string"),
            (json!({"$ref": "https://example.com/x.json"}), "string"),
            (json!({"type": "object"}), "string"),
            (json!({"type": "object", "properties": {}}), "string"),
            (json!({"type": "object", "additionalProperties": {"type": "integer"}}), "string"),
            (json!({"type": "object", "patternProperties": {"^a": {}}}), "string"),
            (
                json!({"type": ["null", "object"], "properties": {"fileSize": {"type": "integer"}, "x": {"type": "array", "items": {"type": "string"}}}}),
                "struct<file_size:bigint,x:array<string>>",
            ),
            (json!({"properties": {"a": {"type": "boolean"}}}), "struct<a:boolean>"),
            (json!({"type": "array"}), "array<string>"),
            (json!({"type": "array", "items": {}}), "array<string>"),
            (json!({"type": "array", "items": [{"type": "integer"}]}), "array<string>"),
            (
                json!({"type": "array", "items": {"type": "array", "items": {"type": "integer"}}}),
                "array<array<bigint>>",
            ),
            (
                json!({"anyOf": [{"type": "object", "properties": {"a": {"type": "integer"}}}, {"type": "object", "properties": {"b": {"type": "string"}}}]}),
                "struct<a:bigint,b:string>",
            ),
            (json!({"enum": ["a", "b", null]}), "string"),
            (json!({"enum": [1, 2]}), "bigint"),
            (json!({"const": 1.5}), "double"),
            (json!({"const": true}), "boolean"),
            (json!({}), "string"),
            (json!(true), "string"),
            (json!({"type": "null"}), "string"),
            (json!({"type": "number", "airbyte_type": "integer"}), "bigint"),
        ] {
            assert_eq!(kind(&schema), hive, "{schema}");
        }
    }

    #[test]
    fn a_recursive_schema_ends_in_json_text() {
        let hive = kind(&json!({"$ref": "#/$defs/tree"}));
        assert_eq!(hive, "struct<name:string,children:array<string>>");
    }

    #[test]
    fn names_are_unique_after_folding_whatever_their_order() {
        let forward = columns(&json!({"properties": {"Name": {}, "name": {}, "NAME": {}}}));
        let backward = columns(&json!({"properties": {"NAME": {}, "name": {}, "Name": {}}}));
        let name = |columns: &[Column], source: &str| {
            columns.iter().find(|column| column.source == source).unwrap().name.clone()
        };
        assert_eq!(name(&forward, "name"), "name");
        for source in ["Name", "NAME"] {
            assert_eq!(name(&forward, source), name(&backward, source));
            assert!(name(&forward, source).starts_with("name_"));
        }
    }

    #[test]
    fn a_column_is_personal_by_its_mark_and_by_what_it_holds() {
        let marked = json!({"type": "string", "x-personal": true});
        let is_personal = |schema: Value| {
            let root = json!({"properties": {"x": schema}, "$defs": {"m": marked}});
            columns(&root)[0].is_personal()
        };
        for personal in [
            marked.clone(),
            json!({"$ref": "#/$defs/m"}),
            json!({"type": "array", "items": marked}),
            json!({"type": "object", "properties": {"a": {}, "b": marked}}),
            json!({"type": "array", "items": {"type": "object", "properties": {"b": marked}}}),
            json!({"anyOf": [
                {"type": "object", "properties": {"b": {"type": "string"}}},
                {"type": "object", "properties": {"b": marked}},
            ]}),
        ] {
            assert!(is_personal(personal.clone()), "{personal}");
        }
        for plain in [json!({}), json!({"x-personal": false}), json!({"x-personal": "no"})] {
            assert!(!is_personal(plain.clone()), "{plain}");
        }
    }

    #[test]
    fn a_schema_without_properties_is_no_table() {
        assert!(!is_object_schema(&json!({})));
        assert!(!is_object_schema(&json!({"type": "object"})));
        assert!(!is_object_schema(&json!(true)));
        assert!(is_object_schema(&json!({"properties": {"a": {}}})));
    }
}
