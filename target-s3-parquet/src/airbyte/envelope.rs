//! Airbyte's RECORD messages: `{"type": "RECORD", "record": {"stream": …, "data": …}}`.
//!
//! The record of a message stands in its `data`, and the envelope has the namespace of the stream
//! beside its name. Sources write the namespace before or behind the data, or not at all; where a name
//! alone says which stream is meant, the data is read in passing all the same.

use std::sync::Arc;

use serde::Deserialize;

use crate::decode::context::Effect;
use crate::decode::dialect::Dialect;
use crate::decode::facts::RowFacts;
use crate::decode::fault::LineFault;
use crate::decode::number;
use crate::decode::plan::Plan;
use crate::decode::reader::{RecordReader, characters};
use crate::decode::scan::{Cursor, Members, Text};

/// The dialect of Airbyte.
#[derive(Debug)]
pub(super) struct Airbyte;

/// Under which a stream is registered where another one has the same name.
pub(super) fn key(namespace: &[u8], name: &[u8]) -> Box<[u8]> {
    [namespace, b"\0", name].concat().into()
}

/// The `meta` of a record, where the source has changed values itself.
#[derive(Deserialize)]
struct Meta {
    changes: Option<Vec<MetaChange>>,
}

#[derive(Deserialize)]
struct MetaChange {
    field: Option<String>,
    change: Option<String>,
    reason: Option<String>,
}

/// The envelope of a record.
#[derive(Default)]
struct Envelope<'a> {
    stream: Option<Text<'a>>,
    namespace: Option<Text<'a>>,
    data: Option<Cursor<'a>>,
    emitted_at: Option<i64>,
    meta: Option<&'a [u8]>,
}

impl Dialect for Airbyte {
    fn read<'a>(
        &self,
        reader: &mut RecordReader<'a, '_, '_>,
        line: &'a [u8],
        number: u64,
    ) -> Result<(), LineFault> {
        let mut cursor = Cursor::new(line);
        let mut found = false;
        let mut members = Members::open(&mut cursor)?;
        while let Some(key) = members.next(&mut cursor)? {
            if key.raw == b"record" && cursor.peek() == b'{' && !found {
                found = true;
                record(reader, &mut cursor, number)?;
            } else {
                cursor.skip()?;
            }
        }
        cursor.end()?;
        if found { Ok(()) } else { Err(LineFault::text("it has no `record`")) }
    }
}

/// Reads the envelope of a record, and the record in passing where its stream is known by then.
fn record<'a>(
    reader: &mut RecordReader<'a, '_, '_>,
    cursor: &mut Cursor<'a>,
    number: u64,
) -> Result<(), LineFault> {
    let mut envelope = Envelope::default();
    let mut read = None;
    let mut id = None;
    let mut members = Members::open(cursor)?;
    while let Some(key) = members.next(cursor)? {
        match key.raw {
            b"stream" if cursor.peek() == b'"' => {
                let name = cursor.text()?;
                envelope.stream = Some(name);
                // A name that several namespaces have is in the registry with its namespace only.
                id = reader.plans(name)?.and_then(only);
            }
            b"namespace" if cursor.peek() == b'"' => {
                envelope.namespace = Some(cursor.text()?).filter(|text| !text.raw.is_empty());
            }
            b"data" if cursor.peek() == b'{' => {
                let at = cursor.clone();
                match id {
                    Some(id) if envelope.data.is_none() => {
                        reader.record(id, cursor, number)?;
                        read = Some(id);
                    }
                    Some(_) | None => cursor.skip()?,
                }
                if envelope.data.replace(at).is_some() {
                    return Err(LineFault::text("it has two `data` keys"));
                }
            }
            b"emitted_at" => {
                let at = cursor.clone();
                cursor.skip()?;
                envelope.emitted_at = micros(at.clone().word().unwrap_or_default());
            }
            b"meta" if cursor.peek() == b'{' => {
                let start = cursor.position();
                cursor.skip()?;
                envelope.meta = Some(cursor.since(start));
            }
            _ => cursor.skip()?,
        }
    }
    let read = match read {
        Some(id) => Some(id),
        None => late(reader, &envelope, id, number)?,
    };
    match read {
        Some(id) => finish(reader, id, &envelope, number),
        // Its stream was noted as unknown.
        None => Ok(()),
    }
}

