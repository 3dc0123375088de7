//! Typed buffers that are filled straight from JSON text and become Arrow arrays.
//!
//! They are our own because a record may hold a key twice, of which the last counts: every buffer
//! can take back its newest value ([`Buffer::truncate`]), which Arrow's builders cannot.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ListArray, StructArray};
use arrow::datatypes::{Field, Fields};
use arrow::error::ArrowError;
use lake::schema::{Column, Kind};

use super::context::{Context, Effect};
use super::fault::{Fault, Misfit};
use super::field_names::{FieldNames, Member};
use super::scalar::{Scalars, TextForm, Texts, end_of, escape_fault, start_of, take_offsets};
use super::scan::{Cursor, Elements, Members};
use super::text;
use super::validity::Validity;
use crate::error::Error;
use crate::settings::stream::OnInvalid;

/// A column being filled. All its parts have as many rows as its validity, between calls.
#[derive(Debug)]
struct Buffer {
    values: Values,
    validity: Validity,
    /// Values that did not fit and became null.
    invalid: u64,
}

#[derive(Debug)]
enum Values {
    Scalars(Scalars),
    Struct(StructBuffer),
    List { ends: Vec<i32>, elements: Box<Buffer> },
}

/// The fields of a struct, or the columns of a record: one buffer for each name.
#[derive(Debug)]
pub(super) struct StructBuffer {
    names: FieldNames,
    fields: Vec<Buffer>,
    /// The fields as Arrow has them.
    arrow: Fields,
}

impl StructBuffer {
    pub(super) fn new(columns: &[Column]) -> Self {
        Self {
            names: FieldNames::new(columns),
            fields: columns.iter().map(|column| Buffer::new(&column.kind)).collect(),
            arrow: lake::schema::fields(columns),
        }
    }

    /// Reads an object as row `row` of all fields.
    pub(super) fn push(
        &mut self,
        row: usize,
        cursor: &mut Cursor<'_>,
        context: &mut Context,
    ) -> Result<(), Fault> {
        let mut members = Members::open(cursor)?;
        let mut expected = 0;
        loop {
            let field = match self.names.next(&mut members, cursor, expected, context)? {
                Member::Field(field) => field,
                Member::Unknown => continue,
                Member::End => break,
            };
            expected = field + 1;
            let Some(buffer) = self.fields.get_mut(field) else {
                return Err(Fault::Broken("every name of a struct has a buffer"));
            };
            if buffer.len() > row {
                buffer.truncate(row);
            }
            let known = context.changes.len();
            buffer.push(cursor, context).map_err(|fault| fault.under(&self.names.name(field)))?;
            if context.changes.len() > known {
                context.under(known, &self.names.name(field));
            }
        }
        self.complete(row + 1);
        Ok(())
    }

    /// Never truncates the text at this path: a key that was would be another row's.
    pub(super) fn keep_whole(&mut self, path: &[usize]) -> Result<(), Error> {
        let Some((first, rest)) = path.split_first() else {
            return Err(Error::internal("the path of a key ends in a value, not in a struct"));
        };
        let field = self.fields.get_mut(*first);
        let field = field.ok_or_else(|| Error::internal("a key is among what is read"))?;
        match &mut field.values {
            Values::Scalars(Scalars::Text(texts)) => texts.whole = true,
            Values::Scalars(
                Scalars::Boolean(_)
                | Scalars::Int(_)
                | Scalars::Bigint(_)
                | Scalars::Double(_)
                | Scalars::Decimal(..)
                | Scalars::Date(_)
                | Scalars::Timestamp(_),
            ) => {}
            Values::Struct(fields) => return fields.keep_whole(rest),
            Values::List { .. } => return Err(Error::internal("a key is no list")),
        }
        Ok(())
    }

    /// Every field that a record left out is null.
    fn complete(&mut self, rows: usize) {
        for buffer in &mut self.fields {
            if buffer.len() < rows {
                buffer.push_null();
            }
        }
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        for buffer in &mut self.fields {
            if buffer.len() > rows {
                buffer.truncate(rows);
            }
        }
    }

