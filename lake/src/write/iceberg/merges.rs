//! Rows that take the place of others: groups are merged with their files, and merged again where these have changed.

use std::collections::HashMap;

use arrow::datatypes::SchemaRef;

use super::attempt::{Start, discard, no_metrics};
use crate::at_once::at_once;
use crate::error::{Error, Result};
use crate::format::iceberg::manifest::DataFile;
use crate::format::iceberg::table::{Live, Table};
use crate::format::iceberg::value::Single;
use crate::stage::Group;
use crate::write::committed::Committed;
use crate::write::core::{Core, FILE_BYTES};
use crate::write::replaced::{self, Replaced, Target};
use crate::write::upsert::{Merged, Rows, hit, merge_all};

/// What was merged, group by group.
#[derive(Debug, Default)]
pub(super) struct Merges {
    /// The columns of what was written.
    columns: Option<SchemaRef>,
    groups: HashMap<Group, Merge>,
    /// What left partitions that get no rows.
    elsewhere: Merge,
}

/// For whom something is merged: the group, its partition, and the path of the file of before.
type Owner = (Option<Group>, Vec<Single>, Option<String>);

/// What was merged for a group.
#[derive(Debug, Default)]
struct Merge {
    /// Paths of the files that were there.
    basis: Vec<String>,
    /// Paths of those that go, with their partitions.
    removed: Vec<(String, Vec<Single>)>,
    files: Vec<DataFile>,
    rows: Vec<(Rows, bool)>,
    bytes_read: u64,
}

impl Merges {
    /// Merges the groups whose files are others than those by which they were merged. Not where others have left files
    /// that are divided otherwise than the table is now: in which groups their rows belong is not known.
    pub(super) fn bring_up(&mut self, core: &Core, work: &Table, start: &Start) -> Result<bool> {
        if self.columns != core.file_schema {
            self.discard(core);
            self.columns.clone_from(&core.file_schema);
        }
        let groups = core.stage.groups();
        let value = |group: &Group| -> Result<_> {
            Ok((*group, start.plan.values(core.stage.hidden(*group)?, group.shard)?))
        };
        let values: Vec<(Group, Vec<Single>)> = groups.iter().map(value).collect::<Result<_>>()?;
        let wanted: Vec<Vec<Single>> = values.iter().map(|(_, value)| value.clone()).collect();
        let live = match &start.base {
            Some(base) => {
                let wanted = (!core.moves_keys).then_some(wanted.as_slice());
                work.live(&base.metadata, wanted)?
            }
            None => Vec::new(),
        };
        let default = start.base.as_ref().map(|base| base.metadata.default_spec_id());
        if live.iter().any(|file| Some(file.spec) != default) {
            return Ok(false);
        }
        let mut by_value: HashMap<&[Single], Vec<&Live>> = HashMap::new();
        for file in &live {
            by_value.entry(&file.partition).or_default().push(file);
        }
        let mut due = Vec::new();
        for (group, value) in &values {
            let there = by_value.remove(value.as_slice()).unwrap_or_default();
            let is_same =
                |merge: &Merge| merge.basis.iter().eq(there.iter().map(|file| &file.path));
            if !self.groups.get(group).is_some_and(is_same) {
                due.push((*group, value.clone(), there));
            }
        }
        let mut others: Vec<&Live> = by_value.into_values().flatten().collect();
        others.sort_by(|one, other| one.path.cmp(&other.path));
        let moved = if core.moves_keys { others } else { Vec::new() };
        let is_same = self.elsewhere.basis.iter().eq(moved.iter().map(|file| &file.path));
        for (group, ..) in &due {
            if let Some(old) = self.groups.remove(group) {
                old.discard(core);
            }
        }
        if !is_same {
            std::mem::take(&mut self.elsewhere).discard(core);
            self.elsewhere.basis = moved.iter().map(|file| file.path.clone()).collect();
        }
        self.merge(core, &due, if is_same { &[] } else { &moved })?;
        Ok(true)
    }

