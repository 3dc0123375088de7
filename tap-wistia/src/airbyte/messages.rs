//! Airbyte's messages: RECORD, STATE of each stream, and TRACE with status, estimate and error.

use std::fmt;
use std::io::Write;

use chrono::NaiveDate;
use program::report;
use protocol::airbyte::{
    FailureType, Message, Record, State as StateMessage, StreamStatus, SyncMode, Trace, TraceError,
};
use protocol::lines::LineWriter;
use serde_json::value::RawValue;

use super::state::StreamState;
use crate::error::{Error, Kind, Result};
use crate::messages::{Extracted, JSON, Messages};
use crate::state::{Bookmark, State};
use crate::stream::Stream;

/// Writes Airbyte's messages. Each stream goes from STARTED over RUNNING to COMPLETE or INCOMPLETE, and
/// says nothing after that.
pub(super) struct AirbyteMessages {
    lines: Lines,
    streams: Vec<Reading>,
    today: NaiveDate,
}

type Lines = LineWriter<Box<dyn Write>>;

/// A stream that is being read.
#[derive(Debug)]
struct Reading {
    stream: &'static Stream,
    mode: SyncMode,
    status: Option<StreamStatus>,
    /// Records since the last state.
    records: u64,
    /// The last state that was written, or that the sync goes on from.
    last: Bookmark,
    /// A state was written.
    has_state: bool,
}

impl fmt::Debug for AirbyteMessages {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Airbyte").field("streams", &self.streams).finish_non_exhaustive()
    }
}

impl Reading {
    fn has_ended(&self) -> bool {
        matches!(self.status, Some(StreamStatus::Complete | StreamStatus::Incomplete))
    }

    fn set_status(&mut self, status: StreamStatus, lines: &mut Lines) -> Result<()> {
        self.status = Some(status);
        write(lines, &Trace::status(self.stream.name, status).into())
    }

    /// `refresh` is the day on which a full refresh began that is not at its end.
    fn write_state(
        &mut self,
        bookmark: Bookmark,
        refresh: Option<NaiveDate>,
        lines: &mut Lines,
    ) -> Result<()> {
        let records = std::mem::take(&mut self.records);
        self.last = bookmark.clone();
        self.has_state = true;
        let state = StreamState { bookmark, refresh };
        let state = StateMessage::of(self.stream.name, state, records);
        write(lines, &Message::State { state })
    }
}

impl AirbyteMessages {
    /// Messages of a sync of these streams that goes on from `state`.
    pub(super) fn new(
        output: Box<dyn Write>,
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

    fn find(&mut self, stream: &Stream) -> Result<(&mut Reading, &mut Lines)> {
        let found = self.streams.iter_mut().find(|reading| reading.stream == stream);
        let reading = found
            .ok_or_else(|| Error::internal("messages of the streams of Airbyte's catalog only"))?;
        Ok((reading, &mut self.lines))
    }
}

impl Messages for AirbyteMessages {
    fn started(&mut self, stream: &Stream) -> Result<()> {
        let (reading, lines) = self.find(stream)?;
        match reading.status {
            None => reading.set_status(StreamStatus::Started, lines),
            Some(_) => Ok(()),
        }
    }

    fn estimate(&mut self, stream: &Stream, rows: u64) -> Result<()> {
        write(&mut self.lines, &Trace::estimate(stream.name, rows).into())
    }

    fn record(
        &mut self,
        stream: &Stream,
        _: &str,
        record: &str,
        extracted: &Extracted,
    ) -> Result<()> {
        let (reading, lines) = self.find(stream)?;
        if reading.status != Some(StreamStatus::Running) {
            if reading.status.is_none() {
                reading.set_status(StreamStatus::Started, lines)?;
            }
            reading.set_status(StreamStatus::Running, lines)?;
        }
        reading.records += 1;
        let record: &RawValue = serde_json::from_str(record).map_err(Error::unexpected(JSON))?;
        let record =
            Record { stream: reading.stream.name, data: record, emitted_at: extracted.millis };
        write(lines, &Message::Record { record })
    }

    /// Writes the state of every stream that has come further.
    fn state(&mut self, state: &State) -> Result<()> {
        for reading in &mut self.streams {
            let bookmark = state.bookmark(reading.stream);
            let is_under_way = reading.status.is_some() && !reading.has_ended();
            if is_under_way && bookmark != reading.last && bookmark != Bookmark::default() {
                let refresh = (reading.mode == SyncMode::FullRefresh).then_some(self.today);
                reading.write_state(bookmark, refresh, &mut self.lines)?;
            }
        }
        self.flush()
    }

