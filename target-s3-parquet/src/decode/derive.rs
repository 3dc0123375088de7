//! The columns of a mapped stream out of what is read of its records.
//!
//! Records are read in the shape in which they come, without what nothing asks for; columns are
//! then picked out of the finished arrays. So renaming, dropping and flattening cost nothing for a
//! record, and a filter looks at typed values.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, StringArray};
use lake::schema::{Column, Kind, names};
use protocol::mapping::{Field, Filter, Literal, MapError, Mapped, Origin};

use super::filtered::{Filtered, typed};
use crate::error::{Error, Result};
use crate::json_schema;
use crate::settings::columns::TypedColumn;

/// How the columns of a stream come out of what is read.
#[derive(Debug)]
pub(crate) struct Derivation {
    picks: Vec<Pick>,
    filter: Option<Filter<Place>>,
    unread: HashSet<String>,
}

/// Where a value is in what is read, and its type.
#[derive(Debug)]
struct Place {
    path: Vec<usize>,
    kind: Kind,
}

/// Where a column comes from.
#[derive(Debug)]
enum Pick {
    /// The column at this position, the field at the next inside it, and so on.
    Read(Vec<usize>),
    /// The same value in all rows.
    Constant(Literal),
}

/// Something that is to be read.
struct Want<'a> {
    path: &'a [String],
    /// As JSON text, whatever its type.
    text: bool,
}

/// The parts of a plan that mapping decides.
#[derive(Debug)]
pub(crate) struct Derived {
    /// What is read of a record.
    pub(crate) reads: Vec<Column>,
    /// The columns that come out of it.
    pub(crate) columns: Vec<Column>,
    /// The way from the one to the other.
    pub(crate) derivation: Derivation,
}

impl Derivation {
    /// Works out what to read for a mapped stream whose records have the columns `raw`.
    pub(crate) fn of(raw: &[Column], mapped: &Mapped) -> Result<Derived, MapError> {
        let plain: Vec<_> = raw.iter().map(|column| vec![column.source.clone()]).collect();
        let mut wants = Vec::new();
        match &mapped.fields {
            None => wants.extend(plain.iter().map(|path| Want { path, text: false })),
            Some(fields) => wants.extend(fields.iter().filter_map(|field| match &field.origin {
                Origin::Property { path, text } => Some(Want { path, text: *text }),
                Origin::Constant(_) => None,
            })),
        }
        let paths = mapped.filter.as_ref().map(Filter::paths).unwrap_or_default();
        wants.extend(paths.iter().map(|path| Want { path, text: false }));
        let reads = shape(raw, &wants);
        let position = |path: &[String]| {
            position(&reads, path).ok_or_else(|| MapError::Setting {
                key: "stream_maps".into(),
                reason: format!(
                    "`{}` of stream `{}` is inside JSON text and cannot be read",
                    path.join("."),
                    mapped.stream
                ),
            })
        };
        let mut columns = json_schema::columns(&mapped.schema)?;
        let mut picks = Vec::with_capacity(columns.len());
        for column in &mut columns {
            let field = mapped.fields.iter().flatten().find(|field| field.name == column.source);
            let own = std::slice::from_ref(&column.source);
            let path = match field.map(|field| &field.origin) {
                Some(Origin::Constant(literal)) => {
                    picks.push(Pick::Constant(literal.clone()));
                    continue;
                }
                Some(Origin::Property { path, .. }) => path,
                None => own,
            };
            let (at, kind) = position(path)?;
            column.kind = kind.clone();
            // A part of what is personal is so as well, also behind references.
            column.personal |= is_personal(raw, path);
            picks.push(Pick::Read(at));
        }
        let filter = match &mapped.filter {
            None => None,
            Some(filter) => Some(filter.bind(&mut |path, test| {
                let (at, kind) = position(path)?;
                let test = typed(test, kind).map_err(|reason| MapError::Setting {
                    key: "stream_maps".into(),
                    reason: format!(
                        "`__filter__` of stream `{}`: `{}` is {kind}; {reason}",
                        mapped.stream,
                        path.join(".")
                    ),
                })?;
                Ok::<_, MapError>((Place { path: at, kind: kind.clone() }, test))
            })?),
        };
        let unread = raw.iter().map(|column| column.source.clone());
        let unread = unread.chain(inner_names(raw)).collect();
        Ok(Derived { columns, derivation: Self { picks, filter, unread }, reads })
    }

    /// Whether the stream's schema knows a key that is not read.
    pub(super) fn is_unread(&self, key: &str) -> bool {
        self.unread.contains(key)
    }

    /// Where in what is read the values are that decide which records go on.
    pub(super) fn filters(&self) -> impl Iterator<Item = &[usize]> {
        let places = self.filter.as_ref().map(Filter::paths).unwrap_or_default();
        places.into_iter().map(|place| place.path.as_slice())
    }

