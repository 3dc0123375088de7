//! What a sync writes, whatever the protocol.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use protocol::mapping::Mapped;

use crate::error::{Error, Result};
use crate::state::State;
use crate::stream::Stream;

/// What every record is, whatever its type.
pub(crate) const JSON: &str = "a record that is JSON";

/// When records were extracted, as the protocols write it.
#[derive(Debug, Clone)]
pub(crate) struct Extracted {
    /// Milliseconds since 1970.
    pub(crate) millis: i64,
    /// RFC 3339 with milliseconds. Made once for all records of an answer.
    pub(crate) text: String,
}

impl From<DateTime<Utc>> for Extracted {
    fn from(time: DateTime<Utc>) -> Self {
        Self {
            millis: time.timestamp_millis(),
            text: time.to_rfc3339_opts(SecondsFormat::Millis, true),
        }
    }
}

/// The messages of a protocol. Each is a whole line; what a protocol has no message for, it leaves
/// out.
pub(crate) trait Messages: fmt::Debug {
    /// What records of a stream look like, before the first of them.
    fn schema(&mut self, _: &Stream, _: &Mapped) -> Result<()> {
        Ok(())
    }

    /// A stream is about to be read.
    fn started(&mut self, _: &Stream) -> Result<()> {
        Ok(())
    }

    /// A stream is likely to have so many rows.
    fn estimate(&mut self, _: &Stream, _: u64) -> Result<()> {
        Ok(())
    }

    /// A record of `stream`, which is `name` where a map renames it, as JSON text.
    fn record(
        &mut self,
        stream: &Stream,
        name: &str,
        record: &str,
        extracted: &Extracted,
    ) -> Result<()>;

    /// How far all streams have come. Everything before it reaches the reader.
    fn state(&mut self, state: &State) -> Result<()>;

    /// A stream was read to its end.
    fn completed(&mut self, _: &Stream, _: &State) -> Result<()> {
        Ok(())
    }

    /// A stream cannot be read; the others go on.
    fn failed(&mut self, _: &Stream, _: &Error) -> Result<()> {
        Ok(())
    }

    /// Nothing more comes, of streams that are not complete either. Everything before it reaches the
    /// reader.
    fn end(&mut self) -> Result<()>;

    /// What was written so far reaches the reader.
    fn flush(&mut self) -> Result<()>;
}
