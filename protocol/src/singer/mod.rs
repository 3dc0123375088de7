//! The Singer protocol: messages to write, catalogs to read, and what a catalog selects.

mod catalog;
mod message;

pub use catalog::{Catalog, CatalogEntry, Fields, MetadataEntry, Selection};
pub use message::MessageWriter;