/// Reads data that stood before the stream's name, or whose stream needs its namespace. Nothing where
/// there is no such stream, which is noted.
fn late(
    reader: &mut RecordReader<'_, '_, '_>,
    envelope: &Envelope<'_>,
    id: Option<u64>,
    number: u64,
) -> Result<Option<u64>, LineFault> {
    let Some(name) = envelope.stream else {
        return Err(LineFault::text("its record has no `stream`"));
    };
    let Some(data) = &envelope.data else {
        return Err(LineFault::text("its record has no `data`"));
    };
    let id = match id {
        Some(id) => id,
        None => {
            let (name, namespace) = (characters(name)?, namespace_of(envelope)?);
            match reader.plans_of(&key(&namespace, &name))?.and_then(only) {
                Some(id) => id,
                None => {
                    reader.note_unknown_stream(String::from_utf8_lossy(&name).into_owned());
                    return Ok(None);
                }
            }
        }
    };
    reader.record(id, &mut data.clone(), number)?;
    Ok(Some(id))
}

/// Keeps the row that was read, unless it is of another namespace than the stream.
fn finish(
    reader: &mut RecordReader<'_, '_, '_>,
    id: u64,
    envelope: &Envelope<'_>,
    number: u64,
) -> Result<(), LineFault> {
    let namespace = namespace_of(envelope)?;
    let stream = reader.stream(id)?;
    let expected = stream.plan().conventions.namespace.as_deref().unwrap_or_default();
    if expected.as_bytes() != namespace {
        stream.discard();
        let namespace = String::from_utf8_lossy(&namespace).into_owned();
        let name = match envelope.stream {
            Some(name) => String::from_utf8_lossy(&characters(name)?).into_owned(),
            None => return Err(LineFault::text("its record has no `stream`")),
        };
        reader.note_unknown_stream(format!("{namespace}.{name}"));
        return Ok(());
    }
    stream.note_changes(in_words, || envelope.meta.map_or_else(Vec::new, noted));
    let row = RowFacts { line: number, extracted_at: envelope.emitted_at, version: None };
    Ok(stream.keep(row)?)
}

/// What became of a value, and what made it necessary, in Airbyte's words
/// (<https://github.com/airbytehq/airbyte-protocol/blob/main/protocol-models/src/main/resources/airbyte_protocol/v0/airbyte_protocol.yaml>).
fn in_words(effect: Effect) -> (&'static str, &'static str) {
    match effect {
        Effect::Nulled => ("NULLED", "DESTINATION_SERIALIZATION_ERROR"),
        Effect::TooLarge => ("NULLED", "DESTINATION_FIELD_SIZE_LIMITATION"),
        Effect::Truncated => ("TRUNCATED", "DESTINATION_FIELD_SIZE_LIMITATION"),
    }
}

/// What the source has noted: field, change and reason. What is no such note is left out.
#[cold]
fn noted(meta: &[u8]) -> Vec<(String, String, String)> {
    let noted = serde_json::from_slice::<Meta>(meta).ok().and_then(|meta| meta.changes);
    let noted = noted.into_iter().flatten().map(|MetaChange { field, change, reason }| {
        (field.unwrap_or_default(), change.unwrap_or_default(), reason.unwrap_or_default())
    });
    noted.collect()
}

/// The plan of a stream: Airbyte's streams are not mapped, so there is one.
fn only(plans: &[Arc<Plan>]) -> Option<u64> {
    plans.first().map(|plan| plan.id)
}

fn namespace_of(envelope: &Envelope<'_>) -> Result<Vec<u8>, LineFault> {
    envelope.namespace.map_or(Ok(Vec::new()), characters)
}

