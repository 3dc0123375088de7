//! From a stream as its source describes it to the plan by which its records are read.

use std::sync::Arc;

use lake::schema::{Column, names};
use lake::table::{Refresh, Spec, key};
use serde_json::Value;

use crate::decode::conventions::Conventions;
use crate::decode::derive::{Derivation, Derived};
use crate::decode::plan::Plan;
use crate::json_schema;
use crate::settings::stream::StreamSettings;

/// A stream as its source describes it, after it was mapped.
#[derive(Debug)]
pub(crate) struct Described<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// JSON Schema of its rows.
    pub(crate) schema: &'a Value,
    /// Its key properties.
    pub(crate) keys: &'a [String],
    /// Its name before it was mapped.
    pub(crate) source: &'a str,
    /// JSON Schema of its records, before they are mapped.
    pub(crate) source_schema: &'a Value,
    /// How its columns come out of its records, where that is not as they are.
    pub(crate) derived: Option<Derived>,
    /// The generation of its rows, where its source has generations.
    pub(crate) refresh: Option<Refresh>,
    /// What is peculiar to its protocol.
    pub(crate) conventions: Conventions,
}

impl Described<'_> {
    /// The plan of the stream, or what keeps its schema from becoming a table. `id` is unlike that of
    /// any other plan of the run.
    pub(crate) fn plan(self, settings: &StreamSettings, id: u64) -> Result<Plan, String> {
        let has_extra = settings.add_record_metadata;
        let may_be_empty = self.conventions.may_be_empty && has_extra;
        if !may_be_empty && !json_schema::is_object_schema(self.schema) {
            return Err("it has no `properties`".into());
        }
        let validator = settings.validate_records.then(|| validator(self.source_schema));
        let (reads, mut columns, derivation) = columns(self.schema, self.derived);
        let keys = settings.key_properties.as_deref().unwrap_or(self.keys);
        let keys = key_positions(&columns, keys)?;
        let extra_from = has_extra.then_some(columns.len());
        if has_extra {
            let is_new =
                |column: &Column| columns.iter().all(|known| known.source != column.source);
            let extra = self.conventions.extra.columns();
            let extra: Vec<Column> = extra.into_iter().filter(is_new).collect();
            columns.extend(extra);
        }
        let spec = Spec {
            table: names::fold_table(settings.table.as_deref().unwrap_or(self.name)),
            stream: self.name.to_owned(),
            keys: keys.iter().map(|(_, name)| name.clone()).collect(),
            columns,
            load: settings.load(!keys.is_empty()),
            partition_by: settings.partition_by.as_ref().map(Into::into),
            shards: settings.shards,
            encoding: settings.encoding(),
            refresh: self.refresh,
        };
        Ok(Plan {
            spec: Arc::new(spec),
            stream: self.name.to_owned(),
            source: self.source.to_owned(),
            id,
            reads,
            derivation,
            keys: keys.into_iter().map(|(position, _)| position).collect(),
            on_invalid: settings.on_invalid,
            max_string_bytes: settings.max_string_bytes,
            extra_from,
            validator: validator.transpose()?,
            conventions: self.conventions,
        })
    }
}

/// What is read of a record, the columns, and the way from the one to the other.
fn columns(
    schema: &Value,
    derived: Option<Derived>,
) -> (Vec<Column>, Vec<Column>, Option<Derivation>) {
    match derived {
        Some(Derived { reads, columns, derivation }) => (reads, columns, Some(derivation)),
        None => {
            let columns = json_schema::columns(schema);
            (columns.clone(), columns, None)
        }
    }
}

fn validator(schema: &Value) -> Result<jsonschema::Validator, String> {
    jsonschema::validator_for(schema)
        .map_err(|error| format!("it is no valid JSON Schema: {error}"))
}

/// The positions of the key columns, and their names in the table.
fn key_positions(columns: &[Column], names: &[String]) -> Result<Vec<(usize, String)>, String> {
    let keys = names.iter().map(|name| {
        let found = columns.iter().enumerate().find(|(_, column)| column.source == *name);
        let (position, column) = found
            .ok_or_else(|| format!("its key property `{name}` is not among its properties"))?;
        if !key::is_hashable(&column.kind) {
            let kind = &column.kind;
            return Err(format!("its key property `{name}` is {kind}, which cannot be a key"));
        }
        Ok((position, column.name.clone()))
    });
    keys.collect()
}
