//! The decoder beside `serde_json`: random values for every type of a column, read by both.
//!
//! The oracle says what a value becomes by the meaning of its type in `docs/types.md`. It shares
//! no code with the decoder: JSON is read by `serde_json`, times by `chrono`, decimals digit by digit.

use std::fmt::Write as _;

use lake::schema::{Column, Kind};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::column::{Changes, StructBuffer};
use super::context::Context;
use super::scan::Cursor;
use crate::settings::stream::OnInvalid;
use crate::testing::rows_of;

/// What a value becomes in a column, and how many values in it did not fit and are null.
fn expected(kind: &Kind, value: &Value, misfits: &mut u64) -> Value {
    let fits = match kind {
        _ if value.is_null() => return Value::Null,
        Kind::Boolean => value.as_bool().map(Value::from),
        Kind::Int => integer(value).and_then(|value| i32::try_from(value).ok()).map(Value::from),
        Kind::Bigint => integer(value).map(Value::from),
        Kind::Double => value.as_f64().map(Value::from),
        Kind::Decimal(precision, scale) => {
            let digits = match value {
                Value::Number(number) => decimal(&number.to_string(), *scale),
                Value::String(text) => decimal(text, *scale),
                Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
            };
            digits
                .filter(|text| text.matches(char::is_numeric).count() <= usize::from(*precision))
                .map(Value::from)
        }
        Kind::String => match value {
            Value::Number(_) | Value::Bool(_) => Some(json!(value.to_string())),
            other => other.as_str().map(Value::from),
        },
        Kind::Json => Some(match value {
            Value::String(text) => json!(text),
            other => json!(other.to_string()),
        }),
        Kind::Date => value.as_str().and_then(|text| {
            let date = chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
            Some(json!((date - chrono::NaiveDate::default()).num_days()))
        }),
        Kind::Timestamp => value.as_str().and_then(|text| {
            let time = chrono::DateTime::parse_from_rfc3339(text).ok()?;
            Some(json!(time.timestamp_micros()))
        }),
        Kind::Struct(columns) => value.as_object().map(|object| row(columns, object, misfits)),
        Kind::List(element) => value
            .as_array()
            .map(|values| values.iter().map(|value| expected(element, value, misfits)).collect()),
    };
    fits.unwrap_or_else(|| {
        *misfits += 1;
        Value::Null
    })
}

fn row(columns: &[Column], object: &Map<String, Value>, misfits: &mut u64) -> Value {
    let values = columns.iter().map(|column| {
        let value = object.get(&column.source).unwrap_or(&Value::Null);
        (column.name.clone(), expected(&column.kind, value, misfits))
    });
    Value::Object(values.collect())
}

/// A number without a fraction that is exact as a double or as an integer.
fn integer(value: &Value) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "the values are far below 2^53")]
    let whole = |value: f64| (value.fract() == 0.0).then_some(value as i64);
    value.as_i64().or_else(|| value.as_f64().filter(|_| value.is_f64()).and_then(whole))
}

/// A number with so many decimals, if it has no more.
fn decimal(text: &str, scale: i8) -> Option<String> {
    let scale = usize::try_from(scale).unwrap();
    let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if digits.is_empty() || !is_number(digits) || !is_number(fraction) || text.trim().ends_with('.')
    {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > scale {
        return None;
    }
    let digits = digits.trim_start_matches('0');
    let digits = if digits.is_empty() { "0" } else { digits };
    let is_zero = digits == "0" && fraction.is_empty();
    let sign = if whole.starts_with('-') && !is_zero { "-" } else { "" };
    let point = if scale == 0 { "" } else { "." };
    Some(format!("{sign}{digits}{point}{fraction:0<scale$}"))
}

fn kinds() -> impl Strategy<Value = Kind> {
    let leaf = prop_oneof![
        Just(Kind::Boolean),
        Just(Kind::Int),
        Just(Kind::Bigint),
        Just(Kind::Double),
        Just(Kind::Decimal(38, 0)),
        Just(Kind::Decimal(38, 2)),
        Just(Kind::Decimal(6, 2)),
        Just(Kind::String),
        Just(Kind::Json),
        Just(Kind::Date),
        Just(Kind::Timestamp),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|kind| Kind::List(Box::new(kind))),
            prop::collection::vec(inner, 1..4).prop_map(|kinds| Kind::Struct(columns(kinds))),
        ]
    })
}

