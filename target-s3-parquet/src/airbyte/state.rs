//! Acknowledging states to Airbyte: every one, once, in order, with what was stored before it.

use std::collections::HashMap;
use std::io::Write;

use lake::write::journal::{Acknowledged, Receipt};

use crate::decode::scan::{Cursor, Members};
use crate::error::Error;
use crate::state::{Sink, State, unwritten};

/// Bytes of waiting states from which on they should be acknowledged soon.
const MANY: usize = 1024 * 1024;

/// Acknowledges states on stdout.
pub(super) struct Acknowledger {
    stdout: Box<dyn Write + Send>,
    waiting: Vec<Waiting>,
    bytes: usize,
    /// Rows of each stream since its last state.
    counts: HashMap<String, Counts>,
}

/// A state that waits for its rows.
#[derive(Debug)]
struct Waiting {
    text: String,
    stream: Option<String>,
    counts: Counts,
}

/// Rows that were stored and such that were not.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Counts {
    rows: u64,
    rejected: u64,
}

impl std::fmt::Debug for Acknowledger {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Acknowledger")
            .field("waiting", &self.waiting)
            .finish_non_exhaustive()
    }
}

impl Acknowledger {
    pub(super) fn new(stdout: Box<dyn Write + Send>) -> Self {
        Self { stdout, waiting: Vec::new(), bytes: 0, counts: HashMap::new() }
    }

    /// Rows since the last state of a stream, or of all.
    fn counted(&mut self, stream: Option<&String>) -> Counts {
        match stream {
            Some(stream) => self.counts.remove(stream).unwrap_or_default(),
            None => self.counts.drain().fold(Counts::default(), |sum, (_, counts)| Counts {
                rows: sum.rows + counts.rows,
                rejected: sum.rejected + counts.rejected,
            }),
        }
    }

    /// Which of the waiting states can be acknowledged: those of streams that are not held, and one of
    /// all streams when none is held and none waits before it.
    fn ready(&self, held: &[String]) -> Vec<bool> {
        let mut blocked = false;
        let ready = self.waiting.iter().map(|state| {
            let is_held = match &state.stream {
                Some(stream) => held.contains(stream),
                None => !held.is_empty(),
            };
            // Nothing overtakes a state of all streams.
            let waits = blocked || is_held;
            blocked |= waits && state.stream.is_none();
            !waits
        });
        ready.collect()
    }
}

impl Sink for Acknowledger {
    fn count(&mut self, stream: &str, rows: u64, rejected: u64) {
        match self.counts.get_mut(stream) {
            Some(counts) => {
                counts.rows += rows;
                counts.rejected += rejected;
            }
            None => _ = self.counts.insert(stream.to_owned(), Counts { rows, rejected }),
        }
    }

    fn note(&mut self, state: State) {
        let counts = self.counted(state.stream.as_ref());
        let text = String::from(Box::<str>::from(state.text));
        self.bytes += text.len();
        self.waiting.push(Waiting { text, stream: state.stream, counts });
    }

    fn is_ready(&self, held: &[String]) -> bool {
        self.ready(held).contains(&true)
    }

    fn is_full(&self) -> bool {
        self.bytes > MANY
    }

    fn covering(&self, stream: &str) -> Option<&str> {
        let covers = |waiting: &&Waiting| waiting.stream.as_deref().is_none_or(|own| own == stream);
        self.waiting.iter().rev().find(covers).map(|waiting| waiting.text.as_str())
    }

    fn next(&self) -> Option<&str> {
        self.waiting.first().map(|state| state.text.as_str())
    }

    fn receipt(&self) -> Option<&dyn Receipt> {
        None
    }

    fn acknowledge(&mut self, held: &[String]) -> Acknowledged<Error> {
        let ready = self.ready(held);
        let mut lines = Vec::new();
        for (state, is_ready) in std::mem::take(&mut self.waiting).into_iter().zip(ready) {
            if is_ready {
                lines.extend_from_slice(with_counts(&state.text, state.counts).as_bytes());
                lines.push(b'\n');
            } else {
                self.waiting.push(state);
            }
        }
        self.bytes = self.waiting.iter().map(|state| state.text.len()).sum();
        match self.stdout.write_all(&lines).and_then(|()| self.stdout.flush()) {
            Ok(()) => Acknowledged::Yes,
            Err(source) => unwritten(source),
        }
    }
}

