//! A table as Glue has it, and what becomes of it by a commit. What others have put there stays.

use aws_sdk_glue::error::BuildError;
use aws_sdk_glue::types::{StorageDescriptor, Table, TableInput};

use super::columns::columns;
use crate::format::iceberg::metadata::{Metadata, uuid};

/// The parameter by which engines know a table of Iceberg, and its value in any case.
const KIND: &str = "table_type";
const ICEBERG: &str = "ICEBERG";

/// The parameters that name its metadata, and the one before it.
const METADATA: &str = "metadata_location";
const PREVIOUS: &str = "previous_metadata_location";

/// What a table of Glue is, if it is none of Iceberg's.
pub(super) fn other_kind(found: &Table) -> Option<String> {
    let kind = found.parameters.as_ref().and_then(|parameters| parameters.get(KIND));
    if kind.is_some_and(|kind| kind.eq_ignore_ascii_case(ICEBERG)) {
        return None;
    }
    let location = found.storage_descriptor.as_ref().and_then(StorageDescriptor::location);
    Some(match (found.table_type(), location) {
        (Some("VIRTUAL_VIEW"), _) => "a view".into(),
        (_, Some(location)) if !location.is_empty() => format!("a plain table at {location}"),
        _ => "no table of Iceberg".into(),
    })
}

/// The metadata file that a table names.
pub(super) fn metadata_file(found: &Table) -> Option<&String> {
    found.parameters.as_ref()?.get(METADATA)
}

/// The name of the metadata file after one.
pub(super) fn next_file(base: Option<&str>, next: &Metadata) -> String {
    // Other tools count from 0 as well; a name without a number begins anew.
    let number = base.map_or(0, |base| {
        let name = base.rsplit('/').next().unwrap_or_default();
        let number = name.split('-').next().and_then(|number| number.parse::<u32>().ok());
        number.map_or(0, |number| number.saturating_add(1))
    });
    let own = format!("{}/metadata", next.location().trim_end_matches('/'));
    let folder = next.property("write.metadata.path").map_or(own, |path| {
        // A property that others have set.
        path.trim_end_matches('/').to_owned()
    });
    format!("{folder}/{number:05}-{}.metadata.json", uuid())
}

/// The table where Glue has none of its name.
pub(super) fn new_table(name: &str, next: &Metadata, file: &str) -> Result<TableInput, BuildError> {
    let descriptor = StorageDescriptor::builder()
        .location(next.location())
        .set_columns(Some(columns(next.json(), &[])?))
        .build();
    TableInput::builder()
        .name(name)
        .set_description(next.property("comment").map(str::to_owned))
        .table_type("EXTERNAL_TABLE")
        .parameters("EXTERNAL", "TRUE")
        .parameters(KIND, ICEBERG)
        .parameters(METADATA, file)
        .storage_descriptor(descriptor)
        .build()
}

/// The table in the place of the one that was found.
pub(super) fn next_table(
    found: &Table,
    next: &Metadata,
    file: &str,
) -> Result<TableInput, BuildError> {
    let mut descriptor = found.storage_descriptor.clone();
    let descriptor = descriptor.get_or_insert_with(|| StorageDescriptor::builder().build());
    descriptor.columns = Some(columns(next.json(), descriptor.columns())?);
    descriptor.location = Some(next.location().to_owned());
    let mut parameters = found.parameters.clone().unwrap_or_default();
    if let Some(previous) = parameters.insert(METADATA.into(), file.into()) {
        parameters.insert(PREVIOUS.into(), previous);
    }
    let mut input = TableInput::builder()
        .name(&found.name)
        .set_description(found.description.clone())
        .set_owner(found.owner.clone())
        .retention(found.retention)
        .table_type(found.table_type().unwrap_or("EXTERNAL_TABLE"))
        .set_parameters(Some(parameters))
        .storage_descriptor(descriptor.clone())
        .build()?;
    input.last_access_time = found.last_access_time;
    input.last_analyzed_time = found.last_analyzed_time;
    input.partition_keys.clone_from(&found.partition_keys);
    input.target_table.clone_from(&found.target_table);
    Ok(input)
}