    /// Where in what is read a column comes from; nothing for a constant.
    pub(super) fn origin(&self, column: usize) -> Result<Option<&[usize]>> {
        match self.picks.get(column) {
            Some(Pick::Read(path)) => Ok(Some(path)),
            Some(Pick::Constant(_)) => Ok(None),
            None => Err(Error::internal(format!(
                "column {column} of a mapped stream comes from somewhere"
            ))),
        }
    }

    /// The columns of `rows` rows.
    pub(super) fn columns(&self, arrays: &[ArrayRef], rows: usize) -> Result<Vec<ArrayRef>> {
        let columns = self.picks.iter().map(|column| match column {
            Pick::Read(path) => pick(arrays, path),
            Pick::Constant(literal) => Ok(constant(literal, rows)),
        });
        columns.collect()
    }

    /// Which rows go on; all, where there is no filter.
    pub(super) fn mask(&self, arrays: &[ArrayRef], rows: usize) -> Result<Option<BooleanArray>> {
        let Some(filter) = &self.filter else { return Ok(None) };
        let bound = filter.bind(&mut |place, test| {
            Ok::<_, Error>((Filtered::of(&pick(arrays, &place.path)?, &place.kind)?, test.clone()))
        })?;
        let goes_on = (0..rows).map(|row| Some(bound.test(&|column| column.scalar(row))));
        Ok(Some(goes_on.collect()))
    }
}

/// Gives the columns that a mapped stream is read from the types that settings give to its own.
pub(crate) fn retype(raw: &mut [Column], mapped: &Mapped, types: &BTreeMap<String, TypedColumn>) {
    for (name, TypedColumn { kind, .. }) in types {
        let is_called = |field: &&Field| field.name == *name || names::fold(&field.name) == *name;
        let own = std::slice::from_ref(name);
        let path = match &mapped.fields {
            None => own,
            Some(fields) => match fields.iter().find(is_called).map(|field| &field.origin) {
                Some(Origin::Property { path, .. }) => path,
                Some(Origin::Constant(_)) | None => continue,
            },
        };
        if let Some(column) = column_at(raw, path) {
            kind.give_to(column);
        }
    }
}

/// The column at a path.
fn column_at<'a>(columns: &'a mut [Column], path: &[String]) -> Option<&'a mut Column> {
    let (first, rest) = path.split_first()?;
    let column = columns.iter_mut().find(|column| column.source == *first)?;
    if rest.is_empty() {
        return Some(column);
    }
    match &mut column.kind {
        Kind::Struct(fields) => column_at(fields, rest),
        _ => None,
    }
}

/// The names of fields inside columns: what of them is not read is no news either.
fn inner_names(columns: &[Column]) -> Vec<String> {
    let mut names = Vec::new();
    for column in columns {
        let fields = column.kind.fields();
        names.extend(fields.iter().map(|field| field.source.clone()));
        names.extend(inner_names(fields));
    }
    names
}

