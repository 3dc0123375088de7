//! Writing Singer messages, one JSON object a line.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;

use crate::lines::LineWriter;

/// Writes messages.
#[derive(Debug)]
pub struct MessageWriter<W: Write> {
    lines: LineWriter<W>,
}

#[derive(Serialize)]
struct SchemaMessage<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    stream: &'a str,
    schema: &'a Value,
    key_properties: &'a [&'a str],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    bookmark_properties: &'a [&'a str],
}

#[derive(Serialize)]
struct StateMessage<'a, S: Serialize> {
    #[serde(rename = "type")]
    kind: &'a str,
    value: &'a S,
}

impl<W: Write> MessageWriter<W> {
    /// A writer to `output`.
    pub fn new(output: W) -> Self {
        Self { lines: LineWriter::new(output) }
    }

    /// Writes SCHEMA.
    pub fn schema(
        &mut self,
        stream: &str,
        schema: &Value,
        keys: &[&str],
        bookmarks: &[&str],
    ) -> io::Result<()> {
        self.lines.line(&SchemaMessage {
            kind: "SCHEMA",
            stream,
            schema,
            key_properties: keys,
            bookmark_properties: bookmarks,
        })
    }

    /// Writes RECORD; `record` is JSON text, copied as it is, and `time_extracted` an RFC 3339 time.
    pub fn record(&mut self, stream: &str, record: &str, time_extracted: &str) -> io::Result<()> {
        self.lines.gather(|line| {
            line.extend_from_slice(br#"{"type":"RECORD","stream":"#);
            serde_json::to_writer(&mut *line, stream)?;
            line.extend_from_slice(br#","record":"#);
            line.extend_from_slice(record.as_bytes());
            line.extend_from_slice(br#","time_extracted":"#);
            serde_json::to_writer(&mut *line, time_extracted)?;
            line.push(b'}');
            Ok(())
        })
    }

    /// Writes STATE, and everything before it to the output.
    pub fn state<S: Serialize>(&mut self, value: &S) -> io::Result<()> {
        self.lines.line(&StateMessage { kind: "STATE", value })?;
        self.flush()
    }

    /// Writes what was gathered.
    pub fn flush(&mut self) -> io::Result<()> {
        self.lines.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn messages_are_lines_in_the_order_in_which_they_were_written() {
        let mut bytes = Vec::new();
        let mut writer = MessageWriter::new(&mut bytes);
        writer.schema("s", &json!({"properties": {}}), &["id"], &[]).unwrap();
        writer.record("\"s\"", r#"{"id":1}"#, "2026-01-01T00:00:00Z").unwrap();
        writer.state(&json!({"bookmarks": {}})).unwrap();
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            concat!(
                r#"{"type":"SCHEMA","stream":"s","schema":{"properties":{}},"key_properties":["id"]}"#,
                "\n",
                r#"{"type":"RECORD","stream":"\"s\"","record":{"id":1},"time_extracted":"2026-01-01T00:00:00Z"}"#,
                "\n",
                r#"{"type":"STATE","value":{"bookmarks":{}}}"#,
                "\n"
            )
        );
    }
}
