//! From a configured catalog to the tables of a sync.

use std::collections::HashMap;
use std::sync::Arc;

use lake::table::Refresh;
use protocol::airbyte::{ConfiguredCatalog, ConfiguredStream, DestinationSyncMode, StreamName};
use protocol::schema_limits::RunBudget;

use super::columns::{AirbyteColumns, conventions};
use super::envelope::key;
use crate::decode::plan::{Plan, Registry};
use crate::described::Described;
use crate::error::{Error, Result};
use crate::json_schema;
use crate::settings::config::Config;
use crate::settings::stream::{LoadMethod, StreamSettings};

/// A stream of a sync.
#[derive(Debug)]
pub(super) struct NamedPlan {
    pub(super) name: StreamName,
    pub(super) plan: Arc<Plan>,
}

/// The plans of all streams of a catalog. `name` is that of its file.
pub(super) fn plans(
    name: &str,
    catalog: &ConfiguredCatalog,
    config: &Config,
) -> Result<Vec<NamedPlan>> {
    let fault = |reason: String| Error::CatalogFile { name: name.to_owned(), reason };
    if catalog.streams.is_empty() {
        return Err(fault("it has no streams".into()));
    }
    let budget = RunBudget::default();
    let mut plans: Vec<NamedPlan> = Vec::new();
    for (stream, id) in catalog.streams.iter().zip(1..) {
        let name = stream.name();
        let plan = plan(stream, config, id, &budget)
            .map_err(|reason| fault(format!("stream `{name}`: {reason}")))?;
        if plans.iter().any(|other| other.plan.stream == plan.stream) {
            return Err(fault(format!("it has the stream `{}` twice", plan.stream)));
        }
        plans.push(NamedPlan { name, plan: Arc::new(plan) });
    }
    Ok(plans)
}

fn plan(
    stream: &ConfiguredStream,
    config: &Config,
    id: u64,
    budget: &RunBudget,
) -> Result<Plan, String> {
    let name = stream.name();
    let full = name.to_string();
    let mode = stream.destination_sync_mode.ok_or("it has no `destination_sync_mode`")?;
    let mut settings = settings(stream, config, mode)?;
    let refresh = refresh(stream, mode)?;
    let keys = match mode {
        DestinationSyncMode::AppendDedup => keys(stream, &settings)?,
        DestinationSyncMode::Append
        | DestinationSyncMode::Overwrite
        | DestinationSyncMode::Update
        | DestinationSyncMode::SoftDelete => {
            // Without an order among rows of one key, all of them count.
            settings.key_properties = None;
            Vec::new()
        }
    };
    let schema = &stream.stream.json_schema;
    let columns = AirbyteColumns { generation: stream.generation_id, sync: stream.sync_id };
    let described = Described {
        name: &full,
        schema,
        keys: &keys,
        cursor: match stream.cursor_field.as_slice() {
            [cursor] => Some(cursor),
            _ => None,
        },
        source: &full,
        source_schema: schema,
        derived: None,
        refresh: Some(refresh),
        conventions: conventions(name.namespace, columns),
    };
    let plan = described.plan(&settings, id)?;
    budget.fields(json_schema::count(&plan.spec.columns)).map_err(|error| error.to_string())?;
    Ok(plan)
}

/// The settings of a stream, of which its sync mode and its names decide some.
fn settings(
    stream: &ConfiguredStream,
    config: &Config,
    mode: DestinationSyncMode,
) -> Result<StreamSettings, String> {
    let name = stream.name();
    let full = name.to_string();
    // Settings may name a stream with its namespace or without.
    let own = if config.streams.contains_key(&full) { &full } else { &name.name };
    let mut settings = config.stream(own);
    settings.load_method = Some(match mode {
        DestinationSyncMode::Append | DestinationSyncMode::Overwrite => LoadMethod::Append,
        DestinationSyncMode::AppendDedup => LoadMethod::Upsert,
        DestinationSyncMode::Update | DestinationSyncMode::SoftDelete => {
            return Err(format!(
                "the sync mode `{mode}` is not known; overwrite, append and append_dedup are"
            ));
        }
    });
    settings.table = settings
        .table
        .or_else(|| stream.destination_object_name.clone())
        .or_else(|| name.namespace.as_ref().map(|namespace| format!("{namespace}_{}", name.name)));
    Ok(settings)
}

