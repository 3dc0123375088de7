//! From rows to objects of the lake.
//!
//! A [`Table`] is one table in one run: what it is ([`defined`]), its rows on the way ([`core`]) and
//! how they enter it ([`load`]). Each load has a file: [`upsert`] merges rows into the objects of
//! their groups, [`append`] adds files, [`replace`] puts new objects in the place of all old ones, and
//! [`waiting`] keeps the rows of a generation apart until it is complete. [`widen`] brings what is there
//! to wider types, and [`obsolete`] knows which objects have had their time. The [`journal`] notes what must
//! not come twice.

mod append;
mod committed;
pub(crate) mod core;
mod defined;
mod doubt;
mod generation;
#[cfg(not(feature = "iceberg"))]
#[path = "iceberg/absent.rs"]
pub(crate) mod iceberg;
#[cfg(feature = "iceberg")]
pub(crate) mod iceberg;
pub mod journal;
mod load;
mod note;
pub(crate) mod obsolete;
mod publish;
mod replace;
mod replaced;
pub(crate) mod retry;
mod snapshots;
mod table;
pub mod tables;
#[cfg(test)]
mod tests;
mod together;
mod upsert;
pub(crate) mod waiting;
#[cfg(test)]
mod waits;
pub(crate) mod widen;

pub use committed::Committed;
pub(crate) use core::{FILE_BYTES, schema_of};
pub use iceberg::covered;
pub use table::Table;
