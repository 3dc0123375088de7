//! What the tap and the target share: protocol messages, catalogs, settings and the way errors are told.
//!
//! Except for [`program`], which starts both binaries, nothing here opens a file or a socket: text
//! comes in, text goes out.

pub mod about;
pub mod airbyte;
pub mod lines;
pub mod log;
pub mod mapping;
pub mod program;
pub mod report;
pub mod schema;
pub mod secret;
pub mod settings;
pub mod shell;
pub mod singer;

pub use secret::Secret;
