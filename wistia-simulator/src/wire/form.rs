//! The forms that things have.

use std::hash::{DefaultHasher, Hash, Hasher};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

/// One of so many forms.
pub(super) fn form(key: &str, field: &str, forms: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (key, field).hash(&mut hasher);
    hasher.finish() % forms
}

/// Whether a thing has a form that is seen now and then.
pub(super) fn is_rare(key: &str, field: &str) -> bool {
    form(key, field, 40) == 0
}

/// Puts a text, or what the API sends where there is none: an empty one, or nothing.
pub(super) fn text(row: &mut Map<String, Value>, key: &str, field: &str, value: Option<&str>) {
    match (value, form(key, field, 3)) {
        (Some(value), _) => _ = row.insert(field.into(), json!(value)),
        (None, 0) => {}
        (None, _) => _ = row.insert(field.into(), json!("")),
    }
}

/// Puts a text that was looked up for an address; where nothing was found it is now and then null.
pub(super) fn found(row: &mut Map<String, Value>, key: &str, field: &str, value: Option<&str>) {
    match value {
        None if form(key, field, 7) == 0 => _ = row.insert(field.into(), Value::Null),
        value => text(row, key, field, value),
    }
}

/// Puts a number that was looked up for an address, now and then as a string. Where nothing was
/// found there is mostly none.
pub(super) fn number(row: &mut Map<String, Value>, key: &str, field: &str, value: Option<f64>) {
    match (value, form(key, field, 40)) {
        (Some(value), 0) => _ = row.insert(field.into(), json!(value.to_string())),
        (Some(value), _) => _ = row.insert(field.into(), plain(value)),
        (None, 0..4) => _ = row.insert(field.into(), json!("")),
        (None, 4) => _ = row.insert(field.into(), Value::Null),
        (None, _) => {}
    }
}

/// A number as the API's own JSON has it: whole ones without a fraction.
#[expect(clippy::cast_possible_truncation, reason = "whole and small")]
pub(super) fn plain(value: f64) -> Value {
    if value.fract() == 0.0 { json!(value as i64) } else { json!(value) }
}

/// The fields of an object.
pub(super) fn object(fields: Value) -> Map<String, Value> {
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// A time of a media or of what holds medias.
pub(super) fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, false)
}

/// A time of an event or a visitor: with milliseconds or, where there are none, without.
pub(super) fn moment(time: DateTime<Utc>) -> String {
    let whole = time.timestamp_subsec_millis() == 0;
    time.to_rfc3339_opts(if whole { SecondsFormat::Secs } else { SecondsFormat::Millis }, true)
}

/// Part of a whole, which is 0 of nothing.
#[expect(clippy::cast_precision_loss, reason = "small numbers")]
pub(super) fn rate(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
