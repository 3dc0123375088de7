//! What the lake remembers of a catalog that is behind: `_lake/catalog/<run>.json`.
//!
//! A run writes down which tables it is about to change before the first change is visible, and
//! removes the note when the catalog knows of it. A run that is killed between leaves its note; the
//! next one finds it, and brings those tables up whether it has rows for them or not.
//!
//! ```text
//! note written → data visible → STATE given back → catalog brought up → note removed
//! ```

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::Lake;
use crate::error::{Error, Result};
use crate::owner;
use crate::store::Condition;

const FOLDER: &str = "_lake/catalog/";

/// A note of a run that may be alive is signed again after this time.
const RENEW_AFTER: Duration = Duration::from_hours(1);

/// A note of another host that is this old belongs to a dead run: what lies between two signatures
/// is an hour and a commit.
const DEAD_AFTER: Duration = Duration::from_hours(6);

/// A note.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Note {
    run: String,
    owner: String,
    at: DateTime<Utc>,
    /// Whether the run has ended, and the catalog is behind for another reason than its death.
    ended: bool,
    /// The tables that the catalog may be behind of.
    pub(super) tables: BTreeSet<String>,
    /// The crawl that shall bring them up is the first after the one that began then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) crawl_after: Option<String>,
}

/// The notes of other runs, and that of this run.
#[derive(Debug)]
pub(super) struct Notes {
    key: String,
    own: Note,
    written: bool,
    others: Vec<Other>,
}

/// A note of another run.
#[derive(Debug)]
struct Other {
    key: String,
    note: Note,
    /// Whether the run had ended when the note was read, so that it says all that it ever will.
    is_last: bool,
}

impl Notes {
    pub(super) fn new(run: &str) -> Self {
        Self {
            key: format!("{FOLDER}{run}.json"),
            own: Note {
                run: run.to_owned(),
                owner: owner::name(run),
                at: Utc::now(),
                ended: false,
                tables: BTreeSet::new(),
                crawl_after: None,
            },
            written: false,
            others: Vec::new(),
        }
    }

    /// Writes down that these tables may be ahead of the catalog from now on.
    pub(super) fn mark_dirty<'a>(
        &mut self,
        lake: &Lake,
        tables: impl IntoIterator<Item = &'a str>,
    ) -> Result<()> {
        let known = self.own.tables.len();
        self.own.tables.extend(tables.into_iter().map(str::to_owned));
        let is_old = age(&self.own) > RENEW_AFTER && self.written;
        if self.own.tables.len() > known || is_old { self.write(lake) } else { Ok(()) }
    }

    /// Reads the notes of other runs.
    pub(super) fn read_others(&mut self, lake: &Lake) -> Result<()> {
        self.others.clear();
        for object in lake.store.list(FOLDER)? {
            if object.key == self.key {
                continue;
            }
            let Some(note) = read(lake, &object.key)? else { continue };
            let is_last = note.has_ended();
            // A run may have added to its note before it ended.
            let note = if is_last { read(lake, &object.key)?.unwrap_or(note) } else { note };
            self.others.push(Other { key: object.key, note, is_last });
        }
        Ok(())
    }

    /// The notes of other runs.
    pub(super) fn others(&self) -> impl Iterator<Item = &Note> {
        self.others.iter().map(|other| &other.note)
    }

    /// Removes the notes of runs that have ended and of which nothing is open any more.
    pub(super) fn drop_others(
        &mut self,
        lake: &Lake,
        is_settled: impl Fn(&Note) -> bool,
    ) -> Result<()> {
        let (settled, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.others)
            .into_iter()
            .partition(|other| other.is_last && is_settled(&other.note));
        self.others = rest;
        settled.iter().try_for_each(|other| lake.store.delete(&other.key))
    }

    /// The run ends with the catalog behind of these tables; without any, nothing is left to say.
    /// What other runs that have ended had to say is said with it. `crawl_after` as in the note.
    pub(super) fn settle(
        &mut self,
        lake: &Lake,
        behind: BTreeSet<String>,
        crawl_after: Option<String>,
    ) -> Result<()> {
        if !behind.is_empty() {
            self.own.ended = true;
            self.own.tables = behind;
            self.own.crawl_after = crawl_after;
            self.write(lake)?;
        } else if self.written {
            lake.store.delete(&self.key)?;
            self.written = false;
        }
        self.drop_others(lake, |_| true)
    }

    fn write(&mut self, lake: &Lake) -> Result<()> {
        self.own.at = Utc::now();
        let text = serde_json::to_vec_pretty(&self.own)
            .map_err(|error| Error::broken("a note is JSON", error))?;
        lake.store.put(&self.key, &text, Condition::Always)?;
        self.written = true;
        Ok(())
    }
}

fn read(lake: &Lake, key: &str) -> Result<Option<Note>> {
    let Some((_, text)) = lake.store.get(key)? else { return Ok(None) };
    match serde_json::from_slice(&text) {
        Ok(note) => Ok(Some(note)),
        Err(error) => {
            let object = lake.store.locate(key);
            tracing::warn!(object, %error, "a damaged note about the catalog is ignored");
            Ok(None)
        }
    }
}

fn age(note: &Note) -> Duration {
    (Utc::now() - note.at).to_std().unwrap_or_default()
}

impl Note {
    fn has_ended(&self) -> bool {
        self.ended || owner::is_dead(&self.owner) || age(self) > DEAD_AFTER
    }
}
