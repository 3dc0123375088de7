//! How the files of a table are divided: hidden partitions by a column, and buckets of a key.

use serde_json::{Value, json};

use super::metadata::Metadata;
use super::schema::Numbered;
use super::value::{Form, Single};
use crate::error::{Error, Result};
use crate::schema::Kind;
use crate::table::bucket::bucket_column;
use crate::table::definition::{Definition, Granularity};

/// The first id of a partition field.
const FIRST_FIELD: i64 = 1000;

/// What makes the value of a partition field of that of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transform {
    /// The value itself.
    Identity,
    /// Years since 1970.
    Year,
    /// Months since 1970.
    Month,
    /// Days since 1970.
    Day,
    /// Hours since 1970.
    Hour,
    /// The first characters of a text: a time that is text begins with its year, month and day.
    Truncate(u32),
    /// The hash of a key, by its rest.
    Bucket(u32),
}

/// A field of a partition spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    /// The column, by its name in the table.
    pub(super) column: String,
    pub(super) transform: Transform,
    pub(super) form: Form,
}

/// How the files of a table are divided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(super) fields: Vec<Field>,
}

impl Plan {
    /// That of a definition.
    pub(crate) fn of(definition: &Definition) -> Result<Self> {
        let mut fields = Vec::new();
        let fault = |reason: String| Error::Table { table: definition.table.clone(), reason };
        let named = |name: &str| {
            definition.columns.iter().find(|column| column.is_called(name)).ok_or_else(|| {
                fault(format!("its partition column `{name}` is none of its columns"))
            })
        };
        if let Some(by) = &definition.partition_by {
            let column = named(&by.column)?;
            let (transform, form) = by_column(&column.kind, by.granularity).ok_or_else(|| {
                fault(format!(
                    "`partition_by` names `{}`, but an Iceberg table of this program is not partitioned by {}",
                    by.column, column.kind
                ))
            })?;
            fields.push(Field { column: column.name.clone(), transform, form });
        }
        if definition.shards > 1 && definition.is_keyed() {
            let column = bucket_column(definition).ok_or_else(|| {
                fault(format!(
                    "it cannot be cut into {} shards: none of its keys is a number, a text, a date or a time",
                    definition.shards
                ))
            })?;
            let transform = Transform::Bucket(definition.shards);
            fields.push(Field { column: column.name.clone(), transform, form: Form::Int });
        }
        Ok(Self { fields })
    }

    /// The fields as JSON, by the schema that has their columns.
    pub(super) fn json(&self, schema: &Value) -> Value {
        let fields = self.fields.iter().zip(FIRST_FIELD..).map(|(field, id)| {
            let source =
                top_level(schema, &field.column).map_or(Value::Null, |own| own["id"].clone());
            json!({
                "source-id": source,
                "field-id": id,
                "name": field.name(schema),
                "transform": field.transform.name(),
            })
        });
        Value::Array(fields.collect())
    }

    /// Whether the files of a table are divided by this plan, once it has these columns.
    pub(crate) fn is_of(&self, metadata: &Metadata, columns: &Numbered) -> bool {
        self.is(metadata.default_spec(), &columns.schema)
    }

    /// Whether new files of the table are divided by this plan.
    pub(crate) fn divides(&self, metadata: &Metadata) -> bool {
        self.is(metadata.default_spec(), metadata.schema())
    }

    /// Whether a spec of the metadata divides files as this plan does.
    pub(super) fn is(&self, spec: &Value, schema: &Value) -> bool {
        let Some(fields) = spec.as_array() else { return false };
        let is_same = |(own, field): (&Field, &Value)| {
            let source = top_level(schema, &own.column).map(|column| &column["id"]);
            source == Some(&field["source-id"])
                && field["transform"].as_str() == Some(&own.transform.name())
        };
        fields.len() == self.fields.len() && self.fields.iter().zip(fields).all(is_same)
    }

    /// The values of a group: of its partition, as the stage has it, and of its shard.
    pub(crate) fn values(&self, partition: Option<&str>, shard: u32) -> Result<Vec<Single>> {
        let of_field = |field: &Field| match field.transform {
            Transform::Bucket(_) => Ok(Single::Number(i64::from(shard))),
            Transform::Identity
            | Transform::Year
            | Transform::Month
            | Transform::Day
            | Transform::Hour
            | Transform::Truncate(_) => field.value(partition),
        };
        self.fields.iter().map(of_field).collect()
    }
}

