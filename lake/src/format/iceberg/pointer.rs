//! Which metadata file is a table's newest, and how another takes its place: in one step, and only while it is
//! still the one that was read.
//!
//! Who keeps the pointer is a catalog: the folder of the table itself ([`folder`](super::folder)), Glue, or a
//! server that speaks Iceberg's REST protocol.

use super::metadata::Metadata;
use crate::error::Result;

/// A table as its catalog has it.
#[derive(Debug, Clone)]
pub(crate) struct Current {
    /// Where its metadata file is.
    pub(crate) file: String,
    /// What the file says.
    pub(crate) metadata: Metadata,
    /// What the catalog must still say when another file takes its place: a version, an `ETag`, or nothing
    /// where the name of the file is enough.
    pub(crate) version: String,
}

/// What became of metadata that was to be the newest.
#[derive(Debug)]
pub(crate) enum Swap {
    /// It is.
    Done(Current),
    /// It certainly is not: another commit was faster, and nobody can reach it.
    Lost,
}

/// Keeps the pointer to the newest metadata of one table.
pub(crate) trait Pointer: Send + Sync + std::fmt::Debug {
    /// The newest metadata; nothing where there is no such table.
    fn load(&self) -> Result<Option<Current>>;

    /// Puts metadata in the place of `base`, or makes the table.
    ///
    /// # Errors
    ///
    /// Any error leaves open what became of it: whoever asked looks for its snapshot before it does anything
    /// else ([`load`](Self::load)).
    fn swap(&self, base: Option<&Current>, next: &Metadata) -> Result<Swap>;

    /// Brings to its end what a run that died has left of its swap.
    fn mend(&self, _current: &Current) -> Result<()> {
        Ok(())
    }

    /// Whether this program writes the metadata files, and removes those that are too old. A server that writes them
    /// itself keeps them as it likes.
    fn owns_metadata(&self) -> bool {
        true
    }

    /// Where a new table is to lie; nothing where the catalog decides that when the table is made.
    fn location(&self) -> Option<String>;
}

/// Where the tables of a lake have their pointers.
pub(crate) trait Pointers: Send + Sync + std::fmt::Debug {
    /// That of one table. Nothing is asked of the catalog yet.
    fn of(&self, table: &str) -> std::sync::Arc<dyn Pointer>;
}
