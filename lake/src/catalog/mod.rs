//! The catalog: Glue learns of what is in the lake.
//!
//! It follows the data. A run commits, gives its STATE back, and then brings the catalog up: by
//! [`register`], which writes tables and partitions with their exact types, or by a [`crawl`] of a
//! crawler, which reads them from the files. What the catalog may be [`behind`] of is noted in the lake before
//! it is visible, so that neither a failure nor a kill leaves it behind for longer than a run.
//!
//! [`table`] and [`hive`] decide what has to be written, without IO; [`glue`] makes the requests.

mod behind;
mod crawl;
mod crawler;
mod glue;
mod hive;
mod refusal;
mod register;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

pub use register::Scope;

use crate::Lake;
use crate::error::{Error, Result};
use crate::file::Encoding;
use crate::options;
use crate::write::Committed;
use behind::Notes;
use glue::Glue;
use register::Registered;
use table::Wanted;

/// One registration or crawl, as the log and the summary tell it.
#[derive(Debug, Clone, Serialize)]
pub struct Event {
    /// `registration` or `crawl`.
    pub event: &'static str,
    /// The database.
    pub database: String,
    /// The table that was registered.
    pub table: Option<String>,
    /// The tables that the crawl is for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<String>,
    /// Partitions that were written, or that changed before the crawl.
    pub partitions: usize,
    /// The crawler.
    pub crawler: Option<String>,
    /// `created`, `updated`, `succeeded`, `started` or `failed`.
    pub status: &'static str,
    /// How long it took.
    pub seconds: f64,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Which catalog a lake has, and how it is kept up.
#[derive(Debug, Clone)]
pub struct Options {
    /// How the catalog learns of the tables.
    pub kind: Kind,
    /// Database of the tables. It is made if it is not there.
    pub database: String,
    /// Put before the name of every table.
    pub table_prefix: Option<String>,
    /// Account whose catalog it is, where that is not the account of the credentials.
    pub catalog_id: Option<String>,
    /// AWS region of the catalog. Default: that of S3.
    pub region: Option<String>,
    /// Another endpoint of Glue.
    pub endpoint_url: Option<String>,
}

/// How the catalog learns of the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// They are registered with their exact types.
    Glue,
    /// A crawler reads them from the files.
    Crawler(CrawlerOptions),
}

/// A crawler and what may be done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrawlerOptions {
    /// Its name.
    pub name: String,
    /// Make it if it is not there, and give it a target for every table.
    pub create: bool,
    /// Role that it runs as. Needed to make it.
    pub role_arn: Option<String>,
    /// Wait for the crawl to end.
    pub wait: bool,
    /// Seconds to wait for it.
    pub timeout_seconds: u64,
}

impl Options {
    /// The name of a table in the catalog.
    fn table(&self, table: &str) -> String {
        format!("{}{table}", self.table_prefix.as_deref().unwrap_or_default())
    }
}

/// What a run says about its catalog, and asks of whoever runs it.
pub struct Hooks {
    /// Told of each registration and crawl.
    pub report: Box<dyn Fn(&Event) + Send>,
    /// How the files of a stream's table are written.
    pub encoding: Box<dyn Fn(&str) -> Encoding + Send>,
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Hooks")
    }
}

/// How much time the end of a run has for its catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// What the options allow.
    Options,
    /// None: the run has failed or was stopped.
    None,
}

/// The catalog of a run.
#[derive(Debug)]
pub struct Catalog {
    options: Options,
    hooks: Hooks,
    lake: Arc<Lake>,
    glue: Glue,
    notes: Notes,
    /// The tables of this run, and which of their partitions it has changed.
    touched: BTreeMap<String, Scope>,
    events: Vec<Event>,
}

impl Catalog {
    /// Opens the catalog of a lake. Nothing is asked of it yet.
    pub fn open(
        lake: &Arc<Lake>,
        options: Options,
        aws: &options::Options,
        hooks: Hooks,
    ) -> Result<Self> {
        Ok(Self {
            lake: Arc::clone(lake),
            glue: Glue::open(&options, aws)?,
            notes: Notes::new(&lake.run),
            touched: BTreeMap::new(),
            events: Vec::new(),
            options,
            hooks,
        })
    }

    /// A table takes part in this run.
    pub fn track(&mut self, table: &str) {
        self.touched.entry(table.to_owned()).or_default();
    }

