//! Notes of what a run is about to show: `_lake/commits/<place>-<run>-<commit>.json`.
//!
//! A note is changed only as long as it is as it was read or written last, so that of two runs which
//! want to decide over it one does, and the other learns of it. Nothing is decided by a clock.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::at_once::at_once;
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::store::{Condition, Object};
use crate::table::file_name::GENERATIONS;

/// Where notes are.
pub(super) const FOLDER: &str = "_lake/commits/";

/// What the names of the notes about files that take the place of others begin with.
const REPLACING: &str = "replacing-";

/// The key of a note about the n-th commit of a run that keeps its state in a place. What the name begins
/// with says which place that is, so that nobody reads the notes of other pipelines.
pub(super) fn key(place: Option<&str>, run: &str, commit: u32) -> String {
    let place = place.map(|place| format!("{}-", mark(place))).unwrap_or_default();
    format!("{FOLDER}{place}{run}-{commit}.json")
}

/// The key of a note about a file that takes the place of others.
pub(super) fn replacing_key(file: &str) -> String {
    format!("{FOLDER}{REPLACING}{}.json", file.replace('/', "-"))
}

/// Whether a note is about a file that takes the place of others.
pub(super) fn is_replacing(key: &str) -> bool {
    key.strip_prefix(FOLDER).is_some_and(|name| name.starts_with(REPLACING))
}

/// Whether a note says by its name that it is of a pipeline that keeps its state elsewhere.
pub(super) fn is_of_other(key: &str, place: Option<&str>) -> bool {
    let name = key.strip_prefix(FOLDER).unwrap_or(key);
    let marked = name.split_once('-').map(|(mark, _)| mark).filter(|mark| is_mark(mark));
    marked.is_some_and(|marked| place.map(mark).as_deref() != Some(marked))
}

fn mark(place: &str) -> String {
    format!("{:016x}", xxh3_64(place.as_bytes()))
}

/// The name of a run has no part of this form.
fn is_mark(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The format of the notes that this release writes.
const FORMAT: u32 = 2;

fn first_format() -> u32 {
    1
}

/// A note. The names of its fields are those of the stored file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Note {
    /// The version of this format. Notes of the first one do not say whose state they mean.
    #[serde(default = "first_format")]
    pub(super) format: u32,
    /// The run whose files they are.
    pub(super) run: String,
    /// That run among those of its place.
    pub(super) owner: String,
    /// When it was written, for people.
    pub(super) at: DateTime<Utc>,
    pub(super) phase: Phase,
    /// Files that become visible.
    pub(super) files: Vec<String>,
    /// Files that take the place of all that their table held: they stay, whatever became of the state.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) replacing: Vec<String>,
    /// Files that these replace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) obsolete: Vec<String>,
    /// The state that covers them.
    pub(super) state: Option<String>,
    /// Where that state is kept when it was acknowledged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) state_out: Option<String>,
    /// What was kept there before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) before: Option<String>,
    /// The run that decides over the files by now, where that is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) claimed_by: Option<String>,
}

/// How far the run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Phase {
    /// Its files become visible; their state has not been acknowledged.
    Publishing,
    /// All files are visible; their state may have been acknowledged. The stored name is that of the
    /// first release.
    #[serde(rename = "giving")]
    Acknowledging,
    /// The state was not acknowledged, and the files go again.
    Withdrawing,
    /// A file takes the place of others that hold the same rows.
    Replacing,
}

impl Note {
    pub(super) fn new(lake: &Lake, phase: Phase, files: Vec<String>) -> Self {
        Self {
            format: FORMAT,
            run: lake.run.clone(),
            owner: lake.presence.owner().to_owned(),
            at: Utc::now(),
            phase,
            files,
            replacing: Vec::new(),
            obsolete: Vec::new(),
            state: None,
            state_out: None,
            before: None,
            claimed_by: None,
        }
    }

    /// Whether it is of a release whose notes did not say where the state is kept.
    pub(super) fn is_of_anybody(&self) -> bool {
        self.format < FORMAT
    }

