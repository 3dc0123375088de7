//! Events as <https://openlineage.io/spec/2-0-2/OpenLineage.json> has them, with the facets that are there for what
//! we know.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::dataset::{Change, Data, Dataset, Field, Input, Name, Origin, Volume};

/// Who says it.
const PRODUCER: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/tree/v", env!("CARGO_PKG_VERSION"));

/// The version of the events.
const SCHEMA: &str = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent";

/// What has become of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Turn {
    Start,
    Complete,
    /// A signal has ended it.
    Abort(String),
    Fail(String),
}

/// A run of a job.
#[derive(Debug, Clone)]
pub(super) struct RunOf {
    pub(super) id: String,
    pub(super) namespace: String,
    pub(super) job: String,
    pub(super) program: &'static str,
    pub(super) parent: Option<Value>,
}

impl RunOf {
    /// The event of a turn.
    pub(super) fn event(&self, turn: &Turn, time: &str, data: &Data) -> Value {
        let (kind, fault) = match turn {
            Turn::Start => ("START", None),
            Turn::Complete => ("COMPLETE", None),
            Turn::Abort(reason) => ("ABORT", Some(reason)),
            Turn::Fail(reason) => ("FAIL", Some(reason)),
        };
        let mut of_run = Map::new();
        let engine = json!({"name": self.program, "version": env!("CARGO_PKG_VERSION")});
        put(&mut of_run, "processing_engine", "1-1-1/ProcessingEngineRunFacet", engine);
        if let Some(parent) = &self.parent {
            put(&mut of_run, "parent", "1-2-0/ParentRunFacet", parent.clone());
        }
        if let Some(reason) = fault {
            let message = json!({"message": reason, "programmingLanguage": "Rust"});
            put(&mut of_run, "errorMessage", "1-0-1/ErrorMessageRunFacet", message);
        }
        let mut of_job = Map::new();
        let kind_of_job =
            json!({"processingType": "BATCH", "integration": "SINGER", "jobType": "JOB"});
        put(&mut of_job, "jobType", "2-0-4/JobTypeJobFacet", kind_of_job);
        json!({
            "eventType": kind,
            "eventTime": time,
            "producer": PRODUCER,
            "schemaURL": SCHEMA,
            "run": {"runId": self.id, "facets": of_run},
            "job": {"namespace": self.namespace, "name": self.job, "facets": of_job},
            "inputs": data.inputs.iter().map(input).collect::<Vec<_>>(),
            "outputs": data.outputs.iter().map(output).collect::<Vec<_>>(),
        })
    }
}

/// Puts a facet among others. `schema` is its version and its name.
fn put(facets: &mut Map<String, Value>, name: &str, schema: &str, mut facet: Value) {
    let own = schema.split('/').next_back().unwrap_or_default();
    if let Some(facet) = facet.as_object_mut() {
        facet.insert("_producer".to_owned(), PRODUCER.into());
        let url = format!("https://openlineage.io/spec/facets/{schema}.json#/$defs/{own}");
        facet.insert("_schemaURL".to_owned(), url.into());
    }
    facets.insert(name.to_owned(), facet);
}

fn input(dataset: &Dataset) -> Value {
    let Name { namespace, name } = &dataset.name;
    let mut statistics = Map::new();
    let schema = "1-0-0/InputStatisticsInputDatasetFacet";
    put(&mut statistics, "inputStatistics", schema, volume(dataset.volume));
    let facets = facets(dataset);
    json!({"namespace": namespace, "name": name, "facets": facets, "inputFacets": statistics})
}

fn output(dataset: &Dataset) -> Value {
    let Name { namespace, name } = &dataset.name;
    let mut statistics = Map::new();
    let schema = "1-0-2/OutputStatisticsOutputDatasetFacet";
    put(&mut statistics, "outputStatistics", schema, volume(dataset.volume));
    let mut facets = facets(dataset);
    if !dataset.origins.is_empty() {
        let columns = columns(&dataset.origins, &dataset.filters);
        put(&mut facets, "columnLineage", "1-2-0/ColumnLineageDatasetFacet", columns);
    }
    json!({"namespace": namespace, "name": name, "facets": facets, "outputFacets": statistics})
}

fn facets(dataset: &Dataset) -> Map<String, Value> {
    let mut facets = Map::new();
    let (name, uri) = &dataset.source;
    let source = json!({"name": name, "uri": uri});
    put(&mut facets, "dataSource", "1-0-1/DatasourceDatasetFacet", source);
    let fields: Vec<_> = dataset.fields.iter().map(field).collect();
    put(&mut facets, "schema", "1-2-0/SchemaDatasetFacet", json!({"fields": fields}));
    if !dataset.tables.is_empty() {
        let tables = dataset.tables.iter().map(|Name { namespace, name }| {
            json!({"namespace": namespace, "name": name, "type": "TABLE"})
        });
        let tables: Vec<_> = tables.collect();
        put(&mut facets, "symlinks", "1-0-1/SymlinksDatasetFacet", json!({"identifiers": tables}));
    }
    facets
}

fn field(field: &Field) -> Value {
    let mut value = json!({"name": field.name, "type": field.kind});
    if let Some(members) = value.as_object_mut() {
        if let Some(description) = &field.description {
            members.insert("description".to_owned(), description.clone().into());
        }
        if !field.fields.is_empty() {
            let inner: Vec<_> = field.fields.iter().map(self::field).collect();
            members.insert("fields".to_owned(), inner.into());
        }
    }
    value
}

fn columns(origins: &[Origin], filters: &[Input]) -> Value {
    let mut fields: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for Origin { field, from, change } in origins {
        let (subtype, masking) = match change {
            Change::None => ("IDENTITY", false),
            Change::Derived => ("TRANSFORMATION", false),
            Change::Masked => ("TRANSFORMATION", true),
        };
        let change =
            json!({"type": "DIRECT", "subtype": subtype, "description": "", "masking": masking});
        fields.entry(field).or_default().push(used(from, &change));
    }
    let fields: Map<String, Value> = fields
        .into_iter()
        .map(|(field, inputs)| (field.to_owned(), json!({"inputFields": inputs})))
        .collect();
    let filter =
        json!({"type": "INDIRECT", "subtype": "FILTER", "description": "", "masking": false});
    let all: Vec<_> = filters.iter().map(|input| used(input, &filter)).collect();
    if all.is_empty() {
        json!({"fields": fields})
    } else {
        json!({"fields": fields, "dataset": all})
    }
}

fn used(input: &Input, change: &Value) -> Value {
    let Input { dataset: Name { namespace, name }, field } = input;
    json!({"namespace": namespace, "name": name, "field": field, "transformations": [change]})
}

fn volume(volume: Volume) -> Value {
    let mut facet = Map::new();
    let Volume { rows, bytes, files } = volume;
    for (name, count) in [("rowCount", Some(rows)), ("size", bytes), ("fileCount", files)] {
        if let Some(count) = count {
            facet.insert(name.to_owned(), count.into());
        }
    }
    facet.into()
}
