//! The catalog: Glue learns of what is in the lake.
//!
//! A run commits, acknowledges its STATE, and then syncs the catalog: [`by_registration`], which
//! writes tables and partitions with their exact types, or [`by_crawler`], which lets a crawler read
//! them from the files. Which tables the catalog may be behind of is noted in the lake before a
//! change is visible ([`dirty`]), so that neither a failure nor a kill leaves it behind for longer
//! than a run.
//!
//! ```text
//! Catalog → by_registration → register → partitions → entry → mismatch, hive
//!         → by_crawler → crawl → crawler
//!           session (the lake, notes, events) · api (what is asked of Glue) · glue (its requests)
//! ```

mod api;
mod by_crawler;
mod by_registration;
mod clock;
mod crawl;
mod crawler;
mod dirty;
mod entry;
mod event;
#[cfg(test)]
mod fake;
mod glue;
mod hive;
mod mismatch;
mod options;
mod partitions;
mod register;
mod rejection;
mod session;

use std::sync::Arc;

pub use event::{Activity, Event, Hooks, Status};
pub use options::{CrawlerOptions, Method, Options, Wait};

use crate::error::Result;
use crate::lake::Lake;
use crate::write::Committed;
use clock::SystemClock;
use glue::Glue;
use partitions::DirtyPartitions;
use session::Session;

/// The catalog of a run.
#[derive(Debug)]
pub struct Catalog {
    session: Session,
}

impl Catalog {
    /// Opens the catalog of a lake. Nothing is asked of it yet.
    pub fn open(lake: &Arc<Lake>, options: Options, hooks: Hooks) -> Result<Self> {
        let glue = Box::new(Glue::open(&options, lake.aws())?);
        Ok(Self { session: Session::new(lake, options, glue, Arc::new(SystemClock), hooks) })
    }

    /// A table takes part in this run: it is looked at, whether it changes or not.
    pub fn track(&mut self, table: &str) {
        let dirty = &mut self.session.dirty;
        dirty.entry(table.to_owned()).or_insert_with(DirtyPartitions::none);
    }

    /// Notes in the lake that these tables are about to change.
    pub fn mark_dirty<'a>(&mut self, tables: impl IntoIterator<Item = &'a str>) -> Result<()> {
        self.session.notes.mark_dirty(&self.session.lake, tables)
    }

    /// A commit has changed a table.
    pub fn changed(&mut self, table: &str, committed: &Committed) {
        let dirty = &mut self.session.dirty;
        dirty.entry(table.to_owned()).or_insert_with(DirtyPartitions::none).add(committed);
    }

    /// Brings the catalog up to date with the lake. `stopped` says whether a signal asks for the end.
    pub fn sync(&mut self, wait: Wait, stopped: &dyn Fn() -> bool) -> Result<()> {
        match self.session.options.method.clone() {
            Method::Registration => by_registration::sync(&mut self.session),
            Method::Crawler(options) => {
                by_crawler::sync(&mut self.session, &options, wait, stopped)
            }
        }
    }

    /// What was done, in order.
    pub fn events(&self) -> &[Event] {
        &self.session.events
    }
}
