//! What stands in the place of OpenTelemetry in a program that was built without the feature `telemetry`.

use std::error::Error;

use tracing_subscriber::{Layer, Registry};

/// The target of spans that would be sent.
pub const SPANS: &str = "telemetry";

/// A layer of the log.
pub(crate) type Layers = Box<dyn Layer<Registry> + Send + Sync>;

/// What would be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are those of the module")]
pub enum Figure {
    Records,
    Rows,
    Files,
    Bytes,
    Requests,
    Retries,
    Waited,
    Lag,
}

/// Nothing is sent.
pub fn is_on() -> bool {
    false
}

/// Nobody is told.
pub fn tell(_: Figure, _: &[(&'static str, &str)], _: f64) {}

/// A count as spans hold it.
pub fn integer(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

/// Does the work of a run.
pub fn run<T, E: Error>(_: &'static str, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    work()
}

/// No span is made.
pub fn ended<T, E: Error>(_: &tracing::Span, _: &Result<T, E>) {}

/// No layer, and a sentence where one is asked for.
pub(crate) fn layer(_: &'static str) -> (Option<Layers>, Vec<String>) {
    let asked = std::env::var_os("OTEL_EXPORTER_OTLP_ENDPOINT");
    let warning = asked.map(|_| {
        "OTEL_EXPORTER_OTLP_ENDPOINT is set, and this program was built without the feature `telemetry`".to_owned()
    });
    (None, warning.into_iter().collect())
}
