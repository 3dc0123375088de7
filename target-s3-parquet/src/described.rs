//! From a stream as its source describes it to the plan by which its records are read.

use std::sync::Arc;

use lake::schema::{Column, Kind, names};
use lake::table::{PartitionBy, Refresh, Spec, key};
use serde_json::Value;

use crate::decode::conventions::Conventions;
use crate::decode::derive::Derived;
use crate::decode::plan::Plan;
use crate::json_schema::{self, Narrowed};
use crate::settings::columns::{TypedColumn, is_called, unknown};
use crate::settings::stream::{OnInvalid, StreamSettings};

/// A stream as its source describes it, after it was mapped.
#[derive(Debug)]
pub(crate) struct Described<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// JSON Schema of its rows.
    pub(crate) schema: &'a Value,
    /// Its key properties.
    pub(crate) keys: &'a [String],
    /// The property by which its source goes on from where it was.
    pub(crate) cursor: Option<&'a str>,
    /// Its name before it was mapped.
    pub(crate) source: &'a str,
    /// JSON Schema of its records, before they are mapped.
    pub(crate) source_schema: &'a Value,
    /// How its columns come out of its records, where that is not as they are.
    pub(crate) derived: Option<Derived>,
    /// The generation of its rows, where its source has generations.
    pub(crate) refresh: Option<Refresh>,
    /// What is peculiar to its protocol.
    pub(crate) conventions: Conventions,
}

impl Described<'_> {
    /// The plan of the stream, or what keeps its schema from becoming a table. `id` is unlike that of
    /// any other plan of the run.
    pub(crate) fn plan(self, settings: &StreamSettings, id: u64) -> Result<Plan, String> {
        let has_extra = settings.add_record_metadata;
        let may_be_empty = self.conventions.may_be_empty && has_extra;
        if !may_be_empty && !json_schema::is_object_schema(self.schema) {
            return Err("it has no `properties`".into());
        }
        // What is read of a record, the columns, and the way from the one to the other.
        let (reads, mut columns, derivation) = match self.derived {
            Some(Derived { reads, columns, derivation }) => (reads, columns, Some(derivation)),
            None => {
                let mut columns =
                    json_schema::columns(self.schema).map_err(|error| error.to_string())?;
                for (name, typed) in &settings.columns {
                    if let Some(column) = columns.iter_mut().find(|column| is_called(column, name))
                    {
                        typed.kind.give_to(column);
                    }
                }
                (columns.clone(), columns, None)
            }
        };
        check_types(&columns, settings)?;
        say_narrowed(self.name, self.source_schema, settings)?;
        let validator = settings.validate_records.then(|| validator(self.source_schema));
        let keys = settings.key_properties.as_deref().unwrap_or(self.keys);
        let keys = key_positions(&columns, keys)?;
        let newest = newest(&columns, self.cursor, settings);
        let extra_from = has_extra.then_some(columns.len());
        let mut incidental = Vec::new();
        if has_extra {
            let is_new =
                |column: &Column| columns.iter().all(|known| known.source != column.source);
            let extra = self.conventions.extra.columns();
            let extra: Vec<Column> = extra.into_iter().filter(is_new).collect();
            incidental.extend(extra.iter().map(|column| column.name.clone()));
            columns.extend(extra);
        }
        let table = settings.table.as_deref().unwrap_or(self.name);
        let former_table = names::fold_table_by(names::Folding::Former, table);
        let table = names::fold_table(table);
        let spec = Spec {
            table: table.clone(),
            former_table: Some(former_table).filter(|former| *former != table),
            stream: self.name.to_owned(),
            keys: keys.iter().map(|(_, name)| name.clone()).collect(),
            columns,
            load: settings.load(!keys.is_empty()),
            partition_by: settings.partition_by.as_ref().map(Into::into),
            table_format: settings.table_format.into(),
            shards: settings.shards.number(),
            keeps_long_values: settings.on_invalid == OnInvalid::Null,
            moves_keys: settings.move_keys == Some(true),
            encoding: settings.encoding(),
            refresh: self.refresh,
            incidental,
        };
        Ok(Plan {
            spec: Arc::new(spec),
            stream: self.name.to_owned(),
            source: self.source.to_owned(),
            id,
            reads,
            derivation,
            newest,
            keys: keys.into_iter().map(|(position, _)| position).collect(),
            on_invalid: settings.on_invalid,
            max_string_bytes: settings.max_string_bytes,
            extra_from,
            validator: validator.transpose()?,
            asks_to_move_keys: settings.move_keys.is_none(),
            conventions: self.conventions,
        })
    }
}

