//! JSON Schema to column types.
//!
//! Every construct that taps emit is resolved to one type from the schema alone; where several
//! types are possible, to the narrowest that holds them all ([`join`]).
//!
//! A schema is the tap's word: what references repeat is paid for from a [`Budget`] before it is
//! looked at.

mod scalar;

use std::cell::{Cell, RefCell};
use std::collections::HashSet;

use serde_json::{Map, Value};

use lake::schema::{Column, Kind, names};
use protocol::personal;

use protocol::schema_limits::{Budget, TooLarge};
use scalar::{
    DECIMAL_PRECISION, Declared, decimal_number, decimal_string, declared, integer, kind_of_value,
};

/// Nesting beyond this becomes JSON text: Hive, Redshift and pyarrow stop at 100 levels.
const MAX_DEPTH: usize = 64;

/// Levels that a list takes: itself and its element (<https://github.com/apache/parquet-format/blob/master/LogicalTypes.md#lists>).
const LIST_DEPTH: usize = 2;

/// Whether a schema describes an object with named properties, as a table needs.
pub(crate) fn is_object_schema(schema: &Value) -> bool {
    let properties = Resolver::of(schema).properties(schema);
    // Too long a reference to the properties is an error of their columns.
    properties
        .map_or(true, |properties| properties.is_some_and(|properties| !properties.is_empty()))
}

/// The columns of a stream, in the order of its schema.
pub(crate) fn columns(schema: &Value) -> Result<Vec<Column>, TooLarge> {
    Resolver::of(schema).all()
}

/// A column or field whose schema declares more digits than a decimal has.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Narrowed {
    /// Its name, without what it is inside of.
    pub(crate) name: String,
    /// The type that was asked for.
    pub(crate) declared: String,
}

/// Which columns are narrower than their schemas say, because nothing is as wide.
pub(crate) fn narrowed(schema: &Value) -> Result<Vec<Narrowed>, TooLarge> {
    let resolver = Resolver::of(schema);
    resolver.all()?;
    Ok(resolver.narrowed.into_inner())
}

/// How many columns there are, with the fields inside them.
pub(crate) fn count(columns: &[Column]) -> usize {
    columns.iter().map(|column| 1 + count_inside(&column.kind)).sum()
}

fn count_inside(kind: &Kind) -> usize {
    match kind {
        Kind::Struct(columns) => count(columns),
        Kind::List(element) => count_inside(element),
        Kind::Boolean
        | Kind::Int
        | Kind::Bigint
        | Kind::Double
        | Kind::Decimal(..)
        | Kind::String
        | Kind::Json
        | Kind::Date
        | Kind::Timestamp => 0,
    }
}

struct Resolver<'a> {
    root: &'a Value,
    /// References being resolved: one that comes up again inside itself describes a tree, which no
    /// column type can.
    open: RefCell<Vec<&'a str>>,
    /// Whether a schema that was looked at for the column at hand is marked as personal data: its own,
    /// one that it refers to, that of its elements or of one of its alternatives. Fields inside of it
    /// are columns with marks of their own.
    is_marked: Cell<bool>,
    budget: Budget,
    /// What the column at hand asks for that no decimal has.
    too_long: Cell<Option<Declared>>,
    narrowed: RefCell<Vec<Narrowed>>,
}

impl<'a> Resolver<'a> {
    fn of(root: &'a Value) -> Self {
        Self {
            root,
            open: RefCell::default(),
            is_marked: Cell::default(),
            budget: Budget::default(),
            too_long: Cell::default(),
            narrowed: RefCell::default(),
        }
    }

    fn all(&self) -> Result<Vec<Column>, TooLarge> {
        match self.properties(self.root)? {
            Some(properties) => self.columns(properties, 0),
            None => Ok(Vec::new()),
        }
    }

