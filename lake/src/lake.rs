//! The lake: what the tables of a run share, and where their definitions are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};

use crate::allowance::Allowance;
use crate::at_once::at_once;
use crate::aws::Aws;
use crate::error::{Error, Result};
use crate::file::encoding::{Encoding, Format, Signature};
use crate::file::reader::PartReader;
use crate::file::writer::{ENCODER_BYTES, PartWriter, Workers};
use crate::format::iceberg;
use crate::options::{Location, Options};
use crate::owner::Presence;
use crate::room::{Part, Room};
use crate::schema::fields;
use crate::stage::SpillFile;
use crate::store::{self, Condition, Discarded, Object, Store};
use crate::table::definition::Definition;

/// The part of the budget that a chunk of rows takes which is encoded at once.
const CHUNK_PART: usize = 16;

/// The largest chunk: more at once costs memory and gains nothing.
const LARGEST_CHUNK: usize = 8 * 1024 * 1024;

/// The part of the budget that all chunks may take which are on their way to their files.
const ON_WAY_PART: usize = 4;

/// The budget for which one large object more is merged at once: row groups are smaller then, and must
/// not be too small.
const MERGE: usize = 48 * 1024 * 1024;

/// The most large objects that are merged at once.
const MOST_MERGES: usize = 4;

/// Where the definitions of the tables are.
const TABLES: &str = "_lake/tables/";

/// A lake in one run: the store, and what all tables of the run share.
#[derive(Debug)]
pub struct Lake {
    /// Where the objects are.
    pub(crate) store: Arc<dyn Store>,
    /// Name of the run, unlike any other.
    pub(crate) run: String,
    /// That the run lives, and which others do.
    pub(crate) presence: Arc<Presence>,
    aws: Aws,
    /// The workers for decoding and encoding.
    workers: Workers,
    /// Where rows go that do not fit into memory.
    pub(crate) spill: Arc<SpillFile>,
    /// Calls of the store that are under way at once.
    pub(crate) at_once: usize,
    /// Memory for what waits for the store.
    pub(crate) room: Room,
    /// Large objects that are merged at once.
    pub(crate) merges: usize,
    /// Bytes for staged rows and open row groups.
    pub(crate) budget: usize,
    created_by: String,
    /// Files of the run that were given a number.
    numbered: AtomicU64,
    iceberg: iceberg::Catalog,
}

impl Lake {
    /// Opens the lake at a location, and removes what dead runs have left there.
    pub fn open(location: &Location, options: &Options) -> Result<Self> {
        let run = run_name();
        let aws = Aws::new(options);
        let (store, presence) = store::open(location, &aws, &run)?;
        Self::build(store, presence, run, aws)
    }

    /// The lake in a store. `run` names the run, unlike any other.
    pub fn with_store(store: Arc<dyn Store>, run: String, options: &Options) -> Result<Self> {
        let presence = Arc::new(Presence::on_host(&options.temp_dir, &run));
        Self::build(store, presence, run, Aws::new(options))
    }

