//! The run: items in, commits and states out.

mod advice;
mod ahead;
mod covering;
mod named;
mod pace;
mod summed;
mod tables;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lake::Lake;
use lake::catalog::{Catalog, Wait};
use lake::write::journal::{Acknowledged, Journal, Receipt, Steps};

use crate::decode::plan::Plan;
use crate::decode::rows::Decoded;
use crate::error::{Error, Kind, Result};
use crate::input::item::Item;
use crate::input::items::Next;
use crate::settings::config::Config;
use crate::state::{Sink, State};

use ahead::Ahead;
use named::quoted;
use pace::Pace;
use tables::Tables;

/// How long to wait for input before looking at the clock.
const CLOCK_INTERVAL: Duration = Duration::from_millis(500);

/// The part of the memory for rows that those may take which have come before their turn.
const AHEAD: usize = 8;

/// Holds the tables of a run and decides when to commit.
#[derive(Debug)]
pub(crate) struct Engine {
    lake: Arc<Lake>,
    tables: Tables,
    state: Box<dyn Sink>,
    end: End,
    unknown_streams: BTreeSet<String>,
    ahead: Ahead,
    /// Nothing before the first message.
    journal: Option<Journal>,
    /// Whether a state has come that says something.
    has_state: bool,
    pace: Pace,
    started: Instant,
}

/// When streams are complete.
#[derive(Debug)]
enum End {
    /// At the end of the input.
    OfInput,
    /// Once the source has said so: of these it has.
    Said(BTreeSet<String>),
}

impl Engine {
    /// An engine that has read nothing yet. All streams are complete at the end of the input.
    pub(crate) fn new(
        config: &Config,
        lake: Arc<Lake>,
        state: Box<dyn Sink>,
        catalog: Option<Catalog>,
    ) -> Self {
        Self {
            journal: None,
            has_state: false,
            tables: Tables::new(Arc::clone(&lake), catalog, config.memory_bytes()),
            lake,
            state,
            end: End::OfInput,
            unknown_streams: BTreeSet::new(),
            ahead: Ahead::default(),
            pace: Pace::new(Duration::from_secs(config.commit_interval_seconds)),
            started: Instant::now(),
        }
    }

