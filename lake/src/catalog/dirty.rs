//! What the lake remembers of a catalog that is behind: `_lake/catalog/<run>.json`.
//!
//! A run writes down which tables it is about to change before the first change is visible, and
//! removes the note when the catalog knows of it. A run that is killed between leaves its note; the
//! next one finds it, and syncs those tables whether it has rows for them or not.
//!
//! ```text
//! note written → data visible → STATE acknowledged → catalog synced → note removed
//! ```

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::holds::Holds;
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::store::Condition;

const FOLDER: &str = "_lake/catalog/";

/// The notes about a database of personal data.
const PERSONAL: &str = "_lake/catalog/personal/";

/// A note of a run that may be alive is signed again after this time.
const RENEW_AFTER: Duration = Duration::from_hours(1);

/// A note of another host that is this old belongs to a dead run: what lies between two signatures
/// is an hour and a commit.
const DEAD_AFTER: Duration = Duration::from_hours(6);

/// A note: which tables the catalog may be behind of, and whose it is to say so. The names of its
/// fields are those of the stored file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct DirtyNote {
    run: String,
    owner: String,
    at: DateTime<Utc>,
    /// Whether the run has ended, and the catalog is behind for another reason than its death.
    ended: bool,
    /// The tables that the catalog may be behind of.
    pub(super) tables: BTreeSet<String>,
    /// The first crawl after the one that began then covers the tables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) crawl_after: Option<String>,
}

/// The note of this run, and those of others.
#[derive(Debug)]
pub(super) struct DirtyNotes {
    /// The tables that they are about.
    holds: Holds,
    key: String,
    own: DirtyNote,
    written: bool,
    others: Vec<Other>,
}

/// A note of another run.
#[derive(Debug)]
struct Other {
    key: String,
    note: DirtyNote,
    /// Whether the run had ended when the note was read, so that it says all that it ever will.
    is_last: bool,
}

