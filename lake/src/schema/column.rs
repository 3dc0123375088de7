//! Columns and their types.

use std::fmt;

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use serde::{Deserialize, Serialize};

use super::names::{Folding, fold_by};

/// The type of a column, in the terms that Parquet, Hive and Redshift share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// True or false.
    Boolean,
    /// 32-bit integer.
    Int,
    /// 64-bit integer.
    Bigint,
    /// 64-bit floating point number.
    Double,
    /// Exact decimal number of at most 38 digits.
    Decimal(u8, i8),
    /// UTF-8 text.
    String,
    /// JSON text of a value without one type; strings stay as they are.
    Json,
    /// Calendar date.
    Date,
    /// Instant in UTC, in microseconds.
    Timestamp,
    /// Named fields.
    Struct(Vec<Column>),
    /// List of one element type.
    List(Box<Self>),
}

/// A column of a table, or a field of a struct.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its key in the records.
    pub source: String,
    /// Its name in the lake.
    pub name: String,
    /// Its type.
    pub kind: Kind,
    /// What it means, from the schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether its values are personal data, by its own mark. What it holds may be marked by itself:
    /// see [`is_personal`](Self::is_personal).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub personal: bool,
}

impl Column {
    /// A column that has its source's name.
    pub fn same(name: &str, kind: Kind) -> Self {
        Self {
            source: name.to_owned(),
            name: name.to_owned(),
            kind,
            description: None,
            personal: false,
        }
    }

    /// Whether the settings may call it by this name: as the stream does, or as the table, also as the first
    /// release would have called it there.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.source == name || self.name == name || fold_by(Folding::Former, &self.source) == name
    }

    /// Whether it or a field inside of it holds personal data.
    pub fn is_personal(&self) -> bool {
        self.personal || self.kind.is_personal()
    }
}

impl Kind {
    /// The fields of a struct; of any other type there are none.
    pub fn fields(&self) -> &[Column] {
        match self {
            Self::Struct(columns) => columns,
            Self::Boolean
            | Self::Int
            | Self::Bigint
            | Self::Double
            | Self::Decimal(..)
            | Self::String
            | Self::Json
            | Self::Date
            | Self::Timestamp
            | Self::List(_) => &[],
        }
    }

    /// Whether a field inside of it holds personal data.
    fn is_personal(&self) -> bool {
        match self {
            Self::List(element) => element.is_personal(),
            other => other.fields().iter().any(Column::is_personal),
        }
    }

    /// The Arrow type, whose Parquet form is the physical type of the column.
    pub fn data_type(&self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Int => DataType::Int32,
            Self::Bigint => DataType::Int64,
            Self::Double => DataType::Float64,
            Self::Decimal(precision, scale) => DataType::Decimal128(*precision, *scale),
            Self::String | Self::Json => DataType::Utf8,
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Struct(columns) => DataType::Struct(fields(columns)),
            Self::List(element) => {
                DataType::List(Field::new("element", element.data_type(), true).into())
            }
        }
    }
}

/// The Hive name, as Glue, Athena and Spark write it.
impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => formatter.write_str("boolean"),
            Self::Int => formatter.write_str("int"),
            Self::Bigint => formatter.write_str("bigint"),
            Self::Double => formatter.write_str("double"),
            Self::Decimal(precision, scale) => write!(formatter, "decimal({precision},{scale})"),
            Self::String | Self::Json => formatter.write_str("string"),
            Self::Date => formatter.write_str("date"),
            Self::Timestamp => formatter.write_str("timestamp"),
            Self::Struct(columns) => {
                formatter.write_str("struct<")?;
                for (index, column) in columns.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(formatter, "{comma}{}:{}", column.name, column.kind)?;
                }
                formatter.write_str(">")
            }
            Self::List(element) => write!(formatter, "array<{element}>"),
        }
    }
}

/// The Arrow fields of columns. All are nullable: a column that disappears stays as nulls.
pub fn fields(columns: &[Column]) -> Fields {
    columns.iter().map(|column| Field::new(&column.name, column.kind.data_type(), true)).collect()
}