    fn merge(
        &mut self,
        core: &Core,
        due: &[(Group, Vec<Single>, Vec<&Live>)],
        moved: &[&Live],
    ) -> Result<()> {
        let mut targets = Vec::new();
        // By the key of what is written: whose it is, and the file that it takes the place of.
        let mut owners: HashMap<String, Owner> = HashMap::new();
        let mut add =
            |group: Option<Group>, owner, value: &[Single], old: Option<&Live>| -> Result<()> {
                let key = core.new_key(owner)?;
                let path = old.map(|old| old.path.clone());
                owners.insert(key.clone(), (owner, value.to_vec(), path));
                targets.push((Target { key, group, object: None }, old.map(|old| old.key.clone())));
                Ok(())
            };
        for (group, value, there) in due {
            // The smallest takes the new rows in, unless it is full.
            let home = there.iter().enumerate().min_by_key(|(_, file)| file.size);
            let home = home.filter(|(_, file)| file.size < FILE_BYTES as u64);
            add(Some(*group), Some(*group), value, home.map(|(_, file)| *file))?;
            for (at, file) in there.iter().enumerate() {
                if home.is_none_or(|(home, _)| home != at) {
                    add(None, Some(*group), value, Some(file))?;
                }
            }
            let basis = there.iter().map(|file| file.path.clone()).collect();
            self.groups.insert(*group, Merge { basis, ..Merge::default() });
        }
        for file in moved {
            add(None, None, &file.partition, Some(file))?;
        }
        let targets = looked_up(core, targets)?;
        let staged = core.stage.reader()?;
        for targets in replaced::together(&staged, &targets) {
            let replaced = Replaced::of(core, &staged, targets)?;
            let with_rows = targets.iter().enumerate().filter(|(_, target)| target.group.is_some());
            let others = targets.iter().enumerate().filter(|(_, target)| target.group.is_none());
            let mut all: Vec<_> = with_rows.collect();
            all.extend(hit(core, others, &replaced)?);
            let take = |target: &Target, merged: Result<Merged>| {
                let (owner, value, old) = owners
                    .remove(&target.key)
                    .ok_or_else(|| Error::internal("what is merged is merged for somebody"))?;
                let of_group = owner.and_then(|group| self.groups.get_mut(&group));
                of_group.unwrap_or(&mut self.elsewhere).take(core, target, merged?, value, old)
            };
            merge_all(core, &staged, all, &replaced, take)?;
        }
        Ok(())
    }

    /// The new files, and the paths of those that go, with their partitions.
    pub(super) fn files(&self) -> (Vec<DataFile>, HashMap<String, Vec<Single>>) {
        let merges = || self.groups.values().chain([&self.elsewhere]);
        let files = merges().flat_map(|merge| merge.files.iter().cloned()).collect();
        (files, merges().flat_map(|merge| merge.removed.iter().cloned()).collect())
    }

    pub(super) fn count(self, core: &Core, committed: &mut Committed) -> Result<()> {
        let groups = self.groups.into_iter().map(|(group, merge)| (Some(group), merge));
        for (group, merge) in groups.chain([(None, self.elsewhere)]) {
            committed.bytes_read += merge.bytes_read;
            for (rows, is_written) in merge.rows {
                if is_written {
                    committed.rows += rows.new;
                    committed.replaced_rows += rows.gone;
                } else {
                    committed.unchanged_rows += rows.new;
                }
            }
            let folder =
                group.map_or_else(|| Ok(String::new()), |group| core.stage.folder(group))?;
            for file in merge.files {
                committed.files += 1;
                committed.bytes += file.size;
                committed.partitions.insert(folder.clone());
            }
        }
        Ok(())
    }

    /// Takes back what was merged: certainly nobody knows of it.
    pub(super) fn discard(&mut self, core: &Core) {
        self.groups.drain().for_each(|(_, merge)| merge.discard(core));
        std::mem::take(&mut self.elsewhere).discard(core);
    }
}

impl Merge {
    fn take(
        &mut self,
        core: &Core,
        target: &Target,
        merged: Merged,
        partition: Vec<Single>,
        old: Option<String>,
    ) -> Result<()> {
        let Merged { file, rows } = merged;
        self.bytes_read += target.object.as_ref().map_or(0, |object| object.size);
        self.rows.push((rows, file.is_some()));
        let Some((object, metrics)) = file else { return Ok(()) };
        self.removed.extend(old.map(|path| (path, partition.clone())));
        let metrics = metrics.ok_or_else(no_metrics)?;
        if metrics.rows() == 0 {
            discard(core, [&object.key]);
            return Ok(());
        }
        // Most groups have one, and there may be ten thousand groups.
        self.files.reserve_exact(1);
        self.files.push(DataFile { key: object.key, size: object.size, partition, metrics });
        Ok(())
    }

    fn discard(self, core: &Core) {
        discard(core, self.files.iter().map(|file| &file.key));
    }
}

/// The objects that targets take the place of, as they are.
fn looked_up(core: &Core, targets: Vec<(Target, Option<String>)>) -> Result<Vec<Target>> {
    let mut found = Vec::with_capacity(targets.len());
    let look = |(at, (target, old)): (usize, (Target, Option<String>))| -> Result<_> {
        let object = match old {
            None => None,
            // A file that has gone was replaced by another commit meanwhile.
            Some(key) => Some(core.lake.store.head(&key)?.ok_or(Error::Conflict { object: key })?),
        };
        Ok((at, Target { object, ..target }))
    };
    at_once(core.lake.at_once, targets.into_iter().enumerate(), look, |target| {
        found.push(target?);
        Ok(())
    })?;
    found.sort_unstable_by_key(|(at, _)| *at);
    Ok(found.into_iter().map(|(_, target)| target).collect())
}
