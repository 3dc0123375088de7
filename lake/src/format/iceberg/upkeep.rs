//! What a table needs besides commits of rows: snapshots that expire, and files that no snapshot names.

use std::collections::{BTreeSet, HashSet};
use std::time::{Duration, SystemTime};

use chrono::NaiveDateTime;
use serde_json::json;

use super::avro;
use super::expiry::{self, Expired};
use super::manifest::{DELETED, Entry, Row};
use super::metadata::{Metadata, cut_log, push};
use super::places::is_elsewhere;
use super::pointer::Swap;
use super::table::Table;
use crate::at_once::at_once;
use crate::error::Result;
use crate::lake::RUN_TIME;
use crate::store::Object;

/// How old a file is at least that is taken for one that a run has left: what Spark's `remove_orphan_files` takes, too
/// (<https://iceberg.apache.org/docs/latest/spark-procedures/#remove_orphan_files>).
const ORPHAN_AGE: Duration = Duration::from_hours(3 * 24);

/// Where Iceberg's writers put what they write, below a table.
const FOLDERS: [&str; 2] = ["data/", "metadata/"];

/// Tries to leave snapshots out while others commit.
const TRIES: usize = 10;

impl Table {
    /// How many snapshots have had their time.
    pub(crate) fn due(&self) -> Result<usize> {
        let Some(found) = self.load()? else { return Ok(0) };
        let kept = expiry::first_kept(&found.metadata, &self.tag(), None);
        Ok(kept.map_or(0, |kept| found.metadata.history().count() - kept))
    }

    /// Leaves out the snapshots that have had their time, or all but the newest `keep`, and removes what only they
    /// had. How many they were.
    pub(crate) fn expire(&self, keep: Option<usize>) -> Result<usize> {
        let mut snapshots = 0;
        for _ in 0..TRIES {
            let Some(base) = self.load()? else { return Ok(snapshots) };
            let mut next = base.metadata.clone();
            let mut expired = expiry::expire(self, &mut next, keep)?;
            if expired.snapshots == 0 {
                return Ok(snapshots);
            }
            let (before, previous) = (next.updated(), next.previous_versions());
            let json = next.json_mut();
            json["last-updated-ms"] = chrono::Utc::now().timestamp_millis().max(before + 1).into();
            push(json, "metadata-log", json!({"metadata-file": base.file, "timestamp-ms": before}));
            let old = cut_log(json, previous);
            if self.pointer.owns_metadata() {
                expired.files.extend(old);
            }
            match self.pointer.swap(Some(&base), &next)? {
                Swap::Done(_) => {
                    snapshots += expired.snapshots;
                    expired.remove(self);
                }
                Swap::Lost => {}
            }
        }
        Ok(snapshots)
    }

    /// Removes what earlier metadata names and nothing names any more: a run died before it had removed the files of
    /// the snapshots that it left out.
    pub(crate) fn remove_forgotten(&self) -> Result<()> {
        let Some(found) = self.load()? else { return Ok(()) };
        let (mut files, mut manifests) = (BTreeSet::new(), BTreeSet::new());
        let mut seen = HashSet::new();
        let log = found.metadata.json()["metadata-log"].as_array();
        for file in log.into_iter().flatten().filter_map(|item| item["metadata-file"].as_str()) {
            let Ok(key) = self.key(file) else {
                tracing::warn!(
                    table = self.name,
                    file,
                    "{}: what its earlier metadata names is not looked for, because that is out of reach",
                    self.name
                );
                continue;
            };
            // What has gone already names nothing.
            let Some((_, bytes)) = self.store.get(&key)? else { continue };
            let earlier = Metadata::parse(&bytes, file)?;
            let mut is_left = |path: &str| -> Result<bool> {
                let is_left =
                    seen.insert(path.to_owned()) && self.store.head(&self.key(path)?)?.is_some();
                if is_left {
                    manifests.insert(path.to_owned());
                }
                Ok(is_left)
            };
            for snapshot in earlier.snapshots() {
                let is_gone = found.metadata.snapshot(snapshot.id()).is_none();
                if !is_gone || !is_left(snapshot.manifest_list())? {
                    continue;
                }
                for row in self.list(snapshot)?.iter().map(Row) {
                    if is_left(row.path())? {
                        let bytes = self.manifest(row.path())?;
                        for entry in avro::read(&bytes, row.path())? {
                            files.insert(Entry(&entry?).path().to_owned());
                        }
                    }
                }
            }
        }
        if manifests.is_empty() {
            return Ok(());
        }
        let named = self.named()?;
        let unnamed = |paths: BTreeSet<String>| -> Result<Vec<String>> {
            let paths = paths.into_iter().map(|path| Ok((self.key(&path)?, path)));
            let unnamed = paths.filter(|found: &Result<_>| {
                found.as_ref().map_or(true, |(key, _)| !named.contains(key))
            });
            unnamed.map(|found| Ok(found?.1)).collect()
        };
        let (files, manifests) = (unnamed(files)?, unnamed(manifests)?);
        Expired { snapshots: 0, files, manifests }.remove(self);
        Ok(())
    }

