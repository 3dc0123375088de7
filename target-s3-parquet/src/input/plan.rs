//! Plans from SCHEMA messages.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use crate::config::{Config, StreamSettings};
use crate::decode::{METADATA, Plan};
use crate::error::{Error, Result};
use crate::schema::{self, Column};
use crate::table::key;

/// A SCHEMA message.
#[derive(Debug, Deserialize)]
pub(super) struct SchemaMessage {
    stream: String,
    #[serde(default)]
    schema: Value,
    #[serde(default)]
    key_properties: Option<Vec<String>>,
}

impl SchemaMessage {
    /// Reads the message.
    pub(super) fn parse(line: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(line)
    }
}

/// Makes plans, and makes none for a schema that a stream has had before.
#[derive(Debug)]
pub(super) struct Planner {
    config: Arc<Config>,
    known: HashMap<String, Vec<Known>>,
    next_id: u64,
}

#[derive(Debug)]
struct Known {
    schema: Value,
    keys: Option<Vec<String>>,
    plan: Arc<Plan>,
}

impl Planner {
    pub(super) fn new(config: Arc<Config>) -> Self {
        Self { config, known: HashMap::new(), next_id: 0 }
    }

    /// The plan of a SCHEMA message; nothing when it only repeats the one in force.
    pub(super) fn plan(
        &mut self,
        message: SchemaMessage,
        number: u64,
    ) -> Result<Option<Arc<Plan>>> {
        let known = self.known.entry(message.stream.clone()).or_default();
        let same = known.iter().position(|known| {
            known.schema == message.schema && known.keys == message.key_properties
        });
        if let Some(at) = same {
            // The one in force stands last.
            if at + 1 == known.len() {
                return Ok(None);
            }
            let again = known.remove(at);
            let plan = Arc::clone(&again.plan);
            known.push(again);
            return Ok(Some(plan));
        }
        let settings = self.config.stream(&message.stream);
        self.next_id += 1;
        let plan = Arc::new(make(&message, &settings, self.next_id, number)?);
        known.push(Known {
            schema: message.schema,
            keys: message.key_properties,
            plan: Arc::clone(&plan),
        });
        Ok(Some(plan))
    }
}

fn make(message: &SchemaMessage, settings: &StreamSettings, id: u64, line: u64) -> Result<Plan> {
    let fault = |reason: String| Error::Schema { line, stream: message.stream.clone(), reason };
    if !schema::is_object_schema(&message.schema) {
        return Err(fault("it has no `properties`".into()));
    }
    let mut columns = schema::columns(&message.schema);
    let keys = settings
        .key_properties
        .as_ref()
        .or(message.key_properties.as_ref())
        .map_or(&[][..], Vec::as_slice)
        .iter()
        .map(|name| key_position(&columns, name).map_err(fault))
        .collect::<Result<Vec<_>>>()?;
    let metadata_from = settings.add_record_metadata.then_some(columns.len());
    if settings.add_record_metadata {
        let added: Vec<Column> = METADATA
            .iter()
            .filter(|(name, _)| columns.iter().all(|column| column.source != *name))
            .map(|(name, kind)| Column {
                source: (*name).to_owned(),
                name: (*name).to_owned(),
                kind: kind.clone(),
                description: None,
            })
            .collect();
        columns.extend(added);
    }
    let validator = if settings.validate_records {
        let compiled = jsonschema::validator_for(&message.schema);
        Some(compiled.map_err(|error| fault(format!("it is no valid JSON Schema: {error}")))?)
    } else {
        None
    };
    Ok(Plan {
        stream: message.stream.clone(),
        id,
        columns,
        keys,
        on_invalid: settings.on_invalid,
        max_string_bytes: settings.max_string_bytes,
        metadata_from,
        validator,
    })
}

fn key_position(columns: &[Column], name: &str) -> Result<usize, String> {
    let position = columns
        .iter()
        .position(|column| column.source == name)
        .ok_or_else(|| format!("its key property `{name}` is not among its properties"))?;
    match columns.get(position) {
        Some(column) if !key::is_hashable(&column.kind) => {
            Err(format!("its key property `{name}` is {}, which cannot be a key", column.kind))
        }
        _ => Ok(position),
    }
}
