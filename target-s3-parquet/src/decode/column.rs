//! Typed buffers that are filled straight from JSON text and become Arrow arrays.
//!
//! They are our own because a record may hold a key twice, of which the last counts: every buffer
//! can take back its newest value ([`Buffer::truncate`]), which Arrow's builders cannot.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, ListArray, PrimitiveArray, StringArray, StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, Date32Type, Field, Fields, Float64Type, Int32Type, Int64Type,
    TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use hashbrown::HashMap;

use super::context::{Context, Effect};
use super::scan::{Cursor, Elements, Members, Text};
use super::{Fault, Misfit, number, text};
use crate::settings::OnInvalid;
use lake::schema::time;
use lake::schema::{Column, Kind};

/// The null bitmap of a column, kept only once there is a null.
#[derive(Debug, Default)]
struct Validity {
    bits: Vec<bool>,
    len: usize,
}

impl Validity {
    #[inline]
    fn push(&mut self, valid: bool) {
        if !valid || !self.bits.is_empty() {
            self.bits.resize(self.len, true);
            self.bits.push(valid);
        }
        self.len += 1;
    }

    fn truncate(&mut self, len: usize) {
        self.bits.truncate(len);
        self.len = len;
    }

    fn take(&mut self) -> Option<NullBuffer> {
        self.len = 0;
        if self.bits.is_empty() {
            return None;
        }
        let nulls = NullBuffer::from(self.bits.as_slice());
        self.bits.clear();
        Some(nulls)
    }

    fn is_null(&self, row: usize) -> bool {
        self.bits.get(row) == Some(&false)
    }
}

/// A column being filled.
#[derive(Debug)]
pub(crate) struct Buffer {
    values: Values,
    validity: Validity,
    /// Values that did not fit and became null.
    invalid: u64,
}

#[derive(Debug)]
enum Values {
    Boolean(Vec<bool>),
    Int(Vec<i32>),
    Bigint(Vec<i64>),
    Double(Vec<f64>),
    Decimal(Vec<i128>, u8, i8),
    Date(Vec<i32>),
    Timestamp(Vec<i64>),
    Text { bytes: Vec<u8>, ends: Vec<i32>, json: bool, whole: bool },
    Struct(StructBuffer),
    List { ends: Vec<i32>, elements: Box<Buffer> },
}

/// The named fields of a struct, or the columns of a record.
#[derive(Debug)]
pub(crate) struct StructBuffer {
    fields: Vec<(Box<[u8]>, Buffer)>,
    by_name: HashMap<Box<[u8]>, usize>,
    /// The names as they stand in JSON text, with quotes and colon; nothing for a name that has
    /// escapes there.
    quoted: Vec<Option<Box<[u8]>>>,
    /// The fields as Arrow has them.
    arrow: Fields,
}

impl StructBuffer {
    pub(crate) fn new(columns: &[Column]) -> Self {
        Self {
            fields: columns
                .iter()
                .map(|column| (column.source.as_bytes().into(), Buffer::new(&column.kind)))
                .collect(),
            by_name: columns
                .iter()
                .enumerate()
                .map(|(index, column)| (column.source.as_bytes().into(), index))
                .collect(),
            quoted: columns.iter().map(|column| quoted(&column.source)).collect(),
            arrow: lake::schema::fields(columns),
        }
    }

    /// Reads an object as row `row` of all fields.
    pub(crate) fn push(
        &mut self,
        row: usize,
        cursor: &mut Cursor<'_>,
        context: &mut Context,
    ) -> Result<(), Fault> {
        let mut members = Members::open(cursor)?;
        // Records of a stream mostly have their keys in the order of the schema.
        let mut expected = 0;
        loop {
            let index = match self.quoted.get(expected) {
                Some(Some(quoted)) if members.next_is(cursor, quoted) => expected,
                _ => {
                    let Some(key) = members.next(cursor)? else { break };
                    let Some(index) = self.find(key, expected, context) else {
                        cursor.skip()?;
                        continue;
                    };
                    index
                }
            };
            expected = index + 1;
            let Some((name, buffer)) = self.fields.get_mut(index) else { continue };
            if buffer.len() > row {
                buffer.truncate(row);
            }
            let known = context.changes.len();
            if let Err(fault) = buffer.push(cursor, context) {
                return Err(match fault {
                    Fault::Value(misfit) => {
                        Fault::Value(misfit.under(&String::from_utf8_lossy(name)))
                    }
                    syntax @ Fault::Syntax(_) => syntax,
                });
            }
            if context.changes.len() > known {
                context.under(known, &String::from_utf8_lossy(name));
            }
        }
        self.complete(row + 1);
        Ok(())
    }

