//! The Airbyte protocol: messages to write, and catalogs and states to read.
//!
//! What is read takes `null` for "absent" everywhere, and ignores what it does not know: Airbyte's own
//! programs write every field that there is.

mod catalog;
mod guard;
mod message;
pub mod state;

pub use catalog::{
    Catalog, ConfiguredCatalog, ConfiguredStream, DestinationSyncMode, Stream, StreamName, SyncMode,
};
pub use guard::{guard, print};
pub use message::{
    ConnectionStatus, FailureType, Message, PROTOCOL_VERSION, Record, Specification, State,
    StreamStatus, Trace, TraceError,
};
