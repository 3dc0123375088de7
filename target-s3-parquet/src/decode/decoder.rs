//! A chunk of record lines to one Arrow batch per stream.

use memchr::memchr;

use super::chunk::Chunk;
use super::dialect::Dialect;
use super::fault::{LineFault, describe};
use super::plan::Registry;
use super::reader::{RecordReader, Scratch};
use super::rows::Decoded;
use crate::error::{Error, Result};

/// Decodes a chunk of a dialect.
pub(crate) fn decode(
    chunk: &Chunk,
    dialect: &dyn Dialect,
    registry: &Registry,
    scratch: &mut Scratch,
) -> Decoded {
    let mut reader = RecordReader::new(registry, scratch);
    let (lines, fault) = chunk.lines();
    let outcome = read_lines(lines, chunk.first_line, dialect, &mut reader).and(fault);
    reader.finish(chunk, outcome.err())
}

fn read_lines<'a>(
    lines: &'a [u8],
    first_line: u64,
    dialect: &dyn Dialect,
    reader: &mut RecordReader<'a, '_, '_>,
) -> Result<()> {
    let (mut rest, mut number) = (lines, first_line);
    while !rest.is_empty() {
        let end = memchr(b'\n', rest).unwrap_or(rest.len());
        let (line, after) = rest.split_at(end);
        rest = after.get(1..).unwrap_or_default();
        if !line.trim_ascii().is_empty() {
            dialect.read(reader, line, number).map_err(|fault| error_of(fault, line, number))?;
        }
        number += 1;
    }
    Ok(())
}

