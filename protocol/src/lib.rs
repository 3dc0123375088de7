//! Wire formats: the messages, catalogs and states of Singer and of Airbyte, and the maps that rename,
//! drop and filter what streams carry.
//!
//! Pure: text comes in, text goes out. Nothing here opens a file or a socket, and nothing knows how a
//! program is configured or what it does with a record.

pub mod airbyte;
pub mod lines;
pub mod mapping;
pub mod personal;
pub mod singer;
