//! The tables of a run, and who must learn of what is written to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::Schema;
use lake::Lake;
use lake::catalog::{Catalog, Event, Wait};
use lake::schema::fields;
use lake::write::journal::{Files, Journal, Receipt};
use lake::write::{Committed, Table, tables};
use program::lineage::{self, Data};

use super::advice;
use crate::decode::plan::Plan;
use crate::decode::rows::Rows;
use crate::error::{Error, Result};
use crate::lineage::Seen;
use crate::memory;
use crate::settings::units::MIB;
use crate::summary::Summary;
use crate::traced;

/// What a table takes beside its rows: plans, definitions and the room of the decoders, in bytes.
const TABLE_BYTES: usize = 64 * 1024;

/// What a column of the widest takes beside its values, in bytes: an array in each batch that is staged, read
/// or encoded.
const COLUMN_BYTES: usize = 8 * 1024;

/// The tables of a run by their streams. The catalog learns before that a table may be ahead of it,
/// and afterwards of what was written; the summary counts all that was.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) lake: Arc<Lake>,
    pub(super) by_stream: BTreeMap<String, Table>,
    /// Tables that were looked up before their turn, by their streams.
    found: BTreeMap<String, lake::Result<Table>>,
    catalog: Option<Catalog>,
    /// All the memory of the run, in bytes.
    memory: usize,
    /// Columns of the widest table.
    widest: usize,
    pub(super) summary: Summary,
    /// Commits that have made snapshots.
    pub(super) snapshots: u32,
    /// What comes from where.
    seen: Seen,
}

impl Tables {
    pub(super) fn new(lake: Arc<Lake>, catalog: Option<Catalog>, memory: usize) -> Self {
        Self {
            memory,
            widest: 0,
            lake,
            by_stream: BTreeMap::new(),
            found: BTreeMap::new(),
            catalog,
            summary: Summary::default(),
            snapshots: 0,
            seen: Seen::default(),
        }
    }

    /// Whether the table of a stream is yet to be looked up.
    pub(super) fn is_unknown(&self, plan: &Plan) -> bool {
        !self.by_stream.contains_key(&plan.stream) && !self.found.contains_key(&plan.stream)
    }

    /// Reads what the lake has of the tables of streams that are about to be opened.
    pub(super) fn look_up(&mut self, plans: &[Arc<Plan>]) -> Result<()> {
        let specs: Vec<_> = plans.iter().map(|plan| Arc::clone(&plan.spec)).collect();
        let found = tables::open(&self.lake, &specs)?;
        self.found.extend(plans.iter().map(|plan| plan.stream.clone()).zip(found));
        Ok(())
    }

    /// Opens the tables of streams, or takes the new schemas of those that are open.
    pub(super) fn open(
        &mut self,
        plans: &[Arc<Plan>],
        journal: &mut Journal,
        receipt: Option<&dyn Receipt>,
    ) -> Result<()> {
        self.fit(plans)?;
        self.seen.extend(plans);
        let unknown: Vec<_> = plans.iter().filter(|plan| self.is_unknown(plan)).cloned().collect();
        self.look_up(&unknown)?;
        let mut opened = BTreeSet::new();
        for plan in plans {
            match self.by_stream.get_mut(&plan.stream) {
                Some(table) => table.evolve(&plan.spec)?,
                None => {
                    self.enter(plan, journal, receipt)?;
                    opened.insert(plan.stream.clone());
                }
            }
        }
        self.write(|stream, _| opened.contains(stream), Table::begin_generation)?;
        // Rows in doubt take memory before the first row comes.
        self.free_memory()
    }