#[cold]
fn error_of(fault: LineFault, line: &[u8], number: u64) -> Error {
    match fault {
        LineFault::Error(error) => *error,
        LineFault::Text(reason) => Error::Line { line: number, reason },
        LineFault::Syntax(syntax) => Error::Line { line: number, reason: describe(line, syntax) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::plan::Plan;
    use crate::testing::{Bare, chunk, decoded, plan, registry, rows_of};
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use std::collections::BTreeMap;
    use std::sync::Arc;

    fn plans(settings: &Value) -> Vec<Arc<Plan>> {
        let id = json!({"id": {"type": "integer"}, "t": {"type": "string"}});
        ["a", "b"].map(|stream| plan(stream, &id, &["id"], settings.clone())).to_vec()
    }

    fn lines(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn rows_come_by_stream_in_the_order_in_which_the_streams_first_appear() {
        let found = decoded(
            &lines(&[r#"{"b":{"id":1}}"#, "", r#"{"a":{"id":2}}"#, r#"{"b":{"id":3}}"#]),
            &plans(&json!({"add_record_metadata": true})),
        );
        assert!(found.error.is_none());
        let streams: Vec<_> = found.rows.iter().map(|rows| rows.plan.stream.as_str()).collect();
        assert_eq!(streams, ["b", "a"]);
        assert_eq!(
            rows_of(&found.rows[0].batch),
            [json!({"id": 1, "t": null, "line": 1}), json!({"id": 3, "t": null, "line": 4}),]
        );
        assert_eq!(found.rows[0].hashes.len(), 2);
    }

    #[test]
    fn rows_before_an_error_are_there_with_all_columns_and_nothing_behind_it() {
        for broken in [r#"{"a":{"id":2,"t":"lost""#, r#"{"a":{"id":2}} x"#, r#"{"a":{"t":"x"}}"#] {
            for metadata in [false, true] {
                let found = decoded(
                    &lines(&[r#"{"a":{"id":1}}"#, broken, r#"{"a":{"id":3}}"#]),
                    &plans(&json!({"add_record_metadata": metadata})),
                );
                let error = found.error.unwrap().to_string();
                assert!(error.starts_with("line 2"), "{error}");
                let rows = rows_of(&found.rows[0].batch);
                let ids: Vec<_> = rows.iter().map(|row| row["id"].clone()).collect();
                // What is broken behind its record is a row of Bare already.
                let kept =
                    if broken.ends_with('x') { vec![json!(1), json!(2)] } else { vec![json!(1)] };
                assert_eq!(ids, kept, "{broken}");
            }
        }
    }

    #[test]
    fn rows_before_a_line_that_is_no_text_are_there() {
        let plans = plans(&json!({}));
        let mut broken = chunk("", 7);
        broken.bytes = b"{\"a\":{\"id\":1}}\n\n{\"a\":{\"id\":2,\"t\":\"\xff\"}}\n"[..].into();
        let found = decode(&broken, &Bare, &registry(&plans), &mut Scratch::default());
        let error = found.error.unwrap().to_string();
        assert_eq!(error, "line 9 is not a message: it is not valid UTF-8");
        assert_eq!(found.rows[0].batch.num_rows(), 1);
    }

    #[test]
    fn a_record_without_its_key_ends_the_chunk_with_the_name_of_the_key() {
        let found = decoded(&lines(&[r#"{"a":{"id":null}}"#]), &plans(&json!({})));
        assert_eq!(
            found.error.unwrap().to_string(),
            "line 1: a record of stream `a` has no value for its key property `id` (key_properties)"
        );
    }

    #[test]
    fn streams_that_nobody_asked_for_are_named_once() {
        let found = decoded(
            &lines(&[r#"{"x":{"id":1}}"#, r#"{"x":{"id":1},"y":{}}"#, r#"{"a":{"id":1}}"#]),
            &plans(&json!({})),
        );
        assert!(found.error.is_none());
        assert_eq!(found.unknown_streams, ["x", "y"]);
        assert_eq!(found.rows.len(), 1);
    }

    #[test]
    fn what_is_counted_is_counted_by_chunk() {
        let plans = plans(&json!({"on_invalid": "null", "max_string_bytes": 4}));
        let registry = registry(&plans);
        let mut scratch = Scratch::default();
        let text = r#"{"a":{"id":1,"t":[5],"u":0}}
{"a":{"id":2,"t":"too long","u":1}}
{"a":{"id":3,"t":"\ud800"}}"#;
        for _ in 0..2 {
            let found = decode(&chunk(text, 1), &Bare, &registry, &mut scratch);
            let rows = &found.rows[0];
            assert_eq!(rows.invalid, [("t".to_owned(), 1)]);
            assert_eq!(rows.unknown_keys, [("u".to_owned(), 2)]);
            assert_eq!((rows.truncated, rows.replaced, rows.rejected), (1, 1, 0));
        }
    }

    #[test]
    fn every_rule_of_a_schema_is_checked_when_that_is_asked_for() {
        let schema = json!({"id": {"type": "integer", "maximum": 5}, "t": {"type": "string"}});
        let plan = plan("a", &schema, &["id"], json!({"validate_records": true}));
        let found = decoded(&lines(&[r#"{"a":{"id":5}}"#, r#"{"a":{"id":6}}"#]), &[plan]);
        let error = found.error.unwrap().to_string();
        assert!(
            error.starts_with("line 2: a record of stream `a` breaks its schema at `/id`"),
            "{error}"
        );
        assert_eq!(found.rows[0].batch.num_rows(), 1);
    }

    #[test]
    fn a_value_of_a_personal_column_is_in_no_error() {
        const SECRET: &str = "192.0.2.77";
        let marked = json!({"type": "object", "properties": {
            "of": {"type": "integer", "x-personal": true},
        }});
        let schema = json!({
            "id": {"type": "integer"},
            "ip": {"type": "integer", "x-personal": true, "maximum": 9},
            "ipx": {"type": "integer"},
            "inner": marked,
            "list": {"type": "array", "items": marked},
        });
        for (record, column) in [
            (r#"{"id":1,"ip":"192.0.2.77"}"#, "`ip`"),
            (r#"{"id":1,"inner":{"of":"192.0.2.77"}}"#, "`inner.of`"),
            (r#"{"id":1,"inner":"192.0.2.77"}"#, "`inner`"),
            (r#"{"id":1,"list":[{"of":"192.0.2.77"}]}"#, "`list[0].of`"),
            (r#"{"id":1,"ip":192.0.2.77}"#, "column 19"),
            (r#"{"id":1 "192.0.2.77":1}"#, "column 14"),
        ] {
            let plan = plan("a", &schema, &["id"], json!({}));
            let found = decoded(&[format!(r#"{{"a":{record}}}"#)], &[plan]);
            let error = found.error.unwrap().to_string();
            assert!(error.starts_with("line 1") && error.contains(column), "{error}");
            assert!(!error.contains(SECRET), "{error}");
        }
        let plan = |settings| plan("a", &schema, &["id"], settings);
        let lines = [r#"{"a":{"id":1,"ipx":"192.0.2.77"}}"#.to_owned()];
        let error = decoded(&lines, &[plan(json!({}))]).error.unwrap().to_string();
        assert!(error.contains(SECRET), "{error}");
        let lines = [r#"{"a":{"id":1,"ip":77}}"#.to_owned()];
        let found = decoded(&lines, &[plan(json!({"validate_records": true}))]);
        let error = found.error.unwrap().to_string();
        assert!(error.contains("`/ip`") && !error.contains("77"), "{error}");
    }

    /// The rows by stream of an input that is decoded chunk by chunk.
    fn by_stream(lines: &[String], borders: &[usize]) -> BTreeMap<String, Vec<Value>> {
        let plans = plans(&json!({"add_record_metadata": true}));
        let registry = registry(&plans);
        let mut scratch = Scratch::default();
        let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        let mut from = 0;
        for to in borders.iter().copied().chain([lines.len()]) {
            let text = lines[from..to].join("\n");
            let chunk = chunk(&text, from as u64 + 1);
            let decoded = decode(&chunk, &Bare, &registry, &mut scratch);
            assert!(decoded.error.is_none(), "{:?}", decoded.error);
            for rows in decoded.rows {
                let known = found.entry(rows.plan.stream.clone()).or_default();
                known.extend(rows_of(&rows.batch));
            }
            from = to;
        }
        found
    }

    proptest! {
        #[test]
        fn any_chunking_of_the_same_input_makes_the_same_rows(
            records in prop::collection::vec((0..3_usize, any::<i64>(), "[a-z\"]{0,9}"), 1..40),
            borders in prop::collection::btree_set(0..40_usize, 0..8),
        ) {
            let line = |(stream, id, text): &(usize, i64, String)| match stream {
                0 => json!({"a": {"id": id, "t": text}}).to_string(),
                1 => json!({"b": {"t": text, "id": id}}).to_string(),
                _ => String::new(),
            };
            let lines: Vec<String> = records.iter().map(line).collect();
            let borders: Vec<usize> =
                borders.into_iter().filter(|border| *border < lines.len()).collect();
            prop_assert_eq!(by_stream(&lines, &borders), by_stream(&lines, &[]));
        }
    }
}
