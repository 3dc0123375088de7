//! What is asked of maintenance, and what it found and did.

use std::collections::BTreeSet;

use serde::Serialize;

use super::survey::{Survey, Unfinished};
use crate::format::TableFormat;

/// What is asked of a lake.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Names or globs of tables; none for all.
    pub tables: Vec<String>,
    /// Compact small appended files.
    pub compact: bool,
    /// Objects per partition that upserted tables shall have.
    pub shards: Option<u32>,
    /// Leave out snapshots that have had their time, and remove what no snapshot names: of Iceberg tables.
    pub expire: bool,
    /// What plain tables shall become, or Iceberg tables that were one, whose files stay as they are.
    pub to: Option<TableFormat>,
    /// Rows that shall go. With some, nothing else is done.
    pub erase: Vec<Erase>,
    /// Report what would be done, and do nothing.
    pub dry_run: bool,
}

impl Options {
    /// Whether a lake may be changed by what is asked.
    pub fn may_change(&self) -> bool {
        let is_asked = self.compact
            || self.expire
            || self.to.is_some()
            || self.shards.is_some()
            || !self.erase.is_empty();
        is_asked && !self.dry_run
    }
}

/// Rows to be erased: those with one of these values in a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erase {
    /// The column, by its name in the lake; of a field of a struct the dotted path.
    pub column: String,
    /// The values, as text.
    pub values: BTreeSet<String>,
}

/// What was found and done.
#[derive(Debug, Serialize)]
pub struct Report {
    /// By table.
    pub tables: Vec<TableReport>,
    /// Objects that belong to no table of the lake.
    pub unknown: Vec<String>,
}

/// What was found and done in one table.
#[derive(Debug, Serialize)]
pub struct TableReport {
    /// The table as it was found.
    #[serde(flatten)]
    pub survey: Survey,
    /// What was done, or would be.
    pub actions: Vec<Action>,
}

/// One change.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// Small files became one.
    Compact {
        /// Folder of the partition below the table.
        partition: String,
        /// How many files there were.
        files: usize,
        /// Their bytes.
        bytes: u64,
    },
    /// The rows of a table went to another number of objects.
    Reshard {
        /// Objects per partition before.
        from: u32,
        /// Objects per partition after.
        to: u32,
        /// Partitions that were written again.
        partitions: usize,
    },
    /// A table became one of another format. Its files stayed as they are.
    Convert {
        /// The format that it has now.
        to: TableFormat,
        /// Its files.
        files: usize,
    },
    /// Snapshots were left out, and files went that none names.
    Expire {
        /// Snapshots that had had their time.
        snapshots: usize,
        /// Files that no snapshot named, written at least three days ago.
        orphans: usize,
    },
    /// What a run had left half done came to its end.
    Finish {
        /// What that was.
        left: Unfinished,
    },
    /// Rows with certain values went.
    Erase {
        /// How many.
        rows: u64,
        /// Files that held some, and were written again.
        files: usize,
    },
}
