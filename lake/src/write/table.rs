//! One table in one run.

use std::sync::Arc;

use arrow::array::RecordBatch;

use super::append::NewFiles;
use super::committed::Committed;
use super::core::{Core, keyed_stage, schema_of, waiting_stage};
use super::defined::{Defined, look_up};
use super::journal::Files;
use super::load::{Load, Replace, Waiting};
use super::{iceberg, waiting, widen};
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::table::definition::{Definition, Generation};
use crate::table::partition::Misplaced;
use crate::table::spec::{Refresh, Spec};
use crate::table::{file_name, key};

/// One table in one run.
///
/// Rows are pushed, covered by [`cover`](Self::cover) once whoever sends them could go on behind them,
/// and made visible by [`commit`](Self::commit).
#[derive(Debug)]
pub struct Table {
    pub(super) core: Core,
    pub(super) load: Load,
    pub(super) refresh: Option<Refresh>,
    /// Rows of this run are already in the lake.
    begun: bool,
}

impl Table {
    /// Opens a table, or prepares a new one. What a run has left half done of its objects is brought to its
    /// end.
    pub fn open(lake: &Arc<Lake>, spec: &Arc<Spec>) -> Result<Self> {
        let (wanted, found) = look_up(lake, spec)?;
        let found = found.map(|found| widen::mend(lake, found, &spec.encoding)).transpose()?;
        if found.is_none() && !wanted.is_iceberg() {
            check_folder(lake, &spec.table)?;
        }
        let is_known = found.is_some();
        let root = spec.refresh.and_then(|refresh| {
            let known = found.as_ref().map(|(_, definition)| definition.generation);
            waiting::root(&wanted.table, &refresh, known)
        });
        let open = |mut defined: Defined| -> Result<_> {
            let iceberg = iceberg::open(lake, defined.definition(), is_known)?;
            let (iceberg, columns) =
                iceberg.map_or((None, Vec::new()), |(own, columns)| (Some(own), columns));
            defined.take_in(&columns)?;
            Ok((defined, iceberg))
        };
        let (defined, iceberg, stage, load) = match root {
            Some(root) => {
                let (defined, iceberg) = open(Defined::anew(wanted, found, spec.shards)?)?;
                let stage = waiting_stage(lake, &defined.definition, spec.keeps_long_values)?;
                let files = NewFiles::default();
                (defined, iceberg, stage, Load::Waiting(Waiting { root, files }))
            }
            None => {
                let (defined, iceberg) = open(Defined::reconciled(wanted, found, spec.shards)?)?;
                let keeps_long = spec.keeps_long_values;
                let stage = keyed_stage(lake, &defined.definition, defined.cut(), keeps_long)?;
                let load = Load::from(defined.definition.load_method);
                (defined, iceberg, stage, load)
            }
        };
        let mut core = Core::new(Arc::clone(lake), spec, defined, stage);
        core.iceberg = iceberg.map(Arc::new);
        iceberg::number(&mut core)?;
        let mut table = Self { core, load, refresh: spec.refresh, begun: false };
        table.evolve(spec)?;
        Ok(table)
    }

    /// Whether its rows are added to others, so that such as come twice are there twice.
    pub fn adds(&self) -> bool {
        self.load.adds()
    }

    /// The rows of these files may come again, and are left out then: see [`Journal::doubtful`].
    ///
    /// [`Journal::doubtful`]: super::journal::Journal::doubtful
    pub fn doubt(&mut self, files: &[String]) -> Result<()> {
        self.core.doubt(files)
    }

    /// How many rows came again, and were left out.
    pub fn recognised(&self) -> u64 {
        self.core.recognised()
    }

    /// The rows that are in the default partition although they have a value for another.
    pub fn misplaced(&self) -> Option<Misplaced> {
        self.core.stage.misplaced()
    }

    /// Whether this run makes the table.
    pub fn is_new(&self) -> bool {
        !self.core.defined.is_stored()
    }

    /// The table's definition, as it is after the next commit.
    pub fn definition(&self) -> &Definition {
        self.core.definition()
    }

