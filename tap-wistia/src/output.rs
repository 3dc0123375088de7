//! Where records go: the messages of the selected streams.

use std::fmt;
use std::io::Write;

use chrono::{SecondsFormat, Utc};
use protocol::singer::{Fields, MessageWriter, Selection};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::state::State;
use crate::streams::Stream;

/// A stream that is synced.
#[derive(Debug)]
pub struct Selected {
    /// The stream.
    pub stream: &'static Stream,
    /// What of it.
    pub selection: Selection,
    /// Records written so far.
    pub records: u64,
}

/// Writes messages.
pub struct Output {
    messages: MessageWriter<Box<dyn Write + Send>>,
    selected: Vec<Selected>,
    extracted: String,
}

impl fmt::Debug for Output {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Output").field("selected", &self.selected).finish_non_exhaustive()
    }
}

impl Output {
    /// Writes the selected streams to `output`.
    pub fn new(output: Box<dyn Write + Send>, selected: Vec<(&'static Stream, Selection)>) -> Self {
        let selected = selected
            .into_iter()
            .map(|(stream, selection)| Selected { stream, selection, records: 0 })
            .collect();
        Self { messages: MessageWriter::new(output), selected, extracted: now() }
    }

    /// The streams that are synced.
    pub fn selected(&self) -> &[Selected] {
        &self.selected
    }

    /// Whether a stream is synced.
    pub fn wants(&self, stream: &Stream) -> bool {
        self.selected.iter().any(|selected| selected.stream.name == stream.name)
    }

    /// Whether one of them is.
    pub fn wants_any(&self, streams: &[&Stream]) -> bool {
        streams.iter().any(|stream| self.wants(stream))
    }

    /// Writes the SCHEMA of every selected stream.
    pub fn schemas(&mut self) -> Result<()> {
        for Selected { stream, selection, .. } in &self.selected {
            let bookmarks: Vec<&str> = stream.replication_key.into_iter().collect();
            self.messages
                .schema(stream.name, &selection.schema, stream.keys, &bookmarks)
                .map_err(Error::Output)?;
        }
        self.messages.flush().map_err(Error::Output)
    }

    /// Says that what follows has been extracted now.
    pub fn extracted_now(&mut self) {
        self.extracted = now();
    }

    /// Writes a record, where its stream is selected.
    pub fn record<R: Serialize>(&mut self, stream: &Stream, record: &R) -> Result<()> {
        let found = self.selected.iter_mut().find(|selected| selected.stream.name == stream.name);
        let Some(selected) = found else { return Ok(()) };
        selected.records += 1;
        match selected.selection.fields {
            Fields::All => self.messages.record(stream.name, record, &self.extracted),
            Fields::Some => {
                let mut value = serde_json::to_value(record)
                    .map_err(|error| Error::Internal(format!("a record is no JSON: {error}")))?;
                selected.selection.project(&mut value);
                self.messages.record(stream.name, &value, &self.extracted)
            }
        }
        .map_err(Error::Output)
    }

    /// Writes STATE.
    pub fn state(&mut self, state: &State) -> Result<()> {
        self.messages.state(state).map_err(Error::Output)
    }
}

fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
}