    fn properties(&self, schema: &'a Value) -> Result<Option<&'a Map<String, Value>>, TooLarge> {
        let Some(schema) = schema.as_object() else { return Ok(None) };
        let schema = self.dereference(schema)?;
        Ok(schema.and_then(|schema| schema.get("properties")?.as_object()))
    }

    fn columns(
        &self,
        properties: &'a Map<String, Value>,
        depth: usize,
    ) -> Result<Vec<Column>, TooLarge> {
        self.budget.fields(properties.len())?;
        self.budget.text(properties.keys().map(String::len).sum())?;
        // A name that needs no folding keeps it, whatever stands before it.
        let plain: HashSet<String> =
            properties.keys().filter(|source| names::fold(source) == **source).cloned().collect();
        let mut taken = plain.clone();
        let columns = properties.iter().map(|(source, schema)| {
            let name =
                if plain.contains(source) { source.clone() } else { names::unique(source, &taken) };
            taken.insert(name.clone());
            let outer = self.is_marked.replace(false);
            let kind = self.kind(schema, depth + 1)?.unwrap_or(Kind::Json);
            let personal = self.is_marked.replace(outer);
            if let Some(Declared { whole, scale }) = self.too_long.take() {
                let declared = format!("decimal({},{scale})", whole.saturating_add(scale));
                self.narrowed.borrow_mut().push(Narrowed { name: source.clone(), declared });
            }
            let description = self.description(schema)?;
            Ok(Column { source: source.clone(), name, kind, description, personal })
        });
        columns.collect()
    }

    fn description(&self, schema: &'a Value) -> Result<Option<String>, TooLarge> {
        let Some(schema) = schema.as_object() else { return Ok(None) };
        let own = schema.get("description").and_then(Value::as_str);
        let description = match own {
            Some(own) => Some(own),
            None => {
                self.dereference(schema)?.and_then(|schema| schema.get("description")?.as_str())
            }
        };
        self.budget.text(description.map_or(0, str::len))?;
        Ok(description.map(str::to_owned))
    }

    /// The schema behind local references, or nothing for a reference that leads nowhere or round.
    fn dereference(
        &self,
        schema: &'a Map<String, Value>,
    ) -> Result<Option<&'a Map<String, Value>>, TooLarge> {
        let mut schema = schema;
        for _ in 0..MAX_DEPTH {
            let Some(Value::String(reference)) = schema.get("$ref") else {
                return Ok(Some(schema));
            };
            self.budget.text(reference.len())?;
            let target = reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
            match target.and_then(Value::as_object) {
                Some(target) => schema = target,
                None => return Ok(None),
            }
        }
        Ok(None)
    }

