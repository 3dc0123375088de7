//! What a run says about its catalog.

use std::fmt;

use serde::Serialize;

use crate::file::encoding::Encoding;

/// One registration or crawl, as the log and the summary show it.
#[derive(Debug, Clone, Serialize)]
pub struct Event {
    /// What was done.
    pub event: Activity,
    /// The database.
    pub database: String,
    /// The table that was registered, by its name in the catalog.
    pub table: Option<String>,
    /// The tables that the crawl is for, by their names in the lake.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<String>,
    /// Partitions that were written, or that changed before the crawl.
    pub partitions: usize,
    /// The crawler.
    pub crawler: Option<String>,
    /// How it ended.
    pub status: Status,
    /// How long it took, to the millisecond.
    pub seconds: f64,
    /// What made it fail, with its causes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What is done to a catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Activity {
    /// A table is written by this program.
    Registration,
    /// A crawler reads tables from their files.
    Crawl,
}

/// How a registration or a crawl ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The table is new in the catalog.
    Created,
    /// The table was there, and it or its partitions are written.
    Updated,
    /// The crawl has ended well.
    Succeeded,
    /// The crawl was started, and is not waited for.
    Started,
    /// A signal ended the waiting for the crawl.
    Interrupted,
    /// The catalog is behind the lake.
    Failed,
}

/// What the catalog asks of whoever runs it.
pub struct Hooks {
    /// Called with each registration and crawl.
    pub report: Box<dyn Fn(&Event) + Send + Sync>,
    /// How the files of a stream's table are written.
    pub encoding: Box<dyn Fn(&str) -> Encoding + Send + Sync>,
}

impl fmt::Debug for Hooks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Hooks")
    }
}
