//! Inline mapping: what a stream is called, which properties and records of it go on, and whether
//! nested properties become flat ones.
//!
//! The settings are those of the Meltano SDK (`stream_maps`, `flattening_…`). What they mean for a
//! stream is worked out once, when its schema is known ([`Mapper::map`]), so that the tap can apply
//! it to records as JSON and the target to columns.

mod draft;
mod expression;
mod filter;
mod flatten;
mod names;
mod path;
mod rules;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

pub use filter::{Comparison, Filter, Literal, Scalar, Test};
pub use flatten::Flattening;
pub use rules::{Misnamed, StreamMaps};

pub use draft::Origin;
pub use path::Path;

use crate::schema_limits::TooLarge;
use draft::Draft;
use names::nearest;
use rules::{Property, Rule, StreamMap};

/// The settings that map streams.
pub const SETTINGS: [&str; 4] =
    ["stream_maps", "flattening_enabled", "flattening_max_depth", "flattening_separator"];

/// Maps streams as the settings say.
#[derive(Debug, Clone, Default)]
pub struct Mapper {
    maps: StreamMaps,
    flattening: Option<Flattening>,
}

/// A map and a stream that do not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    /// A setting that does not fit the stream.
    #[error("the setting `{key}` is not valid: {reason}")]
    Setting {
        /// The setting.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A schema that no table can have, however it is mapped.
    #[error(transparent)]
    Schema(#[from] TooLarge),
}

/// The names of mapped streams: each is one stream's of the tap.
#[derive(Debug, Default)]
pub struct Names(HashMap<String, String>);

/// What one stream becomes.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapped {
    /// Its name.
    pub stream: String,
    /// Its schema.
    pub schema: Value,
    /// Its key properties.
    pub keys: Vec<String>,
    /// Which records go on; all, where there is none.
    pub filter: Option<Filter>,
    /// Where its properties come from; where there is nothing, they are those of the record.
    pub fields: Option<Vec<Field>>,
    /// What of its map does nothing, in words for a person.
    pub warnings: Vec<String>,
}

/// A property of a mapped stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Where its values come from.
    pub origin: Origin,
}

impl Mapper {
    /// A mapper.
    pub fn new(maps: StreamMaps, flattening: Option<Flattening>) -> Self {
        Self { maps, flattening }
    }

    /// Streams that the maps name and that are none of the `streams`.
    pub fn misnamed<'a>(&'a self, streams: &[&'a str]) -> Vec<Misnamed<'a>> {
        self.maps.misnamed(streams)
    }

    /// What a stream of this name, schema and keys becomes: nothing, where it is dropped, or one
    /// stream or more.
    pub fn map(
        &self,
        stream: &str,
        schema: &Value,
        keys: &[String],
    ) -> Result<Vec<Mapped>, MapError> {
        let rules = self.maps.of(stream);
        let maps = rules.into_iter().filter_map(|(name, rule)| match rule {
            Rule::Drop => None,
            Rule::Keep => Some((name, None)),
            Rule::Map(map) => Some((name, Some(&**map))),
        });
        maps.map(|(name, map)| {
            let name = map.and_then(|map: &StreamMap| map.alias.as_deref()).unwrap_or(name);
            self.apply(name, map, schema, keys)
        })
        .collect()
    }

    fn apply(
        &self,
        name: &str,
        map: Option<&StreamMap>,
        schema: &Value,
        keys: &[String],
    ) -> Result<Mapped, MapError> {
        let mut mapped = Mapped {
            stream: name.to_owned(),
            schema: schema.clone(),
            keys: keys.to_vec(),
            filter: map.and_then(|map| map.filter.clone()),
            fields: None,
            warnings: map.map(|map| idle(map, schema)).unwrap_or_default(),
        };
        if let Some(map) = map {
            check_filter(map, schema)?;
            if let Some(keys) = &map.keys {
                mapped.keys.clone_from(keys);
            }
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        let changes = map.is_some_and(StreamMap::changes_properties);
        let (true, Some(properties)) = (changes || self.flattening.is_some(), properties) else {
            return Ok(mapped);
        };
        let mut drafts = drafts(properties);
        if let Some(map) = map {
            drafts = select(map, drafts, schema, &mapped.keys)?;
        }
        if let Some(flattening) = &self.flattening {
            drafts = flattening.apply(drafts, schema)?;
        }
        let mut names = HashSet::new();
        if let Some(twice) = drafts.iter().find(|draft| !names.insert(draft.name.as_str())) {
            return Err(MapError::Setting {
                key: "flattening_enabled".into(),
                reason: format!("stream `{name}` would have two columns `{}`", twice.name),
            });
        }
        mapped.fields = Some(
            drafts
                .iter()
                .map(|draft| Field { name: draft.name.clone(), origin: draft.origin.clone() })
                .collect(),
        );
        let properties: Map<String, Value> = drafts.into_iter().map(Draft::into_property).collect();
        if let Value::Object(schema) = &mut mapped.schema {
            if let Some(Value::Array(required)) = schema.get_mut("required") {
                required
                    .retain(|name| name.as_str().is_some_and(|name| properties.contains_key(name)));
            }
            schema.insert("properties".into(), Value::Object(properties));
        }
        Ok(mapped)
    }
}

impl Mapped {
    /// Where each property of its schema comes from in a record; nothing for a constant.
    pub fn origins(&self) -> Vec<(&str, Option<Cow<'_, [String]>>)> {
        let Some(fields) = &self.fields else {
            let properties = self.schema.get("properties").and_then(Value::as_object);
            let names = properties.into_iter().flat_map(Map::keys);
            return names.map(|name| (name.as_str(), Some(vec![name.clone()].into()))).collect();
        };
        let fields = fields.iter().map(|Field { name, origin }| match origin {
            Origin::Property { path, .. } => (name.as_str(), Some(path.as_slice().into())),
            Origin::Constant(_) => (name.as_str(), None),
        });
        fields.collect()
    }
}

impl Names {
    /// All names.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Gives a name to the tap's stream `source`.
    pub fn claim(&mut self, name: &str, source: &str) -> Result<(), MapError> {
        let owner = self.0.entry(name.to_owned()).or_insert_with(|| source.to_owned());
        if owner == source {
            return Ok(());
        }
        Err(MapError::Setting {
            key: "stream_maps".into(),
            reason: format!("the streams `{owner}` and `{source}` would both be `{name}`"),
        })
    }
}

impl Mapped {
    /// Whether records go on as they are.
    pub fn is_plain(&self) -> bool {
        self.filter.is_none() && self.fields.is_none()
    }

    /// What a record becomes, if it goes on.
    pub fn record(&self, record: &Value) -> Option<Value> {
        if let Some(filter) = &self.filter
            && !filter.test(&|path| Scalar::from(at(record, path)))
        {
            return None;
        }
        let Some(fields) = &self.fields else { return Some(record.clone()) };
        let fields = fields.iter().filter_map(|field| {
            let value = match &field.origin {
                Origin::Constant(literal) => json!(literal),
                Origin::Property { path, text } => match at(record, path)? {
                    nested @ (Value::Object(_) | Value::Array(_)) if *text => {
                        Value::from(nested.to_string())
                    }
                    value => value.clone(),
                },
            };
            Some((field.name.clone(), value))
        });
        Some(Value::Object(fields.collect()))
    }
}

fn at<'a>(record: &'a Value, path: &Path) -> Option<&'a Value> {
    path.iter().try_fold(record, |value, name| value.get(name))
}

