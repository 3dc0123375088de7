//! What both commands share, whatever they read or write: settings, the description of themselves, the
//! log, errors told to people, and the shell.
//!
//! A program declares one struct of settings. From it come the values ([`load`]), `--about`
//! ([`about`]), the man page ([`shell`]) and Airbyte's form ([`form`]). Nothing here knows a message,
//! a stream or a table.
//!
//! The feature `telemetry` tells others of a run: traces and metrics ([`telemetry`]), and where data comes from
//! ([`lineage`]). Without it a file `absent.rs` takes the place of each.

pub mod about;
#[cfg(feature = "telemetry")]
mod courier;
mod exposed;
pub mod form;
#[cfg(not(feature = "telemetry"))]
#[path = "lineage/absent.rs"]
pub mod lineage;
#[cfg(feature = "telemetry")]
pub mod lineage;
mod log;
pub mod report;
pub mod schema;
mod secret;
pub mod settings;
pub mod shell;
mod start;
#[cfg(not(feature = "telemetry"))]
#[path = "telemetry/absent.rs"]
pub mod telemetry;
#[cfg(feature = "telemetry")]
pub mod telemetry;
pub mod told;
mod watched;
pub mod words;

pub use exposed::warn_of_plain_http;
pub use secret::Secret;
pub use watched::watched;

pub use start::{Log, LogArguments, LogFormat, load, print, report_error, start_log};