    /// Whether the memory is enough for these streams beside those that are open.
    fn fit(&mut self, plans: &[Arc<Plan>]) -> Result<()> {
        let columns =
            |plan: &Arc<Plan>| Schema::new(fields(&plan.spec.columns)).flattened_fields().len();
        self.widest = plans.iter().map(columns).fold(self.widest, usize::max);
        let new: BTreeSet<&String> = plans.iter().map(|plan| &plan.stream).collect();
        let new = new.into_iter().filter(|stream| !self.by_stream.contains_key(*stream));
        let streams = self.by_stream.len() + new.count();
        let least = memory::least(streams, self.widest);
        if least <= self.memory {
            return Ok(());
        }
        let (given, least) = (self.memory / MIB, least.div_ceil(MIB));
        Err(Error::Memory { given, streams, columns: self.widest, least })
    }

    /// Takes the table of a stream in that was looked up.
    fn enter(
        &mut self,
        plan: &Plan,
        journal: &mut Journal,
        receipt: Option<&dyn Receipt>,
    ) -> Result<()> {
        let found = self.found.remove(&plan.stream);
        let mut table = found.ok_or_else(|| Error::internal("a table is looked up first"))??;
        let name = table.definition().table.clone();
        let other = self.by_stream.iter().find(|(_, other)| other.definition().table == name);
        if let Some((other, _)) = other {
            return Err(lake::Error::Table {
                table: name,
                reason: format!(
                    "the streams `{other}` and `{}` both want it; give one another `table` in `streams`",
                    plan.stream
                ),
            }
            .into());
        }
        if table.adds() {
            table.doubt(&journal.doubtful(&self.lake, &name)?)?;
            table.doubt_snapshot(receipt)?;
        }
        if let Some(catalog) = &mut self.catalog {
            catalog.track(table.definition());
        }
        if table.is_new() && plan.asks_to_move_keys {
            advice::ask_to_move_keys(plan);
        }
        self.summary.streams.entry(plan.stream.clone()).or_default().table = name;
        self.by_stream.insert(plan.stream.clone(), table);
        Ok(())
    }

    /// Whether rows of a table that were in doubt have come again.
    pub(super) fn came_again(&self, name: &str) -> bool {
        let mut tables = self.by_stream.values();
        tables.any(|table| table.definition().table == name && table.recognised() > 0)
    }

    /// Stages rows. Their stream has had its schema.
    pub(super) fn push(&mut self, rows: &Rows) -> Result<()> {
        let stream = &rows.plan.stream;
        let table = self.by_stream.get_mut(stream).ok_or_else(|| {
            Error::internal(format!("the rows of stream `{stream}` have a table"))
        })?;
        let summary = self.summary.streams.entry(stream.clone()).or_default();
        let new = summary.read(rows);
        let extra = &rows.plan.conventions.extra;
        for key in new.into_iter().filter(|key| !extra.is_usual(key)) {
            tracing::warn!(
                stream,
                key,
                "the schema does not know the key `{key}`; its values are ignored"
            );
        }
        if let Some(version) = rows.version {
            table.note_version(version);
        }
        Ok(table.push_hashed(&rows.plan.spec, &rows.batch, &rows.hashes)?)
    }

    /// Rows of other versions than this are obsolete.
    pub(super) fn activate(&mut self, stream: &str, version: i64) -> Result<()> {
        match self.by_stream.get_mut(stream) {
            Some(table) => table.activate(version)?,
            None => tracing::warn!(stream, "ACTIVATE_VERSION before the SCHEMA is ignored"),
        }
        Ok(())
    }

    /// A state covers all rows of one stream, or of all.
    pub(super) fn cover(&mut self, stream: Option<&String>) -> Result<()> {
        let covers = |own: &String| stream.is_none_or(|stream| stream == own);
        for (_, table) in self.by_stream.iter_mut().filter(|(stream, _)| covers(stream)) {
            if table.has_uncovered() {
                table.cover()?;
            }
        }
        Ok(())
    }

    /// The input ended as it should: that covers all rows.
    pub(super) fn cover_all(&mut self) -> Result<()> {
        Ok(self.by_stream.values_mut().try_for_each(Table::cover)?)
    }

