//! The columns of a mapped stream out of what is read of its records.
//!
//! Records are read in the shape in which they come, without what nothing asks for; columns are
//! then picked out of the finished arrays. So renaming, dropping and flattening cost nothing for a
//! record, and a filter looks at typed values.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, StringArray};
use lake::schema::{Column, Kind};
use protocol::mapping::{Filter, Literal, MapError, Mapped, Origin};

use super::filtered::{Filtered, typed};
use crate::error::{Error, Result};
use crate::json_schema;

/// How the columns of a stream come out of what is read.
#[derive(Debug)]
pub(crate) struct Derivation {
    picks: Vec<Pick>,
    filter: Option<Filter<Place>>,
    unread: HashSet<String>,
}

/// Where a value is in what is read, and its type.
#[derive(Debug)]
struct Place {
    path: Vec<usize>,
    kind: Kind,
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
#[derive(Debug)]
pub(crate) struct Derived {
    /// What is read of a record.
    pub(crate) reads: Vec<Column>,
    /// The columns that come out of it.
    pub(crate) columns: Vec<Column>,
    /// The way from the one to the other.
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
                Ok((Place { path: at, kind: kind.clone() }, test))
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
    pub(super) fn origin(&self, column: usize) -> Result<Option<&[usize]>> {
        match self.picks.get(column) {
            Some(Pick::Read(path)) => Ok(Some(path)),
            Some(Pick::Constant(_)) => Ok(None),
            None => Err(Error::internal(format!(
                "column {column} of a mapped stream comes from somewhere"
            ))),
        }
    }

    /// The columns of `rows` rows.
    pub(super) fn columns(&self, arrays: &[ArrayRef], rows: usize) -> Result<Vec<ArrayRef>> {
        let columns = self.picks.iter().map(|column| match column {
            Pick::Read(path) => pick(arrays, path),
            Pick::Constant(literal) => Ok(constant(literal, rows)),
        });
        columns.collect()
    }

    /// Which rows go on; all, where there is no filter.
    pub(super) fn mask(&self, arrays: &[ArrayRef], rows: usize) -> Result<Option<BooleanArray>> {
        let Some(filter) = &self.filter else { return Ok(None) };
        let bound = filter.bind(&mut |place, test| {
            Ok::<_, Error>((Filtered::of(&pick(arrays, &place.path)?, &place.kind)?, test.clone()))
        })?;
        let goes_on = (0..rows).map(|row| Some(bound.test(&|column| column.scalar(row))));
        Ok(Some(goes_on.collect()))
    }
}

/// The names of fields inside columns: what of them is not read is no news either.
fn inner_names(columns: &[Column]) -> Vec<String> {
    let mut names = Vec::new();
    for column in columns {
        match &column.kind {
            Kind::Struct(fields) => {
                names.extend(fields.iter().map(|field| field.source.clone()));
                names.extend(inner_names(fields));
            }
            Kind::Boolean
            | Kind::Int
            | Kind::Bigint
            | Kind::Double
            | Kind::Decimal(..)
            | Kind::String
            | Kind::Json
            | Kind::Date
            | Kind::Timestamp
            | Kind::List(_) => {}
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
            if own.is_empty() {
                return None;
            }
            let kind = match own.iter().find(|want| want.path.is_empty()) {
                Some(Want { text: true, .. }) => Kind::Json,
                Some(Want { text: false, .. }) => column.kind.clone(),
                None => inside(&column.kind, &own),
            };
            Some(Column { kind, ..column.clone() })
        })
        .collect()
}

/// What is read of a column of which only parts are wanted. What has no fields is read as text.
fn inside(kind: &Kind, wants: &[Want<'_>]) -> Kind {
    match kind {
        Kind::Struct(fields) => Kind::Struct(shape(fields, wants)),
        Kind::Boolean
        | Kind::Int
        | Kind::Bigint
        | Kind::Double
        | Kind::Decimal(..)
        | Kind::String
        | Kind::Json
        | Kind::Date
        | Kind::Timestamp
        | Kind::List(_) => Kind::Json,
    }
}

/// Where a path leads, unless it leads into a value without fields.
fn position<'a>(columns: &'a [Column], path: &[String]) -> Option<(Vec<usize>, &'a Kind)> {
    let (first, rest) = path.split_first()?;
    let at = columns.iter().position(|column| column.source == *first)?;
    let kind = &columns.get(at)?.kind;
    if rest.is_empty() {
        return Some((vec![at], kind));
    }
    match kind {
        Kind::Struct(fields) => {
            let (inner, kind) = position(fields, rest)?;
            Some(([vec![at], inner].concat(), kind))
        }
        Kind::Boolean
        | Kind::Int
        | Kind::Bigint
        | Kind::Double
        | Kind::Decimal(..)
        | Kind::String
        | Kind::Json
        | Kind::Date
        | Kind::Timestamp
        | Kind::List(_) => None,
    }
}

/// The array at a path. The fields of a struct that is null are null.
fn pick(arrays: &[ArrayRef], path: &[usize]) -> Result<ArrayRef> {
    let missing = || Error::internal(format!("{path:?} is a path in what is read"));
    let (first, rest) = path.split_first().ok_or_else(missing)?;
    let array = arrays.get(*first).ok_or_else(missing)?;
    if rest.is_empty() {
        return Ok(Arc::clone(array));
    }
    pick(array.as_struct_opt().ok_or_else(missing)?.columns(), rest)
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
