//! Manifests: the files of a table with what is known of each, and the list of a snapshot that names them
//! (<https://iceberg.apache.org/spec/#manifests>).

use apache_avro::types::Value;

use super::avro::{Records, get, none, number, present, set, some, text};
use super::avro_schema::avro_name;
use super::metadata::Metadata;
use super::metrics::{Column, Metrics};
use super::spec;
use super::value::{Form, Single};
use crate::error::{Error, Result};

/// An entry of a manifest that says that a file was there before its snapshot.
pub(super) const EXISTING: i64 = 0;

/// One that says that a file has gone by its snapshot.
pub(super) const DELETED: i64 = 2;

/// A new data file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DataFile {
    /// Its key in the store.
    pub(crate) key: String,
    /// In bytes.
    pub(crate) size: u64,
    /// The values of its partition, in the order of the default spec.
    pub(crate) partition: Vec<Single>,
    /// What its footer says.
    pub(crate) metrics: Metrics,
}

/// The fields of a spec of the table, as they are written; an error names one that this program does not write.
pub(super) fn forms(metadata: &Metadata, spec_id: i64) -> Result<Vec<(String, i64, Form)>> {
    let fields = spec::forms(metadata.spec(spec_id), metadata.schema()).into_iter();
    let known = fields.map(|(name, id, form)| {
        let form = form.ok_or_else(|| {
            let reason = format!("its partition field `{name}` is none that this program writes");
            Error::store("write", metadata.location(), reason)
        })?;
        Ok((name, id, form))
    });
    known.collect()
}

/// The header of new manifests of the default spec.
pub(super) fn header(metadata: &Metadata) -> Vec<(String, Vec<u8>)> {
    let entries = [
        ("schema", metadata.schema().to_string()),
        ("schema-id", metadata.json()["current-schema-id"].to_string()),
        // The fields alone, unlike in the metadata.
        ("partition-spec", metadata.default_spec().to_string()),
        ("partition-spec-id", metadata.default_spec_id().to_string()),
        ("format-version", "2".into()),
        ("content", "data".into()),
    ];
    entries.map(|(key, value)| (key.to_owned(), value.into_bytes())).into()
}

/// The entry of a new file, whose sequence numbers are those of its snapshot.
pub(super) fn added(
    file: &DataFile,
    path: &str,
    snapshot: i64,
    fields: &[(String, i64, Form)],
) -> Value {
    let metrics = &file.metrics;
    let pairs = |of: &dyn Fn(Column<'_>) -> Option<Value>| {
        let pair = |column: Column<'_>| {
            let entry = [("key", Value::Int(column.id)), ("value", of(column)?)];
            Some(Value::Record(entry.map(|(name, value)| (name.to_owned(), value)).into()))
        };
        some(Value::Array(metrics.columns().filter_map(pair).collect()))
    };
    let bytes = |bound: Option<&[u8]>| bound.map(|bound| Value::Bytes(bound.to_owned()));
    let partition = fields
        .iter()
        .zip(&file.partition)
        .map(|((name, _, form), value)| (avro_name(name), value.avro(*form)))
        .collect();
    let offsets = metrics.offsets().iter().map(|offset| Value::Long(*offset)).collect();
    let data_file = Value::Record(vec![
        ("content".into(), Value::Int(0)),
        ("file_path".into(), Value::String(path.to_owned())),
        ("file_format".into(), Value::String("PARQUET".into())),
        ("partition".into(), Value::Record(partition)),
        ("record_count".into(), Value::Long(metrics.rows())),
        ("file_size_in_bytes".into(), Value::Long(i64::try_from(file.size).unwrap_or(i64::MAX))),
        ("column_sizes".into(), pairs(&|column| Some(Value::Long(column.size)))),
        ("value_counts".into(), pairs(&|column| Some(Value::Long(column.values)))),
        ("null_value_counts".into(), pairs(&|column| column.nulls.map(Value::Long))),
        ("nan_value_counts".into(), none()),
        ("lower_bounds".into(), pairs(&|column| bytes(column.lower))),
        ("upper_bounds".into(), pairs(&|column| bytes(column.upper))),
        ("key_metadata".into(), none()),
        ("split_offsets".into(), some(Value::Array(offsets))),
        ("equality_ids".into(), none()),
        ("sort_order_id".into(), some(Value::Int(0))),
        ("referenced_data_file".into(), none()),
    ]);
    Value::Record(vec![
        ("status".into(), Value::Int(1)),
        ("snapshot_id".into(), some(Value::Long(snapshot))),
        ("sequence_number".into(), none()),
        ("file_sequence_number".into(), none()),
        ("data_file".into(), data_file),
    ])
}

