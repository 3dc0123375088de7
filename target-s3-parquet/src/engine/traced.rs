//! The spans of what a run does to its lake.

use lake::Result;
use lake::write::{Committed, Table};
use program::telemetry;
use tracing::field::Empty;
use tracing::{Span, info_span};

/// Lets a table write what readers will see, in a span below the one `around`.
pub(super) fn written(
    around: &Span,
    table: &mut Table,
    write: impl Fn(&mut Table) -> Result<Committed>,
) -> Result<Committed> {
    let span = info_span!(
        target: telemetry::SPANS,
        parent: around,
        "commit",
        otel.name = format!("commit {}", table.definition().table),
        otel.status_code = Empty,
        otel.status_description = Empty,
        stream = table.definition().stream,
        table = table.definition().table,
        rows = Empty,
        rows.replaced = Empty,
        rows.unchanged = Empty,
        files = Empty,
        bytes = Empty,
    );
    let outcome = span.in_scope(|| write(table));
    telemetry::ended(&span, &outcome);
    if let Ok(committed) = &outcome {
        span.record("rows", committed.rows);
        span.record("rows.replaced", committed.replaced_rows.min(committed.rows));
        span.record("rows.unchanged", committed.unchanged_rows);
        span.record("files", committed.files);
        span.record("bytes", committed.bytes);
    }
    outcome
}

/// Brings a catalog up to the lake.
pub(super) fn synced(sync: impl FnOnce() -> Result<()>) -> Result<()> {
    let span = info_span!(
        target: telemetry::SPANS,
        "catalog",
        otel.status_code = Empty,
        otel.status_description = Empty,
    );
    let outcome = span.in_scope(sync);
    telemetry::ended(&span, &outcome);
    outcome
}
