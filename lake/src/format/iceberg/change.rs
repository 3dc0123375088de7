//! What a commit shall do.

use std::collections::{BTreeMap, HashMap};

use super::manifest::DataFile;
use super::schema::Numbered;
use super::spec::Plan;
use super::value::Single;

/// What a commit shall do.
#[derive(Debug)]
pub(crate) struct Change<'a> {
    /// New files, which are in the store already.
    pub(crate) added: &'a [DataFile],
    /// Paths of files that go, with the values of their partitions: other manifests need not be read.
    pub(crate) removed: HashMap<String, Vec<Single>>,
    /// Every file that is there goes, whoever brought it.
    pub(crate) removes_all: bool,
    /// No row changes: files are put together.
    pub(crate) is_compaction: bool,
    /// Further keys of the summary.
    pub(crate) notes: &'a BTreeMap<String, String>,
    /// Whether the snapshot stays until another one has a newer state, by a tag: others may let it expire.
    pub(crate) is_pinned: bool,
    /// The table's columns with their ids, made upon the schema of what was read.
    pub(crate) columns: &'a Numbered,
    /// How its files are divided.
    pub(crate) plan: &'a Plan,
}
