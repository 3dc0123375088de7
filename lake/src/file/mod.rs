//! Parquet files of a table: how they are written, the writer and the reader.

mod actor;
pub(crate) mod encoding;
mod lanes;
pub(crate) mod reader;
mod size;
pub(crate) mod writer;

#[cfg(test)]
mod tests;

pub use encoding::{Compression, Encoding};
