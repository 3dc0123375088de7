//! The columns of a table as Iceberg knows them: by ids that never change.
//!
//! A column is found by its name and keeps its id. What Iceberg can promote (`int` to `long`, more digits of a
//! decimal) keeps it too. A type that becomes another one is a new column of the same name: files of before
//! do not have it, so that all of them are written anew in the same commit
//! (<https://iceberg.apache.org/spec/#schema-evolution>).

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use serde_json::{Value, json};

use super::metadata::Metadata;
use crate::error::{Error, Result};
use crate::schema::{Column, Kind};

/// A schema of a table with the highest id that any of its columns ever had.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Numbered {
    pub(super) schema: Value,
    pub(super) last_id: i64,
    /// A column is a new one under an old name, so that every file is to be written anew.
    pub(crate) is_rewritten: bool,
}

/// The columns of a table upon what its metadata has of them; nothing is there yet without any.
pub(crate) fn numbered(base: Option<&Metadata>, columns: &[Column]) -> Numbered {
    match base {
        None => fresh(columns),
        Some(base) => {
            let last = base.json()["last-column-id"].as_i64().unwrap_or(0);
            evolved(base.schema(), last, columns)
        }
    }
}

/// The schema of a new table. Ids are given level by level, as catalogs do that number them anew.
pub(super) fn fresh(columns: &[Column]) -> Numbered {
    let mut numbered = Numbered { schema: json!({}), last_id: 0, is_rewritten: false };
    let fields = new_fields(columns, &mut numbered.last_id);
    numbered.schema = json!({"type": "struct", "schema-id": 0, "fields": fields});
    numbered
}

/// The schema that also has these columns. The table's own that they do not name stay.
pub(super) fn evolved(schema: &Value, last_id: i64, columns: &[Column]) -> Numbered {
    let mut numbered = Numbered { schema: schema.clone(), last_id, is_rewritten: false };
    numbered.schema["fields"] =
        merge_fields(&schema["fields"], columns, &mut numbered.last_id, &mut numbered.is_rewritten);
    numbered
}

fn new_fields(columns: &[Column], last_id: &mut i64) -> Value {
    // All ids of a level first, then those below.
    let ids: Vec<i64> = columns.iter().map(|_| next(last_id)).collect();
    let fields = columns.iter().zip(ids).map(|(column, id)| new_field(column, id, last_id));
    Value::Array(fields.collect())
}

fn new_field(column: &Column, id: i64, last_id: &mut i64) -> Value {
    let mut field = json!({
        "id": id,
        "name": column.name,
        "required": false,
        "type": new_type(&column.kind, last_id),
    });
    describe(&mut field, column);
    field
}

fn describe(field: &mut Value, column: &Column) {
    if let Some(description) = &column.description {
        field["doc"] = description.clone().into();
    }
}

fn next(last_id: &mut i64) -> i64 {
    *last_id += 1;
    *last_id
}

fn new_type(kind: &Kind, last_id: &mut i64) -> Value {
    match kind {
        Kind::Struct(columns) => {
            json!({"type": "struct", "fields": new_fields(columns, last_id)})
        }
        Kind::List(element) => {
            let id = next(last_id);
            let element = new_type(element, last_id);
            json!({"type": "list", "element-id": id, "element": element, "element-required": false})
        }
        plain => plain_type(plain).into(),
    }
}

fn plain_type(kind: &Kind) -> String {
    match kind {
        Kind::Boolean => "boolean".into(),
        Kind::Int => "int".into(),
        Kind::Bigint => "long".into(),
        Kind::Double => "double".into(),
        Kind::Decimal(precision, scale) => format!("decimal({precision}, {scale})"),
        Kind::String | Kind::Json => "string".into(),
        Kind::Date => "date".into(),
        Kind::Timestamp => "timestamptz".into(),
        // They are made of others.
        Kind::Struct(_) | Kind::List(_) => String::new(),
    }
}

fn merge_fields(
    old: &Value,
    columns: &[Column],
    last_id: &mut i64,
    is_rewritten: &mut bool,
) -> Value {
    let mut fields = old.as_array().cloned().unwrap_or_default();
    for column in columns {
        let Some(field) = fields.iter_mut().find(|field| field["name"] == column.name) else {
            let id = next(last_id);
            fields.push(new_field(column, id, last_id));
            continue;
        };
        match merged_type(&field["type"], &column.kind, last_id, is_rewritten) {
            Some(merged) => {
                field["type"] = merged;
                describe(field, column);
            }
            None => {
                *is_rewritten = true;
                let id = next(last_id);
                *field = new_field(column, id, last_id);
            }
        }
    }
    Value::Array(fields)
}

