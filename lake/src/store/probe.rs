//! Whether a store judges the conditions of writes as it must, found out by a few small writes.
//!
//! Tables rest on two conditions: that nothing is there, and that what is there is what was read. A
//! server that takes the protocol of S3 and ignores its headers lets two runs overwrite each other's
//! rows, and neither learns of it. So the conditions are tried where nobody has documented them, each for
//! small objects and for those that are uploaded in parts, because servers keep the one and not the other.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write as _;

use crate::at_once::at_once;
use crate::error::{ConditionFault, Error, Result};
use crate::store::contract::{Condition, Judgement, Object, Store};

/// Where the objects are that are written to be removed again.
const PROBES: &str = "_lake/probe/";

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trial {
    /// The condition.
    pub what: What,
    /// How the object is written.
    pub way: Way,
}

/// A condition of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// [`Condition::Absent`].
    CreateIfAbsent,
    /// [`Condition::Unchanged`].
    ReplaceIfUnchanged,
}

/// How an object is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By one request, [`Store::create`].
    Whole,
    /// In parts, [`Store::create_in_parts`].
    InParts,
}

/// A condition that a store does not judge as it must.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was tried.
    pub trial: Trial,
    /// What the store did.
    pub found: Found,
}

/// What a store does in place of judging a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It writes though the condition does not hold.
    Ignored,
    /// It refuses a write whose condition holds.
    Refused,
    /// It refuses a write whose condition holds, unless the version has lost its quotes.
    Unquoted,
    /// It does not take the condition. What it says to it.
    Unknown(String),
}

/// All that is tried.
pub const TRIALS: [Trial; 4] = [
    Trial { what: What::CreateIfAbsent, way: Way::Whole },
    Trial { what: What::ReplaceIfUnchanged, way: Way::Whole },
    Trial { what: What::CreateIfAbsent, way: Way::InParts },
    Trial { what: What::ReplaceIfUnchanged, way: Way::InParts },
];

/// Makes sure, before the first write of a run, that the store judges conditions as it must: says that
/// one run must be the only one where none are judged, and tries those of which nothing is known.
///
/// # Errors
///
/// [`Error::Conditions`] with all that was found.
pub fn ensure(store: &dyn Store, run: &str) -> Result<()> {
    match store.judgement() {
        Judgement::Known => Ok(()),
        Judgement::Untried => require(store, run),
        Judgement::OneWriter => {
            tracing::warn!(lake = store.locate(""), "{ONE_WRITER}");
            Ok(())
        }
    }
}

/// What somebody must know who has no conditions judged.
pub const ONE_WRITER: &str = "the server is not asked to judge conditions: this run must be the only one that \
                              writes to the lake, or rows of two runs are lost without notice";

/// Tries the store, whatever is known of it.
///
/// # Errors
///
/// [`Error::Conditions`] with all that was found.
pub fn require(store: &dyn Store, run: &str) -> Result<()> {
    let findings = probe(store, run)?;
    if findings.is_empty() {
        return Ok(());
    }
    let fault = ConditionFault::Tried(text(&findings));
    Err(Error::Conditions { object: store.locate(""), fault })
}

/// Tries all [`TRIALS`] on a store. Nothing of it stays.
///
/// # Errors
///
/// What keeps the store from being written to at all.
pub fn probe(store: &dyn Store, run: &str) -> Result<Vec<Finding>> {
    // A server that does not answer is not asked again to remove what it was never given.
    store.get(&format!("{PROBES}{run}"))?;
    let tried = |(number, trial): (u32, Trial)| {
        let key = format!("{PROBES}{run}/{number}");
        let tried = Attempt { store, key: &key, way: trial.way }.found(trial.what);
        let removed = store.delete(&key);
        let found = tried?.map(|found| Finding { trial, found });
        removed.map(|()| (number, found))
    };
    let mut findings = BTreeMap::new();
    at_once(store.at_once(), (0..).zip(TRIALS), tried, |outcome: Result<(u32, _)>| {
        findings.extend(Some(outcome?));
        Ok(())
    })?;
    Ok(findings.into_values().flatten().collect())
}

/// A trial, on an object of its own.
struct Attempt<'a> {
    store: &'a dyn Store,
    key: &'a str,
    way: Way,
}

/// What became of a write with a condition.
enum Answer {
    Written,
    /// The condition does not hold, the store says.
    Conflict,
    /// The store refuses what it should do, by its own account or because what is there is unchanged.
    Refused,
    Unknown(String),
}

