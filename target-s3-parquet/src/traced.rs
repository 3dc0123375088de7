//! The spans of what a run does to its lake.

use lake::Result;
use lake::write::{Committed, Table};
use program::telemetry;
use tracing::field::Empty;
use tracing::info_span;

/// Lets a table write what readers will see.
pub(crate) fn commit(
    table: &mut Table,
    write: impl Fn(&mut Table) -> Result<Committed>,
) -> Result<Committed> {
    let span = info_span!(
        target: telemetry::SPANS,
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
        span.record("rows", telemetry::integer(committed.rows));
        span.record(
            "rows.replaced",
            telemetry::integer(committed.replaced_rows.min(committed.rows)),
        );
        span.record("rows.unchanged", telemetry::integer(committed.unchanged_rows));
        span.record("files", telemetry::integer(committed.files));
        span.record("bytes", telemetry::integer(committed.bytes));
    }
    outcome
}

/// Brings a catalog up to the lake.
pub(crate) fn synced(sync: impl FnOnce() -> Result<()>) -> Result<()> {
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