    /// These tables are about to change.
    pub fn mark_dirty<'a>(&mut self, tables: impl IntoIterator<Item = &'a str>) -> Result<()> {
        self.notes.mark_dirty(&self.lake, tables)
    }

    /// This was done to a table.
    pub fn changed(&mut self, table: &str, committed: &Committed) {
        let scope = self.touched.entry(table.to_owned()).or_default();
        match scope {
            _ if committed.replaced => *scope = Scope::All,
            Scope::Folders(known) => known.extend(committed.partitions.iter().cloned()),
            Scope::All => {}
        }
    }

    /// Brings the catalog up to date with the lake. `stopped` says whether a signal asks for the end.
    pub fn sync(&mut self, patience: Patience, stopped: &dyn Fn() -> bool) -> Result<()> {
        self.notes.read_others(&self.lake)?;
        match self.options.kind.clone() {
            Kind::Glue => self.register_all(),
            Kind::Crawler(crawler) => self.crawl(&crawler, patience, stopped),
        }
    }

    /// What was done.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    fn register_all(&mut self) -> Result<()> {
        let mut work = self.touched.clone();
        for table in self.notes.others().flat_map(|note| &note.tables) {
            work.insert(table.clone(), Scope::All);
        }
        let mut behind = BTreeSet::new();
        let mut first = None;
        let mut is_reachable = true;
        for (table, scope) in &work {
            if !is_reachable {
                behind.insert(table.clone());
                continue;
            }
            let begun = Instant::now();
            let outcome = self.register(table, scope);
            let (status, partitions, error) = match &outcome {
                Ok(None) => continue,
                Ok(Some(done)) if done.status == "unchanged" => continue,
                Ok(Some(done)) => (done.status, done.partitions, None),
                Err(error) => ("failed", 0, Some(error.to_string())),
            };
            self.tell(Event {
                table: Some(self.options.table(table)),
                partitions,
                status,
                seconds: seconds_since(begun),
                error,
                ..self.event("registration")
            });
            if let Err(error) = outcome {
                is_reachable = !matches!(error, Error::CatalogUnreachable { .. });
                behind.insert(table.clone());
                first.get_or_insert(error);
            }
        }
        self.notes.settle(&self.lake, behind.clone(), None)?;
        first.map_or(Ok(()), |error| Err(is_behind(&behind, error)))
    }

    /// Registers one table; nothing for one that is not in the lake.
    fn register(&mut self, table: &str, scope: &Scope) -> Result<Option<Registered>> {
        let Some(wanted) = self.wanted(table)? else { return Ok(None) };
        let Self { glue, lake, notes, .. } = self;
        register::register(glue, &wanted, scope, &|| folders(lake, table), &mut || {
            notes.mark_dirty(lake, [table])
        })
        .map(Some)
    }

    fn wanted(&self, table: &str) -> Result<Option<Wanted>> {
        let Some((_, definition)) = self.lake.definition(table)? else { return Ok(None) };
        let compression = (self.hooks.encoding)(&definition.stream).compression;
        Wanted::new(&definition, &self.options, self.location(table), compression).map(Some)
    }

    fn location(&self, table: &str) -> String {
        self.lake.store.locate(&format!("{table}/"))
    }

    fn event(&self, event: &'static str) -> Event {
        Event {
            event,
            database: self.options.database.clone(),
            table: None,
            tables: Vec::new(),
            partitions: 0,
            crawler: None,
            status: "",
            seconds: 0.0,
            error: None,
        }
    }

    fn tell(&mut self, event: Event) {
        (self.hooks.report)(&event);
        self.events.push(event);
    }
}

impl Scope {
    fn len(&self) -> usize {
        match self {
            Self::Folders(folders) => folders.len(),
            Self::All => 0,
        }
    }
}

fn is_behind(tables: &BTreeSet<String>, error: Error) -> Error {
    let names: Vec<_> = tables.iter().map(|table| format!("`{table}`")).collect();
    Error::CatalogBehind { tables: names.join(", "), source: Box::new(error) }
}

/// Seconds to the millisecond.
fn seconds_since(begun: Instant) -> f64 {
    (begun.elapsed().as_secs_f64() * 1000.0).round() / 1000.0
}

/// The folders of a table that have files; the empty one for those beside no partition.
fn folders(lake: &Lake, table: &str) -> Result<BTreeSet<String>> {
    let prefix = format!("{table}/");
    let objects = lake.store.list(&prefix)?;
    Ok(objects
        .iter()
        .filter_map(|object| object.key.strip_prefix(&prefix))
        .filter(|key| key.ends_with(".parquet"))
        .map(|key| key.rfind('/').map_or("", |end| key.get(..=end).unwrap_or_default()).to_owned())
        .collect())
}
