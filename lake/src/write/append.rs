//! Append: rows flow into new files while they arrive, and the files become visible at the commit.
//!
//! An open file holds encoders for all its columns. Where many tables or partitions have few rows
//! each, the rows wait, in memory or in the temporary file, and are written file after file.

use std::collections::HashMap;

use arrow::array::UInt32Array;
use arrow::compute::take_record_batch;
use arrow::datatypes::Schema;

use super::committed::Committed;
use super::core::{Core, FILE_BYTES};
use super::widen::are_of_current_type;
use crate::at_once::at_once;
use crate::error::{Error, Result};
use crate::file::writer::{ENCODER_BYTES, Ended, PartWriter};
use crate::format::iceberg::metrics::Metrics;
use crate::room::Part;
use crate::stage::{Group, StageReader};
use crate::store::{Condition, Object};

/// Files of one table that may be open at a time.
const OPEN_FILES: usize = 8;

/// The files that a run adds to a table, none of which is visible yet.
///
/// They lie below `root`, the staging prefix of rows that wait, or else below the table's own.
#[derive(Debug, Default)]
pub(super) struct NewFiles {
    writers: HashMap<Group, NewFile>,
    /// Files of an older schema, or of a commit that has begun: complete but for their footer.
    retired: Vec<(Group, NewFile)>,
    /// Files of a commit that has begun, for the rows that wait.
    planned: Vec<Planned>,
    next_file: u64,
    /// Rows that nothing covers are in the files, where they can no more be told from the others.
    uncovered: bool,
}

/// The files for the waiting rows of a group.
#[derive(Debug)]
struct Planned {
    group: Group,
    /// The first of them, if it is open already.
    open: Option<NewFile>,
    /// Keys of the others. There may be more than are needed.
    keys: Vec<String>,
}

/// A file that is not yet visible.
#[derive(Debug)]
struct NewFile {
    key: String,
    part: PartWriter,
}

impl NewFile {
    fn begin(core: &Core, key: String) -> Result<Self> {
        let part = core.part(&key, Condition::Absent)?;
        Ok(Self { key, part })
    }

    fn is_full(&self) -> bool {
        self.part.bytes() >= FILE_BYTES
    }

    /// Whether one of its columns is of another type than the table's.
    fn is_narrow(&self, columns: &Schema) -> bool {
        !are_of_current_type(self.part.schema().fields(), columns)
    }
}

impl NewFiles {
    pub(super) fn memory(&self) -> usize {
        self.writers.values().map(|file| file.part.memory()).sum()
    }

    pub(super) fn rows(&self) -> u64 {
        let retired = self.retired.iter().map(|(_, file)| file);
        let planned = self.planned.iter().filter_map(|planned| planned.open.as_ref());
        self.writers.values().chain(retired).chain(planned).map(|file| file.part.rows()).sum()
    }

    /// Whether rows that nothing covers are among those of the files.
    pub(super) fn has_uncovered(&self) -> bool {
        self.uncovered
    }

    /// Rows that nothing covers can no more be told from the others.
    pub(super) fn uncover(&mut self) {
        self.uncovered = true;
    }

    /// All rows so far are covered.
    pub(super) fn cover(&mut self) {
        self.uncovered = false;
    }

    pub(super) fn close_row_groups(&mut self) -> Result<()> {
        self.writers.values_mut().try_for_each(|file| file.part.close_row_group())
    }

    /// The schema changes: open files keep theirs, also those of a commit that has begun.
    pub(super) fn outdate(&mut self) -> Result<()> {
        let planned = self.planned.iter_mut();
        let open: Vec<_> = planned
            .filter_map(|planned| planned.open.take().map(|file| (planned.group, file)))
            .collect();
        open.into_iter().try_for_each(|(group, file)| self.close(group, file))?;
        self.retire()
    }

    /// Nothing more comes into the open files.
    fn retire(&mut self) -> Result<()> {
        let open: Vec<_> = self.writers.drain().collect();
        open.into_iter().try_for_each(|(group, file)| self.close(group, file))
    }

    /// Nothing more comes into a file.
    fn close(&mut self, group: Group, mut file: NewFile) -> Result<()> {
        file.part.close_row_group()?;
        self.retired.push((group, file));
        Ok(())
    }