/// The type that holds the old values and those of a column, under the id of before; nothing where there is none.
fn merged_type(
    old: &Value,
    kind: &Kind,
    last_id: &mut i64,
    is_rewritten: &mut bool,
) -> Option<Value> {
    match kind {
        Kind::Struct(columns) if old["type"] == "struct" => {
            let mut merged = old.clone();
            merged["fields"] = merge_fields(&old["fields"], columns, last_id, is_rewritten);
            Some(merged)
        }
        Kind::List(element) if old["type"] == "list" => {
            let mut merged = old.clone();
            if let Some(inner) = merged_type(&old["element"], element, last_id, is_rewritten) {
                merged["element"] = inner;
            } else {
                *is_rewritten = true;
                merged["element-id"] = next(last_id).into();
                merged["element"] = new_type(element, last_id);
            }
            Some(merged)
        }
        Kind::Struct(_) | Kind::List(_) => None,
        plain => {
            let old = old.as_str()?;
            let new = plain_type(plain);
            let is_promoted = match (old, plain) {
                ("int", Kind::Bigint) | ("float", Kind::Double) => true,
                (_, Kind::Decimal(precision, scale)) => decimal(old)
                    .is_some_and(|(digits, same)| same == *scale && digits <= *precision),
                _ => false,
            };
            (old == new || is_promoted).then(|| new.into())
        }
    }
}

/// Digits and scale of a decimal type.
fn decimal(text: &str) -> Option<(u8, i8)> {
    let (digits, scale) = text.strip_prefix("decimal(")?.strip_suffix(')')?.split_once(',')?;
    Some((digits.trim().parse().ok()?, scale.trim().parse().ok()?))
}

/// The columns that a schema has and these have not, with the reason for each that cannot be kept.
pub(crate) fn strange(base: &Metadata, known: &[Column]) -> Result<Vec<Column>, String> {
    strange_fields(base.schema(), known)
}

fn strange_fields(schema: &Value, known: &[Column]) -> Result<Vec<Column>, String> {
    let fields = schema["fields"].as_array().into_iter().flatten();
    let mut strange = Vec::new();
    for field in fields {
        let name = field["name"].as_str().unwrap_or_default();
        let own = known.iter().find(|column| column.name == name);
        let kind = kind_of(&field["type"]).map_err(|found| {
            format!("its column `{name}` is of the type {found}, which this program does not write")
        });
        match own {
            // A float of others holds doubles by the next commit.
            Some(own) if field["type"] == "float" && own.kind == Kind::Double => {}
            Some(own) => {
                let kind = kind?;
                if has_more(&kind, &own.kind) {
                    strange.push(Column { kind, description: None, ..own.clone() });
                }
            }
            None => strange.push(Column::same(name, kind?)),
        }
    }
    Ok(strange)
}

/// Whether a struct has fields that another has not.
fn has_more(theirs: &Kind, own: &Kind) -> bool {
    match (theirs, own) {
        (Kind::List(theirs), Kind::List(own)) => has_more(theirs, own),
        (Kind::Struct(theirs), Kind::Struct(own)) => theirs.iter().any(|field| {
            let known = own.iter().find(|known| known.name == field.name);
            known.is_none_or(|known| has_more(&field.kind, &known.kind))
        }),
        _ => false,
    }
}

/// The kind of a type of others; its name where there is none.
fn kind_of(found: &Value) -> Result<Kind, String> {
    if let Some(text) = found.as_str() {
        return Ok(match text {
            "boolean" => Kind::Boolean,
            "int" => Kind::Int,
            "long" => Kind::Bigint,
            "double" => Kind::Double,
            "string" => Kind::String,
            "date" => Kind::Date,
            "timestamptz" => Kind::Timestamp,
            other => match decimal(other) {
                Some((precision, scale)) => Kind::Decimal(precision, scale),
                None => return Err(other.to_owned()),
            },
        });
    }
    match found["type"].as_str() {
        Some("struct") => {
            let fields = found["fields"].as_array().into_iter().flatten();
            let columns = fields.map(|field| {
                let name = field["name"].as_str().unwrap_or_default();
                Ok(Column::same(name, kind_of(&field["type"])?))
            });
            Ok(Kind::Struct(columns.collect::<Result<_, String>>()?))
        }
        Some("list") => Ok(Kind::List(Box::new(kind_of(&found["element"])?))),
        other => Err(other.unwrap_or("unknown").to_owned()),
    }
}

