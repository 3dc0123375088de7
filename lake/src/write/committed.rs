//! What a commit did.

use std::collections::BTreeSet;

use crate::store::Object;

/// What a commit of one table did.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Objects written.
    pub files: u64,
    /// Bytes of these objects.
    pub bytes: u64,
    /// Bytes of the objects that were read to be merged with.
    pub bytes_read: u64,
    /// Rows written, one for each key.
    pub rows: u64,
    /// Those of them that have taken the place of another of their key.
    pub replaced_rows: u64,
    /// Rows that came again as they were, and were not written.
    pub unchanged_rows: u64,
    /// Folders of the partitions that changed.
    pub partitions: BTreeSet<String>,
    /// Whether nothing of what the table held before is left.
    pub replaced: bool,
}

impl Committed {
    /// Counts an object of a partition.
    pub(super) fn count(&mut self, object: &Object, folder: &str) {
        self.files += 1;
        self.bytes += object.size;
        if !self.partitions.contains(folder) {
            self.partitions.insert(folder.to_owned());
        }
    }
}
