//! What manifests say of the files of a snapshot, beside what is in the files: engines pass over files by it
//! (<https://iceberg.apache.org/spec/#scan-planning>).

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use apache_avro::types::Value as Avro;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::statistics::Statistics;
use serde_json::Value;

use super::avro::{get, number, present};
use super::manifest::{DELETED, Entry, Row};
use super::metadata::Metadata;
use super::table::Table;
use crate::error::Result;

/// What a manifest says of a file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said {
    rows: i64,
    nulls: BTreeMap<i32, i64>,
    lower: BTreeMap<i32, Vec<u8>>,
    upper: BTreeMap<i32, Vec<u8>>,
}

/// A column of values, by its id.
#[derive(Debug, Clone)]
pub(crate) struct Leaf {
    id: i32,
    /// As the schema calls its type.
    kind: String,
}

/// A value that can be compared with others of its column.
#[derive(Debug, PartialEq, PartialOrd)]
enum Ordered {
    Whole(i128),
    Real(f64),
    Bytes(Vec<u8>),
}

impl Table {
    /// What the manifests of the current snapshot say of its files, by their paths.
    pub(crate) fn said(&self, metadata: &Metadata) -> Result<HashMap<String, Said>> {
        let Some(current) = metadata.current() else { return Ok(HashMap::new()) };
        let rows = self.list(current)?;
        let mut said = HashMap::new();
        for row in rows.iter().map(Row).filter(|row| row.live() > 0 && !row.is_of_deletes()) {
            for entry in &self.manifest(row.path())?.records {
                if Entry(entry).status() != DELETED {
                    said.insert(Entry(entry).path().to_owned(), Said::of(entry));
                }
            }
        }
        Ok(said)
    }
}

impl Said {
    fn of(entry: &Avro) -> Self {
        let file = get(entry, "data_file");
        let counts = |name| {
            pairs(file, name, |value| match value {
                Avro::Long(count) => Some(*count),
                _ => None,
            })
        };
        let bounds = |name| {
            pairs(file, name, |value| match value {
                Avro::Bytes(bytes) => Some(bytes.clone()),
                _ => None,
            })
        };
        Self {
            rows: file.and_then(|file| number(file, "record_count")).unwrap_or(-1),
            nulls: counts("null_value_counts"),
            lower: bounds("lower_bounds"),
            upper: bounds("upper_bounds"),
        }
    }

    /// In what it is not so, by the footer of the file. `leaves` are the table's columns by the paths of their
    /// files.
    pub(crate) fn differences(
        &self,
        groups: &[RowGroupMetaData],
        leaves: &HashMap<String, Leaf>,
    ) -> Vec<String> {
        let mut differences = Vec::new();
        let rows: i64 = groups.iter().map(RowGroupMetaData::num_rows).sum();
        if rows != self.rows {
            differences.push(format!("rows: {rows}, and {} by its manifest", self.rows));
        }
        let mut nulls: BTreeMap<i32, (String, u64)> = BTreeMap::new();
        for column in groups.iter().flat_map(RowGroupMetaData::columns) {
            let path = column.column_path().string();
            let Some(leaf) = leaves.get(&path) else { continue };
            let Some(statistics) = column.statistics() else { continue };
            if let Some(count) = statistics.null_count_opt() {
                nulls.entry(leaf.id).or_insert_with(|| (path.clone(), 0)).1 += count;
            }
            for (bounds, is_lower) in [(&self.lower, true), (&self.upper, false)] {
                let said = bounds.get(&leaf.id).and_then(|bytes| Ordered::said(&leaf.kind, bytes));
                let there = Ordered::there(column, statistics, is_lower);
                let (Some(said), Some(there)) = (said, there) else { continue };
                let wrong = if is_lower { Ordering::Greater } else { Ordering::Less };
                if said.partial_cmp(&there) == Some(wrong) {
                    differences
                        .push(format!("values of `{path}` are beyond the bounds of its manifest"));
                }
            }
        }
        for (id, (path, count)) in nulls {
            match self.nulls.get(&id) {
                Some(said) if u64::try_from(*said) != Ok(count) => differences
                    .push(format!("nulls of `{path}`: {count}, and {said} by its manifest")),
                Some(_) | None => {}
            }
        }
        differences.dedup();
        differences
    }
}

