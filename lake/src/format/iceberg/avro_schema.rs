//! The schemas of manifests and of their lists, with the field ids by which every reader finds its way
//! (<https://iceberg.apache.org/spec/#manifests>).

use std::fmt::Write as _;

use apache_avro::Schema;
use serde_json::{Value as Json, json};

use super::value::Form;
use crate::error::{Error, Result};

fn optional(name: &str, id: i32, kind: &Json) -> Json {
    json!({"name": name, "type": ["null", kind], "default": null, "field-id": id})
}

fn required(name: &str, id: i32, kind: &Json) -> Json {
    json!({"name": name, "type": kind, "field-id": id})
}

/// A map with numbers for keys: pairs, in Avro.
fn map(name: &str, id: i32, key: i32, value: i32, kind: &str) -> Json {
    let pair = json!({
        "type": "record",
        "name": format!("k{key}_v{value}"),
        "fields": [required("key", key, &json!("int")), required("value", value, &json!(kind))],
    });
    optional(name, id, &json!({"type": "array", "logicalType": "map", "items": pair}))
}

/// The schema of manifests whose files are divided by a spec with these fields.
pub(super) fn manifest(fields: &[(String, i64, Form)]) -> Result<Schema> {
    let partition: Vec<Json> = fields
        .iter()
        .map(|(name, id, form)| {
            json!({"name": avro_name(name), "type": ["null", form.avro_type()], "default": null, "field-id": id})
        })
        .collect();
    let array = |kind: &str, id: i32| json!({"type": "array", "items": kind, "element-id": id});
    let file = json!({"type": "record", "name": "r2", "fields": [
        required("content", 134, &json!("int")),
        required("file_path", 100, &json!("string")),
        required("file_format", 101, &json!("string")),
        required("partition", 102, &json!({"type": "record", "name": "r102", "fields": partition})),
        required("record_count", 103, &json!("long")),
        required("file_size_in_bytes", 104, &json!("long")),
        map("column_sizes", 108, 117, 118, "long"),
        map("value_counts", 109, 119, 120, "long"),
        map("null_value_counts", 110, 121, 122, "long"),
        map("nan_value_counts", 137, 138, 139, "long"),
        map("lower_bounds", 125, 126, 127, "bytes"),
        map("upper_bounds", 128, 129, 130, "bytes"),
        optional("key_metadata", 131, &json!("bytes")),
        optional("split_offsets", 132, &array("long", 133)),
        optional("equality_ids", 135, &array("int", 136)),
        optional("sort_order_id", 140, &json!("int")),
        optional("referenced_data_file", 143, &json!("string")),
    ]});
    parsed(&json!({"type": "record", "name": "manifest_entry", "fields": [
        required("status", 0, &json!("int")),
        optional("snapshot_id", 1, &json!("long")),
        optional("sequence_number", 3, &json!("long")),
        optional("file_sequence_number", 4, &json!("long")),
        required("data_file", 2, &file),
    ]}))
}

/// The schema of the list of a snapshot.
pub(super) fn list() -> Result<Schema> {
    let bounds = json!({"type": "record", "name": "r508", "fields": [
        required("contains_null", 509, &json!("boolean")),
        optional("contains_nan", 518, &json!("boolean")),
        optional("lower_bound", 510, &json!("bytes")),
        optional("upper_bound", 511, &json!("bytes")),
    ]});
    let bounds = json!({"type": "array", "items": bounds, "element-id": 508});
    let (int, long) = (json!("int"), json!("long"));
    parsed(&json!({"type": "record", "name": "manifest_file", "fields": [
        required("manifest_path", 500, &json!("string")),
        required("manifest_length", 501, &long),
        required("partition_spec_id", 502, &int),
        required("content", 517, &int),
        required("sequence_number", 515, &long),
        required("min_sequence_number", 516, &long),
        required("added_snapshot_id", 503, &long),
        required("added_files_count", 504, &int),
        required("existing_files_count", 505, &int),
        required("deleted_files_count", 506, &int),
        required("added_rows_count", 512, &long),
        required("existing_rows_count", 513, &long),
        required("deleted_rows_count", 514, &long),
        optional("partitions", 507, &bounds),
        optional("key_metadata", 519, &json!("bytes")),
    ]}))
}

fn parsed(schema: &Json) -> Result<Schema> {
    Schema::parse(schema).map_err(|error| Error::broken("Iceberg's schemas are Avro's", error))
}

/// A name as Avro takes it: as Iceberg writes those that it does not
/// (<https://iceberg.apache.org/spec/#avro>).
pub(super) fn avro_name(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    for (at, character) in name.chars().enumerate() {
        if character.is_ascii_digit() && at == 0 {
            plain.push('_');
            plain.push(character);
        } else if character.is_ascii_alphanumeric() || character == '_' {
            plain.push(character);
        } else {
            // Writing into a String cannot fail.
            _ = write!(plain, "_x{:X}", u32::from(character));
        }
    }
    plain
}