    #[inline]
    fn find(&self, key: Text<'_>, expected: usize, context: &mut Context) -> Option<usize> {
        if !key.escaped && self.fields.get(expected).is_some_and(|(name, _)| **name == *key.raw) {
            return Some(expected);
        }
        self.look_up(key, context)
    }

    fn look_up(&self, key: Text<'_>, context: &mut Context) -> Option<usize> {
        if !key.escaped {
            let found = self.by_name.get(key.raw).copied();
            if found.is_none() {
                context.count_extra(key.raw);
            }
            return found;
        }
        let mut name = Vec::new();
        text::append(key, &mut name).ok()?;
        let found = self.by_name.get(name.as_slice()).copied();
        if found.is_none() {
            context.count_extra(&name);
        }
        found
    }

    /// Never cuts the text at this path: a key that was cut would be another row's.
    pub(crate) fn keep_whole(&mut self, path: &[usize]) {
        let Some((first, rest)) = path.split_first() else { return };
        match self.fields.get_mut(*first).map(|(_, buffer)| &mut buffer.values) {
            Some(Values::Text { whole, .. }) => *whole = true,
            Some(Values::Struct(fields)) => fields.keep_whole(rest),
            _ => {}
        }
    }

    /// Gives every field that a record left out a null.
    pub(crate) fn complete(&mut self, rows: usize) {
        for (_, buffer) in &mut self.fields {
            if buffer.len() < rows {
                buffer.push_null();
            }
        }
    }

    pub(crate) fn truncate(&mut self, rows: usize) {
        for (_, buffer) in &mut self.fields {
            if buffer.len() > rows {
                buffer.truncate(rows);
            }
        }
    }

    pub(crate) fn is_null(&self, column: usize, row: usize) -> bool {
        self.fields.get(column).is_none_or(|(_, buffer)| buffer.validity.is_null(row))
    }

    /// The arrays of all fields; the buffers are empty afterwards and keep their room.
    pub(crate) fn take(&mut self) -> Result<Vec<ArrayRef>, ArrowError> {
        self.fields.iter_mut().map(|(_, buffer)| buffer.take()).collect()
    }

    /// Dotted names of columns with values that became null, and how many.
    pub(crate) fn take_invalid(&mut self, prefix: &str, counts: &mut Vec<(String, u64)>) {
        for (name, buffer) in &mut self.fields {
            let name = format!("{prefix}{}", String::from_utf8_lossy(name));
            buffer.take_invalid(name, counts);
        }
    }
}

fn quoted(name: &str) -> Option<Box<[u8]>> {
    let has_escapes = |byte: u8| byte < b' ' || matches!(byte, b'"' | b'\\');
    (!name.bytes().any(has_escapes)).then(|| format!("\"{name}\":").into_bytes().into())
}

impl Buffer {
    fn new(kind: &Kind) -> Self {
        let values = match kind {
            Kind::Boolean => Values::Boolean(Vec::new()),
            Kind::Int => Values::Int(Vec::new()),
            Kind::Bigint => Values::Bigint(Vec::new()),
            Kind::Double => Values::Double(Vec::new()),
            Kind::Decimal(precision, scale) => Values::Decimal(Vec::new(), *precision, *scale),
            Kind::String | Kind::Json => Values::Text {
                bytes: Vec::new(),
                ends: Vec::new(),
                json: *kind == Kind::Json,
                whole: false,
            },
            Kind::Date => Values::Date(Vec::new()),
            Kind::Timestamp => Values::Timestamp(Vec::new()),
            Kind::Struct(columns) => Values::Struct(StructBuffer::new(columns)),
            Kind::List(element) => {
                Values::List { ends: Vec::new(), elements: Box::new(Self::new(element)) }
            }
        };
        Self { values, validity: Validity::default(), invalid: 0 }
    }

    fn len(&self) -> usize {
        self.validity.len
    }

