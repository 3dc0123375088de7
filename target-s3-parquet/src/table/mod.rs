//! A table of the lake: its keys, its columns and where its rows belong.

pub mod content;
pub mod definition;
pub mod evolve;
pub mod key;
pub mod partition;
pub mod projection;

pub use content::Content;
pub use definition::Definition;
pub use partition::Partitioner;
pub use projection::Projection;