/// The column whose newest value says how far the source has come: its cursor, or the date that names partitions.
fn newest(columns: &[Column], cursor: Option<&str>, settings: &StreamSettings) -> Option<usize> {
    let may_tell = |column: &Column| {
        matches!(column.kind, Kind::Date | Kind::Timestamp | Kind::String) && !column.is_personal()
    };
    let of = |is_meant: &dyn Fn(&Column) -> bool| {
        columns.iter().position(|column| is_meant(column) && may_tell(column))
    };
    let by = settings.partition_by.as_ref().map(PartitionBy::from);
    let dated = by.filter(|by| by.granularity.is_some());
    cursor
        .and_then(|cursor| of(&|column| column.source == cursor))
        .or_else(|| dated.and_then(|by| of(&|column| is_called(column, &by.column))))
}

/// Names the columns that are narrower than their schema says, because no decimal is as wide.
fn say_narrowed(stream: &str, schema: &Value, settings: &StreamSettings) -> Result<(), String> {
    let narrowed = json_schema::narrowed(schema).map_err(|error| error.to_string())?;
    let untyped = narrowed.iter().filter(|column| !settings.columns.contains_key(&column.name));
    for Narrowed { name, declared } in untyped {
        tracing::warn!(
            stream,
            column = name,
            declared,
            "{stream}: the schema declares {declared} for `{name}`, and no decimal has more than 38 digits: \
             values with more do not fit; `streams.{stream}.columns` can give it another type, such as `string`"
        );
    }
    Ok(())
}

/// Checks that the columns have the types that the settings give to them.
fn check_types(columns: &[Column], settings: &StreamSettings) -> Result<(), String> {
    for (name, TypedColumn { kind, must_exist }) in &settings.columns {
        match columns.iter().find(|column| is_called(column, name)) {
            Some(column) if kind.is_of(column) => {}
            Some(column) => {
                return Err(format!(
                    "`columns` in the settings gives a type to `{name}`, but `stream_maps` or flattening makes it {}",
                    column.kind
                ));
            }
            None if *must_exist => return Err(unknown(name, columns)),
            None => {}
        }
    }
    Ok(())
}

fn validator(schema: &Value) -> Result<jsonschema::Validator, String> {
    jsonschema::validator_for(schema)
        .map_err(|error| format!("it is no valid JSON Schema: {error}"))
}

