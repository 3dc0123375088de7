//! Which partition a row belongs to.

use std::collections::HashMap;
use std::fmt::Write as _;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, TimestampMicrosecondType};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::definition::{Granularity, PartitionBy};
use crate::error::{Error, Result};
use crate::schema::time;

/// Hive's folder for rows without a partition value
/// (`hive.exec.default.partition.name`, <https://hive.apache.org/docs/latest/user/configuration-properties/>).
pub(crate) const DEFAULT_PARTITION: &str = "__HIVE_DEFAULT_PARTITION__";

/// The most bytes of a folder's name: `NAME_MAX` of the file systems that people use
/// (<https://man7.org/linux/man-pages/man7/path_resolution.7.html>). On S3 it leaves a key of 1,024 bytes
/// room for the rest (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>); a
/// limit for both, so that a lake can be moved from the one to the other.
const MAX_FOLDER: usize = 255;

/// What is escaped in a folder's name.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// Gives every row the number of its partition.
#[derive(Debug)]
pub(crate) struct Partitioner {
    /// Name of the partition key and the column that decides; nothing for one single partition.
    by: Option<(String, usize, Option<Granularity>)>,
    numbers: HashMap<String, u32>,
    values: Vec<String>,
    /// Whether a value was too long for a folder's name.
    has_long: bool,
}

impl Partitioner {
    /// A partitioner by `by`, whose column is at `column` of every batch.
    pub(crate) fn new(by: Option<(&PartitionBy, String, usize)>) -> Self {
        let by = by.map(|(by, key, column)| (key, column, by.granularity));
        Self { by, numbers: HashMap::new(), values: Vec::new(), has_long: false }
    }

    /// The folder of a partition below its table, with a slash behind it; empty without partitions.
    pub(crate) fn folder(&self, number: u32) -> Result<String> {
        match (&self.by, self.values.get(number as usize)) {
            (Some((key, ..)), Some(value)) => Ok(format!("{key}={}/", escape(value))),
            (None, _) => Ok(String::new()),
            (Some(_), None) => Err(Error::internal(format!("partition {number} is known"))),
        }
    }

    /// The partition of every row.
    pub(crate) fn assign(&mut self, batch: &RecordBatch) -> Result<Vec<u32>> {
        let Some((key, column, granularity)) = &self.by else {
            return Ok(vec![0; batch.num_rows()]);
        };
        let (column, granularity) = (*column, *granularity);
        let longest = MAX_FOLDER.saturating_sub(key.len() + "=".len());
        let array = batch.column(column);
        let mut last: Option<(String, u32)> = None;
        let mut assigned = Vec::with_capacity(array.len());
        let options = FormatOptions::new();
        let formatter = match (granularity, array.data_type()) {
            (None, other) if !matches!(other, DataType::Timestamp(..)) => {
                Some(ArrayFormatter::try_new(array, &options).map_err(Error::arrow)?)
            }
            _ => None,
        };
        let mut text = String::new();
        for row in 0..array.len() {
            text.clear();
            if array.is_null(row) {
                text.push_str(DEFAULT_PARTITION);
            } else {
                value_of(array, row, granularity, formatter.as_ref(), &mut text)?;
            }
            let number = match &last {
                Some((value, number)) if *value == text => *number,
                _ => {
                    let number = if is_longer(&text, longest) {
                        self.number_of_long()?
                    } else {
                        self.number(&text)?
                    };
                    last = Some((text.clone(), number));
                    number
                }
            };
            assigned.push(number);
        }
        Ok(assigned)
    }

    /// The partition of a value that no folder can be named by: the column still tells it.
    fn number_of_long(&mut self) -> Result<u32> {
        if !self.has_long {
            self.has_long = true;
            let key = self.by.as_ref().map(|(key, ..)| key.as_str());
            tracing::warn!(
                key,
                "a partition's folder has a name of at most {MAX_FOLDER} bytes: rows whose value is longer are in {DEFAULT_PARTITION}"
            );
        }
        self.number(DEFAULT_PARTITION)
    }

