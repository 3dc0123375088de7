//! The columns of a mapped stream out of what is read of its records.
//!
//! Records are read in the shape in which they come, without what nothing asks for; columns are
//! then picked out of the finished arrays. So renaming, dropping and flattening cost nothing for a
//! record, and a filter looks at typed values.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, StringArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type,
    TimestampMicrosecondType,
};
use protocol::mapping::{Filter, Literal, MapError, Mapped, Origin, Scalar, Test};

use lake::schema::time;
use lake::schema::{Column, Kind};

use crate::json_schema;

/// How the columns of a stream come out of what is read.
#[derive(Debug)]
pub struct Derivation {
    picks: Vec<Pick>,
    filter: Option<Filter<Vec<usize>>>,
    unread: HashSet<String>,
}

/// Where a column comes from.
#[derive(Debug)]
enum Pick {
    /// The column at this position, the field at the next inside it, and so on.
    Read(Vec<usize>),
    /// The same value in all rows.
    Constant(Literal),
}

/// Something that is to be read.
struct Want<'a> {
    path: &'a [String],
    /// As JSON text, whatever its type.
    text: bool,
}

/// The parts of a plan that mapping decides.
pub(crate) struct Derived {
    /// What is read of a record.
    pub(crate) reads: Vec<Column>,
    /// The columns that come out of it.
    pub(crate) columns: Vec<Column>,
    /// How.
    pub(crate) derivation: Derivation,
}

impl Derivation {
    /// Works out what to read for a mapped stream whose records have the columns `raw`.
    pub(crate) fn of(raw: &[Column], mapped: &Mapped) -> Result<Derived, MapError> {
        let plain: Vec<_> = raw.iter().map(|column| vec![column.source.clone()]).collect();
        let mut wants = Vec::new();
        match &mapped.fields {
            None => wants.extend(plain.iter().map(|path| Want { path, text: false })),
            Some(fields) => wants.extend(fields.iter().filter_map(|field| match &field.origin {
                Origin::Property { path, text } => Some(Want { path, text: *text }),
                Origin::Constant(_) => None,
            })),
        }
        let paths = mapped.filter.as_ref().map(Filter::paths).unwrap_or_default();
        wants.extend(paths.iter().map(|path| Want { path, text: false }));
        let reads = shape(raw, &wants);
        let position = |path: &[String]| {
            position(&reads, path).ok_or_else(|| MapError {
                key: "stream_maps".into(),
                reason: format!(
                    "`{}` of stream `{}` is inside JSON text and cannot be read",
                    path.join("."),
                    mapped.stream
                ),
            })
        };
        let mut columns = json_schema::columns(&mapped.schema);
        let mut picks = Vec::with_capacity(columns.len());
        for column in &mut columns {
            let field = mapped.fields.iter().flatten().find(|field| field.name == column.source);
            let own = std::slice::from_ref(&column.source);
            let path = match field.map(|field| &field.origin) {
                Some(Origin::Constant(literal)) => {
                    picks.push(Pick::Constant(literal.clone()));
                    continue;
                }
                Some(Origin::Property { path, .. }) => path,
                None => own,
            };
            let (at, kind) = position(path)?;
            column.kind = kind.clone();
            picks.push(Pick::Read(at));
        }
        let filter = match &mapped.filter {
            None => None,
            Some(filter) => Some(filter.bind(&mut |path, test| {
                let (at, kind) = position(path)?;
                let test = typed(test, kind).map_err(|reason| MapError {
                    key: "stream_maps".into(),
                    reason: format!(
                        "`__filter__` of stream `{}`: `{}` is {kind}; {reason}",
                        mapped.stream,
                        path.join(".")
                    ),
                })?;
                Ok((at, test))
            })?),
        };
        let unread = raw.iter().map(|column| column.source.clone());
        let unread = unread.chain(inner_names(raw)).collect();
        Ok(Derived { columns, derivation: Self { picks, filter, unread }, reads })
    }

    /// Whether the stream's schema knows a key that is not read.
    pub(super) fn is_unread(&self, key: &str) -> bool {
        self.unread.contains(key)
    }

    /// Where in what is read a column comes from; nothing for a constant.
    pub(super) fn origin(&self, column: usize) -> Option<&[usize]> {
        match self.picks.get(column)? {
            Pick::Read(path) => Some(path),
            Pick::Constant(_) => None,
        }
    }

    /// The columns of `rows` rows.
    pub(super) fn columns(&self, arrays: &[ArrayRef], rows: usize) -> Vec<ArrayRef> {
        self.picks
            .iter()
            .map(|column| match column {
                Pick::Read(path) => pick(arrays, path, rows),
                Pick::Constant(literal) => constant(literal, rows),
            })
            .collect()
    }

    /// Which rows go on; all, where there is no filter.
    pub(super) fn mask(&self, arrays: &[ArrayRef], rows: usize) -> Option<BooleanArray> {
        let filter = self.filter.as_ref()?;
        let bound = filter.bind(&mut |path, test| {
            Ok::<_, std::convert::Infallible>((pick(arrays, path, rows), test.clone()))
        });
        let Ok(bound) = bound;
        Some((0..rows).map(|row| Some(bound.test(&|array| scalar(array, row)))).collect())
    }
}

/// The names of fields inside columns: what of them is not read is no news either.
fn inner_names(columns: &[Column]) -> Vec<String> {
    let mut names = Vec::new();
    for column in columns {
        if let Kind::Struct(fields) = &column.kind {
            names.extend(fields.iter().map(|field| field.source.clone()));
            names.extend(inner_names(fields));
        }
    }
    names
}

