//! Iceberg tables of version 2, written by copy on write: no delete files, so that every reader takes them.
//!
//! ```text
//! pointer (folder, Glue, REST) ──► metadata ──► snapshots ──► manifest list ──► manifests ──► data files
//! ```
//!
//! Everything but the pointer is a new file that nobody knows of, until the pointer is swapped in one step.

mod avro;
pub(crate) mod catalogs;
pub(crate) mod folder;
#[cfg(not(feature = "glue"))]
#[path = "glue/absent.rs"]
mod glue;
#[cfg(feature = "glue")]
mod glue;
mod lineage;
pub(crate) mod metadata;
pub(crate) mod places;
pub(crate) mod pointer;
#[cfg(not(feature = "s3"))]
#[path = "rest/absent.rs"]
mod rest;
#[cfg(feature = "s3")]
mod rest;
