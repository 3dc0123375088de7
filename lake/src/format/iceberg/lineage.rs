//! Whether metadata came to be in spite of an answer that says it did not.

use std::collections::HashSet;

use super::metadata::{Metadata, Snapshot};
use super::pointer::Current;

/// Whether the newest metadata of a table goes back to some that was to follow `base`: it has the snapshots that
/// are new in it, or names its file among those before it.
pub(super) fn holds(
    newest: &Metadata,
    file: &str,
    base: Option<&Current>,
    next: &Metadata,
) -> bool {
    if newest.uuid() != next.uuid() {
        return false;
    }
    let log = newest.json()["metadata-log"].as_array();
    if log.into_iter().flatten().any(|entry| entry["metadata-file"].as_str() == Some(file)) {
        return true;
    }
    let ids =
        |metadata: &Metadata| -> HashSet<i64> { metadata.snapshots().map(Snapshot::id).collect() };
    let (there, before) = (ids(newest), base.map(|base| ids(&base.metadata)).unwrap_or_default());
    let mut new = ids(next).into_iter().filter(|id| !before.contains(id)).peekable();
    new.peek().is_some() && new.all(|id| there.contains(&id))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn metadata(uuid: &str, snapshots: &[i64], log: &[&str]) -> Metadata {
        let snapshots: Vec<Value> = snapshots.iter().map(|id| json!({"snapshot-id": id})).collect();
        let log: Vec<Value> = log.iter().map(|file| json!({"metadata-file": file})).collect();
        let json = json!({
            "format-version": 2, "table-uuid": uuid, "location": "s3://b/t", "schemas": [],
            "partition-specs": [], "snapshots": snapshots, "metadata-log": log,
        });
        Metadata::new(json, "o").unwrap()
    }

    #[test]
    fn a_commit_is_known_by_its_snapshot_and_by_its_file() {
        let base = Current {
            file: "1".into(),
            metadata: metadata("u", &[1], &[]),
            version: String::new(),
        };
        let next = metadata("u", &[1, 2], &["1"]);
        let held = |newest: &Metadata| holds(newest, "2", Some(&base), &next);
        assert!(held(&metadata("u", &[1, 2, 3], &[])));
        assert!(held(&metadata("u", &[3], &["1", "2"])));
        assert!(!held(&metadata("u", &[1, 3], &["1"])));
        assert!(!held(&metadata("another", &[1, 2], &["2"])));
    }

    #[test]
    fn metadata_without_a_snapshot_of_its_own_is_known_by_its_file_alone() {
        let base = Current {
            file: "1".into(),
            metadata: metadata("u", &[1], &[]),
            version: String::new(),
        };
        let next = metadata("u", &[1], &["1"]);
        assert!(!holds(&metadata("u", &[1], &["1"]), "2", Some(&base), &next));
        assert!(holds(&metadata("u", &[1], &["2"]), "2", Some(&base), &next));
    }
}
