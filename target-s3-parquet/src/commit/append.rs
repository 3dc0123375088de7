//! Append: rows flow into new files while they arrive, and the files become visible at the commit.
//!
//! An open file holds encoders for all its columns. Where many tables or partitions have few rows
//! each, the rows wait, in memory or in the temporary file, and are written file after file.

use std::collections::HashMap;

use arrow::array::UInt32Array;
use arrow::compute::take_record_batch;

use super::{Committed, TableWriter};
use crate::error::{Error, Result};
use crate::parquet_file::{ENCODER_BYTES, PartWriter};
use crate::stage::Group;
use crate::store::Condition;

/// Size at which a file is full: what Redshift, Athena and Spark read in one piece.
pub const FILE_BYTES: usize = 128 * 1024 * 1024;

/// Files of one table that may be open at a time.
const OPEN_FILES: usize = 8;

/// Files that are not yet visible.
#[derive(Debug, Default)]
pub(super) struct Open {
    writers: HashMap<Group, NewFile>,
    /// Files of an older schema, or of a commit that has begun: complete but for their footer.
    retired: Vec<(Group, NewFile)>,
    /// Files of a commit that has begun, for the rows that wait.
    planned: Vec<Planned>,
    next_file: u64,
    /// Rows that no STATE covers are in the files.
    mixed: bool,
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
    fn is_full(&self) -> bool {
        self.part.bytes() >= FILE_BYTES
    }
}

impl Open {
    pub(super) fn memory(&self) -> usize {
        self.writers.values().map(|file| file.part.memory()).sum()
    }

    pub(super) fn rows(&self) -> u64 {
        let retired = self.retired.iter().map(|(_, file)| file);
        let planned = self.planned.iter().filter_map(|planned| planned.open.as_ref());
        self.writers.values().chain(retired).chain(planned).map(|file| file.part.rows()).sum()
    }

    pub(super) fn is_mixed(&self) -> bool {
        self.mixed
    }

    /// Rows that no STATE covers can no more be told from those that one covers.
    pub(super) fn mix(&mut self) {
        self.mixed = true;
    }

    pub(super) fn seal(&mut self) {
        self.mixed = false;
    }

    pub(super) fn close_row_groups(&mut self) -> Result<()> {
        self.writers.values_mut().try_for_each(|file| file.part.close_row_group())
    }

    /// The schema changes: open files keep theirs.
    pub(super) fn retire(&mut self) -> Result<()> {
        let open: Vec<_> = self.writers.drain().collect();
        open.into_iter().try_for_each(|(group, file)| self.close(group, file))
    }

    /// Nothing more comes into a file.
    fn close(&mut self, group: Group, mut file: NewFile) -> Result<()> {
        file.part.close_row_group()?;
        self.retired.push((group, file));
        Ok(())
    }
}

impl TableWriter {
    /// Encodes staged rows if they are at least `least` bytes in few enough groups: those that a
    /// STATE covers, or `all`. Whether it was done.
    pub(super) fn feed(&mut self, least: usize, all: bool) -> Result<bool> {
        let (groups, staged) = (self.stage.groups(), self.stage.memory());
        if groups.len() > OPEN_FILES || staged < least || staged < self.opening(groups) {
            return Ok(false);
        }
        self.append.mixed |= all && self.stage.has_unsealed();
        let groups = self.stage.groups().to_vec();
        for (batch, numbers) in self.stage.drain(all) {
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
                    take_record_batch(&batch, &UInt32Array::from(rows))
                        .map_err(|error| Error::Internal(error.to_string()))?
                };
                self.file(*group)?.part.write(&part)?;
            }
        }
        self.append.writers.values_mut().try_for_each(|file| file.part.encode())?;
        Ok(true)
    }

    /// Bytes that the encoders take which rows of these groups would need beside those at work.
    fn opening(&self, groups: &[Group]) -> usize {
        let columns = self.stage.schema().flattened_fields().len();
        let is_at_work = |group: &&Group| {
            self.append.writers.get(*group).is_some_and(|file| file.part.memory() > 0)
        };
        let closed = groups.len() - groups.iter().filter(is_at_work).count();
        closed * columns * ENCODER_BYTES
    }

    /// The open file of a group; a full one makes room for the next.
    fn file(&mut self, group: Group) -> Result<&mut NewFile> {
        if self.append.writers.get(&group).is_some_and(NewFile::is_full)
            && let Some(full) = self.append.writers.remove(&group)
        {
            self.append.close(group, full)?;
        }
        if !self.append.writers.contains_key(&group) {
            let key = self.new_key(group);
            let file = self.begin(key)?;
            self.append.writers.insert(group, file);
        }
        self.append
            .writers
            .get_mut(&group)
            .ok_or_else(|| Error::Internal("a file that was just opened is gone".into()))
    }

    fn new_key(&mut self, group: Group) -> String {
        let number = self.append.next_file;
        self.append.next_file += 1;
        format!("{}{}{}-{number:05}.parquet", self.root(), self.stage.folder(group), self.lake.run)
    }

    fn begin(&self, key: String) -> Result<NewFile> {
        let part = self.part(&key, Condition::Absent)?;
        Ok(NewFile { key, part })
    }
}

/// Names the files that the commit will show; none of them is visible yet.
pub(super) fn prepare(table: &mut TableWriter) -> Result<Vec<String>> {
    if table.append.planned.is_empty()
        && table.stage.rows() > 0
        && (table.stage.is_spilled() || !table.feed(0, true)?)
    {
        // Encoded, the rows take less than they do now.
        let files = 1 + table.stage.staged_bytes() / FILE_BYTES;
        for group in table.stage.groups().to_vec() {
            let open = table.append.writers.remove(&group);
            let keys = (0..files).map(|_| table.new_key(group)).collect();
            table.append.planned.push(Planned { group, open, keys });
        }
    }
    table.append.retire()?;
    table.append.mixed = false;
    table.append.retired.retain(|(_, file)| file.part.rows() > 0);
    let retired = table.append.retired.iter().map(|(_, file)| &file.key);
    let planned = table
        .append
        .planned
        .iter()
        .flat_map(|planned| planned.open.iter().map(|file| &file.key).chain(&planned.keys));
    Ok(retired.chain(planned).cloned().collect())
}

/// Writes the waiting rows and makes all files visible.
pub(super) fn commit(table: &mut TableWriter, committed: &mut Committed) -> Result<()> {
    for (group, file) in table.append.retired.drain(..) {
        committed.add(&file.part.finish()?, &table.stage.folder(group));
    }
    let planned = std::mem::take(&mut table.append.planned);
    let reader = table.stage.reader();
    for Planned { group, open, keys } in planned {
        let folder = table.stage.folder(group);
        let mut keys = keys.into_iter();
        let mut file = open;
        reader.each(group, |batch| {
            if file.as_ref().is_none_or(NewFile::is_full)
                && let Some(key) = keys.next()
                && let Some(full) = file.replace(table.begin(key)?)
            {
                committed.add(&full.part.finish()?, &folder);
            }
            match &mut file {
                Some(file) => file.part.write(batch),
                None => Err(Error::Internal("a file was not planned".into())),
            }
        })?;
        if let Some(file) = file {
            committed.add(&file.part.finish()?, &folder);
        }
    }
    Ok(())
}
