//! Registration: brings one table of the catalog up to the lake's.
//!
//! Read, compare, write what differs. Whoever writes at the same time makes a write fail by the
//! table's version, or find a partition there already; then it is read and compared again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_glue::types::{
    Column, Partition, PartitionInput, StorageDescriptor, Table, TableInput,
};

use super::refusal::{Refusal, Why};
use super::table::{Clash, Wanted};
use crate::error::{Error, Result};
use crate::table::partition;

/// Tries of a write that others keep disturbing.
const ATTEMPTS: u32 = 20;

/// The tables of one database.
pub(super) trait Tables {
    /// Makes the database. It is no error if it is there.
    fn create_database(&self) -> Result<(), Refusal>;
    /// A table, if it is there.
    fn table(&self, name: &str) -> Result<Option<Table>, Refusal>;
    /// Makes a table.
    fn create_table(&self, table: TableInput) -> Result<(), Refusal>;
    /// Replaces a table that is still of this version.
    fn update_table(&self, table: TableInput, version: Option<&str>) -> Result<(), Refusal>;
    /// All partitions of a table.
    fn partitions(&self, table: &str) -> Result<Vec<Partition>, Refusal>;
    /// The partitions of these values, as far as they are there.
    fn find_partitions(&self, table: &str, values: &[String]) -> Result<Vec<Partition>, Refusal>;
    /// Makes partitions. How many were there already.
    fn create_partitions(&self, table: &str, new: Vec<PartitionInput>) -> Result<usize, Refusal>;
    /// Replaces partitions. How many were gone.
    fn update_partitions(&self, table: &str, new: Vec<PartitionInput>) -> Result<usize, Refusal>;
    /// Removes partitions. It is no error if they are gone.
    fn delete_partitions(&self, table: &str, values: Vec<String>) -> Result<(), Refusal>;
    /// How to call a table in an error.
    fn describe(&self, name: &str, found: Option<&Table>) -> String;
}

/// Which partitions may differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Those of these folders.
    Folders(BTreeSet<String>),
    /// Any.
    All,
}

impl Default for Scope {
    fn default() -> Self {
        Self::Folders(BTreeSet::new())
    }
}

impl Scope {
    /// Whether nothing differs as far as is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What a registration did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Registered {
    /// `created`, `updated` or `unchanged`.
    pub(super) status: &'static str,
    /// Partitions that were written.
    pub(super) partitions: usize,
}

/// Brings a table up. `folders` lists those of the lake; `begin` is called before the first write.
pub(super) fn register(
    tables: &dyn Tables,
    wanted: &Wanted,
    scope: &Scope,
    folders: &dyn Fn() -> Result<BTreeSet<String>>,
    begin: &mut dyn FnMut() -> Result<()>,
) -> Result<Registered> {
    let mut registered = Registered { status: "unchanged", partitions: 0 };
    let mut scope = scope;
    for attempt in 0..ATTEMPTS {
        let (table, status) = settle_table(tables, wanted, begin)?;
        if status != "unchanged" {
            // Columns of partitions follow those of the table, and a new table knows no partition.
            scope = &Scope::All;
            registered.status = status;
        }
        let Some(key) = &wanted.key else { return Ok(registered) };
        if scope.is_empty() {
            return Ok(registered);
        }
        let columns = columns_of(&table);
        let found = find(tables, wanted, key, scope)?;
        let folders = match scope {
            Scope::All => folders()?,
            Scope::Folders(folders) => folders.clone(),
        };
        let changes =
            Changes::between(wanted, key, &folders, &found, columns, *scope == Scope::All)
                .map_err(|clash| refused(tables, wanted, &table, &clash))?;
        let count = changes.count();
        if count == 0 {
            return Ok(registered);
        }
        begin()?;
        let stale = changes.write(tables, &wanted.name)?;
        registered.partitions += count - stale.min(count);
        if registered.status == "unchanged" {
            registered.status = "updated";
        }
        if stale == 0 {
            // Whoever has given the table another column meanwhile has not seen our partitions.
            match tables.table(&wanted.name)? {
                Some(now) if columns_of(&now) == columns => return Ok(registered),
                _ => scope = &Scope::All,
            }
        }
        back_off(attempt);
    }
    Err(disturbed(tables, wanted))
}

fn columns_of(table: &Table) -> &[Column] {
    table.storage_descriptor.as_ref().map(StorageDescriptor::columns).unwrap_or_default()
}