    /// The engine for these streams, which are only complete once the source has said so.
    pub(crate) fn for_streams<'a>(
        mut self,
        plans: impl IntoIterator<Item = &'a Arc<Plan>>,
    ) -> Result<Self> {
        self.end = End::Said(BTreeSet::new());
        let plans: Vec<_> = plans.into_iter().cloned().collect();
        if !plans.is_empty() {
            self.open(&plans)?;
        }
        Ok(self)
    }

    /// Opens the tables of streams. What died while it committed is settled before.
    fn open(&mut self, plans: &[Arc<Plan>]) -> Result<()> {
        let journal = open_journal(&mut self.journal, &self.lake, &*self.state)?;
        self.tables.open(plans, journal, self.state.receipt())
    }

    /// A schema is met: the tables of those that have come behind it are looked up together with its own.
    fn look_ahead(&mut self, plan: &Arc<Plan>, next: &impl Fn(Duration) -> Next) -> Result<()> {
        if self.lake.at_once() == 1 || !self.tables.is_unknown(plan) {
            return Ok(());
        }
        self.ahead.look(next, self.lake.budget() / AHEAD);
        let mut streams = BTreeSet::new();
        let plans = [plan].into_iter().chain(self.ahead.plans());
        let plans =
            plans.filter(|plan| self.tables.is_unknown(plan) && streams.insert(&plan.stream));
        let plans: Vec<_> = plans.cloned().collect();
        open_journal(&mut self.journal, &self.lake, &*self.state)?;
        self.tables.look_up(&plans)
    }

    /// Reads to the end, commits and acknowledges the last state. `next` is the next item, within
    /// the time. `stopped` says at the end of the input whether it is a real end or a signal's.
    pub(crate) fn run(
        &mut self,
        next: impl Fn(Duration) -> Next,
        stopped: impl Fn() -> Option<Error>,
    ) -> Result<()> {
        let outcome = match (self.read(next), stopped()) {
            (Ok(()), None) => self.finish(),
            (Ok(()), Some(signal)) => self.salvage().and(Err(signal)),
            (Err(error), _) => {
                if !is_grave(&error)
                    && let Err(second) = self.salvage()
                {
                    let reason = program::report::sentence(&second, None);
                    tracing::error!("what a STATE covered could not be committed: {reason}");
                }
                Err(error)
            }
        };
        self.sync_catalog(outcome, &stopped)
    }

    /// Brings the catalog to what is committed. A run that has failed or was stopped does not wait
    /// for it.
    fn sync_catalog(
        &mut self,
        outcome: Result<()>,
        stopped: &dyn Fn() -> Option<Error>,
    ) -> Result<()> {
        let is_stopped = || stopped().is_some();
        let Err(error) = outcome else {
            return self.tables.sync_catalog(Wait::Configured, &is_stopped).map_err(|error| {
                let signal = stopped().filter(|_| error.kind() == lake::Kind::Interrupted);
                signal.unwrap_or_else(|| error.into())
            });
        };
        if !is_grave(&error)
            && let Err(second) = self.tables.sync_catalog(Wait::Never, &is_stopped)
        {
            let reason = program::report::sentence(&second, None);
            tracing::warn!("the next run brings the catalog up: {reason}");
        }
        Err(error)
    }

    fn read(&mut self, next: impl Fn(Duration) -> Next) -> Result<()> {
        loop {
            let next_item = self.ahead.next().map_or_else(|| next(CLOCK_INTERVAL), Next::Item);
            match next_item {
                Next::Item(item) => {
                    let item = item?;
                    if let Item::Schema(plan) = &item {
                        self.look_ahead(plan, &next)?;
                    }
                    self.item(item)?;
                }
                Next::Timeout => self.commit_when_due()?,
                Next::End => return Ok(()),
            }
        }
    }

    fn item(&mut self, item: Item) -> Result<()> {
        match item {
            Item::Rows(decoded) => self.rows(decoded),
            Item::Schema(plan) => self.open(&[plan]),
            Item::State(state) => self.state(state),
            Item::Ended { stream, complete } => self.ended(stream, complete),
            Item::ActivateVersion { stream, version } => self.tables.activate(&stream, version),
            Item::Warning(text) => {
                tracing::warn!("{text}");
                Ok(())
            }
        }
    }

    fn rows(&mut self, decoded: Decoded) -> Result<()> {
        for rows in &decoded.rows {
            self.tables.push(rows)?;
            self.state.count(&rows.plan.stream, rows.batch.num_rows() as u64, rows.rejected);
        }
        for stream in decoded.unknown_streams {
            if self.unknown_streams.insert(stream.clone()) {
                tracing::warn!(stream, "the catalog does not have this stream; it is ignored");
            }
        }
        match decoded.error {
            Some(error) => Err(error),
            None => self.tables.free_memory(),
        }
    }

    fn state(&mut self, state: State) -> Result<()> {
        self.tables.cover(state.stream.as_ref())?;
        self.has_state |= !state.is_empty();
        self.state.note(state);
        self.commit_when_due()
    }

    /// The source has said how a stream ended. The last word counts.
    fn ended(&mut self, stream: String, complete: bool) -> Result<()> {
        match &mut self.end {
            End::OfInput => {
                Err(Error::internal(format!("no word of the end of `{stream}` is waited for")))
            }
            End::Said(ended) if complete => {
                ended.insert(stream);
                Ok(())
            }
            End::Said(ended) => {
                ended.remove(&stream);
                tracing::warn!(stream, "the source says that the stream is not complete");
                Ok(())
            }
        }
    }

    /// Commits when the interval has passed and a state waits for it.
    fn commit_when_due(&mut self) -> Result<()> {
        if !self.pace.is_due() && !self.state.is_full() {
            return Ok(());
        }
        self.commit_if_ready()
    }

    /// Commits what a state waits for, if one can be acknowledged then.
    fn commit_if_ready(&mut self) -> Result<()> {
        let held = self.tables.held();
        if self.state.is_ready(&held) { self.commit(false, &held) } else { Ok(()) }
    }

    /// Commits the tables of all streams but the `held` ones, then acknowledges their states.
    fn commit(&mut self, complete: bool, held: &[String]) -> Result<()> {
        let begun = Instant::now();
        let files = self.tables.prepare(complete, held)?;
        let journal = open_journal(&mut self.journal, &self.lake, &*self.state)?;
        let mut steps =
            Commit { tables: &mut self.tables, state: &mut *self.state, complete, held };
        journal.commit(&self.lake, files, &mut steps)?;
        self.pace.took_since(begun);
        if !self.state.is_ready(&[]) {
            // Otherwise the turn of the streams that were held is at their next state.
            self.pace.restart();
        }
        Ok(())
    }

    /// The input ended as it should: everything is committed.
    fn finish(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.end, End::OfInput) {
            End::Said(ended) => self.finish_streams(&ended),
            End::OfInput => self.finish_input(),
        }
    }

    /// The end of the input is the end of all streams, but for those that replace their tables: they
    /// have only ended where a state stands behind their records.
    fn finish_input(&mut self) -> Result<()> {
        let incomplete = self.tables.incomplete();
        if !incomplete.is_empty() {
            let verb = if incomplete.len() == 1 { "was" } else { "were" };
            let streams = quoted(&incomplete);
            self.salvage()?;
            return Err(Error::Incomplete { streams, verb });
        }
        let uncovered = self.tables.uncovered();
        if self.has_state && !uncovered.is_empty() {
            let streams = quoted(&uncovered);
            self.leave_uncovered()?;
            return Err(Error::Uncovered { streams });
        }
        self.tables.cover_all()?;
        self.commit(true, &[])?;
        self.close()
    }

    /// Commits all but rows that are added to others and not covered by a state.
    fn leave_uncovered(&mut self) -> Result<()> {
        self.tables.discard_uncovered();
        if !self.tables.uncovered().is_empty() {
            // They are among others already, which wait with them.
            return self.salvage();
        }
        self.tables.cover_all()?;
        self.commit(true, &[])
    }

    /// The run has come to its end: nothing comes again any more.
    fn close(&mut self) -> Result<()> {
        match &mut self.journal {
            Some(journal) => Ok(journal.close(&self.lake, |table| self.tables.came_again(table))?),
            None => Ok(()),
        }
    }

    /// The input ended, and with it the streams of which the source has said so. Of the others what
    /// a STATE covers is committed.
    fn finish_streams(&mut self, ended: &BTreeSet<String>) -> Result<()> {
        self.tables.cover_ended(ended)?;
        let held = self.tables.held();
        self.commit(true, &held)?;
        let unfinished = self.tables.end_generations(ended)?;
        if !unfinished.is_empty() {
            return Err(Error::Unfinished { streams: quoted(&unfinished) });
        }
        self.close()
    }

    /// The input ended before its time: what a state covers is committed, and it is acknowledged.
    fn salvage(&mut self) -> Result<()> {
        if !self.state.is_ready(&[]) {
            return Ok(());
        }
        self.tables.discard_uncovered();
        self.commit_if_ready()
    }
}