impl Field {
    fn name(&self, schema: &Value) -> String {
        let column = &self.column;
        let mut name = match self.transform {
            // Its own name is allowed for the column itself alone.
            Transform::Identity => return column.clone(),
            Transform::Year => format!("{column}_year"),
            Transform::Month => format!("{column}_month"),
            Transform::Day => format!("{column}_day"),
            Transform::Hour => format!("{column}_hour"),
            Transform::Truncate(_) => format!("{column}_trunc"),
            Transform::Bucket(_) => format!("{column}_bucket"),
        };
        while top_level(schema, &name).is_some() {
            name.push('_');
        }
        name
    }

    fn value(&self, text: Option<&str>) -> Result<Single> {
        let Some(text) = text else { return Ok(Single::Null) };
        Ok(match self.form {
            Form::Text => Single::Text(text.to_owned()),
            Form::Boolean => Single::Boolean(text == "true"),
            Form::Int | Form::Date | Form::Long | Form::Timestamp => {
                let number = text.parse();
                Single::Number(
                    number.map_err(|error| Error::broken("the stage counts such values", error))?,
                )
            }
        })
    }
}

impl Transform {
    pub(super) fn name(self) -> String {
        match self {
            Self::Identity => "identity".into(),
            Self::Year => "year".into(),
            Self::Month => "month".into(),
            Self::Day => "day".into(),
            Self::Hour => "hour".into(),
            Self::Truncate(width) => format!("truncate[{width}]"),
            Self::Bucket(buckets) => format!("bucket[{buckets}]"),
        }
    }
}

/// How a column of this type is partitioned; nothing where it is not.
fn by_column(kind: &Kind, granularity: Option<Granularity>) -> Option<(Transform, Form)> {
    let is_dated = matches!(kind, Kind::Date | Kind::Timestamp);
    Some(match (granularity, kind) {
        (None, Kind::String | Kind::Json) => (Transform::Identity, Form::Text),
        (None, Kind::Int) => (Transform::Identity, Form::Int),
        (None, Kind::Bigint) => (Transform::Identity, Form::Long),
        (None, Kind::Date) => (Transform::Identity, Form::Date),
        (None, Kind::Timestamp) => (Transform::Identity, Form::Timestamp),
        (None, Kind::Boolean) => (Transform::Identity, Form::Boolean),
        (Some(granularity), Kind::String) => {
            (Transform::Truncate(granularity.characters()), Form::Text)
        }
        (Some(Granularity::Year), _) if is_dated => (Transform::Year, Form::Int),
        (Some(Granularity::Month), _) if is_dated => (Transform::Month, Form::Int),
        (Some(Granularity::Day), _) if is_dated => (Transform::Day, Form::Date),
        (Some(Granularity::Hour), Kind::Timestamp) => (Transform::Hour, Form::Int),
        (None | Some(_), _) => return None,
    })
}

/// A column of a schema by its name.
pub(super) fn top_level<'a>(schema: &'a Value, name: &str) -> Option<&'a Value> {
    schema["fields"].as_array()?.iter().find(|field| field["name"] == name)
}

/// Name, id and form of the fields of a spec of any writer, with the schema that has their columns; the form is
/// nothing where this program writes no such.
pub(super) fn forms(spec: &Value, schema: &Value) -> Vec<(String, i64, Option<Form>)> {
    let fields = spec.as_array().into_iter().flatten();
    fields
        .map(|field| {
            let columns = schema["fields"].as_array();
            let source = columns.and_then(|columns| {
                columns.iter().find(|column| column["id"] == field["source-id"])
            });
            let kind = source.and_then(|column| column["type"].as_str()).unwrap_or_default();
            let of_kind = match kind {
                "boolean" => Some(Form::Boolean),
                "int" => Some(Form::Int),
                "long" => Some(Form::Long),
                "date" => Some(Form::Date),
                "timestamptz" | "timestamp" => Some(Form::Timestamp),
                "string" => Some(Form::Text),
                _ => None,
            };
            let transform = field["transform"].as_str().unwrap_or_default();
            let form = match transform.split('[').next().unwrap_or_default() {
                "identity" | "truncate" => of_kind,
                "day" => Some(Form::Date),
                "year" | "month" | "hour" | "bucket" => Some(Form::Int),
                _ => None,
            };
            let name = field["name"].as_str().unwrap_or_default().to_owned();
            (name, field["field-id"].as_i64().unwrap_or(0), form)
        })
        .collect()
}
