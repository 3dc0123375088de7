//! A piece of the input that one worker decodes.

use bytes::Bytes;
use memchr::{memchr_iter, memrchr};

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
    /// The lines that can be read, and what is wrong with the one behind them.
    pub(super) fn lines(&self) -> (&[u8], Result<()>) {
        // Arrow's offsets have 32 bits, so no column may be filled from more.
        if let Err(error) = i32::try_from(self.bytes.len()) {
            return (&[], Err(Error::broken("a chunk has less than 2^31 bytes", error)));
        }
        let Err(error) = simdutf8::compat::from_utf8(&self.bytes) else {
            return (&self.bytes, Ok(()));
        };
        let good = self.bytes.get(..error.valid_up_to()).unwrap_or_default();
        let good = memrchr(b'\n', good).and_then(|end| good.get(..=end)).unwrap_or_default();
        let before = memchr_iter(b'\n', good).count() as u64;
        (good, Err(not_utf8(self.first_line + before)))
    }
}

/// Whether a line is text.
pub(crate) fn is_utf8(line: &[u8], number: u64) -> Result<()> {
    simdutf8::basic::from_utf8(line).map(drop).map_err(|_| not_utf8(number))
}

fn not_utf8(line: u64) -> Error {
    Error::Line { line, reason: "it is not valid UTF-8".into() }
}
