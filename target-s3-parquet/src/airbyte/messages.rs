//! Airbyte's messages that are no records.

use protocol::airbyte::StreamName;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::envelope::Airbyte;
use super::streams::{NamedPlan, registry};
use crate::decode::scan::type_of_message;
use crate::error::Error;
use crate::input::item::Item;
use crate::input::outlet::{Halt, Outlet};
use crate::input::protocol::{Messages, Protocol};
use crate::state::State;

/// Airbyte at the start of a run, whose streams are those of the configured catalog.
pub(super) fn protocol(streams: &[NamedPlan]) -> Protocol {
    Protocol { dialect: &Airbyte, messages: Box::new(AirbyteMessages), registry: registry(streams) }
}

/// Reads messages, each on its own.
#[derive(Debug)]
struct AirbyteMessages;

impl Messages for AirbyteMessages {
    /// What other programs print on the same pipe is no message, and is passed over.
    fn is_record(&self, line: &[u8]) -> Result<bool, String> {
        Ok(is_of_type(line, "RECORD"))
    }

    fn read(&mut self, line: &[u8], number: u64, outlet: &mut Outlet) -> Result<(), Halt> {
        match message(line, number)? {
            Some(item) => outlet.item(item),
            None => Ok(()),
        }
    }

    fn at_end(&self) -> Vec<String> {
        Vec::new()
    }
}

fn is_of_type(line: &[u8], name: &str) -> bool {
    let found = type_of_message(line).ok().flatten();
    found.is_some_and(|found| found.eq_ignore_ascii_case(name.as_bytes()))
}

/// A message, as far as it matters here.
#[derive(Deserialize)]
struct Message {
    #[serde(rename = "type")]
    kind: Option<String>,
    state: Option<StateBody>,
    trace: Option<Trace>,
}

#[derive(Deserialize)]
struct StateBody {
    #[serde(rename = "type")]
    kind: Option<String>,
    stream: Option<Described>,
}

#[derive(Deserialize)]
struct Trace {
    stream_status: Option<Status>,
}

#[derive(Deserialize)]
struct Described {
    stream_descriptor: Option<StreamName>,
}

#[derive(Deserialize)]
struct Status {
    stream_descriptor: StreamName,
    status: String,
}

/// What a line says that is no record: nothing where it is not for a destination.
fn message(line: &[u8], number: u64) -> Result<Option<Item>, Error> {
    let message = match serde_json::from_slice::<Message>(line) {
        Ok(message) => message,
        // A state that cannot be read is one that would never be acknowledged.
        Err(error) if is_of_type(line, "STATE") => {
            let reason = error.to_string().replace(" at line 1 column", " at column");
            return Err(Error::Line { line: number, reason });
        }
        Err(_) => {
            let text = String::from_utf8_lossy(line.get(..200).unwrap_or(line));
            return Ok(Some(Item::Warning(format!(
                "line {number} is no message and ignored: {}",
                text.trim_end()
            ))));
        }
    };
    let kind = message.kind.unwrap_or_default();
    if kind.eq_ignore_ascii_case("STATE") {
        return state(message.state, line, number).map(Some);
    }
    let status = message.trace.filter(|_| kind.eq_ignore_ascii_case("TRACE"));
    Ok(status.and_then(|trace| trace.stream_status).as_ref().and_then(ended))
}

/// A state, with the text of its whole message: that is how it is acknowledged.
fn state(state: Option<StateBody>, line: &[u8], number: u64) -> Result<Item, Error> {
    let fault = |reason: String| Error::Line { line: number, reason };
    let state = state.ok_or_else(|| fault("it is a STATE without a `state`".into()))?;
    let stream = match state.kind.as_deref() {
        Some("STREAM") | None => state.stream.and_then(|stream| stream.stream_descriptor),
        // Of all streams.
        Some(_) => None,
    };
    let text = std::str::from_utf8(line)
        .map_err(|error| Error::broken("a block of lines is valid UTF-8", error))?;
    let text = RawValue::from_string(text.to_owned()).map_err(|error| fault(error.to_string()))?;
    Ok(Item::State(State { text, stream: stream.map(|name| name.to_string()) }))
}

