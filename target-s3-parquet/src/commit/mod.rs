//! From staged rows to objects of the lake.
//!
//! A [`TableWriter`] holds one table for one run: its definition, its staged rows and what is open
//! on the way to the store. How rows become visible is the load method's business: [`upsert`]
//! merges them into the objects of their groups, [`append`] adds files, [`overwrite`] puts new
//! objects in the place of all old ones.

mod append;
mod define;
mod generation;
pub mod journal;
mod lake;
mod overwrite;
mod upsert;

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::{LoadMethod, StreamSettings};
use crate::decode::{Plan, Rows};
use crate::error::{Error, Result};
use crate::parquet_file::{ENCODE_BYTES, PartWriter, Written};
use crate::schema::names;
use crate::stage::{Group, Stage};
use crate::store::{Condition, Object};
use crate::table::evolve::evolve;
use crate::table::{Definition, Partitioner, Projection};

pub use append::FILE_BYTES;
pub use lake::Lake;

use define::{define, incompatible, is_called, key_names, other_keys, reconcile};
use lake::definition_key;

/// Tries of a write that other writers keep disturbing.
pub(crate) const MERGE_ATTEMPTS: u32 = 20;

/// What a commit of one table did.
#[derive(Debug, Default, Clone)]
pub struct Committed {
    /// Objects written.
    pub files: u64,
    /// Bytes of these objects.
    pub bytes: u64,
    /// Bytes of the objects that were read to be merged with.
    pub bytes_read: u64,
    /// Rows staged since the commit before.
    pub rows: u64,
    /// Folders of the partitions that changed.
    pub partitions: Vec<String>,
    /// Whether nothing of what the table held before is left.
    pub replaced: bool,
}

/// One table in one run.
#[derive(Debug)]
pub struct TableWriter {
    lake: Arc<Lake>,
    settings: StreamSettings,
    definition: Definition,
    /// The definition in the lake, if it is there.
    stored: Option<Object>,
    /// Whether the definition in the lake is another one.
    changed: bool,
    stage: Stage,
    projections: HashMap<u64, Projection>,
    append: append::Open,
    /// Rows of this run are already in the lake.
    begun: bool,
    /// The version that shall take the place of what the table holds, as ACTIVATE_VERSION says.
    replacing: Option<i64>,
    activation: Activation,
    /// Where the rows of a new generation wait until their stream is complete.
    waiting_room: Option<String>,
}

/// What has come of an ACTIVATE_VERSION. Some taps send it when a stream begins, so that it does not
/// say by itself that a stream without rows has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Activation {
    None,
    Announced,
    /// Something else has come behind it.
    Covered,
}

impl Activation {
    fn next(self) -> Self {
        match self {
            Self::None => Self::Announced,
            Self::Announced | Self::Covered => Self::Covered,
        }
    }
}

impl TableWriter {
    /// Opens the table of a stream, or prepares a new one.
    pub fn open(lake: Arc<Lake>, plan: &Plan, settings: StreamSettings) -> Result<Self> {
        let table = settings
            .table
            .as_deref()
            .map_or_else(|| names::fold_table(&plan.stream), names::fold_table);
        let wanted = define(&table, plan, &settings)?;
        let found = lake.definition(&table)?;
        let waiting_room = settings.refresh.and_then(|refresh| {
            let known = found.as_ref().map(|(_, definition)| definition.generation);
            generation::waiting_room(&table, &refresh, known)
        });
        let (definition, stored, changed) = match found {
            // All that is there goes, so nothing of it binds what comes.
            Some((object, found)) if waiting_room.is_some() && found.resharding.is_none() => {
                (wanted, Some(object), true)
            }
            Some((object, found)) => {
                let definition = reconcile(&found, &wanted, &plan.stream)?;
                let changed = definition != found;
                (definition, Some(object), changed)
            }
            None => (wanted, None, true),
        };
        let stage = new_stage(&definition, waiting_room.is_some())?;
        let mut writer = Self {
            lake,
            settings,
            definition,
            stored,
            changed,
            stage,
            projections: HashMap::new(),
            append: append::Open::default(),
            begun: false,
            replacing: None,
            activation: Activation::None,
            waiting_room,
        };
        writer.evolve(plan)?;
        Ok(writer)
    }