    /// Reads the next value, whatever it is, as one more row.
    #[inline]
    fn push(&mut self, cursor: &mut Cursor<'_>, context: &mut Context) -> Result<(), Fault> {
        if cursor.null()? {
            self.push_null();
            return Ok(());
        }
        let row = self.len();
        let start = cursor.position();
        let fits = match &mut self.values {
            Values::Boolean(values) => parse_word(values, cursor, context, boolean)?,
            Values::Int(values) => parse_word(values, cursor, context, |word| {
                number::integer(word).and_then(|value| i32::try_from(value).ok())
            })?,
            Values::Bigint(values) => parse_word(values, cursor, context, number::integer)?,
            Values::Double(values) => parse_word(values, cursor, context, number::double)?,
            Values::Decimal(values, precision, scale) => {
                let (precision, scale) = (*precision, *scale);
                let parse = |word: &[u8]| number::decimal(word, precision, scale);
                if cursor.peek() == b'"' {
                    parse_text(values, cursor, context, |text| parse(text.trim_ascii()))?
                } else {
                    parse_word(values, cursor, context, parse)?
                }
            }
            Values::Date(values) => parse_text(values, cursor, context, time::date)?,
            Values::Timestamp(values) => parse_text(values, cursor, context, time::instant)?,
            Values::Text { bytes, ends, json, whole } => {
                let limit = context.max_string_bytes.filter(|_| !*whole);
                push_text(bytes, ends, *json, limit, cursor, context)?
            }
            Values::Struct(fields) => {
                if cursor.peek() == b'{' {
                    fields.push(row, cursor, context)?;
                    true
                } else if let Some(text) = json_in_text(cursor, context, b'{')? {
                    fields.push(row, &mut Cursor::new(&text), context)?;
                    true
                } else {
                    false
                }
            }
            Values::List { ends, elements } => {
                if cursor.peek() == b'[' {
                    push_elements(ends, elements, cursor, context)?;
                    true
                } else if let Some(text) = json_in_text(cursor, context, b'[')? {
                    push_elements(ends, elements, &mut Cursor::new(&text), context)?;
                    true
                } else {
                    false
                }
            }
        };
        if fits {
            self.validity.push(true);
            return Ok(());
        }
        match context.on_invalid {
            OnInvalid::Null => {
                self.invalid += 1;
                context.has_invalid = true;
                context.changed(self.effect_on(cursor.since(start)));
                self.push_null();
                Ok(())
            }
            OnInvalid::Fail => Err(Fault::Value(Box::new(Misfit {
                path: String::new(),
                value: text::shorten(cursor.since(start).trim_ascii_start()),
                expected: self.expectation(),
            }))),
        }
    }

    /// What becomes of a value that does not fit, by its text.
    fn effect_on(&self, value: &[u8]) -> Effect {
        let word = value.trim_ascii();
        let word = word.strip_prefix(b"\"").and_then(|w| w.strip_suffix(b"\"")).unwrap_or(word);
        let is_too_large = match &self.values {
            Values::Double(_) => number::is_number(word),
            Values::Int(_) | Values::Bigint(_) => {
                number::is_number(word)
                    && number::double(word).is_none_or(|value| value.fract() == 0.0)
            }
            _ => false,
        };
        if is_too_large { Effect::TooLarge } else { Effect::Nulled }
    }

    fn expectation(&self) -> String {
        match &self.values {
            Values::Boolean(_) => "a boolean".into(),
            Values::Int(_) => "a 32-bit integer (int)".into(),
            Values::Bigint(_) => "a 64-bit integer (bigint)".into(),
            Values::Double(_) => "a finite number (double)".into(),
            Values::Decimal(_, precision, scale) => format!("a decimal({precision},{scale})"),
            Values::Date(_) => "a date between 0001-01-01 and 9999-12-31".into(),
            Values::Timestamp(_) => "a date-time between the years 1 and 9999".into(),
            Values::Text { json: false, .. } => "a string".into(),
            Values::Text { json: true, .. } => "JSON without NaN or Infinity".into(),
            Values::Struct(_) => "an object".into(),
            Values::List { .. } => "an array".into(),
        }
    }

    pub(crate) fn push_null(&mut self) {
        let rows = self.len() + 1;
        match &mut self.values {
            Values::Boolean(values) => values.push(false),
            Values::Int(values) | Values::Date(values) => values.push(0),
            Values::Bigint(values) | Values::Timestamp(values) => values.push(0),
            Values::Double(values) => values.push(0.0),
            Values::Decimal(values, ..) => values.push(0),
            Values::Text { bytes, ends, .. } => ends.push(end_of(bytes.len())),
            Values::Struct(fields) => fields.complete(rows),
            Values::List { ends, elements } => ends.push(end_of(elements.len())),
        }
        self.validity.push(false);
    }

