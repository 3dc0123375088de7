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
    /// Whether one that does not fit is an error in any case.
    must_fit: bool,
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

    /// What stands at this path is a key: its text is never truncated, for it would be another row's then. If it
    /// `must_fit`, it is an error where it does not, whatever becomes of other values.
    pub(super) fn keep_key(&mut self, path: &[usize], must_fit: bool) -> Result<(), Error> {
        let Some((first, rest)) = path.split_first() else {
            return Err(Error::internal("the path of a key ends in a value, not in a struct"));
        };
        let field = self.fields.get_mut(*first);
        let field = field.ok_or_else(|| Error::internal("a key is among what is read"))?;
        field.must_fit = must_fit && rest.is_empty();
        match &mut field.values {
            Values::Scalars(Scalars::Text(texts)) => texts.whole = true,
            Values::Scalars(
                Scalars::Boolean(_)
                | Scalars::Int(_)
                | Scalars::Bigint(_)
                | Scalars::Double(..)
                | Scalars::Decimal(..)
                | Scalars::Date(_)
                | Scalars::Timestamp(_),
            ) => {}
            Values::Struct(fields) => return fields.keep_key(rest, must_fit),
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

    /// Whether there is something to [take](Self::take_changes).
    pub(super) fn has_changes(&self) -> bool {
        self.fields.iter().any(Buffer::has_changes)
    }

    /// Counts values that became null, and numbers that lost digits, by the dotted names of their columns.
    pub(super) fn take_changes(&mut self, prefix: &str, changes: &mut Changes) {
        for (field, buffer) in self.fields.iter_mut().enumerate() {
            buffer.take_changes(format!("{prefix}{}", self.names.name(field)), changes);
        }
    }
}

/// How many values of which columns are not as they came.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Values that became null.
    pub(super) invalid: Vec<(String, u64)>,
    /// Numbers that lost digits.
    pub(super) rounded: Vec<(String, u64)>,
}

