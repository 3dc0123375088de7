//! A commit: new files, manifests that name them, a snapshot of both, and the swap that makes it the table's.
//!
//! ```text
//! data files → manifests → list of the snapshot → metadata → swap
//! ```
//!
//! Whoever dies before the swap has changed nothing. Whoever is slower than another is told, writes manifests anew
//! upon what the other has made, and swaps again. Whoever is told nothing looks whether its snapshot is there.

use serde_json::{Map, Value as Json, json};

use super::change::Change;
use super::expiry;
use super::metadata::{Metadata, Snapshot, cut_log, push, random};
use super::pointer::{Current, Swap};
use super::schema::{self, Numbered};
use super::snapshot::{Manifests, Written};
use super::spec::Plan;
use super::table::Table;
use crate::error::{Error, Result};
use crate::store::address;

/// What a commit came to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is the table's newest.
    Done,
    /// Another was faster. Nothing of this commit is left but its data files.
    Lost,
}

impl Table {
    /// Commits upon what was read.
    pub(crate) fn commit(&self, base: Option<&Current>, change: &Change<'_>) -> Result<Outcome> {
        if base.is_none() && self.is_placed_by_catalog() {
            // Where its files go is known once it is there.
            self.make(change.columns, change.plan)?;
            return Ok(Outcome::Lost);
        }
        let mut made = Vec::new();
        let built = self.build(base, change, &mut made);
        let (id, next, expired) = match built {
            Ok(built) => built,
            Err(error) => {
                self.discard(&made);
                return match error {
                    Error::Conflict { .. } => Ok(Outcome::Lost),
                    error => Err(error),
                };
            }
        };
        let swapped = match self.pointer.swap(base, &next) {
            Ok(swapped) => swapped,
            // What became of it is not known. If it is there it is done; otherwise what was written stays,
            // because a request may still be on its way.
            Err(error) => match self.load()? {
                Some(current) if current.metadata.snapshot(id).is_some() => Swap::Done(current),
                Some(_) | None => return Err(error),
            },
        };
        Ok(match swapped {
            Swap::Done(current) => {
                tracing::debug!(table = self.name, file = current.file, snapshot = id, "committed");
                self.forget();
                expired.remove(self);
                Outcome::Done
            }
            Swap::Lost => {
                self.discard(&made);
                Outcome::Lost
            }
        })
    }

    /// Writes manifests and their list, and makes the metadata that names them. `made` gets the keys of what was
    /// written.
    fn build(
        &self,
        base: Option<&Current>,
        change: &Change<'_>,
        made: &mut Vec<String>,
    ) -> Result<(i64, Metadata, expiry::Expired)> {
        let mut next = match base {
            Some(base) => base.metadata.clone(),
            None => self.empty(change.columns, change.plan),
        };
        bring_up(&mut next, change);
        let parent = base.and_then(|base| base.metadata.current());
        let (id, sequence) =
            (unused(&next), next.json()["last-sequence-number"].as_i64().unwrap_or(0) + 1);
        let written = Manifests::new(self, &next, id, sequence, made).write(parent, change)?;
        let made_at = chrono::Utc::now().timestamp_millis().max(next.updated() + 1);
        let mut snapshot = json!({
            "snapshot-id": id,
            "sequence-number": sequence,
            "timestamp-ms": made_at,
            "summary": summary(change, &written, parent),
            "manifest-list": written.list,
            "schema-id": next.json()["current-schema-id"],
        });
        if let Some(parent) = parent {
            snapshot["parent-snapshot-id"] = parent.id().into();
        }
        let previous = next.previous_versions();
        let before = next.updated();
        let json = next.json_mut();
        push(json, "snapshots", snapshot);
        push(json, "snapshot-log", json!({"snapshot-id": id, "timestamp-ms": made_at}));
        json["last-sequence-number"] = sequence.into();
        json["last-updated-ms"] = made_at.into();
        json["current-snapshot-id"] = id.into();
        // A branch has settings of its own, which stay.
        json["refs"]["main"]["snapshot-id"] = id.into();
        json["refs"]["main"]["type"] = "branch".into();
        if change.is_pinned {
            json["refs"][self.tag()] = json!({"snapshot-id": id, "type": "tag"});
        }
        let mut expired = expiry::expire(self, &mut next, None)?;
        if let Some(base) = base {
            let json = next.json_mut();
            push(json, "metadata-log", json!({"metadata-file": base.file, "timestamp-ms": before}));
            let old = cut_log(json, previous);
            if self.pointer.owns_metadata() {
                expired.files.extend(old);
            }
        }
        Ok((id, next, expired))
    }

    /// Makes the table without a row, unless another run has made it meanwhile.
    pub(super) fn make(&self, columns: &Numbered, plan: &Plan) -> Result<()> {
        match self.pointer.swap(None, &self.empty(columns, plan)) {
            Ok(Swap::Done(_) | Swap::Lost) => self.load().map(drop),
            // It may be there all the same.
            Err(error) => self.load()?.map(drop).ok_or(error),
        }
    }

