//! What is peculiar to the protocol of a stream.

use std::fmt::Debug;

use arrow::array::ArrayRef;
use lake::schema::Column;

use super::chunk::Chunk;
use super::facts::Facts;
use crate::error::Result;

/// How a protocol has the records of one of its streams treated: all that the decoder knows of it,
/// beside the form of its envelopes.
#[derive(Debug)]
pub(crate) struct Conventions {
    /// What the stream's name belongs to, where streams of one name may belong to several.
    pub(crate) namespace: Option<String>,
    /// Whether a value that only looks like another type is taken for it.
    pub(crate) is_lenient: bool,
    /// Whether a record without its key is rejected and counted, where values that do not fit become
    /// null. Otherwise it ends the run.
    pub(crate) may_reject: bool,
    /// Whether a stream without properties makes a table, of the extra columns.
    pub(crate) may_be_empty: bool,
    /// The columns that stand behind the stream's own, where they are asked for.
    pub(crate) extra: Box<dyn ExtraColumns>,
}

/// Columns that a protocol adds to those of a stream. Their values are made for all rows of a chunk at
/// once.
pub(crate) trait ExtraColumns: Debug + Send + Sync {
    /// The columns.
    fn columns(&self) -> Vec<Column>;

    /// The values of one of them: as many as there are facts of rows.
    fn array(&self, column: &Column, facts: &Facts, chunk: &Chunk) -> Result<ArrayRef>;

    /// Whether a key that the schema does not have is no news, because programs of the protocol add it
    /// to records.
    fn is_usual(&self, key: &str) -> bool;
}
