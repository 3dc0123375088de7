//! The columns that Airbyte's destinations add
//! (<https://docs.airbyte.com/platform/understanding-airbyte/airbyte-metadata-fields>).

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int64Array, ListArray, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, FieldRef, Fields};
use lake::schema::{Column, Kind};
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::decode::chunk::Chunk;
use crate::decode::conventions::{Conventions, ExtraColumns};
use crate::decode::facts::{Facts, RowFacts, ValueChange};
use crate::error::{Error, Result};

/// What is peculiar to a stream of Airbyte: values that only look like another type are taken for it,
/// a record that cannot be stored is rejected, and a stream may have no columns of its own.
pub(super) fn conventions(namespace: Option<String>, columns: AirbyteColumns) -> Conventions {
    Conventions {
        namespace,
        is_lenient: true,
        may_reject: true,
        may_be_empty: true,
        extra: Box::new(columns),
    }
}

/// The `_airbyte_*` columns of a stream.
#[derive(Debug)]
pub(super) struct AirbyteColumns {
    /// The generation of its rows.
    pub(super) generation: Option<i64>,
    /// The number of the sync.
    pub(super) sync: Option<i64>,
}

/// What the names of all of them begin with.
const PREFIX: &str = "_airbyte_";

#[derive(Debug, Clone, Copy)]
enum Own {
    RawId,
    ExtractedAt,
    GenerationId,
    Meta,
}

impl Own {
    /// In the order in which they stand in a table.
    const ALL: [Self; 4] = [Self::RawId, Self::ExtractedAt, Self::GenerationId, Self::Meta];

    fn name(self) -> &'static str {
        match self {
            Self::RawId => "_airbyte_raw_id",
            Self::ExtractedAt => "_airbyte_extracted_at",
            Self::GenerationId => "_airbyte_generation_id",
            Self::Meta => "_airbyte_meta",
        }
    }

    fn kind(self) -> Kind {
        match self {
            Self::RawId => Kind::String,
            Self::ExtractedAt => Kind::Timestamp,
            Self::GenerationId => Kind::Bigint,
            Self::Meta => {
                let change =
                    ["field", "change", "reason"].map(|name| Column::same(name, Kind::String));
                let changes = Kind::List(Box::new(Kind::Struct(change.to_vec())));
                Kind::Struct(vec![
                    Column::same("sync_id", Kind::Bigint),
                    Column::same("changes", changes),
                ])
            }
        }
    }
}

impl ExtraColumns for AirbyteColumns {
    fn columns(&self) -> Vec<Column> {
        Own::ALL.into_iter().map(|column| Column::same(column.name(), column.kind())).collect()
    }

    fn array(&self, column: &Column, facts: &Facts, chunk: &Chunk) -> Result<ArrayRef> {
        let own = Own::ALL.into_iter().find(|own| own.name() == column.source);
        let own = own.ok_or_else(|| {
            Error::internal(format!("`{}` is a column of Airbyte's", column.source))
        })?;
        Ok(match own {
            Own::RawId => raw_ids(&facts.rows, chunk.started_at)?,
            Own::ExtractedAt => {
                let times = facts.rows.iter().map(|row| row.extracted_at);
                let times = times.map(|time| time.unwrap_or(chunk.received_at));
                Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"))
            }
            Own::GenerationId => {
                Arc::new(Int64Array::from(vec![self.generation; facts.rows.len()]))
            }
            Own::Meta => self.meta(facts, &column.kind)?,
        })
    }

    /// `PyAirbyte` hands on the columns that its cache has added.
    fn is_usual(&self, key: &str) -> bool {
        key.starts_with(PREFIX)
    }
}

impl AirbyteColumns {
    /// The struct of the sync and the changes of each row.
    fn meta(&self, facts: &Facts, kind: &Kind) -> Result<ArrayRef> {
        let (fields, element, parts) = meta_fields(kind)?;
        let texts = |text: fn(&ValueChange) -> &str| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(facts.changes.iter().map(text)))
        };
        let columns = vec![
            texts(|change| &change.field),
            texts(|change| &change.change),
            texts(|change| &change.reason),
        ];
        let length = facts.changes.len();
        let values = StructArray::try_new_with_length(parts, columns, None, length);
        let values = Arc::new(values.map_err(Error::arrow)?);
        let mut lengths = vec![0; facts.rows.len()];
        for change in &facts.changes {
            let length = lengths.get_mut(change.row);
            *length.ok_or_else(|| Error::internal("a change is one of a row"))? += 1;
        }
        let offsets = OffsetBuffer::from_lengths(lengths);
        let changes = ListArray::try_new(element, offsets, values, None).map_err(Error::arrow)?;
        let syncs = Int64Array::from(vec![self.sync; facts.rows.len()]);
        let arrays: Vec<ArrayRef> = vec![Arc::new(syncs), Arc::new(changes)];
        let meta = StructArray::try_new_with_length(fields, arrays, None, facts.rows.len());
        Ok(Arc::new(meta.map_err(Error::arrow)?))
    }
}

