//! What a table needs besides commits of rows: snapshots that expire, and files that no snapshot names.

use std::collections::{BTreeSet, HashSet};

use serde_json::json;

use super::expiry::{self, Expired};
use super::manifest::{DELETED, Entry, Row};
use super::metadata::{Metadata, cut_log, push};
use super::pointer::Swap;
use super::table::Table;
use crate::error::Result;

/// How old a file is at least that is taken for one that a run has left: Spark refuses less than a day.
const ORPHAN_DAYS: i64 = 3;

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
            // What has gone already names nothing.
            let Some((_, bytes)) = self.store.get(&self.key(file)?)? else { continue };
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
                        let manifest = self.manifest(row.path())?;
                        let entries = manifest.records.iter().map(Entry);
                        files.extend(entries.map(|entry| entry.path().to_owned()));
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
            let manifest = self.manifest(path)?;
            let entries = manifest.records.iter().map(Entry);
            // Those that a snapshot has taken away are named by the ones before it, as long as there are some.
            let entries = entries.filter(|entry| entry.status() != DELETED);
            paths.extend(entries.map(|entry| entry.path().to_owned()));
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

    /// Keys of files of this program that no snapshot names and that were written long enough ago.
    pub(crate) fn orphans(&self) -> Result<Vec<String>> {
        let before = chrono::Utc::now() - chrono::Duration::days(ORPHAN_DAYS);
        let before = before.format("%Y%m%dT%H%M%S%6f").to_string();
        let is_old = |key: &String| {
            let name = key.rsplit('/').next().unwrap_or_default();
            let time = name.split('-').next().unwrap_or_default();
            time.len() == before.len() && time.contains('T') && time < before.as_str()
        };
        let objects = self.unnamed()?;
        Ok(objects.into_iter().filter(is_old).collect())
    }

    /// Keys of files below the table that neither a snapshot names nor this program has written.
    pub(crate) fn strange_objects(&self) -> Result<Vec<String>> {
        let is_own = |key: &String| {
            let name = key.rsplit('/').next().unwrap_or_default();
            let time = name.split('-').next().unwrap_or_default();
            time.split_once('T').is_some_and(|(day, time)| day.len() == 8 && time.len() == 12)
        };
        Ok(self.unnamed()?.into_iter().filter(|key| !is_own(key)).collect())
    }

    fn unnamed(&self) -> Result<Vec<String>> {
        if self.load()?.is_some() && self.is_elsewhere() {
            tracing::info!(
                table = self.name,
                "{}: it lies where its catalog has put it, whose own maintenance removes what nothing names",
                self.name
            );
            return Ok(Vec::new());
        }
        // Listed before: what is written meanwhile is not there.
        let listed = self.store.list(&format!("{}/", self.name))?;
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
        let hints = ["version-hint.text", ".crc"];
        let is_metadata = |key: &str| {
            hints.iter().any(|hint| key.ends_with(hint)) || key.ends_with(".metadata.json")
        };
        let keys = listed.into_iter().map(|object| object.key);
        Ok(keys.filter(|key| !named.contains(key) && !is_metadata(key)).collect())
    }
}