    /// The input ended, and with it these streams: that covers their rows. Of the others the rows go
    /// that no state covers.
    pub(super) fn cover_ended(&mut self, ended: &BTreeSet<String>) -> Result<()> {
        for (stream, table) in &mut self.by_stream {
            if ended.contains(stream) { table.cover()? } else { table.discard_uncovered() }
        }
        Ok(())
    }

    /// Drops rows that no state covers, where that is possible.
    pub(super) fn discard_uncovered(&mut self) {
        self.by_stream.values_mut().for_each(Table::discard_uncovered);
    }

    /// The streams whose tables cannot be committed now.
    pub(super) fn held(&self) -> Vec<String> {
        let held = self.by_stream.iter().filter(|(_, table)| table.must_wait());
        held.map(|(stream, _)| stream.clone()).collect()
    }

    /// The streams that were to replace their tables and were not seen to their end.
    pub(super) fn incomplete(&self) -> Vec<&str> {
        let waits = |table: &Table| table.must_be_complete() && table.has_uncovered();
        let incomplete = self.by_stream.iter().filter(|(_, table)| waits(table));
        incomplete.map(|(stream, _)| stream.as_str()).collect()
    }

    /// The streams whose rows are added to others and not covered by a state.
    pub(super) fn uncovered(&self) -> Vec<&str> {
        let waits = |table: &Table| table.adds() && table.has_uncovered();
        let uncovered = self.by_stream.iter().filter(|(_, table)| waits(table));
        uncovered.map(|(stream, _)| stream.as_str()).collect()
    }

    /// The files that the next commit of all streams but the `held` ones shows and that must not come
    /// twice. They are not visible yet.
    pub(super) fn prepare(&mut self, complete: bool, held: &[String]) -> Result<Files> {
        let tables = self.by_stream.iter_mut().filter(|(stream, _)| !held.contains(stream));
        Ok(tables::prepare(&self.lake, tables.map(|(_, table)| table).collect(), complete)?)
    }

    /// Commits the tables of all streams but the `held` ones. Whether anything was written.
    pub(super) fn commit(&mut self, complete: bool, held: &[String]) -> Result<bool> {
        if let Some(catalog) = &mut self.catalog {
            // One note for all of them.
            let tables = self.by_stream.values().filter(|table| table.is_ahead());
            catalog.mark_dirty(tables.map(Table::definition))?;
        }
        let mut changed = false;
        // What must not come twice becomes visible last.
        for adds in [false, true] {
            let is_next =
                |stream: &String, table: &Table| !held.contains(stream) && table.adds() == adds;
            let committed =
                self.write(is_next, |table| traced::commit(table, |table| table.commit(complete)))?;
            changed |= committed.iter().any(|(_, committed)| committed.files > 0);
        }
        self.summary.commits += u64::from(changed);
        Ok(changed)
    }

    /// Lets tables write what readers will see, several at once. The catalog learns before that these may be
    /// ahead of it, and afterwards of what. What each has written, by stream.
    fn write(
        &mut self,
        is_wanted: impl Fn(&String, &Table) -> bool,
        write: impl Fn(&mut Table) -> lake::Result<Committed> + Sync,
    ) -> Result<Vec<(String, Committed)>> {
        let wanted = self.by_stream.iter_mut().filter(|(stream, table)| is_wanted(stream, table));
        let (streams, tables): (Vec<_>, Vec<_>) =
            wanted.map(|(stream, table)| (stream.clone(), table)).unzip();
        let ahead: Vec<bool> = tables.iter().map(|table| table.is_ahead()).collect();
        if let Some(catalog) = &mut self.catalog {
            let tables = tables.iter().zip(&ahead).filter(|(_, is_ahead)| **is_ahead);
            catalog.mark_dirty(tables.map(|(table, _)| table.definition()))?;
        }
        let watched = self.summary.watched;
        let (mut written, mut failed) = (Vec::new(), Ok(()));
        for (at, outcome) in tables::write(&self.lake, tables, write)? {
            let (Some(stream), Some(is_ahead)) = (streams.get(at), ahead.get(at)) else {
                return Err(Error::internal("what is written is written by one of the tables"));
            };
            match outcome {
                Ok(committed) => {
                    let catalog = self.catalog.as_mut().filter(|_| *is_ahead);
                    if let (Some(catalog), Some(table)) = (catalog, self.by_stream.get(stream)) {
                        catalog.changed(table.definition(), &committed);
                    }
                    let summary = self.summary.streams.entry(stream.clone()).or_default();
                    summary.committed(stream, &committed, watched);
                    written.push((stream.clone(), committed));
                }
                Err(error) => failed = failed.and(Err(error)),
            }
        }
        failed?;
        Ok(written)
    }