/// The columns to read, in the shape of the records.
fn shape(raw: &[Column], wants: &[Want<'_>]) -> Vec<Column> {
    raw.iter()
        .filter_map(|column| {
            let own: Vec<Want<'_>> = wants
                .iter()
                .filter_map(|want| match want.path {
                    [first, path @ ..] if *first == column.source => {
                        Some(Want { path, text: want.text })
                    }
                    _ => None,
                })
                .collect();
            let whole = own.iter().find(|want| want.path.is_empty());
            let kind = match (whole, &column.kind) {
                _ if own.is_empty() => return None,
                (Some(Want { text: true, .. }), _) => Kind::Json,
                (Some(_), kind) => kind.clone(),
                (None, Kind::Struct(fields)) => Kind::Struct(shape(fields, &own)),
                (None, _) => Kind::Json,
            };
            Some(Column { kind, ..column.clone() })
        })
        .collect()
}

fn position<'a>(columns: &'a [Column], path: &[String]) -> Option<(Vec<usize>, &'a Kind)> {
    let (first, rest) = path.split_first()?;
    let at = columns.iter().position(|column| column.source == *first)?;
    let kind = &columns.get(at)?.kind;
    match (rest, kind) {
        ([], kind) => Some((vec![at], kind)),
        (rest, Kind::Struct(fields)) => {
            let (inner, kind) = position(fields, rest)?;
            Some(([vec![at], inner].concat(), kind))
        }
        _ => None,
    }
}

fn pick(arrays: &[ArrayRef], path: &[usize], rows: usize) -> ArrayRef {
    let found = path.split_first().and_then(|(at, rest)| {
        let array = arrays.get(*at)?;
        match rest {
            [] => Some(Arc::clone(array)),
            // A null struct was filled with null fields.
            rest => Some(pick(array.as_struct_opt()?.columns(), rest, rows)),
        }
    });
    found.unwrap_or_else(|| arrow::array::new_null_array(&DataType::Null, rows))
}

fn constant(literal: &Literal, rows: usize) -> ArrayRef {
    match literal {
        Literal::Text(text) => {
            Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, rows)))
        }
        Literal::Integer(number) => Arc::new(Int64Array::from(vec![*number; rows])),
        Literal::Number(number) => Arc::new(Float64Array::from(vec![*number; rows])),
        Literal::Boolean(flag) => Arc::new(BooleanArray::from(vec![*flag; rows])),
    }
}

/// A test in the terms of a column's type.
fn typed(test: &Test, kind: &Kind) -> Result<Test, String> {
    let is_text = matches!(kind, Kind::String | Kind::Json);
    let (how, literal) = match test {
        Test::Null | Test::Truthy => return Ok(test.clone()),
        Test::StartsWith(_) | Test::EndsWith(_) | Test::Contains(_) if is_text => {
            return Ok(test.clone());
        }
        Test::StartsWith(_) | Test::EndsWith(_) | Test::Contains(_) => {
            return Err("only strings are asked for a part".into());
        }
        Test::Compares(how, literal) => (*how, literal),
    };
    let literal = match (kind, literal) {
        (Kind::String | Kind::Json, Literal::Text(_))
        | (Kind::Boolean, Literal::Boolean(_))
        | (
            Kind::Int | Kind::Bigint | Kind::Double | Kind::Decimal(..),
            Literal::Integer(_) | Literal::Number(_),
        ) => literal.clone(),
        (Kind::Date, Literal::Text(text)) => {
            let days = time::date(text.as_bytes());
            Literal::Integer(days.ok_or_else(|| format!("`{text}` is no date"))?.into())
        }
        (Kind::Timestamp, Literal::Text(text)) => {
            let instant = time::instant(text.as_bytes());
            Literal::Integer(instant.ok_or_else(|| format!("`{text}` is no time"))?)
        }
        (_, literal) => {
            return Err(format!(
                "a constant of type {} does not compare with it",
                literal.json_type()
            ));
        }
    };
    Ok(Test::Compares(how, literal))
}

/// The value of a row, as filters look at it.
fn scalar(array: &ArrayRef, row: usize) -> Scalar<'_> {
    if array.is_null(row) {
        return Scalar::Null;
    }
    match array.data_type() {
        DataType::Boolean => Scalar::Boolean(array.as_boolean().value(row)),
        DataType::Int32 => Scalar::Integer(array.as_primitive::<Int32Type>().value(row).into()),
        DataType::Date32 => Scalar::Integer(array.as_primitive::<Date32Type>().value(row).into()),
        DataType::Int64 => Scalar::Integer(array.as_primitive::<Int64Type>().value(row)),
        DataType::Timestamp(..) => {
            Scalar::Integer(array.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        DataType::Float64 => Scalar::Number(array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, scale) => {
            let digits = array.as_primitive::<Decimal128Type>().value(row);
            Scalar::Number(decimal(digits, *scale))
        }
        DataType::Utf8 => Scalar::Text(array.as_string::<i32>().value(row)),
        DataType::List(_) => {
            Scalar::Nested { is_empty: array.as_list::<i32>().value_length(row) == 0 }
        }
        _ => Scalar::Nested { is_empty: false },
    }
}

#[expect(clippy::cast_precision_loss, reason = "filters compare decimals as Python's floats")]
fn decimal(digits: i128, scale: i8) -> f64 {
    digits as f64 / 10_f64.powi(scale.into())
}