/// Microseconds since 1970 of a number of milliseconds. `PyAirbyte` sends seconds where records come
/// from its cache: no time of today is that small a number of milliseconds.
fn micros(word: &[u8]) -> Option<i64> {
    const SMALLEST_MILLIS: i64 = 100_000_000_000;
    if let Some(whole) = number::integer(word) {
        let unit = if whole < SMALLEST_MILLIS { 1_000_000 } else { 1000 };
        return whole.checked_mul(unit);
    }
    #[expect(clippy::cast_precision_loss, reason = "the border is far below 2^53")]
    let unit = |value: f64| if value < SMALLEST_MILLIS as f64 { 1e6 } else { 1e3 };
    #[expect(clippy::cast_possible_truncation, reason = "a cast of floats saturates")]
    number::double(word).map(|value| (value * unit(value)) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_taken_in_seconds_and_in_milliseconds() {
        let micros_of = |text: &str| micros(text.as_bytes());
        assert_eq!(micros_of("1795458926348"), Some(1_795_458_926_348_000));
        assert_eq!(micros_of("1795458926"), Some(1_795_458_926_000_000));
        assert_eq!(micros_of("1795458926.5"), Some(1_795_458_926_500_000));
        assert_eq!(micros_of("soon"), None);
    }

    use crate::airbyte::columns::{AirbyteColumns, conventions};
    use crate::airbyte::streams::{NamedPlan, registry};
    use crate::decode::decoder::decode;
    use crate::decode::reader::Scratch;
    use crate::decode::rows::Decoded;
    use crate::testing::{RECEIVED_AT, chunk, rows_of, try_plan};
    use proptest::prelude::*;
    use protocol::airbyte::StreamName;
    use serde_json::{Value, json};

    fn stream(name: &str, namespace: Option<&str>, settings: &Value) -> NamedPlan {
        let namespace = namespace.map(str::to_owned);
        let name = StreamName { name: name.to_owned(), namespace: namespace.clone() };
        let schema = json!({"properties": {"id": {"type": "integer"}, "t": {"type": "string"}}});
        let columns = AirbyteColumns { generation: Some(4), sync: Some(5) };
        let conventions = conventions(namespace, columns);
        let plan = try_plan(&name.to_string(), &schema, &["id"], settings.clone(), conventions);
        NamedPlan { name, plan: plan.unwrap() }
    }

    /// `a` is in two namespaces, `b` in one, `c` in none.
    fn streams(settings: &Value) -> Vec<NamedPlan> {
        vec![
            stream("a", Some("n"), settings),
            stream("a", None, settings),
            stream("b", Some("n"), settings),
            stream("c", None, settings),
        ]
    }

    fn decoded_with(lines: &[String], settings: &Value) -> Decoded {
        let registry = registry(&streams(settings));
        decode(&chunk(&lines.join("\n"), 1), &Airbyte, &registry, &mut Scratch::default())
    }

    fn line(members: &[&str]) -> String {
        format!(r#"{{"type":"RECORD","record":{{{}}}}}"#, members.join(","))
    }

    fn streams_of(decoded: &Decoded) -> Vec<(&str, usize)> {
        let rows = decoded.rows.iter();
        let rows = rows.map(|rows| (rows.plan.stream.as_str(), rows.batch.num_rows()));
        rows.filter(|(_, rows)| *rows > 0).collect()
    }

    proptest! {
        #[test]
        fn the_keys_of_an_envelope_come_in_any_order(
            members in Just(vec![
                r#""namespace":"n""#,
                r#""stream":"a""#,
                r#""data":{"id":"7"}"#,
                r#""emitted_at":1795458926348"#,
                r#""meta":{"changes":[{"field":"t","change":"NULLED","reason":"SOURCE"}]}"#,
                r#""other":{"data":{"id":8},"stream":"c"}"#,
            ]).prop_shuffle(),
            last in prop::sample::select(vec!["a", "b"]),
        ) {
            let settings = json!({"add_record_metadata": true});
            let before = line(&[r#""stream":"b","namespace":"n","data":{"id":1}"#]);
            let text = line(&members).replace(r#""stream":"a""#, &format!(r#""stream":"{last}""#));
            let found = decoded_with(&[before, text], &settings);
            prop_assert!(found.error.is_none(), "{:?}", found.error);
            prop_assert!(found.unknown_streams.is_empty(), "{:?}", found.unknown_streams);
            let rows: Vec<Value> = found.rows.iter().flat_map(|rows| rows_of(&rows.batch)).collect();
            let mut row = rows.last().unwrap().clone();
            prop_assert_eq!(row["_airbyte_raw_id"].take().as_str().unwrap().len(), 36);
            let change = json!({"field": "t", "change": "NULLED", "reason": "SOURCE"});
            prop_assert_eq!(row, json!({
                "id": 7,
                "t": null,
                "_airbyte_raw_id": null,
                "_airbyte_extracted_at": 1_795_458_926_348_000_i64,
                "_airbyte_generation_id": 4,
                "_airbyte_meta": {"sync_id": 5, "changes": [change]},
            }));
        }

        #[test]
        fn any_chunking_of_the_same_input_makes_the_same_rows(
            records in prop::collection::vec((0..5_usize, any::<i32>(), any::<bool>()), 1..30),
            border in 0..30_usize,
        ) {
            let names = [
                r#""stream":"a","namespace":"n""#,
                r#""stream":"a""#,
                r#""stream":"b","namespace":"n""#,
                r#""stream":"c","namespace":"other""#,
                r#""stream":"x""#,
            ];
            let lines: Vec<String> = records
                .iter()
                .map(|(at, id, late)| {
                    let data = format!(r#""data":{{"id":{id}}}"#);
                    if *late { line(&[&data, names[*at]]) } else { line(&[names[*at], &data]) }
                })
                .collect();
            let registry = registry(&streams(&json!({})));
            let mut scratch = Scratch::default();
            let mut read = |parts: &[&[String]]| {
                let (mut rows, mut unknown, mut first) = (Vec::new(), Vec::new(), 1);
                for part in parts {
                    let chunk = chunk(&part.join("\n"), first);
                    first += part.len() as u64;
                    let decoded = decode(&chunk, &Airbyte, &registry, &mut scratch);
                    unknown.extend(decoded.unknown_streams);
                    for of_stream in decoded.rows {
                        let stream = of_stream.plan.stream.clone();
                        rows.extend(rows_of(&of_stream.batch).into_iter().map(|row| (stream.clone(), row)));
                    }
                }
                rows.sort_by(|left, right| left.0.cmp(&right.0));
                unknown.sort();
                unknown.dedup();
                (rows, unknown)
            };
            let (left, right) = lines.split_at(border.min(lines.len()));
            prop_assert_eq!(read(&[left, right]), read(&[&lines]));
        }
    }

    #[test]
    fn a_name_alone_is_enough_where_one_stream_has_it_but_never_a_wrong_namespace() {
        let found = decoded_with(
            &[
                line(&[r#""stream":"b","data":{"id":1},"namespace":"n""#]),
                line(&[r#""stream":"b","data":{"id":2}"#]),
                line(&[r#""stream":"c","namespace":"","data":{"id":3}"#]),
                line(&[r#""stream":"c","data":{"id":4},"namespace":"m""#]),
                line(&[r#""stream":"c","data":{"id":5}"#]),
            ],
            &json!({}),
        );
        assert!(found.error.is_none());
        assert_eq!(streams_of(&found), [("n.b", 1), ("c", 2)]);
        assert_eq!(found.unknown_streams, [".b", "m.c"]);
        let ids: Vec<_> =
            rows_of(&found.rows[1].batch).iter().map(|row| row["id"].clone()).collect();
        assert_eq!(ids, [3, 5]);
    }

    #[test]
    fn a_record_without_its_key_is_rejected_where_values_that_do_not_fit_become_null() {
        let lines = [
            line(&[r#""stream":"c","data":{"t":"x"}"#]),
            line(&[r#""stream":"c","data":{"id":1}"#]),
            line(&[r#""stream":"c","data":{"id":"one"}"#]),
        ];
        let found =
            decoded_with(&lines, &json!({"on_invalid": "null", "add_record_metadata": true}));
        assert!(found.error.is_none(), "{:?}", found.error);
        assert_eq!((found.rows[0].batch.num_rows(), found.rows[0].rejected), (1, 2));
        let row = &rows_of(&found.rows[0].batch)[0];
        assert_eq!((&row["id"], &row["_airbyte_meta"]["changes"]), (&json!(1), &json!([])));
        let found = decoded_with(&lines, &json!({"on_invalid": "fail"}));
        assert!(
            found.error.unwrap().to_string().contains("has no value for its key property `id`")
        );
    }

    #[test]
    fn what_became_of_values_stands_in_the_row_in_the_words_of_the_protocol() {
        let settings = json!({
            "on_invalid": "null", "add_record_metadata": true, "max_string_bytes": 4,
        });
        let schema = json!({"properties": {
            "id": {"type": "integer"}, "n": {"type": "integer"}, "b": {"type": "boolean"}, "t": {"type": "string"},
        }});
        let columns = AirbyteColumns { generation: None, sync: None };
        let plan = try_plan("c", &schema, &["id"], settings, conventions(None, columns)).unwrap();
        let name = StreamName { name: "c".into(), namespace: None };
        let registry = registry(&[NamedPlan { name, plan }]);
        let text = line(&[
            r#""stream":"c","data":{"id":1,"n":99999999999999999999,"b":"maybe","t":"too long"}"#,
        ]);
        let found = decode(&chunk(&text, 1), &Airbyte, &registry, &mut Scratch::default());
        let row = &rows_of(&found.rows[0].batch)[0];
        let changes = row["_airbyte_meta"]["changes"].as_array().unwrap();
        let words: Vec<_> = changes
            .iter()
            .map(|change| {
                [&change["field"], &change["change"], &change["reason"]]
                    .map(|v| v.as_str().unwrap())
            })
            .collect();
        assert_eq!(
            words,
            [
                ["n", "NULLED", "DESTINATION_FIELD_SIZE_LIMITATION"],
                ["b", "NULLED", "DESTINATION_SERIALIZATION_ERROR"],
                ["t", "TRUNCATED", "DESTINATION_FIELD_SIZE_LIMITATION"],
            ]
        );
        // Without a time of its own, a row has that of its chunk.
        assert_eq!(row["_airbyte_extracted_at"], RECEIVED_AT);
    }

    #[test]
    fn notes_of_the_source_that_are_none_are_left_out_and_the_row_stays() {
        for meta in [r#"{"changes":5}"#, r#"{"changes":null}"#, "{}"] {
            let line = line(&[r#""stream":"c","data":{"id":1}"#, &format!(r#""meta":{meta}"#)]);
            let found = decoded_with(&[line], &json!({"add_record_metadata": true}));
            assert!(found.error.is_none());
            let rows = rows_of(&found.rows[0].batch);
            assert_eq!(rows[0]["_airbyte_meta"]["changes"], json!([]), "{meta}");
        }
    }

    #[test]
    fn what_is_missing_or_twice_is_named() {
        for (text, reason) in [
            (r#"{"type":"RECORD"}"#.to_owned(), "it has no `record`"),
            (line(&[r#""data":{}"#]), "its record has no `stream`"),
            (line(&[r#""stream":"c""#]), "its record has no `data`"),
            (line(&[r#""stream":"c","data":[]"#]), "its record has no `data`"),
            (line(&[r#""stream":"c","data":{"id":1},"data":{"id":1}"#]), "it has two `data` keys"),
        ] {
            let first = line(&[r#""stream":"c","data":{"id":0}"#]);
            let found = decoded_with(&[first, text], &json!({}));
            let error = found.error.as_ref().unwrap().to_string();
            assert!(error.starts_with("line 2 ") && error.contains(reason), "{error}");
            assert_eq!(streams_of(&found), [("c", 1)]);
        }
    }

    #[test]
    fn keys_that_programs_of_the_protocol_add_are_no_news() {
        let columns = AirbyteColumns { generation: None, sync: None };
        let extra = conventions(None, columns).extra;
        assert!(extra.is_usual("_airbyte_ab_id") && !extra.is_usual("airbyte"));
    }
}
