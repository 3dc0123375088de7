//! The newest value of a column of dates or times: how far a source has come.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::{max, max_string};
use arrow::datatypes::{DataType, Date32Type, TimestampMicrosecondType};
use chrono::DateTime;

/// Longer texts are no dates.
const LONGEST: usize = 40;

/// The newest value of a column, as ISO 8601 writes it, so that the later one of two is the greater text. Of a column of
/// texts the greatest.
pub(crate) fn newest(column: &ArrayRef) -> Option<String> {
    match column.data_type() {
        DataType::Date32 => {
            let days = i64::from(max(column.as_primitive::<Date32Type>())?);
            let at = DateTime::from_timestamp(days.checked_mul(86_400)?, 0)?;
            Some(at.format("%Y-%m-%d").to_string())
        }
        DataType::Timestamp(..) => {
            let micros = max(column.as_primitive::<TimestampMicrosecondType>())?;
            let at = DateTime::from_timestamp_micros(micros)?;
            Some(at.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string())
        }
        DataType::Utf8 => {
            let text = max_string(column.as_string::<i32>())?;
            (text.len() <= LONGEST).then(|| text.to_owned())
        }
        _ => None,
    }
}

/// A newest value for a person: to the second.
pub(crate) fn shown(value: &str) -> String {
    match value.split_once('.') {
        Some((at, fraction)) if fraction.ends_with('Z') => format!("{at}Z"),
        Some(_) | None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        BooleanArray, Date32Array, StringArray, TimestampMicrosecondArray, new_null_array,
    };

    use super::*;

    #[test]
    fn the_newest_of_dates_times_and_texts_is_found() {
        let times = vec![Some(1_500_000), None, Some(60_000_000)];
        let columns: [(ArrayRef, Option<&str>); 6] = [
            (Arc::new(Date32Array::from(vec![0, 20_000, 3])), Some("2024-10-04")),
            (
                Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")),
                Some("1970-01-01T00:01:00.000000Z"),
            ),
            (Arc::new(StringArray::from(vec!["2026-01-02", "2026-01-10"])), Some("2026-01-10")),
            (Arc::new(StringArray::from(vec!["x".repeat(41)])), None),
            (new_null_array(&DataType::Date32, 2), None),
            (Arc::new(BooleanArray::from(vec![true])), None),
        ];
        for (column, expected) in columns {
            assert_eq!(newest(&column).as_deref(), expected);
        }
        assert_eq!(shown("1970-01-01T00:01:00.250000Z"), "1970-01-01T00:01:00Z");
        assert_eq!(["2026-01-02", "a.b"].map(shown), ["2026-01-02", "a.b"]);
    }
}