/// Columns with the ids of a schema that has them all, as files are written.
pub(crate) fn with_ids(columns: &SchemaRef, numbered: &Numbered) -> Result<SchemaRef> {
    let fields = fields_with_ids(columns.fields(), &numbered.schema["fields"])?;
    Ok(Arc::new(Schema::new(fields)))
}

fn fields_with_ids(fields: &Fields, own: &Value) -> Result<Fields> {
    let numbered = |field: &FieldRef| -> Result<Field> {
        let known = own.as_array().into_iter().flatten();
        let known = known.into_iter().find(|known| known["name"] == *field.name());
        let known = known.ok_or_else(|| {
            Error::internal(format!("the schema of the table has the column `{}`", field.name()))
        })?;
        field_with_id(field, &known["id"], &known["type"])
    };
    fields.iter().map(numbered).collect()
}

fn field_with_id(field: &Field, id: &Value, kind: &Value) -> Result<Field> {
    let data_type = match field.data_type() {
        DataType::Struct(fields) => DataType::Struct(fields_with_ids(fields, &kind["fields"])?),
        DataType::List(element) => {
            let element = field_with_id(element, &kind["element-id"], &kind["element"])?;
            DataType::List(Arc::new(element))
        }
        plain => plain.clone(),
    };
    let id = HashMap::from([(PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string())]);
    Ok(Field::new(field.name(), data_type, field.is_nullable()).with_metadata(id))
}

/// The ids of the leaves of a schema, by the paths that they have in the Parquet files of plain tables.
pub(crate) fn leaf_ids(numbered: &Numbered) -> HashMap<String, i32> {
    let mut ids = HashMap::new();
    add_leaves(&numbered.schema["fields"], "", &mut ids);
    ids
}

fn add_leaves(fields: &Value, above: &str, ids: &mut HashMap<String, i32>) {
    for field in fields.as_array().into_iter().flatten() {
        let path = format!("{above}{}", field["name"].as_str().unwrap_or_default());
        add_leaf(&field["id"], &field["type"], path, ids);
    }
}

fn add_leaf(id: &Value, kind: &Value, path: String, ids: &mut HashMap<String, i32>) {
    match kind["type"].as_str() {
        Some("struct") => add_leaves(&kind["fields"], &format!("{path}."), ids),
        Some("list") => {
            add_leaf(&kind["element-id"], &kind["element"], format!("{path}.list.element"), ids);
        }
        _ => {
            if let Some(id) = id.as_i64().and_then(|id| i32::try_from(id).ok()) {
                ids.insert(path, id);
            }
        }
    }
}

