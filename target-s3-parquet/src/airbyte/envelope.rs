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
}
