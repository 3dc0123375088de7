//! What a sync says in Airbyte's messages.

use std::fmt;
use std::io::{self, Write};

use chrono::NaiveDate;
use program::report;
use protocol::airbyte::{
    FailureType, Message, Record, State as StateMessage, StreamStatus, SyncMode, Trace, TraceError,
};
use protocol::lines::LineWriter;
use serde::Serialize;

use super::state::StreamState;
use crate::error::Error;
use crate::state::{Bookmark, State};
use crate::streams::Stream;

/// Writes records, states and traces.
pub struct Messages {
    lines: LineWriter<Box<dyn Write + Send>>,
    streams: Vec<Reading>,
    today: NaiveDate,
}

/// A stream that is being read.
#[derive(Debug)]
struct Reading {
    stream: &'static Stream,
    mode: SyncMode,
    status: Option<StreamStatus>,
    /// Records since the last state.
    records: u64,
    /// The last state that was written or that was given.
    last: Bookmark,
    /// A state was written.
    has_state: bool,
}

impl fmt::Debug for Messages {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Messages").field("streams", &self.streams).finish_non_exhaustive()
    }
}

impl Reading {
    fn has_ended(&self) -> bool {
        matches!(self.status, Some(StreamStatus::Complete | StreamStatus::Incomplete))
    }
}

impl Messages {
    /// Messages of a sync of these streams that goes on from `state`.
    pub fn new(
        output: Box<dyn Write + Send>,
        streams: impl IntoIterator<Item = (&'static Stream, SyncMode)>,
        state: &State,
        today: NaiveDate,
    ) -> Self {
        let streams = streams
            .into_iter()
            .map(|(stream, mode)| Reading {
                stream,
                mode,
                status: None,
                records: 0,
                last: state.bookmark(stream),
                has_state: false,
            })
            .collect();
        Self { lines: LineWriter::new(output), streams, today }
    }

    /// A stream is about to be read.
    pub fn started(&mut self, stream: &'static str) -> io::Result<()> {
        match find(&mut self.streams, stream) {
            Some(reading) if reading.status.is_none() => {
                tell(&mut self.lines, reading, StreamStatus::Started)
            }
            _ => Ok(()),
        }
    }

    /// A stream is likely to have so many rows.
    pub fn estimate(&mut self, stream: &'static str, rows: u64) -> io::Result<()> {
        self.lines.line(&Message::from(Trace::estimate(stream, rows)))
    }

    /// Writes a record.
    pub fn record<R: Serialize>(
        &mut self,
        stream: &'static str,
        record: &R,
        emitted_at: i64,
    ) -> io::Result<()> {
        let Some(reading) = find(&mut self.streams, stream) else { return Ok(()) };
        if reading.status != Some(StreamStatus::Running) {
            if reading.status.is_none() {
                tell(&mut self.lines, reading, StreamStatus::Started)?;
            }
            tell(&mut self.lines, reading, StreamStatus::Running)?;
        }
        reading.records += 1;
        let record = Record { stream, data: record, emitted_at };
        self.lines.line(&Message::Record { record })
    }

    /// Writes the state of every stream that has come further.
    pub fn state(&mut self, state: &State) -> io::Result<()> {
        for reading in &mut self.streams {
            let bookmark = state.bookmark(reading.stream);
            let is_under_way = reading.status.is_some() && !reading.has_ended();
            if is_under_way && bookmark != reading.last && bookmark != Bookmark::default() {
                let refresh = (reading.mode == SyncMode::FullRefresh).then_some(self.today);
                write_state(&mut self.lines, reading, bookmark, refresh)?;
            }
        }
        self.lines.flush()
    }

    /// A stream was read to its end: its last state, and that it is complete.
    pub fn completed(&mut self, stream: &'static str, state: &State) -> io::Result<()> {
        let today = self.today;
        let Some(reading) = find(&mut self.streams, stream) else { return Ok(()) };
        if reading.has_ended() {
            return Ok(());
        }
        if reading.status.is_none() {
            tell(&mut self.lines, reading, StreamStatus::Started)?;
        }
        let mut bookmark = state.bookmark(reading.stream);
        if bookmark == Bookmark::default() {
            // Every stream has a state, those without a bookmark too.
            bookmark.read_on = Some(today);
        }
        let is_refresh = reading.mode == SyncMode::FullRefresh;
        if !reading.has_state || is_refresh || reading.records > 0 || bookmark != reading.last {
            write_state(&mut self.lines, reading, bookmark, None)?;
        }
        tell(&mut self.lines, reading, StreamStatus::Complete)?;
        self.lines.flush()
    }

    /// A stream failed; the others go on.
    pub fn failed(&mut self, stream: &'static str, error: &Error) -> io::Result<()> {
        let Some(reading) = find(&mut self.streams, stream) else { return Ok(()) };
        if reading.has_ended() {
            return Ok(());
        }
        tell(&mut self.lines, reading, StreamStatus::Incomplete)?;
        self.lines.line(&Message::from(Trace::error(trace(error).of(stream))))?;
        self.lines.flush()
    }

    /// Nothing more comes, of streams that are not complete either.
    pub fn end(&mut self) -> io::Result<()> {
        for reading in self.streams.iter_mut().filter(|reading| !reading.has_ended()) {
            tell(&mut self.lines, reading, StreamStatus::Incomplete)?;
        }
        self.lines.flush()
    }
}

type Lines = LineWriter<Box<dyn Write + Send>>;

fn find<'a>(streams: &'a mut [Reading], name: &str) -> Option<&'a mut Reading> {
    streams.iter_mut().find(|reading| reading.stream.name == name)
}

fn tell(lines: &mut Lines, reading: &mut Reading, status: StreamStatus) -> io::Result<()> {
    reading.status = Some(status);
    lines.line(&Message::from(Trace::status(reading.stream.name, status)))
}

fn write_state(
    lines: &mut Lines,
    reading: &mut Reading,
    bookmark: Bookmark,
    refresh: Option<NaiveDate>,
) -> io::Result<()> {
    let state = StreamState { bookmark, refresh };
    let records = std::mem::take(&mut reading.records);
    reading.last = bookmark;
    reading.has_state = true;
    let state = StateMessage::of(reading.stream.name, state, records);
    lines.line(&Message::State { state })
}

/// An error as a trace tells it.
pub(super) fn trace(error: &Error) -> TraceError<'static> {
    let details = report::render(error, None).trim_end().to_owned();
    TraceError::new(error, error.hint(), details, failure_type(error))
}

fn failure_type(error: &Error) -> FailureType {
    match error {
        Error::Settings(_)
        | Error::Setting { .. }
        | Error::File { .. }
        | Error::Document { .. }
        | Error::UnknownStream { .. }
        | Error::Unauthorized { .. }
        | Error::Streams { .. }
        | Error::Forbidden { .. } => FailureType::ConfigError,
        Error::Stopped { .. } | Error::Output(_) => FailureType::TransientError,
        error if error.is_transient() => FailureType::TransientError,
        _ => FailureType::SystemError,
    }
}
