//! What a server has to change in a table's metadata so that it becomes other metadata, and what must still hold
//! when it does (<https://github.com/apache/iceberg/blob/main/open-api/rest-catalog-open-api.yaml>, `TableUpdate`
//! and `TableRequirement`).
//!
//! What the two differ in and no update can say is an error: nothing is left out in silence.

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};

/// What the server keeps by itself.
const SERVERS: [&str; 7] = [
    "last-updated-ms",
    "last-sequence-number",
    "last-column-id",
    "last-partition-id",
    "current-snapshot-id",
    "snapshot-log",
    "metadata-log",
];

/// What updates speak of.
const SPOKEN_OF: [&str; 12] = [
    "location",
    "schemas",
    "current-schema-id",
    "partition-specs",
    "default-spec-id",
    "sort-orders",
    "default-sort-order-id",
    "properties",
    "refs",
    "snapshots",
    "statistics",
    "partition-statistics",
];

/// A list of the metadata that grows: what it is called, its ids, and how an item is added and chosen.
struct Grown {
    list: &'static str,
    id: &'static str,
    current: &'static str,
    add: &'static str,
    item: &'static str,
    set: &'static str,
}

const SCHEMAS: Grown = Grown {
    list: "schemas",
    id: "schema-id",
    current: "current-schema-id",
    add: "add-schema",
    item: "schema",
    set: "set-current-schema",
};

const SPECS: Grown = Grown {
    list: "partition-specs",
    id: "spec-id",
    current: "default-spec-id",
    add: "add-spec",
    item: "spec",
    set: "set-default-spec",
};

const ORDERS: Grown = Grown {
    list: "sort-orders",
    id: "order-id",
    current: "default-sort-order-id",
    add: "add-sort-order",
    item: "sort-order",
    set: "set-default-sort-order",
};

/// The updates that make `next` of `base`.
pub(super) fn updates(base: &Value, next: &Value) -> Result<Vec<Value>> {
    refuse_what_is_unspeakable(base, next)?;
    let mut updates = Vec::new();
    if base["location"] != next["location"] {
        updates.push(json!({"action": "set-location", "location": next["location"]}));
    }
    for grown in [&SCHEMAS, &SPECS, &ORDERS] {
        grown.updates(base, next, &mut updates)?;
    }
    property_updates(base, next, &mut updates);
    snapshot_updates(base, next, &mut updates)?;
    Ok(updates)
}

/// What must still hold, so that nothing is lost that another writer has done meanwhile: it is still the table, and
/// whatever moves is still where it was.
pub(super) fn requirements(base: &Value, next: &Value) -> Vec<Value> {
    let mut requirements = vec![json!({"type": "assert-table-uuid", "uuid": base["table-uuid"]})];
    let (before, after) = (object(&base["refs"]), object(&next["refs"]));
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    for name in
        names.iter().filter(|name| **name != MAIN && before.get(**name) != after.get(**name))
    {
        requirements.push(still(name, before));
    }
    // What is written rests on all rows, also where only a property changes.
    requirements.push(still(MAIN, before));
    let moved = |key: &str| base[key] != next[key];
    if moved("current-schema-id") || moved("schemas") {
        requirements.push(json!({
            "type": "assert-current-schema-id",
            "current-schema-id": base["current-schema-id"],
        }));
        requirements.push(json!({
            "type": "assert-last-assigned-field-id",
            "last-assigned-field-id": base["last-column-id"],
        }));
    }
    if moved("default-spec-id") || moved("partition-specs") {
        requirements.push(json!({
            "type": "assert-default-spec-id",
            "default-spec-id": base["default-spec-id"],
        }));
        requirements.push(json!({
            "type": "assert-last-assigned-partition-id",
            "last-assigned-partition-id": base["last-partition-id"],
        }));
    }
    requirements
}

/// The branch that readers take.
const MAIN: &str = "main";

fn still(name: &str, before: &Map<String, Value>) -> Value {
    let id = before.get(name).map_or(&Value::Null, |to| &to["snapshot-id"]);
    json!({"type": "assert-ref-snapshot-id", "ref": name, "snapshot-id": id})
}

/// No update says that a key has changed which no program knows, or that one of these has.
fn refuse_what_is_unspeakable(base: &Value, next: &Value) -> Result<()> {
    let (base, next) = (object(base), object(next));
    for key in base.keys().chain(next.keys()).map(String::as_str) {
        let known = SERVERS.contains(&key) || SPOKEN_OF.contains(&key);
        if !known && base.get(key) != next.get(key) {
            return Err(unspeakable(key));
        }
    }
    Ok(())
}