    /// Ends the generation of the streams that have ended. The others.
    pub(super) fn end_generations(&mut self, ended: &BTreeSet<String>) -> Result<Vec<&str>> {
        let end = |table: &mut Table| traced::commit(table, Table::end_generation);
        self.write(|stream, _| ended.contains(stream), end)?;
        let unfinished = self.by_stream.keys().filter(|stream| !ended.contains(*stream));
        Ok(unfinished.map(String::as_str).collect())
    }

    /// Frees memory until the rows fit their budget with room for more.
    pub(super) fn free_memory(&mut self) -> Result<()> {
        let mut total: usize = self.by_stream.values().map(Table::memory).sum();
        let fixed = self.by_stream.len() * TABLE_BYTES + self.widest * COLUMN_BYTES;
        let budget = self.lake.budget().saturating_sub(fixed).max(self.lake.budget() / 4);
        if total <= budget {
            return Ok(());
        }
        let mut tables: Vec<&mut Table> = self.by_stream.values_mut().collect();
        while total > budget / 2 {
            let largest = tables.iter_mut().enumerate().max_by_key(|(_, table)| table.memory());
            let Some((at, largest)) = largest else { return Ok(()) };
            let before = largest.memory();
            largest.free_memory()?;
            match before.saturating_sub(largest.memory()) {
                // What is left of it has no place but the memory.
                0 => _ = tables.swap_remove(at),
                freed => total -= freed,
            }
        }
        Ok(())
    }

    /// Brings the catalog to what is committed.
    pub(super) fn sync_catalog(
        &mut self,
        wait: Wait,
        is_stopped: &dyn Fn() -> bool,
    ) -> lake::Result<()> {
        match &mut self.catalog {
            Some(catalog) => traced::synced(|| catalog.sync(wait, is_stopped)),
            None => Ok(()),
        }
    }

    /// What was read and written so far, for whoever wants to know where it comes from.
    fn data(&self) -> Data {
        let table = |stream: &String| {
            let definition = self.by_stream.get(stream)?.definition();
            let catalog = self.catalog.as_ref();
            Some((definition, catalog.and_then(|catalog| catalog.table_arn(definition))))
        };
        self.seen.data(&self.summary, &self.lake, table)
    }

    /// The registrations and crawls so far.
    pub(super) fn catalog_events(&self) -> Vec<Event> {
        self.catalog.as_ref().map_or_else(Vec::new, |catalog| catalog.events().cloned().collect())
    }

    /// Counts the rows that came again and those that no partition is named by, by stream, and tells what was read
    /// and written.
    pub(super) fn count_at_end(&mut self) {
        for (stream, table) in &self.by_stream {
            let counts = self.summary.streams.entry(stream.clone()).or_default();
            counts.recognised = table.recognised();
            counts.misplaced = table.misplaced();
        }
        lineage::tell(|| self.data());
    }

    /// How often rows went to temporary files.
    pub(super) fn spills(&self) -> u64 {
        self.by_stream.values().map(Table::spills).sum()
    }
}
