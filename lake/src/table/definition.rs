//! What the lake remembers about a table: `_lake/tables/<table>.json`.
//!
//! Types and shards are fixed when a table is made, so a later run must find them again without
//! reading its data.

use serde::{Deserialize, Serialize};

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

/// How rows enter a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadMethod {
    /// Replace rows of the same key, add the others.
    Upsert,
    /// Add rows.
    Append,
    /// Replace the whole table when its stream was seen to end.
    Overwrite,
}

/// Splits a table into folders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionBy {
    /// Column whose value decides, by its name in the table or at its source.
    pub column: String,
    /// Part of a date or time that decides; without it, the value itself.
    pub granularity: Option<Granularity>,
    /// Name of the partition key. Default: `dt`, `month` or `year` by granularity, else
    /// `p_<column>`.
    pub name: Option<String>,
}

/// Part of a date or time that names a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Granularity {
    /// `2026-11-23`
    Day,
    /// `2026-11`
    Month,
    /// `2026`
    Year,
}

impl PartitionBy {
    /// The name of the partition key.
    pub fn key_name(&self) -> String {
        match (&self.name, self.granularity) {
            (Some(name), _) => name.clone(),
            (None, Some(Granularity::Day)) => "dt".into(),
            (None, Some(Granularity::Month)) => "month".into(),
            (None, Some(Granularity::Year)) => "year".into(),
            (None, None) => format!("p_{}", self.column),
        }
    }
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
    pub fn text(&self) -> Result<Vec<u8>> {
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::broken("a definition is JSON", error))?;
        text.push(b'\n');
        Ok(text)
    }

    /// Positions of the key columns.
    pub fn key_positions(&self) -> Result<Vec<usize>> {
        let position = |key: &String| {
            let position = self.columns.iter().position(|column| column.name == *key);
            position.ok_or_else(|| Error::Table {
                table: self.table.clone(),
                reason: format!("its key `{key}` is none of its columns"),
            })
        };
        self.keys.iter().map(position).collect()
    }

    /// The name of the partition key, folded.
    pub fn partition_key(&self) -> Option<String> {
        self.partition_by.as_ref().map(|by| names::fold(&by.key_name()))
    }
}
