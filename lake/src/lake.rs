//! The lake: what the tables of a run share, and where their definitions are.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};

use crate::error::{Error, Result};
use crate::file::{Encoding, Format, PartReader, PartWriter, Signature};
use crate::options::{Location, Options};
use crate::schema::fields;
use crate::stage::SpillFile;
use crate::store::{self, Condition, Object, Store};
use crate::table::Definition;

/// Where the definitions of the tables are.
const TABLES: &str = "_lake/tables/";

/// A lake in one run: the store, and what all tables of the run share.
#[derive(Debug)]
pub struct Lake {
    /// Where the objects are.
    pub(crate) store: Arc<dyn Store>,
    /// Name of the run, unlike any other.
    pub(crate) run: String,
    /// The workers for decoding and encoding.
    pool: Arc<rayon::ThreadPool>,
    /// Where rows go that do not fit into memory.
    pub(crate) spill: Arc<SpillFile>,
    /// Bytes for staged rows and open row groups.
    pub(crate) budget: usize,
    created_by: String,
}

impl Lake {
    /// Opens the lake at a location, and removes what dead runs have left there.
    pub fn open(location: &Location, options: &Options) -> Result<Self> {
        let run = run_name();
        Self::with_store(store::open(location, options, &run)?, run, options)
    }

    /// The lake in a store. `run` names the run, unlike any other.
    pub fn with_store(store: Arc<dyn Store>, run: String, options: &Options) -> Result<Self> {
        let pool = rayon::ThreadPoolBuilder::new()
            .thread_name(|number| format!("worker-{number}"))
            .build()
            .map_err(|error| Error::broken("worker threads can be started", error))?;
        Ok(Self {
            store,
            run,
            pool: Arc::new(pool),
            spill: Arc::new(SpillFile::new(options.temp_dir.clone())),
            budget: options.memory,
            created_by: options.created_by.clone(),
        })
    }

    /// Where the objects are.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Name of the run, unlike any other.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// The workers, for whoever makes the rows.
    pub fn pool(&self) -> &Arc<rayon::ThreadPool> {
        &self.pool
    }

    /// Bytes that staged rows and open row groups of all tables may take.
    pub fn budget(&self) -> usize {
        self.budget
    }

    /// The rows of a table as a reader finds them who lists its prefix, as the table's columns.
    ///
    /// A table that is not there has no rows.
    pub fn rows(&self, table: &str) -> Result<Vec<RecordBatch>> {
        let Some((_, definition)) = self.definition(table)? else { return Ok(Vec::new()) };
        let schema = Arc::new(Schema::new(fields(&definition.columns)));
        let mut rows = Vec::new();
        for object in self.store.list(&format!("{table}/"))? {
            let name = self.store.locate(&object.key);
            let part = PartReader::open(self.store.fetch(&object)?, &name)?;
            rows.extend(part.batches(&schema).collect::<Result<Vec<_>>>()?);
        }
        Ok(rows)
    }

    /// How files of a table are written.
    pub(crate) fn format(&self, encoding: &Encoding, shards: u32) -> Format {
        let row_group_bytes = encoding.row_group_bytes.min(self.budget / 3);
        Format { encoding: Encoding { row_group_bytes, ..*encoding }, shards }
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
        PartWriter::new(upload, schema, format, &signature, Arc::clone(&self.pool), object)
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

/// A name for a run, unlike any other.
pub fn run_name() -> String {
    format!("{}-{:06x}", chrono::Utc::now().format("%Y%m%dT%H%M%S%6f"), std::process::id())
}