    fn number(&mut self, value: &str) -> Result<u32> {
        if let Some(number) = self.numbers.get(value) {
            return Ok(*number);
        }
        let number = u32::try_from(self.values.len())
            .map_err(|error| Error::broken("a table has fewer partitions than 2^32", error))?;
        self.numbers.insert(value.to_owned(), number);
        self.values.push(value.to_owned());
        Ok(number)
    }
}

fn value_of(
    array: &dyn Array,
    row: usize,
    granularity: Option<Granularity>,
    formatter: Option<&ArrayFormatter<'_>>,
    text: &mut String,
) -> Result<()> {
    let length = match granularity {
        None => {
            // Writing into a String cannot fail.
            _ = match formatter {
                Some(formatter) => write!(text, "{}", formatter.value(row)),
                None => {
                    let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
                    let instant = chrono::DateTime::from_timestamp_micros(micros);
                    let instant = instant.ok_or_else(|| beyond_calendar(micros))?;
                    write!(text, "{}", instant.format("%Y-%m-%d %H:%M:%S%.f"))
                }
            };
            if text.is_empty() {
                text.push_str(DEFAULT_PARTITION);
            }
            return Ok(());
        }
        Some(Granularity::Day) => 10,
        Some(Granularity::Month) => 7,
        Some(Granularity::Year) => 4,
    };
    let day = match array.data_type() {
        DataType::Utf8 => {
            let value = array.as_string::<i32>().value(row);
            // The day as it is written, so that the folder agrees with the column.
            let day = value.get(..10).filter(|day| time::date(day.as_bytes()).is_some());
            text.push_str(day.and_then(|day| day.get(..length)).unwrap_or(DEFAULT_PARTITION));
            return Ok(());
        }
        DataType::Date32 => i64::from(array.as_primitive::<Date32Type>().value(row)),
        DataType::Timestamp(..) => {
            array.as_primitive::<TimestampMicrosecondType>().value(row).div_euclid(86_400_000_000)
        }
        other => {
            return Err(Error::internal(format!("a partition is cut by a date, not by {other}")));
        }
    };
    let date = chrono::DateTime::from_timestamp(day * 86_400, 0);
    let date = date.ok_or_else(|| beyond_calendar(day))?.format("%Y-%m-%d").to_string();
    // A year before 0 or beyond 9999 has a sign, and no partition of its own.
    text.push_str(date.get(..length).unwrap_or(DEFAULT_PARTITION));
    Ok(())
}

fn beyond_calendar(value: i64) -> Error {
    Error::internal(format!("a date is within the calendar, not {value}"))
}

/// Whether a column of this type can be cut by a granularity.
pub(crate) fn is_dated(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::Date32 | DataType::Timestamp(..))
}

/// Escapes a partition value as Hive does, so that it is one plain path segment.
fn escape(value: &str) -> String {
    let escaped = utf8_percent_encode(value, ESCAPED).to_string();
    // Segments of dots alone would climb out of the table.
    if escaped.bytes().all(|byte| byte == b'.') { escaped.replace('.', "%2E") } else { escaped }
}

/// Whether a value has more bytes than that once it is escaped.
fn is_longer(value: &str, longest: usize) -> bool {
    // An escaped byte is three.
    value.len() > longest / 3 && escape(value).len() > longest
}