fn columns(kinds: Vec<Kind>) -> Vec<Column> {
    let names = ["a", "b c", "d\"\\e", "é"].into_iter();
    names.zip(kinds).map(|(name, kind)| Column::same(name, kind)).collect()
}

/// Text with what JSON escapes, and with what its readers trip over.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z \"\\\\/\n\t\u{0}\u{7f}é€😀]{0,12}",
        Just("NaN".to_owned()),
        Just("true".to_owned()),
        Just("{\"a\": 1}".to_owned()),
    ]
}

fn numbers() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        (-1_000_000_i32..1_000_000).prop_map(|number| json!(f64::from(number) / 8.0)),
        prop::num::f64::NORMAL
            .prop_filter("exact", |number| number.fract() != 0.0)
            .prop_map(Value::from),
    ]
}

/// Any JSON.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        numbers(),
        texts().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let keys = prop::sample::select(vec!["a", "b c", "d\"\\e", "é", "other"]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((keys, inner), 0..4).prop_map(|members| {
                Value::Object(members.into_iter().map(|(key, v)| (key.to_owned(), v)).collect())
            }),
        ]
    })
}

/// Values that mostly are of a type.
fn values_of(kind: &Kind) -> BoxedStrategy<Value> {
    let fitting: BoxedStrategy<Value> = match kind {
        Kind::Boolean => any::<bool>().prop_map(Value::from).boxed(),
        Kind::Int => any::<i32>().prop_map(Value::from).boxed(),
        Kind::Bigint => any::<i64>().prop_map(Value::from).boxed(),
        Kind::Double => numbers().boxed(),
        Kind::Decimal(..) => {
            (any::<i32>(), 0..1000_u32, any::<bool>())
                .prop_map(|(whole, fraction, padded)| {
                    if padded { json!(format!(" {whole}.{fraction:03} ")) } else { json!(whole) }
                })
                .boxed()
        }
        Kind::String | Kind::Json => texts().prop_map(Value::from).boxed(),
        Kind::Date => (1..=9999_i32, 1..=366_u32)
            .prop_filter_map("a day of that year", |(year, day)| {
                chrono::NaiveDate::from_yo_opt(year, day)
            })
            .prop_map(|date| json!(date.format("%Y-%m-%d").to_string()))
            .boxed(),
        Kind::Timestamp => (-62_000_000_000_i64..250_000_000_000, 0..1_000_000_u32, -14..=14_i32)
            .prop_map(|(seconds, micros, hours)| {
                let time = chrono::DateTime::from_timestamp(seconds, micros * 1000).unwrap();
                let zone = chrono::FixedOffset::east_opt(hours * 3600).unwrap();
                json!(time.with_timezone(&zone).to_rfc3339())
            })
            .boxed(),
        Kind::Struct(columns) => records(columns).boxed(),
        Kind::List(element) => {
            prop::collection::vec(values_of(element), 0..4).prop_map(Value::from).boxed()
        }
    };
    prop_oneof![6 => fitting, 1 => Just(Value::Null), 1 => values()].boxed()
}

/// Objects with some of the fields, in any order, and others.
fn records(columns: &[Column]) -> impl Strategy<Value = Value> + use<> {
    let fields = columns.iter().map(|column| {
        let value = prop::option::weighted(0.8, values_of(&column.kind));
        let name = column.source.clone();
        value.prop_map(move |value| (name.clone(), value)).boxed()
    });
    let mut fields: Vec<_> = fields.collect();
    fields.push(prop::option::of(values()).prop_map(|value| ("other".into(), value)).boxed());
    fields.prop_shuffle().prop_map(|members| {
        let there = members.into_iter().filter_map(|(key, value)| Some((key, value?)));
        Value::Object(there.collect())
    })
}

