//! Columns: their names, their types, and how they change.

mod column;
pub(crate) mod evolve;
pub mod names;
pub mod time;

pub use column::{Column, Kind, fields};
