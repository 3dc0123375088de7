//! Which rows of the objects in the lake are replaced by staged ones.
//!
//! While all staged keys are in memory each row is looked up by itself. Beyond, the keys of many objects
//! are put beside the staged ones in one go, range by range of their hashes, because each time reads all
//! staged keys.

use std::fs::File;
use std::ops::ControlFlow;

use arrow::array::RecordBatch;

use super::core::Core;
use crate::at_once::at_once;
use crate::error::{Error, Result};
use crate::file::reader::{PartReader, Scanned};
use crate::stage::{Group, OldKeys, RowSet, StageReader};
use crate::store::{Condition, Object};
use crate::table::key;

/// Bytes of objects whose keys are looked for together: on S3 they lie in temporary files meanwhile.
const TOGETHER_BYTES: u64 = 1024 * 1024 * 1024;

/// Objects whose keys are looked for together: each has an open file meanwhile.
const TOGETHER: usize = 128;

/// An object that is written again, or made.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) key: String,
    /// The staged rows that come into it; nothing where it only loses some.
    pub(super) group: Option<Group>,
    /// As it is, if it is there.
    pub(super) object: Option<Object>,
}

impl Target {
    /// What must hold when it is written: that nobody was faster.
    pub(super) fn condition(&self) -> Condition {
        Condition::still(self.object.as_ref().filter(|object| object.key == self.key))
    }
}

/// Which rows of some objects are replaced.
#[derive(Debug)]
pub(super) enum Replaced<'a> {
    /// Those whose keys are staged.
    ByKey { table: &'a Core, staged: &'a StageReader<'a>, keys: Vec<usize> },
    /// These of all rows, one object after the other.
    Found { rows: RowSet, objects: Vec<Option<Result<Part>>> },
}

/// An object whose keys were read.
#[derive(Debug)]
pub(super) struct Part {
    file: File,
    /// Its first row among those of all objects, and the one behind its last.
    rows: (u64, u64),
}

/// Which rows of one object are replaced, asked batch by batch.
#[derive(Debug)]
pub(super) enum OfObject<'a> {
    ByKey { staged: &'a StageReader<'a>, keys: &'a [usize] },
    Found { rows: &'a RowSet, next_row: u64 },
}

/// Objects as they are looked at together, where the staged keys are beyond the memory.
pub(super) fn together<'a>(
    staged: &StageReader<'_>,
    mut targets: &'a [Target],
) -> Vec<&'a [Target]> {
    if !staged.has_spilled_keys() {
        return vec![targets];
    }
    let mut all = Vec::new();
    while !targets.is_empty() {
        let mut bytes = 0;
        let some = targets.iter().take(TOGETHER).take_while(|target| {
            let is_first = bytes == 0;
            bytes += target.object.as_ref().map_or(0, |object| object.size);
            is_first || bytes <= TOGETHER_BYTES
        });
        let (some, rest) = targets.split_at(some.count());
        all.push(some);
        targets = rest;
    }
    all
}

impl<'a> Replaced<'a> {
    /// Of these objects.
    pub(super) fn of(
        table: &'a Core,
        staged: &'a StageReader<'a>,
        targets: &[Target],
    ) -> Result<Self> {
        let has_old = targets.iter().any(|target| target.object.is_some());
        if !staged.has_spilled_keys() || !has_old {
            let keys = table.definition().key_positions()?;
            return Ok(Self::ByKey { table, staged, keys });
        }
        let mut old = OldKeys::new(&table.lake.spill);
        let mut objects: Vec<Option<Result<Part>>> = Vec::new();
        objects.resize_with(targets.len(), || None);
        let fetch = |(at, target): (usize, &Target)| {
            let object = target.object.clone();
            (at, object.map(|object| (table.lake.store.fetch(&object), object)))
        };
        at_once(table.lake.at_once, targets.iter().enumerate(), fetch, |(at, fetched)| {
            let Some((fetched, object)) = fetched else { return Ok(()) };
            let part = match fetched.and_then(|file| add_keys(table, &object, file, &mut old)) {
                // Whoever merges it hears of it.
                Err(error @ (Error::Conflict { .. } | Error::Newer { .. })) => Err(error),
                part => Ok(part?),
            };
            if let Some(place) = objects.get_mut(at) {
                *place = Some(part);
            }
            Ok(())
        })?;
        Ok(Self::Found { rows: staged.find(old)?, objects })
    }

