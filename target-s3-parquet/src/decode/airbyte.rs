//! Airbyte's RECORD messages and the columns that they bring along.
//!
//! The record of a message stands in its `data`, and the envelope has the namespace of the stream
//! beside its name. Sources write the namespace before or behind the data, or not at all; where a name
//! alone says which stream is meant, the data is read in passing all the same.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int64Array, ListArray, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use protocol::airbyte::StreamName;
use serde::Deserialize;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::context::{Change, Effect};
use super::record::{Chunk, LineFault, Metadata, Plan, Router};
use super::scan::{Cursor, Members, Text};
use super::{number, text};
use crate::error::{Error, Result};
use lake::schema::{Column, Kind};
use lake::table::Refresh;

/// What Airbyte says about a stream beside its schema.
#[derive(Debug)]
pub struct AirbyteStream {
    /// Its name and namespace.
    pub name: StreamName,
    /// The generation of its rows.
    pub generation: Option<i64>,
    /// The number of the sync.
    pub sync: Option<i64>,
    /// What is to become of older generations.
    pub refresh: Option<Refresh>,
}

/// Under which a stream is registered where another one has the same name.
pub fn key(namespace: &[u8], name: &[u8]) -> Box<[u8]> {
    [namespace, b"\0", name].concat().into()
}

/// What became of values, row by row.
#[derive(Debug, Default)]
pub(super) struct Changes {
    rows: Vec<usize>,
    fields: Vec<String>,
    effects: Vec<Box<str>>,
    reasons: Vec<Box<str>>,
}

/// The `meta` of a record, where the source has changed values itself.
#[derive(Deserialize)]
struct Meta {
    changes: Option<Vec<MetaChange>>,
}

#[derive(Deserialize)]
struct MetaChange {
    field: Option<String>,
    change: Option<Box<str>>,
    reason: Option<Box<str>>,
}

impl Changes {
    fn add(&mut self, row: usize, change: Change) {
        let (effect, reason) = match change.effect {
            Effect::Nulled => ("NULLED", "DESTINATION_SERIALIZATION_ERROR"),
            Effect::TooLarge => ("NULLED", "DESTINATION_FIELD_SIZE_LIMITATION"),
            Effect::Truncated => ("TRUNCATED", "DESTINATION_FIELD_SIZE_LIMITATION"),
        };
        self.rows.push(row);
        self.fields.push(change.field);
        self.effects.push(effect.into());
        self.reasons.push(reason.into());
    }

    /// Takes over what the source has noted. What is no such note is left out.
    #[cold]
    fn add_noted(&mut self, row: usize, meta: &[u8]) {
        let noted = serde_json::from_slice::<Meta>(meta).ok().and_then(|meta| meta.changes);
        for change in noted.into_iter().flatten() {
            self.rows.push(row);
            self.fields.push(change.field.unwrap_or_default());
            self.effects.push(change.change.unwrap_or_default());
            self.reasons.push(change.reason.unwrap_or_default());
        }
    }
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

/// What has become of the data.
enum Place {
    /// It waits for the stream to be known.
    Unknown,
    /// It is the newest row of this stream, if the namespace turns out to be the right one.
    Read(u64),
    /// There is no such stream.
    UnknownStream(String),
}

impl<'a> Router<'a, '_, '_> {
    pub(super) fn airbyte(&mut self, line: &'a [u8], number: u64) -> Result<(), LineFault> {
        let mut cursor = Cursor::new(line);
        let mut found = false;
        let mut members = Members::open(&mut cursor)?;
        while let Some(key) = members.next(&mut cursor)? {
            if key.raw == b"record" && cursor.peek() == b'{' && !found {
                found = true;
                self.airbyte_record(&mut cursor, line, number)?;
            } else {
                cursor.skip()?;
            }
        }
        cursor.end()?;
        if found { Ok(()) } else { Err(LineFault::text("it has no `record`")) }
    }

