//! A chunk of RECORD lines to one Arrow batch per stream.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Int64Array, RecordBatch, TimestampMicrosecondArray,
};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Schema, SchemaRef};
use bytes::Bytes;
use hashbrown::HashMap;
use memchr::memchr;

use super::airbyte::{AirbyteStream, Changes};
use super::column::StructBuffer;
use super::context::Context;
use super::derive::Derivation;
use super::scan::{Cursor, Members, Text, describe};
use super::{Fault, number, text};
use crate::error::{Error, Result};
use crate::settings::OnInvalid;
use lake::schema::time;
use lake::schema::{Column, Kind, fields};
use lake::table::{Spec, key};

/// How the records of one stream become columns. A new SCHEMA makes a new plan.
#[derive(Debug)]
pub struct Plan {
    /// The stream's name.
    pub stream: String,
    /// Its name as the tap writes it, before it was mapped.
    pub source: String,
    /// Unlike any other plan's of this run.
    pub id: u64,
    /// The table that the rows are for. Its columns are those of the batches, metadata included.
    pub spec: Arc<Spec>,
    /// What is read of a record: the columns without the metadata, unless the stream is mapped.
    pub reads: Vec<Column>,
    /// How the columns come out of what is read, where the stream is mapped.
    pub derivation: Option<Derivation>,
    /// Positions of the key columns.
    pub keys: Vec<usize>,
    /// Treatment of values that do not fit.
    pub on_invalid: OnInvalid,
    /// Longest string in bytes.
    pub max_string_bytes: Option<usize>,
    /// Where the `_sdc_*` or `_airbyte_*` columns begin in `columns`, when they are added.
    pub metadata_from: Option<usize>,
    /// Checks every rule of the schema, when asked for.
    pub validator: Option<jsonschema::Validator>,
    /// What Airbyte says about the stream, where it is Airbyte that sends it.
    pub airbyte: Option<AirbyteStream>,
}

/// The plans by the stream names of the tap, as they are at one place of the input: none for a
/// stream that is dropped, several for one that is copied.
pub type Registry = HashMap<Box<[u8]>, Arc<[Arc<Plan>]>>;

/// Consecutive lines of the input, all of them records or blank.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// The lines.
    pub bytes: Bytes,
    /// Number of the first line, from 1.
    pub first_line: u64,
    /// When they were read, in microseconds since 1970.
    pub received_at: i64,
    /// When the run began, in microseconds since 1970.
    pub started_at: i64,
    /// Whose messages they are.
    pub dialect: Dialect,
}

/// A protocol, as far as its records differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `{"type": "RECORD", "stream": …, "record": …}`
    Singer,
    /// `{"type": "RECORD", "record": {"stream": …, "data": …}}`
    Airbyte,
}

/// The rows of one stream in a chunk.
#[derive(Debug)]
pub struct Rows {
    /// The plan they were decoded by.
    pub plan: Arc<Plan>,
    /// The columns, in the order of the plan.
    pub batch: RecordBatch,
    /// The hash of each row's key; empty where the stream has no keys.
    pub hashes: Vec<u128>,
    /// Columns with values that became null, and how many.
    pub invalid: Vec<(String, u64)>,
    /// Keys that the schema does not know, and how often they came.
    pub extra: Vec<(String, u64)>,
    /// Rows that a filter left out.
    pub filtered: u64,
    /// Strings that were cut.
    pub cut: u64,
    /// Lone surrogates that were replaced.
    pub replaced: u64,
    /// The table version that the records carry, where they carry one.
    pub version: Option<i64>,
    /// Records that cannot be stored and were left out: of Airbyte those without their key.
    pub rejected: u64,
}

/// What a chunk holds.
#[derive(Debug)]
pub struct Decoded {
    /// Rows by stream, in the order in which the streams first appear.
    pub rows: Vec<Rows>,
    /// The error that ended it, if one did. Nothing after it was read.
    pub error: Option<Error>,
    /// Streams that nobody asked for, whose records were passed over.
    pub unknown_streams: Vec<String>,
}

/// Room that is used again from chunk to chunk. One belongs to one worker.
#[derive(Debug, Default)]
pub struct Scratch {
    streams: HashMap<u64, Stream>,
}

