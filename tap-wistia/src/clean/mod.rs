//! The cleaning rules: what the API sends and what the lake holds.
//!
//! An empty string means "absent" in this API, numbers may come as strings, objects may be empty, a
//! field may have two spellings. Each function here reads one kind of column leniently, whatever stands
//! there; a value that is nothing of the kind becomes null and is counted ([`count`]), column by column
//! where that is asked for ([`trace`]).

mod decode;
mod ignored;
mod nested;
mod row;
mod scalar;
mod shape;
mod spelling;
mod tally;

pub(crate) use decode::decodable;
pub(crate) use nested::{integers, list, object, tags};
pub(crate) use row::{Page, Row};
pub(crate) use scalar::{bigint, boolean, double, hint, key, key_bigint, key_day, presence, text};
pub(crate) use shape::{name, text as shape};
pub(crate) use spelling::{Spelling, settle};
pub(crate) use tally::{Column, Tally, count, trace, unknown_member};
