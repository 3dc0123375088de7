//! Where the columns of tables come from: which stream, through maps and flattening.

use std::collections::BTreeMap;
use std::sync::Arc;

use lake::Lake;
use lake::schema::Column;
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

    /// What was read and written. `arn` is the name of a stream's table in a catalog.
    pub(crate) fn data(
        &self,
        summary: &Summary,
        lake: &Lake,
        arn: impl Fn(&String) -> Option<String>,
    ) -> Data {
        let mut data = Data::default();
        for (stream, plan) in &self.0 {
            let Some(counts) = summary.streams.get(stream) else { continue };
            let from = lineage::stream(&plan.source);
            if data.inputs.iter().all(|known| known.name != from) {
                data.inputs.push(input(&from, plan, counts));
            }
            let table = arn(stream).and_then(|arn| in_glue(&arn));
            data.outputs.push(output(
                &from,
                plan,
                counts,
                &lake.store().locate(&counts.table),
                table,
            ));
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
    place: &str,
    table: Option<Name>,
) -> Dataset {
    let of_input = |path: &[&str]| Input { dataset: from.clone(), field: path.join(".") };
    let columns = &plan.spec.columns;
    let origins = columns.iter().enumerate().filter_map(|(at, column)| {
        let from = of_input(&plan.origin(at)?);
        Some(Origin { field: column.name.clone(), from, change: Change::None })
    });
    let name = of_place(place);
    let uri = if name.namespace == "file" { "file:///" } else { &name.namespace };
    Dataset {
        source: (name.namespace.clone(), uri.to_owned()),
        name,
        tables: table.into_iter().collect(),
        fields: fields(columns, |column| &column.name),
        origins: origins.collect(),
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
