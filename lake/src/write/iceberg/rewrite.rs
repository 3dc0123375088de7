//! Files that are written anew with the rows that they have: for other columns, other shards, or without some rows.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::attempt::{Start, discard, swap, work};
use super::files::{data_files, written};
use crate::error::{Error, Result};
use crate::file::reader::PartReader;
use crate::format::iceberg::change::Change;
use crate::format::iceberg::table::{Live, Table};
use crate::lake::Lake;
use crate::stage::{Cut, Stage};
use crate::table::key;
use crate::write::committed::Committed;
use crate::write::core::Core;

/// Where a commit starts from. Where the columns or their division ask for it, every file is written anew before.
pub(super) fn start(core: &mut Core, work: &Table, committed: &mut Committed) -> Result<Start> {
    let start = Start::look(core, work)?;
    let is_of_before = start.base.as_ref().is_some_and(|base| {
        start.columns.is_rewritten || !start.plan.is_of(&base.metadata, &start.columns)
    });
    let has_files = start.base.as_ref().is_some_and(|base| base.metadata.current().is_some());
    if !is_of_before || !has_files {
        return Ok(start);
    }
    // It may be another run that has divided them anew.
    core.catch_up(true)?;
    rewrite(core, work, &start, &|_| true, |_| Ok(None), committed)?;
    // Whoever is faster than this is written anew with the next try.
    Err(Error::Conflict { object: work.name().to_owned() })
}

/// Writes files anew, as the definition has columns and shards now: those that are `wanted`, with the rows that `filter` keeps of
/// each batch, all of them where it says nothing.
pub(crate) fn rewrite_files(
    core: &mut Core,
    is_wanted: &dyn Fn(&str) -> bool,
    filter: &mut dyn FnMut(&RecordBatch) -> Result<Option<RecordBatch>>,
    committed: &mut Committed,
) -> Result<()> {
    let work = work(core)?;
    let start = Start::look(core, &work)?;
    rewrite(core, &work, &start, is_wanted, filter, committed)
}

pub(super) fn rewrite(
    core: &mut Core,
    work: &Table,
    start: &Start,
    is_wanted: &dyn Fn(&str) -> bool,
    filter: impl FnMut(&RecordBatch) -> Result<Option<RecordBatch>>,
    committed: &mut Committed,
) -> Result<()> {
    let Some(base) = &start.base else { return Ok(()) };
    let mut live = work.live(&base.metadata, None)?;
    live.retain(|file| is_wanted(&file.path));
    if live.is_empty() {
        return Ok(());
    }
    let table = work.name();
    tracing::info!(table, files = live.len(), "{table}: {} files are written anew", live.len());
    let cut = Cut::Into(core.definition().shards);
    let anew = core.keyed_stage(cut)?;
    let own = std::mem::replace(&mut core.stage, anew);
    // Which state covers the rows that are to come is said with them.
    let notes = std::mem::take(&mut core.notes);
    let outcome = rewritten(core, work, start, &live, filter, committed);
    (core.stage, core.notes) = (own, notes);
    outcome
}

fn rewritten(
    core: &mut Core,
    work: &Table,
    start: &Start,
    live: &[Live],
    mut filter: impl FnMut(&RecordBatch) -> Result<Option<RecordBatch>>,
    committed: &mut Committed,
) -> Result<()> {
    let mut is_compaction = true;
    for file in live {
        let object = core.lake.store.head(&file.key)?;
        let object = object.ok_or_else(|| Error::Conflict { object: file.path.clone() })?;
        let read = PartReader::open(core.lake.store.fetch(&object)?, &file.path)?;
        committed.bytes_read += object.size;
        let schema = SchemaRef::clone(core.stage.schema());
        for batch in read.batches(&schema)? {
            let batch = batch?;
            let kept = filter(&batch)?;
            is_compaction &= kept.is_none();
            restage(
                &mut core.stage,
                &core.lake,
                core.defined.key_positions()?,
                kept.unwrap_or(batch),
            )?;
        }
    }
    let made = written(core)?;
    let files = data_files(core, &start.plan, &made)?;
    let removed = live.iter().map(|file| (file.path.clone(), file.partition.clone())).collect();
    let swapped = swap(core, work, start, &files, |change| {
        work.commit(start.base.as_ref(), &Change { removed, is_compaction, ..change })
    });
    match swapped {
        Ok(()) => {
            for made in &made {
                committed.count(&made.object, &core.stage.folder(made.group)?);
            }
            Ok(())
        }
        Err(error) => {
            if let Error::Conflict { .. } = error {
                discard(core, made.iter().map(|made| &made.object.key));
            }
            Err(error)
        }
    }
}

fn restage(
    stage: &mut Stage,
    lake: &Lake,
    keys: Option<Vec<usize>>,
    batch: RecordBatch,
) -> Result<()> {
    let hashes = keys.map_or_else(|| Ok(Vec::new()), |keys| key::hash_rows(&batch, &keys))?;
    stage.push(batch, &hashes)?;
    if stage.memory() > lake.budget() / 2 {
        stage.spill(&lake.spill)?;
    }
    Ok(())
}
