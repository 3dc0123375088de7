//! What the lake remembers about a table: `_lake/tables/<table>.json`.
//!
//! Types and shards are fixed when a table is made, so a later run must find them again without
//! reading its data.

use serde::{Deserialize, Serialize};

use crate::config::{LoadMethod, PartitionBy};
use crate::error::{Error, Result};
use crate::schema::{Column, names};

/// The definition of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// Version of this format.
    pub format: u32,
    /// The table's name.
    pub table: String,
    /// The stream that made it.
    pub stream: String,
    /// The columns in order.
    pub columns: Vec<Column>,
    /// Names of the key columns.
    pub keys: Vec<String>,
    /// How rows enter it.
    pub load_method: LoadMethod,
    /// Its partition column, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition_by: Option<PartitionBy>,
    /// Objects per partition.
    pub shards: u32,
    /// Objects per partition that `maintain` is about to give it. Until then nothing is loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resharding: Option<u32>,
    /// The version that ACTIVATE_VERSION has made the table's, if its stream has versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// The generation of its rows, if its source has generations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<Generation>,
    /// A column has widened and files of the narrower type may remain.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub widening: bool,
}

/// A generation of rows, of which each replaces the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// Its number.
    pub id: i64,
    /// A run that wrote it has come to its end.
    pub ended: bool,
}

/// The version of the format that this program writes.
pub const FORMAT: u32 = 1;

impl Definition {
    /// Reads a stored definition.
    pub fn parse(text: &[u8], object: &str) -> Result<Self> {
        let definition: Self = serde_json::from_slice(text)
            .map_err(|error| Error::store("read", object, format!("it is damaged: {error}")))?;
        if definition.format > FORMAT {
            return Err(Error::Table {
                table: definition.table,
                reason: format!(
                    "it was written by a newer version of this program (format {}, this one knows {FORMAT})",
                    definition.format
                ),
            });
        }
        Ok(definition)
    }

    /// The text to store.
    pub fn text(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).unwrap_or_default();
        text.push(b'\n');
        text
    }

    /// Positions of the key columns.
    pub fn key_positions(&self) -> Vec<usize> {
        self.keys
            .iter()
            .filter_map(|key| self.columns.iter().position(|column| column.name == *key))
            .collect()
    }

    /// The name of the partition key, folded.
    pub fn partition_key(&self) -> Option<String> {
        self.partition_by.as_ref().map(|by| names::fold(&by.key_name()))
    }
}
