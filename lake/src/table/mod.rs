//! A table of the lake: what it is, its keys, and where its rows belong.

pub(crate) mod bucket;
pub(crate) mod content;
pub(crate) mod definition;
pub(crate) mod file_name;
mod hidden;
pub mod key;
pub(crate) mod key_range;
pub(crate) mod partition;
pub(crate) mod projection;
pub(crate) mod spec;

pub use definition::{Definition, FolderForm, Generation, Granularity, LoadMethod, PartitionBy};
pub use partition::Misplaced;
pub use spec::{Refresh, Spec};
