//! Plans from SCHEMA messages.

use std::collections::HashMap;
use std::sync::Arc;

use lake::schema::{Column, names};
use lake::table::{Spec, key};
use program::settings;
use protocol::mapping::{Mapper, Names};
use serde::Deserialize;
use serde_json::Value;

use crate::decode::{AirbyteStream, Derivation, Derived, Plan, airbyte_metadata, metadata};
use crate::error::{Error, Result};
use crate::json_schema;
use crate::settings::{Config, StreamSettings};

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
    warnings: Vec<String>,
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
            warnings: Vec::new(),
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
        let source = Source { name: &message.stream, schema: &message.schema };
        let mut plans = Vec::with_capacity(mapped.len());
        for mapped in &mapped {
            self.names.claim(&mapped.stream, &message.stream)?;
            self.warnings.extend(mapped.warnings.iter().cloned());
            let settings = self.config.stream(&mapped.stream);
            self.next_id += 1;
            let stream =
                Described { name: &mapped.stream, schema: &mapped.schema, keys: &mapped.keys };
            let derived = if mapped.is_plain() {
                None
            } else {
                Some(Derivation::of(&json_schema::columns(&message.schema), mapped)?)
            };
            let plan = make(&stream, Some((source, derived)), settings, None, self.next_id);
            plans.push(Arc::new(plan.map_err(|reason| Error::Schema {
                line: number,
                stream: message.stream.clone(),
                reason,
            })?));
        }
        let plans: Arc<[Arc<Plan>]> = plans.into();
        known.push(Known {
            schema: message.schema,
            keys: message.key_properties,
            plans: Arc::clone(&plans),
        });
        Ok(Some(plans))
    }

    /// What is to be told of the schemas since this was last asked.
    pub(super) fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// Streams that the settings name and that did not come, where one that came is called much like
    /// that.
    pub(super) fn misnamed(&self) -> Vec<String> {
        let of_tap: Vec<&str> = self.known.keys().map(String::as_str).collect();
        let mapped: Vec<&str> = self.names.all().collect();
        let in_maps = self.mapper.misnamed(&of_tap).into_iter();
        let in_maps = in_maps.filter_map(|found| Some(("stream_maps", found.name, found.meant?)));
        let in_streams = self.config.misnamed(&mapped).into_iter();
        let in_streams = in_streams.map(|(name, meant)| ("streams", name, meant));
        in_maps
            .chain(in_streams)
            .map(|(key, name, meant)| {
                let meant = settings::question(Some(meant));
                format!("`{key}` names the stream `{name}`, which did not come{meant}")
            })
            .collect()
    }
}

/// A stream as its tap or source describes it, after it was mapped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Described<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// JSON Schema of its records.
    pub(crate) schema: &'a Value,
    /// Its key properties.
    pub(crate) keys: &'a [String],
}

/// A stream before it was mapped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    name: &'a str,
    schema: &'a Value,
}

/// The plan of a stream, or why its schema cannot become a table.
pub(crate) fn make(
    stream: &Described<'_>,
    mapped: Option<(Source<'_>, Option<Derived>)>,
    settings: StreamSettings,
    airbyte: Option<AirbyteStream>,
    id: u64,
) -> Result<Plan, String> {
    let has_metadata = settings.add_record_metadata;
    // Airbyte has streams without columns; with its own, they make a table.
    let may_be_empty = airbyte.is_some() && has_metadata;
    if !may_be_empty && !json_schema::is_object_schema(stream.schema) {
        return Err("it has no `properties`".into());
    }
    let (source, derived) = mapped.unzip();
    let (reads, mut columns, derivation) = match derived.flatten() {
        Some(Derived { reads, columns, derivation }) => (reads, columns, Some(derivation)),
        None => {
            let columns = json_schema::columns(stream.schema);
            (columns.clone(), columns, None)
        }
    };
    let keys = settings
        .key_properties
        .as_deref()
        .unwrap_or(stream.keys)
        .iter()
        .map(|name| key_position(&columns, name))
        .collect::<Result<Vec<_>, _>>()?;
    let metadata_from = has_metadata.then_some(columns.len());
    if has_metadata {
        let added = if airbyte.is_some() { airbyte_metadata() } else { metadata() };
        let is_new = |column: &Column| columns.iter().all(|known| known.source != column.source);
        let added: Vec<Column> = added.into_iter().filter(is_new).collect();
        columns.extend(added);
    }
    let validator = if settings.validate_records {
        let compiled =
            jsonschema::validator_for(source.map_or(stream.schema, |source| source.schema));
        Some(compiled.map_err(|error| format!("it is no valid JSON Schema: {error}"))?)
    } else {
        None
    };
    let key_names = keys.iter().filter_map(|key| Some(columns.get(*key)?.name.clone()));
    let spec = Spec {
        table: names::fold_table(settings.table.as_deref().unwrap_or(stream.name)),
        stream: stream.name.to_owned(),
        keys: key_names.collect(),
        columns,
        load: settings.load(!keys.is_empty()),
        partition_by: settings.partition_by.as_ref().map(Into::into),
        shards: settings.shards,
        encoding: settings.encoding(),
        refresh: airbyte.as_ref().and_then(|airbyte| airbyte.refresh),
    };
    Ok(Plan {
        spec: Arc::new(spec),
        stream: stream.name.to_owned(),
        source: source.map_or(stream.name, |source| source.name).to_owned(),
        id,
        reads,
        derivation,
        keys,
        on_invalid: settings.on_invalid,
        max_string_bytes: settings.max_string_bytes,
        metadata_from,
        validator,
        airbyte,
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
