//! The kinds of Singer's messages.

use crate::decode::fault::describe;
use crate::decode::scan::type_of_message;

/// What a line carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MessageKind {
    /// A record.
    Record,
    /// The schema of a stream.
    Schema,
    /// A state to acknowledge.
    State,
    /// A new version of a stream's table.
    ActivateVersion,
    /// Files of records.
    Batch,
    /// Anything else.
    Other,
}

/// The kind of the message in a line. The error says what keeps it from being one.
pub(crate) fn kind_of_line(line: &[u8]) -> Result<MessageKind, String> {
    type_of_message(line)
        .map_err(|syntax| describe(line, syntax))?
        .map(kind_of_type)
        .ok_or_else(|| "it has no `type`".to_owned())
}

/// Types are read in any case.
fn kind_of_type(name: &[u8]) -> MessageKind {
    let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
    if is("RECORD") {
        MessageKind::Record
    } else if is("SCHEMA") {
        MessageKind::Schema
    } else if is("STATE") {
        MessageKind::State
    } else if is("ACTIVATE_VERSION") {
        MessageKind::ActivateVersion
    } else if is("BATCH") {
        MessageKind::Batch
    } else {
        MessageKind::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_is_found_wherever_the_type_stands_and_however_it_is_written() {
        for (line, kind) in [
            (r#"{"type": "RECORD", "stream": "x"}"#, MessageKind::Record),
            (r#"{"stream":"x","record":{"type":"STATE"},"type":"record"}"#, MessageKind::Record),
            (r#"{"type":"Schema"}"#, MessageKind::Schema),
            (r#"{"value":{},"type":"STATE"}"#, MessageKind::State),
            (r#"{"type":"ACTIVATE_VERSION"}"#, MessageKind::ActivateVersion),
            (r#"{"type":"BATCH"}"#, MessageKind::Batch),
            (r#"{"type":"LOG"}"#, MessageKind::Other),
        ] {
            assert_eq!(kind_of_line(line.as_bytes()), Ok(kind), "{line}");
        }
    }

    #[test]
    fn what_is_no_message_is_said_with_its_start() {
        assert!(kind_of_line(b"[1]").is_err());
        assert!(kind_of_line(b"hello").unwrap_err().contains("hello"));
        assert!(kind_of_line(b"{}").unwrap_err().contains("no `type`"));
    }
}
