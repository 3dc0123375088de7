//! Which state covers the rows of an Iceberg table: its snapshots say it, so that rows and state are one step.
//!
//! A commit of several tables is one swap each. Each says which tables the commit is of, so that a state counts only
//! where all of them have it. What a run has died over is in doubt: rows of such a snapshot that come again are left
//! out, as those of appended files are (`doubt.rs`).

use std::collections::BTreeMap;

use xxhash_rust::xxh3::xxh3_128;

use crate::error::{Error, Result};
use crate::format::iceberg::metadata::{Metadata, Snapshot};
use crate::lake::Lake;
use crate::store::Condition;
use crate::write::journal::{Receipt, trimmed};

/// The state that covers the rows of a snapshot.
const STATE: &str = "singer.state";

/// The object in the lake with the state, where it is long.
const STATE_FILE: &str = "singer.state-file";

/// The commit of the run; its tables have it in common.
const COMMIT: &str = "singer.commit";

/// The tables of the commit.
const TABLES: &str = "singer.commit-tables";

/// The stream of the rows.
const STREAM: &str = "singer.stream";

/// Where the state is kept when it is acknowledged.
const PLACE: &str = "singer.state-out";

/// What that place said before, by its hash.
const BEFORE: &str = "singer.state-before";

/// What wrote the snapshot.
const PROGRAM: &str = "singer.target-version";

/// The longest state that stands in a summary, in bytes: catalogs limit the size of metadata, and it is there once
/// for each snapshot. (Glue: 20 MB for all of it,
/// <https://docs.aws.amazon.com/glue/latest/dg/limitation-glue-iceberg-rest-api.html>.)
const LONGEST: usize = 64 * 1024;

/// Where longer ones are: outside of every table, whose maintenance would take them for orphans.
const FOLDER: &str = "_lake/state/";

/// A commit of several tables, as each of them notes it.
#[derive(Debug, Clone)]
pub struct CommitNote {
    /// Its number in the run.
    pub number: u32,
    /// The names of its tables.
    pub tables: Vec<String>,
    /// The place where the state is kept, and what it says before.
    pub receipt: Option<(String, Option<String>)>,
}

impl CommitNote {
    /// What a table notes whose rows are of a stream and are covered by a state.
    pub fn notes(
        &self,
        lake: &Lake,
        stream: &str,
        state: Option<&str>,
    ) -> Result<BTreeMap<String, String>> {
        let tables = serde_json::to_string(&self.tables)
            .map_err(|error| Error::broken("names are JSON", error))?;
        let mut notes = BTreeMap::from([
            (COMMIT.to_owned(), format!("{}/{}", lake.run(), self.number)),
            (TABLES.to_owned(), tables),
            (STREAM.to_owned(), stream.to_owned()),
            (PROGRAM.to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ]);
        if let Some((place, before)) = &self.receipt {
            notes.insert(PLACE.into(), place.clone());
            notes.insert(BEFORE.into(), before.as_deref().map_or_else(String::new, mark));
        }
        match state {
            Some(state) if state.len() > LONGEST => {
                let key = format!("{FOLDER}{}.json", mark(state));
                lake.store().put(&key, state.as_bytes(), Condition::Always)?;
                notes.insert(STATE_FILE.into(), key);
            }
            Some(state) => _ = notes.insert(STATE.into(), state.to_owned()),
            None => {}
        }
        Ok(notes)
    }
}

/// A text by its hash.
fn mark(text: &str) -> String {
    format!("{:032x}", xxh3_128(text.as_bytes()))
}

/// What a snapshot goes on saying that no stream has brought rows for: the state of the table stays what it is.
pub(super) fn carried(metadata: &Metadata) -> BTreeMap<String, String> {
    let Some(newest) = metadata.history().find(|snapshot| snapshot.note(COMMIT).is_some()) else {
        return BTreeMap::new();
    };
    let keys = [COMMIT, TABLES, STREAM, STATE, STATE_FILE];
    let notes =
        keys.into_iter().filter_map(|key| Some((key.to_owned(), newest.note(key)?.to_owned())));
    notes.collect()
}

/// What a table has of the commits of runs.
#[derive(Debug)]
struct Known {
    table: String,
    metadata: Metadata,
}

impl Known {
    fn all(lake: &Lake) -> Result<Vec<Self>> {
        let mut all = Vec::new();
        for table in lake.tables()? {
            let is_iceberg =
                lake.definition(&table)?.is_some_and(|(_, definition)| definition.is_iceberg());
            if is_iceberg && let Some(found) = lake.iceberg(&table)?.load()? {
                all.push(Self { table, metadata: found.metadata });
            }
        }
        Ok(all)
    }

