//! A table of a REST catalog. The server writes its metadata files; all other files are the lake's.

use std::sync::Arc;

use serde_json::{Value, json};

use super::client::Client;
use super::refusal::is_of_catalog;
use super::transport::Answer;
use super::updates::{requirements, updates};
use super::vended;
use crate::aws::Lender;
use crate::error::{Error, Result};
use crate::format::iceberg::lineage;
use crate::format::iceberg::metadata::Metadata;
use crate::format::iceberg::places::Places;
use crate::format::iceberg::pointer::{Current, Pointer, Swap};

/// One table.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) client: Arc<Client>,
    pub(super) places: Arc<Places>,
    pub(super) namespace: Vec<String>,
    /// Its name in the catalog.
    pub(super) name: String,
    /// Where it is to lie; where the server says, without.
    pub(super) location: Option<String>,
}

impl Table {
    fn object(&self) -> String {
        format!("table {}", self.client.name(&self.name))
    }

    /// The table that an answer describes.
    fn current(&self, answer: &Answer) -> Result<Current> {
        let object = self.object();
        let mut json: Value = serde_json::from_slice(&answer.body).map_err(|error| {
            Error::store("read", &object, format!("the server's answer is no JSON: {error}"))
        })?;
        let file = json["metadata-location"].as_str().unwrap_or(&object).to_owned();
        let metadata = Metadata::new(json["metadata"].take(), &file)?;
        self.reach(&metadata, &json)?;
        Ok(Current { file, metadata, version: String::new() })
    }

    /// Makes sure that the table's files can be reached: they are where the catalog has the table, and what it hands
    /// out for them is used, or they are in the lake.
    fn reach(&self, metadata: &Metadata, json: &Value) -> Result<()> {
        let location = metadata.location();
        let fault = |reason: String| Err(Error::Table { table: self.name.clone(), reason });
        if self.location.is_some() {
            if self.places.has(location) {
                return Ok(());
            }
            let vends = if vended::has_credentials(json) {
                ", for which it hands out credentials"
            } else {
                ""
            };
            return fault(format!(
                "the catalog has it at {location}{vends}, which is outside of the lake; set `catalog.rest.location` to \
                 `catalog` to write it there, or `destination` to a place that this lies below"
            ));
        }
        vended::lend(&self.places, location, json, &self.lender())?;
        if self.places.key(location).is_none() {
            return fault(format!(
                "the catalog has it at {location}, and this program writes to S3 and below `destination`; have the \
                 catalog put it on S3, or set `catalog.rest.location` to `lake`"
            ));
        }
        Ok(())
    }

    /// Asks for the table once more, with all that is handed out for it.
    fn lender(&self) -> Lender {
        // What is handed out lives no longer than those who use it.
        let (client, places) = (Arc::clone(&self.client), Arc::downgrade(&self.places));
        let (namespace, name) = (self.namespace.clone(), self.name.clone());
        Arc::new(move || {
            let Some(places) = places.upgrade() else { return Ok(()) };
            let (namespace, name) = (namespace.clone(), name.clone());
            let table =
                Self { client: Arc::clone(&client), places, namespace, name, location: None };
            table.reload().map(drop)
        })
    }

    fn create(&self, next: &Metadata) -> Result<Answer> {
        let json = next.json();
        let spec = json!({"spec-id": next.default_spec_id(), "fields": next.default_spec()});
        let mut properties = json["properties"].clone();
        properties["format-version"] = "2".into();
        let mut body = json!({
            "name": self.name,
            "schema": next.schema(),
            "partition-spec": spec,
            "write-order": {"order-id": 0, "fields": []},
            "stage-create": false,
            "properties": properties,
        });
        if let Some(location) = &self.location {
            body["location"] = location.as_str().into();
        }
        let ask = || self.client.post(&self.client.tables(None)?, &body, "make", &self.object());
        let answer = ask()?;
        if answer.status == 404 && is_of_catalog(&answer) {
            self.make_namespace()?;
            return ask();
        }
        Ok(answer)
    }

