//! The columns of a table as Glue shows them. Engines read the metadata; people, Lake Formation and the pages of
//! Athena and Redshift read these.

use std::collections::{HashMap, HashSet};

use aws_sdk_glue::error::BuildError;
use aws_sdk_glue::types::Column;
use serde_json::Value;

use crate::catalog::comment;

/// The columns of the current schema, and behind them those that only earlier schemas had, as Iceberg's own
/// library writes them
/// (<https://github.com/apache/iceberg/blob/main/aws/src/main/java/org/apache/iceberg/aws/glue/IcebergToGlueConverter.java>).
/// A comment that is there already stays.
pub(super) fn columns(metadata: &Value, found: &[Column]) -> Result<Vec<Column>, BuildError> {
    let comments: HashMap<&str, &str> = found
        .iter()
        .filter_map(|column| Some((column.name.as_str(), column.comment()?)))
        .filter(|(_, comment)| !comment.is_empty())
        .collect();
    let current = metadata["current-schema-id"].as_i64();
    let mut schemas: Vec<&Value> = metadata["schemas"].as_array().into_iter().flatten().collect();
    schemas.sort_by_key(|schema| schema["schema-id"].as_i64() != current);
    let mut names = HashSet::new();
    let mut columns = Vec::new();
    for schema in schemas {
        let is_current = schema["schema-id"].as_i64() == current;
        for field in schema["fields"].as_array().into_iter().flatten() {
            let name = text(field, "name");
            if !names.insert(name) {
                continue;
            }
            let comment = match comments.get(name) {
                Some(there) => Some((*there).to_owned()),
                None => field["doc"]
                    .as_str()
                    .map(comment::comment)
                    .filter(|comment| !comment.is_empty()),
            };
            let is_optional = field["required"].as_bool() != Some(true);
            let column = Column::builder()
                .name(name)
                .r#type(hive(&field["type"]))
                .set_comment(comment)
                .parameters("iceberg.field.id", field["id"].to_string())
                .parameters("iceberg.field.optional", is_optional.to_string())
                .parameters("iceberg.field.current", is_current.to_string())
                .build()?;
            columns.push(column);
        }
    }
    Ok(columns)
}

/// The type of Hive that stands for one of Iceberg.
fn hive(kind: &Value) -> String {
    match kind.as_str() {
        Some("long") => "bigint".into(),
        Some("timestamptz") => "timestamp".into(),
        Some("time" | "uuid") => "string".into(),
        Some(text) if text.starts_with("fixed") => "binary".into(),
        Some(text) => text.replace(", ", ","),
        None => nested(kind),
    }
}

fn nested(kind: &Value) -> String {
    match text(kind, "type") {
        "list" => format!("array<{}>", hive(&kind["element"])),
        "map" => format!("map<{},{}>", hive(&kind["key"]), hive(&kind["value"])),
        _ => {
            let fields = kind["fields"].as_array().into_iter().flatten();
            let fields: Vec<String> = fields
                .map(|field| format!("{}:{}", text(field, "name"), hive(&field["type"])))
                .collect();
            format!("struct<{}>", fields.join(","))
        }
    }
}

fn text<'a>(json: &'a Value, key: &str) -> &'a str {
    json[key].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn field(id: i64, name: &str, kind: &Value) -> Value {
        json!({"id": id, "name": name, "required": false, "type": kind})
    }

    fn metadata() -> Value {
        let list = json!({"type": "list", "element-id": 5, "element": {"type": "struct", "fields": [
            field(6, "url", &json!("string")), field(7, "size", &json!("decimal(10, 2)"))]}});
        let mut key = field(1, "id", &json!("long"));
        key["required"] = true.into();
        key["doc"] = "The\n key.".into();
        json!({
            "current-schema-id": 1,
            "schemas": [
                {"schema-id": 0, "fields": [key, field(2, "gone", &json!("uuid"))]},
                {"schema-id": 1, "fields": [key, field(3, "at", &json!("timestamptz")), field(4, "files", &list)]},
            ],
        })
    }

    #[test]
    fn columns_are_those_of_the_current_schema_and_behind_them_those_that_are_gone() {
        let columns = columns(&metadata(), &[]).unwrap();
        let shown: Vec<_> = columns
            .iter()
            .map(|column| {
                let current = &column.parameters.as_ref().unwrap()["iceberg.field.current"];
                (column.name.as_str(), column.r#type().unwrap(), current.as_str())
            })
            .collect();
        assert_eq!(
            shown,
            [
                ("id", "bigint", "true"),
                ("at", "timestamp", "true"),
                ("files", "array<struct<url:string,size:decimal(10,2)>>", "true"),
                ("gone", "string", "false"),
            ]
        );
        let parameters = columns[0].parameters.as_ref().unwrap();
        assert_eq!(parameters["iceberg.field.id"], "1");
        assert_eq!(parameters["iceberg.field.optional"], "false");
    }

    #[test]
    fn a_comment_that_is_there_stays_and_another_is_the_description_of_the_field() {
        assert_eq!(columns(&metadata(), &[]).unwrap()[0].comment(), Some("The key."));
        let found = Column::builder().name("id").comment("Ours.").build().unwrap();
        assert_eq!(columns(&metadata(), &[found]).unwrap()[0].comment(), Some("Ours."));
    }
}
