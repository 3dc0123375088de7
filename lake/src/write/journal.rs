//! The journal of appended files: `_lake/commits/<run>.json`.
//!
//! Rows of an upserted table may come again without harm. Appended rows may not: when a run dies
//! between showing its files and acknowledging their state, the tap sends the same rows again. So the
//! names of the files are written down before they become visible, and crossed out after the STATE
//! has been acknowledged. Whoever finds an entry of a dead run takes its files away again.
//!
//! ```text
//! write entry (publishing) → files visible → entry (acknowledging) → state acknowledged → entry removed
//! ```
//!
//! `maintain` notes in the same way which files it puts in the place of which.
//!
//! A run that dies while it is `acknowledging` may or may not have done so. With
//! `--state-out` the file tells; without, the files stay.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::Lake;
use crate::error::{Error, Result};
use crate::owner;
use crate::store::Condition;

/// An entry of another host that is this old belongs to a dead run: what lies between writing and
/// removing it takes seconds.
const DEAD_AFTER: Duration = Duration::from_mins(2);

/// How often to look at an entry of a run that may be alive.
const LOOK_EVERY: Duration = Duration::from_secs(2);

const FOLDER: &str = "_lake/commits/";

/// Where the newest state is kept that was acknowledged: it tells whether a commit was.
pub trait Receipt {
    /// The state, if one was kept. That it cannot be read is an error: what follows from "there is
    /// none" would take rows away.
    fn newest(&self) -> Result<Option<Vec<u8>>>;
}

/// What a run is about to show.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Entry {
    run: String,
    owner: String,
    at: DateTime<Utc>,
    phase: Phase,
    files: Vec<String>,
    /// Files that the new ones replace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    obsolete: Vec<String>,
    state: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Phase {
    Publishing,
    /// The stored name is that of the first release.
    #[serde(rename = "giving")]
    Acknowledging,
    Replacing,
}

/// The entry of this run, while it has one.
#[derive(Debug)]
pub struct Journal {
    key: String,
    entry: Option<Entry>,
    recovered: bool,
}

impl Journal {
    /// The journal of a run.
    pub fn new(run: &str) -> Self {
        Self { key: format!("{FOLDER}{run}.json"), entry: None, recovered: false }
    }

    /// The journal of putting files of a table together: one at a time.
    pub fn compaction(table: &str) -> Self {
        Self { key: format!("{FOLDER}compaction-{table}.json"), entry: None, recovered: false }
    }

    /// Writes down which file is about to take the place of others. Another compaction of the table
    /// is waited for.
    pub fn replacing(&mut self, lake: &Lake, file: &str, obsolete: Vec<String>) -> Result<()> {
        self.entry = Some(Entry {
            obsolete,
            ..Entry::new(lake, Phase::Replacing, vec![file.to_owned()], None)
        });
        loop {
            match self.write(lake, Condition::Absent) {
                Err(Error::Conflict { .. }) => recover(lake, None)?,
                outcome => return outcome,
            }
        }
    }

    /// Writes down which files are about to become visible, and which state covers them.
    pub fn publishing(
        &mut self,
        lake: &Lake,
        files: Vec<String>,
        state: Option<&str>,
        state_out: Option<&dyn Receipt>,
    ) -> Result<()> {
        if files.is_empty() {
            return Ok(());
        }
        if !self.recovered {
            recover(lake, state_out)?;
            self.recovered = true;
        }
        self.entry = Some(Entry::new(lake, Phase::Publishing, files, state));
        self.write(lake, Condition::Always)
    }

    /// The files are visible; their state is about to be acknowledged.
    pub fn acknowledging(&mut self, lake: &Lake) -> Result<()> {
        match &mut self.entry {
            Some(entry) => entry.phase = Phase::Acknowledging,
            None => return Ok(()),
        }
        self.write(lake, Condition::Always)
    }

    /// The state has been acknowledged, or the old files are gone.
    pub fn acknowledged(&mut self, lake: &Lake) -> Result<()> {
        if self.entry.take().is_some() {
            lake.store.delete(&self.key)?;
        }
        Ok(())
    }

    fn write(&self, lake: &Lake, condition: Condition) -> Result<()> {
        let text = serde_json::to_vec_pretty(&self.entry)
            .map_err(|error| Error::broken("a journal entry is JSON", error))?;
        lake.store.put(&self.key, &text, condition).map(|_| ())
    }
}

impl Entry {
    fn new(lake: &Lake, phase: Phase, files: Vec<String>, state: Option<&str>) -> Self {
        Self {
            run: lake.run.clone(),
            owner: owner::name(&lake.run),
            at: Utc::now(),
            phase,
            files,
            obsolete: Vec::new(),
            state: state.map(str::to_owned),
        }
    }
}

/// Resolves what dead runs have left open. An entry of a run that may be alive is waited for.
pub fn recover(lake: &Lake, state_out: Option<&dyn Receipt>) -> Result<()> {
    for object in lake.store.list(FOLDER)? {
        loop {
            let Some((_, text)) = lake.store.get(&object.key)? else { break };
            let Ok(entry) = serde_json::from_slice::<Entry>(&text) else {
                tracing::warn!(
                    object = lake.store.locate(&object.key),
                    "a damaged journal entry is ignored"
                );
                break;
            };
            if entry.run == lake.run {
                break;
            }
            let age = (Utc::now() - entry.at).to_std().unwrap_or_default();
            if age < DEAD_AFTER && !owner::is_dead(&entry.owner) {
                tracing::info!(run = entry.run, "waiting for another run's commit");
                std::thread::sleep(LOOK_EVERY);
                continue;
            }
            resolve(lake, &entry, state_out)?;
            lake.store.delete(&object.key)?;
            break;
        }
    }
    Ok(())
}

fn resolve(lake: &Lake, entry: &Entry, state_out: Option<&dyn Receipt>) -> Result<()> {
    let was_acknowledged = match (entry.phase, state_out) {
        (Phase::Replacing, _) => {
            let mut all_there = true;
            for file in &entry.files {
                all_there &= lake.store.head(file)?.is_some();
            }
            let gone = if all_there { &entry.obsolete } else { &entry.files };
            return gone.iter().try_for_each(|file| lake.store.delete(file));
        }
        (Phase::Publishing, _) => false,
        (Phase::Acknowledging, None) => true,
        (Phase::Acknowledging, Some(file)) => {
            let newest = file.newest()?;
            newest.as_deref().map(<[u8]>::trim_ascii) == entry.state.as_deref().map(str::as_bytes)
        }
    };
    if was_acknowledged {
        return Ok(());
    }
    tracing::warn!(
        run = entry.run,
        files = entry.files.len(),
        "a run died before it gave the state of its appended files back; they are taken away and come again"
    );
    entry.files.iter().try_for_each(|file| lake.store.delete(file))
}