/// The buffers of one stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) plan: Arc<Plan>,
    schema: SchemaRef,
    pub(super) record: StructBuffer,
    pub(super) context: Context,
    pub(super) metadata: Metadata,
    version: Option<i64>,
    rejected: u64,
    pub(super) rows: usize,
}

/// The metadata that differs by row.
#[derive(Debug, Default)]
pub(super) struct Metadata {
    pub(super) extracted_at: Vec<Option<i64>>,
    versions: Vec<Option<i64>>,
    pub(super) sequences: Vec<i64>,
    pub(super) changes: Changes,
}

/// The parts of a RECORD message beside the record itself.
#[derive(Debug, Default)]
struct Envelope<'a> {
    stream: Option<Text<'a>>,
    record: Option<Cursor<'a>>,
    time_extracted: Option<&'a [u8]>,
    version: Option<i64>,
}

/// Decodes a chunk.
pub fn decode(chunk: &Chunk, registry: &Registry, scratch: &mut Scratch) -> Decoded {
    let mut order = Vec::new();
    let mut unknown_streams = Vec::new();
    let error = decode_lines(chunk, registry, scratch, &mut order, &mut unknown_streams).err();
    let mut decoded = Decoded { rows: Vec::with_capacity(order.len()), error, unknown_streams };
    for id in order {
        let Some(stream) = scratch.streams.get_mut(&id) else { continue };
        match stream.take(chunk) {
            Ok(rows) => decoded.rows.push(rows),
            Err(error) => {
                decoded.error.get_or_insert(error);
            }
        }
    }
    decoded
}

fn decode_lines(
    chunk: &Chunk,
    registry: &Registry,
    scratch: &mut Scratch,
    order: &mut Vec<u64>,
    unknown_streams: &mut Vec<String>,
) -> Result<()> {
    let mut rest: &[u8] = &chunk.bytes;
    let mut number = chunk.first_line;
    let mut current: Option<(&[u8], &[Arc<Plan>])> = None;
    while !rest.is_empty() {
        let end = memchr(b'\n', rest).unwrap_or(rest.len());
        let (line, after) = rest.split_at(end);
        rest = after.get(1..).unwrap_or_default();
        if !line.trim_ascii().is_empty() {
            let mut router = Router { registry, scratch, order, unknown_streams, chunk, current };
            router.line(line, number)?;
            current = router.current;
        }
        number += 1;
    }
    Ok(())
}

/// Brings each line to the buffers of its stream.
pub(super) struct Router<'a, 'r, 'b> {
    registry: &'r Registry,
    scratch: &'b mut Scratch,
    order: &'b mut Vec<u64>,
    unknown_streams: &'b mut Vec<String>,
    chunk: &'b Chunk,
    /// The stream of the line before: most lines have the same.
    current: Option<(&'a [u8], &'r [Arc<Plan>])>,
}

