//! What a sync did, reported at its end.

use std::collections::BTreeMap;
use std::time::Duration;

use program::{report, told, words};
use serde::Serialize;

use crate::client::Traffic;
use crate::output::Output;

/// What a sync did.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    /// Records of each stream.
    pub(crate) records: BTreeMap<&'static str, u64>,
    /// Requests sent, repeated ones included.
    pub(crate) requests: u64,
    /// Requests that were sent again.
    pub(crate) retries: u64,
    /// Seconds of the run in which a request waited for the rate limit.
    pub(crate) waited_seconds: f64,
    /// Values that cleaning made null.
    pub(crate) nulled_values: u64,
    /// The same by table and column, such as `fact_events.lat`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) nulled_columns: BTreeMap<String, u64>,
    /// Rows that were left out: empty ones, and those whose key cannot be decoded.
    pub(crate) skipped_rows: u64,
    /// Records that are kept though their time cannot be read.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) unreadable_times: u64,
    /// Streams that could not be read.
    pub(crate) failed: Vec<&'static str>,
    /// Seconds from start to end.
    pub(crate) seconds: f64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Summary {
    /// The summary of what was done so far.
    pub(crate) fn new(
        output: &Output,
        traffic: &Traffic,
        failed: &[&'static str],
        time: Duration,
    ) -> Self {
        Self {
            records: output
                .selected()
                .iter()
                .map(|selected| (selected.stream.name, selected.records))
                .collect(),
            requests: traffic.requests(),
            retries: traffic.retries(),
            waited_seconds: traffic.waits().seconds(),
            nulled_values: traffic.nulled(),
            nulled_columns: traffic.nulled_columns(),
            skipped_rows: traffic.skipped(),
            unreadable_times: traffic.unreadable_times(),
            failed: failed.to_vec(),
            seconds: time.as_secs_f64(),
        }
    }

    /// Reports it: as a table to a person who reads along, else in the log. It may be that of a sync that failed.
    pub(crate) fn report(&self, watched: bool, succeeded: bool) {
        for (stream, records) in &self.records {
            told::record_count(stream, *records);
        }
        if watched && self.records.values().any(|records| *records > 0) {
            let rows = self.records.iter();
            let rows =
                rows.map(|(stream, records)| [(*stream).to_owned(), words::number(*records)]);
            report::table(["stream", "records"], rows);
        }
        for (column, values) in &self.nulled_columns {
            tracing::info!(
                column,
                values,
                "{} of {column} {} null",
                words::counted(*values, "odd value", "odd values"),
                if *values == 1 { "is" } else { "are" },
            );
        }
        let rows = [
            (self.skipped_rows, "left out: empty, or without a key that can be read"),
            (self.unreadable_times, "kept whose time cannot be read"),
        ];
        for (count, what) in rows.into_iter().filter(|(count, _)| *count > 0) {
            let is = if count == 1 { "is" } else { "are" };
            tracing::info!("{} {is} {what}", words::counted(count, "row", "rows"));
        }
        told::summary(self, &self.sentence(succeeded));
    }

    /// What was done, in a sentence.
    fn sentence(&self, succeeded: bool) -> String {
        let begin = if succeeded { "done" } else { "ended early" };
        let read = self.records.values().filter(|records| **records > 0).count() as u64;
        let mut parts = vec![match self.records.values().sum() {
            0 => format!("{begin}: no record was read"),
            records => format!(
                "{begin}: {} of {} read",
                words::counted(records, "record", "records"),
                words::counted(read, "stream", "streams"),
            ),
        }];
        if !self.failed.is_empty() {
            parts.push(words::counted(self.failed.len() as u64, "stream failed", "streams failed"));
        }
        parts.push(words::counted(self.requests, "request", "requests"));
        if self.retries > 0 {
            parts.push(format!("{} of them repeated", words::number(self.retries)));
        }
        parts.push(words::time(self.seconds));
        if self.waited_seconds >= 1.0 {
            let waited = words::time(self.waited_seconds);
            parts.push(format!("of which {waited} waiting for the limit"));
        }
        parts.join(", ")
    }
}
