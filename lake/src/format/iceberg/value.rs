//! Single values of partitions and bounds, as Iceberg compares and stores them
//! (<https://iceberg.apache.org/spec/#appendix-d-single-value-serialization>).

use apache_avro::types::Value;

use super::avro::{none, present, some};

/// A value of a partition: of two files with the same ones the rows are in the same partition.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Single {
    /// None.
    Null,
    /// True or false.
    Boolean(bool),
    /// Whole numbers, and whatever is counted in such: days, months, microseconds, buckets.
    Number(i64),
    /// Text.
    Text(String),
    /// What this version does not write: by its bytes.
    Other(String),
}

/// How a value stands in a file of Avro, and in the bytes of a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `boolean`.
    Boolean,
    /// `int`, 4 bytes.
    Int,
    /// `date`: an int with a meaning of its own.
    Date,
    /// `long`, 8 bytes.
    Long,
    /// `timestamptz`: a long.
    Timestamp,
    /// `string`.
    Text,
}

impl Single {
    /// What a field of a partition holds.
    pub(super) fn read(value: &Value) -> Self {
        match present(value) {
            None => Self::Null,
            Some(Value::Boolean(is)) => Self::Boolean(*is),
            Some(Value::Int(number) | Value::Date(number)) => Self::Number(i64::from(*number)),
            Some(
                Value::Long(number)
                | Value::TimestampMicros(number)
                | Value::LocalTimestampMicros(number)
                | Value::TimeMicros(number),
            ) => Self::Number(*number),
            Some(Value::String(text)) => Self::Text(text.clone()),
            Some(other) => Self::Other(format!("{other:?}")),
        }
    }

    /// What its field in a file of Avro holds.
    pub(super) fn avro(&self, form: Form) -> Value {
        let int = |number: i64| i32::try_from(number).unwrap_or_default();
        match (self, form) {
            (Self::Null | Self::Other(_), _) => none(),
            (Self::Boolean(is), _) => some(Value::Boolean(*is)),
            (Self::Number(number), Form::Date) => some(Value::Date(int(*number))),
            (Self::Number(number), Form::Int) => some(Value::Int(int(*number))),
            (Self::Number(number), Form::Timestamp) => some(Value::TimestampMicros(*number)),
            (Self::Number(number), _) => some(Value::Long(*number)),
            (Self::Text(text), _) => some(Value::String(text.clone())),
        }
    }

    /// Its bytes in a bound; nothing for what has none.
    pub(super) fn bytes(&self, form: Form) -> Option<Vec<u8>> {
        match (self, form) {
            (Self::Null | Self::Other(_), _) => None,
            (Self::Boolean(is), _) => Some(vec![u8::from(*is)]),
            (Self::Number(number), Form::Int | Form::Date) => {
                Some(i32::try_from(*number).ok()?.to_le_bytes().to_vec())
            }
            (Self::Number(number), _) => Some(number.to_le_bytes().to_vec()),
            (Self::Text(text), _) => Some(text.clone().into_bytes()),
        }
    }

    /// The value of a bound's bytes, to be compared with another of the same field; nothing where that cannot be.
    pub(super) fn of_bound(&self, bytes: &[u8]) -> Option<Self> {
        Some(match self {
            Self::Null | Self::Other(_) => return None,
            Self::Boolean(_) => Self::Boolean(*bytes.first()? != 0),
            Self::Number(_) => Self::Number(match bytes.len() {
                4 => i64::from(i32::from_le_bytes(bytes.try_into().ok()?)),
                _ => i64::from_le_bytes(bytes.try_into().ok()?),
            }),
            Self::Text(_) => Self::Text(std::str::from_utf8(bytes).ok()?.to_owned()),
        })
    }
}

impl Form {
    /// Its type in the schema of a manifest.
    pub(super) fn avro_type(self) -> serde_json::Value {
        use serde_json::json;
        match self {
            Self::Boolean => json!("boolean"),
            Self::Int => json!("int"),
            Self::Date => json!({"type": "int", "logicalType": "date"}),
            Self::Long => json!("long"),
            Self::Timestamp => {
                json!({"type": "long", "logicalType": "timestamp-micros", "adjust-to-utc": true})
            }
            Self::Text => json!("string"),
        }
    }
}
