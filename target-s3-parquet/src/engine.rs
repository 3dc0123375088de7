//! The run: items in, commits and states out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::decode::{Decoded, Plan};
use crate::error::{Error, Kind, Result};
use crate::input::{Item, Items, Next};
use crate::settings::Config;
use crate::state::Sink;
use crate::summary::Summary;
use lake::Lake;
use lake::catalog::{Catalog, Patience};
use lake::write::journal::{Journal, Receipt};
use lake::write::{Committed, Table};

/// How long to wait for input before looking at the clock.
const PATIENCE: Duration = Duration::from_millis(500);

/// What a table takes beside its rows: plans, definitions and the room of the decoders.
const TABLE_BYTES: usize = 64 * 1024;

/// Holds the tables of a run and decides when to commit.
#[derive(Debug)]
pub struct Engine {
    config: Arc<Config>,
    lake: Arc<Lake>,
    tables: BTreeMap<String, Table>,
    state: Box<dyn Sink>,
    /// Which streams were seen to end, where the source says so.
    ended: Option<BTreeSet<String>>,
    unknown_streams: BTreeSet<String>,
    journal: Journal,
    catalog: Option<Catalog>,
    summary: Summary,
    last_commit: Instant,
    started: Instant,
}

impl Engine {
    /// An engine that has read nothing yet.
    pub fn new(
        config: Arc<Config>,
        lake: Arc<Lake>,
        state: Box<dyn Sink>,
        catalog: Option<Catalog>,
    ) -> Self {
        Self {
            config,
            journal: Journal::new(lake.run()),
            lake,
            tables: BTreeMap::new(),
            state,
            catalog,
            ended: None,
            unknown_streams: BTreeSet::new(),
            summary: Summary::default(),
            last_commit: Instant::now(),
            started: Instant::now(),
        }
    }

    /// An engine for these streams, which are only complete once the source has said so.
    pub fn expecting(mut self, plans: &[Arc<Plan>]) -> Result<Self> {
        self.ended = Some(BTreeSet::new());
        // What died while it committed is settled before a table is looked at.
        lake::write::journal::recover(&self.lake, None)?;
        plans.iter().try_for_each(|plan| self.schema(plan))?;
        Ok(self)
    }

    /// Reads to the end, commits and gives the last state back. `stopped` says at the end of the
    /// input whether it is a real end or a signal's.
    pub fn run(&mut self, items: &Items, stopped: impl Fn() -> Option<Error>) -> Result<()> {
        let outcome = self.read(items);
        let outcome = match (outcome, stopped()) {
            (Ok(()), None) => self.finish(),
            (Ok(()), Some(signal)) => self.salvage().and(Err(signal)),
            (Err(error), _) => {
                if !is_grave(&error)
                    && let Err(second) = self.salvage()
                {
                    tracing::error!(
                        reason = %program::report::render(&second, None).trim_end(),
                        "what a STATE covered could not be committed"
                    );
                }
                Err(error)
            }
        };
        self.sync_catalog(outcome, &stopped)
    }

    /// The catalog follows what is committed. A run that has failed or was stopped does not wait
    /// for it.
    fn sync_catalog(
        &mut self,
        outcome: Result<()>,
        stopped: &dyn Fn() -> Option<Error>,
    ) -> Result<()> {
        let Some(catalog) = &mut self.catalog else { return outcome };
        let is_stopped = || stopped().is_some();
        let Err(error) = outcome else {
            return catalog.sync(Patience::Options, &is_stopped).map_err(|error| {
                let signal = stopped().filter(|_| error.kind() == lake::Kind::Interrupted);
                signal.unwrap_or_else(|| error.into())
            });
        };
        if !is_grave(&error)
            && let Err(second) = catalog.sync(Patience::None, &is_stopped)
        {
            tracing::warn!(
                reason = %program::report::render(&second, None).trim_end(),
                "the next run brings the catalog up"
            );
        }
        Err(error)
    }

    /// What was done so far.
    pub fn summary(&mut self) -> &Summary {
        self.summary.spills = self.tables.values().map(Table::spills).sum();
        self.summary.peak_memory = crate::summary::peak_memory();
        if let Some(catalog) = &self.catalog {
            self.summary.catalog = catalog.events().to_vec();
        }
        self.summary.seconds = self.started.elapsed().as_secs_f64();
        &self.summary
    }

    fn read(&mut self, items: &Items) -> Result<()> {
        loop {
            match items.next(PATIENCE) {
                Next::Item(item) => self.item(item?)?,
                Next::Timeout => self.commit_when_due()?,
                Next::End => return Ok(()),
            }
        }
    }

