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

/// The key of a summary under which a run says something of this name.
pub(crate) fn note_key(lake: &Lake, name: &str) -> String {
    format!("{}.{name}", lake.aws().options().namespace)
}

/// The keys of a summary.
#[derive(Debug)]
struct Keys {
    /// The state that covers the rows of the snapshot.
    state: String,
    /// The object in the lake with the state, where it is long.
    file: String,
    /// The commit of the run; its tables have it in common.
    commit: String,
    /// The tables of the commit.
    tables: String,
    /// Those of them that it makes.
    new: String,
    /// The stream of the rows.
    stream: String,
    /// Where the state is kept when it is acknowledged.
    place: String,
    /// What that place said before, by its hash.
    before: String,
    /// What wrote the snapshot.
    program: String,
}

impl Keys {
    fn of(lake: &Lake) -> Self {
        let [state, file, commit, tables, new, stream, place, before, program] = [
            "state",
            "state-file",
            "commit",
            "commit-tables",
            "commit-makes",
            "stream",
            "state-out",
            "state-before",
            "target-version",
        ]
        .map(|name| note_key(lake, name));
        Self { state, file, commit, tables, new, stream, place, before, program }
    }
}

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
    /// The names of those that it makes, as [`Table::is_made`](crate::write::Table::is_made) knows them: they are not
    /// there yet, and are not taken for such as have gone.
    pub new: Vec<String>,
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
        let json = |names: &Vec<String>| {
            serde_json::to_string(names).map_err(|error| Error::broken("names are JSON", error))
        };
        let keys = Keys::of(lake);
        let mut notes = BTreeMap::from([
            (keys.commit, format!("{}/{}", lake.run(), self.number)),
            (keys.tables, json(&self.tables)?),
            (keys.stream, stream.to_owned()),
            (keys.program, env!("CARGO_PKG_VERSION").to_owned()),
        ]);
        if !self.new.is_empty() {
            notes.insert(keys.new, json(&self.new)?);
        }
        if let Some((place, before)) = &self.receipt {
            notes.insert(keys.place, place.clone());
            notes.insert(keys.before, before.as_deref().map_or_else(String::new, mark));
        }
        match state {
            Some(state) if state.len() > LONGEST => {
                let key = format!("{FOLDER}{}.json", mark(state));
                lake.store().put(&key, state.as_bytes(), Condition::Always)?;
                notes.insert(keys.file, key);
            }
            Some(state) => _ = notes.insert(keys.state, state.to_owned()),
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
pub(super) fn carried(lake: &Lake, metadata: &Metadata) -> BTreeMap<String, String> {
    let keys = Keys::of(lake);
    let Some(newest) = metadata.history().find(|snapshot| snapshot.note(&keys.commit).is_some())
    else {
        return BTreeMap::new();
    };
    let kept = [
        keys.commit,
        keys.tables,
        keys.new,
        keys.stream,
        keys.state,
        keys.file,
        keys.place,
        keys.before,
    ];
    let note = |key: String| newest.note(&key).map(str::to_owned).map(|text| (key, text));
    kept.into_iter().filter_map(note).collect()
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

    fn commits<'k>(&'k self, keys: &'k Keys) -> impl Iterator<Item = Snapshot<'k>> {
        self.metadata.history().filter(|snapshot| snapshot.note(&keys.commit).is_some())
    }

    /// Whether it has a commit, or has forgotten it: what came after it is there.
    fn has(&self, keys: &Keys, commit: &str, made: i64) -> bool {
        let mut oldest = None;
        for snapshot in self.metadata.history() {
            if snapshot.note(&keys.commit) == Some(commit) {
                return true;
            }
            oldest = Some(snapshot.made());
        }
        oldest.is_some_and(|oldest| oldest > made)
    }
}

/// The names that a snapshot has under a key. A note that cannot be read is none without names: whether all tables of a
/// commit have it decides which state counts.
fn names(key: &str, snapshot: Snapshot<'_>) -> Result<Vec<String>> {
    let text = snapshot.note(key).unwrap_or_default();
    serde_json::from_str(text).map_err(|error| {
        let reason = format!(
            "its summary has `{key}`, which is no list of names ({error}); somebody has changed it, and which state its rows \
             are covered by is not known. Roll the table back to the snapshot before it, or delete the key"
        );
        Error::store("read", format!("snapshot {}", snapshot.id()), reason)
    })
}

/// Whether all tables of a commit have it. One that has gone is not waited for, one that the commit was to make is.
fn is_whole(keys: &Keys, all: &[Known], snapshot: Snapshot<'_>) -> Result<bool> {
    let commit = snapshot.note(&keys.commit).unwrap_or_default();
    let new = match snapshot.note(&keys.new) {
        Some(_) => names(&keys.new, snapshot)?,
        None => Vec::new(),
    };
    Ok(names(&keys.tables, snapshot)?.iter().all(|name| {
        let known = all.iter().find(|known| known.table == *name);
        known.map_or(!new.contains(name), |known| known.has(keys, commit, snapshot.made()))
    }))
}

/// The newest state that the Iceberg tables of a lake hold: that of the newest commit which all of its tables have.
/// Nothing where no table has one.
pub fn newest_state(lake: &Lake) -> Result<Option<String>> {
    let keys = &Keys::of(lake);
    let all = Known::all(lake)?;
    let commits = all.iter().flat_map(|known| known.commits(keys));
    let is_stated = |snapshot: &Snapshot<'_>| {
        snapshot.note(&keys.state).is_some() || snapshot.note(&keys.file).is_some()
    };
    let mut stated: Vec<Snapshot<'_>> = commits.filter(is_stated).collect();
    // Of those of one instant the last.
    stated.reverse();
    stated.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.made()));
    let mut newest = None;
    for snapshot in stated {
        if is_whole(keys, &all, snapshot)? {
            newest = Some(snapshot);
            break;
        }
    }
    let Some(newest) = newest else { return Ok(None) };
    if let Some(state) = newest.note(&keys.state) {
        return Ok(Some(state.to_owned()));
    }
    let key = newest.note(&keys.file).unwrap_or_default();
    match lake.store().get(key)? {
        Some((_, text)) => Ok(Some(trimmed(&text))),
        None => {
            let reason = "a snapshot names it as the state of its rows, and it is gone";
            Err(Error::store("read", lake.store().locate(key), reason))
        }
    }
}