/// The end of a stream; nothing while it runs.
fn ended(status: &Status) -> Option<Item> {
    let complete = match status.status.as_str() {
        "COMPLETE" => true,
        "INCOMPLETE" => false,
        _ => return None,
    };
    Some(Item::Ended { stream: status.stream_descriptor.to_string(), complete })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<Item> {
        message(line.as_bytes(), 1).unwrap()
    }

    #[test]
    fn states_name_their_stream_and_keep_their_text() {
        // `global_` stands twice, as `PyAirbyte` writes it.
        let line = r#"{"type":"STATE","log":null,"state":{"type":"STREAM","stream":{"stream_descriptor":{"name":"a","namespace":"n"},"stream_state":{"x":1.10}},"global_":null,"global_":null}}"#;
        let Some(Item::State(state)) = read(line) else { panic!("no state") };
        assert_eq!(state.stream.as_deref(), Some("n.a"));
        assert_eq!(state.text.get(), line);
        let global = r#"{"type":"STATE","state":{"type":"GLOBAL","global_":{"stream_states":[]}}}"#;
        assert!(matches!(read(global), Some(Item::State(State { stream: None, .. }))));
        assert!(matches!(
            read(r#"{"type":"STATE","state":{"data":{"a":1}}}"#),
            Some(Item::State(State { stream: None, .. }))
        ));
    }

    #[test]
    fn only_the_end_of_a_stream_matters_among_traces() {
        let status = |status: &str| {
            read(&format!(
                r#"{{"type":"TRACE","trace":{{"type":"STREAM_STATUS","emitted_at":1.5,"stream_status":{{"stream_descriptor":{{"name":"a","namespace":null}},"status":"{status}"}}}}}}"#
            ))
        };
        assert!(
            matches!(status("COMPLETE"), Some(Item::Ended { complete: true, stream }) if stream == "a")
        );
        assert!(matches!(status("INCOMPLETE"), Some(Item::Ended { complete: false, .. })));
        assert!(status("RUNNING").is_none());
        for line in [
            r#"{"type":"LOG","log":{"level":"INFO","message":"x"}}"#,
            r#"{"type":"TRACE","trace":{"type":"ESTIMATE","estimate":{"name":"a"}}}"#,
            r#"{"type":"CONTROL","control":{}}"#,
            "{}",
        ] {
            assert!(read(line).is_none(), "{line}");
        }
        assert!(matches!(read("hello"), Some(Item::Warning(_))));
        assert!(matches!(read("{broken"), Some(Item::Warning(_))));
    }

    #[test]
    fn a_state_that_cannot_be_read_is_an_error() {
        let line = br#"{"type":"STATE","state":{"type":"STREAM""#;
        assert!(message(line, 7).is_err());
    }

    #[test]
    fn what_is_no_message_is_passed_over_and_states_come_behind_their_rows() {
        let catalog = serde_json::json!({"streams": [{
            "stream": {"name": "a", "json_schema": {"properties": {"id": {"type": "integer"}}}},
            "destination_sync_mode": "append",
        }]});
        let catalog = protocol::airbyte::ConfiguredCatalog::parse(&catalog.to_string()).unwrap();
        let config = crate::testing::config(serde_json::json!({}));
        let streams = crate::airbyte::streams::plans("catalog", &catalog, &config).unwrap();
        let state = r#"{"type":"STATE","state":{"type":"GLOBAL"}}"#;
        let input = [
            r#"{"type":"RECORD","record":{"stream":"a","data":{"id":1}}}"#,
            "a line of another program",
            r#"{"record":{"stream":"a","data":{"id":2}},"type":"record"}"#,
            state,
            r#"{"type":"TRACE","trace":{"stream_status":{"stream_descriptor":{"name":"a"},"status":"COMPLETE"}}}"#,
        ];
        let (items, error) = crate::testing::read(input.join("\n"), protocol(&streams));
        assert!(error.is_none());
        assert_eq!(
            crate::testing::described(&items),
            [
                "rows 1 a",
                "warning line 2 is no message and ignored: a line of another program",
                "rows 1 a",
                &format!("state {state}"),
                "ended a true",
            ]
        );
    }
}
