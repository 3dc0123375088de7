//! Plans from SCHEMA messages.

use std::collections::HashMap;
use std::sync::Arc;

use protocol::mapping::{Mapped, Mapper, Names};
use serde::Deserialize;
use serde_json::Value;

use crate::config::{Config, StreamSettings};
use crate::decode::{Derivation, Derived, METADATA, Plan};
use crate::error::{Error, Result};
use crate::schema::{self, Column};
use crate::table::key;

/// A SCHEMA message.
#[derive(Debug, Deserialize)]
pub(super) struct SchemaMessage {
    pub(super) stream: String,
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
    mapper: Mapper,
    known: HashMap<String, Vec<Known>>,
    names: Names,
    next_id: u64,
}

#[derive(Debug)]
struct Known {
    schema: Value,
    keys: Option<Vec<String>>,
    plans: Arc<[Arc<Plan>]>,
}

impl Planner {
    pub(super) fn new(config: Arc<Config>) -> Self {
        Self {
            mapper: config.mapper(),
            config,
            known: HashMap::new(),
            names: Names::default(),
            next_id: 0,
        }
    }

    /// The plans of a SCHEMA message; nothing when it only repeats the one in force.
    pub(super) fn plans(
        &mut self,
        message: SchemaMessage,
        number: u64,
    ) -> Result<Option<Arc<[Arc<Plan>]>>> {
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
            let plans = Arc::clone(&again.plans);
            known.push(again);
            return Ok(Some(plans));
        }
        let keys = message.key_properties.as_deref().unwrap_or_default();
        let mapped = self.mapper.map(&message.stream, &message.schema, keys)?;
        let mut plans = Vec::with_capacity(mapped.len());
        for mapped in &mapped {
            self.names.claim(&mapped.stream, &message.stream)?;
            let settings = self.config.stream(&mapped.stream);
            self.next_id += 1;
            plans.push(Arc::new(make(&message, mapped, &settings, self.next_id, number)?));
        }
        let plans: Arc<[Arc<Plan>]> = plans.into();
        known.push(Known {
            schema: message.schema,
            keys: message.key_properties,
            plans: Arc::clone(&plans),
        });
        Ok(Some(plans))
    }
}

fn make(
    message: &SchemaMessage,
    mapped: &Mapped,
    settings: &StreamSettings,
    id: u64,
    line: u64,
) -> Result<Plan> {
    let fault = |reason: String| Error::Schema { line, stream: message.stream.clone(), reason };
    if !schema::is_object_schema(&mapped.schema) {
        return Err(fault("it has no `properties`".into()));
    }
    let raw = schema::columns(&message.schema);
    let (reads, mut columns, derivation) = if mapped.is_plain() {
        (raw.clone(), raw, None)
    } else {
        let Derived { reads, columns, derivation } = Derivation::of(&raw, mapped)?;
        (reads, columns, Some(derivation))
    };
    let keys = settings
        .key_properties
        .as_ref()
        .unwrap_or(&mapped.keys)
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
        stream: mapped.stream.clone(),
        source: message.stream.clone(),
        id,
        columns,
        reads,
        derivation,
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