impl Attempt<'_> {
    /// What the store does that it must not.
    fn found(&self, what: What) -> Result<Option<Found>> {
        match what {
            What::CreateIfAbsent => self.create(),
            What::ReplaceIfUnchanged => self.replace(),
        }
    }

    /// Creates an object if it is absent, twice.
    fn create(&self) -> Result<Option<Found>> {
        match self.conditionally(b"1", Condition::Absent)? {
            Answer::Written => {}
            Answer::Conflict | Answer::Refused => return Ok(Some(Found::Refused)),
            Answer::Unknown(reason) => return Ok(Some(Found::Unknown(reason))),
        }
        Ok(match self.conditionally(b"2", Condition::Absent)? {
            Answer::Conflict | Answer::Refused => None,
            Answer::Written => Some(Found::Ignored),
            Answer::Unknown(reason) => Some(Found::Unknown(reason)),
        })
    }

    /// Replaces an object that is as it was read, and then one that is not.
    fn replace(&self) -> Result<Option<Found>> {
        let there = self.write(self.key, b"1", Condition::Always)?;
        let unchanged = Condition::still(Some(&there));
        match self.conditionally(b"2", unchanged.clone())? {
            Answer::Written => {}
            Answer::Conflict | Answer::Refused => return self.refusal(&there).map(Some),
            Answer::Unknown(reason) => return Ok(Some(Found::Unknown(reason))),
        }
        Ok(match self.conditionally(b"3", unchanged)? {
            Answer::Conflict | Answer::Refused => None,
            Answer::Written => Some(Found::Ignored),
            Answer::Unknown(reason) => Some(Found::Unknown(reason)),
        })
    }

    /// Why a store may refuse to replace what is unchanged: an `ETag` is a text in quotes
    /// (<https://www.rfc-editor.org/rfc/rfc9110#name-etag>), and some compare it with one that has none.
    fn refusal(&self, there: &Object) -> Result<Found> {
        let bare = there.version.trim_matches('"');
        if bare == there.version {
            return Ok(Found::Refused);
        }
        match self.conditionally(b"2", Condition::Unchanged(bare.to_owned()))? {
            Answer::Written => Ok(Found::Unquoted),
            Answer::Conflict | Answer::Refused | Answer::Unknown(_) => Ok(Found::Refused),
        }
    }

    /// Writes under a condition. A store that fails then, twice, and can be written to without one, does
    /// not take the condition.
    fn conditionally(&self, bytes: &[u8], condition: Condition) -> Result<Answer> {
        let failed = match self.write(self.key, bytes, condition.clone()) {
            Err(error @ Error::Store { .. }) => error,
            outcome => return answer(outcome),
        };
        let control = format!("{}-control", self.key);
        let written = self.write(&control, bytes, Condition::Always);
        let removed = self.store.delete(&control);
        written.map(drop).and(removed)?;
        match self.write(self.key, bytes, condition) {
            Err(Error::Store { .. }) => Ok(Answer::Unknown(reason(&failed))),
            outcome => answer(outcome),
        }
    }

    fn write(&self, key: &str, bytes: &[u8], condition: Condition) -> Result<Object> {
        let mut upload = match self.way {
            Way::Whole => self.store.create(key, condition)?,
            Way::InParts => self.store.create_in_parts(key, condition)?,
        };
        let written = upload.write_all(bytes);
        written.map_err(|error| Error::store("write", self.store.locate(key), error))?;
        upload.finish()
    }
}

fn answer(outcome: Result<Object>) -> Result<Answer> {
    match outcome {
        Ok(_) => Ok(Answer::Written),
        Err(Error::Conflict { .. }) => Ok(Answer::Conflict),
        Err(Error::Conditions { .. }) => Ok(Answer::Refused),
        Err(error) => Err(error),
    }
}

/// What the store said.
fn reason(error: &Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

impl fmt::Display for Trial {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.what {
            What::CreateIfAbsent => "to create only if absent (If-None-Match)",
            What::ReplaceIfUnchanged => "to replace only if unchanged (If-Match)",
        })?;
        match self.way {
            Way::Whole => Ok(()),
            Way::InParts => formatter.write_str(" at the end of a multipart upload"),
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ignored => formatter.write_str("it overwrites what is there"),
            Self::Refused => formatter.write_str("it refuses though that holds"),
            Self::Unquoted => formatter.write_str(
                "it refuses though that holds, because it compares the ETag without its quotes",
            ),
            Self::Unknown(reason) => write!(formatter, "it fails ({reason})"),
        }
    }
}

impl Finding {
    /// What becomes of the data.
    fn harm(&self) -> &'static str {
        match (&self.found, self.trial.what) {
            (Found::Ignored, _) => "two runs at once could lose rows",
            (_, What::CreateIfAbsent) => "no table could be made",
            (_, What::ReplaceIfUnchanged) => "no table could be written to again",
        }
    }
}

/// All findings in a sentence: what was asked for, what the server did, and the harm.
fn text(findings: &[Finding]) -> String {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for finding in findings {
        let (did, asked) =
            (format!("{}: {}", finding.found, finding.harm()), finding.trial.to_string());
        match groups.iter_mut().find(|(other, _)| *other == did) {
            Some((_, asks)) => asks.push(asked),
            None => groups.push((did, vec![asked])),
        }
    }
    let texts: Vec<_> =
        groups.iter().map(|(did, asks)| format!("asked {}, {did}", asks.join(", or "))).collect();
    texts.join("; ")
}

#[cfg(test)]
mod tests;
