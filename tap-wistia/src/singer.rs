//! Singer's messages: SCHEMA, RECORD and STATE.

use std::fmt;
use std::io::Write;

use protocol::mapping::Mapped;
use protocol::singer::MessageWriter;

use crate::error::{Error, Result};
use crate::messages::{Extracted, Messages};
use crate::state::State;
use crate::stream::Stream;

/// Writes Singer's messages.
pub(crate) struct Singer {
    writer: MessageWriter<Box<dyn Write>>,
}

impl fmt::Debug for Singer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Singer")
    }
}

impl Singer {
    /// Messages to `output`.
    pub(crate) fn new(output: Box<dyn Write>) -> Self {
        Self { writer: MessageWriter::new(output) }
    }
}

impl Messages for Singer {
    fn schema(&mut self, stream: &Stream, mapped: &Mapped) -> Result<()> {
        let keys: Vec<&str> = mapped.keys.iter().map(String::as_str).collect();
        // A map may have dropped the column that bookmarks are about.
        let bookmarks: Vec<&str> = stream
            .replication_key
            .into_iter()
            .filter(|key| mapped.schema.pointer(&format!("/properties/{key}")).is_some())
            .collect();
        self.writer.schema(&mapped.stream, &mapped.schema, &keys, &bookmarks).map_err(Error::Output)
    }

    fn record(
        &mut self,
        _: &Stream,
        name: &str,
        record: &str,
        extracted: &Extracted,
    ) -> Result<()> {
        self.writer.record(name, record, &extracted.text).map_err(Error::Output)
    }

    fn state(&mut self, state: &State) -> Result<()> {
        self.writer.state(state).map_err(Error::Output)
    }

    fn end(&mut self) -> Result<()> {
        self.flush()
    }

    fn flush(&mut self) -> Result<()> {
        self.writer.flush().map_err(Error::Output)
    }
}