    fn airbyte_record(
        &mut self,
        cursor: &mut Cursor<'a>,
        line: &'a [u8],
        number: u64,
    ) -> Result<(), LineFault> {
        let mut envelope = Envelope::default();
        let mut place = Place::Unknown;
        let mut id = None;
        let mut members = Members::open(cursor)?;
        while let Some(key) = members.next(cursor)? {
            match key.raw {
                b"stream" if cursor.peek() == b'"' => {
                    let name = cursor.text()?;
                    envelope.stream = Some(name);
                    // A name that several namespaces have is in the registry with its namespace only.
                    id = match self.current() {
                        Some((current, plans)) if current == name.raw => only(plans),
                        _ => self.look_up(name.raw)?.ok().and_then(only),
                    };
                }
                b"namespace" if cursor.peek() == b'"' => {
                    envelope.namespace = Some(cursor.text()?).filter(|text| !text.raw.is_empty());
                }
                b"data" if cursor.peek() == b'{' => {
                    let at = cursor.clone();
                    match (id, &place) {
                        (Some(id), Place::Unknown) if envelope.data.is_none() => {
                            self.record(id, cursor, line, number)?;
                            place = Place::Read(id);
                        }
                        _ => cursor.skip()?,
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
        if let Place::Unknown = place {
            place = self.late(&envelope, id, line, number)?;
        }
        match place {
            Place::Read(id) => self.airbyte_finish(id, &envelope, number),
            Place::UnknownStream(name) => {
                self.note_unknown_stream(name);
                Ok(())
            }
            Place::Unknown => Ok(()),
        }
    }

    /// Reads data that stood before the stream's name, or whose stream needs its namespace.
    fn late(
        &mut self,
        envelope: &Envelope<'a>,
        id: Option<u64>,
        line: &[u8],
        number: u64,
    ) -> Result<Place, LineFault> {
        let Some(name) = envelope.stream else {
            return Err(LineFault::text("its record has no `stream`"));
        };
        let Some(data) = &envelope.data else {
            return Err(LineFault::text("its record has no `data`"));
        };
        let id = match id {
            Some(id) => id,
            None => {
                let (name, namespace) = (plain(name)?, plain_or_empty(envelope.namespace)?);
                match self.find(&key(&namespace, &name)).and_then(only) {
                    Some(id) => id,
                    None => {
                        let name = String::from_utf8_lossy(&name).into_owned();
                        return Ok(Place::UnknownStream(name));
                    }
                }
            }
        };
        self.record(id, &mut data.clone(), line, number)?;
        Ok(Place::Read(id))
    }

    /// Keeps the row that was read, unless it is of another namespace than the stream.
    fn airbyte_finish(
        &mut self,
        id: u64,
        envelope: &Envelope<'_>,
        number: u64,
    ) -> Result<(), LineFault> {
        let namespace = plain_or_empty(envelope.namespace)?;
        let Some(stream) = self.buffers(id) else { return Ok(()) };
        if stream.metadata.sequences.len() == stream.rows {
            // The record was rejected.
            return Ok(());
        }
        let row = stream.metadata.sequences.len();
        let name = stream.plan.airbyte.as_ref().map(|airbyte| &airbyte.name);
        let expected = name.and_then(|name| name.namespace.as_deref()).unwrap_or_default();
        if expected.as_bytes() != namespace {
            let unknown = format!(
                "{}.{}",
                String::from_utf8_lossy(&namespace),
                name.map(|name| name.name.as_str()).unwrap_or_default()
            );
            stream.record.truncate(row);
            stream.rows = row;
            stream.context.changes.clear();
            self.note_unknown_stream(unknown);
            return Ok(());
        }
        let line = i64::try_from(number).unwrap_or(i64::MAX);
        stream.metadata.sequences.push(line);
        if stream.plan.metadata_from.is_some() {
            stream.metadata.extracted_at.push(envelope.emitted_at);
            for change in stream.context.changes.drain(..) {
                stream.metadata.changes.add(row, change);
            }
            if let Some(meta) = envelope.meta {
                stream.metadata.changes.add_noted(row, meta);
            }
        } else {
            stream.context.changes.clear();
        }
        Ok(())
    }
}

/// The plan of a stream: Airbyte's streams are not mapped, so there is one.
fn only(plans: &[Arc<Plan>]) -> Option<u64> {
    plans.first().map(|plan| plan.id)
}

/// The characters of a text of the envelope.
fn plain(text: Text<'_>) -> Result<Vec<u8>, LineFault> {
    let mut bytes = Vec::new();
    text::append(text, &mut bytes).map_err(LineFault::text)?;
    Ok(bytes)
}

fn plain_or_empty(text: Option<Text<'_>>) -> Result<Vec<u8>, LineFault> {
    text.map_or(Ok(Vec::new()), plain)
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

/// The columns that Airbyte's destinations add.
pub(crate) fn metadata() -> Vec<Column> {
    let change = ["field", "change", "reason"].map(|name| Column::same(name, Kind::String));
    let meta = vec![
        Column::same("sync_id", Kind::Bigint),
        Column::same("changes", Kind::List(Box::new(Kind::Struct(change.to_vec())))),
    ];
    vec![
        Column::same("_airbyte_raw_id", Kind::String),
        Column::same("_airbyte_extracted_at", Kind::Timestamp),
        Column::same("_airbyte_generation_id", Kind::Bigint),
        Column::same("_airbyte_meta", Kind::Struct(meta)),
    ]
}

impl AirbyteStream {
    /// The values of one of these columns.
    pub(super) fn array(
        &self,
        metadata: &Metadata,
        column: &Column,
        chunk: &Chunk,
        rows: usize,
    ) -> Result<ArrayRef> {
        Ok(match column.source.as_str() {
            "_airbyte_raw_id" => raw_ids(&metadata.sequences, chunk.started_at, rows)?,
            "_airbyte_extracted_at" => {
                let received = Some(chunk.received_at);
                let times = metadata.extracted_at.iter().take(rows).map(|time| time.or(received));
                Arc::new(times.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
            }
            "_airbyte_generation_id" => Arc::new(Int64Array::from(vec![self.generation; rows])),
            _ => self.meta(&metadata.changes, column, rows).map_err(Error::arrow)?,
        })
    }

    fn meta(
        &self,
        changes: &Changes,
        column: &Column,
        rows: usize,
    ) -> std::result::Result<ArrayRef, ArrowError> {
        let DataType::Struct(fields) = column.kind.data_type() else {
            return Err(ArrowError::SchemaError("`_airbyte_meta` is a struct".into()));
        };
        let Some(DataType::List(element)) = fields.get(1).map(|field| field.data_type()) else {
            return Err(ArrowError::SchemaError("`changes` is a list".into()));
        };
        let DataType::Struct(parts) = element.data_type() else {
            return Err(ArrowError::SchemaError("a change is a struct".into()));
        };
        let texts = |texts: &[Box<str>]| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(texts.iter().map(AsRef::as_ref)))
        };
        let columns = vec![
            Arc::new(StringArray::from_iter_values(&changes.fields)) as ArrayRef,
            texts(&changes.effects),
            texts(&changes.reasons),
        ];
        let length = changes.rows.len();
        let values = StructArray::try_new_with_length(parts.clone(), columns, None, length)?;
        let mut lengths = vec![0; rows];
        for row in &changes.rows {
            if let Some(length) = lengths.get_mut(*row) {
                *length += 1;
            }
        }
        let offsets = OffsetBuffer::from_lengths(lengths);
        let lists = ListArray::try_new(Arc::clone(element), offsets, Arc::new(values), None)?;
        let syncs: ArrayRef = Arc::new(Int64Array::from(vec![self.sync; rows]));
        let arrays = vec![syncs, Arc::new(lists) as ArrayRef];
        Ok(Arc::new(StructArray::try_new_with_length(fields.clone(), arrays, None, rows)?))
    }
}

/// An id for each row: a UUID of version 8, from the run and the line.
fn raw_ids(lines: &[i64], run: i64, rows: usize) -> Result<ArrayRef> {
    const LENGTH: usize = 36;
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut bytes = Vec::with_capacity(rows * LENGTH);
    for line in lines.iter().take(rows) {
        let hash = xxh3_128_with_seed(&line.to_le_bytes(), run.cast_unsigned());
        let id = (hash & !(0xf << 76) & !(0x3 << 62)) | (0x8 << 76) | (0x2 << 62);
        for (at, byte) in id.to_be_bytes().into_iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                bytes.push(b'-');
            }
            for digit in [byte >> 4, byte & 0xf] {
                bytes.push(HEX.get(usize::from(digit)).copied().unwrap_or(b'0'));
            }
        }
    }
    let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(LENGTH, rows));
    let array = StringArray::try_new(offsets, bytes.into(), None).map_err(Error::arrow)?;
    Ok(Arc::new(array))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Array, AsArray};

    #[test]
    fn times_are_taken_in_seconds_and_in_milliseconds() {
        let micros_of = |text: &str| micros(text.as_bytes());
        assert_eq!(micros_of("1795458926348"), Some(1_795_458_926_348_000));
        assert_eq!(micros_of("1795458926"), Some(1_795_458_926_000_000));
        assert_eq!(micros_of("1795458926.5"), Some(1_795_458_926_500_000));
        assert_eq!(micros_of("soon"), None);
    }

    #[test]
    fn ids_are_uuids_and_differ_by_run_and_line() {
        let first = raw_ids(&[1, 2], 7, 2).unwrap();
        let other = raw_ids(&[1], 8, 1).unwrap();
        let (first, other) = (first.as_string::<i32>(), other.as_string::<i32>());
        assert_eq!(first.len(), 2);
        assert_ne!(first.value(0), first.value(1));
        assert_ne!(first.value(0), other.value(0));
        for id in first.iter().flatten() {
            let parts: Vec<usize> = id.split('-').map(str::len).collect();
            assert_eq!(parts, [8, 4, 4, 4, 12], "{id}");
            assert_eq!(&id[14..15], "8");
            assert!("89ab".contains(&id[19..20]), "{id}");
        }
    }
}