/// By which names files without ids are read: those that were a plain table's
/// (<https://iceberg.apache.org/spec/#name-mapping-serialization>).
pub(super) fn name_mapping(fields: &Value) -> Value {
    let named = |id: &Value, name: &Value, kind: &Value| {
        let mut mapped = json!({"field-id": id, "names": [name]});
        match kind["type"].as_str() {
            Some("struct") => mapped["fields"] = name_mapping(&kind["fields"]),
            Some("list") => {
                let element = json!([
                    {"id": kind["element-id"], "name": "element", "type": kind["element"]}
                ]);
                mapped["fields"] = name_mapping(&element);
            }
            _ => {}
        }
        mapped
    };
    let fields = fields.as_array().into_iter().flatten();
    fields.map(|field| named(&field["id"], &field["name"], &field["type"])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::fields;

    fn columns() -> Vec<Column> {
        let name = || Column::same("name", Kind::String);
        vec![
            Column::same("id", Kind::Bigint),
            Column::same("at", Kind::Struct(vec![name(), Column::same("n", Kind::Int)])),
            Column::same("tags", Kind::List(Box::new(Kind::Struct(vec![name()])))),
            Column::same("price", Kind::Decimal(10, 2)),
        ]
    }

    #[test]
    fn ids_are_given_level_by_level() {
        let numbered = fresh(&columns());
        let schema = with_ids(&Arc::new(Schema::new(fields(&columns()))), &numbered).unwrap();
        let id = |field: &Field| field.metadata()[PARQUET_FIELD_ID_META_KEY].clone();
        let top: Vec<_> = schema.fields().iter().map(|field| id(field)).collect();
        assert_eq!(top, ["1", "2", "3", "4"]);
        let DataType::Struct(at) = schema.field(1).data_type() else { panic!() };
        assert_eq!([id(&at[0]), id(&at[1])], ["5", "6"]);
        let DataType::List(element) = schema.field(2).data_type() else { panic!() };
        assert_eq!(id(element), "7");
        assert_eq!(numbered.last_id, 8);
    }

    #[test]
    fn a_column_keeps_its_id_while_its_type_can_be_promoted() {
        let old = fresh(&columns());
        let mut new = columns();
        new[3].kind = Kind::Decimal(38, 2);
        let Kind::Struct(at) = &mut new[1].kind else { panic!() };
        at[1].kind = Kind::Bigint;
        at.push(Column::same("more", Kind::Date));
        new.push(Column { description: Some("new".into()), ..Column::same("late", Kind::Boolean) });
        let evolved = evolved(&old.schema, old.last_id, &new);
        assert!(!evolved.is_rewritten);
        assert_eq!(evolved.last_id, 10);
        let fields = &evolved.schema["fields"];
        assert_eq!((&fields[3]["id"], &fields[3]["type"]), (&4.into(), &"decimal(38, 2)".into()));
        let inner = &fields[1]["type"]["fields"];
        assert_eq!((&inner[1]["id"], &inner[1]["type"]), (&6.into(), &"long".into()));
        assert_eq!((&inner[2]["id"], &fields[4]["id"]), (&9.into(), &10.into()));
        assert_eq!(fields[4]["doc"], "new");
    }

    #[test]
    fn a_type_that_becomes_another_is_a_new_column_of_the_same_name() {
        let old = fresh(&columns());
        let mut new = columns();
        new[0].kind = Kind::Double;
        new[2].kind = Kind::List(Box::new(Kind::String));
        let evolved = evolved(&old.schema, old.last_id, &new);
        assert!(evolved.is_rewritten);
        let fields = &evolved.schema["fields"];
        assert_eq!((&fields[0]["id"], &fields[0]["type"]), (&9.into(), &"double".into()));
        assert_eq!((&fields[2]["id"], &fields[2]["type"]["element-id"]), (&3.into(), &10.into()));
    }

    #[test]
    fn columns_of_others_are_taken_in_and_what_cannot_be_kept_is_named() {
        let mut schema = fresh(&columns()).schema;
        assert_eq!(strange_fields(&schema, &columns()).unwrap(), []);
        push(&mut schema, json!({"id": 20, "name": "theirs", "type": "timestamptz"}));
        let inner = schema["fields"][1]["type"]["fields"].as_array_mut().unwrap();
        inner.push(json!({"id": 21, "name": "deep", "type": "long"}));
        let found = strange_fields(&schema, &columns()).unwrap();
        assert_eq!(found[1], Column::same("theirs", Kind::Timestamp));
        assert_eq!((found[0].name.as_str(), found[0].kind.fields().len()), ("at", 3));
        push(&mut schema, json!({"id": 22, "name": "raw", "type": "binary"}));
        let refused = strange_fields(&schema, &columns()).unwrap_err();
        assert!(refused.contains("`raw`") && refused.contains("binary"), "{refused}");
    }

    fn push(schema: &mut Value, field: Value) {
        schema["fields"].as_array_mut().unwrap().push(field);
    }

    #[test]
    fn files_without_ids_are_read_by_name_at_every_level() {
        let mapping = name_mapping(&fresh(&columns()).schema["fields"]);
        assert_eq!(mapping[0], json!({"field-id": 1, "names": ["id"]}));
        let ids = leaf_ids(&fresh(&columns()));
        assert_eq!((ids["id"], ids["at.n"], ids["tags.list.element.name"]), (1, 6, 8));
        assert_eq!(mapping[2]["fields"][0]["names"], json!(["element"]));
        assert_eq!(mapping[2]["fields"][0]["fields"][0], json!({"field-id": 8, "names": ["name"]}));
    }
}
