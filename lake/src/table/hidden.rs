//! Partitions that no folder names: Iceberg's transforms of a column.

use std::fmt::Write as _;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Date32Type, Int32Type, Int64Type, TimestampMicrosecondType};
use chrono::Datelike as _;

use super::definition::Granularity;
use crate::error::{Error, Result};

/// Appends what Iceberg's transform makes of a row's value: years, months, days and hours since 1970, the first characters of a
/// text, or the value itself, times in microseconds
/// (<https://iceberg.apache.org/spec/#partition-transforms>).
pub(super) fn value(
    array: &dyn Array,
    row: usize,
    granularity: Option<Granularity>,
    text: &mut String,
) -> Result<()> {
    if let DataType::Utf8 = array.data_type() {
        let value = array.as_string::<i32>().value(row);
        let characters = granularity.map_or(usize::MAX, |part| part.characters() as usize);
        text.extend(value.chars().take(characters));
        return Ok(());
    }
    let number = match array.data_type() {
        DataType::Boolean => {
            text.push_str(if array.as_boolean().value(row) { "true" } else { "false" });
            return Ok(());
        }
        DataType::Int32 => i64::from(array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row),
        DataType::Date32 => i64::from(array.as_primitive::<Date32Type>().value(row)),
        DataType::Timestamp(..) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
            match granularity {
                None => micros,
                Some(Granularity::Hour) => micros.div_euclid(3_600_000_000),
                Some(_) => micros.div_euclid(86_400_000_000),
            }
        }
        other => {
            return Err(Error::internal(format!("a table is not partitioned by {other}")));
        }
    };
    let number = match granularity {
        None | Some(Granularity::Hour | Granularity::Day) => number,
        Some(part) => {
            let date = chrono::DateTime::from_timestamp(number.saturating_mul(86_400), 0);
            let date = date.ok_or_else(|| {
                Error::internal(format!("a date is within the calendar, not {number}"))
            })?;
            let years = i64::from(date.year()) - 1970;
            if part == Granularity::Year { years } else { years * 12 + i64::from(date.month0()) }
        }
    };
    // Writing into a String cannot fail.
    _ = write!(text, "{number}");
    Ok(())
}

/// The value of a transform as a person reads it.
pub(super) fn shown(value: &str, granularity: Option<Granularity>) -> String {
    match (granularity, value.parse::<i64>()) {
        (Some(Granularity::Year), Ok(years)) => format!("{:04}", years + 1970),
        (Some(Granularity::Month), Ok(months)) => {
            format!("{:04}-{:02}", months.div_euclid(12) + 1970, months.rem_euclid(12) + 1)
        }
        (Some(Granularity::Day), Ok(days)) => at(value, days.saturating_mul(86_400), "%Y-%m-%d"),
        (Some(Granularity::Hour), Ok(hours)) => {
            at(value, hours.saturating_mul(3_600), "%Y-%m-%dT%H")
        }
        (None, _) | (Some(_), Err(_)) => value.to_owned(),
    }
}

/// A time by its seconds; the value itself where it is beyond the calendar.
fn at(value: &str, seconds: i64, form: &str) -> String {
    let date = chrono::DateTime::from_timestamp(seconds, 0);
    date.map_or_else(|| value.to_owned(), |date| date.format(form).to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Date32Array, StringArray, TimestampMicrosecondArray};

    use super::*;

    fn values(array: &ArrayRef, granularity: Option<Granularity>) -> Vec<String> {
        let value = |row| {
            let mut text = String::new();
            value(array, row, granularity, &mut text).unwrap();
            text
        };
        (0..array.len()).map(value).collect()
    }

    #[test]
    fn dates_and_times_are_counted_since_1970_downwards_too() {
        let dates: ArrayRef = Arc::new(Date32Array::from(vec![0, -1, 17_486]));
        let of = |granularity| values(&dates, Some(granularity));
        assert_eq!(of(Granularity::Day), ["0", "-1", "17486"]);
        assert_eq!(of(Granularity::Month), ["0", "-1", "574"]);
        assert_eq!(of(Granularity::Year), ["0", "-1", "47"]);
        let micros = vec![-1, 1_510_871_468_000_001];
        let times: ArrayRef =
            Arc::new(TimestampMicrosecondArray::from(micros).with_timezone("UTC"));
        assert_eq!(values(&times, Some(Granularity::Day)), ["-1", "17486"]);
        assert_eq!(values(&times, Some(Granularity::Month)), ["-1", "574"]);
        // The example of the specification: 2017-11-16T22:31:08 is hour 419686.
        assert_eq!(values(&times, Some(Granularity::Hour)), ["-1", "419686"]);
        assert_eq!(shown("419686", Some(Granularity::Hour)), "2017-11-16T22");
        assert_eq!(shown("-1", Some(Granularity::Hour)), "1969-12-31T23");
        assert_eq!(values(&times, None), ["-1", "1510871468000001"]);
        let month = Some(Granularity::Month);
        assert_eq!(
            ["0", "-1", "574"].map(|value| shown(value, month)),
            ["1970-01", "1969-12", "2017-11"]
        );
    }

    #[test]
    fn texts_are_cut_at_characters_whatever_they_say() {
        let texts: ArrayRef =
            Arc::new(StringArray::from(vec!["2026-01-02T03", "größer als", "", "x"]));
        let of = |granularity| values(&texts, Some(granularity));
        assert_eq!(of(Granularity::Month), ["2026-01", "größer ", "", "x"]);
        assert_eq!(of(Granularity::Year), ["2026", "größ", "", "x"]);
    }
}
