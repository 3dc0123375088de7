//! Messages to write, one JSON object a line.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::catalog::{Catalog, DestinationSyncMode, StreamName};

/// A message. `T` is what a record or a state holds.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Message<'a, T: Serialize = ()> {
    /// How the connector is configured.
    Spec {
        /// The specification.
        spec: &'a Specification,
    },
    /// Whether a configuration works.
    ConnectionStatus {
        /// The outcome.
        #[serde(rename = "connectionStatus")]
        status: ConnectionStatus,
    },
    /// What a source has to read.
    Catalog {
        /// The streams.
        catalog: &'a Catalog,
    },
    /// A record.
    Record {
        /// The record and its stream.
        record: Record<'a, T>,
    },
    /// How far a stream has come.
    State {
        /// The state.
        state: State<'a, T>,
    },
    /// What happened.
    Trace {
        /// The event.
        trace: Trace<'a>,
    },
}

/// The specification of a connector.
#[derive(Debug, Serialize)]
pub struct Specification {
    /// Version of the protocol.
    pub protocol_version: &'static str,
    /// Where the connector is described.
    #[serde(rename = "documentationUrl")]
    pub documentation_url: String,
    /// JSON Schema of the settings, made from the settings of the program.
    #[serde(rename = "connectionSpecification")]
    pub connection_specification: Value,
    /// Whether streams can be read or written in increments.
    #[serde(rename = "supportsIncremental")]
    pub supports_incremental: bool,
    /// How a destination can write.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub supported_destination_sync_modes: &'static [DestinationSyncMode],
}

/// The version of the protocol that is spoken.
pub const PROTOCOL_VERSION: &str = "0.2.0";

/// Whether a configuration works.
#[derive(Debug, Serialize)]
#[serde(tag = "status", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ConnectionStatus {
    /// It does.
    Succeeded {
        /// What else there is to know.
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// It does not.
    Failed {
        /// Why, and what to do.
        message: String,
    },
}

/// A record.
#[derive(Debug, Serialize)]
pub struct Record<'a, T: Serialize> {
    /// Its stream.
    pub stream: &'a str,
    /// The record itself.
    pub data: T,
    /// When it was read, in milliseconds since 1970.
    pub emitted_at: i64,
}

/// The state of a stream.
#[derive(Debug, Serialize)]
pub struct State<'a, T: Serialize> {
    /// Always `STREAM`.
    #[serde(rename = "type")]
    kind: &'static str,
    stream: StreamState<'a, T>,
    #[serde(rename = "sourceStats")]
    stats: Stats,
}

/// A stream and how far it has come.
#[derive(Debug, Serialize)]
struct StreamState<'a, T: Serialize> {
    stream_descriptor: Descriptor<'a>,
    stream_state: T,
}

/// The name of a stream.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Descriptor<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
}

impl<'a> From<&'a str> for Descriptor<'a> {
    fn from(name: &'a str) -> Self {
        Self { name, namespace: None }
    }
}

impl<'a> From<&'a StreamName> for Descriptor<'a> {
    fn from(stream: &'a StreamName) -> Self {
        Self { name: &stream.name, namespace: stream.namespace.as_deref() }
    }
}

/// How many records a state covers, those before the previous state left out. The protocol wants a
/// decimal point.
#[derive(Debug, Serialize)]
struct Stats {
    #[serde(rename = "recordCount", serialize_with = "with_point")]
    records: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn with_point<S: Serializer>(count: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    serializer.serialize_f64(*count as f64)
}

impl<'a, T: Serialize> State<'a, T> {
    /// The state of a stream, after so many records since its previous one.
    pub fn of(stream: &'a str, state: T, records: u64) -> Self {
        Self {
            kind: "STREAM",
            stream: StreamState { stream_descriptor: stream.into(), stream_state: state },
            stats: Stats { records },
        }
    }
}

/// Something that happened.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Trace<'a> {
    /// A failure.
    Error {
        /// When, in milliseconds since 1970.
        emitted_at: i64,
        /// What failed.
        error: TraceError<'a>,
    },
    /// How a stream goes on.
    StreamStatus {
        /// When, in milliseconds since 1970.
        emitted_at: i64,
        /// The stream and its status.
        stream_status: StatusOf<'a>,
    },
    /// How much there is to read.
    Estimate {
        /// When, in milliseconds since 1970.
        emitted_at: i64,
        /// The stream and its rows.
        estimate: Estimate<'a>,
    },
}