/// A file as a manifest has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a>(pub(super) &'a Value);

impl<'a> Entry<'a> {
    pub(super) fn status(self) -> i64 {
        number(self.0, "status").unwrap_or(EXISTING)
    }

    pub(super) fn snapshot(self) -> Option<i64> {
        number(self.0, "snapshot_id")
    }

    fn file(self) -> Option<&'a Value> {
        get(self.0, "data_file")
    }

    pub(super) fn path(self) -> &'a str {
        self.file().and_then(|file| text(file, "file_path")).unwrap_or_default()
    }

    pub(super) fn rows(self) -> i64 {
        self.file().and_then(|file| number(file, "record_count")).unwrap_or(0)
    }

    pub(super) fn size(self) -> i64 {
        self.file().and_then(|file| number(file, "file_size_in_bytes")).unwrap_or(0)
    }

    /// The values of its partition, in the order of its manifest's spec.
    pub(super) fn partition(self) -> Vec<Single> {
        match self.file().and_then(|file| get(file, "partition")) {
            Some(Value::Record(fields)) => {
                fields.iter().map(|(_, value)| Single::read(value)).collect()
            }
            Some(_) | None => Vec::new(),
        }
    }
}

/// The files that a manifest of a list keeps or brings, as another manifest has them of a later snapshot.
pub(super) fn kept<'a>(
    entries: Records<'a>,
    row: Row<'a>,
) -> impl Iterator<Item = Result<Value>> + 'a {
    let kept = move |entry: Result<Value>| {
        let is_kept = entry.as_ref().map_or(true, |entry| Entry(entry).status() != DELETED);
        is_kept.then(|| {
            let mut entry = entry?;
            inherit(&mut entry, row.0);
            set(&mut entry, "status", Value::Int(0));
            Ok(entry)
        })
    };
    entries.filter_map(kept)
}

/// Makes explicit what an entry has by its manifest: it is about to be copied into another.
fn inherit(entry: &mut Value, row: &Value) {
    if number(entry, "snapshot_id").is_none() {
        let snapshot = number(row, "added_snapshot_id").unwrap_or(0);
        set(entry, "snapshot_id", Value::Long(snapshot));
    }
    for name in ["sequence_number", "file_sequence_number"] {
        if number(entry, name).is_none() {
            let sequence = number(row, "sequence_number").unwrap_or(0);
            set(entry, name, Value::Long(sequence));
        }
    }
}

/// A manifest in the list of a snapshot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a>(pub(super) &'a Value);

impl<'a> Row<'a> {
    pub(super) fn path(self) -> &'a str {
        text(self.0, "manifest_path").unwrap_or_default()
    }

    pub(super) fn is_of_deletes(self) -> bool {
        number(self.0, "content") == Some(1)
    }

    pub(super) fn spec(self) -> i64 {
        number(self.0, "partition_spec_id").unwrap_or(0)
    }

    pub(super) fn snapshot(self) -> i64 {
        number(self.0, "added_snapshot_id").unwrap_or(0)
    }

    /// How many files it brings or keeps. Where a writer did not count there may be one.
    pub(super) fn live(self) -> i64 {
        let count = |name: &str, former: &str| {
            number(self.0, name).or_else(|| number(self.0, former)).unwrap_or(1)
        };
        count("added_files_count", "added_data_files_count")
            + count("existing_files_count", "existing_data_files_count")
    }

    pub(super) fn deleted(self) -> i64 {
        number(self.0, "deleted_files_count")
            .or_else(|| number(self.0, "deleted_data_files_count"))
            .unwrap_or(1)
    }

    /// Whether it may have files of a partition with these values.
    pub(super) fn may_hold(self, partition: &[Single]) -> bool {
        let Some(Value::Array(summaries)) = get(self.0, "partitions") else { return true };
        summaries.iter().zip(partition).all(|(summary, value)| {
            if *value == Single::Null {
                return !matches!(get(summary, "contains_null"), Some(Value::Boolean(false)));
            }
            let bound = |name: &str| match get(summary, name) {
                Some(Value::Bytes(bytes)) => value.of_bound(bytes),
                _ => None,
            };
            let is_above = bound("lower_bound").is_none_or(|lower| lower <= *value);
            let is_below = bound("upper_bound").is_none_or(|upper| *value <= upper);
            is_above && is_below
        })
    }
}