/// The fields of `_airbyte_meta`, the element of its changes, and the fields of that.
fn meta_fields(kind: &Kind) -> Result<(Fields, FieldRef, Fields)> {
    let wrong = || Error::internal(format!("`_airbyte_meta` has a sync and changes, not {kind}"));
    let DataType::Struct(fields) = kind.data_type() else { return Err(wrong()) };
    let changes = fields.get(1).ok_or_else(wrong)?;
    let DataType::List(element) = changes.data_type() else { return Err(wrong()) };
    let DataType::Struct(parts) = element.data_type() else { return Err(wrong()) };
    let (element, parts) = (Arc::clone(element), parts.clone());
    Ok((fields, element, parts))
}

/// An id for each row: a UUID of version 8, from the run and the line. So that the same input read
/// again in one run has the same ids.
fn raw_ids(rows: &[RowFacts], run: i64) -> Result<ArrayRef> {
    const LENGTH: usize = uuid::fmt::Hyphenated::LENGTH;
    let mut bytes = vec![0; rows.len() * LENGTH];
    for (row, text) in rows.iter().zip(bytes.chunks_exact_mut(LENGTH)) {
        let hash = xxh3_128_with_seed(&row.line.to_le_bytes(), run.cast_unsigned());
        Uuid::new_v8(hash.to_be_bytes()).hyphenated().encode_lower(text);
    }
    let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(LENGTH, rows.len()));
    let ids = StringArray::try_new(offsets, bytes.into(), None).map_err(Error::arrow)?;
    Ok(Arc::new(ids))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Array, AsArray};

    fn ids(lines: &[u64], run: i64) -> Vec<String> {
        let rows: Vec<RowFacts> =
            lines.iter().map(|line| RowFacts { line: *line, ..RowFacts::default() }).collect();
        let ids = raw_ids(&rows, run).unwrap();
        ids.as_string::<i32>().iter().map(|id| id.unwrap().to_owned()).collect()
    }

    #[test]
    fn the_id_of_a_row_never_changes_for_a_run_and_a_line() {
        // Computed before the ids were made by a library: rows of one run must keep theirs.
        assert_eq!(
            ids(&[1, 2, 1_000_000], 7),
            [
                "c0aebf56-68b3-8538-8068-5839fb6d6520",
                "8229d424-63fb-8a6b-bd85-d684940953af",
                "f1df30e0-0bb1-8ff6-b3b5-7e1b1e37e347",
            ]
        );
        assert_eq!(ids(&[1], 1_795_458_926_348_000), ["04104e1a-d68a-89f0-b921-0228f3b82fd4"]);
    }

    #[test]
    fn ids_are_uuids_and_differ_by_run_and_line() {
        let (first, other) = (ids(&[1, 2], 7), ids(&[1], 8));
        assert_ne!(first[0], first[1]);
        assert_ne!(first[0], other[0]);
        for id in &first {
            let id = Uuid::parse_str(id).unwrap();
            assert_eq!((id.get_version_num(), id.get_variant()), (8, uuid::Variant::RFC4122));
        }
    }

    #[test]
    fn the_changes_of_each_row_stand_in_its_own_list() {
        let change = |row, field: &str| ValueChange {
            row,
            field: field.into(),
            change: "NULLED".into(),
            reason: "X".into(),
        };
        let facts = Facts {
            rows: vec![RowFacts::default(); 3],
            changes: vec![change(0, "a"), change(2, "b"), change(2, "c")],
        };
        let columns = AirbyteColumns { generation: Some(4), sync: None };
        let meta = columns.meta(&facts, &Own::Meta.kind()).unwrap();
        let meta = meta.as_struct();
        assert_eq!(meta.column(0).null_count(), 3);
        let changes = meta.column(1).as_list::<i32>();
        let lengths: Vec<i32> = (0..3).map(|row| changes.value_length(row)).collect();
        assert_eq!(lengths, [1, 0, 2]);
        let last = changes.value(2);
        assert_eq!(last.as_struct().column(0).as_string::<i32>().value(1), "c");
    }

    #[test]
    fn a_change_of_no_row_is_an_error_and_not_lost() {
        let change =
            ValueChange { row: 1, field: "a".into(), change: "".into(), reason: "".into() };
        let facts = Facts { rows: vec![RowFacts::default()], changes: vec![change] };
        let columns = AirbyteColumns { generation: None, sync: None };
        assert!(columns.meta(&facts, &Own::Meta.kind()).is_err());
    }
}
