//! Plans from SCHEMA messages.

use std::collections::HashMap;
use std::sync::Arc;

use program::settings;
use protocol::mapping::{MapError, Mapped, Mapper, Names};
use protocol::schema_limits::RunBudget;
use serde::Deserialize;
use serde_json::Value;

use super::columns::conventions;
use crate::decode::derive::{Derivation, retype};
use crate::decode::plan::Plan;
use crate::described::Described;
use crate::error::{Error, Result};
use crate::json_schema;
use crate::settings::config::Config;

/// A SCHEMA message.
#[derive(Debug, Deserialize)]
pub(super) struct SchemaMessage {
    pub(super) stream: String,
    #[serde(default)]
    schema: Value,
    #[serde(default)]
    key_properties: Option<Vec<String>>,
    /// Whatever stands there: nothing but words for people depends on it.
    #[serde(default)]
    bookmark_properties: Value,
}

impl SchemaMessage {
    /// The property by which the source goes on from where it was.
    fn cursor(&self) -> Option<&str> {
        match &self.bookmark_properties {
            Value::Array(names) => names.first()?.as_str(),
            Value::String(name) => Some(name),
            _ => None,
        }
    }

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
    /// What each stream has had so far, the schema in force last.
    known: HashMap<String, Vec<Known>>,
    names: Names,
    budget: RunBudget,
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
            budget: RunBudget::default(),
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
            if at + 1 == known.len() {
                return Ok(None);
            }
            let again = known.remove(at);
            let plans = Arc::clone(&again.plans);
            known.push(again);
            return Ok(Some(plans));
        }
        let keys = message.key_properties.as_deref().unwrap_or_default();
        let mapped = self.mapper.map(&message.stream, &message.schema, keys);
        let mapped = mapped.map_err(|error| refused(error, &message, number))?;
        let plans = mapped.iter().map(|mapped| self.plan(&message, mapped, number));
        let plans: Arc<[Arc<Plan>]> = plans.collect::<Result<Vec<_>>>()?.into();
        self.known.entry(message.stream).or_default().push(Known {
            schema: message.schema,
            keys: message.key_properties,
            plans: Arc::clone(&plans),
        });
        Ok(Some(plans))
    }

    /// The plan of one of the streams that the stream of a message is mapped to.
    fn plan(&mut self, message: &SchemaMessage, mapped: &Mapped, line: u64) -> Result<Arc<Plan>> {
        self.names.claim(&mapped.stream, &message.stream)?;
        self.warnings.extend(mapped.warnings.iter().cloned());
        self.next_id += 1;
        let settings = self.config.stream(&mapped.stream);
        let derived = if mapped.is_plain() {
            None
        } else {
            let derived = json_schema::columns(&message.schema).map_err(MapError::from).and_then(
                |mut columns| {
                    retype(&mut columns, mapped, &settings.columns);
                    Derivation::of(&columns, mapped)
                },
            );
            Some(derived.map_err(|error| refused(error, message, line))?)
        };
        let described = Described {
            name: &mapped.stream,
            schema: &mapped.schema,
            keys: &mapped.keys,
            cursor: message.cursor(),
            source: &message.stream,
            source_schema: &message.schema,
            derived,
            refresh: None,
            conventions: conventions(),
        };
        let plan = described.plan(&settings, self.next_id);
        let plan = plan.and_then(|plan| {
            let fields = json_schema::count(&plan.spec.columns);
            self.budget.fields(fields).map_err(|error| error.to_string())?;
            Ok(plan)
        });
        let stream = || message.stream.clone();
        plan.map(Arc::new).map_err(|reason| Error::Schema { line, stream: stream(), reason })
    }

    /// What is to be said of the schemas since this was last asked.
    pub(super) fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// Streams that the settings name and that did not come, where one that came is called much like
    /// that.
    pub(super) fn misnamed(&self) -> Vec<String> {
        let of_tap: Vec<&str> = self.known.keys().map(String::as_str).collect();
        let mapped: Vec<&str> = self.names.all().collect();
        let in_maps = self.mapper.misnamed(&of_tap).into_iter();
        // A name that is like no other may be that of a stream that was not selected.
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

/// A map that does not fit the stream, or a schema that no map makes a table of.
fn refused(error: MapError, message: &SchemaMessage, line: u64) -> Error {
    match error {
        MapError::Setting { .. } => Error::Map(error),
        MapError::Schema(reason) => {
            Error::Schema { line, stream: message.stream.clone(), reason: reason.to_string() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::config;
    use protocol::schema_limits::MAX_FIELDS_OF_RUN;
    use serde_json::json;

    fn message(stream: &str, properties: &Value, keys: &Value) -> SchemaMessage {
        let message = json!({
            "type": "SCHEMA",
            "stream": stream,
            "schema": {"properties": properties},
            "key_properties": keys,
        });
        SchemaMessage::parse(message.to_string().as_bytes()).unwrap()
    }

    fn id() -> Value {
        json!({"id": {"type": "integer"}})
    }

    fn error(planner: &mut Planner, message: SchemaMessage) -> String {
        planner.plans(message, 3).unwrap_err().to_string()
    }

    #[test]
    fn a_schema_makes_a_plan_once_and_again_when_it_comes_back() {
        let mut planner = Planner::new(config(json!({})));
        let mut plan = |properties: &Value, keys: &Value| {
            planner.plans(message("a", properties, keys), 1).unwrap().map(|plans| plans[0].id)
        };
        let wider = json!({"id": {"type": "integer"}, "t": {}});
        let first = plan(&id(), &json!(["id"]));
        assert!(first.is_some());
        assert_eq!(plan(&id(), &json!(["id"])), None, "the same again");
        let second = plan(&wider, &json!(["id"]));
        assert!(second.is_some() && second != first);
        assert_eq!(plan(&id(), &json!(["id"])), first, "back to what was");
        let other_keys = plan(&id(), &json!([]));
        assert!(other_keys.is_some() && other_keys != first && other_keys != second);
    }

    #[test]
    fn the_schemas_of_two_streams_are_not_mistaken_for_each_other() {
        let mut planner = Planner::new(config(json!({})));
        let mut plan = |stream: &str| {
            Arc::clone(
                &planner.plans(message(stream, &id(), &json!(["id"])), 1).unwrap().unwrap()[0],
            )
        };
        let (left, right) = (plan("a"), plan("b"));
        assert_ne!(left.id, right.id);
        assert_eq!((left.stream.as_str(), right.stream.as_str()), ("a", "b"));
    }

    #[test]
    fn a_stream_may_be_dropped_renamed_or_copied() {
        let maps = json!({"stream_maps": {
            "gone": "__NULL__",
            "a": {"__alias__": "people", "number": "id", "id": "__NULL__", "__key_properties__": ["number"]},
        }});
        let mut planner = Planner::new(config(maps));
        assert_eq!(
            planner.plans(message("gone", &id(), &json!(["id"])), 1).unwrap().unwrap().len(),
            0
        );
        let plans = planner.plans(message("a", &id(), &json!(["id"])), 1).unwrap().unwrap();
        let plan = &plans[0];
        assert_eq!((plan.stream.as_str(), plan.source.as_str()), ("people", "a"));
        let names: Vec<_> = plan.spec.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["number"]);
        assert!(plan.derivation.is_some());
    }

    #[test]
    fn a_schema_that_makes_no_table_is_refused_with_its_line() {
        let mut planner = Planner::new(config(json!({})));
        for (properties, keys, reason) in [
            (json!({}), json!([]), "it has no `properties`"),
            (id(), json!(["x"]), "its key property `x` is not among its properties"),
            (
                json!({"l": {"type": "array"}}),
                json!(["l"]),
                "its key property `l` is array<string>, which cannot be a key",
            ),
        ] {
            let error = error(&mut planner, message("a", &properties, &keys));
            let start = "line 3: the schema of stream `a` cannot become a table: ";
            assert_eq!(error, format!("{start}{reason}"));
        }
    }

    #[test]
    fn a_schema_that_references_make_too_large_is_refused_however_it_is_mapped() {
        let of_next = |at: usize| {
            let next = json!({"$ref": format!("#/properties/p{at}")});
            json!({"type": "object", "properties": {"a": next, "b": next, "c": next, "d": next}})
        };
        let mut properties = id();
        for at in 0..20 {
            properties[format!("p{at}")] = of_next(at + 1);
        }
        for settings in [
            json!({}),
            json!({"flattening_enabled": true}),
            json!({"stream_maps": {"a": {"number": "id"}}}),
            json!({"stream_maps": {"a": {"__filter__": "id == 1"}}}),
            json!({"streams": {"a": {"validate_records": true}}}),
        ] {
            let mut planner = Planner::new(config(settings.clone()));
            let error = error(&mut planner, message("a", &properties, &json!(["id"])));
            let start = "line 3: the schema of stream `a` cannot become a table: with what `$ref`";
            assert!(error.starts_with(start), "{settings}: {error}");
            assert!(error.contains("10000"), "{settings}: {error}");
        }
        let dropped = json!({"stream_maps": {"a": "__NULL__"}});
        let plans = Planner::new(config(dropped)).plans(message("a", &properties, &json!([])), 3);
        assert_eq!(plans.unwrap().unwrap().len(), 0);
    }

    #[test]
    fn many_schemas_that_are_allowed_each_are_not_allowed_all() {
        let of_next = |next: &Value| {
            let properties = (0..95).map(|at| (format!("p{at}"), next.clone()));
            json!({"type": "object", "properties": properties.collect::<serde_json::Map<_, _>>()})
        };
        let mut properties = id();
        properties["x"] = of_next(&json!({"$ref": "#/properties/y"}));
        properties["y"] = of_next(&json!({"type": "integer"}));
        let mut planner = Planner::new(config(json!({})));
        planner.budget.fields(MAX_FIELDS_OF_RUN - 30_000).unwrap();
        let mut plan = |stream: &str, at: usize| {
            properties["id"]["description"] = at.into();
            planner.plans(message(stream, &properties, &json!(["id"])), 3)
        };
        // Of streams with one schema, and of one with many: each has 9,218 fields.
        for (stream, at) in [("a", 1), ("a", 2), ("b", 3)] {
            plan(stream, at).unwrap();
        }
        let error = plan("c", 4).unwrap_err().to_string();
        let start = "line 3: the schema of stream `c` cannot become a table: ";
        assert!(error.starts_with(start), "{error}");
        assert!(error.contains("1000000 columns") && error.contains("before it"), "{error}");
        assert_eq!(plan("a", 1).unwrap().unwrap().len(), 1, "what is known already");
    }

    #[test]
    fn two_streams_cannot_become_one() {
        let maps = json!({"stream_maps": {"b": {"__alias__": "a"}}});
        let mut planner = Planner::new(config(maps));
        planner.plans(message("a", &id(), &json!(["id"])), 1).unwrap();
        let error = error(&mut planner, message("b", &id(), &json!(["id"])));
        assert!(error.contains("`a`") && error.contains("`b`"), "{error}");
    }
}
