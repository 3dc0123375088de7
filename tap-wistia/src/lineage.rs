//! Where the columns of streams come from: which resource of the API, through projections, maps and hashing.

use program::lineage::{self, Change, Data, Dataset, Field, Input, Name, Origin, Volume};
use protocol::mapping::{Filter, Mapped};
use protocol::personal;
use serde_json::Value;
use url::Url;

use crate::output::{Output, Selected};
use crate::privacy::Privacy;
use crate::read::Endpoint;
use crate::settings::Settings;

/// Stands for the id of a media in the name of a resource.
const MEDIA: &str = "media_id";

/// What a sync has read and written.
pub(crate) fn data(output: &Output, endpoints: &[&Endpoint], settings: &Settings) -> Data {
    let mut data = Data::default();
    for endpoint in endpoints {
        let selected = output.selected().iter();
        let selected: Vec<_> =
            selected.filter(|selected| endpoint.streams.contains(&selected.stream)).collect();
        let Some(resource) = resource(endpoint, settings).filter(|_| !selected.is_empty()) else {
            continue;
        };
        data.inputs.push(input(&resource, &selected));
        for selected in selected {
            let outputs = selected.mapped.iter();
            data.outputs
                .extend(outputs.map(|mapped| written(&resource, selected, mapped, settings)));
        }
    }
    data
}

/// What an endpoint is called.
fn resource(endpoint: &Endpoint, settings: &Settings) -> Option<Name> {
    let request = endpoint.read.probe(Some(MEDIA), settings)?;
    let url = Url::parse(&settings.config.api_url).ok()?;
    let name = request.resource().replace(MEDIA, "{media_id}");
    Some(Name { namespace: url.origin().ascii_serialization(), name })
}

/// What was read, by the names that its fields have in records.
fn input(resource: &Name, selected: &[&Selected]) -> Dataset {
    let mut fields: Vec<Field> = Vec::new();
    for field in selected.iter().flat_map(|selected| of_schema(&(selected.stream.schema)())) {
        if fields.iter().all(|known| known.name != field.name) {
            fields.push(field);
        }
    }
    let rows = selected.iter().map(|selected| selected.records).max();
    Dataset {
        name: resource.clone(),
        tables: Vec::new(),
        source: ("wistia".to_owned(), resource.namespace.clone()),
        fields,
        origins: Vec::new(),
        filters: Vec::new(),
        volume: Volume { rows: rows.unwrap_or_default(), ..Volume::default() },
    }
}

/// A stream that was written.
fn written(resource: &Name, selected: &Selected, mapped: &Mapped, settings: &Settings) -> Dataset {
    let name = lineage::stream(&mapped.stream);
    let from = |path: &[String]| Input { dataset: resource.clone(), field: path.join(".") };
    let origins = mapped.origins().into_iter().filter_map(|(field, path)| {
        let path = path?;
        let is_masked = is_masked(selected, &path, settings);
        let change = if is_masked { Change::Masked } else { Change::None };
        Some(Origin { field: field.to_owned(), from: from(&path), change })
    });
    let filters = mapped.filter.as_ref().map(Filter::paths).unwrap_or_default();
    Dataset {
        source: (name.namespace.clone(), name.namespace.clone()),
        name,
        tables: Vec::new(),
        fields: of_schema(&mapped.schema),
        origins: origins.collect(),
        filters: filters.into_iter().map(|path| from(path)).collect(),
        volume: Volume { rows: selected.records, ..Volume::default() },
    }
}

/// Whether the settings leave of a property nothing that points at a person.
fn is_masked(selected: &Selected, path: &[String], settings: &Settings) -> bool {
    let Some(column) = path.first() else { return false };
    let is_changed = selected.stream.masked.contains(&column.as_str());
    match settings.privacy {
        Privacy::Keep => false,
        Privacy::Hash(_) => is_changed,
        Privacy::Drop(_) => {
            let schema = (selected.stream.schema)();
            is_changed || schema["properties"].get(column).is_some_and(personal::holds_marked)
        }
    }
}

/// The properties of a schema.
fn of_schema(schema: &Value) -> Vec<Field> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let field = |(name, schema): (&String, &Value)| Field {
        name: name.clone(),
        kind: kind(schema),
        description: schema.get("description").and_then(Value::as_str).map(str::to_owned),
        fields: of_schema(schema),
    };
    properties.into_iter().flatten().map(field).collect()
}

/// The type of a property, in the words of JSON Schema.
fn kind(schema: &Value) -> String {
    if let Some(format) = schema.get("format").and_then(Value::as_str) {
        return format.to_owned();
    }
    let kinds = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.as_slice(),
        Some(kind) => std::slice::from_ref(kind),
        None => &[],
    };
    let kind = kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null");
    kind.unwrap_or("any").to_owned()
}
