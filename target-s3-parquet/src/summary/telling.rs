//! What a run says of a stream: to a person, and to whoever reads the fields.

use lake::Newest;
use lake::table::Misplaced;
use lake::write::Committed;
use program::told::Told;
use program::words;

use super::StreamSummary;
use crate::newest;
use crate::usual;

impl StreamSummary {
    /// Says which values are not where, or not what, they might be expected to be.
    pub(super) fn warn_of_values(&self, stream: &str) {
        if let Some(misplaced) = &self.misplaced {
            let Misplaced { column, folder, count, example, is_no_date } = misplaced;
            let fault = match (is_no_date, count) {
                (true, 1) => "is no date",
                (true, _) => "are no dates",
                (false, 1) => "is too long for a folder's name",
                (false, _) => "are too long for a folder's name",
            };
            let example =
                example.as_ref().map_or_else(String::new, |text| format!(", such as `{text}`"));
            tracing::warn!(
                stream,
                column,
                count,
                "{} of column `{column}` {fault}{example}: see partition {folder}",
                words::counted(*count, "value", "values"),
            );
        }
        for (column, count) in &self.rounded {
            // The settings have no names for what is inside of a column.
            let advice = if column.contains(['.', '[']) {
                String::new()
            } else {
                format!(
                    "; to keep them, set `streams.{stream}.columns` to {{\"{column}\": \"decimal(38,10)\"}} or the like"
                )
            };
            tracing::warn!(
                stream,
                column,
                count,
                "{} of column `{column}` {} rounded, having more digits than a double{advice}",
                words::counted(*count, "number", "numbers"),
                if *count == 1 { "was" } else { "were" },
            );
        }
    }

    /// Says in what the run is unlike those before it.
    pub(super) fn warn_of_oddities(&self, stream: &str) {
        for oddity in self.compared.iter().flat_map(|compared| &compared.oddities) {
            tracing::warn!(stream, table = self.table, "{stream}: {oddity}");
        }
    }

    /// Tells how far the source has come, and how many records are usual.
    pub(super) fn tell_usual(&self, stream: &str, watched: bool) {
        let Some(compared) = &self.compared else { return };
        let mut told = Told::of(stream);
        if let Some((low, high)) = compared.records {
            told = told.words(format!(
                "{} read, in half of the last {} runs {} to {}",
                words::counted(self.records - self.filtered, "record", "records"),
                compared.runs,
                words::number(low),
                words::number(high)
            ));
        }
        if let Some(Newest { column, value }) = &self.newest {
            let age = compared.age.map(|age| format!(", {} ago", usual::time(age)));
            let (value, age) = (newest::shown(value), age.unwrap_or_default());
            told = told.words(format!("the newest `{column}` is {value}{age}"));
        }
        if told.says_something() {
            if watched { told.debug() } else { told.info() }
        }
    }

    /// What a commit has done.
    pub(super) fn told(&self, stream: &str, committed: &Committed) -> Told {
        let Committed { rows, unchanged_rows, files, bytes, .. } = *committed;
        let replaced = committed.replaced_rows.min(rows);
        let told = Told::of(stream).field("table", self.table.as_str()).field("rows", rows);
        let told = match committed {
            Committed { files: 0, .. } => {
                return told.count(
                    "rows_unchanged",
                    unchanged_rows,
                    "row unchanged",
                    "rows unchanged",
                );
            }
            Committed { replaced: true, .. } => {
                let words = ["row in the place of all before", "rows in the place of all before"];
                told.count("rows_new", rows, words[0], words[1])
            }
            _ => told.count("rows_new", rows - replaced, "row new", "rows new"),
        };
        let told = told
            .any("rows_replaced", replaced, "replaced", "replaced")
            .any("rows_unchanged", unchanged_rows, "unchanged", "unchanged")
            .count("files", files, "file", "files")
            .bytes("bytes", bytes);
        let own = self.table == stream;
        if own { told } else { told.words(format!("table `{}`", self.table)) }
    }

    /// Tells what became of its records beside rows and, where that was told commit by commit, of all.
    pub(super) fn tell(&self, stream: &str, watched: bool) {
        let told = Told::of(stream)
            .any(
                "filtered",
                self.filtered,
                "record left out by the filter",
                "records left out by the filter",
            )
            .any("recognised", self.recognised, "row was there already", "rows were there already")
            .any("cut", self.truncated, "string truncated", "strings truncated")
            .any("replaced", self.replaced, "lone surrogate replaced", "lone surrogates replaced");
        if told.says_something() {
            told.info();
        }
        self.tell_usual(stream, watched);
        if self.commits > 1 && !watched {
            Told::of(stream)
                .words("in all")
                .count("records", self.records, "record read", "records read")
                .count("rows_new", self.rows_new, "row new", "rows new")
                .any("rows_replaced", self.rows_replaced, "replaced", "replaced")
                .any("rows_unchanged", self.rows_unchanged, "unchanged", "unchanged")
                .count("files", self.files, "file", "files")
                .bytes("bytes", self.bytes)
                .info();
        }
    }
}