impl<'a, 'r> Router<'a, 'r, '_> {
    fn line(&mut self, line: &'a [u8], number: u64) -> Result<()> {
        let outcome = match self.chunk.dialect {
            Dialect::Singer => self.singer(line, number),
            Dialect::Airbyte => self.airbyte(line, number),
        };
        outcome.map_err(|fault| match fault {
            LineFault::Ready(error) => *error,
            LineFault::Text(reason) => Error::Line { line: number, reason },
            LineFault::Syntax(syntax) => {
                Error::Line { line: number, reason: describe(line, syntax) }
            }
        })
    }

    fn singer(&mut self, line: &'a [u8], number: u64) -> Result<(), LineFault> {
        let mut cursor = Cursor::new(line);
        let mut envelope = Envelope::default();
        let mut plans = None;
        let mut is_read = false;
        let mut members = Members::open(&mut cursor)?;
        while let Some(key) = members.next(&mut cursor)? {
            match key.raw {
                b"stream" => {
                    envelope.stream = Some(cursor.text()?);
                    plans = Some(self.stream(cursor_text(envelope.stream), number)?);
                }
                b"record" => match plans {
                    // The common order of keys: the record can be read in passing.
                    Some(plans) if envelope.record.is_none() => {
                        envelope.record = Some(cursor.clone());
                        self.records(plans, &mut cursor, line, number)?;
                        is_read = true;
                    }
                    _ => {
                        let at = cursor.clone();
                        cursor.skip()?;
                        if envelope.record.replace(at).is_some() {
                            return Err(LineFault::text("it has two `record` keys"));
                        }
                    }
                },
                b"time_extracted" if cursor.peek() == b'"' => {
                    envelope.time_extracted = Some(cursor.text()?.raw);
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
            self.records(plans, &mut record.clone(), line, number)?;
        }
        for plan in plans {
            self.finish(plan.id, &envelope, number);
        }
        Ok(())
    }

    fn stream(&mut self, name: &'a [u8], line: u64) -> Result<&'r [Arc<Plan>], LineFault> {
        if let Some((current, plans)) = self.current
            && current == name
        {
            return Ok(plans);
        }
        self.look_up(name)?.map_err(|stream| {
            LineFault::Ready(Box::new(Error::RecordBeforeSchema { line, stream }))
        })
    }

    /// The plans of the stream whose name stands in the line, or the name of one that there is not.
    pub(super) fn look_up(
        &mut self,
        name: &'a [u8],
    ) -> Result<Result<&'r [Arc<Plan>], String>, LineFault> {
        let plans = match self.registry.get(name) {
            Some(plans) => plans,
            None => {
                // A name with escapes is rare enough to be looked up again, unescaped.
                let mut unescaped = Vec::new();
                text::append(Text { raw: name, escaped: true }, &mut unescaped)
                    .map_err(LineFault::text)?;
                match self.registry.get(unescaped.as_slice()) {
                    Some(plans) => plans,
                    None => return Ok(Err(String::from_utf8_lossy(&unescaped).into_owned())),
                }
            }
        };
        for plan in plans.iter() {
            self.open(plan);
        }
        self.current = Some((name, plans));
        Ok(Ok(plans))
    }

    /// Reads a record for each plan of its stream.
    fn records(
        &mut self,
        plans: &[Arc<Plan>],
        cursor: &mut Cursor<'_>,
        line: &[u8],
        number: u64,
    ) -> Result<(), LineFault> {
        if cursor.peek() != b'{' {
            return Err(LineFault::text("its `record` is no object"));
        }
        let Some((last, others)) = plans.split_last() else { return Ok(cursor.skip()?) };
        for plan in others {
            self.record(plan.id, &mut cursor.clone(), line, number)?;
        }
        self.record(last.id, cursor, line, number)
    }

    /// Brings out the buffers of a stream.
    fn open(&mut self, plan: &Arc<Plan>) {
        let stream =
            self.scratch.streams.entry(plan.id).or_insert_with(|| Stream::new(Arc::clone(plan)));
        if stream.rows == 0 && !self.order.contains(&plan.id) {
            self.order.push(plan.id);
        }
    }

    /// The stream of the line before, by its name as it stands in the line.
    pub(super) fn current(&self) -> Option<(&'a [u8], &'r [Arc<Plan>])> {
        self.current
    }

    /// The plans of the stream of that name in the registry.
    pub(super) fn find(&mut self, name: &[u8]) -> Option<&'r [Arc<Plan>]> {
        let plans = self.registry.get(name)?;
        for plan in plans.iter() {
            self.open(plan);
        }
        Some(plans)
    }

    /// The buffers of a stream.
    pub(super) fn buffers(&mut self, id: u64) -> Option<&mut Stream> {
        self.scratch.streams.get_mut(&id)
    }

    /// Notes a stream that nobody asked for.
    pub(super) fn note_unknown_stream(&mut self, name: String) {
        if !self.unknown_streams.contains(&name) {
            self.unknown_streams.push(name);
        }
    }

    /// Reads one record into the buffers of its stream.
    pub(super) fn record(
        &mut self,
        id: u64,
        cursor: &mut Cursor<'_>,
        line: &[u8],
        number: u64,
    ) -> Result<(), LineFault> {
        let Some(stream) = self.scratch.streams.get_mut(&id) else { return Ok(()) };
        let start = cursor.position();
        if let Err(fault) = stream.record.push(stream.rows, cursor, &mut stream.context) {
            return Err(match fault {
                Fault::Syntax(syntax) => LineFault::Syntax(syntax),
                Fault::Value(misfit) => LineFault::Ready(Box::new(Error::Value {
                    line: number,
                    stream: stream.plan.source.clone(),
                    column: misfit.path.replace(".[", "["),
                    value: misfit.value,
                    expected: misfit.expected,
                })),
            });
        }
        if stream.plan.derivation.is_none()
            && let Some(key) =
                stream.plan.keys.iter().find(|key| stream.record.is_null(**key, stream.rows))
        {
            if stream.plan.rejects_records() {
                stream.record.truncate(stream.rows);
                stream.context.changes.clear();
                stream.rejected += 1;
                return Ok(());
            }
            return Err(LineFault::Ready(Box::new(stream.plan.missing_key(*key, number))));
        }
        if let Some(validator) = &stream.plan.validator {
            let text = line.get(start..cursor.position()).unwrap_or_default();
            validate(validator, text, &stream.plan.source, number)?;
        }
        stream.rows += 1;
        Ok(())
    }

    fn finish(&mut self, id: u64, envelope: &Envelope<'_>, line: u64) {
        let Some(stream) = self.scratch.streams.get_mut(&id) else { return };
        stream.version = envelope.version.or(stream.version);
        let metadata = &mut stream.metadata;
        if stream.plan.metadata_from.is_some() {
            metadata.extracted_at.push(envelope.time_extracted.and_then(time::instant));
            metadata.versions.push(envelope.version);
        }
        let line = i64::try_from(line).unwrap_or(i64::MAX);
        metadata.sequences.push(self.chunk.started_at.saturating_add(line));
    }
}