    fn item(&mut self, item: Item) -> Result<()> {
        match item {
            Item::Rows(decoded) => self.rows(decoded),
            Item::Schema(plan) => self.schema(&plan),
            Item::State(state) => {
                let covers = |stream: &String| state.stream.as_ref().is_none_or(|s| s == stream);
                for (_, table) in self.tables.iter_mut().filter(|(stream, _)| covers(stream)) {
                    if table.has_uncovered() {
                        table.cover()?;
                    }
                }
                self.state.note(state);
                self.commit_when_due()
            }
            Item::Ended { stream, complete } => {
                if let Some(ended) = &mut self.ended {
                    if complete {
                        ended.insert(stream);
                    } else {
                        ended.remove(&stream);
                        tracing::warn!(stream, "the source says that the stream is not complete");
                    }
                }
                Ok(())
            }
            Item::ActivateVersion { stream, version } => {
                match self.tables.get_mut(&stream) {
                    Some(table) => table.activate(version)?,
                    None => tracing::warn!(stream, "ACTIVATE_VERSION before the SCHEMA is ignored"),
                }
                Ok(())
            }
            Item::Warning(text) => {
                tracing::warn!("{text}");
                Ok(())
            }
        }
    }

    fn schema(&mut self, plan: &Arc<Plan>) -> Result<()> {
        if let Some(table) = self.tables.get_mut(&plan.stream) {
            return Ok(table.evolve(&plan.spec)?);
        }
        let mut table = Table::open(&self.lake, &plan.spec)?;
        let name = table.definition().table.clone();
        if let Some((other, _)) =
            self.tables.iter().find(|(_, other)| other.definition().table == name)
        {
            return Err(lake::Error::Table {
                table: name,
                reason: format!(
                    "the streams `{other}` and `{}` both want it; give one another `table` in `streams`",
                    plan.stream
                ),
            }
            .into());
        }
        if let Some(catalog) = &mut self.catalog {
            catalog.track(&name);
        }
        self.summary.streams.entry(plan.stream.clone()).or_default().table = name;
        publish(&mut table, &mut self.catalog, &mut self.summary, Table::begin_generation)?;
        self.tables.insert(plan.stream.clone(), table);
        Ok(())
    }

    fn rows(&mut self, decoded: Decoded) -> Result<()> {
        for rows in &decoded.rows {
            let stream = &rows.plan.stream;
            let table = self.tables.get_mut(stream).ok_or_else(|| {
                Error::internal(format!("the rows of stream `{stream}` have a table"))
            })?;
            self.state.count(stream, rows.batch.num_rows() as u64, rows.rejected);
            let summary = self.summary.streams.entry(stream.clone()).or_default();
            // `PyAirbyte` hands on the columns that its cache has added.
            for key in summary.read(rows).into_iter().filter(|key| !key.starts_with("_airbyte_")) {
                tracing::warn!(
                    stream,
                    key,
                    "the schema does not know this key; its values are ignored"
                );
            }
            if let Some(version) = rows.version {
                table.note_version(version);
            }
            table.push_hashed(&rows.plan.spec, &rows.batch, &rows.hashes)?;
        }
        for stream in decoded.unknown_streams {
            if self.unknown_streams.insert(stream.clone()) {
                tracing::warn!(stream, "the catalog does not have this stream; it is ignored");
            }
        }
        match decoded.error {
            Some(error) => Err(error),
            None => self.free_memory(),
        }
    }

    /// Gives memory back until the rows fit their budget with room for more.
    fn free_memory(&mut self) -> Result<()> {
        let mut total: usize = self.tables.values().map(Table::memory).sum();
        let fixed = self.tables.len() * TABLE_BYTES;
        let budget = self.lake.budget().saturating_sub(fixed).max(self.lake.budget() / 4);
        if total <= budget {
            return Ok(());
        }
        while total > budget / 2 {
            let Some(largest) = self.tables.values_mut().max_by_key(|table| table.memory()) else {
                break;
            };
            let before = largest.memory();
            largest.free_memory()?;
            if largest.should_commit_early() {
                publish(largest, &mut self.catalog, &mut self.summary, |table| {
                    table.commit(false)
                })?;
            }
            let freed = before.saturating_sub(largest.memory());
            if freed == 0 {
                break;
            }
            total -= freed;
        }
        Ok(())
    }

    /// Commits when the interval has passed and a state waits for it.
    fn commit_when_due(&mut self) -> Result<()> {
        let interval = Duration::from_secs(self.config.commit_interval_seconds);
        if self.last_commit.elapsed() < interval && !self.state.is_full() {
            return Ok(());
        }
        let held = self.held();
        if self.state.is_pending(&held) { self.commit(false, &held) } else { Ok(()) }
    }

