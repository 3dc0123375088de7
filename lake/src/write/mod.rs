//! From rows to objects of the lake.
//!
//! A [`Table`] is one table in one run: what it is ([`defined`]), its rows on the way ([`core`]) and
//! how they enter it ([`load`]). Each load has a file: [`upsert`] merges rows into the objects of
//! their groups, [`append`] adds files, [`replace`] puts new objects in the place of all old ones, and
//! [`waiting`] keeps the rows of a generation apart until it is complete. The [`journal`] notes what
//! must not come twice.

mod append;
mod core;
mod defined;
pub mod journal;
mod load;
mod replace;
mod table;
mod upsert;
mod waiting;

use crate::store::Object;

pub use append::FILE_BYTES;
pub use table::Table;

/// Tries of a write that other writers keep disturbing.
pub(crate) const MERGE_ATTEMPTS: u32 = 20;

/// What a commit of one table did.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Objects written.
    pub files: u64,
    /// Bytes of these objects.
    pub bytes: u64,
    /// Bytes of the objects that were read to be merged with.
    pub bytes_read: u64,
    /// Rows staged since the commit before.
    pub rows: u64,
    /// Folders of the partitions that changed.
    pub partitions: Vec<String>,
    /// Whether nothing of what the table held before is left.
    pub replaced: bool,
}

impl Committed {
    /// Counts an object of a partition.
    fn count(&mut self, object: &Object, folder: &str) {
        self.files += 1;
        self.bytes += object.size;
        if !self.partitions.iter().any(|known| known == folder) {
            self.partitions.push(folder.to_owned());
        }
    }
}