    /// Its last state, and that it is complete.
    fn completed(&mut self, stream: &Stream, state: &State) -> Result<()> {
        let today = self.today;
        let (reading, lines) = self.find(stream)?;
        if reading.has_ended() {
            return Ok(());
        }
        if reading.status.is_none() {
            reading.set_status(StreamStatus::Started, lines)?;
        }
        let mut bookmark = state.bookmark(reading.stream);
        if bookmark == Bookmark::default() {
            // Every stream has a state, those without a bookmark too.
            bookmark.read_on = Some(today);
        }
        let is_refresh = reading.mode == SyncMode::FullRefresh;
        if !reading.has_state || is_refresh || reading.records > 0 || bookmark != reading.last {
            reading.write_state(bookmark, None, lines)?;
        }
        reading.set_status(StreamStatus::Complete, lines)?;
        self.flush()
    }

    fn failed(&mut self, stream: &Stream, error: &Error) -> Result<()> {
        let (reading, lines) = self.find(stream)?;
        if reading.has_ended() {
            return Ok(());
        }
        reading.set_status(StreamStatus::Incomplete, lines)?;
        write(lines, &Trace::error(trace(error).of(reading.stream.name)).into())?;
        self.flush()
    }

    fn end(&mut self) -> Result<()> {
        for reading in self.streams.iter_mut().filter(|reading| !reading.has_ended()) {
            reading.set_status(StreamStatus::Incomplete, &mut self.lines)?;
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<()> {
        self.lines.flush().map_err(Error::Output)
    }
}

fn write<T: serde::Serialize>(lines: &mut Lines, message: &Message<'_, T>) -> Result<()> {
    lines.line(message).map_err(Error::Output)
}

/// An error as Airbyte shows it.
pub(super) fn trace(error: &Error) -> TraceError<'static> {
    let details = report::render(error, None).trim_end().to_owned();
    let message = report::sentence(error, error.hint());
    TraceError::new(message, details, failure_type(error.kind()))
}

fn failure_type(kind: Kind) -> FailureType {
    match kind {
        Kind::Usage | Kind::Configuration | Kind::Access => FailureType::ConfigError,
        Kind::Transient | Kind::Output | Kind::Stopped(_) => FailureType::TransientError,
        Kind::Api | Kind::Internal => FailureType::SystemError,
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::{Value, json};

    use super::*;
    use crate::error::Unaccepted;
    use crate::permission::Permission;
    use crate::testing::{EVENTS, PLACES, TODAY, Written, day};

    struct Airbyte {
        messages: AirbyteMessages,
        written: Written,
    }

    fn airbyte(mode: SyncMode, state: &State) -> Airbyte {
        let written = Written::default();
        let streams = [(&EVENTS, mode), (&PLACES, SyncMode::FullRefresh)];
        let output = Box::new(written.clone());
        Airbyte { messages: AirbyteMessages::new(output, streams, state, day(TODAY)), written }
    }

    impl Airbyte {
        fn record(&mut self, stream: &Stream, id: &str) {
            let extracted = DateTime::UNIX_EPOCH.into();
            let record = json!({"id": id}).to_string();
            self.messages.record(stream, "", &record, &extracted).unwrap();
        }

        /// The messages since the last call, in short.
        fn lines(&mut self) -> Vec<String> {
            self.messages.flush().unwrap();
            self.written.messages().iter().map(short).collect()
        }
    }

    fn short(message: &Value) -> String {
        let of = |value: &Value| value["stream_descriptor"]["name"].as_str().unwrap().to_owned();
        let (record, state, trace) = (&message["record"], &message["state"], &message["trace"]);
        match message["type"].as_str().unwrap() {
            "RECORD" => format!("{} {}", record["stream"].as_str().unwrap(), record["data"]),
            "STATE" => format!(
                "{} state {} after {}",
                of(&state["stream"]),
                state["stream"]["stream_state"],
                state["sourceStats"]["recordCount"],
            ),
            "TRACE" => match trace["type"].as_str().unwrap() {
                "STREAM_STATUS" => {
                    let status = &trace["stream_status"];
                    format!("{} {}", of(status), status["status"].as_str().unwrap())
                }
                "ESTIMATE" => format!("estimate {}", trace["estimate"]["row_estimate"]),
                other => format!("{} {other} {}", of(&trace["error"]), trace["error"]["message"]),
            },
            other => panic!("{other}"),
        }
    }

    fn read_until(text: &str) -> State {
        let bookmark = Bookmark { day: Some(day(text)), ..Bookmark::default() };
        let mut state = State::default();
        state.set(&EVENTS, bookmark);
        state
    }

    #[test]
    fn a_stream_goes_from_started_over_running_to_complete() {
        let mut airbyte = airbyte(SyncMode::Incremental, &State::default());
        airbyte.messages.started(&EVENTS).unwrap();
        airbyte.messages.started(&EVENTS).unwrap();
        airbyte.messages.estimate(&EVENTS, 7).unwrap();
        airbyte.record(&EVENTS, "a");
        airbyte.record(&EVENTS, "b");
        airbyte.messages.state(&read_until("2026-11-01")).unwrap();
        airbyte.record(&EVENTS, "c");
        airbyte.messages.completed(&EVENTS, &read_until("2026-11-24")).unwrap();
        airbyte.messages.completed(&EVENTS, &read_until("2026-11-25")).unwrap();
        assert_eq!(
            airbyte.lines(),
            [
                "events STARTED",
                "estimate 7",
                "events RUNNING",
                r#"events {"id":"a"}"#,
                r#"events {"id":"b"}"#,
                r#"events state {"day":"2026-11-01"} after 2.0"#,
                r#"events {"id":"c"}"#,
                r#"events state {"day":"2026-11-24"} after 1.0"#,
                "events COMPLETE",
            ]
        );
    }

    #[test]
    fn a_state_is_written_only_of_a_stream_that_came_further() {
        let mut airbyte = airbyte(SyncMode::Incremental, &read_until("2026-11-01"));
        airbyte.messages.state(&read_until("2026-11-02")).unwrap();
        assert!(airbyte.lines().is_empty(), "it has not begun");
        airbyte.messages.started(&EVENTS).unwrap();
        airbyte.messages.state(&read_until("2026-11-01")).unwrap();
        airbyte.messages.state(&State::default()).unwrap();
        assert_eq!(airbyte.lines(), ["events STARTED"]);
        airbyte.messages.state(&read_until("2026-11-02")).unwrap();
        airbyte.messages.state(&read_until("2026-11-02")).unwrap();
        assert_eq!(airbyte.lines(), [r#"events state {"day":"2026-11-02"} after 0.0"#]);
        airbyte.messages.completed(&EVENTS, &read_until("2026-11-02")).unwrap();
        assert_eq!(airbyte.lines(), ["events COMPLETE"], "its state has been written");
    }

    #[test]
    fn a_refresh_is_marked_until_its_end_and_every_stream_has_a_state() {
        let mut airbyte = airbyte(SyncMode::FullRefresh, &State::default());
        airbyte.messages.started(&EVENTS).unwrap();
        airbyte.messages.state(&read_until("2026-11-01")).unwrap();
        airbyte.messages.completed(&EVENTS, &read_until("2026-11-01")).unwrap();
        airbyte.messages.completed(&PLACES, &State::default()).unwrap();
        assert_eq!(
            airbyte.lines(),
            [
                "events STARTED",
                r#"events state {"day":"2026-11-01","refresh":"2026-11-25"} after 0.0"#,
                r#"events state {"day":"2026-11-01"} after 0.0"#,
                "events COMPLETE",
                "places STARTED",
                r#"places state {"read_on":"2026-11-25"} after 0.0"#,
                "places COMPLETE",
            ]
        );
    }

    #[test]
    fn a_stream_that_failed_and_one_that_was_not_read_are_incomplete() {
        let mut airbyte = airbyte(SyncMode::Incremental, &State::default());
        let error = Error::Forbidden {
            path: "/x".into(),
            status: 403,
            reason: "not in the plan".into(),
            wants: Permission::AllData,
            host: String::new(),
        };
        airbyte.messages.failed(&EVENTS, &error).unwrap();
        airbyte.messages.failed(&EVENTS, &error).unwrap();
        airbyte.messages.end().unwrap();
        let lines = airbyte.lines();
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert_eq!(lines[0], "events INCOMPLETE");
        assert!(lines[1].starts_with("events ERROR \"the token may not read /x"), "{lines:?}");
        assert_eq!(lines[2], "places INCOMPLETE");
    }

    #[test]
    fn a_record_of_a_stream_outside_the_catalog_is_an_error_and_not_dropped() {
        let mut airbyte = airbyte(SyncMode::Incremental, &State::default());
        let stranger = Stream { name: "stranger", ..PLACES };
        let extracted = DateTime::UNIX_EPOCH.into();
        let record = "{}";
        let error = airbyte.messages.record(&stranger, "", record, &extracted).unwrap_err();
        assert!(matches!(error, Error::Internal { .. }), "{error}");
    }

    #[test]
    fn who_can_do_something_about_an_error_follows_from_its_kind() {
        let broken = std::io::Error::other("pipe");
        for (error, expected) in [
            (
                Error::Unauthorized {
                    path: "/x".into(),
                    reason: String::new(),
                    because: Unaccepted::Token,
                    host: String::new(),
                },
                FailureType::ConfigError,
            ),
            (Error::Output(broken), FailureType::TransientError),
            (
                Error::EndlessPages { path: "/x".into(), host: String::new() },
                FailureType::SystemError,
            ),
            (Error::internal("order"), FailureType::SystemError),
        ] {
            assert_eq!(trace(&error).failure_type, expected, "{error}");
        }
    }
}
