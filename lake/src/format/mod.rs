//! How the files of a table become one: plain folders, or the snapshots of Iceberg.
//!
//! A plain table is what its folder holds: each object becomes visible by itself. An Iceberg table is what
//! its metadata names, so that a commit of many files is one step, together with the state that covers it.

use serde::{Deserialize, Serialize};

#[cfg(not(feature = "iceberg"))]
#[path = "iceberg/absent.rs"]
pub(crate) mod iceberg;
#[cfg(feature = "iceberg")]
pub(crate) mod iceberg;

/// What a table is to its readers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableFormat {
    /// The Parquet files of a folder, with a folder for each partition.
    #[default]
    Parquet,
    /// An Iceberg table of version 2 without delete files (<https://iceberg.apache.org/spec/>).
    Iceberg,
}

impl TableFormat {
    /// What it is called in a sentence.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Parquet => "a plain table of Parquet files",
            Self::Iceberg => "an Iceberg table",
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference on")]
    pub(crate) fn is_parquet(&self) -> bool {
        *self == Self::Parquet
    }
}
