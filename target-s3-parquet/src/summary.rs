//! What a run did, for the log.

use std::collections::BTreeMap;

use program::{log, report};
use serde::Serialize;

use lake::catalog::Event;
use lake::table::Misplaced;
use lake::write::Committed;

use crate::decode::rows::Rows;

/// The summary of a run.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Summary {
    /// By stream.
    pub(crate) streams: BTreeMap<String, StreamSummary>,
    /// Commits that changed something.
    pub(crate) commits: u64,
    /// How often rows went to temporary files.
    pub(crate) spills: u64,
    /// Most memory that the process has had, in bytes; nothing where the system does not say.
    pub(crate) peak_memory: Option<u64>,
    /// Registrations and crawls.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) catalog: Vec<Event>,
    /// Seconds from start to end.
    pub(crate) seconds: f64,
}

/// The summary of one stream.
#[derive(Debug, Default, Serialize)]
pub(crate) struct StreamSummary {
    /// The table.
    pub(crate) table: String,
    /// Records read.
    pub(crate) records: u64,
    /// Rows committed.
    pub(crate) rows: u64,
    /// Objects written.
    pub(crate) files: u64,
    /// Bytes of these objects.
    pub(crate) bytes: u64,
    /// Bytes of the objects that were read to be merged with.
    pub(crate) bytes_read: u64,
    /// Values that did not fit and became null, by column.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) invalid: BTreeMap<String, u64>,
    /// Numbers that lost digits in a column of doubles, by column.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) rounded: BTreeMap<String, u64>,
    /// Values of keys that the schema does not know, by key.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) unknown: BTreeMap<String, u64>,
    /// Records that a filter left out.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) filtered: u64,
    /// Rows that were there already, because an earlier run died before anybody knew that.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) recognised: u64,
    /// Rows whose value names no partition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) misplaced: Option<Misplaced>,
    /// Strings truncated to `max_string_bytes`.
    #[serde(rename = "cut", skip_serializing_if = "is_zero")]
    pub(crate) truncated: u64,
    /// Lone surrogates replaced by U+FFFD.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) replaced: u64,
}

impl Summary {
    /// Shows it: as a table to a person who watches, else in the log.
    pub(crate) fn report(&self, watched: bool) {
        for (stream, counts) in &self.streams {
            for (column, count) in &counts.invalid {
                tracing::warn!(stream, column, count, "values did not fit and are null");
            }
            if let Some(misplaced) = &counts.misplaced {
                let Misplaced { column, folder, count, example, is_no_date } = misplaced;
                let fault =
                    if *is_no_date { "are no dates" } else { "are too long for a folder's name" };
                let example =
                    example.as_ref().map_or_else(String::new, |text| format!(", such as `{text}`"));
                tracing::warn!(
                    stream,
                    column,
                    count,
                    "{stream}: {count} values of column {column} {fault}{example}: their rows are in {folder}"
                );
            }
            for (column, count) in &counts.rounded {
                tracing::warn!(
                    stream,
                    column,
                    count,
                    "{stream}: {count} numbers of column {column} have more digits than a double holds, and were \
                     rounded; set `streams.{stream}.columns` to {{\"{column}\": \"decimal(38,10)\"}} or the like \
                     to keep them"
                );
            }
        }
        if !watched {
            return self.log();
        }
        let rows = self.streams.values().map(|counts| {
            let figures = [counts.rows, counts.files, counts.bytes].map(|count| count.to_string());
            let [rows, files, bytes] = figures;
            [counts.table.clone(), rows, files, bytes]
        });
        report::table(["table", "rows", "files written", "bytes"], rows);
        tracing::info!(
            commits = self.commits,
            spills = self.spills,
            peak_memory_mb = self.peak_memory.map(|bytes| bytes >> 20),
            seconds = format!("{:.1}", self.seconds),
            "done"
        );
    }

