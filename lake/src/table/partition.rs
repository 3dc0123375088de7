//! Which partition a row belongs to.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, TimestampMicrosecondType};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use percent_encoding::{
    AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str, percent_encode, utf8_percent_encode,
};

use serde::Serialize;

use super::definition::{Definition, FolderForm, Granularity};
use super::hidden;
use crate::error::{Error, Result};
use crate::schema::{Column, Kind, time};

/// Hive's folder for rows without a partition value
/// (`hive.exec.default.partition.name`, <https://hive.apache.org/docs/latest/user/configuration-properties/>).
pub(crate) const DEFAULT_PARTITION: &str = "__HIVE_DEFAULT_PARTITION__";

/// The most bytes of a folder's name: `NAME_MAX` of the file systems that people use
/// (<https://man7.org/linux/man-pages/man7/path_resolution.7.html>). It is the limit on S3 as well, so that a
/// lake can be moved from the one to the other.
const MAX_FOLDER: usize = 255;

/// Room for what stands before and behind a folder in the key of an object, with the name of its table: the
/// place where generations wait, and the name of a file.
const AROUND: usize = 128;

/// What the first release escaped in a folder's name.
const FIRST: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// What Hive escapes, and Spark as well (`charToEscape` in
/// <https://github.com/apache/hive/blob/master/common/src/java/org/apache/hadoop/hive/common/FileUtils.java>).
const HIVE: &AsciiSet = &CONTROLS
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'\'')
    .add(b'*')
    .add(b'/')
    .add(b':')
    .add(b'=')
    .add(b'?')
    .add(b'\\')
    .add(b'{')
    .add(b'[')
    .add(b']')
    .add(b'^');

/// Before the value of a hidden partition, so that an empty text is not none.
const PRESENT: &str = "=";

/// Bytes of a value that are shown.
const SHOWN: usize = 60;

/// By what a table is partitioned.
#[derive(Debug)]
pub(crate) struct By {
    table: String,
    /// What the settings call the column.
    name: String,
    key: String,
    /// Its place in every batch.
    column: usize,
    is_personal: bool,
    granularity: Option<Granularity>,
    form: FolderForm,
    /// Where no folder tells the value, so that it must be that of Iceberg's transform, exactly.
    hidden: Option<Hidden>,
    /// The longest value in a folder's name.
    longest: usize,
    /// Whether rows with longer ones are in the default partition.
    keeps_long: bool,
}

/// What the value of a hidden partition is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hidden {
    /// The text itself, or how it begins.
    Text,
    /// A number, of days or of months, or what can be written as one.
    Counted,
}

impl Hidden {
    fn of(definition: &Definition, column: usize) -> Self {
        match definition.columns.get(column).map(|column| &column.kind) {
            Some(Kind::String | Kind::Json) => Self::Text,
            Some(_) | None => Self::Counted,
        }
    }
}

impl By {
    /// How rows of a table are partitioned whose column is at that place; nothing for one single partition.
    /// Keys have `room` bytes in the store.
    pub(crate) fn of(
        definition: &Definition,
        column: usize,
        room: usize,
        keeps_long: bool,
    ) -> Option<Self> {
        let by = definition.partition_by.as_ref()?;
        let key = by.key(definition.folders);
        let folder = room.saturating_sub(definition.table.len() + AROUND).min(MAX_FOLDER);
        Some(Self {
            table: definition.table.clone(),
            name: by.column.clone(),
            longest: folder.saturating_sub(key.len() + "=".len()),
            key,
            column,
            is_personal: definition.columns.get(column).is_some_and(Column::is_personal),
            granularity: by.granularity,
            form: definition.folders,
            hidden: definition.is_iceberg().then(|| Hidden::of(definition, column)),
            keeps_long,
        })
    }

    /// The folder of the files of a hidden partition: nobody reads it but people, so that a long value has none.
    fn hidden_folder(&self, value: Option<&str>) -> String {
        let value = value.map(|value| match self.hidden {
            Some(Hidden::Counted) => hidden::shown(value, self.granularity),
            Some(Hidden::Text) | None => value.to_owned(),
        });
        let folder = value.map_or_else(String::new, |value| escape(&value, FolderForm::First));
        let is_shown = !folder.is_empty() && folder.len() <= SHOWN;
        if is_shown { format!("{}={folder}/", self.key) } else { String::new() }
    }

