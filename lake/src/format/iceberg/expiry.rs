//! Snapshots that have had their time: a commit leaves them out of the metadata, and once it is the table's the
//! files go that only they had.
//!
//! This is done where history is one line, by what its snapshots say of the files they took away. Where others have
//! made branches or tags, or gone back, it is left to whoever they trust with it: what they keep is not known here.

use std::collections::{BTreeSet, HashSet};

use super::avro;
use super::manifest::{DELETED, Entry, Row};
use super::metadata::{Metadata, Snapshot};
use super::table::Table;
use crate::at_once::at_once;
use crate::error::Result;

/// How long snapshots are kept for readers, in milliseconds, unless the table says otherwise.
const KEPT_FOR: i64 = 3 * 24 * 60 * 60 * 1000;

/// How many are kept at least.
const KEPT: usize = 5;

/// How many expire by one commit at most, so that it takes a bounded time.
const AT_A_TIME: usize = 50;

/// What a commit makes obsolete.
#[derive(Debug, Default)]
pub(super) struct Expired {
    /// How many snapshots were left out.
    pub(super) snapshots: usize,
    /// Paths of files that nothing names any more once the commit is the table's.
    pub(super) files: Vec<String>,
    /// Those of manifests and of their lists, by which the files are found: they go last, so that what a run has died
    /// over is found again.
    pub(super) manifests: Vec<String>,
}

impl Expired {
    /// Removes the files. That one stays is no fault: whoever removes orphans finds it.
    pub(super) fn remove(self, table: &Table) {
        let remove = |path: String| table.key(&path).and_then(|key| table.store.delete(&key));
        let (mut left, mut has_failed) = (0_u64, false);
        for files in [self.files, self.manifests] {
            let removed = at_once(table.at_once(), files, remove, |removed| {
                left += u64::from(removed.is_err());
                Ok(())
            });
            has_failed |= removed.is_err();
        }
        if left > 0 || has_failed {
            let name = &table.name;
            tracing::warn!(
                table = name,
                files = left,
                "{name}: {left} files of expired snapshots could not be removed; `maintain` does it"
            );
        }
    }
}

/// Leaves out of the metadata what is due. The files that go with it.
pub(super) fn expire(table: &Table, next: &mut Metadata, keep: Option<usize>) -> Result<Expired> {
    let Some(first_kept) = first_kept(next, &table.tag(), keep) else {
        return Ok(Expired::default());
    };
    let chain: Vec<Snapshot<'_>> = next.history().collect();
    let (kept, gone) = chain.split_at(first_kept);
    let gone = gone.get(gone.len().saturating_sub(AT_A_TIME)..).unwrap_or_default();
    let Some(oldest) = kept.last() else { return Ok(Expired::default()) };
    let mut files = Vec::new();
    let kept_rows = table.list(*oldest)?;
    let kept_manifests: HashSet<&str> = kept_rows.iter().map(|row| Row(row).path()).collect();
    let mut manifests = BTreeSet::new();
    for snapshot in gone.iter().chain([oldest]) {
        let is_gone = snapshot.id() != oldest.id();
        let rows = if is_gone { table.list(*snapshot)? } else { Vec::new() };
        let rows = if is_gone { &rows } else { &kept_rows };
        for row in rows.iter().map(Row) {
            if row.snapshot() == snapshot.id() && row.deleted() > 0 {
                let bytes = table.manifest(row.path())?;
                for record in avro::read(&bytes, row.path())? {
                    let record = record?;
                    let entry = Entry(&record);
                    if entry.status() == DELETED && entry.snapshot() == Some(snapshot.id()) {
                        files.push(entry.path().to_owned());
                    }
                }
            }
            if is_gone && !kept_manifests.contains(row.path()) {
                manifests.insert(row.path().to_owned());
            }
        }
        if is_gone {
            manifests.insert(snapshot.manifest_list().to_owned());
        }
    }
    let ids: HashSet<i64> = gone.iter().map(|snapshot| snapshot.id()).collect();
    files.extend(drop_snapshots(next, &ids));
    Ok(Expired { snapshots: ids.len(), files, manifests: manifests.into_iter().collect() })
}

/// The place in history, from the newest on, of the first snapshot that has had its time; nothing where none has,
/// or where history is not one line.
pub(super) fn first_kept(metadata: &Metadata, tag: &str, keep: Option<usize>) -> Option<usize> {
    let is_forbidden = metadata.property("gc.enabled") == Some("false");
    let is_known = |name: &str| name == "main" || name == tag;
    let chain: Vec<Snapshot<'_>> = metadata.history().collect();
    let is_line = metadata.snapshots().count() == chain.len()
        && metadata.refs().all(|(name, _)| is_known(name));
    if is_forbidden || !is_line {
        return None;
    }
    let number = |key: &str| metadata.property(key).and_then(|text| text.parse::<i64>().ok());
    let age = number("history.expire.max-snapshot-age-ms").unwrap_or(KEPT_FOR);
    let least = number("history.expire.min-snapshots-to-keep");
    let least = least.and_then(|least| usize::try_from(least).ok()).unwrap_or(KEPT).max(1);
    let since = metadata.updated() - age;
    let young = chain.iter().take_while(|snapshot| snapshot.made() >= since).count();
    let tagged = metadata.refs().filter(|(name, _)| *name == tag).filter_map(|(_, id)| {
        chain.iter().position(|snapshot| snapshot.id() == id).map(|at| at + 1)
    });
    let kept = keep.unwrap_or(young.max(least)).max(tagged.max().unwrap_or(0));
    (kept < chain.len()).then_some(kept)
}

/// Takes snapshots out of the metadata, with what is said of them. The files of their statistics.
fn drop_snapshots(metadata: &mut Metadata, ids: &HashSet<i64>) -> Vec<String> {
    let is_gone =
        |item: &serde_json::Value| item["snapshot-id"].as_i64().is_some_and(|id| ids.contains(&id));
    let mut files = Vec::new();
    let json = metadata.json_mut();
    for key in ["snapshots", "snapshot-log"] {
        if let Some(list) = json[key].as_array_mut() {
            list.retain(|item| !is_gone(item));
        }
    }
    for key in ["statistics", "partition-statistics"] {
        if let Some(list) = json[key].as_array_mut() {
            let gone = list.iter().filter(|item| is_gone(item));
            files.extend(
                gone.filter_map(|item| item["statistics-path"].as_str().map(str::to_owned)),
            );
            list.retain(|item| !is_gone(item));
        }
    }
    files
}