/// What the list says of a manifest, counted as its entries are written.
#[derive(Debug)]
pub(super) struct Tally {
    counts: Counts,
    /// The least sequence number of what is there.
    least: i64,
    sequence: i64,
    fields: Vec<Field>,
}

/// The values that the files of a manifest have of a partition field.
#[derive(Debug)]
struct Field {
    /// Nothing where this program does not write such values.
    form: Option<Form>,
    has_null: bool,
    has_other: bool,
    known: Option<(Single, Single)>,
}

impl Tally {
    /// Of a manifest of the snapshot of this sequence number, with a spec of these fields.
    pub(super) fn new(forms: impl IntoIterator<Item = Option<Form>>, sequence: i64) -> Self {
        let field = |form| Field { form, has_null: false, has_other: false, known: None };
        let fields = forms.into_iter().map(field).collect();
        Self { counts: Counts::default(), least: sequence, sequence, fields }
    }

    /// Counts an entry.
    pub(super) fn count(&mut self, entry: &Value) {
        let own = Entry(entry);
        self.counts.count(own);
        if own.status() != DELETED {
            let sequence = number(entry, "sequence_number").unwrap_or(self.sequence);
            self.least = self.least.min(sequence);
        }
        for (field, value) in self.fields.iter_mut().zip(own.partition()) {
            field.count(value);
        }
    }

    /// The manifest, as the list has it.
    pub(super) fn row(&self, path: &str, length: usize, spec_id: i64, snapshot: i64) -> Value {
        let mut row = vec![
            ("manifest_path".into(), Value::String(path.to_owned())),
            ("manifest_length".into(), Value::Long(i64::try_from(length).unwrap_or(i64::MAX))),
            ("partition_spec_id".into(), Value::Int(i32::try_from(spec_id).unwrap_or(i32::MAX))),
            ("content".into(), Value::Int(0)),
            ("sequence_number".into(), Value::Long(self.sequence)),
            ("min_sequence_number".into(), Value::Long(self.least)),
            ("added_snapshot_id".into(), Value::Long(snapshot)),
        ];
        row.extend(self.counts.values());
        let summaries = self.fields.iter().map(Field::summary).collect();
        row.extend([
            ("partitions".into(), some(Value::Array(summaries))),
            ("key_metadata".into(), none()),
        ]);
        Value::Record(row)
    }
}

impl Field {
    fn count(&mut self, value: Single) {
        match value {
            Single::Null => self.has_null = true,
            Single::Other(_) => self.has_other = true,
            value => {
                self.known = Some(match self.known.take() {
                    None => (value.clone(), value),
                    Some((least, most)) if value < least => (value, most),
                    Some((least, most)) if value > most => (least, value),
                    Some(known) => known,
                });
            }
        }
    }

    /// The least and the greatest, where all can be compared.
    fn summary(&self) -> Value {
        let known = self.known.as_ref().filter(|_| !self.has_other);
        let bound = |value: Option<&Single>| {
            let bytes = value.zip(self.form).and_then(|(value, form)| value.bytes(form));
            bytes.map_or_else(none, |bytes| some(Value::Bytes(bytes)))
        };
        Value::Record(vec![
            ("contains_null".into(), Value::Boolean(self.has_null)),
            ("contains_nan".into(), none()),
            ("lower_bound".into(), bound(known.map(|(least, _)| least))),
            ("upper_bound".into(), bound(known.map(|(_, most)| most))),
        ])
    }
}

/// How many files, and rows in them, a manifest brings, keeps and takes away.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Counts {
    files: [i64; 3],
    rows: [i64; 3],
}