    fn build(
        store: Arc<dyn Store>,
        presence: Arc<Presence>,
        run: String,
        aws: Aws,
    ) -> Result<Self> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(aws.options().threads)
            .thread_name(|number| format!("worker-{number}"))
            .build()
            .map_err(|error| Error::broken("worker threads can be started", error))?;
        let (options, pool) = (aws.options(), Arc::new(pool));
        let at_once = match options.at_once {
            0 => store.at_once().max(1),
            given => given,
        };
        let spill = SpillFile::new(options.temp_dir.clone(), options.memory).with_pool(&pool);
        let iceberg = iceberg::Catalog::new(store, &aws, &run, at_once);
        Ok(Self {
            store: Arc::clone(iceberg.store()),
            iceberg,
            run,
            presence,
            workers: Workers { pool, allowance: Allowance::new(options.memory / ON_WAY_PART) },
            spill: Arc::new(spill),
            at_once,
            room: Room::new(options.memory / 2),
            merges: (options.memory / MERGE).clamp(1, MOST_MERGES),
            budget: options.memory,
            created_by: options.created_by.clone(),
            numbered: AtomicU64::new(0),
            aws,
        })
    }

    /// A number that no other file of the run has.
    pub(crate) fn next_number(&self) -> u64 {
        self.numbered.fetch_add(1, Ordering::Relaxed)
    }

    /// Where the objects are.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Name of the run, unlike any other.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// The AWS of the run.
    pub fn aws(&self) -> &Aws {
        &self.aws
    }

    /// The workers, for whoever makes the rows.
    pub fn pool(&self) -> &Arc<rayon::ThreadPool> {
        &self.workers.pool
    }

    /// Calls of the store that are under way at once.
    pub fn at_once(&self) -> usize {
        self.at_once
    }

    /// Bytes that staged rows and open row groups of all tables may take.
    pub fn budget(&self) -> usize {
        self.budget
    }

    /// An Iceberg table of the lake.
    pub(crate) fn iceberg(&self, name: &str) -> Result<iceberg::table::Table> {
        self.iceberg.table(name)
    }

    /// The rows of a table as a reader finds them who lists its prefix, file after file, as the
    /// table's columns. A table that is not there has no rows.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] for a file that was replaced since it was listed: list again.
    pub fn scan(&self, table: &str) -> Result<impl Iterator<Item = Result<RecordBatch>>> {
        let definition = self.definition(table)?.map(|(_, definition)| definition);
        let objects = match &definition {
            Some(definition) if definition.is_iceberg() => self.iceberg(table)?.objects()?,
            Some(_) => self.store.list(&format!("{table}/"))?,
            None => Vec::new(),
        };
        let columns = definition.map(|definition| definition.columns).unwrap_or_default();
        let schema = Arc::new(Schema::new(fields(&columns)));
        Ok(objects.into_iter().flat_map(move |object| {
            let name = self.store.locate(&object.key);
            let part = self.store.fetch(&object).and_then(|file| PartReader::open(file, &name));
            let (batches, failed) = match part.and_then(|part| part.batches(&schema)) {
                Ok(batches) => (Some(batches), None),
                Err(error) => (None, Some(Err(error))),
            };
            failed.into_iter().chain(batches.into_iter().flatten())
        }))
    }

    /// How files of a table are written.
    pub(crate) fn format(&self, encoding: &Encoding, shards: u32) -> Format {
        let row_group_bytes = encoding.row_group_bytes.min(self.budget / 3 / self.merges);
        let encoding = Encoding { row_group_bytes, ..*encoding };
        Format { encoding, chunk_bytes: self.chunk_bytes(), shards }
    }

    /// Bytes of rows that are worth encoding at once.
    pub(crate) fn chunk_bytes(&self) -> usize {
        (self.budget / CHUNK_PART).clamp(1, LARGEST_CHUNK)
    }

    /// The most room that a large object takes while it is written.
    pub(crate) fn room_of_large(&self) -> usize {
        // Beside it there are others that become visible.
        self.budget / 8 * 3 / self.merges
    }

    /// The most room that a small object takes while it is written: many of them have it at once.
    pub(crate) fn room_of_small(&self) -> usize {
        self.budget / 16
    }

    /// Room for an object of so many columns that is written, and for the bytes that are to be in it.
    pub(crate) fn room_for(&self, columns: usize, bytes: u64) -> Part<'_> {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.room.take((columns * ENCODER_BYTES).saturating_add(bytes.min(self.budget)))
    }

    /// Removes objects, several at once.
    pub(crate) fn remove<'a>(&self, keys: impl IntoIterator<Item = &'a String>) -> Result<()> {
        at_once(self.at_once, keys, |key| self.store.delete(key), |removed| removed)
    }

    /// Begins a Parquet file.
    pub(crate) fn part(
        &self,
        key: &str,
        condition: Condition,
        schema: &SchemaRef,
        format: &Format,
    ) -> Result<PartWriter> {
        let upload = self.store.create(key, condition)?;
        let object = self.store.locate(key);
        let signature = Signature { run: self.run.clone(), created_by: self.created_by.clone() };
        PartWriter::new(upload, schema, format, &signature, &self.workers, object)
    }

    /// Bytes that rows take in a file.
    pub(crate) fn measure(
        &self,
        batches: &[RecordBatch],
        schema: &SchemaRef,
        format: &Format,
    ) -> Result<usize> {
        let signature = Signature { run: self.run.clone(), created_by: self.created_by.clone() };
        let (upload, object) = (Box::new(Discarded), "a sample".to_owned());
        let mut part = PartWriter::new(upload, schema, format, &signature, &self.workers, object)?;
        batches.iter().try_for_each(|batch| part.write(batch))?;
        Ok(part.end()?.bytes())
    }

    /// The definition of a table, if the lake has the table.
    pub fn definition(&self, table: &str) -> Result<Option<(Object, Definition)>> {
        let key = definition_key(table);
        let Some((object, text)) = self.store.get(&key)? else { return Ok(None) };
        let definition = Definition::parse(&text, &self.store.locate(&key))?;
        Ok(Some((object, definition)))
    }

    /// Replaces the definition of a table that is still as it was read.
    pub(crate) fn define(&self, definition: &Definition, stored: &Object) -> Result<Object> {
        let key = definition_key(&definition.table);
        self.store.put(&key, &definition.text()?, Condition::still(Some(stored)))
    }

    /// The names of all tables.
    pub fn tables(&self) -> Result<Vec<String>> {
        let objects = self.store.list(TABLES)?;
        let names = objects.iter().filter_map(|object| {
            object.key.strip_prefix(TABLES)?.strip_suffix(".json").map(str::to_owned)
        });
        Ok(names.collect())
    }
}

/// The key of a table's definition.
pub(crate) fn definition_key(table: &str) -> String {
    format!("{TABLES}{table}.json")
}

/// The form of the time that the name of a run begins with.
pub(crate) const RUN_TIME: &str = "%Y%m%dT%H%M%S%6f";

/// A name for a run, unlike any other.
fn run_name() -> String {
    format!("{}-{:06x}", chrono::Utc::now().format(RUN_TIME), std::process::id())
}
