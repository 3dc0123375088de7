//! The commit of an Iceberg table: new files beside those that are there, and one swap that shows all of them and hides
//! what they replace.
//!
//! Nothing is visible before the swap, so that a run which dies has changed nothing. Who is slower than another looks
//! at what has changed: groups whose files are the same keep what was merged for them, others are merged again.

mod attempt;
pub mod covered;
mod files;
mod merges;
mod rewrite;

use attempt::{discard, swap, work};
use files::{data_files, renumbered, written};
use merges::Merges;
use rewrite::{rewrite, start};
pub(super) use {files::number, rewrite::rewrite_files};

use super::append::{Made, NewFiles};
use super::committed::Committed;
use super::core::Core;
use super::retry::persist;
use crate::error::{Error, Result};
use crate::format::iceberg::change::Change;
use crate::format::iceberg::schema;
use crate::format::iceberg::table::Table;
use crate::lake::Lake;
use crate::schema::Column;
use crate::table::definition::Definition;
use crate::table::file_name;

/// Looks a table up that a run is about to write, where it is one of Iceberg, with the columns that others have given
/// it. `is_known` says that the lake has its definition.
pub(super) fn open(
    lake: &Lake,
    definition: &Definition,
    is_known: bool,
) -> Result<Option<(Table, Vec<Column>)>> {
    if !definition.is_iceberg() {
        return Ok(None);
    }
    let (name, columns) = (&definition.table, &definition.columns);
    let table = lake.iceberg(name)?;
    let strange = match table.load()? {
        Some(found) => {
            table.mend(&found)?;
            schema::strange(&found.metadata, columns).map_err(|reason| Error::Table {
                table: name.to_owned(),
                reason: format!("{reason}; write to another table"),
            })?
        }
        None if is_known => {
            tracing::warn!(
                table = name,
                "{name}: the lake knows this Iceberg table and its catalog does not any more; it is made anew, without \
                 the rows of before"
            );
            Vec::new()
        }
        None => {
            if !table.is_placed_by_catalog() {
                check_empty(lake, name)?;
            }
            Vec::new()
        }
    };
    Ok(Some((table, strange)))
}

/// A new table begins in a folder of its own: files of a plain table, or of others, would be orphans of it, which whoever
/// maintains Iceberg tables removes.
fn check_empty(lake: &Lake, table: &str) -> Result<()> {
    let objects = lake.store.list(&format!("{table}/"))?;
    let files: Vec<&str> = objects.iter().map(|object| object.key.as_str()).collect();
    let files: Vec<&str> = files.into_iter().filter(|key| !key.ends_with('/')).collect();
    if files.is_empty() {
        return Ok(());
    }
    Err(Error::Table {
        table: table.to_owned(),
        reason: format!(
            "it is to be an Iceberg table, and its folder has files already: {}; move them, or name another table \
             or destination (a plain table becomes an Iceberg table by `maintain --to iceberg`)",
            file_name::told(&files)
        ),
    })
}

/// Commits all staged groups: rows take the place of those with their keys.
pub(super) fn upsert(core: &mut Core, committed: &mut Committed) -> Result<()> {
    let work = work(core)?;
    let mut merges = Merges::default();
    let outcome = persist(|| {
        let start = start(core, &work, committed)?;
        if !merges.bring_up(core, &work, &start)? {
            rewrite(core, &work, &start, &|_| true, |_| Ok(None), committed)?;
            return Err(Error::Conflict { object: work.name().to_owned() });
        }
        let (files, removed) = merges.files();
        // Where all rows were there already, the state that covers them still comes into the table.
        if files.is_empty() && removed.is_empty() && core.notes.is_empty() {
            return Ok(());
        }
        swap(core, &work, &start, &files, |change| {
            work.commit(start.base.as_ref(), &Change { removed, ..change })
        })
    });
    match outcome {
        Ok(()) => merges.count(core, committed),
        Err(error) => {
            // Whether a request was on its way is not known, so that what was written stays.
            if let Error::Conflict { .. } = error {
                merges.discard(core);
            }
            Err(error)
        }
    }
}

/// Shows files that were written while rows arrived, and what still waits.
pub(super) fn append(
    core: &mut Core,
    files: &mut NewFiles,
    committed: &mut Committed,
) -> Result<()> {
    let made = files.finish(core)?;
    add(core, made, false, committed)
}

/// Puts the staged groups in the place of all that is there.
pub(super) fn replace(core: &mut Core, committed: &mut Committed) -> Result<()> {
    let made = written(core)?;
    committed.rows += rows_of(&made);
    add(core, made, true, committed)?;
    committed.replaced = true;
    core.defined.set_widened();
    Ok(())
}

/// Adds what the stage holds to what is there.
pub(super) fn add_staged(core: &mut Core, committed: &mut Committed) -> Result<()> {
    let made = written(core)?;
    committed.rows += rows_of(&made);
    add(core, made, false, committed)
}

fn rows_of(made: &[Made]) -> u64 {
    let known = made.iter().filter_map(|made| made.metrics.as_ref());
    known.map(|known| known.rows().unsigned_abs()).sum()
}

/// Adds files to a table, or puts them in the place of all that is there.
fn add(
    core: &mut Core,
    made: Vec<Made>,
    removes_all: bool,
    committed: &mut Committed,
) -> Result<()> {
    let work = work(core)?;
    let (mut columns, mut made) = (core.file_schema.clone(), made);
    let outcome = persist(|| {
        let start = start(core, &work, committed)?;
        if core.file_schema != columns {
            // Another run has given the ids of this one's columns to columns of its own.
            made = made.iter().map(|old| renumbered(core, old)).collect::<Result<_>>()?;
            columns.clone_from(&core.file_schema);
        }
        let files = data_files(core, &start.plan, &made)?;
        if files.is_empty() && !removes_all {
            return Ok(());
        }
        if let (Some(preceding), Some(base)) = (&core.preceding, &start.base) {
            covered::check_preceding(
                &core.lake,
                &base.metadata,
                &core.notes,
                preceding.as_deref(),
            )?;
        }
        swap(core, &work, &start, &files, |change| {
            work.commit(start.base.as_ref(), &Change { removes_all, ..change })
        })
    });
    if let Err(error) = outcome {
        if let Error::Conflict { .. } | Error::Superseded { .. } = error {
            discard(core, made.iter().map(|made| &made.object.key));
        }
        return Err(error);
    }
    for made in &made {
        committed.count(&made.object, &core.stage.folder(made.group)?);
    }
    Ok(())
}