    /// The table's definition.
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    /// Takes a new schema of the stream.
    pub fn evolve(&mut self, plan: &Plan) -> Result<()> {
        let keys = key_names(plan);
        if self.definition.load_method != LoadMethod::Append && keys != self.definition.keys {
            return Err(other_keys(&self.definition, &keys, &plan.stream));
        }
        let evolution = evolve(&self.definition.columns, &plan.columns)
            .map_err(|fault| incompatible(&plan.stream, &self.definition.table, fault))?;
        if evolution.columns != self.definition.columns {
            self.changed = true;
            self.definition.widening |= evolution.widened && self.stored.is_some();
            self.definition.columns = evolution.columns;
            self.realign()?;
        }
        self.projections
            .entry(plan.id)
            .or_insert_with(|| Projection::from_columns(&plan.columns, &self.definition.columns));
        Ok(())
    }

    /// Stages rows.
    pub fn push(&mut self, rows: &Rows) -> Result<()> {
        if !self.projections.contains_key(&rows.plan.id) {
            self.evolve(&rows.plan)?;
        }
        if let Some(version) = rows.version {
            self.see_version(version);
        }
        let Some(projection) = self.projections.get(&rows.plan.id) else { return Ok(()) };
        let batch =
            projection.apply(&rows.batch).map_err(|error| Error::Internal(error.to_string()))?;
        self.stage.push(batch, &rows.hashes)
    }

    /// Records of another version than the table's may be about to replace it: they are held back
    /// until ACTIVATE_VERSION or the end of the input decides.
    fn see_version(&mut self, version: i64) {
        if self.definition.version.is_none() {
            // Rows without a version are of no older one.
            self.changed = true;
            self.definition.version = Some(version);
        } else if self.definition.version != Some(version) && !self.begun {
            self.replacing = Some(version);
        }
    }

    /// ACTIVATE_VERSION: rows of other versions are obsolete.
    pub fn activate(&mut self, version: i64) -> Result<()> {
        if self.definition.version.is_none() {
            self.see_version(version);
        }
        if self.definition.version == Some(version) {
            return Ok(());
        }
        if self.begun || self.append.rows() > 0 {
            tracing::warn!(
                table = self.definition.table,
                version,
                "rows without a version were committed before ACTIVATE_VERSION; the table keeps its old rows"
            );
            return Ok(());
        }
        self.replacing = Some(version);
        self.activation = self.activation.next();
        self.stage.seal()
    }

    fn is_activated(&self) -> bool {
        self.activation != Activation::None
    }

    /// Whether the rows of this run wait to replace the whole table at its end.
    pub fn is_replacing(&self) -> bool {
        self.definition.load_method == LoadMethod::Overwrite || self.replacing.is_some()
    }

    /// Whether the table may only be replaced by a stream that was seen to its end.
    pub fn must_be_complete(&self) -> bool {
        self.definition.load_method == LoadMethod::Overwrite || self.is_activated()
    }

    /// A STATE covers everything so far.
    pub fn seal(&mut self) -> Result<()> {
        if self.is_activated() {
            self.activation = self.activation.next();
        }
        self.stage.seal()?;
        self.append.seal();
        if self.streams_files() {
            self.feed(ENCODE_BYTES, false)?;
        }
        Ok(())
    }

    /// Bytes that the table holds in memory.
    pub fn memory(&self) -> usize {
        self.stage.memory() + self.append.memory()
    }

    /// Rows that are not yet in the lake.
    pub fn pending_rows(&self) -> u64 {
        self.stage.rows() + self.append.rows()
    }

    /// Whether what is done next may change what readers see.
    pub fn is_ahead(&self) -> bool {
        self.has_work() || self.settings.refresh.is_some()
    }

    fn has_work(&self) -> bool {
        self.pending_rows() > 0 || self.is_activated() || self.definition.widening
    }

    /// Whether a commit now would show rows that it must not: appended ones that no STATE covers, or
    /// those of a table that is replaced as a whole at the end.
    pub fn must_wait(&self) -> bool {
        let replaces = self.is_activated() || (self.is_replacing() && self.pending_rows() > 0);
        replaces || (self.adds() && self.has_unsealed())
    }

    /// Whether rows, or the news that there are none, wait for a STATE to cover them.
    pub fn has_unsealed(&self) -> bool {
        let is_emptied = self.activation == Activation::Announced && self.pending_rows() == 0;
        is_emptied || self.stage.has_unsealed() || self.append.is_mixed()
    }