fn unspeakable(what: &str) -> Error {
    Error::internal(format!(
        "a commit changes only what a REST catalog can be told of, and this one changes `{what}`"
    ))
}

impl Grown {
    fn updates(&self, base: &Value, next: &Value, updates: &mut Vec<Value>) -> Result<()> {
        let (before, after) = (list(base, self.list), list(next, self.list));
        let mut last = None;
        for item in after {
            match before.iter().find(|known| known[self.id] == item[self.id]) {
                Some(known) if known == item => {}
                Some(_) => return Err(unspeakable(self.list)),
                None => {
                    let mut update = json!({"action": self.add, self.item: item});
                    if self.list == SCHEMAS.list {
                        // Servers of before Iceberg 1.8 ask for it.
                        update["last-column-id"] = next["last-column-id"].clone();
                    }
                    updates.push(update);
                    last = Some(&item[self.id]);
                }
            }
        }
        if before.iter().any(|known| !after.iter().any(|item| item[self.id] == known[self.id])) {
            return Err(unspeakable(self.list));
        }
        let current = &next[self.current];
        if base[self.current] != *current {
            // -1 is the one that was added last, whatever number the server gives it.
            let id = if last == Some(current) { json!(-1) } else { current.clone() };
            updates.push(json!({"action": self.set, self.id_of_set(): id}));
        }
        Ok(())
    }

    fn id_of_set(&self) -> &'static str {
        if self.list == ORDERS.list { "sort-order-id" } else { self.id }
    }
}

fn property_updates(base: &Value, next: &Value, updates: &mut Vec<Value>) {
    let (before, after) = (object(&base["properties"]), object(&next["properties"]));
    let set: Map<String, Value> = after
        .iter()
        .filter(|(key, value)| before.get(*key) != Some(value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if !set.is_empty() {
        updates.push(json!({"action": "set-properties", "updates": set}));
    }
    let removed: Vec<&String> = before.keys().filter(|key| !after.contains_key(*key)).collect();
    if !removed.is_empty() {
        updates.push(json!({"action": "remove-properties", "removals": removed}));
    }
}

/// Snapshots come before what points to them, and go after it.
fn snapshot_updates(base: &Value, next: &Value, updates: &mut Vec<Value>) -> Result<()> {
    let (before, after) = (list(base, "snapshots"), list(next, "snapshots"));
    for snapshot in after {
        match before.iter().find(|known| known["snapshot-id"] == snapshot["snapshot-id"]) {
            Some(known) if known == snapshot => {}
            Some(_) => return Err(unspeakable("snapshots")),
            None => updates.push(json!({"action": "add-snapshot", "snapshot": snapshot})),
        }
    }
    let (refs_before, refs_after) = (object(&base["refs"]), object(&next["refs"]));
    for (name, to) in refs_after.iter().filter(|(name, to)| refs_before.get(*name) != Some(to)) {
        let mut update = json!({"action": "set-snapshot-ref", "ref-name": name});
        for (key, value) in object(to) {
            update[key] = value.clone();
        }
        updates.push(update);
    }
    for name in refs_before.keys().filter(|name| !refs_after.contains_key(*name)) {
        updates.push(json!({"action": "remove-snapshot-ref", "ref-name": name}));
    }
    for (kind, remove) in [
        ("statistics", "remove-statistics"),
        ("partition-statistics", "remove-partition-statistics"),
    ] {
        let (before, after) = (list(base, kind), list(next, kind));
        if after.iter().any(|item| !before.contains(item)) {
            return Err(unspeakable(kind));
        }
        for gone in before.iter().filter(|item| !after.contains(item)) {
            updates.push(json!({"action": remove, "snapshot-id": gone["snapshot-id"]}));
        }
    }
    let is_there = |id: &Value| after.iter().any(|snapshot| snapshot["snapshot-id"] == *id);
    for id in before.iter().map(|snapshot| &snapshot["snapshot-id"]).filter(|id| !is_there(id)) {
        // Servers of before Iceberg 1.8 take one at a time.
        updates.push(json!({"action": "remove-snapshots", "snapshot-ids": [id]}));
    }
    Ok(())
}

fn list<'a>(json: &'a Value, key: &str) -> &'a [Value] {
    json[key].as_array().map_or(&[], Vec::as_slice)
}

/// An object; what is absent is an empty one.
fn object(json: &Value) -> &Map<String, Value> {
    static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    json.as_object().unwrap_or(&EMPTY)
}
