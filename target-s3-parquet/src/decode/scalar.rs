//! The values of a column without columns inside, filled straight from JSON text.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Decimal128Array, PrimitiveArray, StringArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, Date32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use lake::schema::time;

use super::context::{Context, Effect};
use super::fault::Fault;
use super::scan::{Cursor, Syntax};
use super::{number, text};

/// The values of a column, one a row; of a row that is null a placeholder.
#[derive(Debug)]
pub(super) enum Scalars {
    Boolean(Vec<bool>),
    Int(Vec<i32>),
    Bigint(Vec<i64>),
    /// And how many of them have fewer digits than their text had.
    Double(Vec<f64>, u64),
    /// The digits, with precision and scale.
    Decimal(Vec<i128>, u8, i8),
    /// Days since 1970.
    Date(Vec<i32>),
    /// Microseconds since 1970.
    Timestamp(Vec<i64>),
    Text(Texts),
}

/// The strings of a column, one behind the other.
#[derive(Debug)]
pub(super) struct Texts {
    bytes: Vec<u8>,
    ends: Vec<i32>,
    form: TextForm,
    /// Whether they are never truncated: a key that was would be another row's.
    pub(super) whole: bool,
}

/// What may stand in a column of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextForm {
    /// Strings, and the text of numbers and booleans.
    Plain,
    /// Any value: strings as they are, all else as JSON text.
    Json,
}

impl Texts {
    pub(super) fn new(form: TextForm) -> Self {
        Self { bytes: Vec::new(), ends: Vec::new(), form, whole: false }
    }
}

impl Scalars {
    /// Reads the next value, which is not null, as one more row. Whether it fits; it has been passed
    /// over if not.
    #[inline]
    pub(super) fn push(
        &mut self,
        cursor: &mut Cursor<'_>,
        context: &mut Context,
    ) -> Result<bool, Fault> {
        match self {
            Self::Boolean(values) => parse_word(values, cursor, context, boolean),
            Self::Int(values) => parse_word(values, cursor, context, |word| {
                number::integer(word).and_then(|value| i32::try_from(value).ok())
            }),
            Self::Bigint(values) => parse_word(values, cursor, context, number::integer),
            Self::Double(values, rounded) => parse_word(values, cursor, context, |word| {
                let value = number::double(word)?;
                *rounded += u64::from(number::is_rounded(word, value));
                Some(value)
            }),
            Self::Decimal(values, precision, scale) => {
                let (precision, scale) = (*precision, *scale);
                let parse = |word: &[u8]| number::decimal(word, precision, scale);
                if cursor.peek() == b'"' {
                    parse_text(values, cursor, context, |text| parse(text.trim_ascii()))
                } else {
                    parse_word(values, cursor, context, parse)
                }
            }
            Self::Date(values) => parse_text(values, cursor, context, time::date),
            Self::Timestamp(values) => parse_text(values, cursor, context, time::instant),
            Self::Text(texts) => texts.push(cursor, context),
        }
    }

    /// One more row that is null.
    #[inline]
    pub(super) fn push_null(&mut self) {
        match self {
            Self::Boolean(values) => values.push(false),
            Self::Int(values) | Self::Date(values) => values.push(0),
            Self::Bigint(values) | Self::Timestamp(values) => values.push(0),
            Self::Double(values, _) => values.push(0.0),
            Self::Decimal(values, ..) => values.push(0),
            Self::Text(texts) => texts.ends.push(end_of(texts.bytes.len())),
        }
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        match self {
            Self::Boolean(values) => values.truncate(rows),
            Self::Int(values) | Self::Date(values) => values.truncate(rows),
            Self::Bigint(values) | Self::Timestamp(values) => values.truncate(rows),
            Self::Double(values, _) => values.truncate(rows),
            Self::Decimal(values, ..) => values.truncate(rows),
            Self::Text(texts) => {
                texts.ends.truncate(rows);
                texts.bytes.truncate(start_of(&texts.ends));
            }
        }
    }

