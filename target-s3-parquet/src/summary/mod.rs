//! What a run did, for the log.

mod telling;

use std::collections::BTreeMap;

use program::telemetry::{self, Figure};
use program::told;
use program::{report, words};
use serde::Serialize;

use lake::Newest;
use lake::catalog::Event;
use lake::table::Misplaced;
use lake::write::Committed;

use crate::decode::rows::Rows;
use crate::newest;
use crate::nulls;
use crate::usual::Compared;

/// The summary of a run.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Summary {
    /// By stream.
    pub(crate) streams: BTreeMap<String, StreamSummary>,
    /// Whether a person watches, who sees a table at the end.
    #[serde(skip)]
    pub(crate) watched: bool,
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
    /// Rows written, one for each key.
    pub(crate) rows: u64,
    /// Those of them whose key the table did not have.
    pub(crate) rows_new: u64,
    /// Those of them that took the place of another.
    pub(crate) rows_replaced: u64,
    /// Rows that came again as they were.
    pub(crate) rows_unchanged: u64,
    /// Commits that wrote something.
    #[serde(skip)]
    pub(crate) commits: u64,
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
    /// Rows without a value, by column and by field of a struct.
    #[serde(skip)]
    pub(crate) nulls: BTreeMap<String, u64>,
    /// The newest value of the column by which the source goes on, or of the partition column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) newest: Option<Newest>,
    /// What is known of it beside the runs before.
    #[serde(flatten)]
    pub(crate) compared: Option<Compared>,
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
    /// Shows it: as a table to a person who watches, else in the log. It may be that of a run that failed.
    pub(crate) fn report(&self, succeeded: bool) {
        let watched = self.watched;
        for (stream, counts) in &self.streams {
            for (column, count) in &counts.invalid {
                tracing::warn!(
                    stream,
                    column,
                    count,
                    "{} of column `{column}` did not fit and {} null",
                    words::counted(*count, "value", "values"),
                    if *count == 1 { "is" } else { "are" },
                );
            }
            counts.warn_of_values(stream);
            counts.warn_of_oddities(stream);
            counts.tell(stream, watched);
            counts.count(stream);
            told::record_count(stream, counts.records);
        }
        let written = self.streams.values().filter(|counts| counts.has_rows());
        if watched && written.clone().next().is_some() {
            report::table(
                ["table", "records", "rows new", "replaced", "unchanged", "files", "size"],
                written.map(StreamSummary::line),
            );
        }
        told::summary(self, &self.sentence(succeeded));
    }

    /// What was done, in a sentence.
    fn sentence(&self, succeeded: bool) -> String {
        let begin = if succeeded { "done" } else { "ended early" };
        let sum = |count: fn(&StreamSummary) -> u64| self.streams.values().map(count).sum::<u64>();
        let time = words::time(self.seconds);
        let records = sum(|counts| counts.records);
        if records == 0 && sum(|counts| counts.files) == 0 {
            return format!("{begin}: no record has come, {time}");
        }
        let tables = self.streams.values().filter(|counts| counts.files > 0).count() as u64;
        let rows = |count: u64, what: &str| match count {
            0 => String::new(),
            count => format!(", {} {what}", words::number(count)),
        };
        if sum(|counts| counts.files) == 0 {
            let unchanged = match sum(|counts| counts.rows_unchanged) {
                0 => String::new(),
                count => format!(": {} unchanged", words::counted(count, "row", "rows")),
            };
            let records = words::counted(records, "record", "records");
            return format!("{begin}: {records} read, nothing to write{unchanged}, {time}");
        }
        format!(
            "{begin}: {} read, {} new{}{} in {}, {}, {}, {time}",
            words::counted(records, "record", "records"),
            words::counted(sum(|counts| counts.rows_new), "row", "rows"),
            rows(sum(|counts| counts.rows_replaced), "replaced"),
            rows(sum(|counts| counts.rows_unchanged), "unchanged"),
            words::counted(tables, "table", "tables"),
            words::counted(sum(|counts| counts.files), "file", "files"),
            words::size(sum(|counts| counts.bytes)),
        )
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
    fn has_rows(&self) -> bool {
        self.records > 0 || self.files > 0
    }

    /// Its line in a table.
    fn line(&self) -> [String; 7] {
        let [records, new, replaced, unchanged, files] =
            [self.records, self.rows_new, self.rows_replaced, self.rows_unchanged, self.files]
                .map(words::number);
        [self.table.clone(), records, new, replaced, unchanged, files, words::size(self.bytes)]
    }

    /// Counts rows that were read. True for the names of unknown keys that are new.
    pub(crate) fn read(&mut self, rows: &Rows) -> Vec<String> {
        self.look_at(rows);
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

    /// Counts nulls, and looks for the newest value.
    fn look_at(&mut self, rows: &Rows) {
        let plan = &rows.plan;
        let own = plan.extra_from.unwrap_or(plan.spec.columns.len());
        let columns = plan.spec.columns.iter().zip(rows.batch.columns());
        for (column, values) in columns.take(own) {
            nulls::count(&mut self.nulls, &column.name, values);
        }
        let Some(at) = plan.newest else { return };
        let (Some(column), Some(values)) =
            (plan.spec.columns.get(at), rows.batch.columns().get(at))
        else {
            return;
        };
        let Some(value) = newest::newest(values) else { return };
        if self.newest.as_ref().is_none_or(|known| known.value < value) {
            self.newest = Some(Newest { column: column.name.clone(), value });
        }
    }

    /// Counts rows that were committed, and tells it.
    pub(crate) fn committed(&mut self, stream: &str, committed: &Committed, watched: bool) {
        let replaced = committed.replaced_rows.min(committed.rows);
        self.rows += committed.rows;
        self.rows_new += committed.rows - replaced;
        self.rows_replaced += replaced;
        self.rows_unchanged += committed.unchanged_rows;
        self.commits += u64::from(committed.files > 0);
        if committed.files > 0 || committed.unchanged_rows > 0 {
            let told = self.told(stream, committed);
            if watched { told.debug() } else { told.info() }
        }
        self.files += committed.files;
        self.bytes += committed.bytes;
        self.bytes_read += committed.bytes_read;
        self.count(stream);
    }

    /// Tells its figures to whoever watches over many runs.
    #[expect(clippy::cast_precision_loss, reason = "no run has more than a double can count")]
    fn count(&self, stream: &str) {
        if !telemetry::is_on() {
            return;
        }
        let of = [("stream", stream), ("table", self.table.as_str())];
        telemetry::tell(Figure::Records, &of, self.records as f64);
        telemetry::tell(Figure::Files, &of, self.files as f64);
        telemetry::tell(Figure::Bytes, &of, self.bytes as f64);
        for (kind, rows) in [
            ("new", self.rows_new),
            ("replaced", self.rows_replaced),
            ("unchanged", self.rows_unchanged),
        ] {
            telemetry::tell(Figure::Rows, &[of[0], of[1], ("rows", kind)], rows as f64);
        }
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
        summary.committed(
            "a",
            &Committed {
                rows: 2,
                replaced_rows: 1,
                files: 1,
                bytes: 10,
                bytes_read: 3,
                ..Committed::default()
            },
            false,
        );
        let text = serde_json::to_value(&summary).unwrap();
        let expected = json!({
            "table": "", "records": 2, "rows": 2, "rows_new": 1, "rows_replaced": 1,
            "rows_unchanged": 0, "files": 1, "bytes": 10, "bytes_read": 3,
            "invalid": {"id": 1}, "cut": 1, "replaced": 1,
        });
        assert_eq!(text, expected);
    }
}
