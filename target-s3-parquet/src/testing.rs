//! What the tests of several modules share: settings, plans, a bare protocol, rows as JSON.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type,
    TimestampMicrosecondType,
};
use lake::schema::{Column, Kind};
use serde_json::{Value, json};

use crate::decode::chunk::Chunk;
use crate::decode::conventions::{Conventions, ExtraColumns};
use crate::decode::decoder::decode;
use crate::decode::dialect::Dialect;
use crate::decode::facts::{Facts, RowFacts};
use crate::decode::fault::LineFault;
use crate::decode::plan::{Plan, Registry};
use crate::decode::reader::{RecordReader, Scratch};
use crate::decode::rows::Decoded;
use crate::decode::scan::{Cursor, Members};
use crate::described::Described;
use crate::error::{Error, Result};
use crate::input::item::Item;
use crate::input::items::{Items, Limits, Next};
use crate::input::lines::Input;
use crate::input::protocol::Protocol;
use crate::memory::{BLOCK, Shares};
use crate::settings::config::Config;
use crate::settings::units::MIB;

/// When every test run begins, in microseconds since 1970.
pub(crate) const STARTED_AT: i64 = 1_000_000;

/// Limits for lines of so many bytes, with memory for blocks of [`BLOCK`].
pub(crate) fn limits(longest_line: usize) -> Limits {
    let shares = Shares::new(512 * MIB, 2);
    Limits { longest_line, shares, stop: Arc::default(), started_at: STARTED_AT }
}

/// When every chunk is received, in microseconds since 1970.
pub(crate) const RECEIVED_AT: i64 = 2_000_000;

/// An output whose text can be looked at.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Settings, with a destination that is not used.
pub(crate) fn config(mut settings: Value) -> Arc<Config> {
    settings["destination"] = "unused".into();
    Arc::new(serde_json::from_value(settings).unwrap())
}

/// A protocol whose messages are objects of records by their streams: `{"a": {"id": 1}}`.
#[derive(Debug)]
pub(crate) struct Bare;

impl Dialect for Bare {
    fn read<'a>(
        &self,
        reader: &mut RecordReader<'a, '_, '_>,
        line: &'a [u8],
        number: u64,
    ) -> Result<(), LineFault> {
        let mut cursor = Cursor::new(line);
        let mut members = Members::open(&mut cursor)?;
        while let Some(name) = members.next(&mut cursor)? {
            let Some(plans) = reader.plans(name)? else {
                reader.note_unknown_stream(String::from_utf8_lossy(name.raw).into_owned());
                cursor.skip()?;
                continue;
            };
            let plan = plans.first().unwrap();
            reader.record(plan.id, &mut cursor, number)?;
            reader.stream(plan.id)?.keep(RowFacts { line: number, ..RowFacts::default() })?;
        }
        Ok(cursor.end()?)
    }
}

/// One extra column, with the number of each row's line.
#[derive(Debug)]
struct LineNumber;

impl ExtraColumns for LineNumber {
    fn columns(&self) -> Vec<Column> {
        vec![Column::same("line", Kind::Bigint)]
    }

    fn array(&self, _column: &Column, facts: &Facts, _chunk: &Chunk) -> Result<ArrayRef> {
        let lines = facts.rows.iter().map(|row| i64::try_from(row.line).unwrap());
        Ok(Arc::new(lines.collect::<Int64Array>()))
    }

    fn is_usual(&self, key: &str) -> bool {
        key == "usual"
    }
}

/// What is peculiar to streams of [`Bare`]: nothing.
pub(crate) fn conventions() -> Conventions {
    Conventions {
        namespace: None,
        is_lenient: false,
        may_reject: false,
        may_be_empty: false,
        extra: Box::new(LineNumber),
    }
}

/// The plan of a stream that is not mapped.
pub(crate) fn try_plan(
    stream: &str,
    schema: &Value,
    keys: &[&str],
    settings: Value,
    conventions: Conventions,
) -> Result<Arc<Plan>, String> {
    let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
    let described = Described {
        name: stream,
        schema,
        keys: &keys,
        cursor: None,
        source: stream,
        source_schema: schema,
        derived: None,
        refresh: None,
        conventions,
    };
    let id = stream.bytes().fold(1, |id, byte| id * 31 + u64::from(byte));
    described.plan(&config(settings).stream(stream), id).map(Arc::new)
}