    /// The array of all rows. Room for about as many is left behind.
    pub(super) fn take(&mut self, nulls: Option<NullBuffer>) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Boolean(values) => {
                let array = BooleanArray::new(values.as_slice().into(), nulls);
                values.clear();
                Arc::new(array)
            }
            Self::Int(values) => primitive::<Int32Type>(values, nulls),
            Self::Bigint(values) => primitive::<Int64Type>(values, nulls),
            Self::Double(values, _) => primitive::<Float64Type>(values, nulls),
            Self::Date(values) => primitive::<Date32Type>(values, nulls),
            Self::Timestamp(values) => {
                let values = take_vec(values);
                Arc::new(
                    PrimitiveArray::<TimestampMicrosecondType>::new(values.into(), nulls)
                        .with_timezone("UTC"),
                )
            }
            Self::Decimal(values, precision, scale) => {
                let array = Decimal128Array::new(take_vec(values).into(), nulls);
                Arc::new(array.with_precision_and_scale(*precision, *scale)?)
            }
            Self::Text(texts) => {
                let offsets = take_offsets(&mut texts.ends);
                Arc::new(StringArray::try_new(offsets, take_vec(&mut texts.bytes).into(), nulls)?)
            }
        })
    }

    /// What becomes of a value that does not fit, by its text.
    pub(super) fn effect_on(&self, value: &[u8]) -> Effect {
        let word = value.trim_ascii();
        let word = word.strip_prefix(b"\"").and_then(|w| w.strip_suffix(b"\"")).unwrap_or(word);
        let is_too_large = match self {
            Self::Double(..) => number::is_number(word),
            Self::Int(_) | Self::Bigint(_) => {
                number::is_number(word)
                    && number::double(word).is_none_or(|value| value.fract() == 0.0)
            }
            Self::Boolean(_)
            | Self::Decimal(..)
            | Self::Date(_)
            | Self::Timestamp(_)
            | Self::Text(_) => false,
        };
        if is_too_large { Effect::TooLarge } else { Effect::Nulled }
    }

    /// What belongs into the column, in words for a person.
    pub(super) fn expectation(&self) -> String {
        match self {
            Self::Boolean(_) => "a boolean".into(),
            Self::Int(_) => "a 32-bit integer (int)".into(),
            Self::Bigint(_) => "a 64-bit integer (bigint)".into(),
            Self::Double(..) => "a finite number (double)".into(),
            Self::Decimal(_, precision, scale) => format!("a decimal({precision},{scale})"),
            Self::Date(_) => "a date between 0001-01-01 and 9999-12-31".into(),
            Self::Timestamp(_) => "a date-time between the years 1 and 9999".into(),
            Self::Text(Texts { form: TextForm::Plain, .. }) => {
                "a string, a number or a boolean".into()
            }
            Self::Text(Texts { form: TextForm::Json, .. }) => "JSON without NaN or Infinity".into(),
        }
    }
}

impl Texts {
    fn push(&mut self, cursor: &mut Cursor<'_>, context: &mut Context) -> Result<bool, Fault> {
        let start = self.bytes.len();
        if cursor.peek() == b'"' {
            let text = cursor.text()?;
            context.replaced += text::append(text, &mut self.bytes)
                .map_err(|expected| escape_fault(cursor, expected))?;
        } else {
            // A number's text is its digits, as they stand there: nothing is lost by it.
            let takes_any = self.form == TextForm::Json || context.lenient;
            let is_scalar = !matches!(cursor.peek(), b'{' | b'[');
            let at = cursor.position();
            cursor.skip()?;
            let value = cursor.since(at);
            if !(takes_any || is_scalar) || holds_python_float(value) {
                return Ok(false);
            }
            context.replaced += text::append_compact(value, &mut self.bytes)
                .map_err(|expected| escape_fault(cursor, expected))?;
        }
        if let Some(limit) = context.max_string_bytes.filter(|_| !self.whole)
            && text::truncate(&mut self.bytes, start, limit)
        {
            context.truncated += 1;
            context.changed(Effect::Truncated);
        }
        self.ends.push(end_of(self.bytes.len()));
        Ok(true)
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

/// The offsets of values that end there.
pub(super) fn take_offsets(ends: &mut Vec<i32>) -> OffsetBuffer<i32> {
    let mut offsets = Vec::with_capacity(ends.len() + 1);
    offsets.push(0);
    offsets.append(ends);
    OffsetBuffer::new(offsets.into())
}

/// Where the value behind these begins.
#[expect(clippy::cast_sign_loss, reason = "an end is a length")]
pub(super) fn start_of(ends: &[i32]) -> usize {
    ends.last().map_or(0, |end| *end as usize)
}

/// A length as Arrow's offsets have it. All text and all elements of a column stand in one chunk, and
/// a chunk is refused that has 2^31 bytes ([`Chunk::lines`](super::chunk::Chunk::lines)).
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "no column holds more than its chunk, which has less than 2^31 bytes"
)]
#[inline]
pub(super) fn end_of(length: usize) -> i32 {
    length as i32
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

/// A string that the cursor has just passed has an escape that is none.
pub(super) fn escape_fault(cursor: &Cursor<'_>, expected: &'static str) -> Fault {
    Fault::Syntax(Syntax { at: cursor.position().saturating_sub(1), expected })
}
