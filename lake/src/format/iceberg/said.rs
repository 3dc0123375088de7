//! What manifests say of the files of a snapshot, beside what is in the files: engines pass over files by it
//! (<https://iceberg.apache.org/spec/#scan-planning>).

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use apache_avro::types::Value as Avro;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::statistics::Statistics;
use serde_json::Value;

use super::avro::{self, get, number, present};
use super::manifest::{DELETED, Entry, Row};
use super::metadata::Metadata;
use super::metrics::big_endian;
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
            let bytes = self.manifest(row.path())?;
            for entry in avro::read(&bytes, row.path())? {
                let entry = entry?;
                if Entry(&entry).status() != DELETED {
                    said.insert(Entry(&entry).path().to_owned(), Said::of(&entry));
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array,
        RecordBatch, StringArray, StructArray,
    };
    use arrow::datatypes::{DataType, Field};
    use bytes::Bytes;
    use parquet::arrow::ArrowWriter;
    use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

    use super::*;

    /// A file with a column `c`.
    fn footer(column: &ArrayRef) -> ParquetMetaData {
        let rows = RecordBatch::try_from_iter([("c", Arc::clone(column))]).unwrap();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, rows.schema(), None).unwrap();
        writer.write(&rows).unwrap();
        writer.close().unwrap();
        ParquetMetaDataReader::new().parse_and_finish(&Bytes::from(bytes)).unwrap()
    }

    /// In what these bounds differ from the file.
    fn differences(
        column: &ArrayRef,
        path: &str,
        kind: &str,
        (lower, upper): (&[u8], &[u8]),
        nulls: i64,
    ) -> Vec<String> {
        let rows = i64::try_from(column.len()).unwrap();
        let bound = |bytes: &[u8]| BTreeMap::from([(7, bytes.to_vec())]);
        let said = Said {
            rows,
            nulls: BTreeMap::from([(7, nulls)]),
            lower: bound(lower),
            upper: bound(upper),
        };
        let leaves = HashMap::from([(path.to_owned(), Leaf { id: 7, kind: kind.into() })]);
        said.differences(footer(column).row_groups(), &leaves)
    }

    #[test]
    fn bounds_of_every_type_are_compared_with_the_file() {
        let ints: ArrayRef = Arc::new(Int32Array::from(vec![Some(-5), None, Some(9)]));
        let inner = (Arc::new(Field::new("x", DataType::Int32, true)), Arc::clone(&ints));
        let decimals = Decimal128Array::from(vec![Some(-700), None, Some(20)]);
        let columns: [(ArrayRef, &str, &str, [Vec<u8>; 4]); 7] = [
            // Bounds that hold, and such that leave out the least and the greatest value.
            (
                Arc::clone(&ints),
                "c",
                "int",
                [-5_i32, 9, -4, 8].map(|bound| bound.to_le_bytes().to_vec()),
            ),
            // An int that has become a long since.
            (ints, "c", "long", [-5_i64, 9, -4, 8].map(|bound| bound.to_le_bytes().to_vec())),
            (
                Arc::new(StructArray::from(vec![inner])),
                "c.x",
                "int",
                [-5_i32, 9, -4, 8].map(|bound| bound.to_le_bytes().to_vec()),
            ),
            (
                Arc::new(Float64Array::from(vec![Some(-1.5), None, Some(2.5)])),
                "c",
                "double",
                [-1.5_f64, 2.5, -1.0, 2.0].map(|bound| bound.to_le_bytes().to_vec()),
            ),
            (
                Arc::new(StringArray::from(vec![Some("b"), None, Some("größer")])),
                "c",
                "string",
                ["b", "gs", "ba", "gr"].map(|bound| bound.as_bytes().to_vec()),
            ),
            (
                Arc::new(decimals.with_precision_and_scale(20, 2).unwrap()),
                "c",
                "decimal(20, 2)",
                [-700_i16, 20, -699, 19].map(|bound| bound.to_be_bytes().to_vec()),
            ),
            (
                Arc::new(Date32Array::from(vec![Some(0), None, Some(3)])),
                "c",
                "date",
                [0_i32, 3, 1, 2].map(|bound| bound.to_le_bytes().to_vec()),
            ),
        ];
        for (column, path, kind, [low, high, too_high, too_low]) in &columns {
            let of = |lower, upper, nulls| differences(column, path, kind, (lower, upper), nulls);
            assert_eq!(of(low, high, 1), [""; 0], "{kind}");
            let beyond = [format!("values of `{path}` are beyond the bounds of its manifest")];
            assert_eq!(of(too_high, high, 1), beyond, "{kind}");
            assert_eq!(of(low, too_low, 1), beyond, "{kind}");
            let counted = [format!("nulls of `{path}`: 1, and 0 by its manifest")];
            assert_eq!(of(low, high, 0), counted, "{kind}");
        }
        let flags: ArrayRef = Arc::new(BooleanArray::from(vec![false, true]));
        assert_eq!(differences(&flags, "c", "boolean", (&[0], &[1]), 0), [""; 0]);
        assert_eq!(differences(&flags, "c", "boolean", (&[1], &[1]), 0).len(), 1);
    }

    #[test]
    fn rows_are_counted_and_lists_are_left_to_the_footer() {
        let said = Said { rows: 3, ..Said::default() };
        let column: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
        let told = said.differences(footer(&column).row_groups(), &HashMap::new());
        assert_eq!(told, ["rows: 2, and 3 by its manifest"]);
    }
}
