//! What comes out of a chunk.

use std::sync::Arc;

use arrow::array::RecordBatch;

use super::plan::Plan;
use crate::error::Error;

/// The rows of one stream in a chunk.
#[derive(Debug)]
pub(crate) struct Rows {
    /// The plan they were decoded by.
    pub(crate) plan: Arc<Plan>,
    /// The columns, in the order of the plan.
    pub(crate) batch: RecordBatch,
    /// The hash of each row's key; empty where the stream has no keys.
    pub(crate) hashes: Vec<u128>,
    /// Columns with values that became null, and how many.
    pub(crate) invalid: Vec<(String, u64)>,
    /// Columns with numbers that lost digits, and how many.
    pub(crate) rounded: Vec<(String, u64)>,
    /// Keys that the schema does not know, and how often they came.
    pub(crate) unknown_keys: Vec<(String, u64)>,
    /// Rows that a filter left out.
    pub(crate) filtered: u64,
    /// Strings that were truncated.
    pub(crate) truncated: u64,
    /// Lone surrogates that were replaced.
    pub(crate) replaced: u64,
    /// The table version that the records carry, where they carry one.
    pub(crate) version: Option<i64>,
    /// Records that cannot be stored and were left out, because they have no key.
    pub(crate) rejected: u64,
}

/// What a chunk holds.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// Rows by stream, in the order in which the streams first appear.
    pub(crate) rows: Vec<Rows>,
    /// The error that ended it, if one did. Nothing after it was read.
    pub(crate) error: Option<Error>,
    /// Streams that nobody asked for, whose records were passed over.
    pub(crate) unknown_streams: Vec<String>,
}
