//! The cleaning rules: what the API sends and what the lake holds.
//!
//! An empty string means "absent" in this API, numbers may come as strings, objects may be empty.
//! Each function here reads one kind of column leniently; a value that is nothing of the kind
//! becomes null and is counted ([`counting`]).

mod counts;
mod nested;
mod scalar;

pub(crate) use counts::{Counts, counting};
pub(crate) use nested::{Row, integers, list, object, tags};
pub(crate) use scalar::{bigint, boolean, double, key, key_bigint, presence, text};