    fn truncate(&mut self, rows: usize) {
        match &mut self.values {
            Values::Boolean(values) => values.truncate(rows),
            Values::Int(values) | Values::Date(values) => values.truncate(rows),
            Values::Bigint(values) | Values::Timestamp(values) => values.truncate(rows),
            Values::Double(values) => values.truncate(rows),
            Values::Decimal(values, ..) => values.truncate(rows),
            Values::Text { bytes, ends, .. } => {
                ends.truncate(rows);
                bytes.truncate(start_of(ends));
            }
            Values::Struct(fields) => fields.truncate(rows),
            Values::List { ends, elements } => {
                ends.truncate(rows);
                elements.truncate(start_of(ends));
            }
        }
        self.validity.truncate(rows);
    }

    fn take(&mut self) -> Result<ArrayRef, ArrowError> {
        let rows = self.len();
        let nulls = self.validity.take();
        Ok(match &mut self.values {
            Values::Boolean(values) => {
                let array = BooleanArray::new(values.as_slice().into(), nulls);
                values.clear();
                Arc::new(array)
            }
            Values::Int(values) => primitive::<Int32Type>(values, nulls),
            Values::Bigint(values) => primitive::<Int64Type>(values, nulls),
            Values::Double(values) => primitive::<Float64Type>(values, nulls),
            Values::Date(values) => primitive::<Date32Type>(values, nulls),
            Values::Timestamp(values) => {
                let values = take_vec(values);
                Arc::new(
                    PrimitiveArray::<TimestampMicrosecondType>::new(values.into(), nulls)
                        .with_timezone("UTC"),
                )
            }
            Values::Decimal(values, precision, scale) => {
                let array = Decimal128Array::new(take_vec(values).into(), nulls);
                Arc::new(array.with_precision_and_scale(*precision, *scale)?)
            }
            Values::Text { bytes, ends, .. } => {
                let offsets = take_offsets(ends);
                Arc::new(StringArray::try_new(offsets, take_vec(bytes).into(), nulls)?)
            }
            Values::Struct(fields) => {
                let arrays = fields.take()?;
                let fields = Fields::clone(&fields.arrow);
                Arc::new(StructArray::try_new_with_length(fields, arrays, nulls, rows)?)
            }
            Values::List { ends, elements } => {
                let offsets = take_offsets(ends);
                let elements = elements.take()?;
                let field = Field::new("element", elements.data_type().clone(), true);
                Arc::new(ListArray::try_new(field.into(), offsets, elements, nulls)?)
            }
        })
    }

    fn take_invalid(&mut self, name: String, counts: &mut Vec<(String, u64)>) {
        let invalid = std::mem::take(&mut self.invalid);
        match &mut self.values {
            Values::Struct(fields) => fields.take_invalid(&format!("{name}."), counts),
            Values::List { elements, .. } => elements.take_invalid(format!("{name}[]"), counts),
            _ => {}
        }
        if invalid > 0 {
            counts.push((name, invalid));
        }
    }
}

fn primitive<T: ArrowPrimitiveType>(
    values: &mut Vec<T::Native>,
    nulls: Option<NullBuffer>,
) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(take_vec(values).into(), nulls))
}

/// Takes the values and leaves room for a little more behind, for the next chunk is about as large:
/// one value more than there is room for would double it.
fn take_vec<T>(values: &mut Vec<T>) -> Vec<T> {
    let room = values.len() + values.len() / 8;
    std::mem::replace(values, Vec::with_capacity(room))
}

fn take_offsets(ends: &mut Vec<i32>) -> OffsetBuffer<i32> {
    let mut offsets = Vec::with_capacity(ends.len() + 1);
    offsets.push(0);
    offsets.append(ends);
    OffsetBuffer::new(offsets.into())
}

fn start_of(ends: &[i32]) -> usize {
    ends.last().and_then(|end| usize::try_from(*end).ok()).unwrap_or(0)
}

/// A chunk is far smaller than 2 GiB, as the longest line is.
fn end_of(length: usize) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}

fn boolean(word: &[u8]) -> Option<bool> {
    match word {
        b"true" => Some(true),
        b"false" => Some(false),
        _ => None,
    }
}

/// Parses a value that is no string, array or object. Whether it fits.
#[inline]
fn parse_word<T>(
    values: &mut Vec<T>,
    cursor: &mut Cursor<'_>,
    context: &mut Context,
    parse: impl FnOnce(&[u8]) -> Option<T>,
) -> Result<bool, Fault> {
    if matches!(cursor.peek(), b'"' | b'{' | b'[') {
        if context.lenient {
            return parse_text(values, cursor, context, |text| parse(text.trim_ascii()));
        }
        cursor.skip()?;
        return Ok(false);
    }
    let mut probe = cursor.clone();
    let value = parse(probe.word()?);
    match value {
        Some(value) => {
            *cursor = probe;
            values.push(value);
            Ok(true)
        }
        None => {
            // A word that is no JSON at all is a broken line, not a value that does not fit.
            cursor.skip()?;
            Ok(false)
        }
    }
}

