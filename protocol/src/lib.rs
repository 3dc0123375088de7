//! What the tap and the target share: protocol messages, catalogs, settings and the way errors are told.
//!
//! Nothing here opens a file or a socket: text comes in, text goes out. The binaries own the edges.

pub mod about;
pub mod report;
pub mod schema;
pub mod secret;
pub mod settings;
pub mod singer;

pub use secret::Secret;