/// A commit of the tables of all streams but the held ones.
struct Commit<'a> {
    tables: &'a mut Tables,
    state: &'a mut dyn Sink,
    complete: bool,
    held: &'a [String],
}

impl Steps<Error> for Commit<'_> {
    fn receipt(&self) -> Option<&dyn Receipt> {
        self.state.receipt()
    }

    fn state(&self) -> Option<String> {
        self.state.next().map(str::to_owned)
    }

    fn publish(&mut self) -> Result<()> {
        let receipt = self.state.receipt().map(|receipt| (receipt.place(), receipt.known()));
        self.tables.note(receipt, self.held, &*self.state)?;
        self.tables.commit(self.complete, self.held).map(drop)
    }

    fn acknowledge(&mut self) -> Acknowledged<Error> {
        self.state.acknowledge(self.held)
    }
}

/// The journal of the run, which settles what its predecessors have left when it is opened.
fn open_journal<'a>(
    journal: &'a mut Option<Journal>,
    lake: &Lake,
    state: &dyn Sink,
) -> Result<&'a mut Journal> {
    if journal.is_none() {
        *journal = Some(Journal::open(lake, state.receipt())?);
    }
    journal.as_mut().ok_or_else(|| Error::internal("a journal that was just opened is open"))
}

/// Whether an error leaves nothing to be done: the destination does not answer, or what is committed
/// is not known.
fn is_grave(error: &Error) -> bool {
    error.kind() == Kind::Storage
}