    /// The files whose rows must not come twice.
    pub(super) fn rows(&self) -> impl Iterator<Item = &String> {
        self.files.iter().chain(&self.replacing)
    }

    /// Whether its files are about to enter a table, or wait to.
    pub(super) fn is_about(&self, table: &str) -> bool {
        self.rows().any(|file| is_of(file, table))
    }
}

/// The table that a file is of, or waits to enter.
pub(super) fn table_of(file: &str) -> Option<&str> {
    let file = file.strip_prefix(GENERATIONS).map_or(file, |rest| &rest[1..]);
    file.split('/').next()
}

/// Whether a file is a table's, or waits to enter it.
pub(super) fn is_of(file: &str, table: &str) -> bool {
    table_of(file) == Some(table)
}

/// A note as it is stored.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) object: Object,
    pub(super) note: Note,
}

impl Stored {
    /// Writes a note that is not there yet.
    pub(super) fn create(lake: &Lake, key: &str, note: Note) -> Result<Self> {
        let object = lake.store.put(key, &text(&note)?, Condition::Absent)?;
        Ok(Self { object, note })
    }

    /// Reads a note; nothing where it has gone, or where it is damaged.
    pub(super) fn read(lake: &Lake, key: &str) -> Result<Option<Self>> {
        let Some((object, text)) = lake.store.get(key)? else { return Ok(None) };
        match serde_json::from_slice(&text) {
            Ok(note) => Ok(Some(Self { object, note })),
            Err(error) => {
                let object = lake.store.locate(key);
                tracing::warn!(object, %error, "a damaged note of a commit is ignored");
                Ok(None)
            }
        }
    }

    /// The notes whose keys are wanted.
    pub(super) fn all(lake: &Lake, is_wanted: impl Fn(&str) -> bool) -> Result<Vec<Self>> {
        let objects = lake.store.list(FOLDER)?;
        let keys = objects.into_iter().map(|object| object.key);
        let wanted: Vec<String> = keys.filter(|key| is_wanted(key)).collect();
        let mut found = Vec::with_capacity(wanted.len());
        at_once(
            lake.at_once,
            &wanted,
            |key| Self::read(lake, key),
            |note| {
                found.extend(note?);
                Ok(())
            },
        )?;
        found.sort_unstable_by(|one, other| one.object.key.cmp(&other.object.key));
        Ok(found)
    }

    /// Changes the note.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] where another run has changed it meanwhile.
    pub(super) fn change(&mut self, lake: &Lake, change: impl FnOnce(&mut Note)) -> Result<()> {
        let mut note = self.note.clone();
        change(&mut note);
        let condition = Condition::still(Some(&self.object));
        self.object = lake.store.put(&self.object.key, &text(&note)?, condition)?;
        self.note = note;
        Ok(())
    }

    /// Takes the note over, whoever had it. Nothing where it has gone.
    pub(super) fn claim(self, lake: &Lake) -> Result<Option<Self>> {
        self.claim_if(lake, |_| true)
    }

    /// Takes the note over as long as it is of this kind. Nothing where it is not, or has gone.
    pub(super) fn claim_if(
        mut self,
        lake: &Lake,
        is_wanted: impl Fn(&Note) -> bool,
    ) -> Result<Option<Self>> {
        while is_wanted(&self.note) {
            match self.change(lake, |note| note.claimed_by = Some(lake.run.clone())) {
                Ok(()) => return Ok(Some(self)),
                Err(Error::Conflict { .. }) => match Self::read(lake, &self.object.key)? {
                    Some(now) => self = now,
                    None => return Ok(None),
                },
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Nothing is open any more.
    pub(super) fn remove(self, lake: &Lake) -> Result<()> {
        lake.store.delete(&self.object.key)
    }
}

fn text(note: &Note) -> Result<Vec<u8>> {
    serde_json::to_vec_pretty(note).map_err(|error| Error::broken("a note is JSON", error))
}