/// The leaves of a table outside of lists, by the paths that they have in files.
pub(crate) fn leaves(metadata: &Metadata) -> HashMap<String, Leaf> {
    let mut leaves = HashMap::new();
    flatten(&metadata.schema()["fields"], "", &mut leaves);
    leaves
}

fn flatten(fields: &Value, within: &str, leaves: &mut HashMap<String, Leaf>) {
    for field in fields.as_array().into_iter().flatten() {
        let path = format!("{within}{}", field["name"].as_str().unwrap_or_default());
        match &field["type"] {
            Value::String(kind) => {
                let id = field["id"].as_i64().and_then(|id| i32::try_from(id).ok());
                if let Some(id) = id {
                    leaves.insert(path, Leaf { id, kind: kind.clone() });
                }
            }
            inner if inner["type"] == "struct" => {
                flatten(&inner["fields"], &format!("{path}."), leaves);
            }
            _ => {}
        }
    }
}

/// The pairs of a map with numbers for keys.
fn pairs<T>(
    file: Option<&Avro>,
    name: &str,
    read: impl Fn(&Avro) -> Option<T>,
) -> BTreeMap<i32, T> {
    let map = file.and_then(|file| get(file, name)).and_then(present);
    let Some(Avro::Array(entries)) = map else { return BTreeMap::new() };
    let pair = |entry: &Avro| {
        let key = number(entry, "key").and_then(|key| i32::try_from(key).ok())?;
        Some((key, read(get(entry, "value")?)?))
    };
    entries.iter().filter_map(pair).collect()
}

impl Ordered {
    /// The value of a bound of a manifest.
    fn said(kind: &str, bytes: &[u8]) -> Option<Self> {
        let whole = || match bytes.len() {
            1 => bytes.first().map(|byte| i128::from(*byte)),
            4 => Some(i128::from(i32::from_le_bytes(bytes.try_into().ok()?))),
            8 => Some(i128::from(i64::from_le_bytes(bytes.try_into().ok()?))),
            _ => None,
        };
        Some(match kind {
            "boolean" | "int" | "long" | "date" | "timestamp" | "timestamptz" => {
                Self::Whole(whole()?)
            }
            "double" | "float" => Self::Real(match bytes.len() {
                4 => f64::from(f32::from_le_bytes(bytes.try_into().ok()?)),
                _ => f64::from_le_bytes(bytes.try_into().ok()?),
            }),
            "string" | "binary" => Self::Bytes(bytes.to_vec()),
            decimal if decimal.starts_with("decimal") => Self::Whole(big_endian(bytes)?),
            _ => return None,
        })
    }

    /// The least or greatest value by a footer; nothing where that names another that is beyond it.
    fn there(
        column: &ColumnChunkMetaData,
        statistics: &Statistics,
        is_least: bool,
    ) -> Option<Self> {
        let is_exact = if is_least { statistics.min_is_exact() } else { statistics.max_is_exact() };
        let bytes = if is_least { statistics.min_bytes_opt() } else { statistics.max_bytes_opt() }?;
        Some(match statistics {
            Statistics::Boolean(_) => Self::Whole(i128::from(*bytes.first()?)),
            Statistics::Int32(_) => {
                Self::Whole(i128::from(i32::from_le_bytes(bytes.try_into().ok()?)))
            }
            Statistics::Int64(_) => {
                Self::Whole(i128::from(i64::from_le_bytes(bytes.try_into().ok()?)))
            }
            Statistics::Double(_) => Self::Real(f64::from_le_bytes(bytes.try_into().ok()?)),
            Statistics::Float(_) => {
                Self::Real(f64::from(f32::from_le_bytes(bytes.try_into().ok()?)))
            }
            Statistics::ByteArray(_) if is_exact => Self::Bytes(bytes.to_vec()),
            Statistics::FixedLenByteArray(_) if column.column_descr().type_precision() > 0 => {
                Self::Whole(big_endian(bytes)?)
            }
            _ => return None,
        })
    }
}

/// A number of two's complement, its most significant byte first.
fn big_endian(bytes: &[u8]) -> Option<i128> {
    let sign = if bytes.first()? & 0x80 == 0 { 0 } else { 0xff };
    let mut whole = [sign; 16];
    whole.get_mut(16_usize.checked_sub(bytes.len())?..)?.copy_from_slice(bytes);
    Some(i128::from_be_bytes(whole))
}
