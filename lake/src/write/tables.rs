//! Several tables of a run at once: none waits for the answers that another waits for.
//!
//! Each table keeps the order of its own calls, and the calls of two tables are about other keys. So a death
//! leaves each table as some death leaves it that writes alone. Which tables must be written before which others
//! is for whoever calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::committed::Committed;
use super::journal::Files;
use super::table::Table;
use crate::at_once::at_once;
use crate::error::Result;
use crate::lake::Lake;
use crate::table::spec::Spec;

/// A table with rows for more objects works on several of these at once, and alone.
const FEW: usize = 4;

/// Opens tables, each as [`Table::open`] does.
pub fn open(lake: &Arc<Lake>, specs: &[Arc<Spec>]) -> Result<Vec<Result<Table>>> {
    let mut opened = Vec::with_capacity(specs.len());
    let open = |(at, spec)| (at, Table::open(lake, spec));
    at_once(lake.at_once, specs.iter().enumerate(), open, |table| {
        opened.push(table);
        Ok(())
    })?;
    opened.sort_unstable_by_key(|(at, _)| *at);
    Ok(opened.into_iter().map(|(_, table)| table).collect())
}

/// The files that the next commit of tables shows and that must not come twice: see [`Table::prepare`].
pub fn prepare(lake: &Lake, mut tables: Vec<&mut Table>, complete: bool) -> Result<Files> {
    let each = tables.iter_mut().map(|table| &mut **table);
    let announced = |table: &mut Table| table.announce(complete);
    at_once(lake.at_once, each, announced, |announced| announced)?;
    let mut files = Files::default();
    for table in tables {
        // Here rows may be encoded, which takes memory: for one table after the other.
        files.extend(table.prepare(complete)?);
    }
    Ok(files)
}

/// Has tables write, each by itself. What became of those that were begun, by their places: none is begun
/// behind an error.
pub fn write(
    lake: &Lake,
    tables: Vec<&mut Table>,
    write: impl Fn(&mut Table) -> Result<Committed> + Sync,
) -> Result<Vec<(usize, Result<Committed>)>> {
    let (few, many): (Vec<_>, Vec<_>) =
        tables.into_iter().enumerate().partition(|(_, table)| table.groups() <= FEW);
    let has_failed = AtomicBool::new(false);
    let written = |(at, table): (usize, &mut Table)| {
        if has_failed.load(Ordering::Relaxed) {
            return None;
        }
        let outcome = write(table);
        has_failed.fetch_or(outcome.is_err(), Ordering::Relaxed);
        Some((at, outcome))
    };
    let mut outcomes = Vec::new();
    for (most, tables) in [(lake.at_once, few), (1, many)] {
        at_once(most, tables, written, |outcome| {
            outcomes.extend(outcome);
            Ok(())
        })?;
    }
    outcomes.sort_unstable_by_key(|(at, _)| *at);
    Ok(outcomes)
}