/// What is to become of older generations.
fn refresh(stream: &ConfiguredStream, mode: DestinationSyncMode) -> Result<Refresh, String> {
    let (generation, minimum) = (stream.generation_id, stream.minimum_generation_id);
    if let (Some(generation), Some(minimum)) = (generation, minimum)
        && minimum != 0
        && minimum != generation
    {
        return Err(format!(
            "generation {generation} with the minimum {minimum}: a refresh keeps all older generations or none"
        ));
    }
    Ok(Refresh { generation, minimum, overwrite: mode == DestinationSyncMode::Overwrite })
}

/// The keys of a stream whose rows replace each other by them.
fn keys(stream: &ConfiguredStream, settings: &StreamSettings) -> Result<Vec<String>, String> {
    let keys = stream.keys().iter().map(|path| match path.as_slice() {
        [name] => Ok(name.clone()),
        path => Err(format!("its primary key `{}` is not a column", path.join("."))),
    });
    let keys = keys.collect::<Result<Vec<_>, _>>()?;
    if keys.is_empty() && settings.key_properties.as_ref().is_none_or(Vec::is_empty) {
        return Err("append_dedup needs a primary key, and it has none".into());
    }
    if let [cursor] = stream.cursor_field.as_slice()
        && stream.stream.json_schema.pointer("/properties").is_some_and(|p| p.get(cursor).is_none())
    {
        return Err(format!("its cursor `{cursor}` is not among its properties"));
    }
    Ok(keys)
}