    /// Takes a new schema of the rows.
    pub fn evolve(&mut self, spec: &Arc<Spec>) -> Result<()> {
        // Files that wait are brought to the newest types when they enter the table.
        let is_iceberg = self.definition().is_iceberg();
        let has_old_files = !is_iceberg && !matches!(self.load, Load::Waiting(_));
        if self.core.defined.evolve(spec, has_old_files)? {
            self.realign()?;
        }
        self.core.know(spec);
        Ok(())
    }

    /// Stages rows of the spec's columns.
    pub fn push(&mut self, spec: &Arc<Spec>, batch: &RecordBatch) -> Result<()> {
        let position = |key: &String| spec.columns.iter().position(|column| column.name == *key);
        let keys: Option<Vec<usize>> = spec.keys.iter().map(position).collect();
        let keys = keys.ok_or_else(|| {
            Error::internal(format!("the keys {:?} are among the columns", spec.keys))
        })?;
        self.push_hashed(spec, batch, &key::hash_rows(batch, &keys)?)
    }

    /// Stages rows whose keys were hashed already, by [`key::hash_rows`].
    pub fn push_hashed(
        &mut self,
        spec: &Arc<Spec>,
        batch: &RecordBatch,
        hashes: &[u128],
    ) -> Result<()> {
        if !self.core.knows(spec) {
            self.evolve(spec)?;
        }
        // Rows that take the place of all others take that of the doubtful ones as well.
        let may_come_again = matches!(self.load, Load::Append(_) | Load::Waiting(_));
        self.core.push(spec, batch, hashes, may_come_again)
    }

    /// The rows that come next are of this version. Those of another version than the table's may be
    /// about to replace it: they are held back until [`activate`](Self::activate) or the end of the
    /// input decides.
    pub fn note_version(&mut self, version: i64) {
        let known = self.core.definition().version;
        if known.is_none() {
            // Rows without a version are of no older one.
            self.core.defined.set_version(version);
        } else if known != Some(version) && !self.begun {
            self.change_load(|load| load.of_version(version));
        }
    }

    /// Rows of other versions than this are obsolete.
    pub fn activate(&mut self, version: i64) -> Result<()> {
        if self.core.definition().version.is_none() {
            self.core.defined.set_version(version);
        }
        if self.core.definition().version == Some(version) {
            return Ok(());
        }
        let has_files = self.load.files().is_some_and(|files| files.rows() > 0);
        if self.begun || has_files {
            tracing::warn!(
                table = self.core.definition().table,
                version,
                "rows without a version were committed before ACTIVATE_VERSION; the table keeps its old rows"
            );
            return Ok(());
        }
        self.change_load(|load| load.activated(version));
        self.core.stage.cover()
    }

    pub(super) fn change_load(&mut self, change: impl FnOnce(Load) -> Load) {
        self.load = change(std::mem::replace(&mut self.load, Load::Upsert));
    }

    /// Whether the table may only change once its stream was seen to its end.
    pub fn must_be_complete(&self) -> bool {
        self.load.must_be_complete()
    }

    /// Whoever sends the rows can go on behind all that have come so far.
    pub fn cover(&mut self) -> Result<()> {
        self.load.cover();
        self.core.stage.cover()?;
        self.feed(self.core.lake.chunk_bytes(), false).map(|_| ())
    }

    /// Encodes staged rows, where the load writes files while rows arrive. Whether it was done.
    fn feed(&mut self, least: usize, all: bool) -> Result<bool> {
        match &mut self.load {
            Load::Append(files) => files.feed(&mut self.core, None, least, all),
            Load::Waiting(Waiting { root, files }) => {
                files.feed(&mut self.core, Some(root), least, all)
            }
            Load::Upsert | Load::Replace(_) => Ok(false),
        }
    }

    /// Bytes that the table holds in memory.
    pub fn memory(&self) -> usize {
        self.core.memory() + self.load.files().map_or(0, NewFiles::memory)
    }

    /// Rows that are not yet in the lake.
    pub fn pending_rows(&self) -> u64 {
        self.core.stage.rows() + self.load.files().map_or(0, NewFiles::rows)
    }

    /// Whether what is done next may change what readers see.
    pub fn is_ahead(&self) -> bool {
        self.has_work() || self.refresh.is_some()
    }