    /// The start of a value, where it may be shown.
    fn shown(&self, value: &str) -> Option<String> {
        let mut end = SHOWN.min(value.len());
        while !value.is_char_boundary(end) {
            end -= 1;
        }
        let rest = if end < value.len() { "…" } else { "" };
        (!self.is_personal).then(|| format!("{}{rest}", value.get(..end).unwrap_or_default()))
    }
}

/// Rows that are in the default partition although they have a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Misplaced {
    /// The column, by the name that the settings have for it.
    pub column: String,
    /// The folder in which they are.
    pub folder: String,
    /// How many have come.
    pub count: u64,
    /// The value of the first, unless it is personal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub example: Option<String>,
    /// Whether their value is no date where one decides; otherwise it is too long for a folder's name.
    pub is_no_date: bool,
}

/// Gives every row the number of its partition.
#[derive(Debug)]
pub(crate) struct Partitioner {
    /// Nothing for one single partition.
    by: Option<By>,
    numbers: HashMap<String, u32>,
    values: Vec<String>,
    /// Rows with a value that names no partition, and that of the first.
    misplaced: u64,
    example: Option<String>,
}

impl Partitioner {
    /// That of a table. Keys have `room` bytes in the store; rows with longer values are refused, or kept in the default
    /// partition.
    pub(crate) fn of(definition: &Definition, room: usize, keeps_long: bool) -> Result<Self> {
        let by = definition.partition_by.as_ref().map(|by| -> Result<_> {
            let mut columns = definition.columns.iter();
            let position = columns.position(|column| column.is_called(&by.column));
            let position = position.ok_or_else(|| Error::Table {
                table: definition.table.clone(),
                reason: format!("its partition column `{}` is gone", by.column),
            })?;
            Ok(By::of(definition, position, room, keeps_long))
        });
        Ok(Self::new(by.transpose()?.flatten()))
    }

    /// A partitioner, for one partition where there is nothing.
    pub(crate) fn new(by: Option<By>) -> Self {
        Self { by, numbers: HashMap::new(), values: Vec::new(), misplaced: 0, example: None }
    }

    /// The folder of a partition below its table, with a slash behind it; empty without partitions.
    pub(crate) fn folder(&self, number: u32) -> Result<String> {
        match (&self.by, self.values.get(number as usize)) {
            (Some(by), Some(_)) if by.hidden.is_some() => {
                Ok(by.hidden_folder(self.hidden(number)?))
            }
            (Some(by), Some(value)) => Ok(format!("{}={}/", by.key, escape(value, by.form))),
            (None, _) => Ok(String::new()),
            (Some(_), None) => Err(Error::internal(format!("partition {number} is known"))),
        }
    }

    /// The value of a hidden partition, as its transform has it; nothing for rows that have none.
    pub(crate) fn hidden(&self, number: u32) -> Result<Option<&str>> {
        match (&self.by, self.values.get(number as usize)) {
            (None, _) => Ok(None),
            (Some(_), Some(value)) => Ok(value.strip_prefix(PRESENT)),
            (Some(_), None) => Err(Error::internal(format!("partition {number} is known"))),
        }
    }

    /// The rows that are in the default partition although they have a value.
    pub(crate) fn misplaced(&self) -> Option<Misplaced> {
        let by = self.by.as_ref().filter(|_| self.misplaced > 0)?;
        Some(Misplaced {
            column: by.name.clone(),
            folder: format!("{}={DEFAULT_PARTITION}", by.key),
            count: self.misplaced,
            example: self.example.clone(),
            is_no_date: by.granularity.is_some(),
        })
    }

    /// Counts what another has counted, whose rows this one has not seen or has seen again.
    pub(crate) fn follow(&mut self, other: &Self) {
        self.misplaced = other.misplaced;
        self.example.clone_from(&other.example);
    }