/// The plan of a stream of [`Bare`] with these properties.
pub(crate) fn plan(stream: &str, properties: &Value, keys: &[&str], settings: Value) -> Arc<Plan> {
    let schema = json!({"properties": properties});
    try_plan(stream, &schema, keys, settings, conventions()).unwrap()
}

/// The plans by the names of their streams.
pub(crate) fn registry(plans: &[Arc<Plan>]) -> Registry {
    let named = plans.iter().map(|plan| (plan.stream.as_bytes().into(), [Arc::clone(plan)].into()));
    named.collect()
}

/// A chunk that begins at a line.
pub(crate) fn chunk(text: &str, first_line: u64) -> Chunk {
    Chunk {
        bytes: text.to_owned().into_bytes().into(),
        first_line,
        received_at: RECEIVED_AT,
        started_at: STARTED_AT,
    }
}

/// What lines of [`Bare`] decode to, all in one chunk.
pub(crate) fn decoded(lines: &[String], plans: &[Arc<Plan>]) -> Decoded {
    let chunk = chunk(&lines.join("\n"), 1);
    decode(&chunk, &Bare, &registry(plans), &mut Scratch::default())
}

/// The rows of a batch as JSON: decimals as strings, dates in days, instants in microseconds.
pub(crate) fn rows_of(batch: &RecordBatch) -> Vec<Value> {
    let names: Vec<_> = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
    let row = |row: usize| {
        let values = batch.columns().iter().map(|array| value_of(array, row));
        Value::Object(names.iter().cloned().zip(values).collect())
    };
    (0..batch.num_rows()).map(row).collect()
}

fn value_of(array: &ArrayRef, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Boolean => json!(array.as_boolean().value(row)),
        DataType::Int32 => json!(array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => json!(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => json!(array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(..) => {
            json!(array.as_primitive::<Decimal128Type>().value_as_string(row))
        }
        DataType::Date32 => json!(array.as_primitive::<Date32Type>().value(row)),
        DataType::Timestamp(..) => {
            json!(array.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        DataType::Utf8 => json!(array.as_string::<i32>().value(row)),
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            let values = columns.iter().map(|column| value_of(column, row));
            let names = fields.iter().map(|field| field.name().clone());
            Value::Object(names.zip(values).collect())
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>().value(row);
            Value::Array((0..list.len()).map(|row| value_of(&list, row)).collect())
        }
        other => panic!("no column is {other}"),
    }
}

/// All items of an input, up to its end or its first error.
pub(crate) fn read(input: impl AsRef<[u8]>, protocol: Protocol) -> (Vec<Item>, Option<Error>) {
    let mut file: File = tempfile::tempfile().unwrap();
    file.write_all(input.as_ref()).unwrap();
    file.rewind().unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let input = Input::File(file, "input".into());
    let items = Items::start(input, protocol, Arc::new(pool), limits(BLOCK * 2));
    let mut found = Vec::new();
    let error = loop {
        match items.next(Duration::from_mins(1)) {
            Next::Item(Ok(item)) => found.push(item),
            Next::Item(Err(error)) => break Some(error),
            Next::End => break None,
            Next::Timeout => panic!("the reader hangs"),
        }
    };
    items.join().unwrap();
    (found, error)
}

/// Items in words: of rows only their streams and numbers.
pub(crate) fn described(items: &[Item]) -> Vec<String> {
    let describe = |item: &Item| match item {
        Item::Rows(decoded) => {
            let rows = decoded.rows.iter();
            let rows = rows.map(|rows| format!("{} {}", rows.batch.num_rows(), rows.plan.stream));
            let mut rows: Vec<String> = rows.collect();
            rows.extend(decoded.error.iter().map(ToString::to_string));
            format!("rows {}", rows.join(", "))
        }
        Item::Schema(plan) => format!("schema {}", plan.stream),
        Item::State(state) => format!("state {}", state.text),
        Item::Ended { stream, complete } => format!("ended {stream} {complete}"),
        Item::ActivateVersion { stream, version } => format!("version {stream} {version}"),
        Item::Warning(text) => format!("warning {text}"),
    };
    items.iter().map(describe).collect()
}
