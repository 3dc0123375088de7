//! The definition that a schema and the settings ask for, and what of the one in the lake is fixed.

use crate::config::{LoadMethod, StreamSettings};
use crate::decode::Plan;
use crate::error::{Error, Result};
use crate::schema::{Column, Kind};
use crate::table::definition::FORMAT;
use crate::table::evolve::Incompatible;
use crate::table::{Definition, partition};

pub(super) fn incompatible(stream: &str, table: &str, fault: Incompatible) -> Error {
    Error::Incompatible {
        stream: stream.to_owned(),
        table: table.to_owned(),
        column: fault.column,
        old: fault.old,
        new: fault.new,
    }
}

pub(super) fn other_keys(definition: &Definition, keys: &[String], stream: &str) -> Error {
    Error::Table {
        table: definition.table.clone(),
        reason: format!(
            "its keys are {:?}, those of stream `{stream}` are {keys:?}; load into a new table to change that",
            definition.keys
        ),
    }
}

pub(super) fn key_names(plan: &Plan) -> Vec<String> {
    let columns = plan.keys.iter().filter_map(|key| plan.columns.get(*key));
    columns.map(|column| column.name.clone()).collect()
}

/// The definition that a schema and the settings ask for.
pub(super) fn define(table: &str, plan: &Plan, settings: &StreamSettings) -> Result<Definition> {
    let fault = |reason: String| Error::Table { table: table.to_owned(), reason };
    let keys = key_names(plan);
    let load_method = settings.load_method.unwrap_or(if keys.is_empty() {
        LoadMethod::Append
    } else {
        LoadMethod::Upsert
    });
    // A stream without keys cannot be upserted; the SDK's targets append then, and so do we.
    let load_method = match load_method {
        LoadMethod::Upsert if keys.is_empty() => LoadMethod::Append,
        other => other,
    };
    let definition = Definition {
        format: FORMAT,
        table: table.to_owned(),
        stream: plan.stream.clone(),
        columns: plan.columns.clone(),
        keys,
        load_method,
        partition_by: settings.partition_by.clone(),
        shards: settings.shards,
        resharding: None,
        version: None,
        generation: None,
        widening: false,
    };
    if let (Some(by), Some(key)) = (&definition.partition_by, definition.partition_key()) {
        let column =
            definition.columns.iter().find(|column| is_called(column, &by.column)).ok_or_else(
                || {
                    fault(format!(
                        "`partition_by` names the column `{}`, which its schema has not",
                        by.column
                    ))
                },
            )?;
        if by.granularity.is_some() && !partition::is_dated(&column.kind.data_type()) {
            return Err(fault(format!(
                "`partition_by` cuts `{}` by a part of its date, but it is {}",
                by.column, column.kind
            )));
        }
        if matches!(column.kind, Kind::Struct(_) | Kind::List(_)) {
            return Err(fault(format!(
                "`partition_by` names `{}`, but {} is no value for a partition",
                by.column, column.kind
            )));
        }
        if definition.columns.iter().any(|column| column.name == key) {
            return Err(fault(format!(
                "its partition key `{key}` is also one of its columns, which Redshift forbids; set `name` in `partition_by`"
            )));
        }
    }
    Ok(definition)
}

/// Whether the settings may call a column by this name: as the stream does, or as the table.
pub(super) fn is_called(column: &Column, name: &str) -> bool {
    column.source == name || column.name == name
}

/// Checks what is fixed when a table is made, and takes over what is not.
pub(super) fn reconcile(
    found: &Definition,
    wanted: &Definition,
    stream: &str,
) -> Result<Definition> {
    let fault = |reason: String| Err(Error::Table { table: found.table.clone(), reason });
    if let Some(shards) = found.resharding {
        return fault(format!(
            "it is being cut into {shards} objects per partition; wait for that `maintain`, or run `target-s3-parquet maintain --table {} --shards {shards}` if it has died",
            found.table
        ));
    }
    if found.partition_by != wanted.partition_by {
        return fault(format!(
            "it is partitioned by {}, the settings say {}; load into a new table to change that",
            describe_partition(found),
            describe_partition(wanted),
        ));
    }
    let (old, new) = (found.load_method, wanted.load_method);
    if new == LoadMethod::Upsert {
        if found.keys != wanted.keys {
            return Err(other_keys(found, &wanted.keys, stream));
        }
        if old == LoadMethod::Append {
            return fault(
                "it was made by appending, so its keys may be doubled; load into a new table, or overwrite it once".into(),
            );
        }
    }
    if found.shards != wanted.shards {
        tracing::warn!(
            table = found.table,
            shards = found.shards,
            setting = wanted.shards,
            "the shards of a table are fixed when it is made; the setting is ignored"
        );
    }
    let generation = wanted.generation.or(found.generation);
    Ok(Definition { keys: wanted.keys.clone(), load_method: new, generation, ..found.clone() })
}

fn describe_partition(definition: &Definition) -> String {
    match (&definition.partition_by, definition.partition_key()) {
        (Some(by), Some(key)) => format!("`{}` as `{key}`", by.column),
        _ => "nothing".into(),
    }
}