impl DirtyNotes {
    /// The notes as a run knows them that has neither written nor read one.
    pub(super) fn new(lake: &Lake, holds: Holds) -> Self {
        Self {
            holds,
            key: format!("{}{}.json", folder(holds), lake.run),
            own: DirtyNote {
                run: lake.run.clone(),
                owner: lake.presence.owner().to_owned(),
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
        for object in lake.store.list(folder(self.holds))? {
            // Where one database has all tables, it takes over what was noted about the other.
            let is_of_other = self.holds == Holds::Shared && object.key.starts_with(PERSONAL);
            if object.key == self.key || is_of_other {
                continue;
            }
            let Some(note) = read(lake, &object.key)? else { continue };
            let is_last = note.has_ended(lake);
            // A run may have added to its note before it ended.
            let note = if is_last { read(lake, &object.key)?.unwrap_or(note) } else { note };
            self.others.push(Other { key: object.key, note, is_last });
        }
        Ok(())
    }

    /// The notes of other runs.
    pub(super) fn others(&self) -> impl Iterator<Item = &DirtyNote> {
        self.others.iter().map(|other| &other.note)
    }

    /// Removes the notes of runs that have ended whose tables are `clean` in the catalog by now. That
    /// of a living run is its own to remove.
    pub(super) fn remove_others(
        &mut self,
        lake: &Lake,
        is_clean: impl Fn(&DirtyNote) -> bool,
    ) -> Result<()> {
        let (clean, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.others)
            .into_iter()
            .partition(|other| other.is_last && is_clean(&other.note));
        self.others = rest;
        clean.iter().try_for_each(|other| lake.store.delete(&other.key))
    }

    /// The run ends, and the catalog is still behind of `dirty` tables; without any, no note is left.
    /// What the notes of other runs that have ended said is said by this one. `crawl_after` as in the
    /// note.
    pub(super) fn finish(
        &mut self,
        lake: &Lake,
        dirty: BTreeSet<String>,
        crawl_after: Option<String>,
    ) -> Result<()> {
        if !dirty.is_empty() {
            self.own.ended = true;
            self.own.tables = dirty;
            self.own.crawl_after = crawl_after;
            self.write(lake)?;
        } else if self.written {
            lake.store.delete(&self.key)?;
            self.written = false;
        }
        self.remove_others(lake, |_| true)
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

fn folder(holds: Holds) -> &'static str {
    match holds {
        Holds::All | Holds::Shared => FOLDER,
        Holds::Personal => PERSONAL,
    }
}

/// Reads a note; nothing where its run has removed it meanwhile, or where it is damaged.
fn read(lake: &Lake, key: &str) -> Result<Option<DirtyNote>> {
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

fn age(note: &DirtyNote) -> Duration {
    // By the clock of a host that is ahead of this one, a note may be of the future: it is new.
    (Utc::now() - note.at).to_std().unwrap_or(Duration::ZERO)
}

impl DirtyNote {
    fn has_ended(&self, lake: &Lake) -> bool {
        self.ended || lake.presence.has_ended(&self.owner) || age(self) > DEAD_AFTER
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::LakeFolder;

    /// The notes that are in a lake.
    pub(in crate::catalog) fn stored(lake: &Lake) -> Vec<Value> {
        let read = |key: &str| serde_json::from_slice(&lake.store.get(key).unwrap().unwrap().1);
        let objects = lake.store.list(FOLDER).unwrap();
        objects.iter().map(|object| read(&object.key).unwrap()).collect()
    }

    /// Leaves the note of a run of this place that lives no more.
    pub(in crate::catalog) fn leave_note_of_dead_run(lake: &Lake, tables: &[&str]) {
        let owner = lake.presence.owner().replace(&lake.run, "dead");
        leave(lake, "dead", &owner, Utc::now(), tables);
    }

    fn leave(lake: &Lake, run: &str, owner: &str, at: DateTime<Utc>, tables: &[&str]) {
        let note = json!({"run": run, "owner": owner, "at": at, "ended": false, "tables": tables});
        let key = format!("{FOLDER}{run}.json");
        lake.store.put(&key, note.to_string().as_bytes(), Condition::Always).unwrap();
    }

    fn others(lake: &Lake) -> Vec<String> {
        let mut notes = DirtyNotes::new(lake, Holds::All);
        notes.read_others(lake).unwrap();
        notes.others().flat_map(|note| note.tables.iter().cloned()).collect()
    }

    #[test]
    fn a_note_is_there_from_the_first_mark_to_a_clean_end() {
        let folder = LakeFolder::new();
        let lake = folder.lake();
        let mut notes = DirtyNotes::new(&lake, Holds::All);
        assert!(stored(&lake).is_empty());
        notes.mark_dirty(&lake, ["t"]).unwrap();
        let note = &stored(&lake)[0];
        assert_eq!((&note["tables"], &note["ended"]), (&json!(["t"]), &json!(false)));
        notes.finish(&lake, BTreeSet::new(), None).unwrap();
        assert!(stored(&lake).is_empty());
    }

    #[test]
    fn the_fields_of_a_stored_note_are_those_of_the_first_release() {
        let folder = LakeFolder::new();
        let lake = folder.lake();
        let mut notes = DirtyNotes::new(&lake, Holds::All);
        notes.finish(&lake, ["t".to_owned()].into(), Some("1.5".into())).unwrap();
        let note = &stored(&lake)[0];
        let fields: Vec<&str> = note.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, ["run", "owner", "at", "ended", "tables", "crawl_after"]);
        assert_eq!((&note["ended"], &note["crawl_after"]), (&json!(true), &json!("1.5")));
        let first = json!({
            "run": "20261126T201322817144-001fc4", "owner": "host.8132-77.run",
            "at": "2026-11-26T20:13:22.817144Z", "ended": true, "tables": ["a", "b"],
        });
        let note: DirtyNote = serde_json::from_value(first).unwrap();
        assert_eq!((note.tables.len(), note.crawl_after), (2, None));
    }

    #[test]
    fn a_note_is_written_again_for_another_table_or_after_an_hour() {
        let folder = LakeFolder::new();
        let lake = folder.lake();
        let mut notes = DirtyNotes::new(&lake, Holds::All);
        let marked = |notes: &mut DirtyNotes, tables: &[&str]| {
            notes.mark_dirty(&lake, tables.iter().copied()).unwrap();
            stored(&lake)[0].clone()
        };
        let first = marked(&mut notes, &["t"]);
        assert_eq!(marked(&mut notes, &["t"]), first);
        assert_eq!(marked(&mut notes, &["u"])["tables"], json!(["t", "u"]));
        let hour_ago = Utc::now() - RENEW_AFTER - Duration::from_secs(1);
        notes.own.at = hour_ago;
        assert!(marked(&mut notes, &["t"])["at"] != json!(hour_ago));
        assert!(age(&notes.own) < RENEW_AFTER);
    }

    #[test]
    fn the_note_of_a_dead_run_is_found_and_goes_when_its_tables_are_synced() {
        let folder = LakeFolder::new();
        let lake = folder.lake();
        leave_note_of_dead_run(&lake, &["t", "u"]);
        let mut notes = DirtyNotes::new(&lake, Holds::All);
        notes.read_others(&lake).unwrap();
        let tables: Vec<_> = notes.others().flat_map(|note| &note.tables).cloned().collect();
        assert_eq!(tables, ["t", "u"]);
        notes.finish(&lake, BTreeSet::new(), None).unwrap();
        assert!(stored(&lake).is_empty());
    }

    #[test]
    fn the_note_of_a_living_run_is_found_and_stays() {
        let folder = LakeFolder::new();
        let (living, lake) = (folder.lake(), folder.lake());
        DirtyNotes::new(&living, Holds::All).mark_dirty(&living, ["t"]).unwrap();
        let mut notes = DirtyNotes::new(&lake, Holds::All);
        notes.read_others(&lake).unwrap();
        assert_eq!(notes.others().count(), 1);
        notes.remove_others(&lake, |_| true).unwrap();
        notes.finish(&lake, BTreeSet::new(), None).unwrap();
        assert_eq!(stored(&lake).len(), 1);
    }

    #[test]
    fn a_run_of_another_host_counts_as_dead_after_six_hours() {
        let folder = LakeFolder::new();
        let lake = folder.lake();
        let mut notes = DirtyNotes::new(&lake, Holds::All);
        for (run, hours) in [("young", 5), ("old", 7)] {
            let at = Utc::now() - Duration::from_hours(hours);
            leave(&lake, run, "elsewhere.1-1.run", at, &[run]);
        }
        notes.read_others(&lake).unwrap();
        assert_eq!(notes.others().count(), 2);
        notes.finish(&lake, BTreeSet::new(), None).unwrap();
        let left: Vec<Value> = stored(&lake).iter().map(|note| note["run"].clone()).collect();
        assert_eq!(left, ["young"]);
    }

    #[test]
    fn what_other_runs_left_is_said_by_the_note_of_this_one() {
        let folder = LakeFolder::new();
        let lake = folder.lake();
        leave_note_of_dead_run(&lake, &["t"]);
        let mut notes = DirtyNotes::new(&lake, Holds::All);
        notes.read_others(&lake).unwrap();
        notes.finish(&lake, ["t".to_owned(), "u".to_owned()].into(), None).unwrap();
        let left = stored(&lake);
        assert_eq!(left.len(), 1);
        assert_eq!((&left[0]["run"], &left[0]["tables"]), (&json!(lake.run), &json!(["t", "u"])));
    }

    #[test]
    fn a_damaged_note_is_passed_over_and_kept() {
        let folder = LakeFolder::new();
        let lake = folder.lake();
        let key = format!("{FOLDER}damaged.json");
        lake.store.put(&key, b"{\"run\":", Condition::Always).unwrap();
        leave_note_of_dead_run(&lake, &["t"]);
        assert_eq!(others(&lake), ["t"]);
        DirtyNotes::new(&lake, Holds::All).finish(&lake, BTreeSet::new(), None).unwrap();
        assert!(lake.store.head(&key).unwrap().is_some());
    }

    #[test]
    fn a_note_of_the_future_is_new() {
        let folder = LakeFolder::new();
        let lake = folder.lake();
        let at = Utc::now() + Duration::from_hours(48);
        leave(&lake, "ahead", "elsewhere.1-1.run", at, &["t"]);
        let mut notes = DirtyNotes::new(&lake, Holds::All);
        notes.read_others(&lake).unwrap();
        notes.finish(&lake, BTreeSet::new(), None).unwrap();
        assert_eq!(stored(&lake).len(), 1);
    }
}
