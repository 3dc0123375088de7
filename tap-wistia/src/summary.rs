//! What a sync did, reported at its end.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::HumanCount;
use program::{log, report};
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
    /// Seconds that requests waited for the rate limit, summed over all.
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
            waited_seconds: traffic.waited_seconds(),
            nulled_values: traffic.nulled(),
            nulled_columns: traffic.nulled_columns(),
            skipped_rows: traffic.skipped(),
            unreadable_times: traffic.unreadable_times(),
            failed: failed.to_vec(),
            seconds: time.as_secs_f64(),
        }
    }

    /// Reports it: as a table to a person who reads along, else in the log.
    pub(crate) fn report(&self, watched: bool) {
        if !watched {
            return self.log();
        }
        let rows = self
            .records
            .iter()
            .map(|(stream, records)| [(*stream).to_owned(), HumanCount(*records).to_string()]);
        report::table(["stream", "records"], rows);
        for (column, values) in &self.nulled_columns {
            tracing::info!(column, values, "{values} odd values of {column} are null");
        }
        if self.unreadable_times > 0 {
            let events = self.unreadable_times;
            tracing::info!(events, "{events} records are kept whose time cannot be read");
        }
        tracing::info!(
            requests = self.requests,
            repeated = self.retries,
            seconds = format!("{:.1}", self.seconds),
            nulled_values = self.nulled_values,
            skipped_rows = self.skipped_rows,
            "done"
        );
    }

    /// Logs it: a metric for each stream in the form of the Meltano SDK, and one line for all.
    fn log(&self) {
        for (stream, records) in &self.records {
            log::record_count(stream, *records);
        }
        log::summary(self);
    }
}