    /// The partition of every row.
    pub(crate) fn assign(&mut self, batch: &RecordBatch) -> Result<Vec<u32>> {
        let Some(by) = &self.by else {
            return Ok(vec![0; batch.num_rows()]);
        };
        let array = Arc::clone(batch.column(by.column));
        if by.hidden.is_some() {
            let granularity = by.granularity;
            return self.assign_hidden(&array, granularity);
        }
        let (granularity, longest, form) = (by.granularity, by.longest, by.form);
        let mut last: Option<(String, u32)> = None;
        let mut assigned = Vec::with_capacity(array.len());
        let options = FormatOptions::new();
        let formatter = match (granularity, array.data_type()) {
            (None, other) if !matches!(other, DataType::Timestamp(..)) => {
                Some(ArrayFormatter::try_new(&array, &options).map_err(Error::arrow)?)
            }
            _ => None,
        };
        let mut text = String::new();
        for row in 0..array.len() {
            text.clear();
            if array.is_null(row) {
                text.push_str(DEFAULT_PARTITION);
            } else if !value_of(&array, row, granularity, formatter.as_ref(), &mut text)? {
                self.misplace(array.as_string::<i32>().value(row));
                text.push_str(DEFAULT_PARTITION);
            }
            let number = match &last {
                Some((value, number)) if *value == text => *number,
                _ if is_longer(&text, longest, form) => {
                    self.refuse_long(&text)?;
                    self.number(DEFAULT_PARTITION)?
                }
                _ => {
                    let number = self.number(&text)?;
                    last = Some((text.clone(), number));
                    number
                }
            };
            assigned.push(number);
        }
        Ok(assigned)
    }

    /// The partition of every row by the exact value of a transform.
    fn assign_hidden(
        &mut self,
        array: &dyn Array,
        granularity: Option<Granularity>,
    ) -> Result<Vec<u32>> {
        let mut last: Option<(String, u32)> = None;
        let mut text = String::new();
        let mut assigned = Vec::with_capacity(array.len());
        for row in 0..array.len() {
            text.clear();
            if !array.is_null(row) {
                text.push_str(PRESENT);
                hidden::value(array, row, granularity, &mut text)?;
            }
            let number = match &last {
                Some((value, number)) if *value == text => *number,
                Some(_) | None => {
                    let number = self.number(&text)?;
                    last = Some((text.clone(), number));
                    number
                }
            };
            assigned.push(number);
        }
        Ok(assigned)
    }

    /// Counts a value that names no partition: its column still tells it.
    fn misplace(&mut self, value: &str) {
        self.misplaced += 1;
        if self.example.is_none() {
            self.example = self.by.as_ref().and_then(|by| by.shown(value));
        }
    }

    /// A value is too long for a folder's name.
    fn refuse_long(&mut self, value: &str) -> Result<()> {
        let Some(by) = self.by.as_ref().filter(|by| !by.keeps_long) else {
            self.misplace(value);
            return Ok(());
        };
        let shown = by.shown(value).map_or_else(
            || "a value (not shown: the column is personal)".into(),
            |shown| format!("the value `{shown}`"),
        );
        Err(Error::Table {
            table: by.table.clone(),
            reason: format!(
                "{shown} of its partition column `{}` makes the name of a folder that is too long: {} bytes, of \
                 {} that there is room for; partition by another column, or set `on_invalid` to `null`, and such rows \
                 are in {}={DEFAULT_PARTITION}",
                by.name,
                escape(value, by.form).len(),
                by.longest,
                by.key,
            ),
        })
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

/// Appends the value of a row's partition. Whether it has one.
fn value_of(
    array: &dyn Array,
    row: usize,
    granularity: Option<Granularity>,
    formatter: Option<&ArrayFormatter<'_>>,
    text: &mut String,
) -> Result<bool> {
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
            return Ok(true);
        }
        Some(part) => part.characters() as usize,
    };
    let is_hour = granularity == Some(Granularity::Hour);
    let seconds = match array.data_type() {
        DataType::Utf8 => {
            let value = array.as_string::<i32>().value(row);
            // The day as it is written, so that the folder agrees with the column.
            let day = value.get(..10).filter(|day| time::date(day.as_bytes()).is_some());
            if is_hour {
                let hour = day.and(hour(value));
                let before = text.len();
                text.extend(day.into_iter().zip(hour).flat_map(|(day, hour)| [day, "T", hour]));
                return Ok(text.len() > before);
            }
            let day = day.and_then(|day| day.get(..length));
            text.push_str(day.unwrap_or_default());
            return Ok(day.is_some());
        }
        DataType::Date32 => i64::from(array.as_primitive::<Date32Type>().value(row)) * 86_400,
        DataType::Timestamp(..) => {
            array.as_primitive::<TimestampMicrosecondType>().value(row).div_euclid(1_000_000)
        }
        other => {
            return Err(Error::internal(format!("a partition is cut by a date, not by {other}")));
        }
    };
    let date = chrono::DateTime::from_timestamp(seconds, 0);
    let form = if is_hour { "%Y-%m-%dT%H" } else { "%Y-%m-%d" };
    let date = date.ok_or_else(|| beyond_calendar(seconds))?.format(form).to_string();
    // A year before 0 or beyond 9999 has a sign, and no partition of its own.
    text.push_str(date.get(..length).unwrap_or(DEFAULT_PARTITION));
    Ok(true)
}

