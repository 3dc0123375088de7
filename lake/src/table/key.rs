//! The hash of a row's key: it decides the shard and finds the row again.
//!
//! A key value is hashed by its text, so that the hash survives a column that widens: integers in
//! decimal digits, integral doubles like the integer, dates as days and instants as microseconds
//! since 1970. A key of several columns is each text behind its length in four bytes, little
//! endian. The hash is XXH3 with 128 bits and seed 0; lakes depend on it, so it never changes.

use std::io::Write as _;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type,
    TimestampMicrosecondType,
};
use xxhash_rust::xxh3::xxh3_128;

use crate::error::{Error, Result};
use crate::schema::Kind;

/// Whether a column of this type can be part of a key.
pub fn is_hashable(kind: &Kind) -> bool {
    match kind {
        Kind::Boolean
        | Kind::Int
        | Kind::Bigint
        | Kind::Double
        | Kind::Decimal(..)
        | Kind::String
        | Kind::Json
        | Kind::Date
        | Kind::Timestamp => true,
        Kind::Struct(_) | Kind::List(_) => false,
    }
}

/// The hash of every row's key; empty where there are no key columns.
pub fn hash_rows(batch: &RecordBatch, keys: &[usize]) -> Result<Vec<u128>> {
    let columns = keys.iter().map(|key| {
        let missing = || Error::internal(format!("a batch has its key column {key}"));
        batch.columns().get(*key).ok_or_else(missing)
    });
    let columns: Vec<&ArrayRef> = columns.collect::<Result<_>>()?;
    match columns[..] {
        [] => Ok(Vec::new()),
        [column] => match column.as_string_opt::<i32>() {
            Some(texts) => {
                Ok((0..texts.len()).map(|row| xxh3_128(texts.value(row).as_bytes())).collect())
            }
            None => hash_columns(&columns, batch.num_rows()),
        },
        _ => hash_columns(&columns, batch.num_rows()),
    }
}

fn hash_columns(columns: &[&ArrayRef], rows: usize) -> Result<Vec<u128>> {
    let mut text = Vec::new();
    (0..rows)
        .map(|row| {
            text.clear();
            for column in columns {
                let start = text.len();
                if columns.len() > 1 {
                    text.extend_from_slice(&[0; 4]);
                }
                let from = text.len();
                append_text(column, row, &mut text)?;
                let length = u32::try_from(text.len() - from).map_err(|error| {
                    Error::broken("the text of a key has fewer bytes than 2^32", error)
                })?;
                let prefix = text.get_mut(start..from).and_then(|head| head.first_chunk_mut());
                if let Some(prefix) = prefix {
                    *prefix = length.to_le_bytes();
                }
            }
            Ok(xxh3_128(&text))
        })
        .collect()
}

/// Appends the text of a key's value. A type without one is an error: all its keys would be the same.
pub(crate) fn append_text(column: &ArrayRef, row: usize, text: &mut Vec<u8>) -> Result<()> {
    // Writing into a Vec cannot fail.
    _ = match column.data_type() {
        DataType::Utf8 => text.write_all(column.as_string::<i32>().value(row).as_bytes()),
        DataType::Int32 => write!(text, "{}", column.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => write!(text, "{}", column.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => write_double(text, column.as_primitive::<Float64Type>().value(row)),
        DataType::Boolean => write!(text, "{}", column.as_boolean().value(row)),
        DataType::Date32 => write!(text, "{}", column.as_primitive::<Date32Type>().value(row)),
        DataType::Timestamp(..) => {
            write!(text, "{}", column.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        DataType::Decimal128(..) => {
            let values = column.as_primitive::<Decimal128Type>();
            let exact = values.value_as_string(row);
            let trimmed = if exact.contains('.') {
                exact.trim_end_matches('0').trim_end_matches('.')
            } else {
                &exact
            };
            text.write_all(trimmed.as_bytes())
        }
        other => return Err(Error::internal(format!("a key column has a text, not {other}"))),
    };
    Ok(())
}

fn write_double(text: &mut Vec<u8>, value: f64) -> std::io::Result<()> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() <= EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "an integral value within 2^53")]
        return write!(text, "{}", value as i64);
    }
    write!(text, "{value:?}")
}

