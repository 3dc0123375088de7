//! What the tables of a run share, and where their definitions are.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use crate::config::StreamSettings;
use crate::error::Result;
use crate::parquet_file::{Format, PartWriter};
use crate::stage::SpillFile;
use crate::store::{Condition, Object, Store};
use crate::table::Definition;

/// Where the definitions of the tables are.
const TABLES: &str = "_lake/tables/";

/// What all tables of a run share.
#[derive(Debug)]
pub struct Lake {
    /// Where the objects are.
    pub store: Arc<dyn Store>,
    /// Name of the run, unlike any other.
    pub run: String,
    /// The workers for decoding and encoding.
    pub pool: Arc<rayon::ThreadPool>,
    /// Where rows go that do not fit into memory.
    pub spill: Arc<SpillFile>,
    /// Bytes for staged rows and open row groups.
    pub budget: usize,
}

impl Lake {
    /// How files of a table are written.
    pub fn format(&self, settings: &StreamSettings, shards: u32) -> Format {
        Format {
            compression: settings.compression,
            level: settings.compression_level,
            row_group_bytes: settings.row_group_bytes.min(self.budget / 3),
            shards,
        }
    }

    /// Begins a Parquet file.
    pub fn part(
        &self,
        key: &str,
        condition: Condition,
        schema: &SchemaRef,
        format: &Format,
    ) -> Result<PartWriter> {
        let upload = self.store.create(key, condition)?;
        let object = self.store.locate(key);
        PartWriter::new(upload, schema, format, &self.run, Arc::clone(&self.pool), object)
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
        self.store.put(&key, &definition.text(), Condition::still(Some(stored)))
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

pub(super) fn definition_key(table: &str) -> String {
    format!("{TABLES}{table}.json")
}