/// A string as Python writes it: all that is not ASCII is escaped.
fn ascii(text: &str) -> String {
    let escaped = json!(text).to_string();
    let mut units = [0; 2];
    let mut written = String::new();
    for character in escaped.chars() {
        if character.is_ascii() {
            written.push(character);
        } else {
            for unit in character.encode_utf16(&mut units) {
                _ = write!(written, "\\u{unit:04x}");
            }
        }
    }
    written
}

/// JSON as Python writes it, with a space behind commas and colons.
fn spaced(value: &Value) -> String {
    match value {
        Value::Array(values) => {
            format!("[{}]", values.iter().map(spaced).collect::<Vec<_>>().join(", "))
        }
        Value::Object(members) => {
            let member =
                |(key, value): (&String, &Value)| format!("{}: {}", ascii(key), spaced(value));
            format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(", "))
        }
        Value::String(text) => ascii(text),
        other => other.to_string(),
    }
}

type Table = (Vec<Column>, Vec<Value>);

fn tables() -> impl Strategy<Value = Table> {
    prop::collection::vec(kinds(), 1..4).prop_map(columns).prop_flat_map(|columns| {
        let rows = prop::collection::vec(records(&columns), 1..6);
        (Just(columns), rows)
    })
}

/// The rows of the buffers, and how many values became null.
fn decoded(columns: &[Column], texts: &[String]) -> (Vec<Value>, u64) {
    let mut buffer = StructBuffer::new(columns);
    let mut context = Context::new(OnInvalid::Null, None, false);
    for (row, text) in texts.iter().enumerate() {
        let mut cursor = Cursor::new(text.as_bytes());
        buffer.push(row, &mut cursor, &mut context).unwrap();
        cursor.end().unwrap();
    }
    let arrays = buffer.take().unwrap();
    let schema = arrow::datatypes::Schema::new(lake::schema::fields(columns));
    let batch = arrow::array::RecordBatch::try_new(schema.into(), arrays).unwrap();
    let mut changes = Changes::default();
    buffer.take_changes("", &mut changes);
    (rows_of(&batch), changes.invalid.into_iter().map(|(_, count)| count).sum())
}

proptest! {
    #[test]
    fn rows_are_those_of_an_independent_reader((columns, records) in tables(), python: bool) {
        let mut misfits = 0;
        let object = |record: &Value| record.as_object().unwrap().clone();
        let rows: Vec<Value> =
            records.iter().map(|record| row(&columns, &object(record), &mut misfits)).collect();
        let write = |record: &Value| if python { spaced(record) } else { record.to_string() };
        let texts: Vec<String> = records.iter().map(write).collect();
        let found = decoded(&columns, &texts);
        prop_assert_eq!(found, (rows, misfits), "{:?} of {:?}", texts, columns);
    }

    #[test]
    fn where_nothing_may_be_null_instead_the_first_misfit_is_an_error(
        (columns, records) in tables(),
    ) {
        let mut buffer = StructBuffer::new(&columns);
        let mut context = Context::new(OnInvalid::Fail, None, false);
        for (number, record) in records.iter().enumerate() {
            let mut misfits = 0;
            row(&columns, record.as_object().unwrap(), &mut misfits);
            let text = record.to_string();
            let outcome = buffer.push(number, &mut Cursor::new(text.as_bytes()), &mut context);
            prop_assert_eq!(outcome.is_err(), misfits > 0, "{} of {:?}", text, columns);
            if misfits > 0 {
                break;
            }
        }
    }

    #[test]
    fn of_a_key_that_comes_twice_the_last_value_counts(
        (columns, records) in tables(), again in values(),
    ) {
        let column = &columns[0];
        let mut misfits = 0;
        for record in &records {
            let mut last = record.as_object().unwrap().clone();
            last.insert(column.source.clone(), again.clone());
            let text = record.to_string();
            let comma = if text == "{}" { "" } else { "," };
            let open = text.strip_suffix('}').unwrap();
            let twice = format!("{open}{comma}{}:{again}}}", json!(column.source));
            let (rows, _) = decoded(&columns, &[twice]);
            prop_assert_eq!(&rows[0], &row(&columns, &last, &mut misfits));
        }
    }
}