/// The shard of a key.
pub fn shard(hash: u128, shards: u32) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "the low half of the hash")]
    let low = hash as u64;
    #[expect(clippy::cast_possible_truncation, reason = "less than the number of shards")]
    let shard = (low % u64::from(shards.max(1))) as u32;
    shard
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{
        Float64Array, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray,
    };
    use std::sync::Arc;

    fn batch(columns: Vec<ArrayRef>) -> RecordBatch {
        RecordBatch::try_from_iter(
            columns.into_iter().enumerate().map(|(index, column)| (format!("c{index}"), column)),
        )
        .unwrap()
    }

    #[test]
    fn hashes_are_fixed_for_ever() {
        let rows = batch(vec![
            Arc::new(StringArray::from(vec!["a", "1790011_0b0b"])),
            Arc::new(Int64Array::from(vec![1, -20])),
        ]);
        assert_eq!(
            hash_rows(&rows, &[0]).unwrap(),
            // The first is the published test value of XXH3_128 for "a".
            [
                0xa96f_af70_5af1_6834_e6c6_32b6_1e96_4e1f,
                305_264_098_164_109_812_391_731_106_632_691_657_814
            ]
        );
        assert_eq!(shard(hash_rows(&rows, &[0]).unwrap()[0], 7), shard(xxh3_128(b"a"), 7));
        assert_eq!(hash_rows(&rows, &[0, 1]).unwrap()[0], xxh3_128(b"\x01\0\0\0a\x01\0\0\x001"));
        assert!(hash_rows(&rows, &[]).unwrap().is_empty());
    }

    #[test]
    fn a_key_keeps_its_hash_when_its_column_widens() {
        let small = batch(vec![Arc::new(Int32Array::from(vec![7]))]);
        let large = batch(vec![Arc::new(Int64Array::from(vec![7]))]);
        let double = batch(vec![Arc::new(Float64Array::from(vec![7.0]))]);
        assert_eq!(hash_rows(&small, &[0]).unwrap(), hash_rows(&large, &[0]).unwrap());
        assert_eq!(hash_rows(&large, &[0]).unwrap(), hash_rows(&double, &[0]).unwrap());
    }

    #[test]
    fn every_type_that_can_be_a_key_has_a_text_of_its_own() {
        let schema = |kind: &Kind| {
            let column = crate::schema::Column::same("c", kind.clone());
            Arc::new(arrow::datatypes::Schema::new(crate::schema::fields(&[column])))
        };
        for kind in [
            Kind::Boolean,
            Kind::Int,
            Kind::Bigint,
            Kind::Double,
            Kind::Decimal(9, 2),
            Kind::String,
            Kind::Json,
            Kind::Date,
            Kind::Timestamp,
        ] {
            assert!(is_hashable(&kind));
            let texts: ArrayRef = Arc::new(StringArray::from_iter_values(match kind {
                Kind::Boolean => ["true", "false"],
                Kind::Date => ["2026-01-01", "2026-01-02"],
                _ => ["1", "2"],
            }));
            let values: ArrayRef = match kind {
                Kind::Timestamp => {
                    Arc::new(TimestampMicrosecondArray::from(vec![1, 2]).with_timezone("UTC"))
                }
                ref kind => arrow::compute::cast(&texts, &kind.data_type()).unwrap(),
            };
            assert_eq!(values.null_count(), 0, "{kind}");
            let batch = RecordBatch::try_new(schema(&kind), vec![values]).unwrap();
            let hashes = hash_rows(&batch, &[0]).unwrap();
            assert_ne!(hashes[0], hashes[1], "{kind}");
        }
    }

    #[test]
    fn a_type_without_a_text_is_an_error_because_all_its_keys_would_be_one() {
        let list = Kind::List(Box::new(Kind::Bigint));
        assert!(!is_hashable(&list));
        let array = arrow::array::new_null_array(&list.data_type(), 2);
        let error = hash_rows(&batch(vec![array]), &[0]).unwrap_err().to_string();
        assert!(error.contains("internal error"), "{error}");
        let one = batch(vec![Arc::new(Int64Array::from(vec![1]))]);
        assert!(hash_rows(&one, &[1]).is_err(), "a key column that is not there");
    }
}
