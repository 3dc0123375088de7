//! The span of a run, which all others are in.

use std::collections::HashMap;
use std::error::Error;

use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::environment::Environment;
use super::export;
use crate::report;

/// Does the work of a run, in a span of this name, below the one that `TRACEPARENT` names. What there is to be sent
/// is sent before it returns.
pub fn run<T, E: Error>(name: &'static str, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    let Some(started) = export::started() else { return work() };
    Environment::of_process().warn_of_plain_http();
    let span = tracing::info_span!(
        target: export::SPANS,
        "run",
        otel.name = name,
        otel.status_code = Empty,
        otel.status_description = Empty,
    );
    // Without traces the span is none, and has no parent.
    _ = span.set_parent(parent());
    let outcome = span.in_scope(work);
    ended(&span, &outcome);
    drop(span);
    started.end();
    outcome
}

/// Notes in a span how its work has ended. It was made with the fields `otel.status_code` and
/// `otel.status_description`.
pub fn ended<T, E: Error>(span: &Span, outcome: &Result<T, E>) {
    if let Err(error) = outcome {
        span.record("otel.status_code", "error");
        span.record("otel.status_description", report::sentence(error, None));
    }
}

/// The span that has begun this program, as its environment says:
/// <https://opentelemetry.io/docs/specs/otel/context/env-carriers/>.
fn parent() -> opentelemetry::Context {
    let names = ["TRACEPARENT", "TRACESTATE"];
    let carried = names
        .into_iter()
        .filter_map(|name| std::env::var(name).ok().map(|value| (name.to_lowercase(), value)));
    let carried: HashMap<String, String> = carried.collect();
    TraceContextPropagator::new().extract(&carried)
}
