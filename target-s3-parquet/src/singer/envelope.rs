//! Singer's RECORD messages.
//!
//! The SDKs write `type`, `stream`, `record`, `time_extracted` in this order, so that a record can be
//! read in passing. Any other order is read too: then the record waits for the name of its stream.

use std::sync::Arc;

use lake::schema::time;

use crate::decode::dialect::Dialect;
use crate::decode::facts::RowFacts;
use crate::decode::fault::LineFault;
use crate::decode::number;
use crate::decode::plan::Plan;
use crate::decode::reader::{RecordReader, characters};
use crate::decode::scan::{Cursor, Members, Text};
use crate::error::Error;

/// The dialect of Singer.
#[derive(Debug)]
pub(crate) struct Singer;

/// The parts of a RECORD message beside the record itself.
#[derive(Debug, Default)]
struct Envelope<'a> {
    /// The record, once its key has come.
    record: Option<Cursor<'a>>,
    extracted_at: Option<&'a [u8]>,
    version: Option<i64>,
}

impl Dialect for Singer {
    fn read<'a>(
        &self,
        reader: &mut RecordReader<'a, '_, '_>,
        line: &'a [u8],
        number: u64,
    ) -> Result<(), LineFault> {
        let mut cursor = Cursor::new(line);
        let mut envelope = Envelope::default();
        let mut plans = None;
        let mut is_read = false;
        let mut members = Members::open(&mut cursor)?;
        while let Some(key) = members.next(&mut cursor)? {
            match key.raw {
                b"stream" => plans = Some(stream(reader, cursor.text()?, number)?),
                b"record" => match plans {
                    // The common order of keys: the record can be read in passing.
                    Some(plans) if envelope.record.is_none() => {
                        envelope.record = Some(cursor.clone());
                        records(reader, plans, &mut cursor, number)?;
                        is_read = true;
                    }
                    Some(_) | None => {
                        let at = cursor.clone();
                        cursor.skip()?;
                        if envelope.record.replace(at).is_some() {
                            return Err(LineFault::text("it has two `record` keys"));
                        }
                    }
                },
                b"time_extracted" if cursor.peek() == b'"' => {
                    envelope.extracted_at = Some(cursor.text()?.raw);
                }
                b"version" if cursor.peek() != b'"' => {
                    let at = cursor.clone();
                    cursor.skip()?;
                    envelope.version = number::integer(at.clone().word().unwrap_or_default());
                }
                _ => cursor.skip()?,
            }
        }
        cursor.end()?;
        let Some(plans) = plans else { return Err(LineFault::text("it has no `stream`")) };
        let Some(record) = &envelope.record else {
            return Err(LineFault::text("it has no `record`"));
        };
        if !is_read {
            // The record stood before its stream's name.
            records(reader, plans, &mut record.clone(), number)?;
        }
        keep(reader, plans, &envelope, number)
    }
}

/// The record is a row of each plan of its stream.
fn keep(
    reader: &mut RecordReader<'_, '_, '_>,
    plans: &[Arc<Plan>],
    envelope: &Envelope<'_>,
    number: u64,
) -> Result<(), LineFault> {
    for plan in plans {
        let stream = reader.stream(plan.id)?;
        // Only a column holds the time.
        let extracted_at = envelope.extracted_at.filter(|_| stream.plan().extra_from.is_some());
        stream.keep(RowFacts {
            line: number,
            extracted_at: extracted_at.and_then(time::instant),
            version: envelope.version,
        })?;
    }
    Ok(())
}

/// The plans of the stream of that name, which must have had its SCHEMA.
#[inline]
fn stream<'a, 'r>(
    reader: &mut RecordReader<'a, 'r, '_>,
    name: Text<'a>,
    line: u64,
) -> Result<&'r [Arc<Plan>], LineFault> {
    match reader.plans(name)? {
        Some(plans) => Ok(plans),
        None => {
            let stream = String::from_utf8_lossy(&characters(name)?).into_owned();
            Err(Error::RecordBeforeSchema { line, stream }.into())
        }
    }
}

