//! Where the columns of tables come from: which stream, through maps and flattening.

use std::collections::BTreeMap;
use std::sync::Arc;

use lake::Lake;
use lake::schema::Column;
use lake::table::Definition;
use program::lineage::{self, Change, Data, Dataset, Field, Input, Name, Origin, Volume};

use crate::decode::plan::Plan;
use crate::summary::{StreamSummary, Summary};

/// The newest plan of each stream, where anybody wants to know.
#[derive(Debug, Default)]
pub(crate) struct Seen(BTreeMap<String, Arc<Plan>>);

impl Seen {
    /// Streams that are about to be loaded.
    pub(crate) fn extend(&mut self, plans: &[Arc<Plan>]) {
        if lineage::is_on() {
            self.0.extend(plans.iter().map(|plan| (plan.stream.clone(), Arc::clone(plan))));
        }
    }

    /// What was read and written. `table` is that of a stream, and its ARN where a catalog has it.
    pub(crate) fn data<'a>(
        &self,
        summary: &Summary,
        lake: &Lake,
        table: impl Fn(&String) -> Option<(&'a Definition, Option<String>)>,
    ) -> Data {
        let mut data = Data::default();
        for (stream, plan) in &self.0 {
            let counts = summary.streams.get(stream);
            let (Some(counts), Some((definition, arn))) = (counts, table(stream)) else { continue };
            let from = lineage::stream(&plan.source);
            if data.inputs.iter().all(|known| known.name != from) {
                data.inputs.push(input(&from, plan, counts));
            }
            let name = of_place(&lake.store().locate(&definition.table));
            let written = output(&from, plan, counts, name, definition);
            let tables = arn.and_then(|arn| in_glue(&arn)).into_iter().collect();
            data.outputs.push(Dataset { tables, ..written });
        }
        data
    }
}

fn input(name: &Name, plan: &Plan, counts: &StreamSummary) -> Dataset {
    Dataset {
        name: name.clone(),
        tables: Vec::new(),
        source: (name.namespace.clone(), name.namespace.clone()),
        fields: fields(&plan.reads, |column| &column.source),
        origins: Vec::new(),
        filters: Vec::new(),
        volume: Volume { rows: counts.records, ..Volume::default() },
    }
}

fn output(
    from: &Name,
    plan: &Plan,
    counts: &StreamSummary,
    name: Name,
    definition: &Definition,
) -> Dataset {
    let of_input = |path: &[&str]| Input { dataset: from.clone(), field: path.join(".") };
    let columns = plan.spec.columns.iter().enumerate();
    let mut origins: Vec<Origin> = columns
        .filter_map(|(at, column)| {
            let from = of_input(&plan.origin(at)?);
            Some(Origin { field: column.name.clone(), from, change: Change::None })
        })
        .collect();
    let mut fields = fields(&definition.columns, |column| &column.name);
    if let (Some(key), Some(by)) = (definition.partition_key(), &definition.partition_by) {
        let names = |column: &&Column| [&column.name, &column.source].contains(&&by.column);
        let decides = plan.spec.columns.iter().find(names).map(|column| &column.name);
        let decides = origins.iter().find(|origin| Some(&origin.field) == decides).cloned();
        origins.extend(decides.map(|origin| Origin {
            field: key.clone(),
            change: Change::Derived,
            ..origin
        }));
        fields.push(Field {
            name: key,
            kind: "string".into(),
            description: None,
            fields: Vec::new(),
        });
    }
    let uri = if name.namespace == "file" { "file:///" } else { &name.namespace };
    Dataset {
        source: (name.namespace.clone(), uri.to_owned()),
        name,
        tables: Vec::new(),
        fields,
        origins,
        filters: plan.filters().iter().map(|path| of_input(path)).collect(),
        volume: Volume { rows: counts.rows, bytes: Some(counts.bytes), files: Some(counts.files) },
    }
}

fn fields(columns: &[Column], name: fn(&Column) -> &String) -> Vec<Field> {
    let field = |column: &Column| Field {
        name: name(column).clone(),
        kind: column.kind.to_string(),
        description: column.description.clone(),
        fields: fields(column.kind.fields(), name),
    };
    columns.iter().map(field).collect()
}

/// A table's name by where it is: a bucket and a key, or a folder of this machine.
fn of_place(place: &str) -> Name {
    let name = |namespace: &str, name: &str| Name {
        namespace: namespace.to_owned(),
        name: name.trim_end_matches('/').to_owned(),
    };
    match lake::s3_address(place) {
        Some((bucket, key)) => name(&format!("s3://{bucket}"), key),
        None => {
            let path = std::path::absolute(place).unwrap_or_else(|_| place.into());
            name("file", &path.display().to_string())
        }
    }
}

/// A table's name by its ARN, which is that of the account and the table in it.
fn in_glue(arn: &str) -> Option<Name> {
    let (namespace, name) = arn.rsplit_once(':')?;
    Some(Name { namespace: namespace.to_owned(), name: name.to_owned() })
}