/// The positions of the key columns, and their names in the table.
fn key_positions(columns: &[Column], names: &[String]) -> Result<Vec<(usize, String)>, String> {
    let keys = names.iter().map(|name| {
        let found = columns.iter().enumerate().find(|(_, column)| column.source == *name);
        let (position, column) = found
            .ok_or_else(|| format!("its key property `{name}` is not among its properties"))?;
        if !key::is_hashable(&column.kind) {
            let kind = &column.kind;
            return Err(format!("its key property `{name}` is {kind}, which cannot be a key"));
        }
        Ok((position, column.name.clone()))
    });
    keys.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{conventions, try_plan};
    use lake::table::LoadMethod;
    use serde_json::json;

    fn schema() -> Value {
        json!({"properties": {"Id": {"type": "integer"}, "line": {"type": "string"}}})
    }

    #[test]
    fn the_table_is_that_of_the_settings_and_names_are_folded() {
        let plan = try_plan("My Events", &schema(), &["Id"], json!({}), conventions()).unwrap();
        assert_eq!(
            (plan.spec.table.as_str(), plan.spec.stream.as_str()),
            ("my_events", "My Events")
        );
        assert_eq!(plan.spec.keys, ["id"]);
        assert_eq!(plan.keys, [0]);
        assert_eq!(plan.spec.load, LoadMethod::Upsert);
        let settings = json!({"streams": {"My*": {"table": "Other", "shards": 3}}});
        let plan = try_plan("My Events", &schema(), &["Id"], settings, conventions()).unwrap();
        assert_eq!((plan.spec.table.as_str(), plan.spec.shards), ("other", Some(3)));
    }

    #[test]
    fn the_settings_give_types_to_columns_by_either_name() {
        let typed = |columns: Value| {
            let settings = json!({"streams": {"a": {"columns": columns}}});
            let plan = try_plan("a", &schema(), &["Id"], settings, conventions())?;
            Ok(plan.spec.columns.iter().map(|column| column.kind.to_string()).collect::<Vec<_>>())
        };
        assert_eq!(
            typed(json!({"Id": "decimal(20,0)", "line": "date"})),
            Ok(vec!["decimal(20,0)".into(), "date".into()])
        );
        assert_eq!(typed(json!({"id": "string"})), Ok(vec!["string".into(), "string".into()]));
        let error: String = typed(json!({"lime": "string"})).unwrap_err();
        assert_eq!(
            error,
            "`columns` in the settings names `lime`, which is none of its columns; is `line` meant?"
        );
        let settings = json!({"streams": {"*": {"columns": {"other": "int"}}}});
        assert!(try_plan("a", &schema(), &["Id"], settings, conventions()).is_ok());
    }

    #[test]
    fn keys_of_the_settings_win_and_without_keys_rows_are_added() {
        let keys = |keys: &[&str]| json!({"streams": {"a": {"key_properties": keys}}});
        let plan = try_plan("a", &schema(), &["Id"], keys(&["line"]), conventions()).unwrap();
        assert_eq!(plan.spec.keys, ["line"]);
        let plan = try_plan("a", &schema(), &["Id"], keys(&[]), conventions()).unwrap();
        assert_eq!(plan.spec.load, LoadMethod::Append);
        let error = try_plan("a", &schema(), &["Id"], keys(&["id"]), conventions()).unwrap_err();
        assert_eq!(error, "its key property `id` is not among its properties");
    }

    #[test]
    fn extra_columns_stand_behind_the_streams_own_which_win_where_both_have_a_name() {
        let names = |schema: &Value| {
            let settings = json!({"add_record_metadata": true});
            let plan = try_plan("a", schema, &[], settings, conventions()).unwrap();
            let names: Vec<_> =
                plan.spec.columns.iter().map(|column| column.name.clone()).collect();
            (names, plan.extra_from)
        };
        let own = json!({"properties": {"x": {}}});
        assert_eq!(names(&own), (vec!["x".into(), "line".into()], Some(1)));
        assert_eq!(names(&schema()), (vec!["id".into(), "line".into()], Some(2)));
    }

    #[test]
    fn a_stream_without_properties_is_a_table_only_where_its_protocol_has_such() {
        let may_be_empty = || Conventions { may_be_empty: true, ..conventions() };
        let plan = |metadata: bool, conventions| {
            let settings = json!({"add_record_metadata": metadata});
            try_plan("a", &json!({}), &[], settings, conventions)
        };
        assert!(plan(true, may_be_empty()).is_ok());
        assert_eq!(plan(false, may_be_empty()).unwrap_err(), "it has no `properties`");
        assert_eq!(plan(true, conventions()).unwrap_err(), "it has no `properties`");
    }

    #[test]
    fn a_schema_that_is_no_json_schema_is_refused_where_records_are_checked_by_it() {
        let schema = json!({"properties": {"x": {"type": "integer", "minimum": "low"}}});
        assert!(try_plan("a", &schema, &[], json!({}), conventions()).is_ok());
        let settings = json!({"validate_records": true});
        let error = try_plan("a", &schema, &[], settings, conventions()).unwrap_err();
        assert!(error.starts_with("it is no valid JSON Schema: "), "{error}");
    }
}
