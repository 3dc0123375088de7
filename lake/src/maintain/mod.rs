//! `target-s3-parquet maintain`: what the files of a lake look like, and how to make them better.
//!
//! [`survey`] judges a table by its listing alone. [`compact`] puts the small files of an appended
//! table together, [`reshard`] cuts an upserted table into another number of objects. Both keep
//! every row whatever kills them; what a reader may see meanwhile is told where they are.

mod compact;
mod reshard;
mod survey;

use serde::Serialize;
use wildmatch::WildMatch;

use crate::Lake;
use crate::error::{Error, Result};
use crate::file::Encoding;
use crate::store::Object;
use crate::table::LoadMethod;
pub use survey::{SMALL_BYTES, Survey};

/// The folder of what the lake remembers.
const OURS: &str = "_lake";

/// What is asked of a lake.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Names or globs of tables; none for all.
    pub tables: Vec<String>,
    /// Put small appended files together.
    pub compact: bool,
    /// Objects per partition that upserted tables shall have.
    pub shards: Option<u32>,
    /// Say what would be done, and do nothing.
    pub dry_run: bool,
}

/// What was found and done.
#[derive(Debug, Serialize)]
pub struct Report {
    /// By table.
    pub tables: Vec<TableReport>,
    /// Objects that belong to no table of the lake.
    pub unknown: Vec<String>,
}

/// What was found and done in one table.
#[derive(Debug, Serialize)]
pub struct TableReport {
    /// The table as it was found.
    #[serde(flatten)]
    pub survey: Survey,
    /// What was done, or would be.
    pub actions: Vec<Action>,
}

/// One change.
#[derive(Debug, Serialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// Small files became one.
    Compact {
        /// Folder of the partition below the table.
        partition: String,
        /// How many files there were.
        files: usize,
        /// Their bytes.
        bytes: u64,
    },
    /// The table was cut anew.
    Reshard {
        /// Objects per partition before.
        from: u32,
        /// Objects per partition after.
        to: u32,
        /// Partitions that were written again.
        partitions: usize,
    },
}

/// Looks at the tables of a lake, and does what is asked.
///
/// `encoding` says how the files of a stream's table are written.
pub fn run(lake: &Lake, encoding: &dyn Fn(&str) -> Encoding, options: &Options) -> Result<Report> {
    let tables = lake.tables()?;
    let wanted: Vec<&String> = tables
        .iter()
        .filter(|table| {
            options.tables.is_empty()
                || options.tables.iter().any(|pattern| WildMatch::new(pattern).matches(table))
        })
        .collect();
    if wanted.is_empty() && !options.tables.is_empty() {
        return Err(Error::Table {
            table: options.tables.join("`, `"),
            reason: format!("the lake has no such table; it has {}", list(&tables)),
        });
    }
    let mut report = Report { tables: Vec::new(), unknown: Vec::new() };
    for table in wanted {
        // It was listed a moment ago; whoever has removed it has removed its files too.
        let Some((_, definition)) = lake.definition(table)? else { continue };
        let objects = lake.store.list(&format!("{table}/"))?;
        let survey = survey::survey(&definition, &objects);
        let encoding = encoding(&definition.stream);
        let mut actions = Vec::new();
        if options.compact && definition.load_method == LoadMethod::Append {
            actions = compact::table(lake, &definition, &encoding, &objects, options.dry_run)?;
        }
        if let Some(shards) = options.shards
            && definition.load_method != LoadMethod::Append
        {
            let done = reshard::table(lake, table, &encoding, shards, options.dry_run)?;
            actions.extend(done);
        }
        report.tables.push(TableReport { survey, actions });
    }
    if options.tables.is_empty() {
        let is_known = |object: &Object| {
            object.key.split_once('/').is_some_and(|(first, _)| {
                first == OURS || tables.iter().any(|table| table == first)
            })
        };
        let others = lake.store.list("")?.into_iter().filter(|object| !is_known(object));
        report.unknown = others.map(|object| object.key).collect();
    }
    Ok(report)
}

fn list(tables: &[String]) -> String {
    if tables.is_empty() { "none".into() } else { tables.join(", ") }
}
