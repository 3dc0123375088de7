//! Avro as Iceberg uses it: records with field ids, of any writer.
//!
//! What others have written is kept as it was found: a file is copied with its own schema and header, so that
//! nothing is lost of what this version does not know.

use apache_avro::types::Value;
use apache_avro::{Codec, DeflateSettings, Reader, Schema, Writer};

use crate::error::{Error, Result};

/// The records of an Avro file, one after the other: as values they take fifty times what they take in the file.
pub(super) struct Records<'a> {
    pub(super) schema: Schema,
    /// Its header, but for what is Avro's own.
    pub(super) header: Vec<(String, Vec<u8>)>,
    reader: Reader<'a, &'a [u8]>,
    object: &'a str,
}

/// Begins to read a file; `object` names it in errors.
pub(super) fn read<'a>(bytes: &'a [u8], object: &'a str) -> Result<Records<'a>> {
    let reader = Reader::new(bytes).map_err(|error| damaged(object, &error))?;
    let schema = reader.writer_schema().clone();
    let own = |key: &&String| !key.starts_with("avro.");
    let mut header: Vec<_> = reader
        .user_metadata()
        .iter()
        .filter(|(key, _)| own(key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    header.sort();
    Ok(Records { schema, header, reader, object })
}

impl Iterator for Records<'_> {
    type Item = Result<Value>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = self.reader.next()?;
        Some(record.map_err(|error| damaged(self.object, &error)))
    }
}

fn damaged(object: &str, error: &apache_avro::Error) -> Error {
    Error::store("read", object, format!("it is no Avro file of Iceberg: {error}"))
}

/// Writes a file, record by record.
pub(super) fn write(
    schema: &Schema,
    header: &[(String, Vec<u8>)],
    records: impl IntoIterator<Item = Result<Value>>,
) -> Result<Vec<u8>> {
    let broken = |error| Error::broken("records of Iceberg fit their schema", error);
    let codec = Codec::Deflate(DeflateSettings::default());
    let mut writer = Writer::with_codec(schema, Vec::new(), codec);
    for (key, value) in header {
        writer.add_user_metadata(key.clone(), value).map_err(broken)?;
    }
    for record in records {
        writer.append_value_ref(&record?).map_err(broken)?;
    }
    writer.into_inner().map_err(broken)
}

/// The value of a record's field, if it has one that is not null.
pub(super) fn get<'a>(record: &'a Value, name: &str) -> Option<&'a Value> {
    let Value::Record(fields) = record else { return None };
    let (_, value) = fields.iter().find(|(field, _)| field == name)?;
    present(value)
}

/// What an optional value is, if it is something.
pub(super) fn present(value: &Value) -> Option<&Value> {
    match value {
        Value::Union(_, inner) => present(inner),
        Value::Null => None,
        value => Some(value),
    }
}

/// Sets a field that a record has.
pub(super) fn set(record: &mut Value, name: &str, value: Value) {
    let Value::Record(fields) = record else { return };
    if let Some((_, old)) = fields.iter_mut().find(|(field, _)| field == name) {
        *old = match old {
            Value::Union(..) => some(value),
            _ => value,
        };
    }
}

/// The whole number that a field is.
pub(super) fn number(record: &Value, name: &str) -> Option<i64> {
    match get(record, name)? {
        Value::Long(number) => Some(*number),
        Value::Int(number) => Some(i64::from(*number)),
        _ => None,
    }
}

/// The text that a field is.
pub(super) fn text<'a>(record: &'a Value, name: &str) -> Option<&'a str> {
    match get(record, name)? {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// An optional value that is there.
pub(super) fn some(value: Value) -> Value {
    Value::Union(1, Box::new(value))
}

/// An optional value that is not there.
pub(super) fn none() -> Value {
    Value::Union(0, Box::new(Value::Null))
}
