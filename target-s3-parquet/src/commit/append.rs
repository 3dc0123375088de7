//! Append: rows flow into new files while they arrive, and the files become visible at the commit.

use std::cell::Cell;
use std::collections::HashMap;

use arrow::array::UInt32Array;
use arrow::compute::take_record_batch;

use super::{Committed, TableWriter};
use crate::error::{Error, Result};
use crate::parquet_file::PartWriter;
use crate::stage::Group;
use crate::store::Condition;

/// Staged bytes that are worth encoding at once.
pub(super) const FEED_BYTES: usize = 8 * 1024 * 1024;

/// Size at which a file is full: what Redshift, Athena and Spark read in one piece.
pub const FILE_BYTES: usize = 128 * 1024 * 1024;

/// Files of one table that may be open at a time; each holds a row group in memory. Beyond it,
/// rows wait in temporary files.
const OPEN_FILES: usize = 8;

/// Files that are not yet visible.
#[derive(Debug, Default)]
pub(super) struct Open {
    writers: HashMap<Group, NewFile>,
    /// Files of an older schema, or of a commit that has begun: complete but for their footer.
    retired: Vec<(Group, NewFile)>,
    next_file: Cell<u64>,
    /// Rows that no STATE covers are in the files.
    mixed: bool,
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
        self.writers.values().chain(retired).map(|file| file.part.rows()).sum()
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
        if self.stage.groups().len() > OPEN_FILES {
            return Ok(false);
        }
        if self.stage.memory() < least {
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
        Ok(true)
    }

    /// The open file of a group; a full one makes room for the next.
    fn file(&mut self, group: Group) -> Result<&mut NewFile> {
        if self.append.writers.get(&group).is_some_and(NewFile::is_full)
            && let Some(full) = self.append.writers.remove(&group)
        {
            self.append.close(group, full)?;
        }
        if !self.append.writers.contains_key(&group) {
            let file = self.new_file(group)?;
            self.append.writers.insert(group, file);
        }
        self.append
            .writers
            .get_mut(&group)
            .ok_or_else(|| Error::Internal("a file that was just opened is gone".into()))
    }

    fn new_file(&self, group: Group) -> Result<NewFile> {
        let number = self.append.next_file.get();
        self.append.next_file.set(number + 1);
        let key = format!(
            "{}/{}{}-{number:05}.parquet",
            self.definition.table,
            self.stage.folder(group),
            self.lake.run
        );
        let part = self.part(&key, Condition::Absent)?;
        Ok(NewFile { key, part })
    }
}

/// Writes what is staged and names the files; none of them is visible yet.
pub(super) fn prepare(table: &mut TableWriter) -> Result<Vec<String>> {
    let fed = !table.stage.is_spilled() && table.feed(0, true)?;
    if !fed {
        // Rows in temporary files, or more groups than files may be open: one after the other.
        for group in table.stage.groups().to_vec() {
            let mut file = match table.append.writers.remove(&group) {
                Some(file) => file,
                None => table.new_file(group)?,
            };
            let mut full = Vec::new();
            table.stage.reader().each(group, |batch| {
                if file.is_full() {
                    full.push(std::mem::replace(&mut file, table.new_file(group)?));
                }
                file.part.write(batch)
            })?;
            full.push(file);
            full.into_iter().try_for_each(|file| table.append.close(group, file))?;
        }
        table.stage.forget_rows();
    }
    table.append.retire()?;
    table.append.mixed = false;
    table.append.retired.retain(|(_, file)| file.part.rows() > 0);
    Ok(table.append.retired.iter().map(|(_, file)| file.key.clone()).collect())
}

/// Makes the prepared files visible.
pub(super) fn commit(table: &mut TableWriter, committed: &mut Committed) -> Result<()> {
    for (group, file) in table.append.retired.drain(..) {
        committed.add(&file.part.finish()?, &table.stage.folder(group));
    }
    Ok(())
}
