//! Which rows of the objects in the lake are replaced by staged ones.
//!
//! While all staged keys are in memory each row is looked up by itself. Beyond, the keys of many objects
//! are put beside the staged ones in one go, range by range of their hashes, because each time reads all
//! staged keys.

use std::fs::File;

use arrow::array::RecordBatch;

use super::core::Core;
use crate::at_once::at_once;
use crate::error::{Error, Result};
use crate::file::reader::PartReader;
use crate::stage::{Group, OldKeys, RowSet, StageReader};
use crate::store::Object;
use crate::table::key;

/// Bytes of objects whose keys are looked for together: on S3 they lie in temporary files meanwhile.
const TOGETHER_BYTES: u64 = 1024 * 1024 * 1024;

/// Objects whose keys are looked for together: each has an open file meanwhile.
const TOGETHER: usize = 128;

/// A group with its object, if there is one.
pub(super) type Existing = (Group, Option<Object>);

/// Which rows of some objects are replaced.
#[derive(Debug)]
pub(super) enum Replaced<'a> {
    /// Those whose keys are staged.
    ByKey { staged: &'a StageReader<'a>, keys: Vec<usize> },
    /// These of all rows, one object after the other.
    Found { rows: RowSet, objects: Vec<Option<Result<Scanned>>> },
}

/// An object whose keys were read.
#[derive(Debug)]
pub(super) struct Scanned {
    file: File,
    /// Its first row among those of all objects.
    first_row: u64,
}

/// Which rows of one object are replaced, asked batch by batch.
#[derive(Debug)]
pub(super) enum OfObject<'a> {
    ByKey { staged: &'a StageReader<'a>, keys: &'a [usize] },
    Found { rows: &'a RowSet, next_row: u64 },
}

/// Groups as they are looked for together, where the staged keys are beyond the memory.
pub(super) fn together<'a>(
    staged: &StageReader<'_>,
    mut groups: &'a [Existing],
) -> Vec<&'a [Existing]> {
    if !staged.has_spilled_keys() {
        return vec![groups];
    }
    let mut all = Vec::new();
    while !groups.is_empty() {
        let mut bytes = 0;
        let some = groups.iter().take(TOGETHER).take_while(|(_, object)| {
            let is_first = bytes == 0;
            bytes += object.as_ref().map_or(0, |object| object.size);
            is_first || bytes <= TOGETHER_BYTES
        });
        let (some, rest) = groups.split_at(some.count());
        all.push(some);
        groups = rest;
    }
    all
}

impl<'a> Replaced<'a> {
    /// Of the objects of these groups.
    pub(super) fn of(
        table: &Core,
        staged: &'a StageReader<'a>,
        groups: &[Existing],
    ) -> Result<Self> {
        let keys = table.definition().key_positions()?;
        let has_old = groups.iter().any(|(_, object)| object.is_some());
        if !staged.has_spilled_keys() || !has_old {
            return Ok(Self::ByKey { staged, keys });
        }
        let mut old = OldKeys::new(&table.lake.spill);
        let mut objects: Vec<Option<Result<Scanned>>> = Vec::new();
        objects.resize_with(groups.len(), || None);
        let fetch = |(at, (_, object)): (usize, &Existing)| {
            (at, object.as_ref().map(|object| (object.clone(), table.lake.store.fetch(object))))
        };
        at_once(table.lake.at_once, groups.iter().enumerate(), fetch, |(at, fetched)| {
            let Some((object, fetched)) = fetched else { return Ok(()) };
            let scanned = match fetched.and_then(|file| scan(table, &object, file, &mut old)) {
                // Whoever merges its group hears of it.
                Err(error @ (Error::Conflict { .. } | Error::Newer { .. })) => Err(error),
                scanned => Ok(scanned?),
            };
            if let Some(place) = objects.get_mut(at) {
                *place = Some(scanned);
            }
            Ok(())
        })?;
        Ok(Self::Found { rows: staged.find(old)?, objects })
    }

    /// The file of a group's object, where it is at hand, and which of its rows are replaced.
    pub(super) fn in_object(&self, at: usize) -> Result<(Option<File>, OfObject<'_>)> {
        match self {
            Self::ByKey { staged, keys } => Ok((None, OfObject::ByKey { staged, keys })),
            Self::Found { rows, objects } => match objects.get(at) {
                Some(Some(Ok(Scanned { file, first_row }))) => {
                    let file = file.try_clone();
                    let file =
                        file.map_err(|error| Error::store("read", "a fetched object", error))?;
                    Ok((Some(file), OfObject::Found { rows, next_row: *first_row }))
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

/// Adds the keys of an object's rows to those of others.
fn scan(table: &Core, object: &Object, file: File, old: &mut OldKeys) -> Result<Scanned> {
    let name = table.lake.store.locate(&object.key);
    let failed = |error| Error::store("read", &name, error);
    let first_row = old.rows();
    let (keys, schema) = (&table.definition().keys, table.stage.schema());
    let is_key = |column: &str| keys.iter().any(|key| key == column);
    let part = PartReader::open_columns(file.try_clone().map_err(failed)?, &name, is_key)?;
    let positions = table.definition().key_positions()?;
    for batch in part.batches(schema)? {
        old.add(&key::hash_rows(&batch?, &positions)?)?;
    }
    Ok(Scanned { file, first_row })
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