/// The message as it came, byte for byte but for the `destinationStats` of its state.
fn with_counts(message: &str, counts: Counts) -> String {
    let Counts { rows, rejected } = counts;
    let own = format!(
        r#""destinationStats":{{"recordCount":{rows}.0,"rejectedRecordCount":{rejected}.0}}"#
    );
    let Some((start, end)) = member(message, 0, "state") else { return message.to_owned() };
    let (before, state, after) = (&message[..start], &message[start..end], &message[end..]);
    let state = match member(message, start, "destinationStats") {
        Some((from, to)) => {
            let value = own.split_once(':').map_or("null", |(_, value)| value);
            format!("{}{value}{}", &message[start..from], &message[to..end])
        }
        None => {
            let open = state.trim_end().strip_suffix('}').unwrap_or(state).trim_end();
            let comma = if open.ends_with('{') { "" } else { "," };
            format!("{open}{comma}{own}}}")
        }
    };
    format!("{before}{state}{after}")
}

/// Where the value of a member stands in the object that begins at `from`.
fn member(text: &str, from: usize, name: &str) -> Option<(usize, usize)> {
    let mut cursor = Cursor::new(text.as_bytes().get(from..)?);
    let mut members = Members::open(&mut cursor).ok()?;
    while let Some(key) = members.next(&mut cursor).ok()? {
        cursor.peek();
        let start = cursor.position();
        cursor.skip().ok()?;
        if key.raw == name.as_bytes() {
            return Some((from + start, from + cursor.position()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Lines;
    use serde_json::value::RawValue;

    fn state(text: &str, stream: Option<&str>) -> State {
        State {
            text: RawValue::from_string(text.into()).unwrap(),
            stream: stream.map(str::to_owned),
        }
    }

    #[test]
    fn only_the_counts_of_a_state_are_ours() {
        let counts = Counts { rows: 3, rejected: 1 };
        let own = r#""destinationStats":{"recordCount":3.0,"rejectedRecordCount":1.0}"#;
        for (message, expected) in [
            (
                r#"{"type":"STATE", "state" : {"x": 1.10, "global_":null, "global_":null},"log":null}"#,
                r#"{"type":"STATE", "state" : {"x": 1.10, "global_":null, "global_":null,OWN},"log":null}"#,
            ),
            (
                r#"{"state":{"a":"}\"","destinationStats":null,"b":[]},"type":"STATE"}"#,
                r#"{"state":{"a":"}\"",OWN,"b":[]},"type":"STATE"}"#,
            ),
            (r#"{"type":"STATE","state":{ }}"#, r#"{"type":"STATE","state":{OWN}}"#),
        ] {
            assert_eq!(with_counts(message, counts), expected.replace("OWN", own));
        }
    }

    #[test]
    fn states_wait_for_their_streams_and_keep_their_order() {
        let lines = Lines::default();
        let mut sink = Acknowledger::new(Box::new(lines.clone()));
        let message = |n: u64| format!(r#"{{"state":{{"n":{n}}}}}"#);
        sink.count("a", 2, 0);
        sink.count("b", 5, 0);
        sink.note(state(&message(1), Some("a")));
        sink.note(state(&message(2), Some("b")));
        sink.count("a", 1, 4);
        sink.note(state(&message(3), Some("a")));
        assert!(sink.is_ready(&["a".into()]) && !sink.is_ready(&["a".into(), "b".into()]));
        let order = |lines: &Lines| {
            let text = lines.text();
            let digits = text
                .lines()
                .filter_map(|line| line.split("\"n\":").nth(1)?.get(..1)?.parse::<u64>().ok());
            digits.collect::<Vec<_>>()
        };
        sink.acknowledge(&["a".into()]);
        assert_eq!(order(&lines), [2]);
        sink.note(state(&message(4), None));
        sink.note(state(&message(5), Some("b")));
        sink.acknowledge(&["a".into()]);
        assert_eq!(order(&lines), [2]);
        sink.acknowledge(&[]);
        assert_eq!(order(&lines), [2, 1, 3, 4, 5]);
        let text = lines.text();
        assert!(text.contains(r#""recordCount":1.0,"rejectedRecordCount":4.0"#), "{text}");
        assert!(!sink.is_ready(&[]));
    }
}