/// The fields of a list that count, by what the entries of a manifest say of their files (`EXISTING` is 0, `ADDED` 1,
/// `DELETED` 2); those of files with the name that they had once.
const COUNTS: [(usize, &str, &str, &str); 3] = [
    (1, "added_files_count", "added_data_files_count", "added_rows_count"),
    (0, "existing_files_count", "existing_data_files_count", "existing_rows_count"),
    (2, "deleted_files_count", "deleted_data_files_count", "deleted_rows_count"),
];

impl Counts {
    /// Counted in the manifest itself.
    pub(super) fn of(entries: Records<'_>) -> Result<Self> {
        let mut counts = Self::default();
        for entry in entries {
            counts.count(Entry(&entry?));
        }
        Ok(counts)
    }

    fn count(&mut self, entry: Entry<'_>) {
        let Ok(at) = usize::try_from(entry.status()) else { return };
        if let (Some(files), Some(rows)) = (self.files.get_mut(at), self.rows.get_mut(at)) {
            *files += 1;
            *rows += entry.rows();
        }
    }

    /// As a list has them; nothing where one is missing, which version 1 allows
    /// (<https://iceberg.apache.org/spec/#manifest-lists>).
    fn told(row: &Value) -> Option<Self> {
        let mut counts = Self::default();
        for (at, files, former, rows) in COUNTS {
            *counts.files.get_mut(at)? = number(row, files).or_else(|| number(row, former))?;
            *counts.rows.get_mut(at)? = number(row, rows)?;
        }
        Some(counts)
    }

    /// As fields of a list: first all files, then all rows.
    fn values(self) -> Vec<(String, Value)> {
        let of = |counts: [i64; 3], at: usize| counts.get(at).copied().unwrap_or_default();
        let int = |count: i64| Value::Int(i32::try_from(count).unwrap_or(i32::MAX));
        let files = COUNTS.map(|(at, name, ..)| (name.to_owned(), int(of(self.files, at))));
        let rows = COUNTS.map(|(at, .., name)| (name.to_owned(), Value::Long(of(self.rows, at))));
        files.into_iter().chain(rows).collect()
    }
}

/// A manifest of another list, of any writer, in the columns of ours. What was not counted is counted in the manifest: a
/// reader takes one that is said to have no file for one that has none. What version 1 has no name for is what its files
/// have by the specification.
pub(super) fn carried(row: &Value, counted: impl FnOnce() -> Result<Counts>) -> Result<Value> {
    let known = |name: &str| {
        number(row, name).ok_or_else(|| {
            let reason = format!("the list that names it does not say its `{name}`: it is damaged");
            Error::store("read", Row(row).path(), reason)
        })
    };
    let or_zero = |name: &str| number(row, name).unwrap_or(0);
    let int = |number: i64| Value::Int(i32::try_from(number).unwrap_or(i32::MAX));
    let counts = match Counts::told(row) {
        Some(counts) => counts,
        None => counted()?,
    };
    let optional = |record: &Value, name: &str| {
        get(record, name).map_or_else(none, |known| some(known.clone()))
    };
    let summary = |summary: &Value| {
        let has_null = get(summary, "contains_null").cloned().unwrap_or(Value::Boolean(true));
        Value::Record(vec![
            ("contains_null".into(), has_null),
            ("contains_nan".into(), optional(summary, "contains_nan")),
            ("lower_bound".into(), optional(summary, "lower_bound")),
            ("upper_bound".into(), optional(summary, "upper_bound")),
        ])
    };
    let partitions = match get(row, "partitions") {
        Some(Value::Array(known)) => {
            let known = known.iter().filter_map(present);
            some(Value::Array(known.map(summary).collect()))
        }
        Some(_) | None => none(),
    };
    let mut carried = vec![
        ("manifest_path".into(), Value::String(Row(row).path().to_owned())),
        ("manifest_length".into(), Value::Long(known("manifest_length")?)),
        ("partition_spec_id".into(), int(known("partition_spec_id")?)),
        ("content".into(), int(or_zero("content"))),
        ("sequence_number".into(), Value::Long(or_zero("sequence_number"))),
        ("min_sequence_number".into(), Value::Long(or_zero("min_sequence_number"))),
        ("added_snapshot_id".into(), Value::Long(known("added_snapshot_id")?)),
    ];
    carried.extend(counts.values());
    carried.extend([
        ("partitions".into(), partitions),
        ("key_metadata".into(), optional(row, "key_metadata")),
    ]);
    Ok(Value::Record(carried))
}
