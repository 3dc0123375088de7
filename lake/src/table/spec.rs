//! What a table shall be, as whoever writes to it asks.

use super::definition::{LoadMethod, PartitionBy};
use crate::file::encoding::Encoding;
use crate::format::TableFormat;
use crate::schema::Column;

/// A table as its writer wants it. What is fixed when a table is made and stands otherwise in its
/// definition is refused, or said.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// Name of the table, and of its prefix.
    pub table: String,
    /// The name that the first release gave the table, where it is another: a table that has it keeps it.
    pub former_table: Option<String>,
    /// What the rows' source calls them, for errors.
    pub stream: String,
    /// The columns of the batches that are pushed.
    pub columns: Vec<Column>,
    /// Names of the key columns.
    pub keys: Vec<String>,
    /// How rows enter the table.
    pub load: LoadMethod,
    /// What a new table is to its readers.
    pub table_format: TableFormat,
    /// The partition column, if there is one.
    pub partition_by: Option<PartitionBy>,
    /// Objects per partition of a new table; nothing for as many as its first rows are worth.
    pub shards: Option<u32>,
    /// Whether rows whose partition value is too long for the name of a folder are in the default partition,
    /// and counted. Otherwise they are an error.
    pub keeps_long_values: bool,
    /// Whether the old version of a row leaves its partition where the new one belongs to another. The key
    /// columns of all other partitions are read for that.
    pub moves_keys: bool,
    /// How its files are written.
    pub encoding: Encoding,
    /// The generation of the rows, where their source has generations.
    pub refresh: Option<Refresh>,
    /// Names of columns that say how a row came, not what it is: when it was read, and in which line.
    pub incidental: Vec<String>,
}

impl Spec {
    /// A table whose rows are known by `keys`, which are names of columns.
    pub fn upsert<K: Into<String>>(
        table: &str,
        columns: Vec<Column>,
        keys: impl IntoIterator<Item = K>,
    ) -> Self {
        let keys = keys.into_iter().map(Into::into).collect();
        Self { keys, ..Self::new(table, columns, LoadMethod::Upsert) }
    }

    /// A table to which rows are added.
    pub fn append(table: &str, columns: Vec<Column>) -> Self {
        Self::new(table, columns, LoadMethod::Append)
    }

    /// A table that is replaced as a whole.
    pub fn overwrite(table: &str, columns: Vec<Column>) -> Self {
        Self::new(table, columns, LoadMethod::Overwrite)
    }

    fn new(table: &str, columns: Vec<Column>, load: LoadMethod) -> Self {
        Self {
            table: table.to_owned(),
            former_table: None,
            stream: table.to_owned(),
            columns,
            keys: Vec::new(),
            load,
            table_format: TableFormat::default(),
            partition_by: None,
            shards: None,
            keeps_long_values: false,
            moves_keys: false,
            encoding: Encoding::default(),
            refresh: None,
            incidental: Vec::new(),
        }
    }
}

/// What a source says about the generation of the rows that it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refresh {
    /// The generation; without it every run is one of its own.
    pub generation: Option<i64>,
    /// Rows of generations before this one are obsolete once the stream is complete.
    pub minimum: Option<i64>,
    /// The rows replace the table, even one of the same generation.
    pub overwrite: bool,
}
