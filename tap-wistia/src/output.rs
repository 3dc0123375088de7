//! Where records go: the messages of the selected streams.

use std::fmt;
use std::io::Write;

use chrono::{DateTime, SecondsFormat, Utc};
use protocol::mapping::{Mapped, Mapper, Names};
use protocol::singer::{self, Fields, Selection};
use serde::Serialize;

use crate::airbyte;
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
    /// It cannot be read; nothing more is written of it.
    pub failed: bool,
}

/// Writes messages.
pub struct Output {
    messages: Messages,
    selected: Vec<Selected>,
    extracted: DateTime<Utc>,
    /// The same as text.
    extracted_text: String,
}

/// The messages of a protocol.
pub enum Messages {
    /// Of Singer.
    Singer(singer::MessageWriter<Box<dyn Write + Send>>),
    /// Of Airbyte.
    Airbyte(airbyte::Messages),
}

impl fmt::Debug for Messages {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Singer(_) => "Singer",
            Self::Airbyte(_) => "Airbyte",
        })
    }
}

impl Messages {
    /// Singer's, to `output`.
    pub fn singer(output: Box<dyn Write + Send>) -> Self {
        Self::Singer(singer::MessageWriter::new(output))
    }

    /// Writes a record of `stream`, which is `name` where its name is mapped.
    fn record<R: Serialize>(
        &mut self,
        stream: &Stream,
        name: &str,
        record: &R,
        extracted: (DateTime<Utc>, &str),
    ) -> Result<()> {
        let (time, text) = extracted;
        match self {
            Self::Singer(messages) => messages.record(name, record, text),
            Self::Airbyte(messages) => {
                messages.record(stream.name, record, time.timestamp_millis())
            }
        }
        .map_err(Error::Output)
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Output").field("selected", &self.selected).finish_non_exhaustive()
    }
}

impl Output {
    /// Writes the selected streams, as `mapper` maps them. A stream that it drops is as good as not
    /// selected.
    pub fn new(
        messages: Messages,
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
                mapped.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
            }
            if !mapped.is_empty() {
                kept.push(Selected { stream, selection, mapped, records: 0, failed: false });
            }
        }
        let now = Utc::now();
        Ok(Self { messages, selected: kept, extracted: now, extracted_text: text_of(now) })
    }

    /// The streams that are synced.
    pub fn selected(&self) -> &[Selected] {
        &self.selected
    }

    /// Whether a stream is synced and has not failed.
    pub fn wants(&self, stream: &Stream) -> bool {
        self.selected.iter().any(|selected| selected.stream.name == stream.name && !selected.failed)
    }

    /// Whether one of them is.
    pub fn wants_any(&self, streams: &[&Stream]) -> bool {
        streams.iter().any(|stream| self.wants(stream))
    }

    /// Writes the SCHEMA of every selected stream, where the protocol has it.
    pub fn schemas(&mut self) -> Result<()> {
        let Messages::Singer(messages) = &mut self.messages else { return Ok(()) };
        for Selected { stream, mapped, .. } in &self.selected {
            for mapped in mapped {
                let keys: Vec<&str> = mapped.keys.iter().map(String::as_str).collect();
                let bookmarks: Vec<&str> = stream
                    .replication_key
                    .into_iter()
                    .filter(|key| mapped.schema.pointer(&format!("/properties/{key}")).is_some())
                    .collect();
                messages
                    .schema(&mapped.stream, &mapped.schema, &keys, &bookmarks)
                    .map_err(Error::Output)?;
            }
        }
        messages.flush().map_err(Error::Output)
    }

    /// Says that what follows has been extracted now.
    pub fn extracted_now(&mut self) {
        self.extracted = Utc::now();
        self.extracted_text = text_of(self.extracted);
    }

    /// Says that a stream is about to be read.
    pub fn started(&mut self, stream: &Stream) -> Result<()> {
        match &mut self.messages {
            Messages::Singer(_) => Ok(()),
            Messages::Airbyte(messages) => messages.started(stream.name),
        }
        .map_err(Error::Output)
    }

    /// Says how many rows a stream is likely to have.
    pub fn estimate(&mut self, stream: &Stream, rows: u64) -> Result<()> {
        match &mut self.messages {
            Messages::Airbyte(messages)
                if self.selected.iter().any(|s| s.stream.name == stream.name) =>
            {
                messages.estimate(stream.name, rows)
            }
            _ => Ok(()),
        }
        .map_err(Error::Output)
    }

    /// Writes a record, where its stream is selected.
    pub fn record<R: Serialize>(&mut self, stream: &Stream, record: &R) -> Result<()> {
        let found = self.selected.iter_mut().find(|selected| selected.stream.name == stream.name);
        let Some(selected) = found.filter(|selected| !selected.failed) else { return Ok(()) };
        let extracted = (self.extracted, self.extracted_text.as_str());
        let is_whole = selected.selection.fields == Fields::All;
        if is_whole
            && let [only] = &selected.mapped[..]
            && only.is_plain()
        {
            selected.records += 1;
            return self.messages.record(stream, &only.stream, record, extracted);
        }
        let mut value = serde_json::to_value(record)
            .map_err(|error| Error::Internal(format!("a record is no JSON: {error}")))?;
        if !is_whole {
            selected.selection.project(&mut value);
        }
        for mapped in &selected.mapped {
            if let Some(record) = mapped.record(&value) {
                selected.records += 1;
                self.messages.record(stream, &mapped.stream, &record, extracted)?;
            }
        }
        Ok(())
    }

    /// Writes STATE.
    pub fn state(&mut self, state: &State) -> Result<()> {
        match &mut self.messages {
            Messages::Singer(messages) => messages.state(state),
            Messages::Airbyte(messages) => messages.state(state),
        }
        .map_err(Error::Output)
    }

    /// Says that a stream was read to its end.
    pub fn completed(&mut self, stream: &Stream, state: &State) -> Result<()> {
        match &mut self.messages {
            Messages::Singer(_) => Ok(()),
            Messages::Airbyte(messages) => messages.completed(stream.name, state),
        }
        .map_err(Error::Output)
    }

    /// Says that a stream cannot be read, and takes no more records of it.
    pub fn fail(&mut self, stream: &Stream, error: &Error) -> Result<()> {
        for selected in &mut self.selected {
            selected.failed |= selected.stream.name == stream.name;
        }
        match &mut self.messages {
            Messages::Singer(_) => Ok(()),
            Messages::Airbyte(messages) => messages.failed(stream.name, error),
        }
        .map_err(Error::Output)
    }

    /// Says that nothing more comes, of streams that are not complete either.
    pub fn end(&mut self) -> Result<()> {
        match &mut self.messages {
            Messages::Singer(messages) => messages.flush(),
            Messages::Airbyte(messages) => messages.end(),
        }
        .map_err(Error::Output)
    }
}

fn text_of(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}