    /// The metadata of a table that is about to be made.
    fn empty(&self, columns: &Numbered, plan: &Plan) -> Metadata {
        let location = self.pointer.location().unwrap_or_else(|| address(&*self.store, &self.name));
        let Numbered { schema, last_id, .. } = columns;
        let spec = plan.json(schema);
        let properties = json!({
            "schema.name-mapping.default": schema::name_mapping(&schema["fields"]).to_string(),
            "write.format.default": "parquet",
            // So that no other writer leaves delete files.
            "write.delete.mode": "copy-on-write",
            "write.update.mode": "copy-on-write",
            "write.merge.mode": "copy-on-write",
            "write.metadata.delete-after-commit.enabled": "true",
            "write.metadata.previous-versions-max": "20",
        });
        Metadata::empty(location.trim_end_matches('/'), schema, *last_id, &spec, &properties)
    }

    /// Removes what nobody knows of. That it stays is no fault: whoever removes orphans finds it.
    fn discard(&self, made: &[String]) {
        for key in made {
            if let Err(error) = self.store.delete(key) {
                tracing::info!(%error, key, "a manifest of a commit that another overtook is left");
            }
        }
    }
}

/// A number that no snapshot has.
fn unused(metadata: &Metadata) -> i64 {
    loop {
        let id = random();
        if metadata.snapshot(id).is_none() {
            return id;
        }
    }
}

/// Brings schema and spec to those of a commit.
fn bring_up(next: &mut Metadata, change: &Change<'_>) {
    let mut schema = change.columns.schema.clone();
    if schema != *next.schema() {
        let id = highest(next.json(), "schemas", "schema-id") + 1;
        schema["schema-id"] = id.into();
        let mapping = schema::name_mapping(&schema["fields"]).to_string();
        let json = next.json_mut();
        json["properties"]["schema.name-mapping.default"] = mapping.into();
        json["current-schema-id"] = id.into();
        json["last-column-id"] = change.columns.last_id.into();
        push(json, "schemas", schema);
    }
    if !change.plan.is(next.default_spec(), next.schema()) {
        let id = highest(next.json(), "partition-specs", "spec-id") + 1;
        let mut fields = change.plan.json(next.schema());
        // A field of another spec is another field.
        let mut last = next.json()["last-partition-id"].as_i64().unwrap_or(999);
        for field in fields.as_array_mut().into_iter().flatten() {
            last += 1;
            field["field-id"] = last.into();
        }
        let json = next.json_mut();
        json["default-spec-id"] = id.into();
        json["last-partition-id"] = last.into();
        push(json, "partition-specs", json!({"spec-id": id, "fields": fields}));
    }
}

fn highest(json: &Json, list: &str, key: &str) -> i64 {
    let items = json[list].as_array().into_iter().flatten();
    items.filter_map(|item| item[key].as_i64()).max().unwrap_or(-1)
}

/// What a snapshot says of itself. Totals go on from those of the one before.
fn summary(
    change: &Change<'_>,
    written: &Written,
    parent: Option<Snapshot<'_>>,
) -> Map<String, Json> {
    let before = |key: &str| parent.map_or(0, |parent| parent.count(key));
    let added = i64::try_from(change.added.len()).unwrap_or(i64::MAX);
    let rows: i64 = change.added.iter().map(|file| file.metrics.rows()).sum();
    let size: i64 = change.added.iter().map(|file| i64::try_from(file.size).unwrap_or(0)).sum();
    let operation = match (change.is_compaction, written.deleted_files, added) {
        (true, _, _) => "replace",
        (false, 0, _) => "append",
        (false, _, 0) => "delete",
        (false, _, _) => "overwrite",
    };
    let mut summary = Map::new();
    summary.insert("operation".into(), operation.into());
    let counts = [
        ("added-data-files", added),
        ("deleted-data-files", written.deleted_files),
        ("added-records", rows),
        ("deleted-records", written.deleted_rows),
        ("added-files-size", size),
        ("removed-files-size", written.deleted_bytes),
        ("changed-partition-count", written.partitions),
        ("manifests-created", written.created),
        ("manifests-kept", written.kept),
        ("manifests-replaced", written.replaced),
    ];
    for (key, count) in counts.into_iter().filter(|(_, count)| *count != 0) {
        summary.insert(key.into(), count.to_string().into());
    }
    let totals = [
        ("total-records", rows - written.deleted_rows),
        ("total-files-size", size - written.deleted_bytes),
        ("total-data-files", added - written.deleted_files),
        ("total-delete-files", 0),
        ("total-position-deletes", 0),
        ("total-equality-deletes", 0),
    ];
    for (key, more) in totals {
        // Deletes of others go with all that they are of.
        let is_of_deletes =
            !matches!(key, "total-records" | "total-files-size" | "total-data-files");
        let before = if is_of_deletes && change.removes_all { 0 } else { before(key) };
        summary.insert(key.into(), (before + more).to_string().into());
    }
    summary.extend(change.notes.iter().map(|(key, text)| (key.clone(), text.clone().into())));
    summary
}
