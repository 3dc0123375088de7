//! What is known of rows beside their records.

use std::borrow::Cow;

/// What the envelopes of a stream's records in a chunk say, row by row.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// One for each row.
    pub(crate) rows: Vec<RowFacts>,
    /// What became of values, in the order of the rows.
    pub(crate) changes: Vec<ValueChange>,
}

/// What the envelope of one record says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RowFacts {
    /// Number of its line, from 1.
    pub(crate) line: u64,
    /// When the record was read at its source, in microseconds since 1970.
    pub(crate) extracted_at: Option<i64>,
    /// The version of its table.
    pub(crate) version: Option<i64>,
}

/// What became of a value on its way, in the words of its protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ValueChange {
    /// Position of its row among those of the chunk.
    pub(crate) row: usize,
    /// Dotted path of the column.
    pub(crate) field: String,
    /// What was done to it.
    pub(crate) change: Cow<'static, str>,
    /// What made it necessary.
    pub(crate) reason: Cow<'static, str>,
}