    /// The type of a schema, or nothing where it allows no value but null.
    fn kind(&self, schema: &'a Value, depth: usize) -> Result<Option<Kind>, TooLarge> {
        self.note_mark(schema.get(personal::KEYWORD));
        let Some(object) = schema.as_object().filter(|_| depth <= MAX_DEPTH) else {
            return Ok(Some(Kind::Json));
        };
        if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
            if self.open.borrow().contains(&reference) {
                return Ok(Some(Kind::Json));
            }
            self.open.borrow_mut().push(reference);
            let kind = match self.dereference(object)? {
                Some(schema) => {
                    self.note_mark(schema.get(personal::KEYWORD));
                    self.resolved(schema, depth)?
                }
                None => Some(Kind::Json),
            };
            self.open.borrow_mut().pop();
            return Ok(kind);
        }
        self.resolved(object, depth)
    }

    /// Notes numbers with more digits than a decimal has.
    fn note_length(&self, schema: &Map<String, Value>) {
        if let Some(declared) = declared(schema).filter(|declared| declared.is_too_long()) {
            self.too_long.set(Some(declared));
        }
    }

    fn note_mark(&self, keyword: Option<&Value>) {
        if keyword == Some(&Value::Bool(true)) {
            self.is_marked.set(true);
        }
    }

    fn resolved(
        &self,
        schema: &'a Map<String, Value>,
        depth: usize,
    ) -> Result<Option<Kind>, TooLarge> {
        if let Some(kind) = decimal_string(schema) {
            self.note_length(schema);
            return Ok(Some(kind));
        }
        if let Some(types) = self.types_of(schema)? {
            let kinds = types.into_iter().map(|name| self.typed(name, schema, depth));
            let own = joined(kinds)?;
            // `{"type": ["object", "null"], "anyOf": […]}`: the branches may know more.
            return Ok(match (own, self.branches(schema, depth)?) {
                (Some(Kind::Json), Some(Some(kind @ (Kind::Struct(_) | Kind::List(_))))) => {
                    Some(kind)
                }
                (own, _) => own,
            });
        }
        if schema.contains_key("properties") {
            return self.typed("object", schema, depth);
        }
        if schema.contains_key("items") {
            return self.typed("array", schema, depth);
        }
        if let Some(kind) = self.branches(schema, depth)? {
            return Ok(kind);
        }
        if let Some(values) = schema.get("enum").and_then(Value::as_array) {
            self.budget.text(values.len())?;
            return Ok(values.iter().filter_map(kind_of_value).reduce(join));
        }
        if let Some(value) = schema.get("const") {
            return Ok(kind_of_value(value));
        }
        Ok(Some(Kind::Json))
    }

    /// The names in `type`, each once: the same type again allows nothing more.
    fn types_of(&self, schema: &'a Map<String, Value>) -> Result<Option<Vec<&'a str>>, TooLarge> {
        Ok(match schema.get("type") {
            Some(Value::String(name)) => Some(vec![name]),
            Some(Value::Array(names)) => {
                self.budget.parts(names.len())?;
                let mut known = HashSet::new();
                let names = names.iter().filter_map(Value::as_str);
                Some(names.filter(|name| known.insert(*name)).collect())
            }
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => None,
        })
    }

    /// The type of `anyOf`, `oneOf` or `allOf`; the outer option says whether there is one.
    fn branches(
        &self,
        schema: &'a Map<String, Value>,
        depth: usize,
    ) -> Result<Option<Option<Kind>>, TooLarge> {
        let branches = |key: &str| schema.get(key).and_then(Value::as_array);
        if let Some(alternatives) = branches("anyOf").or_else(|| branches("oneOf")) {
            self.budget.parts(alternatives.len())?;
            return joined(alternatives.iter().map(|branch| self.kind(branch, depth + 1)))
                .map(Some);
        }
        let Some(parts) = branches("allOf") else { return Ok(None) };
        self.budget.parts(parts.len())?;
        let kinds = parts.iter().map(|part| self.kind(part, depth + 1));
        // All parts hold at once, so a part that says nothing takes nothing away.
        let mut known = Vec::new();
        for kind in kinds {
            known.extend(Some(kind?).filter(|kind| *kind != Some(Kind::Json)));
        }
        let mut known = known.into_iter();
        let first = known.next().unwrap_or(Some(Kind::Json));
        Ok(Some(known.fold(first, |left, right| Some(join(left?, right?)))))
    }

    fn typed(
        &self,
        name: &str,
        schema: &'a Map<String, Value>,
        depth: usize,
    ) -> Result<Option<Kind>, TooLarge> {
        let text = |key: &str| schema.get(key).and_then(Value::as_str);
        Ok(Some(match name {
            "null" => return Ok(None),
            "boolean" => Kind::Boolean,
            "integer" => {
                self.note_length(schema);
                integer(schema)
            }
            "number" if text("airbyte_type") == Some("integer") => Kind::Bigint,
            "number" => match decimal_number(schema) {
                Some(kind) => {
                    self.note_length(schema);
                    kind
                }
                None => Kind::Double,
            },
            "string" => match text("format") {
                Some("date-time") => Kind::Timestamp,
                Some("date") => Kind::Date,
                _ => Kind::String,
            },
            "object" => match schema.get("properties").and_then(Value::as_object) {
                Some(properties) if !properties.is_empty() => {
                    Kind::Struct(self.columns(properties, depth)?)
                }
                _ => Kind::Json,
            },
            "array" => {
                let element = match schema.get("items") {
                    Some(items) => {
                        self.budget.parts(1)?;
                        self.kind(items, depth + LIST_DEPTH)?
                    }
                    None => None,
                };
                Kind::List(Box::new(element.unwrap_or(Kind::Json)))
            }
            _ => Kind::Json,
        }))
    }
}