    fn commits(&self) -> impl Iterator<Item = Snapshot<'_>> {
        self.metadata.history().filter(|snapshot| snapshot.note(COMMIT).is_some())
    }

    fn newest(&self) -> Option<Snapshot<'_>> {
        self.commits().next()
    }

    /// Whether it has a commit, or has forgotten it: what came after it is there.
    fn has(&self, commit: &str, made: i64) -> bool {
        let mut oldest = None;
        for snapshot in self.metadata.history() {
            if snapshot.note(COMMIT) == Some(commit) {
                return true;
            }
            oldest = Some(snapshot.made());
        }
        oldest.is_some_and(|oldest| oldest > made)
    }
}

fn tables_of(snapshot: Snapshot<'_>) -> Vec<String> {
    let text = snapshot.note(TABLES).unwrap_or("[]");
    serde_json::from_str(text).unwrap_or_default()
}

/// Whether all tables of a commit have it. One that is no more there is not waited for.
fn is_whole(all: &[Known], snapshot: Snapshot<'_>) -> bool {
    let commit = snapshot.note(COMMIT).unwrap_or_default();
    tables_of(snapshot).iter().all(|name| {
        all.iter()
            .find(|known| known.table == *name)
            .is_none_or(|known| known.has(commit, snapshot.made()))
    })
}

/// The newest state that the Iceberg tables of a lake hold: that of the newest commit which all of its tables have.
/// Nothing where no table has one.
pub fn newest_state(lake: &Lake) -> Result<Option<String>> {
    let all = Known::all(lake)?;
    let commits = all.iter().flat_map(Known::commits);
    let stated = commits.filter(|snapshot| {
        (snapshot.note(STATE).is_some() || snapshot.note(STATE_FILE).is_some())
            && is_whole(&all, *snapshot)
    });
    let Some(newest) = stated.max_by_key(|snapshot| snapshot.made()) else { return Ok(None) };
    if let Some(state) = newest.note(STATE) {
        return Ok(Some(state.to_owned()));
    }
    let key = newest.note(STATE_FILE).unwrap_or_default();
    match lake.store().get(key)? {
        Some((_, text)) => Ok(Some(trimmed(&text))),
        None => {
            let reason = "a snapshot names it as the state of its rows, and it is gone";
            Err(Error::store("read", lake.store().locate(key), reason))
        }
    }
}

/// The files of a table whose rows may come again: a run has died before it gave back the state that covers them, or
/// before other tables had theirs.
pub(crate) fn doubtful(
    lake: &Lake,
    table: &str,
    receipt: Option<&dyn Receipt>,
) -> Result<Vec<String>> {
    let own = lake.iceberg(table)?;
    let Some(found) = own.load()? else { return Ok(Vec::new()) };
    let metadata = found.metadata;
    let Some(newest) = metadata.history().find(|snapshot| snapshot.note(COMMIT).is_some()) else {
        return Ok(Vec::new());
    };
    if !is_unknown(newest, receipt) && !is_torn(lake, newest)? {
        return Ok(Vec::new());
    }
    let mut live = own.live(&metadata, None)?;
    live.retain(|file| file.snapshot == newest.id());
    if !live.is_empty() {
        tracing::warn!(
            table,
            files = live.len(),
            "{table}: a run died before it gave back the state of the rows that it added last; those that come again are left out"
        );
    }
    Ok(live.into_iter().map(|file| file.key).collect())
}

/// Whether the state of a snapshot was not acknowledged: the place says what it said before.
fn is_unknown(snapshot: Snapshot<'_>, receipt: Option<&dyn Receipt>) -> bool {
    let Some(receipt) = receipt else { return false };
    if snapshot.note(PLACE) != Some(receipt.place().as_str()) {
        return false;
    }
    let known = receipt.known();
    let is_before =
        snapshot.note(BEFORE) == Some(known.as_deref().map_or_else(String::new, mark).as_str());
    is_before && known.as_deref() != snapshot.note(STATE)
}

/// Whether a commit is missing in one of its tables, and none came after it.
fn is_torn(lake: &Lake, snapshot: Snapshot<'_>) -> Result<bool> {
    if tables_of(snapshot).len() < 2 {
        return Ok(false);
    }
    let all = Known::all(lake)?;
    let commit = snapshot.note(COMMIT);
    let is_over = all
        .iter()
        .filter_map(Known::newest)
        .any(|newest| newest.note(COMMIT) != commit && newest.made() > snapshot.made());
    Ok(!is_over && !is_whole(&all, snapshot))
}
