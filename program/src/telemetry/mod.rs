//! OpenTelemetry: what a run does as traces, and what it counts as metrics, to the collector that the variables
//! `OTEL_…` name. Without an endpoint there is nothing of it: no thread, no socket.
//!
//! ```text
//! run, spans of the programs ─► layer of the log ─┐
//! environment (what is asked for) ───────────────► export ─► courier
//! figures ────────────────────────────────────────┘
//! ```
//!
//! Spans are those of `tracing` whose target is [`SPANS`]; where nothing is sent they are never made.

mod environment;
mod export;
mod figures;
mod run;

pub use export::{SPANS, is_on};
pub use figures::{Figure, tell};
pub use run::{ended, run};

pub(crate) use export::{Layers, layer};

/// A count as spans hold it. A larger one becomes text there.
pub fn integer(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}
