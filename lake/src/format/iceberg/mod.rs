//! Iceberg tables of version 2, written by copy on write: no delete files, so that every reader takes them.
//!
//! ```text
//! pointer (folder, Glue, REST) ──► metadata ──► snapshots ──► manifest list ──► manifests ──► data files
//! ```
//!
//! Everything but the pointer is a new file that nobody knows of, until the pointer is swapped in one step.
//! [`table`] reads what is there, [`commit`] makes the next snapshot of it: [`schema`] numbers the columns,
//! [`spec`] divides the files, [`metrics`] tells of each what its footer does, [`snapshot`] writes the
//! manifests, and [`expiry`] leaves out what has had its time.

mod avro;
mod avro_schema;
pub(crate) mod change;
pub(crate) mod commit;
mod expiry;
pub(crate) mod folder;
pub(crate) mod manifest;
pub(crate) mod metadata;
pub(crate) mod metrics;
pub(crate) mod pointer;
pub(crate) mod schema;
mod snapshot;
pub(crate) mod spec;
pub(crate) mod table;
mod upkeep;
pub(crate) mod value;

use std::sync::Arc;

use folder::Folders;
use pointer::Pointers as _;

use crate::aws::Aws;
use crate::error::Result;
use crate::store::Store;

/// A table of a store, by the catalog that the settings name. Nothing is asked of it yet.
#[expect(clippy::unnecessary_wraps, reason = "other catalogs may fail")]
pub(crate) fn open(
    store: &Arc<dyn Store>,
    _aws: &Aws,
    name: &str,
    run: &str,
    at_once: usize,
) -> Result<table::Table> {
    let pointers = Folders { store: Arc::clone(store) };
    Ok(table::Table::new(store, pointers.of(name), name, run, at_once))
}