/// Parses a string as something else. Whether it fits.
fn parse_text<T>(
    values: &mut Vec<T>,
    cursor: &mut Cursor<'_>,
    context: &mut Context,
    parse: impl FnOnce(&[u8]) -> Option<T>,
) -> Result<bool, Fault> {
    if cursor.peek() != b'"' {
        cursor.skip()?;
        return Ok(false);
    }
    let text = cursor.text()?;
    let value = if text.escaped {
        context.scratch.clear();
        match text::append(text, &mut context.scratch) {
            Ok(_) => parse(&context.scratch),
            Err(expected) => return Err(escape_fault(cursor, expected)),
        }
    } else {
        parse(text.raw)
    };
    Ok(value.map(|value| values.push(value)).is_some())
}

fn push_text(
    bytes: &mut Vec<u8>,
    ends: &mut Vec<i32>,
    json: bool,
    limit: Option<usize>,
    cursor: &mut Cursor<'_>,
    context: &mut Context,
) -> Result<bool, Fault> {
    let start = bytes.len();
    if cursor.peek() == b'"' {
        let text = cursor.text()?;
        context.replaced +=
            text::append(text, bytes).map_err(|expected| escape_fault(cursor, expected))?;
    } else {
        let at = cursor.position();
        cursor.skip()?;
        let value = cursor.since(at);
        if !(json || context.lenient) || holds_python_float(value) {
            return Ok(false);
        }
        text::append_compact(value, bytes);
    }
    if let Some(limit) = limit
        && text::cut(bytes, start, limit)
    {
        context.cut += 1;
        context.changed(Effect::Truncated);
    }
    ends.push(end_of(bytes.len()));
    Ok(true)
}

/// The JSON in a string, where it begins with `open` and is whole. Any other value is passed over.
#[cold]
fn json_in_text(
    cursor: &mut Cursor<'_>,
    context: &Context,
    open: u8,
) -> Result<Option<Vec<u8>>, Fault> {
    if !context.lenient || cursor.peek() != b'"' {
        cursor.skip()?;
        return Ok(None);
    }
    let mut json = Vec::new();
    let text = cursor.text()?;
    text::append(text, &mut json).map_err(|expected| escape_fault(cursor, expected))?;
    let mut inner = Cursor::new(&json);
    let is_whole = inner.peek() == open && inner.skip().and_then(|()| inner.end()).is_ok();
    Ok(is_whole.then_some(json))
}

/// Whether JSON text has a bare `NaN` or `Infinity`, which no JSON reader would take back.
fn holds_python_float(json: &[u8]) -> bool {
    let mut cursor = Cursor::new(json);
    let mut inside = false;
    // Strings may hold such words; walking token by token keeps them apart.
    while cursor.peek() != 0 {
        match cursor.peek() {
            b'"' => inside |= cursor.text().is_err(),
            b'{' | b'}' | b'[' | b']' | b':' | b',' => {
                let structural = cursor.peek();
                cursor.take(structural);
            }
            _ => match cursor.word() {
                Ok(word) => inside |= number::is_python_float(word),
                Err(_) => return true,
            },
        }
    }
    inside
}

fn escape_fault(cursor: &Cursor<'_>, expected: &'static str) -> Fault {
    Fault::Syntax(super::scan::Syntax { at: cursor.position().saturating_sub(1), expected })
}

fn push_elements(
    ends: &mut Vec<i32>,
    elements: &mut Buffer,
    cursor: &mut Cursor<'_>,
    context: &mut Context,
) -> Result<(), Fault> {
    let mut open = Elements::open(cursor)?;
    let first = elements.len();
    while open.next(cursor)? {
        let at = elements.len() - first;
        let known = context.changes.len();
        if let Err(fault) = elements.push(cursor, context) {
            return Err(match fault {
                Fault::Value(misfit) => Fault::Value(misfit.under(&format!("[{at}]"))),
                syntax @ Fault::Syntax(_) => syntax,
            });
        }
        if context.changes.len() > known {
            context.under(known, &format!("[{at}]"));
        }
    }
    ends.push(end_of(elements.len()));
    Ok(())
}