/// The hour of a text that begins with a date and a time.
fn hour(text: &str) -> Option<&str> {
    let hour = text.get(11..13)?;
    let is_hour = hour.bytes().all(|byte| byte.is_ascii_digit()) && hour < "24";
    let is_time = matches!(text.as_bytes().get(10), Some(b'T' | b't' | b' '));
    (is_hour && is_time && text.as_bytes().get(13) == Some(&b':')).then_some(hour)
}

fn beyond_calendar(value: i64) -> Error {
    Error::internal(format!("a date is within the calendar, not {value}"))
}

/// Whether a column of this type can be cut by a granularity: a date has no hours.
pub(crate) fn is_dated(data_type: &DataType, granularity: Granularity) -> bool {
    match data_type {
        DataType::Utf8 | DataType::Timestamp(..) => true,
        DataType::Date32 => granularity != Granularity::Hour,
        _ => false,
    }
}

/// Escapes a partition value, so that it is one plain path segment behind its key.
fn escape(value: &str, form: FolderForm) -> String {
    match form {
        FolderForm::First => {
            let escaped = utf8_percent_encode(value, FIRST).to_string();
            let is_dots = escaped.bytes().all(|byte| byte == b'.');
            if is_dots { escaped.replace('.', "%2E") } else { escaped }
        }
        FolderForm::Hive => {
            let mut escaped = String::with_capacity(value.len());
            for character in value.chars() {
                match character {
                    // S3 lists keys as XML, which has no word for these
                    // (<https://www.w3.org/TR/xml/#charsets>).
                    '\u{fffe}' | '\u{ffff}' => {
                        let mut bytes = [0; 4];
                        let bytes = character.encode_utf8(&mut bytes).as_bytes();
                        escaped.extend(percent_encode(bytes, NON_ALPHANUMERIC));
                    }
                    character if character.is_ascii() => {
                        let mut bytes = [0; 4];
                        let text = character.encode_utf8(&mut bytes);
                        escaped.extend(utf8_percent_encode(text, HIVE));
                    }
                    character => escaped.push(character),
                }
            }
            escaped
        }
    }
}

