//! Columns as filters look at them.

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array,
    Int64Array, ListArray, PrimitiveArray, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow::datatypes::ArrowPrimitiveType;
use lake::schema::{Kind, time};
use protocol::mapping::{Literal, Scalar, Test};

use crate::error::{Error, Result};

/// A test in the terms of a column's type.
pub(super) fn typed(test: &Test, kind: &Kind) -> Result<Test, String> {
    let (how, literal) = match test {
        Test::Null | Test::Truthy => return Ok(test.clone()),
        Test::StartsWith(_) | Test::EndsWith(_) | Test::Contains(_) => {
            return match kind {
                Kind::String | Kind::Json => Ok(test.clone()),
                Kind::Boolean
                | Kind::Int
                | Kind::Bigint
                | Kind::Double
                | Kind::Decimal(..)
                | Kind::Date
                | Kind::Timestamp
                | Kind::Struct(_)
                | Kind::List(_) => Err("only strings are asked for a part".into()),
            };
        }
        Test::Compares(how, literal) => (*how, literal),
    };
    Ok(Test::Compares(how, comparable(literal, kind)?))
}

/// A constant as values of that type are compared with it.
fn comparable(literal: &Literal, kind: &Kind) -> Result<Literal, String> {
    let comparable = match kind {
        Kind::String | Kind::Json => matches!(literal, Literal::Text(_)).then(|| literal.clone()),
        Kind::Boolean => matches!(literal, Literal::Boolean(_)).then(|| literal.clone()),
        Kind::Int | Kind::Bigint | Kind::Double | Kind::Decimal(..) => {
            matches!(literal, Literal::Integer(_) | Literal::Number(_)).then(|| literal.clone())
        }
        Kind::Date => match literal {
            Literal::Text(text) => {
                let days = time::date(text.as_bytes());
                Some(Literal::Integer(days.ok_or_else(|| format!("`{text}` is no date"))?.into()))
            }
            Literal::Integer(_) | Literal::Number(_) | Literal::Boolean(_) => None,
        },
        Kind::Timestamp => match literal {
            Literal::Text(text) => {
                let instant = time::instant(text.as_bytes());
                Some(Literal::Integer(instant.ok_or_else(|| format!("`{text}` is no time"))?))
            }
            Literal::Integer(_) | Literal::Number(_) | Literal::Boolean(_) => None,
        },
        Kind::Struct(_) | Kind::List(_) => None,
    };
    comparable.ok_or_else(|| {
        format!("a constant of type {} does not compare with it", literal.json_type())
    })
}

/// A column as filters look at it.
#[derive(Debug, Clone)]
pub(super) enum Filtered {
    Boolean(BooleanArray),
    Int(Int32Array),
    Bigint(Int64Array),
    Double(Float64Array),
    Decimal(Decimal128Array, i8),
    Text(StringArray),
    Date(Date32Array),
    Timestamp(TimestampMicrosecondArray),
    Struct(StructArray),
    List(ListArray),
}

impl Filtered {
    /// The column of an array of that type.
    pub(super) fn of(array: &ArrayRef, kind: &Kind) -> Result<Self> {
        let typed = match kind {
            Kind::Boolean => array.as_boolean_opt().cloned().map(Self::Boolean),
            Kind::Int => array.as_primitive_opt().cloned().map(Self::Int),
            Kind::Bigint => array.as_primitive_opt().cloned().map(Self::Bigint),
            Kind::Double => array.as_primitive_opt().cloned().map(Self::Double),
            Kind::Decimal(_, scale) => {
                array.as_primitive_opt().cloned().map(|array| Self::Decimal(array, *scale))
            }
            Kind::String | Kind::Json => array.as_string_opt().cloned().map(Self::Text),
            Kind::Date => array.as_primitive_opt().cloned().map(Self::Date),
            Kind::Timestamp => array.as_primitive_opt().cloned().map(Self::Timestamp),
            Kind::Struct(_) => array.as_struct_opt().cloned().map(Self::Struct),
            Kind::List(_) => array.as_list_opt().cloned().map(Self::List),
        };
        let found = array.data_type();
        typed.ok_or_else(|| Error::internal(format!("a column of {kind} is one, not {found}")))
    }

    /// The value of a row.
    pub(super) fn scalar(&self, row: usize) -> Scalar<'_> {
        match self {
            Self::Boolean(array) if array.is_null(row) => Scalar::Null,
            Self::Boolean(array) => Scalar::Boolean(array.value(row)),
            Self::Int(array) => number(array, row, |value| Scalar::Integer(value.into())),
            Self::Bigint(array) => number(array, row, Scalar::Integer),
            Self::Double(array) => number(array, row, Scalar::Number),
            Self::Decimal(array, scale) => {
                number(array, row, |digits| Scalar::Number(decimal(digits, *scale)))
            }
            Self::Text(array) if array.is_null(row) => Scalar::Null,
            Self::Text(array) => Scalar::Text(array.value(row)),
            Self::Date(array) => number(array, row, |days| Scalar::Integer(days.into())),
            Self::Timestamp(array) => number(array, row, Scalar::Integer),
            Self::Struct(array) if array.is_null(row) => Scalar::Null,
            Self::Struct(_) => Scalar::Nested { is_empty: false },
            Self::List(array) if array.is_null(row) => Scalar::Null,
            Self::List(array) => Scalar::Nested { is_empty: array.value_length(row) == 0 },
        }
    }
}

fn number<T: ArrowPrimitiveType>(
    array: &PrimitiveArray<T>,
    row: usize,
    scalar: impl FnOnce(T::Native) -> Scalar<'static>,
) -> Scalar<'static> {
    if array.is_null(row) { Scalar::Null } else { scalar(array.value(row)) }
}

#[expect(clippy::cast_precision_loss, reason = "filters compare decimals as Python's floats")]
fn decimal(digits: i128, scale: i8) -> f64 {
    digits as f64 / 10_f64.powi(scale.into())
}