    pub(super) fn has_work(&self) -> bool {
        self.pending_rows() > 0 || self.load.is_activated() || self.core.definition().widening
    }

    /// Whether a commit now would show rows that it must not: added ones that nothing covers, or those
    /// of a table that is replaced as a whole at the end.
    pub fn must_wait(&self) -> bool {
        match &self.load {
            Load::Upsert => false,
            Load::Append(_) | Load::Waiting(_) => self.has_uncovered(),
            Load::Replace(Replace::Whole) => self.pending_rows() > 0,
            Load::Replace(Replace::Undecided { base, .. }) => {
                self.pending_rows() > 0 || (base.adds() && self.has_uncovered())
            }
            Load::Replace(Replace::Activated { .. }) => true,
        }
    }

    /// Whether rows, or the news that there are none, wait to be covered.
    pub fn has_uncovered(&self) -> bool {
        let is_emptied = self.load.is_uncovered() && self.pending_rows() == 0;
        let in_files = self.load.files().is_some_and(NewFiles::has_uncovered);
        is_emptied || self.core.stage.has_uncovered() || in_files
    }

    /// How often rows went to temporary files.
    pub fn spills(&self) -> u64 {
        self.core.stage.spills()
    }

    /// Gives memory back: encoded rows go to their files, staged ones to temporary files.
    pub fn free_memory(&mut self) -> Result<()> {
        let in_files = self.load.files().map_or(0, NewFiles::memory);
        if self.core.spill_doubts(in_files)? {
            return Ok(());
        }
        match &mut self.load {
            Load::Append(files) | Load::Waiting(Waiting { files, .. }) => {
                if files.memory() >= self.core.stage.memory() {
                    return files.close_row_groups();
                }
                if self.feed(0, true)? {
                    return Ok(());
                }
                if self.core.stage.has_uncovered()
                    && let Some(files) = self.load.files_mut()
                {
                    files.uncover();
                }
            }
            Load::Upsert | Load::Replace(_) => {}
        }
        self.core.stage.spill(&self.core.lake.spill)
    }

    /// Drops rows that nothing covers, where that is possible. An upserted table keeps them: they come
    /// again and replace themselves.
    pub fn discard_uncovered(&mut self) {
        if self.load.adds() {
            self.core.stage.discard_uncovered();
        }
    }

    /// Once the stream was seen to its end and ACTIVATE_VERSION did not come, its rows enter as those
    /// before them.
    fn decide(&mut self, complete: bool) -> Result<()> {
        if let (Load::Replace(Replace::Undecided { .. }), true) = (&self.load, complete) {
            self.change_load(Load::after_commit);
            if self.load.adds() {
                return self.core.sift();
            }
        }
        Ok(())
    }

    /// Does what comes before [`prepare`](Self::prepare) and waits for the store.
    pub(super) fn announce(&mut self, complete: bool) -> Result<()> {
        if self.pending_rows() == 0 {
            return Ok(());
        }
        self.decide(complete)?;
        // Who finds a note of its files must know the table's columns.
        if let Load::Append(_) = self.load { self.store_definition() } else { Ok(()) }
    }

    /// How many objects its rows are for.
    pub(super) fn groups(&self) -> usize {
        self.core.stage.groups().len()
    }

    /// The files that the next commit shows and that must not come twice. They are not visible yet.
    /// `complete` as in [`commit`](Self::commit).
    pub fn prepare(&mut self, complete: bool) -> Result<Files> {
        let mut shown = Files::default();
        if self.pending_rows() == 0 {
            return Ok(shown);
        }
        self.announce(complete)?;
        if self.definition().is_iceberg() && !matches!(self.load, Load::Waiting(_)) {
            // Its snapshots say which state covers them.
            return Ok(shown);
        }
        let adds = self.load.adds();
        match &mut self.load {
            Load::Append(files) => shown.added = files.prepare(&mut self.core, None)?,
            Load::Waiting(Waiting { root, files }) => {
                shown.added = files.prepare(&mut self.core, Some(root))?;
            }
            Load::Replace(Replace::Activated { .. }) if adds && complete => {
                let groups = self.core.stage.groups().iter();
                shown.replacing =
                    groups.map(|group| self.core.object_key(*group)).collect::<Result<_>>()?;
            }
            Load::Upsert | Load::Replace(_) => {}
        }
        Ok(shown)
    }