    /// Makes the namespace, level by level. It is no error if it is there.
    fn make_namespace(&self) -> Result<()> {
        for depth in 1..=self.namespace.len() {
            let levels = &self.namespace[..depth];
            let object = format!("the namespace {}", levels.join("."));
            let body = json!({"namespace": levels, "properties": {}});
            let answer = self.client.post(&self.client.namespaces()?, &body, "make", &object)?;
            match answer.status {
                200..=299 => {
                    tracing::info!(
                        namespace = levels.join("."),
                        "made the namespace in the catalog"
                    );
                }
                409 => {}
                _ => return Err(self.client.refused("make", &object, &answer)),
            }
        }
        Ok(())
    }

    /// Makes the table, and gives it what it is to begin with.
    fn begin(&self, next: &Metadata) -> Result<Swap> {
        let answer = self.create(next)?;
        match answer.status {
            200..=299 => {}
            409 => return Ok(Swap::Lost),
            _ => return Err(self.client.refused("make", &self.object(), &answer)),
        }
        let made = self.current(&answer)?;
        if next.snapshots().next().is_none() {
            return Ok(Swap::Done(made));
        }
        // Files that were written before the table was there have the numbers of the fields that they were given. They
        // are written anew, as for a table that another was faster to make.
        let is_same = numbers(made.metadata.schema()) == numbers(next.schema())
            && numbers(made.metadata.default_spec()) == numbers(next.default_spec());
        if !is_same {
            let table = &self.name;
            tracing::info!(
                table,
                "{table}: its catalog numbers the fields otherwise; files are written anew"
            );
            return Ok(Swap::Lost);
        }
        let mut json = made.metadata.json().clone();
        for key in ["snapshots", "refs"] {
            json[key] = next.json()[key].clone();
        }
        self.commit(&made, &Metadata::new(json, &made.file)?)
    }

    fn commit(&self, base: &Current, next: &Metadata) -> Result<Swap> {
        let (before, after) = (base.metadata.json(), next.json());
        let updates = updates(before, after)?;
        if updates.is_empty() {
            return Ok(Swap::Done(base.clone()));
        }
        let body = json!({
            "identifier": {"namespace": self.namespace, "name": self.name},
            "requirements": requirements(before, after),
            "updates": updates,
        });
        let (url, object) = (self.client.tables(Some(&self.name))?, self.object());
        let answer = self.client.post(&url, &body, "commit to", &object)?;
        match answer.status {
            // It is done, whatever else the answer says.
            200..=299 => self.current(&answer).or_else(|_| self.reload()).map(Swap::Done),
            409 => {
                let newest = self.reload()?;
                // Something between may have sent the request twice.
                if lineage::holds(&newest.metadata, "", Some(base), next) {
                    return Ok(Swap::Done(newest));
                }
                Ok(Swap::Lost)
            }
            _ => Err(self.client.refused("commit to", &object, &answer)),
        }
    }

    fn reload(&self) -> Result<Current> {
        self.load()?.ok_or_else(|| Error::Table {
            table: self.name.clone(),
            reason: format!("{} has gone from the catalog since it was read", self.object()),
        })
    }
}

/// The names of all fields with their numbers, from the outermost to the innermost.
fn numbers(json: &Value) -> Vec<(String, String)> {
    const NUMBERS: [&str; 5] = ["id", "field-id", "element-id", "key-id", "value-id"];
    let mut found = Vec::new();
    match json {
        Value::Array(items) => found.extend(items.iter().flat_map(numbers)),
        Value::Object(object) => {
            let name = object.get("name").and_then(Value::as_str).unwrap_or_default();
            for number in NUMBERS.iter().filter_map(|key| object.get(*key)) {
                found.push((name.to_owned(), number.to_string()));
            }
            found.extend(object.values().flat_map(numbers));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    // Servers order the keys of an object as they like.
    found.sort();
    found
}

impl Pointer for Table {
    fn load(&self) -> Result<Option<Current>> {
        let object = self.object();
        let answer = self.client.get(&self.client.tables(Some(&self.name))?, &object)?;
        match answer.status {
            200 => self.current(&answer).map(Some),
            // Of the table, or of its namespace.
            404 if is_of_catalog(&answer) => Ok(None),
            _ => Err(self.client.refused("read", &object, &answer)),
        }
    }

    fn swap(&self, base: Option<&Current>, next: &Metadata) -> Result<Swap> {
        match base {
            Some(base) => self.commit(base, next),
            None => self.begin(next),
        }
    }

    fn owns_metadata(&self) -> bool {
        false
    }

    fn location(&self) -> Option<String> {
        self.location.clone()
    }
}