/// A failure.
#[derive(Debug, Serialize)]
pub struct TraceError<'a> {
    /// What a user is told.
    pub message: String,
    /// What a developer wants to know beside it.
    pub internal_message: String,
    /// Who can do something about it.
    pub failure_type: FailureType,
    /// The stream that failed, if only one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_descriptor: Option<Descriptor<'a>>,
}

impl<'a> TraceError<'a> {
    /// A failure, in words for the user and with what a developer wants to know.
    pub fn new(message: String, internal_message: String, failure_type: FailureType) -> Self {
        Self { message, internal_message, failure_type, stream_descriptor: None }
    }

    /// The failure of one stream.
    #[must_use]
    pub fn of(self, stream: &'a str) -> Self {
        Self { stream_descriptor: Some(stream.into()), ..self }
    }
}

/// Who can do something about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureType {
    /// The user, by another configuration.
    ConfigError,
    /// Time: the same may work later.
    TransientError,
    /// The makers of the connector.
    SystemError,
}

/// The status of a stream.
#[derive(Debug, Serialize)]
pub struct StatusOf<'a> {
    stream_descriptor: Descriptor<'a>,
    status: StreamStatus,
}

/// How a stream goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StreamStatus {
    /// It is about to be read.
    Started,
    /// Its first record has been read.
    Running,
    /// It was read to its end.
    Complete,
    /// It was not.
    Incomplete,
}

/// How much there is to read of a stream.
#[derive(Debug, Serialize)]
pub struct Estimate<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "row_estimate")]
    rows: u64,
}

impl<'a> Trace<'a> {
    /// A failure.
    pub fn error(error: TraceError<'a>) -> Self {
        Self::Error { emitted_at: now(), error }
    }

    /// The status of a stream.
    pub fn status(stream: &'a str, status: StreamStatus) -> Self {
        let stream_status = StatusOf { stream_descriptor: stream.into(), status };
        Self::StreamStatus { emitted_at: now(), stream_status }
    }

    /// How many rows a stream may have.
    pub fn estimate(stream: &'a str, rows: u64) -> Self {
        let estimate = Estimate { name: stream, kind: "STREAM", rows };
        Self::Estimate { emitted_at: now(), estimate }
    }
}

impl<'a> From<Trace<'a>> for Message<'a> {
    fn from(trace: Trace<'a>) -> Self {
        Self::Trace { trace }
    }
}

/// Now, in milliseconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn messages_have_the_names_and_forms_of_the_protocol() {
        let record = Record { stream: "s", data: json!({"a": 1}), emitted_at: 5 };
        let state = State::of("s", json!({"day": "x"}), 2);
        let status = ConnectionStatus::Failed { message: "no".into() };
        let text = |message: &Message<'_, Value>| serde_json::to_string(message).unwrap();
        assert_eq!(
            text(&Message::Record { record }),
            r#"{"type":"RECORD","record":{"stream":"s","data":{"a":1},"emitted_at":5}}"#
        );
        assert_eq!(
            text(&Message::State { state }),
            r#"{"type":"STATE","state":{"type":"STREAM","stream":{"stream_descriptor":{"name":"s"},"stream_state":{"day":"x"}},"sourceStats":{"recordCount":2.0}}}"#
        );
        assert_eq!(
            text(&Message::ConnectionStatus { status }),
            r#"{"type":"CONNECTION_STATUS","connectionStatus":{"status":"FAILED","message":"no"}}"#
        );
        let trace: Message<'_> = Trace::status("s", StreamStatus::Complete).into();
        let trace = serde_json::to_value(&trace).unwrap();
        assert_eq!(trace["trace"]["type"], "STREAM_STATUS");
        assert_eq!(trace["trace"]["stream_status"]["status"], "COMPLETE");
    }
}
