//! The setting `stream_maps`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::{Map, Value};
use wildmatch::WildMatch;

use super::expression::{self, Operand};
use super::filter::{Filter, Literal};
use super::names::{is_glob, nearest};
use super::path::Path;

/// The word for null in runners that leave nulls out.
const NULL: &str = "__NULL__";

/// Maps of streams, in the form of the Meltano SDK.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub struct StreamMaps {
    rules: Vec<Entry>,
    drops_others: bool,
}

#[derive(Debug, Clone, PartialEq)]
struct Entry {
    name: String,
    rule: Rule,
}

/// What happens to a stream.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Rule {
    Drop,
    Keep,
    Map(Box<StreamMap>),
}

/// How a stream changes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StreamMap {
    name: String,
    source: Option<String>,
    pub(super) alias: Option<String>,
    pub(super) keys: Option<Vec<String>>,
    pub(super) filter: Option<Filter>,
    pub(super) drops_others: bool,
    pub(super) properties: Vec<(String, Property)>,
}

/// What a property becomes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Property {
    Drop,
    Copy(Path),
    Constant(Literal),
}

impl StreamMaps {
    /// What happens to a stream: the names that it goes on under, each with how it changes. The
    /// first is the stream itself, the others are copies of it.
    pub(super) fn of<'a>(&'a self, stream: &'a str) -> Vec<(&'a str, &'a Rule)> {
        let fits = |pattern: &str| pattern == stream || WildMatch::new(pattern).matches(stream);
        let own = self
            .rules
            .iter()
            .filter(|entry| entry.rule.source().is_none() && fits(&entry.name))
            .max_by_key(|entry| (entry.name == stream, entry.name.len()))
            .map(|entry| &entry.rule);
        let rest = if self.drops_others { &Rule::Drop } else { &Rule::Keep };
        let copies = self
            .rules
            .iter()
            .filter(|entry| entry.rule.source().is_some_and(fits))
            .map(|entry| (entry.name.as_str(), &entry.rule));
        std::iter::once((stream, own.unwrap_or(rest))).chain(copies).collect()
    }

    /// Streams that are named here and are none of the `streams`.
    pub fn misnamed<'a>(&'a self, streams: &[&'a str]) -> Vec<Misnamed<'a>> {
        let names = self.rules.iter().map(|entry| entry.rule.source().unwrap_or(&entry.name));
        names
            .filter(|name| !is_glob(name) && !streams.contains(name))
            .map(|name| Misnamed { name, meant: nearest(name, streams.iter().copied()) })
            .collect()
    }
}

/// The name of a stream that there is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Misnamed<'a> {
    /// The name.
    pub name: &'a str,
    /// A stream whose name is much like it.
    pub meant: Option<&'a str>,
}

impl Rule {
    fn source(&self) -> Option<&str> {
        match self {
            Self::Map(map) => map.source.as_deref(),
            Self::Drop | Self::Keep => None,
        }
    }
}

impl StreamMap {
    /// Whether properties are dropped, made or renamed.
    pub(super) fn changes_properties(&self) -> bool {
        self.drops_others || !self.properties.is_empty()
    }

    /// Whether it is for all streams whose names fit a pattern.
    pub(super) fn is_for_many(&self) -> bool {
        is_glob(self.source.as_deref().unwrap_or(&self.name))
    }

    /// The name of a setting of this map.
    pub(super) fn key_of(&self, name: &str) -> String {
        format!("stream_maps.{}.{name}", self.name)
    }

    fn parse(stream: &str, settings: Map<String, Value>) -> Result<Self, String> {
        let mut map = Self {
            name: stream.to_owned(),
            source: None,
            alias: None,
            keys: None,
            filter: None,
            drops_others: false,
            properties: Vec::new(),
        };
        for (name, value) in settings {
            let fault = |reason: &str| format!("`{stream}.{name}`: {reason}");
            match name.as_str() {
                "__source__" => map.source = Some(text(value).map_err(|f| fault(&f))?),
                "__alias__" => map.alias = Some(text(value).map_err(|f| fault(&f))?),
                "__filter__" if is_null(&value) => {}
                "__filter__" => {
                    let filter = text(value).and_then(|text| expression::filter(&text));
                    map.filter = Some(filter.map_err(|f| fault(&f))?);
                }
                "__else__" if is_null(&value) => map.drops_others = true,
                "__else__" => return Err(fault("only `__NULL__` may stand there")),
                "__key_properties__" if is_null(&value) => map.keys = Some(Vec::new()),
                "__key_properties__" => {
                    let keys = serde_json::from_value(value);
                    map.keys = Some(keys.map_err(|_| fault("a list of names belongs there"))?);
                }
                other if other.starts_with("__") && other.ends_with("__") => {
                    return Err(fault(
                        "it is not known; there are __alias__, __source__, __filter__, __else__ and __key_properties__",
                    ));
                }
                _ => {
                    let property = Property::parse(&name, value).map_err(|f| fault(&f))?;
                    map.properties.push((name, property));
                }
            }
        }
        Ok(map)
    }
}

impl Property {
    fn parse(name: &str, value: Value) -> Result<Self, String> {
        Ok(match value {
            value if is_null(&value) => Self::Drop,
            Value::String(text) => match expression::property(&text)? {
                Operand::None => Self::Drop,
                Operand::Constant(literal) => Self::Constant(literal),
                Operand::Property(mut path) => {
                    if let Some(first) = path.first_mut().filter(|first| *first == "self") {
                        name.clone_into(first);
                    }
                    Self::Copy(path)
                }
            },
            _ => return Err("a text with an expression belongs there".into()),
        })
    }
}

fn is_null(value: &Value) -> bool {
    value.is_null() || value == NULL
}

fn text(value: Value) -> Result<String, String> {
    match value {
        Value::String(text) if !text.is_empty() => Ok(text),
        _ => Err("a text belongs there".into()),
    }
}

impl TryFrom<Map<String, Value>> for StreamMaps {
    type Error = String;

    fn try_from(settings: Map<String, Value>) -> Result<Self, String> {
        let mut maps = Self::default();
        for (name, value) in settings {
            let rule = match value {
                value if name == "__else__" => {
                    if !is_null(&value) {
                        return Err("`__else__`: only `__NULL__` may stand there".into());
                    }
                    maps.drops_others = true;
                    continue;
                }
                value if is_null(&value) => Rule::Drop,
                Value::Object(settings) if settings.is_empty() => Rule::Keep,
                Value::Object(settings) => Rule::Map(Box::new(StreamMap::parse(&name, settings)?)),
                _ => {
                    return Err(format!(
                        "`{name}`: `__NULL__` or an object with its properties belongs there"
                    ));
                }
            };
            maps.rules.push(Entry { name, rule });
        }
        Ok(maps)
    }
}

impl JsonSchema for StreamMaps {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "StreamMaps".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "object", "additionalProperties": true})
    }
}
