//! States, and where they go once the rows before them are durable.

use lake::write::journal::{Acknowledged, Receipt};
use serde_json::value::RawValue;

use crate::error::Error;

/// A state, as it is to be acknowledged: byte for byte.
#[derive(Debug)]
pub(crate) struct State {
    /// Its text.
    pub(crate) text: Box<RawValue>,
    /// The one stream whose records it covers; without it, those of all.
    pub(crate) stream: Option<String>,
}

/// Where states go once the rows before them are durable.
pub(crate) trait Sink: std::fmt::Debug {
    /// Rows of a stream came in; others were left out for good.
    fn count(&mut self, stream: &str, rows: u64, rejected: u64);

    /// Notes a state, which waits for its rows from here on.
    fn note(&mut self, state: State);

    /// Whether a state waits that can be acknowledged when the rows of all streams but the `held`
    /// ones are durable.
    fn is_ready(&self, held: &[String]) -> bool;

    /// Whether so much waits that it should be acknowledged soon.
    fn is_full(&self) -> bool;

    /// The text of the newest state that waits and covers the rows of a stream.
    fn covering(&self, stream: &str) -> Option<&str>;

    /// The text of the state that is acknowledged next.
    fn next(&self) -> Option<&str>;

    /// Where the newest state that was acknowledged can be read again, if anywhere.
    fn receipt(&self) -> Option<&dyn Receipt>;

    /// The rows of all streams but the `held` ones are durable: acknowledges their states.
    fn acknowledge(&mut self, held: &[String]) -> Acknowledged<Error>;
}

impl State {
    /// Whether it says nothing.
    pub(crate) fn is_empty(&self) -> bool {
        is_empty(self.text.get().trim())
    }
}

/// Whether a state says nothing.
pub(crate) fn is_empty(text: &str) -> bool {
    let is_empty_object = || {
        let inner = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        inner.is_some_and(|inner| inner.trim().is_empty())
    };
    matches!(text, "null" | "\"\"" | "[]") || is_empty_object()
}

/// What became of a state that could not be written to a stream that someone reads.
pub(crate) fn unwritten(source: std::io::Error) -> Acknowledged<Error> {
    let nobody_reads = source.kind() == std::io::ErrorKind::BrokenPipe;
    let error = Error::State { name: "standard output".into(), source };
    if nobody_reads { Acknowledged::No(error) } else { Acknowledged::Unknown(error) }
}