    /// How often rows went to temporary files.
    pub fn spills(&self) -> u64 {
        self.stage.spills()
    }

    /// Gives memory back.
    pub fn relieve(&mut self) -> Result<()> {
        if self.streams_files() {
            if self.append.memory() >= self.stage.memory() {
                return self.append.close_row_groups();
            }
            if self.feed(0, true)? {
                return Ok(());
            }
        }
        if self.streams_files() && self.stage.has_unsealed() {
            self.append.mix();
        }
        self.stage.spill(&self.lake.spill)
    }

    /// Whether rows are added to others, whatever their keys: those that come twice are doubled.
    fn adds(&self) -> bool {
        self.definition.load_method == LoadMethod::Append || self.waiting_room.is_some()
    }

    /// Whether rows flow into new files while they arrive.
    fn streams_files(&self) -> bool {
        self.adds() && self.replacing.is_none()
    }

    /// Where added files go: the table's prefix, unless its rows have to wait.
    fn root(&self) -> String {
        let own = || format!("{}/", self.definition.table);
        self.waiting_room.clone().unwrap_or_else(own)
    }

    /// Whether the keys alone need so much memory that the rows should be committed, covered by a
    /// STATE or not: to upsert them again does no harm.
    pub fn should_commit_early(&self) -> bool {
        self.definition.load_method == LoadMethod::Upsert
            && self.replacing.is_none()
            && !self.adds()
            && self.stage.index_bytes_soon() > self.lake.budget / 3
    }

    /// Drops rows that no STATE covers, where that is possible. An upserted table keeps them: they
    /// come again and replace themselves.
    pub fn discard_unsealed(&mut self) {
        if self.adds() {
            self.stage.discard_unsealed();
        }
    }

    /// Keys of the files that the next commit adds, after writing to them all that is staged. They
    /// are not visible yet.
    pub fn prepare(&mut self) -> Result<Vec<String>> {
        if self.streams_files() && self.pending_rows() > 0 {
            append::prepare(self)
        } else {
            Ok(Vec::new())
        }
    }

    /// Makes staged rows visible and durable. `complete` says that the stream was seen to its end.
    pub fn commit(&mut self, complete: bool) -> Result<Committed> {
        let mut committed = Committed { rows: self.pending_rows(), ..Committed::default() };
        if !self.has_work() {
            return Ok(committed);
        }
        if self.is_replacing() && !complete {
            return Ok(Committed::default());
        }
        let _guard = self.lake.store.lock(&self.definition.table)?;
        self.refresh()?;
        if self.is_activated() && !self.has_unsealed() {
            self.changed |= self.definition.version != self.replacing;
            self.definition.version = self.replacing;
        }
        self.store_definition()?;
        match self.definition.load_method {
            _ if self.must_be_complete() => {
                overwrite::commit(self, &mut committed)?;
                (self.replacing, self.activation) = (None, Activation::None);
            }
            _ if self.waiting_room.is_some() => {
                append::prepare(self)?;
                append::commit(self, &mut Committed::default())?;
            }
            LoadMethod::Upsert | LoadMethod::Overwrite => upsert::commit(self, &mut committed)?,
            LoadMethod::Append => {
                append::prepare(self)?;
                append::commit(self, &mut committed)?;
            }
        }
        self.begun = true;
        self.stage.clear();
        // Where nothing locks the table, another run may have widened a column meanwhile and have
        // missed the objects that were written just now.
        self.refresh()?;
        if self.definition.widening {
            upsert::widen_rest(self, &mut committed)?;
            self.definition.widening = false;
            self.changed = true;
            self.store_definition()?;
        }
        Ok(committed)
    }

    /// Takes over what another run has changed in the definition since it was read.
    fn refresh(&mut self) -> Result<()> {
        if self.waiting_room.is_some() {
            // What is there is replaced, whatever it is by then.
            return Ok(());
        }
        let key = definition_key(&self.definition.table);
        let version = |object: &Object| object.version.clone();
        let current = self.lake.store.head(&key)?.as_ref().map(version);
        if current == self.stored.as_ref().map(version) {
            return Ok(());
        }
        match self.lake.definition(&self.definition.table)? {
            Some((object, found)) => self.adopt(&found, object),
            None => {
                self.stored = None;
                self.changed = true;
                Ok(())
            }
        }
    }