fn cursor_text(text: Option<Text<'_>>) -> &[u8] {
    text.map(|text| text.raw).unwrap_or_default()
}

fn validate(
    validator: &jsonschema::Validator,
    text: &[u8],
    stream: &str,
    line: u64,
) -> Result<(), LineFault> {
    let record: serde_json::Value = serde_json::from_slice(text)
        .map_err(|error| LineFault::Text(format!("its record is no JSON: {error}")))?;
    match validator.validate(&record) {
        Ok(()) => Ok(()),
        Err(error) => Err(LineFault::Ready(Box::new(Error::Invalid {
            line,
            stream: stream.to_owned(),
            path: error.instance_path().to_string(),
            reason: text::shorten(error.to_string().as_bytes()),
        }))),
    }
}

/// Why a line could not be read.
pub(super) enum LineFault {
    Syntax(super::scan::Syntax),
    Text(String),
    Ready(Box<Error>),
}

impl LineFault {
    pub(super) fn text(reason: &str) -> Self {
        Self::Text(reason.to_owned())
    }
}

impl From<super::scan::Syntax> for LineFault {
    fn from(syntax: super::scan::Syntax) -> Self {
        Self::Syntax(syntax)
    }
}

/// The names and types of the metadata columns, as the Meltano SDK has them.
const METADATA: [(&str, Kind); 7] = [
    ("_sdc_extracted_at", Kind::Timestamp),
    ("_sdc_received_at", Kind::Timestamp),
    ("_sdc_batched_at", Kind::Timestamp),
    ("_sdc_deleted_at", Kind::Timestamp),
    ("_sdc_sequence", Kind::Bigint),
    ("_sdc_table_version", Kind::Bigint),
    ("_sdc_sync_started_at", Kind::Bigint),
];

/// The metadata columns of the Meltano SDK.
pub(crate) fn metadata() -> Vec<Column> {
    METADATA.into_iter().map(|(name, kind)| Column::same(name, kind)).collect()
}

impl Plan {
    /// Whether a record that cannot be stored is left out and counted, and does not end the run.
    fn rejects_records(&self) -> bool {
        self.airbyte.is_some() && self.on_invalid == OnInvalid::Null
    }

    fn missing_key(&self, key: usize, line: u64) -> Error {
        Error::MissingKey {
            line,
            stream: self.source.clone(),
            column: self.spec.columns.get(key).map_or_else(String::new, |c| c.source.clone()),
        }
    }
}

impl Stream {
    fn new(plan: Arc<Plan>) -> Self {
        let mut record = StructBuffer::new(&plan.reads);
        for key in &plan.keys {
            match &plan.derivation {
                Some(derivation) => record.keep_whole(derivation.origin(*key).unwrap_or_default()),
                None => record.keep_whole(&[*key]),
            }
        }
        Self {
            record,
            context: Context::new(plan.on_invalid, plan.max_string_bytes, plan.airbyte.is_some()),
            metadata: Metadata::default(),
            version: None,
            rejected: 0,
            rows: 0,
            schema: Arc::new(Schema::new(fields(&plan.spec.columns))),
            plan,
        }
    }

