//! Parquet files of a table: how they are written, the writer and the reader.

pub(crate) mod encoding;
pub(crate) mod reader;
pub(crate) mod writer;

#[cfg(test)]
mod tests;

pub use encoding::{Compression, Encoding};