/// The plans by the name under which records are found: with the namespace only where the name alone
/// does not say which is meant.
pub(super) fn registry(streams: &[NamedPlan]) -> Registry {
    let mut times: HashMap<&str, usize> = HashMap::new();
    for NamedPlan { name, .. } in streams {
        *times.entry(&name.name).or_default() += 1;
    }
    let mut registry = Registry::default();
    for NamedPlan { name, plan } in streams {
        let namespace = name.namespace.as_deref().unwrap_or_default();
        let key = match times.get(name.name.as_str()) {
            Some(1) => name.name.as_bytes().into(),
            Some(_) | None => key(namespace.as_bytes(), name.name.as_bytes()),
        };
        registry.insert(key, [Arc::clone(plan)].into());
    }
    registry
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn planned(streams: &Value) -> Result<Vec<NamedPlan>> {
        let config: Config =
            serde_json::from_str(r#"{"destination":"x","streams":{"n.b":{"table":"own"}}}"#)
                .unwrap();
        let catalog = ConfiguredCatalog::parse(&json!({"streams": streams}).to_string()).unwrap();
        plans("catalog", &catalog, &config)
    }

    fn stream(name: &str, namespace: Option<&str>, more: &Value) -> Value {
        let schema = json!({"type": "object", "properties": {"id": {"type": "integer"}}});
        let mut stream = json!({
            "stream": {"name": name, "namespace": namespace, "json_schema": schema},
            "destination_sync_mode": "append",
        });
        let (Value::Object(stream_), Value::Object(more)) = (&mut stream, more) else { panic!() };
        stream_.extend(more.clone());
        stream
    }

    #[test]
    fn namespaces_are_part_of_table_names_and_of_ambiguous_keys() {
        let plans = planned(&json!([
            stream("a", Some("n"), &json!({})),
            stream("a", None, &json!({})),
            stream("b", Some("n"), &json!({})),
        ]))
        .unwrap();
        let tables: Vec<_> = plans.iter().map(|stream| stream.plan.spec.table.as_str()).collect();
        assert_eq!(tables, ["n_a", "a", "own"]);
        let registry = registry(&plans);
        let mut keys: Vec<&[u8]> = registry.keys().map(AsRef::as_ref).collect();
        keys.sort_unstable();
        assert_eq!(keys, [&b"\0a"[..], b"b", b"n\0a"]);
    }

    #[test]
    fn what_cannot_be_written_is_refused_with_the_stream() {
        let dedup = |more: Value| {
            let mut object = json!({"destination_sync_mode": "append_dedup"});
            object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            object
        };
        // Each definition is eight of the next one.
        let definitions: serde_json::Map<_, _> = (0..20)
            .map(|at| {
                let next = json!({"$ref": format!("#/definitions/d{}", at + 1)});
                let eight: serde_json::Map<_, _> =
                    (0..8).map(|at| (format!("p{at}"), next.clone())).collect();
                (format!("d{at}"), json!({"properties": eight}))
            })
            .collect();
        let schema =
            json!({"properties": definitions["d0"]["properties"], "definitions": definitions});
        let large = json!({"stream": {"name": "a", "json_schema": schema}});
        for (streams, word) in [
            (json!([]), "no streams"),
            (json!([stream("a", None, &large)]), "stream `a`: with what `$ref` repeats"),
            (json!([stream("a", None, &json!({})), stream("a", None, &json!({}))]), "twice"),
            (json!([stream("a", None, &json!({"destination_sync_mode": "update"}))]), "update"),
            (json!([stream("a", None, &dedup(json!({})))]), "primary key"),
            (json!([stream("a", None, &dedup(json!({"primary_key": [["x"]]})))]), "`x`"),
            (json!([stream("a", None, &dedup(json!({"primary_key": [["id", "x"]]})))]), "`id.x`"),
            (
                json!([stream(
                    "a",
                    None,
                    &dedup(json!({"primary_key": [["id"]], "cursor_field": ["t"]}))
                )]),
                "cursor `t`",
            ),
            (
                json!([stream(
                    "a",
                    None,
                    &json!({"generation_id": 7, "minimum_generation_id": 5})
                )]),
                "generation 7",
            ),
        ] {
            let error = planned(&streams).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn the_sync_mode_decides_how_rows_enter_the_table() {
        use lake::table::LoadMethod;
        let keyed =
            json!({"primary_key": [["id"]], "generation_id": 3, "minimum_generation_id": 3});
        let with = |mode: &str| {
            let mut more = keyed.clone();
            more["destination_sync_mode"] = mode.into();
            planned(&json!([stream("a", None, &more)])).unwrap().remove(0).plan
        };
        for (mode, load, keys, overwrite) in [
            ("append", LoadMethod::Append, 0, false),
            ("overwrite", LoadMethod::Append, 0, true),
            ("append_dedup", LoadMethod::Upsert, 1, false),
        ] {
            let plan = with(mode);
            assert_eq!((plan.spec.load, plan.keys.len()), (load, keys), "{mode}");
            let refresh = plan.spec.refresh.unwrap();
            assert_eq!(refresh, Refresh { generation: Some(3), minimum: Some(3), overwrite });
            assert!(plan.conventions.is_lenient && plan.conventions.may_reject);
        }
    }

    #[test]
    fn settings_name_a_stream_with_its_namespace_or_without() {
        let config: Config = serde_json::from_str(
            r#"{"destination":"x","streams":{"n.a":{"table":"full"},"a":{"table":"short"}}}"#,
        )
        .unwrap();
        let catalog = json!({"streams": [stream("a", Some("n"), &json!({})), stream("a", Some("m"), &json!({}))]});
        let catalog = ConfiguredCatalog::parse(&catalog.to_string()).unwrap();
        let plans = plans("catalog", &catalog, &config).unwrap();
        let tables: Vec<_> = plans.iter().map(|stream| stream.plan.spec.table.as_str()).collect();
        assert_eq!(tables, ["full", "short"]);
    }
}