/// Reads a record for each plan of its stream.
fn records(
    reader: &mut RecordReader<'_, '_, '_>,
    plans: &[Arc<Plan>],
    cursor: &mut Cursor<'_>,
    number: u64,
) -> Result<(), LineFault> {
    if cursor.peek() != b'{' {
        return Err(LineFault::text("its `record` is no object"));
    }
    let Some((last, others)) = plans.split_last() else { return Ok(cursor.skip()?) };
    for plan in others {
        reader.record(plan.id, &mut cursor.clone(), number)?;
    }
    reader.record(last.id, cursor, number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::decoder::decode;
    use crate::decode::plan::Registry;
    use crate::decode::reader::Scratch;
    use crate::decode::rows::Decoded;
    use crate::singer::columns::conventions;
    use crate::testing::{RECEIVED_AT, STARTED_AT, chunk, rows_of, try_plan};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn plan(stream: &str, settings: Value) -> Arc<Plan> {
        let schema = json!({"properties": {"id": {"type": "integer"}, "t": {}}});
        try_plan(stream, &schema, &["id"], settings, conventions()).unwrap()
    }

    fn registry(settings: &Value) -> Registry {
        let mut registry = Registry::default();
        registry.insert(b"a"[..].into(), [plan("a", settings.clone())].into());
        let copies = [plan("b", settings.clone()), plan("c", settings.clone())];
        registry.insert("b é".as_bytes().into(), copies.into());
        registry.insert(b"dropped"[..].into(), [].into());
        registry
    }

    fn decoded_with(lines: &[&str], settings: &Value) -> Decoded {
        let text = lines.join("\n");
        decode(&chunk(&text, 1), &Singer, &registry(settings), &mut Scratch::default())
    }

    fn decoded(lines: &[&str]) -> Decoded {
        decoded_with(lines, &json!({}))
    }

    fn ids(decoded: &Decoded) -> Vec<(&str, Vec<Value>)> {
        let of = |rows: &crate::decode::rows::Rows| {
            rows_of(&rows.batch).iter().map(|row| row["id"].clone()).collect()
        };
        decoded.rows.iter().map(|rows| (rows.plan.stream.as_str(), of(rows))).collect()
    }

    proptest! {
        #[test]
        fn the_keys_of_an_envelope_come_in_any_order(
            members in Just(vec![
                r#""type":"RECORD""#,
                r#""stream":"a""#,
                r#""record":{"id":7,"t":{"stream":"x"}}"#,
                r#""time_extracted":"1970-01-01T00:00:03Z""#,
                r#""version":12"#,
                r#""other":{"record":{"id":8},"stream":"b é"}"#,
            ]).prop_shuffle(),
            before in 0..3_usize,
        ) {
            let usual = r#"{"type": "RECORD", "stream": "a", "record": {"id": 1}}"#;
            let mut lines = vec![usual; before];
            let line = format!("{{{}}}", members.join(" , "));
            lines.push(&line);
            let found = decoded_with(&lines, &json!({"add_record_metadata": true}));
            prop_assert!(found.error.is_none(), "{:?}", found.error);
            let rows = rows_of(&found.rows[0].batch);
            prop_assert_eq!(&rows[before], &json!({
                "id": 7,
                "t": r#"{"stream":"x"}"#,
                "_sdc_extracted_at": 3_000_000,
                "_sdc_received_at": RECEIVED_AT,
                "_sdc_batched_at": RECEIVED_AT,
                "_sdc_deleted_at": null,
                "_sdc_sequence": STARTED_AT + 1 + i64::try_from(before).unwrap(),
                "_sdc_table_version": 12,
                "_sdc_sync_started_at": STARTED_AT / 1000,
            }));
            prop_assert_eq!(found.rows[0].version, Some(12));
        }

        #[test]
        fn any_chunking_of_the_same_input_makes_the_same_rows(
            records in prop::collection::vec((any::<bool>(), any::<i32>(), any::<bool>()), 1..30),
            border in 0..30_usize,
        ) {
            let line = |(first, id, late): &(bool, i32, bool)| {
                let stream = if *first { r#""stream":"a""# } else { r#""stream":"b \u00e9""# };
                let record = format!(r#""record":{{"id":{id}}}"#);
                let (left, right) = if *late { (record.as_str(), stream) } else { (stream, record.as_str()) };
                format!(r#"{{"type":"RECORD",{left},{right}}}"#)
            };
            let lines: Vec<String> = records.iter().map(line).collect();
            let registry = registry(&json!({"add_record_metadata": true}));
            let mut scratch = Scratch::default();
            let mut read = |parts: &[&[String]]| {
                let mut first_line = 1;
                let mut rows = [Vec::new(), Vec::new(), Vec::new()];
                for part in parts {
                    let chunk = chunk(&part.join("\n"), first_line);
                    first_line += part.len() as u64;
                    for of_stream in decode(&chunk, &Singer, &registry, &mut scratch).rows {
                        let at = usize::from(of_stream.plan.stream.as_bytes()[0] - b'a');
                        rows[at].extend(rows_of(&of_stream.batch));
                    }
                }
                rows
            };
            let (left, right) = lines.split_at(border.min(lines.len()));
            prop_assert_eq!(read(&[left, right]), read(&[&lines]));
        }
    }

    #[test]
    fn a_record_goes_to_every_copy_of_its_stream_and_to_none_of_a_dropped_one() {
        let found = decoded(&[
            r#"{"type":"RECORD","stream":"b \u00e9","record":{"id":1}}"#,
            r#"{"type":"RECORD","stream":"dropped","record":{"id":2}}"#,
            r#"{"type":"RECORD","record":{"id":3},"stream":"b é"}"#,
        ]);
        assert!(found.error.is_none());
        assert_eq!(ids(&found), [("b", vec![json!(1), json!(3)]), ("c", vec![json!(1), json!(3)])]);
    }

    #[test]
    fn what_is_missing_or_twice_is_named_with_its_line() {
        for (line, reason) in [
            (r#"{"type":"RECORD","record":{"id":1}}"#, "it has no `stream`"),
            (r#"{"type":"RECORD","stream":"a"}"#, "it has no `record`"),
            (r#"{"type":"RECORD","stream":"a","record":[1]}"#, "its `record` is no object"),
            (r#"{"type":"RECORD","record":null,"stream":"a"}"#, "its `record` is no object"),
            (
                r#"{"type":"RECORD","stream":"a","record":{"id":1},"record":{"id":2}}"#,
                "it has two `record` keys",
            ),
            (
                r#"{"type":"RECORD","record":{"id":1},"record":{"id":2},"stream":"a"}"#,
                "it has two `record` keys",
            ),
            (
                r#"{"type":"RECORD","stream":"a","record":{"id":1}"#,
                "the end of an object at column 48",
            ),
            (
                r#"{"type":"RECORD","stream":"a","record":{"id":1}} x"#,
                "the end of the line at column 50",
            ),
            (r#"{"type":"RECORD","stream":5,"record":{}}"#, "a string at column 27"),
        ] {
            let found = decoded(&[r#"{"type":"RECORD","stream":"a","record":{"id":0}}"#, line]);
            let error = found.error.as_ref().unwrap().to_string();
            assert!(error.starts_with("line 2 is not a message: "), "{error}");
            assert!(error.contains(reason), "{line}: {error}");
            // The line is no row, though its record may have been read.
            assert_eq!(ids(&found), [("a", vec![json!(0)])], "{line}");
        }
    }

    #[test]
    fn a_record_before_its_schema_is_an_error_with_the_name_as_people_read_it() {
        let found = decoded(&[r#"{"type":"RECORD","stream":"n\u00e9w","record":{}}"#]);
        let error = found.error.unwrap().to_string();
        assert!(error.contains("of stream `néw` before the SCHEMA"), "{error}");
        let found = decoded(&[r#"{"type":"RECORD","stream":"\x","record":{}}"#]);
        assert!(found.error.unwrap().to_string().contains("a known escape"));
    }

    #[test]
    fn what_the_envelope_says_wrongly_of_a_row_is_nothing() {
        let settings = json!({"add_record_metadata": true});
        let line = r#"{"type":"RECORD","stream":"a","record":{"id":1},"time_extracted":"soon","version":"x"}"#;
        let found = decoded_with(&[line], &settings);
        assert!(found.error.is_none());
        let row = &rows_of(&found.rows[0].batch)[0];
        assert_eq!(
            (&row["_sdc_extracted_at"], &row["_sdc_table_version"]),
            (&json!(null), &json!(null))
        );
        assert_eq!(found.rows[0].version, None);
    }

    #[test]
    fn the_version_of_a_chunk_is_that_of_its_last_row_with_one() {
        let found = decoded(&[
            r#"{"type":"RECORD","stream":"a","record":{"id":1},"version":3}"#,
            r#"{"type":"RECORD","stream":"a","record":{"id":2}}"#,
        ]);
        assert_eq!(found.rows[0].version, Some(3));
    }
}