/// The partitions of a scope in the catalog. They are read before the folders are listed: a
/// partition that comes meanwhile has its folder by then.
fn find(tables: &dyn Tables, wanted: &Wanted, key: &str, scope: &Scope) -> Result<Vec<Partition>> {
    Ok(match scope {
        Scope::All => tables.partitions(&wanted.name)?,
        Scope::Folders(folders) => {
            let values = folders.iter().filter_map(|folder| partition::value(folder, key));
            tables.find_partitions(&wanted.name, &values.collect::<Vec<_>>())?
        }
    })
}

/// Makes or updates the table itself.
fn settle_table(
    tables: &dyn Tables,
    wanted: &Wanted,
    begin: &mut dyn FnMut() -> Result<()>,
) -> Result<(Table, &'static str)> {
    let mut status = "unchanged";
    for attempt in 0..ATTEMPTS {
        let outcome = match tables.table(&wanted.name)? {
            None => {
                begin()?;
                status = "created";
                match tables.create_table(wanted.create()) {
                    Err(refusal) if refusal.why == Why::Missing => tables.create_database(),
                    outcome => outcome,
                }
            }
            Some(found) => {
                let update = wanted
                    .update(&found)
                    .map_err(|clash| refused(tables, wanted, &found, &clash))?;
                let Some(update) = update else { return Ok((found, status)) };
                begin()?;
                if status == "unchanged" {
                    status = "updated";
                }
                tables.update_table(update, found.version_id.as_deref())
            }
        };
        match outcome {
            // Read again: what the catalog holds now is what the partitions follow.
            Ok(()) => {}
            Err(refusal) if matches!(refusal.why, Why::Changed | Why::Exists | Why::Missing) => {
                back_off(attempt);
            }
            Err(refusal) => return Err(refusal.into()),
        }
    }
    Err(disturbed(tables, wanted))
}

fn back_off(attempt: u32) {
    std::thread::sleep(Duration::from_millis(20 << attempt.min(6)));
}

fn refused(tables: &dyn Tables, wanted: &Wanted, found: &Table, clash: &Clash) -> Error {
    Error::Catalog {
        object: tables.describe(&wanted.name, Some(found)),
        reason: format!(
            "{clash}; remove it from the catalog, or set another `catalog.database` or `catalog.table_prefix`"
        ),
    }
}

fn disturbed(tables: &dyn Tables, wanted: &Wanted) -> Error {
    Error::Catalog {
        object: tables.describe(&wanted.name, None),
        reason: "others kept changing it at the same time".into(),
    }
}

/// What has to be written for the partitions of a table.
#[derive(Debug, Default)]
struct Changes {
    new: Vec<PartitionInput>,
    changed: Vec<PartitionInput>,
    gone: Vec<String>,
}

impl Changes {
    fn between(
        wanted: &Wanted,
        key: &str,
        folders: &BTreeSet<String>,
        found: &[Partition],
        columns: &[Column],
        complete: bool,
    ) -> Result<Self, Clash> {
        let mut changes = Self::default();
        let mut known: BTreeMap<&str, &Partition> = found
            .iter()
            .filter_map(|known| Some((known.values().first()?.as_str(), known)))
            .collect();
        for folder in folders {
            let Some(value) = partition::value(folder, key) else { continue };
            match known.remove(value.as_str()) {
                None => changes.new.push(wanted.create_partition(&value, folder, columns)),
                Some(known) => {
                    changes
                        .changed
                        .extend(wanted.update_partition(&value, folder, columns, known)?);
                }
            }
        }
        if complete {
            known.retain(|_, known| wanted.holds(known));
            changes.gone = known.into_keys().map(str::to_owned).collect();
        }
        Ok(changes)
    }

    /// Writes them. How many others were faster with.
    fn write(self, tables: &dyn Tables, table: &str) -> Result<usize, Refusal> {
        let mut stale = 0;
        if !self.new.is_empty() {
            stale += tables.create_partitions(table, self.new)?;
        }
        if !self.changed.is_empty() {
            stale += tables.update_partitions(table, self.changed)?;
        }
        if !self.gone.is_empty() {
            tables.delete_partitions(table, self.gone)?;
        }
        Ok(stale)
    }

    fn count(&self) -> usize {
        self.new.len() + self.changed.len() + self.gone.len()
    }
}