    /// Writes the definition if it is new. Another run that was faster is taken into account.
    fn store_definition(&mut self) -> Result<()> {
        let key = definition_key(&self.definition.table);
        if self.waiting_room.is_some() {
            // It is that of the new rows; the old ones are still there.
            return Ok(());
        }
        for _ in 0..MERGE_ATTEMPTS {
            if !self.changed {
                return Ok(());
            }
            let condition = Condition::still(self.stored.as_ref());
            match self.lake.store.put(&key, &self.definition.text(), condition) {
                Ok(object) => {
                    self.stored = Some(object);
                    self.changed = false;
                }
                Err(Error::Conflict { .. }) => {
                    match self.lake.definition(&self.definition.table)? {
                        Some((object, found)) => self.adopt(&found, object)?,
                        None => self.stored = None,
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Err(Error::Conflict { object: self.lake.store.locate(&key) })
    }

    /// Takes over a definition that another run has written meanwhile.
    fn adopt(&mut self, found: &Definition, object: Object) -> Result<()> {
        let stream = self.definition.stream.clone();
        let mut definition = reconcile(found, &self.definition, &stream)?;
        if definition.shards != self.definition.shards {
            return Err(self.resharded(definition.shards));
        }
        let incompatible = |fault| incompatible(&stream, &found.table, fault);
        let evolution =
            evolve(&definition.columns, &self.definition.columns).map_err(incompatible)?;
        let theirs = evolve(&self.definition.columns, &definition.columns).map_err(incompatible)?;
        definition.widening |=
            evolution.widened || self.definition.widening || (self.begun && theirs.widened);
        definition.columns = evolution.columns;
        self.changed = definition != *found;
        self.stored = Some(object);
        self.definition = definition;
        self.realign()
    }

    /// Brings what is staged to the columns of the definition.
    fn realign(&mut self) -> Result<()> {
        let fields = crate::schema::fields(&self.definition.columns);
        let schema = Arc::new(arrow::datatypes::Schema::new(fields));
        if *self.stage.schema() != schema {
            let projection = Projection::between(self.stage.schema().fields(), &schema);
            self.append.retire()?;
            self.stage.realign(&projection)?;
        }
        self.projections.clear();
        Ok(())
    }

    /// The rows of this run are cut for another number of shards than the table now has.
    fn resharded(&self, shards: u32) -> Error {
        Error::Table {
            table: self.definition.table.clone(),
            reason: format!(
                "its objects per partition went from {} to {shards} while this run was at work; run again",
                self.definition.shards
            ),
        }
    }

    /// The key of a group's object.
    fn object_key(&self, group: Group) -> String {
        format!(
            "{}/{}part-{:05}.parquet",
            self.definition.table,
            self.stage.folder(group),
            group.shard
        )
    }

    /// Begins a file of the table.
    fn part(&self, key: &str, condition: Condition) -> Result<PartWriter> {
        let format = self.lake.format(&self.settings, self.definition.shards);
        self.lake.part(key, condition, self.stage.schema(), &format)
    }
}

impl Committed {
    fn add(&mut self, written: &Written, folder: &str) {
        self.note(&written.object, folder);
    }

    fn note(&mut self, object: &Object, folder: &str) {
        self.files += 1;
        self.bytes += object.size;
        if !self.partitions.iter().any(|known| known == folder) {
            self.partitions.push(folder.to_owned());
        }
    }
}

/// A stage for the rows of a table. Those that `wait` keep the order in which they came, keys or
/// not.
fn new_stage(definition: &Definition, wait: bool) -> Result<Stage> {
    let schema =
        Arc::new(arrow::datatypes::Schema::new(crate::schema::fields(&definition.columns)));
    let by = match (&definition.partition_by, definition.partition_key()) {
        (Some(by), Some(key)) => {
            let position = definition
                .columns
                .iter()
                .position(|column| is_called(column, &by.column))
                .ok_or_else(|| Error::Table {
                    table: definition.table.clone(),
                    reason: format!("its partition column `{}` is gone", by.column),
                })?;
            Some((by, key, position))
        }
        _ => None,
    };
    if wait && definition.load_method != LoadMethod::Append {
        return Ok(Stage::new(schema, Partitioner::new(None), 1, false));
    }
    let keyed = definition.load_method != LoadMethod::Append && !definition.keys.is_empty();
    Ok(Stage::new(schema, Partitioner::new(by), definition.shards, keyed))
}