    /// Encodes staged rows if they are at least `least` bytes in few enough groups: those that are
    /// covered, or `all`. Whether it was done.
    pub(super) fn feed(
        &mut self,
        core: &mut Core,
        root: Option<&str>,
        least: usize,
        all: bool,
    ) -> Result<bool> {
        let (groups, staged) = (core.stage.groups(), core.stage.memory());
        if groups.len() > OPEN_FILES || staged < least || staged < self.opening(core) {
            return Ok(false);
        }
        self.uncovered |= all && core.stage.has_uncovered();
        let groups = core.stage.groups().to_vec();
        for (batch, numbers) in core.stage.drain(all) {
            for (number, group) in (0_u32..).zip(&groups) {
                let rows: Vec<u32> = (0_u32..)
                    .zip(&numbers)
                    .filter(|(_, owner)| **owner == number)
                    .map(|(row, _)| row)
                    .collect();
                if rows.is_empty() {
                    continue;
                }
                let part = if rows.len() == batch.num_rows() {
                    batch.clone()
                } else {
                    take_record_batch(&batch, &UInt32Array::from(rows)).map_err(Error::arrow)?
                };
                self.file(core, root, *group)?.part.write(&part)?;
            }
        }
        Ok(true)
    }

    /// Bytes that the encoders take which the staged rows would need beside those at work.
    fn opening(&self, core: &Core) -> usize {
        let (groups, columns) = (core.stage.groups(), core.stage.schema().flattened_fields().len());
        let is_at_work =
            |group: &&Group| self.writers.get(*group).is_some_and(|file| file.part.memory() > 0);
        let closed = groups.len() - groups.iter().filter(is_at_work).count();
        closed * columns * ENCODER_BYTES
    }

    /// The open file of a group; a full one makes room for the next.
    fn file(&mut self, core: &Core, root: Option<&str>, group: Group) -> Result<&mut NewFile> {
        if self.writers.get(&group).is_some_and(NewFile::is_full)
            && let Some(full) = self.writers.remove(&group)
        {
            self.close(group, full)?;
        }
        if !self.writers.contains_key(&group) {
            let key = self.new_key(core, root, group)?;
            let file = NewFile::begin(core, key)?;
            self.writers.insert(group, file);
        }
        self.writers
            .get_mut(&group)
            .ok_or_else(|| Error::internal("a file that was just opened is open"))
    }

    fn new_key(&mut self, core: &Core, root: Option<&str>, group: Group) -> Result<String> {
        if core.definition().is_iceberg() && root.is_none() {
            return core.new_key(Some(group));
        }
        let number = self.next_file;
        self.next_file += 1;
        let root = root.map_or_else(|| core.prefix(), str::to_owned);
        let (folder, run) = (core.stage.folder(group)?, &core.lake.run);
        Ok(format!("{root}{folder}{run}-{number:05}.parquet"))
    }

    /// Names the files that the commit will show; none of them is visible yet.
    pub(super) fn prepare(&mut self, core: &mut Core, root: Option<&str>) -> Result<Vec<String>> {
        if self.planned.is_empty()
            && core.stage.rows() > 0
            && (core.stage.is_spilled() || !self.feed(core, root, 0, true)?)
        {
            // Encoded, the rows take less than they do now.
            let files = 1 + core.stage.staged_bytes() / FILE_BYTES;
            for group in core.stage.groups().to_vec() {
                let open = self.writers.remove(&group);
                let keys = (0..files).map(|_| self.new_key(core, root, group));
                let keys = keys.collect::<Result<_>>()?;
                self.planned.push(Planned { group, open, keys });
            }
        }
        self.retire()?;
        self.uncovered = false;
        self.retired.retain(|(_, file)| file.part.rows() > 0);
        let retired = self.retired.iter().map(|(_, file)| &file.key);
        let planned = self
            .planned
            .iter()
            .flat_map(|planned| planned.open.iter().map(|file| &file.key).chain(&planned.keys));
        Ok(retired.chain(planned).cloned().collect())
    }