/// Whether a value has more bytes than that once it is escaped.
fn is_longer(value: &str, longest: usize, form: FolderForm) -> bool {
    // An escaped byte is three.
    value.len() > longest / 3 && escape(value, form).len() > longest
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
    use crate::table::definition::PartitionBy;
    use arrow::array::{ArrayRef, Date32Array, Int64Array, StringArray, TimestampMicrosecondArray};
    use proptest::prelude::*;

    fn partitioner(
        granularity: Option<Granularity>,
        form: FolderForm,
        keeps_long: bool,
    ) -> Partitioner {
        let by = PartitionBy { column: "c".into(), granularity, name: None };
        let by = By {
            table: "t".into(),
            name: "c".into(),
            key: by.key(form),
            column: 0,
            is_personal: false,
            granularity,
            form,
            hidden: None,
            longest: MAX_FOLDER - "p_c=".len(),
            keeps_long,
        };
        Partitioner::new(Some(by))
    }

    fn batch(array: ArrayRef) -> RecordBatch {
        RecordBatch::try_from_iter([("c", array)]).unwrap()
    }

    fn folders_of(mut partitioner: Partitioner, array: ArrayRef) -> Vec<String> {
        let numbers = partitioner.assign(&batch(array)).unwrap();
        numbers.into_iter().map(|number| partitioner.folder(number).unwrap()).collect()
    }

    fn folders(array: ArrayRef, granularity: Option<Granularity>) -> Vec<String> {
        folders_of(partitioner(granularity, FolderForm::Hive, false), array)
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
    fn an_hour_is_that_which_is_written_and_what_has_none_goes_to_the_default() {
        let texts = StringArray::from(vec![
            "2024-03-05T09:00:00+02:00",
            "2024-03-05 23:59",
            "2024-03-05t00:00:00Z",
            "2024-03-05",
            "2024-03-05T24:00:00Z",
            "2024-02-30T01:00:00Z",
            "2024-03-05T1",
            "2024-03-05Tü:00",
        ]);
        let found = folders(Arc::new(texts), Some(Granularity::Hour));
        let (hours, rest) = found.split_at(3);
        assert_eq!(hours, ["hour=2024-03-05T09/", "hour=2024-03-05T23/", "hour=2024-03-05T00/"]);
        assert_eq!(rest, vec![format!("hour={DEFAULT_PARTITION}/"); 5]);
    }

    #[test]
    fn dates_and_instants_are_cut_in_utc() {
        let dates = Date32Array::from(vec![0, -1]);
        assert_eq!(
            folders(Arc::new(dates), Some(Granularity::Day)),
            ["dt=1970-01-01/", "dt=1969-12-31/"]
        );
        let hours = TimestampMicrosecondArray::from(vec![-1, 1_510_871_468_000_001]);
        assert_eq!(
            folders(Arc::new(hours.with_timezone("UTC")), Some(Granularity::Hour)),
            ["hour=1969-12-31T23/", "hour=2017-11-16T22/"]
        );
        let instants = TimestampMicrosecondArray::from(vec![-1]).with_timezone("UTC");
        assert_eq!(folders(Arc::new(instants), Some(Granularity::Year)), ["year=1969/"]);
    }

    #[test]
    fn values_that_are_no_dates_are_counted_with_the_first_of_them() {
        let mut partitioner = partitioner(Some(Granularity::Month), FolderForm::Hive, false);
        assert_eq!(partitioner.misplaced(), None);
        let long = "ü".repeat(50);
        for texts in
            [vec![Some("2024-03-05"), None], vec![Some(&*long), Some("2024-02-30"), Some("")]]
        {
            partitioner.assign(&batch(Arc::new(StringArray::from(texts)))).unwrap();
        }
        let misplaced = Misplaced {
            column: "c".into(),
            folder: format!("month={DEFAULT_PARTITION}"),
            count: 3,
            example: Some(format!("{}…", "ü".repeat(30))),
            is_no_date: true,
        };
        assert_eq!(partitioner.misplaced(), Some(misplaced));
        let mut other = Partitioner::new(partitioner.by.take());
        other.by.as_mut().unwrap().is_personal = true;
        other.assign(&batch(Arc::new(StringArray::from(vec!["soon"])))).unwrap();
        assert_eq!(other.misplaced().unwrap().example, None);
    }

    #[test]
    fn a_folder_tells_its_value_again() {
        for form in [FolderForm::First, FolderForm::Hive] {
            for text in [
                "2026-11",
                "a/b",
                "..",
                "Zürich",
                "100%",
                "x=y",
                "a b+c",
                "\u{ffff}",
                DEFAULT_PARTITION,
            ] {
                let folder = format!("p_c={}/", escape(text, form));
                assert_eq!(value(&folder, "p_c").as_deref(), Some(text));
            }
        }
        for other in ["p_d=1/", "p_c=1", "p_c=/", "p_c=1/x/", "p_c=%f/", ""] {
            assert_eq!(value(other, "p_c"), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn any_value_is_one_segment_and_comes_back(text in "\\PC{1,40}|[\\x00-\\x7f]{1,40}", is_first: bool) {
            let form = if is_first { FolderForm::First } else { FolderForm::Hive };
            let folder = format!("p_c={}/", escape(&text, form));
            prop_assert_eq!(folder.matches('/').count(), 1);
            prop_assert!(!folder.contains(char::is_control) || text.chars().any(|c| c.is_control() && !c.is_ascii()));
            prop_assert_eq!(value(&folder, "p_c"), Some(text));
        }
    }

    #[test]
    fn a_value_that_no_folder_can_be_named_by_is_refused() {
        // With `p_c=` before them.
        for (form, fits, long) in [
            (FolderForm::Hive, "x".repeat(251), "x".repeat(252)),
            (FolderForm::Hive, "ü".repeat(125) + "x", "ü".repeat(126)),
            (FolderForm::Hive, "/".repeat(83) + "xx", "/".repeat(84)),
            (FolderForm::First, "ü".repeat(41) + "12345", "ü".repeat(42)),
        ] {
            let texts = |texts: &[&str]| Arc::new(StringArray::from_iter_values(texts)) as ArrayRef;
            let found = folders_of(partitioner(None, form, false), texts(&[&fits]));
            assert_eq!(found[0].len(), MAX_FOLDER + 1, "{found:?}");
            let mut strict = partitioner(None, form, false);
            let error = strict.assign(&batch(texts(&[&fits, &long]))).unwrap_err().to_string();
            assert!(
                error.starts_with("table `t`: the value `") && error.contains("column `c`"),
                "{error}"
            );
            assert!(!error.contains(&long) && error.contains("`on_invalid`"), "{error}");
            let mut lenient = partitioner(None, form, true);
            let numbers = lenient.assign(&batch(texts(&[&long, &fits, &long]))).unwrap();
            let default = format!("p_c={DEFAULT_PARTITION}/");
            assert_eq!(lenient.folder(numbers[0]).unwrap(), default);
            assert_eq!((numbers[0], lenient.misplaced().unwrap().count), (numbers[2], 2));
            strict.by.as_mut().unwrap().is_personal = true;
            let error = strict.assign(&batch(texts(&[&long]))).unwrap_err().to_string();
            assert!(error.contains("not shown"), "{error}");
        }
    }

    #[test]
    fn a_folder_leaves_room_for_the_key_of_its_objects() {
        let lake = crate::testing::LakeFolder::new();
        let spec = crate::table::spec::Spec {
            partition_by: Some(PartitionBy {
                column: "name".into(),
                granularity: None,
                name: None,
            }),
            ..crate::testing::by_month()
        };
        let table = crate::write::Table::open(&lake.lake(), &Arc::new(spec)).unwrap();
        let longest = |room| By::of(table.definition(), 0, room, false).unwrap().longest;
        assert_eq!((longest(1024), longest(usize::MAX)), (248, 248));
        assert_eq!(longest(300), 300 - AROUND - "t".len() - "p_name=".len());
        assert_eq!(longest(10), 0);
    }

    #[test]
    fn values_are_one_path_segment() {
        let texts = || Arc::new(StringArray::from(vec!["a/b", "..", "Zürich", "a b", "a:b{c}~"]));
        let hive = ["p_c=a%2Fb/", "p_c=../", "p_c=Zürich/", "p_c=a b/", "p_c=a%3Ab%7Bc}~/"];
        assert_eq!(folders(texts(), None), hive);
        let first =
            ["p_c=a%2Fb/", "p_c=%2E%2E/", "p_c=Z%C3%BCrich/", "p_c=a%20b/", "p_c=a%3Ab%7Bc%7D%7E/"];
        assert_eq!(folders_of(partitioner(None, FolderForm::First, false), texts()), first);
        assert_eq!(folders(Arc::new(Int64Array::from(vec![-5])), None), ["p_c=-5/"]);
    }
}
