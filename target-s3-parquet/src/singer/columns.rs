//! The columns that the Meltano SDK adds, for `add_record_metadata`
//! (<https://sdk.meltano.com/en/latest/implementation/record_metadata.html>).

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, TimestampMicrosecondArray};
use lake::schema::{Column, Kind};

use crate::decode::chunk::Chunk;
use crate::decode::conventions::{Conventions, ExtraColumns};
use crate::decode::facts::Facts;
use crate::error::{Error, Result};

/// What is peculiar to streams of Singer: a value is of its type or an error.
pub(super) fn conventions() -> Conventions {
    Conventions {
        namespace: None,
        is_lenient: false,
        may_reject: false,
        may_be_empty: false,
        extra: Box::new(SdcColumns),
    }
}

/// The `_sdc_*` columns.
#[derive(Debug)]
struct SdcColumns;

#[derive(Debug, Clone, Copy)]
enum Sdc {
    ExtractedAt,
    ReceivedAt,
    BatchedAt,
    DeletedAt,
    Sequence,
    TableVersion,
    SyncStartedAt,
}

impl Sdc {
    /// In the order in which they stand in a table.
    const ALL: [Self; 7] = [
        Self::ExtractedAt,
        Self::ReceivedAt,
        Self::BatchedAt,
        Self::DeletedAt,
        Self::Sequence,
        Self::TableVersion,
        Self::SyncStartedAt,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::ExtractedAt => "_sdc_extracted_at",
            Self::ReceivedAt => "_sdc_received_at",
            Self::BatchedAt => "_sdc_batched_at",
            Self::DeletedAt => "_sdc_deleted_at",
            Self::Sequence => "_sdc_sequence",
            Self::TableVersion => "_sdc_table_version",
            Self::SyncStartedAt => "_sdc_sync_started_at",
        }
    }

    fn kind(self) -> Kind {
        match self {
            Self::ExtractedAt | Self::ReceivedAt | Self::BatchedAt | Self::DeletedAt => {
                Kind::Timestamp
            }
            Self::Sequence | Self::TableVersion | Self::SyncStartedAt => Kind::Bigint,
        }
    }
}

impl ExtraColumns for SdcColumns {
    fn columns(&self) -> Vec<Column> {
        Sdc::ALL.into_iter().map(|column| Column::same(column.name(), column.kind())).collect()
    }

    fn array(&self, column: &Column, facts: &Facts, chunk: &Chunk) -> Result<ArrayRef> {
        let rows = facts.rows.len();
        let instants = |values: Vec<Option<i64>>| -> ArrayRef {
            Arc::new(TimestampMicrosecondArray::from(values).with_timezone("UTC"))
        };
        let sdc = Sdc::ALL.into_iter().find(|sdc| sdc.name() == column.source);
        let sdc = sdc.ok_or_else(|| {
            Error::internal(format!("`{}` is a column of the SDK", column.source))
        })?;
        Ok(match sdc {
            Sdc::ExtractedAt => instants(facts.rows.iter().map(|row| row.extracted_at).collect()),
            Sdc::ReceivedAt | Sdc::BatchedAt => instants(vec![Some(chunk.received_at); rows]),
            Sdc::DeletedAt => instants(vec![None; rows]),
            Sdc::Sequence => {
                let sequences = facts.rows.iter().map(|row| {
                    i64::try_from(row.line).ok().and_then(|line| chunk.started_at.checked_add(line))
                });
                let sequences: Option<Vec<i64>> = sequences.collect();
                let sequences = sequences.ok_or_else(|| {
                    Error::internal("the number of a line behind the time of a run has 64 bits")
                })?;
                Arc::new(Int64Array::from(sequences))
            }
            Sdc::TableVersion => {
                Arc::new(facts.rows.iter().map(|row| row.version).collect::<Int64Array>())
            }
            Sdc::SyncStartedAt => Arc::new(Int64Array::from(vec![chunk.started_at / 1000; rows])),
        })
    }

    fn is_usual(&self, _key: &str) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::facts::RowFacts;

    #[test]
    fn names_and_types_are_those_of_the_sdk() {
        let columns = SdcColumns.columns();
        let described: Vec<String> =
            columns.iter().map(|column| format!("{} {}", column.name, column.kind)).collect();
        assert_eq!(
            described,
            [
                "_sdc_extracted_at timestamp",
                "_sdc_received_at timestamp",
                "_sdc_batched_at timestamp",
                "_sdc_deleted_at timestamp",
                "_sdc_sequence bigint",
                "_sdc_table_version bigint",
                "_sdc_sync_started_at bigint",
            ]
        );
        assert!(!SdcColumns.is_usual("_sdc_sequence"));
    }

    #[test]
    fn a_column_that_is_none_of_the_sdks_is_a_broken_invariant() {
        let facts = Facts { rows: vec![RowFacts::default()], ..Facts::default() };
        let chunk = crate::testing::chunk("", 1);
        let column = Column::same("_sdc_other", Kind::Bigint);
        assert!(SdcColumns.array(&column, &facts, &chunk).is_err());
    }
}