/// The narrowest type of all; nothing where none allows a value.
fn joined(
    kinds: impl Iterator<Item = Result<Option<Kind>, TooLarge>>,
) -> Result<Option<Kind>, TooLarge> {
    let mut all: Option<Kind> = None;
    for kind in kinds {
        all = match (all, kind?) {
            (Some(left), Some(right)) => Some(join(left, right)),
            (left, right) => left.or(right),
        };
    }
    Ok(all)
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

#[cfg(test)]
mod limits;

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
        columns(&root).unwrap()[0].kind.to_string()
    }

    #[test]
    fn every_construct_has_one_type() {
        for (schema, hive) in [
            (json!({"type": "integer"}), "bigint"),
            (json!({"type": ["null", "integer"], "minimum": 0, "maximum": 1}), "int"),
            (json!({"type": "integer", "minimum": 0}), "bigint"),
            (json!({"type": "integer", "minimum": 0, "maximum": 2_147_483_648_u64}), "bigint"),
            (json!({"type": "integer", "minimum": i64::MIN, "maximum": i64::MAX}), "bigint"),
            (
                json!({"type": "integer", "exclusiveMaximum": 9_223_372_036_854_775_808_u64}),
                "bigint",
            ),
            (json!({"type": "integer", "maximum": 9_223_372_036_854_775_808_u64}), "decimal(20,0)"),
            (
                json!({"type": ["integer", "null"], "minimum": 0, "maximum": u64::MAX}),
                "decimal(20,0)",
            ),
            (json!({"type": "integer", "minimum": -1e30, "maximum": 0}), "decimal(31,0)"),
            (json!({"type": "integer", "maximum": 1e300}), "decimal(38,0)"),
            // What a program without integers of 64 bits makes of their end.
            (json!({"type": "integer", "maximum": 9_223_372_036_854_775_807.0}), "bigint"),
            (json!({"enum": [1, u64::MAX]}), "decimal(20,0)"),
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
    fn numbers_with_more_digits_than_a_decimal_has_are_named() {
        for (schema, declared) in [
            (
                json!({"type": "string", "format": "singer.decimal", "precision": 65, "scale": 30}),
                Some("decimal(65,30)"),
            ),
            (
                json!({"type": "number", "multipleOf": 1e-30, "maximum": 1e35, "exclusiveMaximum": true}),
                Some("decimal(65,30)"),
            ),
            (json!({"type": "integer", "maximum": 1e40}), Some("decimal(41,0)")),
            (
                json!({"type": ["null", "array"], "items": {"type": "integer", "maximum": 1e40}}),
                Some("decimal(41,0)"),
            ),
            (json!({"type": "number", "multipleOf": 1e-30}), None),
            (
                json!({"type": "number", "multipleOf": 1e-10, "maximum": 1e28, "exclusiveMaximum": true}),
                None,
            ),
            (json!({"type": "integer", "maximum": u64::MAX}), None),
            (json!({"type": "number", "maximum": 1e300}), None),
            (json!({"type": "string", "format": "singer.decimal"}), None),
        ] {
            let root = json!({"properties": {"a": {"type": "integer"}, "x": schema}});
            let found = narrowed(&root).unwrap();
            let found: Vec<_> =
                found.iter().map(|n| (n.name.as_str(), n.declared.as_str())).collect();
            assert_eq!(
                found,
                declared.map(|declared| ("x", declared)).into_iter().collect::<Vec<_>>(),
                "{schema}"
            );
        }
    }

    #[test]
    fn a_recursive_schema_ends_in_json_text() {
        let hive = kind(&json!({"$ref": "#/$defs/tree"}));
        assert_eq!(hive, "struct<name:string,children:array<string>>");
    }

    #[test]
    fn names_are_unique_after_folding_whatever_their_order() {
        let forward =
            columns(&json!({"properties": {"Name": {}, "name": {}, "NAME": {}}})).unwrap();
        let backward =
            columns(&json!({"properties": {"NAME": {}, "name": {}, "Name": {}}})).unwrap();
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
            columns(&root).unwrap()[0].is_personal()
        };
        for personal in [
            marked.clone(),
            json!({"$ref": "#/$defs/m"}),
            json!({"type": "array", "items": marked}),
            json!({"type": "array", "items": {"$ref": "#/$defs/m"}}),
            json!({"anyOf": [{"type": "null"}, marked]}),
            json!({"type": "array", "items": {"oneOf": [{"$ref": "#/$defs/m"}, {}]}}),
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
