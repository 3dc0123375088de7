//! What programs tell the log in numbers: what became of a stream, metrics, and the summary of a run.

use std::fmt;
use std::sync::OnceLock;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::words;

/// The field whose text is the JSON of other fields.
pub(crate) const FIELDS: &str = "told";

/// The field whose text is the JSON of a summary.
pub(crate) const SUMMARY: &str = "summary";

/// Begins the message of a metric; its JSON follows.
pub(crate) const METRIC: &str = "METRIC: ";

/// Whether whoever reads the log asked for metrics.
static WANTS_METRICS: OnceLock<bool> = OnceLock::new();

/// One event about a stream: its message says what its fields hold, because some readers show nothing but
/// the message.
#[derive(Debug)]
pub struct Told {
    stream: String,
    words: Vec<String>,
    fields: Map<String, Value>,
}

impl Told {
    /// Nothing yet about a stream.
    pub fn of(stream: &str) -> Self {
        Self { stream: stream.to_owned(), words: Vec::new(), fields: Map::new() }
    }

    /// A count, its field, and what it counts.
    #[must_use]
    pub fn count(mut self, field: &str, count: u64, one: &str, many: &str) -> Self {
        self.words.push(words::counted(count, one, many));
        self.field(field, count)
    }

    /// A count that goes without saying where it is zero.
    #[must_use]
    pub fn any(self, field: &str, count: u64, one: &str, many: &str) -> Self {
        if count == 0 { self.field(field, count) } else { self.count(field, count, one, many) }
    }

    /// How large something is.
    #[must_use]
    pub fn bytes(mut self, field: &str, bytes: u64) -> Self {
        self.words.push(words::size(bytes));
        self.field(field, bytes)
    }

    /// Words that no field has.
    #[must_use]
    pub fn words(mut self, words: impl Into<String>) -> Self {
        self.words.push(words.into());
        self
    }

    /// A field that needs no words.
    #[must_use]
    pub fn field(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(field.to_owned(), value.into());
        self
    }

    /// Whether there is anything to say.
    pub fn says_something(&self) -> bool {
        !self.words.is_empty()
    }

    fn json(&self) -> String {
        serde_json::to_string(&self.fields).unwrap_or_default()
    }

    /// Tells it.
    pub fn info(self) {
        tracing::info!(stream = self.stream, told = self.json(), "{self}");
    }

    /// Tells it as what went wrong.
    pub fn error(self) {
        tracing::error!(stream = self.stream, told = self.json(), "{self}");
    }

    /// Tells it to whoever looks closely.
    pub fn debug(self) {
        tracing::debug!(stream = self.stream, told = self.json(), "{self}");
    }
}

impl fmt::Display for Told {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.stream, self.words.join(", "))
    }
}

/// From now on metrics are told, or not. The first word counts.
pub(crate) fn want_metrics(wanted: bool) {
    _ = WANTS_METRICS.set(wanted);
}

/// Logs how many records of a stream were read or written, as the SDK's metrics say it, where they are read.
pub fn record_count(stream: &str, records: u64) {
    if WANTS_METRICS.get() == Some(&true) && records > 0 {
        let metric = json!({
            "type": "counter",
            "metric": "record_count",
            "value": records,
            "tags": {"stream": stream, "pid": std::process::id(), "context": {}},
        });
        tracing::info!("{METRIC}{metric}");
    }
}

/// Logs what was done, in a sentence and, in a log of JSON, as an object.
pub fn summary(summary: &impl Serialize, sentence: &str) {
    match serde_json::to_string(summary) {
        // By this name formatters know it.
        Ok(text) => tracing::info!(summary = %text, "{sentence}"),
        Err(error) => tracing::warn!(%error, "no summary"),
    }
}
