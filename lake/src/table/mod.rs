//! A table of the lake: its keys, its columns and where its rows belong.

mod content;
pub mod definition;
pub mod key;
pub mod partition;
pub mod projection;
mod spec;

pub use content::Content;
pub use definition::{Definition, Generation, Granularity, LoadMethod, PartitionBy};
pub use partition::Partitioner;
pub use projection::Projection;
pub use spec::{Refresh, Spec};