/// What a table has of a pipeline: of the one that keeps its state in a place, or of those that keep it nowhere.
#[derive(Debug, Default)]
pub(crate) struct Preceding {
    /// The newest commit.
    pub(crate) commit: Option<String>,
    /// The files whose rows may come again: a run has died before it gave back the state that covers them, or before
    /// other tables had theirs.
    pub(crate) doubtful: Vec<String>,
}

impl Preceding {
    /// Looks for it.
    pub(crate) fn of(lake: &Lake, table: &str, receipt: Option<&dyn Receipt>) -> Result<Self> {
        let own = lake.iceberg(table)?;
        let Some(found) = own.load()? else { return Ok(Self::default()) };
        let (keys, metadata) = (&Keys::of(lake), found.metadata);
        let place = receipt.map(Receipt::place);
        let Some(newest) = newest_of(keys, &metadata, place.as_deref()) else {
            return Ok(Self::default());
        };
        let commit = newest.note(&keys.commit).map(str::to_owned);
        if let Some(receipt) = receipt {
            check_known(lake, keys, newest, receipt)?;
        }
        if !is_unknown(keys, newest, receipt) && !is_torn(lake, keys, newest)? {
            return Ok(Self { commit, ..Self::default() });
        }
        // What has put its files together since says the same of itself. What the commit has brought is what it names.
        let mut said =
            metadata.history().filter(|snapshot| snapshot.note(&keys.commit) == commit.as_deref());
        let doubtful =
            said.by_ref().last().map_or_else(|| Ok(Vec::new()), |first| own.added(first))?;
        if !doubtful.is_empty() {
            tracing::warn!(
                table,
                files = doubtful.len(),
                "{table}: a run died before it gave back the state of the rows that it added last; those that come again are left out"
            );
        }
        Ok(Self { commit, doubtful })
    }
}

/// Whether no other run of the pipeline has added rows since `preceding` was its newest commit: they are the same ones.
pub(super) fn check_preceding(
    lake: &Lake,
    metadata: &Metadata,
    notes: &BTreeMap<String, String>,
    preceding: Option<&str>,
) -> Result<()> {
    let keys = Keys::of(lake);
    let Some(place) = notes.get(&keys.place) else {
        // Those of other pipelines are not told from those of this one.
        return Ok(());
    };
    let newest = newest_of(&keys, metadata, Some(place));
    let is_own = |commit: &str| commit.split_once('/').is_some_and(|(run, _)| run == lake.run());
    match newest.and_then(|newest| newest.note(&keys.commit)) {
        Some(commit) if preceding != Some(commit) && !is_own(commit) => {
            Err(Error::Superseded { run: lake.run().to_owned() })
        }
        Some(_) | None => Ok(()),
    }
}

/// The newest commit of a pipeline in the history of a table.
fn newest_of<'m>(keys: &Keys, metadata: &'m Metadata, place: Option<&str>) -> Option<Snapshot<'m>> {
    metadata
        .history()
        .filter(|snapshot| snapshot.note(&keys.commit).is_some())
        .find(|snapshot| snapshot.note(&keys.place) == place)
}

/// Another run of the pipeline that has come further since this one read the state has moved it.
fn check_known(
    lake: &Lake,
    keys: &Keys,
    newest: Snapshot<'_>,
    receipt: &dyn Receipt,
) -> Result<()> {
    let known = receipt.known();
    let is_known =
        known.as_deref() == newest.note(&keys.state) || is_before(keys, newest, known.as_deref());
    if !is_known && receipt.newest()?.map(|text| trimmed(&text)) != known {
        return Err(Error::Superseded { run: lake.run().to_owned() });
    }
    Ok(())
}

/// Whether a commit began from a state.
fn is_before(keys: &Keys, snapshot: Snapshot<'_>, known: Option<&str>) -> bool {
    snapshot.note(&keys.before) == Some(known.map_or_else(String::new, mark).as_str())
}

/// Whether the state of a snapshot was not acknowledged: the place says what it said before.
fn is_unknown(keys: &Keys, snapshot: Snapshot<'_>, receipt: Option<&dyn Receipt>) -> bool {
    let Some(receipt) = receipt else { return false };
    let known = receipt.known();
    is_before(keys, snapshot, known.as_deref()) && known.as_deref() != snapshot.note(&keys.state)
}

/// Whether a commit is missing in one of its tables, and none came after it.
fn is_torn(lake: &Lake, keys: &Keys, snapshot: Snapshot<'_>) -> Result<bool> {
    if names(&keys.tables, snapshot)?.len() < 2 {
        return Ok(false);
    }
    let all = Known::all(lake)?;
    let commit = snapshot.note(&keys.commit);
    let is_over = all
        .iter()
        .filter_map(|known| known.commits(keys).next())
        .any(|newest| newest.note(&keys.commit) != commit && newest.made() > snapshot.made());
    Ok(!is_over && !is_whole(keys, &all, snapshot)?)
}