/// The columns to read, in the shape of the records.
fn shape(raw: &[Column], wants: &[Want<'_>]) -> Vec<Column> {
    raw.iter()
        .filter_map(|column| {
            let own: Vec<Want<'_>> = wants
                .iter()
                .filter_map(|want| match want.path {
                    [first, path @ ..] if *first == column.source => {
                        Some(Want { path, text: want.text })
                    }
                    _ => None,
                })
                .collect();
            if own.is_empty() {
                return None;
            }
            let kind = match own.iter().find(|want| want.path.is_empty()) {
                Some(Want { text: true, .. }) => Kind::Json,
                Some(Want { text: false, .. }) => column.kind.clone(),
                None => inside(&column.kind, &own),
            };
            Some(Column { kind, ..column.clone() })
        })
        .collect()
}

/// What is read of a column of which only parts are read. What has no fields is read as text.
fn inside(kind: &Kind, wants: &[Want<'_>]) -> Kind {
    match kind {
        Kind::Struct(fields) => Kind::Struct(shape(fields, wants)),
        Kind::Boolean
        | Kind::Int
        | Kind::Bigint
        | Kind::Double
        | Kind::Decimal(..)
        | Kind::String
        | Kind::Json
        | Kind::Date
        | Kind::Timestamp
        | Kind::List(_) => Kind::Json,
    }
}

/// Where a path leads, unless it leads into a value without fields.
fn position<'a>(columns: &'a [Column], path: &[String]) -> Option<(Vec<usize>, &'a Kind)> {
    let (first, rest) = path.split_first()?;
    let at = columns.iter().position(|column| column.source == *first)?;
    let kind = &columns.get(at)?.kind;
    if rest.is_empty() {
        return Some((vec![at], kind));
    }
    let (inner, kind) = position(kind.fields(), rest)?;
    Some(([vec![at], inner].concat(), kind))
}

/// Whether something on the way to a path is marked as personal.
fn is_personal(columns: &[Column], path: &[String]) -> bool {
    let Some((first, rest)) = path.split_first() else { return false };
    let Some(column) = columns.iter().find(|column| column.source == *first) else { return false };
    if column.personal || rest.is_empty() {
        return column.is_personal();
    }
    is_personal(column.kind.fields(), rest)
}

/// The array at a path. The fields of a struct that is null are null.
fn pick(arrays: &[ArrayRef], path: &[usize]) -> Result<ArrayRef> {
    let missing = || Error::internal(format!("{path:?} is a path in what is read"));
    let (first, rest) = path.split_first().ok_or_else(missing)?;
    let array = arrays.get(*first).ok_or_else(missing)?;
    if rest.is_empty() {
        return Ok(Arc::clone(array));
    }
    pick(array.as_struct_opt().ok_or_else(missing)?.columns(), rest)
}

fn constant(literal: &Literal, rows: usize) -> ArrayRef {
    match literal {
        Literal::Text(text) => {
            Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, rows)))
        }
        Literal::Integer(number) => Arc::new(Int64Array::from(vec![*number; rows])),
        Literal::Number(number) => Arc::new(Float64Array::from(vec![*number; rows])),
        Literal::Boolean(flag) => Arc::new(BooleanArray::from(vec![*flag; rows])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::described::Described;
    use crate::testing::{config, conventions, decoded, rows_of};
    use protocol::mapping::Mapper;
    use serde_json::{Value, json};

    fn schema() -> Value {
        json!({"properties": {
            "id": {"type": "integer"},
            "name": {"type": "string"},
            "score": {"type": "number"},
            "price": {"type": "number", "multipleOf": 0.01},
            "ok": {"type": "boolean"},
            "day": {"type": "string", "format": "date"},
            "at": {"type": "string", "format": "date-time"},
            "small": {"type": "integer", "minimum": 0, "maximum": 9},
            "tags": {"type": "array", "items": {"type": "string"}},
            "home": {"type": "object", "properties": {
                "city": {"type": "string"},
                "geo": {"type": "object", "properties": {"lat": {"type": "number"}}},
            }},
        }})
    }

    fn mapper(settings: Value) -> Mapper {
        config(settings).mapper()
    }

    fn derived(settings: Value) -> Result<(Mapped, Derived), String> {
        let mapped =
            mapper(settings).map("a", &schema(), &[]).map_err(|error| error.to_string())?;
        let mapped = mapped.into_iter().next().unwrap();
        let derived = Derivation::of(&json_schema::columns(&schema()).unwrap(), &mapped);
        derived.map(|derived| (mapped, derived)).map_err(|error| error.to_string())
    }

    /// What the records of a mapped stream become, and how many a filter left out.
    fn read(settings: Value, records: &[Value]) -> (Vec<Value>, u64) {
        let (mapped, derived) = derived(settings).unwrap();
        let described = Described {
            name: "a",
            schema: &mapped.schema,
            keys: &mapped.keys,
            cursor: None,
            source: "a",
            source_schema: &schema(),
            derived: Some(derived),
            refresh: None,
            conventions: conventions(),
        };
        let plan = described.plan(&config(json!({})).stream("a"), 1).unwrap();
        let lines: Vec<String> =
            records.iter().map(|record| json!({"a": record}).to_string()).collect();
        let found = decoded(&lines, &[Arc::new(plan)]);
        assert!(found.error.is_none(), "{:?}", found.error);
        let rows = &found.rows[0];
        assert_eq!(rows.unknown_keys, [], "what is left out on purpose is no news");
        (rows_of(&rows.batch), rows.filtered)
    }

    fn filtered(filter: &str) -> Vec<i64> {
        let record = |id: i64, name: Value, score: Value, day: Value, tags: Value| {
            json!({
                "id": id, "name": name, "score": score, "price": score, "ok": id == 1, "small": id,
                "day": day, "at": format!("2026-01-0{id}T00:00:00Z"), "tags": tags,
                "home": if id == 3 { json!(null) } else { json!({"city": name}) },
            })
        };
        let records = [
            record(1, json!("Ann"), json!(1.5), json!("2026-01-01"), json!([])),
            record(2, json!("Bob"), json!(0), json!("2026-02-01"), json!(["x"])),
            record(3, json!(null), json!(null), json!(null), json!(null)),
        ];
        let (rows, out) = read(json!({"stream_maps": {"a": {"__filter__": filter}}}), &records);
        let ids: Vec<i64> = rows.iter().map(|row| row["id"].as_i64().unwrap()).collect();
        assert_eq!(ids.len() as u64 + out, 3);
        ids
    }

    #[test]
    fn what_is_made_of_a_personal_value_is_personal() {
        let mut schema = schema();
        let mut home = std::mem::replace(
            &mut schema["properties"]["home"],
            json!({"$ref": "#/definitions/home"}),
        );
        home["x-personal"] = json!(true);
        schema["definitions"] = json!({"home": home});
        schema["properties"]["name"]["x-personal"] = json!(true);
        let raw = json_schema::columns(&schema).unwrap();
        let personal = |settings: Value| {
            let mapped = mapper(settings).map("a", &schema, &[]).unwrap();
            let columns = Derivation::of(&raw, &mapped[0]).unwrap().columns;
            let personal = columns.into_iter().filter(Column::is_personal);
            personal.map(|column| column.name).collect::<Vec<_>>()
        };
        let flat = json!({"flattening_enabled": true});
        assert_eq!(personal(flat), ["name", "home__city", "home__geo__lat"]);
        let shallow = json!({"flattening_enabled": true, "flattening_max_depth": 1});
        assert_eq!(personal(shallow), ["name", "home__city", "home__geo"]);
        let maps = json!({"a": {"who": "name", "id": "id", "__else__": null}});
        assert_eq!(personal(json!({"stream_maps": maps})), ["who"]);
    }

    #[test]
    fn a_filter_looks_at_values_of_every_type_and_null_passes_no_comparison() {
        for (filter, ids) in [
            ("id > 1", vec![2, 3]),
            ("small <= 2", vec![1, 2]),
            ("name == 'Ann'", vec![1]),
            ("score > 0.5", vec![1]),
            ("price >= 1.5", vec![1]),
            ("ok == True", vec![1]),
            ("day < '2026-01-15'", vec![1]),
            ("at >= '2026-01-02'", vec![2, 3]),
            ("score", vec![1]),
            ("tags", vec![2]),
            ("home", vec![1, 2]),
            ("name is None", vec![3]),
            ("name.startswith('A') or id == 3", vec![1, 3]),
        ] {
            assert_eq!(filtered(filter), ids, "{filter}");
        }
    }

    #[test]
    fn a_comparison_that_no_value_of_the_type_can_pass_is_refused_with_both() {
        for (filter, reason) in [
            ("id == 'x'", "`id` is bigint; a constant of type string does not compare with it"),
            ("name == 5", "`name` is string; a constant of type integer does not compare with it"),
            ("tags == 'x'", "does not compare with it"),
            ("day == 5", "`day` is date; a constant of type integer"),
            ("day == 'soon'", "`soon` is no date"),
            ("at == 'soon'", "`soon` is no time"),
            ("id.startswith('1')", "only strings are asked for a part"),
        ] {
            let error = derived(json!({"stream_maps": {"a": {"__filter__": filter}}})).unwrap_err();
            assert!(error.contains(reason), "{filter}: {error}");
        }
    }

    #[test]
    fn columns_are_renamed_picked_from_inside_and_made_constant() {
        let maps = json!({"stream_maps": {"a": {
            "__else__": "__NULL__", "number": "id", "source": "'tap'", "one": "1",
        }}});
        let (rows, _) = read(maps, &[json!({"id": 7, "name": "x"}), json!({"id": null})]);
        assert_eq!(
            rows,
            [
                json!({"number": 7, "source": "tap", "one": 1}),
                json!({"number": null, "source": "tap", "one": 1}),
            ]
        );
    }

    #[test]
    fn flat_columns_come_out_of_objects_to_the_depth_that_is_asked_for() {
        let record = json!({"home": {"city": "Ulm", "geo": {"lat": 48.4}}, "tags": ["x", "y"]});
        let flat = |depth: usize| {
            let settings = json!({"flattening_enabled": true, "flattening_max_depth": depth});
            let (rows, _) = read(settings, &[record.clone(), json!({"home": null})]);
            rows
        };
        let deep = flat(3);
        assert_eq!(
            (&deep[0]["home__city"], &deep[0]["home__geo__lat"]),
            (&json!("Ulm"), &json!(48.4))
        );
        assert_eq!(deep[0]["tags"], r#"["x","y"]"#);
        assert_eq!(
            (&deep[1]["home__city"], &deep[1]["home__geo__lat"]),
            (&json!(null), &json!(null))
        );
        let shallow = flat(1);
        assert_eq!(shallow[0]["home__geo"], r#"{"lat":48.4}"#);
    }

    #[test]
    fn positions_that_are_not_there_break_an_invariant() {
        let (_, Derived { derivation, .. }) = derived(json!({"flattening_enabled": true})).unwrap();
        assert!(derivation.origin(0).unwrap().is_some());
        assert!(derivation.origin(999).is_err());
        assert!(derivation.columns(&[], 1).is_err());
    }
}