    /// Logs it: a metric and a line for each stream, and one line for all.
    fn log(&self) {
        for (stream, counts) in &self.streams {
            log::record_count(stream, counts.records);
            tracing::info!(
                stream,
                table = counts.table,
                records = counts.records,
                rows = counts.rows,
                files = counts.files,
                bytes = counts.bytes,
                bytes_read = counts.bytes_read,
                "stream"
            );
        }
        log::summary(self);
    }
}

/// The most memory that this process has had, in bytes, where `/proc` says.
pub(crate) fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Unknown keys that are kept by name; a stream of random keys must not fill the memory.
const NAMED_UNKNOWN: usize = 1000;

impl StreamSummary {
    /// Counts rows that were read. True for the names of unknown keys that are new.
    pub(crate) fn read(&mut self, rows: &Rows) -> Vec<String> {
        self.records += rows.batch.num_rows() as u64 + rows.filtered;
        self.filtered += rows.filtered;
        self.truncated += rows.truncated;
        self.replaced += rows.replaced;
        for (column, count) in &rows.invalid {
            *self.invalid.entry(column.clone()).or_default() += count;
        }
        for (column, count) in &rows.rounded {
            *self.rounded.entry(column.clone()).or_default() += count;
        }
        let mut new = Vec::new();
        for (key, count) in &rows.unknown_keys {
            if let Some(known) = self.unknown.get_mut(key) {
                *known += count;
            } else if self.unknown.len() < NAMED_UNKNOWN {
                self.unknown.insert(key.clone(), *count);
                new.push(key.clone());
            }
        }
        new
    }

    /// Counts rows that were committed.
    pub(crate) fn committed(&mut self, committed: &Committed) {
        self.rows += committed.rows;
        self.files += committed.files;
        self.bytes += committed.bytes;
        self.bytes_read += committed.bytes_read;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{decoded, plan};
    use serde_json::json;

    fn rows(lines: &[&str]) -> Rows {
        let settings = json!({"on_invalid": "null", "max_string_bytes": 4});
        let plan = plan("a", &json!({"id": {"type": "integer"}, "t": {}}), &[], settings);
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        decoded(&lines, &[plan]).rows.remove(0)
    }

    #[test]
    fn unknown_keys_are_new_once_and_counted_always() {
        let mut summary = StreamSummary::default();
        let chunk = rows(&[r#"{"a":{"x":1}}"#, r#"{"a":{"x":2,"y":3}}"#]);
        let mut new = summary.read(&chunk);
        new.sort();
        assert_eq!(new, ["x", "y"]);
        assert!(summary.read(&chunk).is_empty());
        assert_eq!((summary.unknown["x"], summary.unknown["y"]), (4, 2));
    }

    #[test]
    fn a_stream_of_random_keys_does_not_fill_the_memory() {
        let keys: Vec<String> = (0..NAMED_UNKNOWN + 5).map(|key| format!("\"k{key}\":1")).collect();
        let line = format!("{{\"a\":{{{}}}}}", keys.join(","));
        let mut summary = StreamSummary::default();
        summary.read(&rows(&[&line]));
        assert_eq!(summary.unknown.len(), NAMED_UNKNOWN);
    }

    #[test]
    fn what_was_counted_stands_in_the_summary_under_the_names_that_it_has_always_had() {
        let mut summary = StreamSummary::default();
        summary.read(&rows(&[r#"{"a":{"id":"x","t":"too long"}}"#, r#"{"a":{"t":"\udc00"}}"#]));
        summary.committed(&Committed {
            rows: 2,
            files: 1,
            bytes: 10,
            bytes_read: 3,
            ..Committed::default()
        });
        let text = serde_json::to_value(&summary).unwrap();
        let expected = json!({
            "table": "", "records": 2, "rows": 2, "files": 1, "bytes": 10, "bytes_read": 3,
            "invalid": {"id": 1}, "cut": 1, "replaced": 1,
        });
        assert_eq!(text, expected);
    }
}
