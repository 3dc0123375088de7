//! `target-s3-parquet`: any Singer or Airbyte stream as typed Parquet on S3 or in a folder.

pub mod commit;
pub mod config;
pub mod decode;
pub mod error;
pub mod input;
pub mod parquet_file;
pub mod schema;
pub mod stage;
pub mod store;
pub mod table;