impl Buffer {
    fn new(kind: &Kind) -> Self {
        let values = match kind {
            Kind::Boolean => Values::Scalars(Scalars::Boolean(Vec::new())),
            Kind::Int => Values::Scalars(Scalars::Int(Vec::new())),
            Kind::Bigint => Values::Scalars(Scalars::Bigint(Vec::new())),
            Kind::Double => Values::Scalars(Scalars::Double(Vec::new(), 0)),
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
        Self { values, validity: Validity::default(), invalid: 0, must_fit: false }
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
            OnInvalid::Null if !self.must_fit => {
                self.invalid += 1;
                context.changed(match &self.values {
                    Values::Scalars(scalars) => scalars.effect_on(value),
                    Values::Struct(_) | Values::List { .. } => Effect::Nulled,
                });
                self.push_null();
                Ok(())
            }
            OnInvalid::Null | OnInvalid::Fail => Err(Fault::Value(Box::new(Misfit {
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

    fn has_changes(&self) -> bool {
        self.invalid > 0
            || match &self.values {
                Values::Scalars(scalars) => matches!(scalars, Scalars::Double(_, 1..)),
                Values::Struct(fields) => fields.has_changes(),
                Values::List { elements, .. } => elements.has_changes(),
            }
    }

    fn take_changes(&mut self, name: String, changes: &mut Changes) {
        let invalid = std::mem::take(&mut self.invalid);
        let mut rounded = 0;
        match &mut self.values {
            Values::Scalars(Scalars::Double(_, count)) => rounded = std::mem::take(count),
            Values::Scalars(_) => {}
            Values::Struct(fields) => fields.take_changes(&format!("{name}."), changes),
            Values::List { elements, .. } => elements.take_changes(format!("{name}[]"), changes),
        }
        if rounded > 0 {
            changes.rounded.push((name.clone(), rounded));
        }
        if invalid > 0 {
            changes.invalid.push((name, invalid));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::rows_of;
    use serde_json::{Value, json};

    struct Reader {
        columns: Vec<Column>,
        buffer: StructBuffer,
        context: Context,
        rows: usize,
    }

    impl Reader {
        fn new(kinds: &[(&str, Kind)], context: Context) -> Self {
            let columns: Vec<_> =
                kinds.iter().map(|(name, kind)| Column::same(name, kind.clone())).collect();
            Self { buffer: StructBuffer::new(&columns), columns, context, rows: 0 }
        }

        fn push(&mut self, record: &str) -> Result<(), Fault> {
            let mut cursor = Cursor::new(record.as_bytes());
            self.buffer.push(self.rows, &mut cursor, &mut self.context)?;
            self.rows += 1;
            Ok(())
        }

        fn rows(&mut self) -> Vec<Value> {
            let arrays = self.buffer.take().unwrap();
            let schema = arrow::datatypes::Schema::new(lake::schema::fields(&self.columns));
            self.rows = 0;
            rows_of(&arrow::array::RecordBatch::try_new(schema.into(), arrays).unwrap())
        }
    }

    fn strict(limit: Option<usize>) -> Context {
        Context::new(OnInvalid::Fail, limit, false)
    }

    fn lenient() -> Context {
        Context::new(OnInvalid::Null, None, true)
    }

    fn point() -> Kind {
        Kind::Struct(vec![Column::same("x", Kind::Bigint), Column::same("t", Kind::String)])
    }

    #[test]
    fn a_misfit_is_named_by_its_path_its_text_and_what_belongs_there() {
        let kinds = [("a", Kind::List(Box::new(point()))), ("b", Kind::Decimal(5, 2))];
        for (record, path, value, expected) in [
            (r#"{"a":[{"x":1},{"x":"one"}]}"#, "a.[1].x", "\"one\"", "a 64-bit integer (bigint)"),
            (r#"{"a":{"x":1}}"#, "a", "{\"x\":1}", "an array"),
            (r#"{"a":[3]}"#, "a.[0]", "3", "an object"),
            (r#"{"b":1000}"#, "b", "1000", "a decimal(5,2)"),
        ] {
            let mut reader = Reader::new(&kinds, strict(None));
            let Fault::Value(misfit) = reader.push(record).unwrap_err() else { panic!("{record}") };
            let found = (misfit.path.as_str(), misfit.value.as_str(), misfit.expected.as_str());
            assert_eq!(found, (path, value, expected));
        }
    }

    #[test]
    fn a_record_that_broke_off_leaves_nothing_once_it_is_taken_back() {
        let mut reader = Reader::new(&[("a", point()), ("b", Kind::String)], strict(None));
        reader.push(r#"{"a":{"x":1,"t":"one"},"b":"first"}"#).unwrap();
        assert!(reader.push(r#"{"b":"second","a":{"t":"two","x":tru"#).is_err());
        reader.buffer.truncate(1);
        reader.push(r#"{"a":null}"#).unwrap();
        let rows =
            [json!({"a": {"x": 1, "t": "one"}, "b": "first"}), json!({"a": null, "b": null})];
        assert_eq!(reader.rows(), rows);
    }

    #[test]
    fn buffers_are_empty_after_their_arrays_were_taken() {
        let kinds = [("a", Kind::List(Box::new(Kind::String))), ("b", Kind::Boolean)];
        let mut reader = Reader::new(&kinds, strict(None));
        reader.push(r#"{"a":["x","y"],"b":true}"#).unwrap();
        reader.rows();
        reader.push(r#"{"a":["z"]}"#).unwrap();
        assert_eq!(reader.rows(), [json!({"a": ["z"], "b": null})]);
    }

    #[test]
    fn texts_are_truncated_and_counted_but_never_a_key() {
        let mut reader = Reader::new(
            &[("id", point()), ("s", Kind::String), ("j", Kind::Json)],
            strict(Some(4)),
        );
        reader.buffer.keep_key(&[0, 1], true).unwrap();
        reader.push(r#"{"id":{"t":"long key"},"s":"long text","j":{"a": 1}}"#).unwrap();
        assert_eq!(reader.context.truncated, 2);
        let row = json!({"id": {"x": null, "t": "long key"}, "s": "long", "j": "{\"a\""});
        assert_eq!(reader.rows(), [row]);
    }

    #[test]
    fn a_key_that_does_not_fit_is_an_error_and_not_one_that_is_missing() {
        let context = || Context::new(OnInvalid::Null, None, false);
        let kinds = [("id", Kind::Bigint), ("n", Kind::Bigint)];
        for (must_fit, is_error) in [(true, true), (false, false)] {
            let mut reader = Reader::new(&kinds, context());
            reader.buffer.keep_key(&[0], must_fit).unwrap();
            reader.push(r#"{"n":18446744073709551615}"#).unwrap();
            let outcome = reader.push(r#"{"id":18446744073709551615}"#);
            assert_eq!(matches!(outcome, Err(Fault::Value(_))), is_error);
        }
    }

    #[test]
    fn a_key_that_is_no_value_of_the_record_is_a_broken_invariant() {
        let list = Kind::List(Box::new(Kind::String));
        let mut reader =
            Reader::new(&[("a", point()), ("l", list), ("n", Kind::Bigint)], strict(None));
        reader.buffer.keep_key(&[2], true).unwrap();
        for path in [&[][..], &[7], &[0], &[1]] {
            assert!(reader.buffer.keep_key(path, true).is_err(), "{path:?}");
        }
    }

    #[test]
    fn unknown_keys_are_counted_by_name_however_they_are_written() {
        let mut reader = Reader::new(&[("a", point())], strict(None));
        reader.push(r#"{"b":[1],"a":{"y":2},"\u0062":3}"#).unwrap();
        let count = |key: &str| reader.context.unknown_keys.get(key.as_bytes()).copied();
        assert_eq!((count("b"), count("y"), count("a")), (Some(2), Some(1), None));
        let fault = reader.push(r#"{"\x":1}"#).unwrap_err();
        assert!(matches!(fault, Fault::Syntax(_)), "a key with a broken escape is lost");
    }

    #[test]
    fn leniency_takes_values_for_what_they_look_like() {
        let kinds = [
            ("i", Kind::Bigint),
            ("s", Kind::String),
            ("o", point()),
            ("l", Kind::List(Box::new(Kind::Double))),
            ("b", Kind::Boolean),
        ];
        let record =
            r#"{"i":" 7 ","s":{"k": [1]},"o":"{\"x\":\"3\"}","l":"[1,\"2.5\"]","b":"true"}"#;
        let mut reader = Reader::new(&kinds, lenient());
        reader.push(record).unwrap();
        let row = json!({"i": 7, "s": "{\"k\":[1]}", "o": {"x": 3, "t": null}, "l": [1.0, 2.5], "b": true});
        assert_eq!(reader.rows(), [row]);
        assert!(Reader::new(&kinds, strict(None)).push(record).is_err());
    }

    #[test]
    fn a_number_or_boolean_is_the_text_of_a_string_column_in_any_mode() {
        for context in [strict(None), lenient()] {
            let mut reader = Reader::new(&[("o", point()), ("s", Kind::String)], context);
            reader.push(r#"{"o":{"t":1.50},"s":12345678901234567890.10}"#).unwrap();
            reader.push(r#"{"o":{"t":-1E+5},"s": true }"#).unwrap();
            let rows = [
                json!({"o": {"x": null, "t": "1.50"}, "s": "12345678901234567890.10"}),
                json!({"o": {"x": null, "t": "-1E+5"}, "s": "true"}),
            ];
            assert_eq!(reader.rows(), rows);
            assert!(reader.context.changes.is_empty());
        }
        for value in ["[1]", "{}", "NaN", "-Infinity"] {
            let mut reader = Reader::new(&[("s", Kind::String)], strict(None));
            let fault = reader.push(&format!(r#"{{"s":{value}}}"#)).unwrap_err();
            assert!(matches!(fault, Fault::Value(_)), "{value}");
        }
        let mut reader = Reader::new(&[("s", Kind::String)], strict(None));
        assert!(matches!(reader.push(r#"{"s":tru}"#), Err(Fault::Syntax(_))));
    }

    #[test]
    fn numbers_that_lose_digits_are_counted_by_column() {
        let kinds = [("n", Kind::Double), ("l", Kind::List(Box::new(Kind::Double)))];
        let mut reader = Reader::new(&kinds, strict(None));
        reader.push(r#"{"n":0.1,"l":[99999999999999999999,1.5,0.12345678901234567891]}"#).unwrap();
        reader.push(r#"{"n":9007199254740993}"#).unwrap();
        let mut changes = Changes::default();
        reader.buffer.take_changes("", &mut changes);
        assert_eq!(changes.rounded, [("n".to_owned(), 1), ("l[]".to_owned(), 2)]);
    }

    #[test]
    fn what_became_of_values_is_noted_with_their_paths() {
        let kinds = [("o", point()), ("l", Kind::List(Box::new(Kind::Int))), ("s", Kind::String)];
        let mut reader = Reader::new(&kinds, lenient());
        reader.context.max_string_bytes = Some(2);
        reader.push(r#"{"o":{"x":"one"},"l":[1,99999999999],"s":"abc"}"#).unwrap();
        let changes = reader.context.changes.iter().map(|c| (c.field.as_str(), c.effect));
        assert_eq!(
            changes.collect::<Vec<_>>(),
            [("o.x", Effect::Nulled), ("l[1]", Effect::TooLarge), ("s", Effect::Truncated),]
        );
        let mut changes = Changes::default();
        reader.buffer.take_changes("", &mut changes);
        assert_eq!(changes.invalid, [("o.x".to_owned(), 1), ("l[]".to_owned(), 1)]);
    }

    #[test]
    fn a_text_that_only_begins_like_an_object_is_none() {
        let mut reader = Reader::new(&[("o", point())], lenient());
        for text in [r#"{"o":"{\"x\":1"}"#, r#"{"o":"{} x"}"#, r#"{"o":"x"}"#] {
            reader.push(text).unwrap();
        }
        assert_eq!(reader.rows(), vec![json!({"o": null}); 3]);
    }

    #[test]
    fn json_text_with_a_bare_nan_does_not_fit_but_one_in_a_string_does() {
        let mut reader = Reader::new(&[("j", Kind::Json)], strict(None));
        reader.push(r#"{"j":{"a":"NaN","b":[1]}}"#).unwrap();
        assert!(reader.push(r#"{"j":[1,NaN]}"#).is_err());
        assert!(reader.push(r#"{"j":-Infinity}"#).is_err());
    }
}