    /// Whether a column that there is has no value in a row.
    pub(super) fn is_null(&self, column: usize, row: usize) -> bool {
        self.fields.get(column).is_none_or(|buffer| buffer.validity.is_null(row))
    }

    /// The arrays of all fields; the buffers are empty afterwards and keep their room.
    pub(super) fn take(&mut self) -> Result<Vec<ArrayRef>, ArrowError> {
        self.fields.iter_mut().map(Buffer::take).collect()
    }

    /// Dotted names of columns with values that became null, and how many.
    pub(super) fn take_invalid(&mut self, prefix: &str, counts: &mut Vec<(String, u64)>) {
        for (field, buffer) in self.fields.iter_mut().enumerate() {
            buffer.take_invalid(format!("{prefix}{}", self.names.name(field)), counts);
        }
    }
}

impl Buffer {
    fn new(kind: &Kind) -> Self {
        let values = match kind {
            Kind::Boolean => Values::Scalars(Scalars::Boolean(Vec::new())),
            Kind::Int => Values::Scalars(Scalars::Int(Vec::new())),
            Kind::Bigint => Values::Scalars(Scalars::Bigint(Vec::new())),
            Kind::Double => Values::Scalars(Scalars::Double(Vec::new())),
            Kind::Decimal(precision, scale) => {
                Values::Scalars(Scalars::Decimal(Vec::new(), *precision, *scale))
            }
            Kind::String => Values::Scalars(Scalars::Text(Texts::new(TextForm::Plain))),
            Kind::Json => Values::Scalars(Scalars::Text(Texts::new(TextForm::Json))),
            Kind::Date => Values::Scalars(Scalars::Date(Vec::new())),
            Kind::Timestamp => Values::Scalars(Scalars::Timestamp(Vec::new())),
            Kind::Struct(columns) => Values::Struct(StructBuffer::new(columns)),
            Kind::List(element) => {
                Values::List { ends: Vec::new(), elements: Box::new(Self::new(element)) }
            }
        };
        Self { values, validity: Validity::default(), invalid: 0 }
    }

    fn len(&self) -> usize {
        self.validity.len()
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
            Values::Scalars(scalars) => scalars.push(cursor, context)?,
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
        self.misfit(cursor.since(start), context)
    }

    /// A value does not fit: it is null, or the end.
    #[cold]
    fn misfit(&mut self, value: &[u8], context: &mut Context) -> Result<(), Fault> {
        match context.on_invalid {
            OnInvalid::Null => {
                self.invalid += 1;
                context.has_invalid = true;
                context.changed(match &self.values {
                    Values::Scalars(scalars) => scalars.effect_on(value),
                    Values::Struct(_) | Values::List { .. } => Effect::Nulled,
                });
                self.push_null();
                Ok(())
            }
            OnInvalid::Fail => Err(Fault::Value(Box::new(Misfit {
                path: String::new(),
                value: text::shorten(value.trim_ascii_start()),
                expected: match &self.values {
                    Values::Scalars(scalars) => scalars.expectation(),
                    Values::Struct(_) => "an object".into(),
                    Values::List { .. } => "an array".into(),
                },
            }))),
        }
    }

    fn push_null(&mut self) {
        let rows = self.len() + 1;
        match &mut self.values {
            Values::Scalars(scalars) => scalars.push_null(),
            Values::Struct(fields) => fields.complete(rows),
            Values::List { ends, elements } => ends.push(end_of(elements.len())),
        }
        self.validity.push(false);
    }

    fn truncate(&mut self, rows: usize) {
        match &mut self.values {
            Values::Scalars(scalars) => scalars.truncate(rows),
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
            Values::Scalars(scalars) => scalars.take(nulls)?,
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
            Values::Scalars(_) => {}
            Values::Struct(fields) => fields.take_invalid(&format!("{name}."), counts),
            Values::List { elements, .. } => elements.take_invalid(format!("{name}[]"), counts),
        }
        if invalid > 0 {
            counts.push((name, invalid));
        }
    }
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
        elements.push(cursor, context).map_err(|fault| fault.under(&format!("[{at}]")))?;
        if context.changes.len() > known {
            context.under(known, &format!("[{at}]"));
        }
    }
    ends.push(end_of(elements.len()));
    Ok(())
}
