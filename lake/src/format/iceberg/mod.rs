//! Iceberg tables of version 2, written by copy on write: no delete files, so that every reader takes them.
//!
//! ```text
//! pointer (folder, Glue, REST) ──► metadata ──► snapshots ──► manifest list ──► manifests ──► data files
//! ```
//!
//! Everything but the pointer is a new file that nobody knows of, until the pointer is swapped in one step.
//! [`table`] reads what is there, [`commit`] makes the next snapshot of it: [`schema`] numbers the columns,
//! [`spec`] divides the files, [`metrics`] tells of each what its footer does, [`snapshot`] writes the
//! manifests, and [`expiry`] leaves out what has had its time. Who keeps the pointer, [`catalogs`] knows.

mod avro;
mod avro_schema;
mod catalogs;
pub(crate) mod change;
pub(crate) mod commit;
mod expiry;
pub(crate) mod folder;
#[cfg(not(feature = "glue"))]
#[path = "glue/absent.rs"]
mod glue;
#[cfg(feature = "glue")]
mod glue;
mod lineage;
pub(crate) mod manifest;
pub(crate) mod metadata;
pub(crate) mod metrics;
mod places;
pub(crate) mod pointer;
#[cfg(not(feature = "s3"))]
#[path = "rest/absent.rs"]
mod rest;
#[cfg(feature = "s3")]
mod rest;
pub(crate) mod said;
pub(crate) mod schema;
mod snapshot;
pub(crate) mod spec;
pub(crate) mod table;
pub(crate) mod upkeep;
pub(crate) mod value;

pub(crate) use catalogs::Catalog;