fn drafts(properties: &Map<String, Value>) -> Vec<Draft<'_>> {
    properties
        .iter()
        .map(|(name, schema)| Draft {
            name: name.clone(),
            origin: Origin::Property { path: vec![name.clone()], text: false },
            schema: Cow::Borrowed(schema),
            is_personal: false,
        })
        .collect()
}

/// The properties that a map leaves, takes and makes, those of the schema first.
fn select<'a>(
    map: &StreamMap,
    mut drafts: Vec<Draft<'a>>,
    schema: &'a Value,
    keys: &[String],
) -> Result<Vec<Draft<'a>>, MapError> {
    if map.drops_others {
        drafts.retain(|draft| keys.contains(&draft.name));
    }
    for (name, property) in &map.properties {
        let fault = |reason: String| MapError::Setting { key: map.key_of(name), reason };
        let (origin, schema, is_personal) = match property {
            Property::Drop => {
                if keys.contains(name) {
                    return Err(fault(
                        "it is a key of the stream; name other keys in `__key_properties__`, or [] for none"
                            .into(),
                    ));
                }
                drafts.retain(|draft| draft.name != *name);
                continue;
            }
            Property::Copy(path) => {
                let (from, is_personal) = flatten::property(schema, path).ok_or_else(|| {
                    fault(format!("the stream has no property `{}`", path.join(".")))
                })?;
                let origin = Origin::Property { path: path.clone(), text: false };
                (origin, Cow::Borrowed(from), is_personal)
            }
            Property::Constant(literal) => (
                Origin::Constant(literal.clone()),
                Cow::Owned(json!({"type": literal.json_type()})),
                false,
            ),
        };
        let made = Draft { name: name.clone(), origin, schema, is_personal };
        match drafts.iter_mut().find(|draft| draft.name == *name) {
            Some(draft) => *draft = made,
            None => drafts.push(made),
        }
    }
    match keys.iter().find(|key| drafts.iter().all(|draft| draft.name != **key)) {
        None => Ok(drafts),
        Some(key) => Err(MapError::Setting {
            key: map.key_of("__key_properties__"),
            reason: format!("the stream has no property `{key}` that could be its key"),
        }),
    }
}

/// Properties that a map drops and the stream does not have: what was to be dropped may have another
/// name, and goes on.
fn idle(map: &StreamMap, schema: &Value) -> Vec<String> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let known = || properties.into_iter().flat_map(Map::keys).map(String::as_str);
    let dropped = map.properties.iter().filter(|(_, property)| *property == Property::Drop);
    dropped
        .filter(|(name, _)| !map.is_for_many() && known().all(|known| known != name))
        .map(|(name, _)| {
            let key = map.key_of(name);
            let meant = nearest(name, known())
                .map_or_else(String::new, |meant| format!("; is `{meant}` meant?"));
            format!("`{key}` drops a property that the stream does not have{meant}")
        })
        .collect()
}

fn check_filter(map: &StreamMap, schema: &Value) -> Result<(), MapError> {
    let Some(filter) = &map.filter else { return Ok(()) };
    match filter.paths().into_iter().find(|path| flatten::property(schema, path).is_none()) {
        None => Ok(()),
        Some(path) => Err(MapError::Setting {
            key: map.key_of("__filter__"),
            reason: format!("the stream has no property `{}`", path.join(".")),
        }),
    }
}

#[cfg(test)]
mod tests;