    /// Whether there are rows in files of a narrower type than these columns have.
    pub(super) fn are_narrow(&self, columns: &Schema) -> bool {
        self.retired.iter().any(|(_, file)| file.is_narrow(columns) && file.part.rows() > 0)
    }

    /// Makes the files of a narrower type visible, beside others of that type.
    pub(super) fn commit_narrow(&mut self, core: &Core, committed: &mut Committed) -> Result<()> {
        let retired = std::mem::take(&mut self.retired).into_iter();
        let (narrow, current) = retired.partition(|(_, file)| file.is_narrow(core.stage.schema()));
        self.retired = current;
        let narrow = Vec::from_iter(narrow).into_iter().map(|file| end(core, file));
        show(core, narrow, |Made { group, object, .. }| {
            committed.count(&object, &core.stage.folder(group)?);
            Ok(())
        })
    }

    /// Writes the waiting rows and makes all files visible.
    pub(super) fn commit(&mut self, core: &Core, committed: &mut Committed) -> Result<()> {
        for Made { group, object, .. } in self.finish(core)? {
            committed.count(&object, &core.stage.folder(group)?);
        }
        Ok(())
    }

    /// Writes the waiting rows and ends all files.
    pub(super) fn finish(&mut self, core: &Core) -> Result<Vec<Made>> {
        let retired = std::mem::take(&mut self.retired).into_iter().map(|file| end(core, file));
        let planned = std::mem::take(&mut self.planned).into_iter();
        let reader = core.stage.reader()?;
        let (mut full, mut made) = (Vec::new(), Vec::new());
        let planned = planned.map(|planned| planned.write(core, &reader, &mut full));
        show(core, retired.chain(planned), |shown| {
            made.push(shown);
            Ok(())
        })?;
        made.extend(full);
        Ok(made)
    }
}

/// A file that was made for a group.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) group: Group,
    pub(super) object: Object,
    /// What its footer says, where its columns have ids.
    #[allow(dead_code, reason = "it is read with the feature `iceberg`")]
    pub(super) metrics: Option<Metrics>,
}

impl Planned {
    /// Writes the rows of the group. A file that gets full becomes visible; the last is given back.
    fn write<'a>(
        self,
        core: &'a Core,
        reader: &StageReader<'_>,
        ended: &mut Vec<Made>,
    ) -> Result<Whole<'a>> {
        let Self { group, open, keys } = self;
        let mut keys = keys.into_iter();
        let mut file = open;
        let mut room = core.room();
        reader.each(group, |batch| {
            if file.as_ref().is_none_or(NewFile::is_full)
                && let Some(key) = keys.next()
                && let Some(full) = file.replace(NewFile::begin(core, key)?)
            {
                let mut full = full.part.end()?;
                let metrics = full.take_metrics();
                ended.push(Made { group, object: full.finish()?, metrics });
            }
            let file = file.as_mut().ok_or_else(no_file)?;
            file.part.write(batch)?;
            room.resize(file.part.memory());
            Ok(())
        })?;
        let file = file.ok_or_else(no_file)?.part.end()?;
        room.resize(file.bytes());
        Ok((group, file, room))
    }
}

fn no_file() -> Error {
    Error::internal("every group of waiting rows has a file planned")
}

/// A file that nobody sees yet, with its group and its part of the lake's room.
type Whole<'a> = (Group, Ended, Part<'a>);

/// Ends a file that nothing more comes into.
fn end(core: &Core, (group, file): (Group, NewFile)) -> Result<Whole<'_>> {
    // Most of a large one is with the store already.
    let room = core.lake.room_for(0, file.part.bytes().min(core.lake.chunk_bytes()) as u64);
    Ok((group, file.part.end()?, room))
}

/// Makes files visible while the next of them are written, several at once: a note has named them all.
fn show<'a>(
    core: &Core,
    files: impl Iterator<Item = Result<Whole<'a>>>,
    mut take: impl FnMut(Made) -> Result<()>,
) -> Result<()> {
    let finish = |file: Result<Whole<'a>>| -> Result<Made> {
        let (group, mut file, _room) = file?;
        let metrics = file.take_metrics();
        Ok(Made { group, object: file.finish()?, metrics })
    };
    at_once(core.lake.at_once, files, finish, |shown| take(shown?))
}
