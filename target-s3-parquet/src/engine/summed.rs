//! What a run did, summed up, and beside the runs before it.

use std::collections::BTreeMap;

use chrono::{SecondsFormat, Utc};
use lake::Brought;

use super::Engine;
use crate::error::Result;
use crate::summary::{Summary, peak_memory};
use crate::usual::compare;

impl Engine {
    /// A person watches, who sees a table at the end.
    pub(crate) fn watched(&mut self, watched: bool) {
        self.tables.summary.watched = watched;
    }

    /// What was done so far.
    pub(crate) fn summary(&mut self) -> &Summary {
        self.tables.summary.spills = self.tables.spills();
        self.tables.count_at_end();
        self.tables.summary.peak_memory = peak_memory();
        self.tables.summary.catalog = self.tables.catalog_events();
        self.tables.summary.seconds = self.started.elapsed().as_secs_f64();
        &self.tables.summary
    }

    /// Notes what the run brought to each table, and compares it with what the last runs brought. What goes wrong by it
    /// is told and nothing else: the rows are safe by now.
    pub(crate) fn compare(&mut self, runs: usize) {
        if runs == 0 {
            return;
        }
        if let Err(error) = self.compare_all(runs) {
            let reason = program::report::sentence(&error, None);
            tracing::warn!(
                "what the run brought could not be noted in the lake, which has its rows: {reason}"
            );
        }
    }

    fn compare_all(&mut self, runs: usize) -> Result<()> {
        let at = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
        let streams = self.tables.summary.streams.iter();
        let brought: BTreeMap<String, Brought> = streams
            .filter(|(_, counts)| !counts.table.is_empty())
            .map(|(_, counts)| {
                let brought = Brought {
                    run: self.lake.run().to_owned(),
                    at: at.clone(),
                    records: counts.records - counts.filtered,
                    rows_new: counts.rows_new,
                    newest: counts.newest.clone(),
                    nulls: counts.nulls.clone(),
                };
                (counts.table.clone(), brought)
            })
            .collect();
        let mut known = self.lake.remember_all(&brought, runs)?;
        for counts in self.tables.summary.streams.values_mut() {
            let (Some(brought), Some(known)) =
                (brought.get(&counts.table), known.remove(&counts.table))
            else {
                continue;
            };
            match known {
                Ok(before) => {
                    let mut brought = brought.clone();
                    brought.newest = brought.newest.or_else(|| before.newest().cloned());
                    counts.newest.clone_from(&brought.newest);
                    counts.compared = Some(compare(&before, &brought));
                }
                Err(error) => {
                    let reason = program::report::sentence(&error, None);
                    tracing::warn!(
                        table = counts.table,
                        "what the run brought to table `{}` could not be noted in the lake, which has its rows: {reason}",
                        counts.table
                    );
                }
            }
        }
        Ok(())
    }
}