    /// Whether the object of a target has such rows.
    pub(super) fn are_in(&self, at: usize, target: &Target) -> Result<bool> {
        match self {
            Self::ByKey { table, staged, keys } => {
                let Some(object) = &target.object else { return Ok(false) };
                let file = table.lake.store.fetch(object)?;
                let mut are_in = false;
                scan(table, object, &file, |scanned| {
                    if let Scanned::Rows(batch) = scanned {
                        let replaced = staged.replaces(&key::hash_rows(&batch, keys)?)?;
                        are_in = replaced.contains(&true);
                    }
                    Ok(if are_in { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
                })?;
                Ok(are_in)
            }
            Self::Found { rows, objects } => match objects.get(at) {
                Some(Some(Ok(part))) => {
                    let (from, to) = part.rows;
                    let span =
                        rows.span(from, to, usize::try_from(to - from).unwrap_or(usize::MAX))?;
                    for row in from..to {
                        if span.contains(row)? {
                            return Ok(true);
                        }
                    }
                    Ok(false)
                }
                Some(Some(Err(error))) => Err(again(error)),
                Some(None) | None => Ok(false),
            },
        }
    }

    /// The file of a target's object, where it is at hand, and which of its rows are replaced.
    pub(super) fn in_object(&self, at: usize) -> Result<(Option<File>, OfObject<'_>)> {
        match self {
            Self::ByKey { staged, keys, .. } => Ok((None, OfObject::ByKey { staged, keys })),
            Self::Found { rows, objects } => match objects.get(at) {
                Some(Some(Ok(Part { file, rows: (first, _) }))) => {
                    let file = file.try_clone();
                    let file =
                        file.map_err(|error| Error::store("read", "a fetched object", error))?;
                    Ok((Some(file), OfObject::Found { rows, next_row: *first }))
                }
                Some(Some(Err(error))) => Err(again(error)),
                Some(None) | None => Err(Error::internal("an object that is merged was read")),
            },
        }
    }
}

/// An error that is told once more.
fn again(error: &Error) -> Error {
    match error {
        Error::Conflict { object } => Error::Conflict { object: object.clone() },
        Error::Newer { object } => Error::Newer { object: object.clone() },
        other => Error::internal(format!("only what is tried again is told later, not: {other}")),
    }
}

/// Reads the key columns of an object, where they may be those of staged rows.
fn scan(
    table: &Core,
    object: &Object,
    file: &File,
    take: impl FnMut(Scanned) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let name = table.lake.store.locate(&object.key);
    let (keys, schema) = (&table.definition().keys, table.stage.schema());
    let meets = |statistics: Option<&_>| table.key_range.meets(statistics);
    PartReader::scan_columns(file, &name, schema, keys, meets, take)
}

/// Adds the keys of an object's rows to those of others.
fn add_keys(table: &Core, object: &Object, file: File, old: &mut OldKeys) -> Result<Part> {
    let first = old.rows();
    let keys = table.definition().key_positions()?;
    scan(table, object, &file, |scanned| {
        match scanned {
            Scanned::Rows(batch) => old.add(&key::hash_rows(&batch, &keys)?)?,
            Scanned::Skipped(rows) => old.skip(rows),
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(Part { file, rows: (first, old.rows()) })
}

impl OfObject<'_> {
    /// Which rows of the next batch are replaced.
    pub(super) fn next(&mut self, batch: &RecordBatch) -> Result<Vec<bool>> {
        match self {
            Self::ByKey { staged, keys } => staged.replaces(&key::hash_rows(batch, keys)?),
            Self::Found { rows, next_row } => {
                let (from, count) = (*next_row, batch.num_rows());
                *next_row += count as u64;
                let span = rows.span(from, *next_row, count)?;
                (from..*next_row).map(|row| span.contains(row)).collect()
            }
        }
    }
}
