//! `target-s3-parquet`: any Singer or Airbyte stream as typed Parquet on S3 or in a folder.

pub mod config;
pub mod decode;
pub mod error;
pub mod input;
pub mod schema;
pub mod table;
