//! Where records go: the messages of the selected streams.

use std::fmt;
use std::io::Write;

use chrono::{SecondsFormat, Utc};
use protocol::mapping::{Mapped, Mapper, Names};
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
    selection: Selection,
    /// What it becomes.
    mapped: Vec<Mapped>,
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
    /// Writes the selected streams to `output`, as `mapper` maps them. A stream that it drops is as
    /// good as not selected.
    pub fn new(
        output: Box<dyn Write + Send>,
        selected: Vec<(&'static Stream, Selection)>,
        mapper: &Mapper,
    ) -> Result<Self> {
        let mut names = Names::default();
        let mut kept = Vec::with_capacity(selected.len());
        for (stream, selection) in selected {
            let keys: Vec<String> = stream.keys.iter().map(|key| (*key).to_owned()).collect();
            let mapped = mapper.map(stream.name, &selection.schema, &keys)?;
            for mapped in &mapped {
                names.claim(&mapped.stream, stream.name)?;
            }
            if !mapped.is_empty() {
                kept.push(Selected { stream, selection, mapped, records: 0 });
            }
        }
        Ok(Self { messages: MessageWriter::new(output), selected: kept, extracted: now() })
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
        for Selected { stream, mapped, .. } in &self.selected {
            for mapped in mapped {
                let keys: Vec<&str> = mapped.keys.iter().map(String::as_str).collect();
                let bookmarks: Vec<&str> = stream
                    .replication_key
                    .into_iter()
                    .filter(|key| mapped.schema.pointer(&format!("/properties/{key}")).is_some())
                    .collect();
                self.messages
                    .schema(&mapped.stream, &mapped.schema, &keys, &bookmarks)
                    .map_err(Error::Output)?;
            }
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
        let is_whole = selected.selection.fields == Fields::All;
        if is_whole
            && let [only] = &selected.mapped[..]
            && only.is_plain()
        {
            selected.records += 1;
            let written = self.messages.record(&only.stream, record, &self.extracted);
            return written.map_err(Error::Output);
        }
        let mut value = serde_json::to_value(record)
            .map_err(|error| Error::Internal(format!("a record is no JSON: {error}")))?;
        if !is_whole {
            selected.selection.project(&mut value);
        }
        for mapped in &selected.mapped {
            if let Some(record) = mapped.record(&value) {
                selected.records += 1;
                self.messages
                    .record(&mapped.stream, &record, &self.extracted)
                    .map_err(Error::Output)?;
            }
        }
        Ok(())
    }

    /// Writes STATE.
    pub fn state(&mut self, state: &State) -> Result<()> {
        self.messages.state(state).map_err(Error::Output)
    }
}

fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
}