    /// Makes staged rows visible and durable. `complete` says that the stream was seen to its end.
    pub fn commit(&mut self, complete: bool) -> Result<Committed> {
        self.decide(complete)?;
        let mut committed = Committed::default();
        if !self.has_work() {
            return Ok(committed);
        }
        match &self.load {
            Load::Replace(_) if !complete => return Ok(Committed::default()),
            Load::Upsert | Load::Append(_) | Load::Replace(_) | Load::Waiting(_) => {}
        }
        let _guard = self.core.lake.store.lock(&self.core.definition().table)?;
        if !self.core.defined.is_changed() {
            // Else whoever has changed it is found by the write.
            self.refresh_definition()?;
        }
        self.core.choose_cut()?;
        self.store_definition()?;
        self.core.cut()?;
        let activated = match self.load {
            Load::Replace(Replace::Activated { version, .. }) if !self.has_uncovered() => {
                Some(version)
            }
            Load::Upsert | Load::Append(_) | Load::Replace(_) | Load::Waiting(_) => None,
        };
        self.publish(&mut committed).map_err(|error| self.stopped(error))?;
        self.begun = true;
        if let Some(version) = activated {
            // Only now: a run that dies before replaces the table once more.
            self.core.defined.set_version(version);
            self.store_definition()?;
        }
        self.core.clear();
        // Where nothing locks the table, another run may have widened a column meanwhile and have
        // missed the objects that were written just now; or it was cut, and they have had their time.
        self.refresh_definition().map_err(|error| self.stopped(error))?;
        self.widen(&mut committed)?;
        self.store_definition()?;
        Ok(committed)
    }

    /// Takes over what another run has changed in the definition since it was read.
    fn refresh_definition(&mut self) -> Result<()> {
        match self.load {
            // What is there is replaced, whatever it is by then.
            Load::Waiting(_) => Ok(()),
            Load::Upsert | Load::Append(_) | Load::Replace(_) => {
                let has_changed = self.core.defined.refresh(&self.core.lake, self.begun)?;
                if has_changed { self.realign() } else { Ok(()) }
            }
        }
    }

    /// Writes the definition if it is new. Another run that was faster is taken into account.
    pub(super) fn store_definition(&mut self) -> Result<()> {
        match self.load {
            // It is that of the new rows; the old ones are still there.
            Load::Waiting(_) => Ok(()),
            Load::Upsert | Load::Append(_) | Load::Replace(_) => {
                // What another run has changed may change what must be stored.
                while self.core.defined.store(&self.core.lake, self.begun)? {
                    self.realign()?;
                }
                Ok(())
            }
        }
    }

    /// Brings what is staged to the columns of the definition.
    fn realign(&mut self) -> Result<()> {
        let projection = self.core.realignment();
        if projection.is_some()
            && let Some(files) = self.load.files_mut()
        {
            files.outdate()?;
            // Rows that wait for their generation are brought to the newest types when they enter.
            if let Load::Append(files) = &self.load
                && !self.core.definition().is_iceberg()
                && files.are_narrow(&schema_of(self.core.definition()))
            {
                self.core.defined.set_widening();
            }
        }
        self.core.realign(projection.as_ref())?;
        if projection.is_some() { iceberg::number(&mut self.core) } else { Ok(()) }
    }

    /// The generation of the table's rows.
    pub(super) fn set_generation(&mut self, generation: Option<Generation>) {
        self.core.defined.set_generation(generation);
    }
}

/// A table is made where there is nothing, or nothing but files of a table: in a folder with others, its
/// readers would find these too.
fn check_folder(lake: &Lake, table: &str) -> Result<()> {
    let prefix = format!("{table}/");
    let objects = lake.store.list(&prefix)?;
    let foreign = file_name::foreign(&prefix, &objects);
    if foreign.is_empty() {
        return Ok(());
    }
    Err(Error::Table {
        table: table.into(),
        reason: format!(
            "its folder has files that are not a table's: {}; move them, or name another table or \
             destination",
            file_name::told(&foreign)
        ),
    })
}