    /// The streams whose tables cannot be committed now.
    fn held(&self) -> Vec<String> {
        let held = self.tables.iter().filter(|(_, table)| table.must_wait());
        held.map(|(stream, _)| stream.clone()).collect()
    }

    /// Commits the tables of all streams but the `held` ones.
    fn commit(&mut self, complete: bool, held: &[String]) -> Result<()> {
        let mut changed = false;
        let mut files = Vec::new();
        for (_, table) in self.tables.iter_mut().filter(|(stream, _)| !held.contains(stream)) {
            files.extend(table.prepare()?);
        }
        let state = self.state.pending();
        let state_out = self.state.file().map(|file| -> &dyn Receipt { file });
        self.journal.publishing(&self.lake, files, state, state_out)?;
        if let Some(catalog) = &mut self.catalog {
            // One note for all of them.
            let tables = self.tables.values().filter(|table| table.is_ahead());
            catalog.mark_dirty(tables.map(|table| table.definition().table.as_str()))?;
        }
        for (stream, table) in self.tables.iter_mut().filter(|(stream, _)| !held.contains(stream)) {
            let committed = publish(table, &mut self.catalog, &mut self.summary, |table| {
                table.commit(complete)
            })?;
            changed |= committed.files > 0;
            if committed.files > 0 {
                tracing::info!(
                    stream,
                    table = table.definition().table,
                    rows = committed.rows,
                    files = committed.files,
                    bytes = committed.bytes,
                    "committed"
                );
            }
        }
        self.summary.commits += u64::from(changed);
        self.journal.acknowledging(&self.lake)?;
        self.state.acknowledge(held)?;
        if !self.state.is_pending(&[]) {
            // Otherwise the turn of the streams that were held is at their next state.
            self.last_commit = Instant::now();
        }
        Ok(self.journal.acknowledged(&self.lake)?)
    }

    /// The input ended as it should: everything is committed.
    fn finish(&mut self) -> Result<()> {
        if let Some(ended) = self.ended.take() {
            return self.finish_streams(&ended);
        }
        let incomplete: Vec<String> = self
            .tables
            .iter()
            .filter(|(_, table)| table.must_be_complete() && table.has_uncovered())
            .map(|(stream, _)| format!("`{stream}`"))
            .collect();
        if !incomplete.is_empty() {
            let verb = if incomplete.len() == 1 { "was" } else { "were" };
            self.salvage()?;
            return Err(Error::Incomplete { streams: incomplete.join(", "), verb });
        }
        self.tables.values_mut().try_for_each(Table::cover)?;
        self.commit(true, &[])
    }

    /// The input ended, and with it the streams of which the source has said so. Of the others what
    /// a STATE covers is committed.
    fn finish_streams(&mut self, ended: &BTreeSet<String>) -> Result<()> {
        for (stream, table) in &mut self.tables {
            if ended.contains(stream) { table.cover()? } else { table.discard_uncovered() }
        }
        let held = self.held();
        self.commit(true, &held)?;
        let mut unfinished = Vec::new();
        for (stream, table) in &mut self.tables {
            if ended.contains(stream) {
                publish(table, &mut self.catalog, &mut self.summary, Table::end_generation)?;
            } else {
                unfinished.push(format!("`{stream}`"));
            }
        }
        if unfinished.is_empty() {
            return Ok(());
        }
        Err(Error::Unfinished { streams: unfinished.join(", ") })
    }

    /// The input ended before its time: what a state covers is committed, and it is given back.
    fn salvage(&mut self) -> Result<()> {
        if !self.state.is_pending(&[]) {
            return Ok(());
        }
        self.tables.values_mut().for_each(Table::discard_uncovered);
        let held = self.held();
        if self.state.is_pending(&held) { self.commit(false, &held) } else { Ok(()) }
    }
}

/// Lets a table write what readers will see. The catalog learns before that the table may be ahead of
/// it, and afterwards of what.
fn publish(
    table: &mut Table,
    catalog: &mut Option<Catalog>,
    summary: &mut Summary,
    write: impl FnOnce(&mut Table) -> lake::Result<Committed>,
) -> Result<Committed> {
    let name = table.definition().table.clone();
    let committed = match catalog.as_mut().filter(|_| table.is_ahead()) {
        Some(catalog) => {
            catalog.mark_dirty([name.as_str()])?;
            let committed = write(table)?;
            catalog.changed(&name, &committed);
            committed
        }
        None => write(table)?,
    };
    let stream = table.definition().stream.clone();
    summary.streams.entry(stream).or_default().committed(&committed);
    Ok(committed)
}

/// Whether an error leaves nothing to be done: the destination does not answer, or what is committed
/// is not known.
fn is_grave(error: &Error) -> bool {
    error.kind() == Kind::Storage
}