    /// The rows so far; the buffers are empty afterwards.
    fn take(&mut self, chunk: &Chunk) -> Result<Rows> {
        let internal = |error: arrow::error::ArrowError| Error::arrow(error);
        // A record that broke off in the middle has left values behind its predecessors'.
        self.record.truncate(self.rows);
        let rows = std::mem::take(&mut self.rows);
        let mut arrays = self.record.take().map_err(internal)?;
        let mut mask = None;
        if let Some(derivation) = &self.plan.derivation {
            mask = derivation.mask(&arrays, rows);
            arrays = derivation.columns(&arrays, rows);
            self.check_keys(&arrays, mask.as_ref(), chunk)?;
        }
        if let Some(from) = self.plan.metadata_from {
            for column in self.plan.spec.columns.get(from..).unwrap_or_default() {
                arrays.push(match &self.plan.airbyte {
                    None => self.metadata.array(&column.source, chunk, rows),
                    Some(airbyte) => airbyte.array(&self.metadata, column, chunk, rows)?,
                });
            }
        }
        self.metadata = Metadata::default();
        let schema = SchemaRef::clone(&self.schema);
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows));
        let mut batch =
            RecordBatch::try_new_with_options(schema, arrays, &options).map_err(internal)?;
        if let Some(mask) = mask {
            batch = filter_record_batch(&batch, &mask).map_err(internal)?;
        }
        let mut invalid = Vec::new();
        if std::mem::take(&mut self.context.has_invalid) {
            self.record.take_invalid("", &mut invalid);
        }
        Ok(Rows {
            hashes: key::hash_rows(&batch, &self.plan.keys)?,
            filtered: (rows - batch.num_rows()) as u64,
            plan: Arc::clone(&self.plan),
            batch,
            invalid,
            extra: self
                .context
                .extra
                .drain()
                .map(|(name, count)| (String::from_utf8_lossy(&name).into_owned(), count))
                .filter(|(name, _)| {
                    self.plan.derivation.as_ref().is_none_or(|plan| !plan.is_unread(name))
                })
                .collect(),
            cut: std::mem::take(&mut self.context.cut),
            replaced: std::mem::take(&mut self.context.replaced),
            version: self.version.take(),
            rejected: std::mem::take(&mut self.rejected),
        })
    }
}

impl Stream {
    /// Rows that a filter leaves must have their key.
    fn check_keys(
        &self,
        arrays: &[ArrayRef],
        mask: Option<&BooleanArray>,
        chunk: &Chunk,
    ) -> Result<()> {
        for key in &self.plan.keys {
            let Some(array) = arrays.get(*key).filter(|array| array.null_count() > 0) else {
                continue;
            };
            let goes_on = |row: usize| mask.is_none_or(|mask| mask.value(row));
            if let Some(row) = (0..array.len()).find(|row| array.is_null(*row) && goes_on(*row)) {
                let sequence = self.metadata.sequences.get(row).copied().unwrap_or_default();
                let line = sequence.saturating_sub(chunk.started_at);
                return Err(self.plan.missing_key(*key, u64::try_from(line).unwrap_or_default()));
            }
        }
        Ok(())
    }
}

impl Metadata {
    fn array(&self, name: &str, chunk: &Chunk, rows: usize) -> ArrayRef {
        let instants = |values: Vec<Option<i64>>| -> ArrayRef {
            Arc::new(TimestampMicrosecondArray::from(values).with_timezone("UTC"))
        };
        let first = |values: &[Option<i64>]| values.iter().copied().take(rows).collect::<Vec<_>>();
        match name {
            "_sdc_extracted_at" => instants(first(&self.extracted_at)),
            "_sdc_received_at" | "_sdc_batched_at" => instants(vec![Some(chunk.received_at); rows]),
            "_sdc_sequence" => {
                Arc::new(self.sequences.iter().copied().take(rows).collect::<Int64Array>())
            }
            "_sdc_table_version" => Arc::new(Int64Array::from(first(&self.versions))),
            "_sdc_sync_started_at" => {
                Arc::new(Int64Array::from(vec![chunk.started_at / 1000; rows]))
            }
            _ => instants(vec![None; rows]),
        }
    }
}
