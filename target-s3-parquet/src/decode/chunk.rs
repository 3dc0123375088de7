//! A piece of the input that one worker decodes.

use bytes::Bytes;

use crate::error::{Error, Result};

/// Consecutive lines of the input, all of them records or blank.
#[derive(Debug, Clone)]
pub(crate) struct Chunk {
    /// The lines: less than 2^31 bytes.
    pub(crate) bytes: Bytes,
    /// Number of the first line, from 1.
    pub(crate) first_line: u64,
    /// When they were read, in microseconds since 1970.
    pub(crate) received_at: i64,
    /// When the run began, in microseconds since 1970.
    pub(crate) started_at: i64,
}

impl Chunk {
    /// Arrow's offsets have 32 bits, so no column may be filled from more.
    pub(super) fn validate(&self) -> Result<()> {
        match i32::try_from(self.bytes.len()) {
            Ok(_) => Ok(()),
            Err(error) => Err(Error::broken("a chunk has less than 2^31 bytes", error)),
        }
    }
}
