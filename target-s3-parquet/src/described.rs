//! From a stream as its source describes it to the plan by which its records are read.

use std::sync::Arc;

use lake::schema::{Column, names};
use lake::table::{Refresh, Spec, key};
use serde_json::Value;

use crate::decode::conventions::Conventions;
use crate::decode::derive::Derived;
use crate::decode::plan::Plan;
use crate::json_schema;
use crate::settings::stream::StreamSettings;

/// A stream as its source describes it, after it was mapped.
#[derive(Debug)]
pub(crate) struct Described<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// JSON Schema of its rows.
    pub(crate) schema: &'a Value,
    /// Its key properties.
    pub(crate) keys: &'a [String],
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
                let columns =
                    json_schema::columns(self.schema).map_err(|error| error.to_string())?;
                (columns.clone(), columns, None)
            }
        };
        let validator = settings.validate_records.then(|| validator(self.source_schema));
        let keys = settings.key_properties.as_deref().unwrap_or(self.keys);
        let keys = key_positions(&columns, keys)?;
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
        let spec = Spec {
            table: names::fold_table(settings.table.as_deref().unwrap_or(self.name)),
            stream: self.name.to_owned(),
            keys: keys.iter().map(|(_, name)| name.clone()).collect(),
            columns,
            load: settings.load(!keys.is_empty()),
            partition_by: settings.partition_by.as_ref().map(Into::into),
            shards: settings.shards.number(),
            moves_keys: settings.move_keys,
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
            keys: keys.into_iter().map(|(position, _)| position).collect(),
            on_invalid: settings.on_invalid,
            max_string_bytes: settings.max_string_bytes,
            extra_from,
            validator: validator.transpose()?,
            conventions: self.conventions,
        })
    }
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
