//! Which partitions of a table the catalog may be behind of, and what has to be written for them.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_glue::types::{Column, Partition, PartitionInput};

use super::api::TableApi;
use super::entry::TableEntry;
use super::mismatch::Mismatch;
use super::rejection::Rejection;
use crate::error::{Error, Result};
use crate::table::partition;
use crate::write::Committed;

/// Folders of partitions by their values.
pub(super) type Folders = BTreeMap<String, String>;

/// The partitions of a table that the catalog may be behind of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DirtyPartitions {
    /// Those of these folders.
    Folders(BTreeSet<String>),
    /// Any, those included that are gone.
    All,
}

impl DirtyPartitions {
    /// None of them.
    pub(super) fn none() -> Self {
        Self::Folders(BTreeSet::new())
    }

    /// Whether the catalog knows all that is known here.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Folders(folders) => folders.is_empty(),
            Self::All => false,
        }
    }

    /// How many are known by name.
    pub(super) fn named(&self) -> usize {
        match self {
            Self::Folders(folders) => folders.len(),
            Self::All => 0,
        }
    }

    /// Adds what a commit has changed.
    pub(super) fn add(&mut self, committed: &Committed) {
        match self {
            Self::All => {}
            Self::Folders(_) if committed.replaced => *self = Self::All,
            Self::Folders(known) => known.extend(committed.partitions.iter().cloned()),
        }
    }
}

/// The folders that a commit has written, by the values of the key.
pub(super) fn committed_folders(key: &str, folders: &BTreeSet<String>) -> Result<Folders> {
    let by_value = |folder: &String| match partition::value(folder, key) {
        Some(value) => Ok((value, folder.clone())),
        None => Err(Error::internal(format!(
            "a commit to a table that is partitioned by `{key}` writes to its partitions, not to `{folder}`"
        ))),
    };
    folders.iter().map(by_value).collect()
}

/// What has to be written for the partitions of a table.
#[derive(Debug, Default)]
pub(super) struct PartitionChanges {
    new: Vec<PartitionInput>,
    changed: Vec<PartitionInput>,
    gone: Vec<String>,
}

impl PartitionChanges {
    /// Compares the partitions `found` in the catalog with the folders of the lake. Where both are
    /// `complete`, a partition without a folder is gone.
    pub(super) fn between(
        entry: &TableEntry,
        folders: &Folders,
        found: &[Partition],
        columns: &[Column],
        complete: bool,
    ) -> Result<Self, Mismatch> {
        let mut changes = Self::default();
        let mut known: BTreeMap<&str, &Partition> = BTreeMap::new();
        for partition in found {
            let [value] = partition.values() else {
                return Err(Mismatch::PartitionValues { found: partition.values().to_vec() });
            };
            known.insert(value, partition);
        }
        for (value, folder) in folders {
            match known.remove(value.as_str()) {
                None => changes.new.push(entry.create_partition(value, folder, columns)),
                Some(known) => {
                    let update = entry.update_partition(value, folder, columns, known)?;
                    changes.changed.extend(update);
                }
            }
        }
        if complete {
            known.retain(|_, known| entry.holds(known));
            changes.gone = known.into_keys().map(str::to_owned).collect();
        }
        Ok(changes)
    }

    /// Writes them. How many another writer was faster with.
    pub(super) fn write(self, tables: &dyn TableApi, table: &str) -> Result<usize, Rejection> {
        let mut stale = 0;
        if !self.new.is_empty() {
            stale += tables.create_partitions(table, self.new)?;
        }
        if !self.changed.is_empty() {
            stale += tables.update_partitions(table, self.changed)?;
        }
        if !self.gone.is_empty() {
            tables.delete_partitions(table, self.gone)?;
        }
        Ok(stale)
    }

    /// What they are, in words; with `columns` those that have others than their table as well.
    pub(super) fn words(&self, columns: bool) -> Vec<String> {
        let value = |input: &PartitionInput| input.values().first().cloned().unwrap_or_default();
        let told = |values: Vec<String>, what: &str| {
            let first = values.first()?;
            Some(format!("partitions that {what}: {}, such as `{first}`", values.len()))
        };
        let changed = if columns { self.changed.iter().map(value).collect() } else { Vec::new() };
        let all = [
            told(self.new.iter().map(value).collect(), "are missing"),
            told(changed, "have other columns than their table"),
            told(self.gone.clone(), "have no files any more"),
        ];
        all.into_iter().flatten().collect()
    }

    /// How many partitions are written or removed.
    pub(super) fn count(&self) -> usize {
        self.new.len() + self.changed.len() + self.gone.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::entry::tests::entry;
    use crate::catalog::fake::partition_of;

    #[test]
    fn a_partition_without_a_folder_is_gone_only_where_both_sides_are_complete() {
        let entry = entry();
        let found = [partition_of(&entry.create_partition("7", "p_id=7/", &[]))];
        for (complete, count) in [(true, 1), (false, 0)] {
            let changes =
                PartitionChanges::between(&entry, &Folders::new(), &found, &[], complete).unwrap();
            assert_eq!(changes.count(), count);
        }
    }

    #[test]
    fn commits_add_their_folders_until_one_has_replaced_the_table() {
        let mut dirty = DirtyPartitions::none();
        assert!(dirty.is_empty());
        let commit = |folder: &str, replaced: bool| Committed {
            partitions: [folder.into()].into(),
            replaced,
            ..Committed::default()
        };
        for folder in ["a/", "b/", "a/"] {
            dirty.add(&commit(folder, false));
        }
        assert_eq!(dirty.named(), 2);
        dirty.add(&commit("c/", true));
        dirty.add(&commit("d/", false));
        assert_eq!(dirty, DirtyPartitions::All);
        assert!(!dirty.is_empty());
    }
}