/// The value of the partition whose folder this is; nothing for a folder of another key.
#[cfg_attr(not(feature = "glue"), allow(dead_code, reason = "only the catalog asks for it"))]
pub(crate) fn value(folder: &str, key: &str) -> Option<String> {
    let escaped = folder.strip_suffix('/')?.strip_prefix(key)?.strip_prefix('=')?;
    let is_code = |code: &str| code.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    if escaped.is_empty() || escaped.contains('/') || !escaped.split('%').skip(1).all(is_code) {
        return None;
    }
    Some(percent_decode_str(escaped).decode_utf8().ok()?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Date32Array, Int64Array, StringArray, TimestampMicrosecondArray};
    use std::sync::Arc;

    fn folders(array: ArrayRef, granularity: Option<Granularity>) -> Vec<String> {
        let by = PartitionBy { column: "c".into(), granularity, name: None };
        let batch = RecordBatch::try_from_iter([("c", array)]).unwrap();
        let mut partitioner = Partitioner::new(Some((&by, by.key(), 0)));
        let numbers = partitioner.assign(&batch).unwrap();
        numbers.into_iter().map(|number| partitioner.folder(number).unwrap()).collect()
    }

    #[test]
    fn dated_text_is_cut_and_anything_else_goes_to_the_default() {
        let texts = StringArray::from(vec![
            Some("2024-03-05T09:00:00.000Z"),
            Some("2024-03-06"),
            Some("soon"),
            Some(""),
            None,
        ]);
        let default = format!("month={DEFAULT_PARTITION}/");
        assert_eq!(
            folders(Arc::new(texts), Some(Granularity::Month)),
            [
                "month=2024-03/".to_owned(),
                "month=2024-03/".into(),
                default.clone(),
                default.clone(),
                default
            ]
        );
    }

    #[test]
    fn dates_and_instants_are_cut_in_utc() {
        let dates = Date32Array::from(vec![0, -1]);
        assert_eq!(
            folders(Arc::new(dates), Some(Granularity::Day)),
            ["dt=1970-01-01/", "dt=1969-12-31/"]
        );
        let instants = TimestampMicrosecondArray::from(vec![-1]).with_timezone("UTC");
        assert_eq!(folders(Arc::new(instants), Some(Granularity::Year)), ["year=1969/"]);
    }

    #[test]
    fn a_folder_tells_its_value_again() {
        for text in ["2026-11", "a/b", "..", "Zürich", "100%", "x=y", DEFAULT_PARTITION] {
            let folder = format!("p_c={}/", escape(text));
            assert_eq!(value(&folder, "p_c").as_deref(), Some(text));
        }
        for other in ["p_d=1/", "p_c=1", "p_c=/", "p_c=1/x/", "p_c=%f/", ""] {
            assert_eq!(value(other, "p_c"), None, "{other}");
        }
    }

    #[test]
    fn what_no_folder_can_be_named_by_is_in_the_default_partition() {
        // With `p_c=` before them.
        let (fits, long) = ("x".repeat(251), "x".repeat(252));
        let (escaped, long_escaped) = ("ü".repeat(41) + "12345", "ü".repeat(41) + "123456");
        let texts = [&fits, &long, &escaped, &long_escaped, &"界".repeat(100), &fits];
        let found = folders(Arc::new(StringArray::from_iter_values(texts)), None);
        let default = format!("p_c={DEFAULT_PARTITION}/");
        let escaped = format!("p_c={}12345/", "%C3%BC".repeat(41));
        let fits = format!("p_c={fits}/");
        assert_eq!(
            found.iter().collect::<Vec<_>>(),
            [&fits, &default, &escaped, &default, &default, &fits]
        );
        assert!(found.iter().all(|folder| folder.len() <= MAX_FOLDER + 1));
        assert_eq!(fits.len(), MAX_FOLDER + 1);
        assert_eq!(escaped.len(), MAX_FOLDER + 1);
    }

    #[test]
    fn values_are_one_path_segment() {
        let texts = StringArray::from(vec!["a/b", "..", "Zürich", "x y"]);
        assert_eq!(
            folders(Arc::new(texts), None),
            ["p_c=a%2Fb/", "p_c=%2E%2E/", "p_c=Z%C3%BCrich/", "p_c=x%20y/"]
        );
        assert_eq!(folders(Arc::new(Int64Array::from(vec![-5])), None), ["p_c=-5/"]);
    }
}