    /// Keys of all files below the table that some snapshot names, and of its metadata.
    fn named(&self) -> Result<HashSet<String>> {
        let Some(found) = self.load()? else { return Ok(HashSet::new()) };
        let mut paths: Vec<String> = vec![found.file.clone()];
        let (mut manifests, metadata) = (HashSet::new(), &found.metadata);
        for snapshot in metadata.snapshots() {
            paths.push(snapshot.manifest_list().to_owned());
            for row in self.list(snapshot)? {
                manifests.insert(Row(&row).path().to_owned());
            }
        }
        for path in &manifests {
            let bytes = self.manifest(path)?;
            for entry in avro::read(&bytes, path)? {
                let entry = entry?;
                // Those that a snapshot has taken away are named by the ones before it, as long as there are some.
                if Entry(&entry).status() != DELETED {
                    paths.push(Entry(&entry).path().to_owned());
                }
            }
        }
        let named = |list: &str, key: &str| {
            let items = metadata.json()[list].as_array().into_iter().flatten();
            items.filter_map(|item| item[key].as_str().map(str::to_owned)).collect::<Vec<_>>()
        };
        paths.extend(named("metadata-log", "metadata-file"));
        paths.extend(named("statistics", "statistics-path"));
        paths.extend(named("partition-statistics", "statistics-path"));
        paths.extend(manifests);
        self.forget();
        paths.iter().map(|path| self.key(path)).collect()
    }

    /// Those of the files that no snapshot names that were written long enough ago, whoever has written them: by the
    /// store, or where that keeps no times, by when the run began that says so in their names. Of other writers only
    /// what is where Iceberg puts data and metadata is taken for theirs.
    pub(crate) fn orphans(&self, unnamed: &[String]) -> Result<Vec<String>> {
        let before = SystemTime::now() - ORPHAN_AGE;
        let is_old = |key: &String| {
            let (begun, inner) = (run_time(key), key.strip_prefix(&self.place()));
            let is_in_place =
                inner.is_some_and(|inner| FOLDERS.iter().any(|folder| inner.starts_with(folder)));
            if begun.is_none() && !is_in_place {
                return Ok(None);
            }
            let written = self.store.modified(key)?.or(begun);
            Ok(written.is_some_and(|time| time < before).then(|| key.clone()))
        };
        let mut orphans = Vec::new();
        at_once(self.at_once(), unnamed, is_old, |old: Result<Option<String>>| {
            orphans.extend(old?);
            Ok(())
        })?;
        orphans.sort_unstable();
        Ok(orphans)
    }

    /// Removes files that nothing names.
    pub(crate) fn remove(&self, keys: &[String]) -> Result<()> {
        at_once(self.at_once(), keys, |key| self.store.delete(key), |removed| removed)
    }

    /// What the keys of its files begin with.
    fn place(&self) -> String {
        format!("{}/", self.root_if_known().unwrap_or_else(|| self.name.clone()))
    }

    /// What is where the table lies.
    fn listed(&self) -> Result<Vec<Object>> {
        let place = self.place();
        if !is_elsewhere(&place) {
            return self.store.list(&place);
        }
        // Of what lies elsewhere nobody knows that all below it is the table's. Its catalog may not let it be listed:
        // S3 Tables removes by itself what nothing names.
        let listed = FOLDERS.map(|folder| self.store.list(&format!("{place}{folder}")));
        match listed.into_iter().collect::<Result<Vec<_>>>() {
            Ok(listed) => Ok(listed.into_iter().flatten().collect()),
            Err(error) => {
                tracing::warn!(
                    table = self.name,
                    "{}: files that no snapshot names are not looked for, that is for its catalog: {}",
                    self.name,
                    error.with_causes()
                );
                Ok(Vec::new())
            }
        }
    }

    /// Keys of what is where the table lies, and is neither named by a snapshot nor part of its pointer.
    pub(crate) fn unnamed(&self) -> Result<Vec<String>> {
        self.load()?;
        // Listed before: what is written meanwhile is not there.
        let listed = self.listed()?;
        let named = self.named()?;
        if named.is_empty() && !listed.is_empty() {
            tracing::warn!(
                table = self.name,
                files = listed.len(),
                "{}: it has files and no metadata: the run that made it died before its first commit, or the metadata is \
                 gone; its files are left as they are",
                self.name
            );
            return Ok(Vec::new());
        }
        // A server that writes the metadata removes it as it likes. Of ours a run may have died over one that had had its
        // time.
        let owns_metadata = self.pointer.owns_metadata();
        let is_of_pointer = |key: &str| {
            ["version-hint.text", ".crc"].iter().any(|hint| key.ends_with(hint))
                || (is_metadata(key) && !owns_metadata)
        };
        let keys = listed.into_iter().map(|object| object.key);
        Ok(keys.filter(|key| !named.contains(key) && !is_of_pointer(key)).collect())
    }
}

/// Whether a file is none of this program.
pub(crate) fn is_strange(key: &str) -> bool {
    run_time(key).is_none() && !is_metadata(key)
}

/// Whether it is a version of the metadata, which only whoever moves the pointer writes.
fn is_metadata(key: &str) -> bool {
    key.ends_with(".metadata.json")
}

/// When the run began that has written a file of this program, as the file's name says.
fn run_time(key: &str) -> Option<SystemTime> {
    let name = key.rsplit('/').next().unwrap_or_default();
    let time = name.split('-').next().unwrap_or_default();
    let (begun, rest) = NaiveDateTime::parse_and_remainder(time, RUN_TIME).ok()?;
    rest.is_empty().then(|| begun.and_utc().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_this_program_says_when_its_run_began() {
        let begun = SystemTime::UNIX_EPOCH + Duration::from_micros(1_767_225_600_000_001);
        let own = "t/data/at_month=2026-01/20260101T000000000001-00002a-00007.parquet";
        assert_eq!(run_time(own), Some(begun));
        for other in [
            "t/data/00000-3-8a7c1e1e-4f4b-4c0e-9d65-0d6d1d0a8a35-00001.parquet",
            "t/data/20260101T0000000000012-00002a-00007.parquet",
            "t/data/20261301T000000000001-00002a-00007.parquet",
            "t/notes.json",
        ] {
            assert_eq!(run_time(other), None, "{other}");
        }
    }
}
