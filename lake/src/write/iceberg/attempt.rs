//! One try of a commit: what it starts from, and the swap that ends it.

use std::collections::HashMap;
use std::sync::Arc;

use super::covered;
use crate::error::{Error, Result};
use crate::format::iceberg::change::Change;
use crate::format::iceberg::commit::Outcome;
use crate::format::iceberg::manifest::DataFile;
use crate::format::iceberg::pointer::Current;
use crate::format::iceberg::schema::{self, Numbered};
use crate::format::iceberg::spec::Plan;
use crate::format::iceberg::table::Table;
use crate::write::core::Core;

/// Where a commit starts from.
pub(super) struct Start {
    pub(super) base: Option<Current>,
    pub(super) columns: Numbered,
    pub(super) plan: Plan,
}

impl Start {
    /// What is there now, and what the definition makes of it.
    pub(super) fn look(core: &mut Core, table: &Table) -> Result<Self> {
        let base = table.load()?;
        let metadata = base.as_ref().map(|base| &base.metadata);
        let columns = schema::numbered(metadata, &core.definition().columns);
        let plan = Plan::of(core.definition())?;
        core.file_schema = Some(schema::with_ids(core.stage.schema(), &columns)?);
        Ok(Self { base, columns, plan })
    }
}

/// Adds a commit's files. Nothing, where another commit was faster.
pub(super) fn swap(
    core: &Core,
    work: &Table,
    start: &Start,
    files: &[DataFile],
    change: impl FnOnce(Change<'_>) -> Result<Outcome>,
) -> Result<()> {
    let mut notes = core.notes.clone();
    if let (true, Some(base)) = (notes.is_empty(), &start.base) {
        // What no stream has brought is covered by what covers the rest.
        notes = covered::carried(&core.lake, &base.metadata);
    }
    let state = covered::note_key(&core.lake, "state");
    let is_pinned = notes.keys().any(|key| key.starts_with(&state));
    notes.insert(covered::note_key(&core.lake, "run"), core.lake.run.clone());
    let outcome = change(Change {
        added: files,
        removed: HashMap::new(),
        removes_all: false,
        is_compaction: false,
        notes: &notes,
        is_pinned,
        columns: &start.columns,
        plan: &start.plan,
    })?;
    match outcome {
        Outcome::Done => Ok(()),
        Outcome::Lost => Err(Error::Conflict { object: work.name().to_owned() }),
    }
}

pub(super) fn work(core: &Core) -> Result<Arc<Table>> {
    core.iceberg.clone().ok_or_else(|| Error::internal("an Iceberg table was opened as one"))
}

pub(super) fn no_metrics() -> Error {
    Error::internal("a file of an Iceberg table is written with ids")
}

/// Removes files that nobody knows of. That one stays is no fault: whoever removes orphans finds it.
pub(super) fn discard<'a>(core: &Core, keys: impl IntoIterator<Item = &'a String>) {
    if let Err(error) = core.lake.remove(keys) {
        tracing::info!(%error, "files of a commit that another overtook are left");
    }
}
