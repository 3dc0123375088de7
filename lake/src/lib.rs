//! Tables with keys, as Parquet files in a folder or on S3.
//!
//! A [`Lake`] is a place with tables. A [`Table`](write::Table) takes Arrow batches and makes them
//! visible by [`commit`](write::Table::commit): rows of an upserted table take the place of those with
//! their key, appended rows are added, and a table that is overwritten changes as a whole. Whatever
//! ends a run, a reader who lists a table's prefix sees each key once, and never a part of a file.
//!
//! ```
//! use std::sync::Arc;
//!
//! use arrow::array::{Int64Array, RecordBatch, StringArray};
//! use arrow::datatypes::Schema;
//! use lake::schema::{Column, Kind, fields};
//! use lake::table::Spec;
//! use lake::write::Table;
//! use lake::{Lake, Location, Options};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let lake = Lake::open(&Location::Folder(folder.path().into()), &Options::default())?;
//! let lake = Arc::new(lake);
//!
//! // A table is what its columns and keys say.
//! let columns = vec![Column::same("id", Kind::Bigint), Column::same("title", Kind::String)];
//! let schema = Arc::new(Schema::new(fields(&columns)));
//! let spec = Arc::new(Spec::upsert("videos", columns, ["id"]));
//!
//! let mut videos = Table::open(&lake, &spec)?;
//! let rows = |ids: Vec<i64>, titles: Vec<&str>| {
//!     let columns = vec![
//!         Arc::new(Int64Array::from(ids)) as _,
//!         Arc::new(StringArray::from(titles)) as _,
//!     ];
//!     RecordBatch::try_new(Arc::clone(&schema), columns)
//! };
//! videos.push(&spec, &rows(vec![1, 2], vec!["Intro", "Demo"])?)?;
//! videos.commit(true)?;
//!
//! // A row of the same key takes the place of the one before.
//! videos.push(&spec, &rows(vec![2], vec!["Demo, again"])?)?;
//! let committed = videos.commit(true)?;
//! assert_eq!((committed.rows, committed.files), (1, 1));
//!
//! let mut found = 0;
//! for batch in lake.scan("videos")? {
//!     found += batch?.num_rows();
//! }
//! assert_eq!(found, 2);
//! # Ok(())
//! # }
//! ```
//!
//! # Rooms
//!
//! ```text
//! catalog (Glue, crawler)      maintain (report, compact, reshard)
//!             │                          │
//!             └────────► write ◄─────────┘      one table of one run: how rows enter it, the journal
//!                          │
//!             ┌────────────┼────────────┐
//!           stage          lake         │       rows that wait; what tables of a run share
//!             │             │           │
//!             └──► file ◄───┴───► store │       Parquet; objects on S3 or in a folder
//!                    │                  │
//!                    └───► table ◄──────┘       definition, keys, partitions, projections
//!                            │
//!                          schema               columns, names, evolution
//! ```
//!
//! # What a lake keeps
//!
//! Data lies under `<table>/`, everything of the lake's own under `_lake/`: definitions in
//! `_lake/tables/`, the journal in `_lake/commits/`, rows of unfinished generations in
//! `_lake/generations/`, notes about the catalog in `_lake/catalog/`, what the last runs brought in `_lake/runs/`. These names and the fields of
//! what is stored there are part of the format: a lake that an older release has written is read and
//! gone on with.
//!
//! # Features
//!
//! `s3` brings lakes in a bucket, and `glue` keeps the Glue Data Catalog up to date ([`catalog`]). Both are on by
//! default. Without one a file `absent.rs` takes the place of what it brings, under the same names, and
//! [`Error::Absent`] is all that it answers.

mod access;
mod allowance;
mod at_once;
mod aws;
#[cfg(not(feature = "glue"))]
#[path = "catalog/absent.rs"]
pub mod catalog;
#[cfg(feature = "glue")]
pub mod catalog;
mod error;
pub mod file;
mod format;
mod history;
mod lake;
mod lock;
pub mod maintain;
mod options;
mod owner;
mod room;
pub mod schema;
mod stage;
pub mod store;
pub mod table;
#[cfg(test)]
mod testing;
pub mod write;

pub use allowance::{Allowance, Permit};
pub use aws::Aws;
pub use error::{ConditionFault, Error, Kind, Result};
pub use format::TableFormat;
pub use history::{Brought, History, Newest};
pub use lake::Lake;
pub use lock::FileLock;
pub use options::{
    Checksum, Credentials, Encryption, IcebergCatalog, Location, Options, RestAuth, RestOptions,
    S3Options, Secret, s3_address,
};
