//! The journal of appended files: what became visible, and whether its state was acknowledged.
//!
//! Rows of an upserted table may come again without harm. Appended rows may not: when a run dies
//! between showing its files and acknowledging their state, the tap sends the same rows again. So the
//! names of the files are written down before they become visible, and crossed out after the STATE
//! has been acknowledged.
//!
//! ```text
//! note (publishing) → files visible → note (acknowledging) → state acknowledged → note removed
//! ```
//!
//! The next run of the pipeline settles what it finds. A pipeline is the one that keeps its state in
//! the same place, and only it does: other pipelines' notes are none of its business. What became of
//! the state, that place says:
//!
//! - it holds the state of the note, and held another before: the rows stay;
//! - the run had not begun to acknowledge, or the place holds what it held before, and is this run's to
//!   [hold](Receipt::hold), so that nobody who is late can move it any more: the files go, and their rows
//!   come again;
//! - nobody can know (the state went to stdout alone, it says the same before and after, somebody has
//!   written another): the rows stay, and those that come again are known by what they hold
//!   ([`doubt`](super::doubt)).
//!
//! Nothing is decided by a clock or by the number of a process, and a run need not be known to be dead.
//! Whoever settles a note first takes it over; a run that is late finds its note changed, and stops before it
//! acknowledges anything. A file that goes is replaced by one without rows: what is late cannot bring
//! it back, be it a run or a request that was under way when its run died.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::note::{self, Note, Phase, Stored, is_of, table_of};
use crate::at_once::at_once;
use crate::error::{Error, Result};
use crate::file::encoding::Encoding;
use crate::file::reader::PartReader;
use crate::lake::Lake;
use crate::schema::fields;
use crate::store::Condition;

/// Where the newest state is kept that was acknowledged: it names the pipeline, and tells whether a
/// commit was acknowledged.
pub trait Receipt {
    /// The name of the place, the same in every run.
    fn place(&self) -> String;

    /// The state that was there when this run opened the place, or that it has kept there since. Who moves
    /// it from there is noticed when this run moves it.
    fn known(&self) -> Option<String>;

    /// The state that is there now, if one was kept. That it cannot be read is an error: what follows from "there is
    /// none" would take rows away.
    fn newest(&self) -> Result<Option<Vec<u8>>>;

    /// Makes sure that nobody but this run moves the state from here on, also nobody who has begun to. Whether
    /// that is certain.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] where somebody has moved it meanwhile.
    fn hold(&self) -> Result<bool>;

    /// Whether the place is the same for whoever calls it by this name. The path of a file may be another file
    /// on another machine.
    fn is_the_same_everywhere(&self) -> bool;
}

/// What a commit does, in the steps that the journal puts in order.
pub trait Steps<E> {
    /// Where the state is kept, if anywhere.
    fn receipt(&self) -> Option<&dyn Receipt>;

    /// The state that is acknowledged.
    fn state(&self) -> Option<String>;

    /// Makes the files visible.
    fn publish(&mut self) -> Result<(), E>;

    /// Gives the state back.
    fn acknowledge(&mut self) -> Acknowledged<E>;
}

/// What became of a state that was to be acknowledged.
#[derive(Debug)]
pub enum Acknowledged<E> {
    /// It has arrived, or at least it was handed over.
    Yes,
    /// It certainly has not, for this reason.
    No(E),
    /// Nobody knows, because of this.
    Unknown(E),
}

/// The files that a commit shows and that must not come twice.
#[derive(Debug, Default)]
pub struct Files {
    /// They are added to those of their tables.
    pub added: Vec<String>,
    /// They take the place of all that their tables held.
    pub replacing: Vec<String>,
}

impl Files {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.replacing.is_empty()
    }

    /// Adds those of another table.
    pub fn extend(&mut self, other: Self) {
        self.added.extend(other.added);
        self.replacing.extend(other.replacing);
    }
}

/// The journal of a run.
#[derive(Debug, Default)]
pub struct Journal {
    /// Commits so far. Each has a note of its own: whoever takes one over, or removes it, means that one.
    commits: u32,
    own: Option<Stored>,
    /// Notes of other runs of the pipeline whose rows are in doubt.
    doubtful: Vec<Stored>,
    /// Notes of runs that may be of another pipeline. If their rows come again, they are of this one.
    strange: Vec<Stored>,
    /// Notes of runs that kept their state nowhere, which whoever loads their tables settles.
    homeless: Vec<Stored>,
}

impl Journal {
    /// Opens the journal of a run, and settles what runs of its pipeline have left open.
    pub fn open(lake: &Lake, receipt: Option<&dyn Receipt>) -> Result<Self> {
        let mut journal = Self::default();
        let mut own = Vec::new();
        let place = receipt.map(Receipt::place);
        for stored in Stored::all(lake, |key| !note::is_of_other(key, place.as_deref()))? {
            if stored.note.phase == Phase::Replacing {
                end_replacement(lake, stored)?;
                continue;
            }
            match (receipt, &stored.note.state_out) {
                (Some(_), None) if stored.note.is_of_anybody() => own.extend(stored.claim(lake)?),
                (Some(receipt), Some(place)) if receipt.place() == *place => {
                    if is_surely_of(&stored.note, receipt) {
                        own.extend(stored.claim(lake)?);
                    } else {
                        journal.strange.push(stored);
                    }
                }
                (None, None) => journal.homeless.push(stored),
                (None, Some(_)) | (Some(_), _) => {}
            }
        }
        // Only what was taken over is judged: until then its run may come further.
        let own = own.into_iter().map(|stored| Ok((judge(lake, &stored.note, receipt)?, stored)));
        let mut own = own.collect::<Result<Vec<_>>>()?;
        // Of runs that were at work at once and went on from the same state, one alone has moved it.
        let mut moved = HashSet::new();
        own.sort_by_key(|(verdict, _)| *verdict != Verdict::Acknowledged);
        for (verdict, stored) in own {
            let before = stored.note.before.clone();
            let verdict = match verdict {
                Verdict::Acknowledged if moved.insert(before.clone()) => Verdict::Acknowledged,
                Verdict::InDoubt if !moved.contains(&before) => Verdict::InDoubt,
                Verdict::Acknowledged | Verdict::InDoubt | Verdict::NotAcknowledged => {
                    Verdict::NotAcknowledged
                }
            };
            journal.doubtful.extend(decide(lake, stored, verdict)?);
        }
        Ok(journal)
    }

    /// The files of a table whose rows are in doubt: those that come again are to be left out.
    pub fn doubtful(&mut self, lake: &Lake, table: &str) -> Result<Vec<String>> {
        let (own, others) = std::mem::take(&mut self.homeless)
            .into_iter()
            .partition(|stored: &Stored| stored.note.is_about(table));
        self.homeless = others;
        for stored in Vec::from_iter(own) {
            // It may be that of another pipeline without a place, which is at work.
            if !lake.presence.is_living(&stored.note.owner)
                && let Some(stored) = stored.claim(lake)?
            {
                let verdict = judge(lake, &stored.note, None)?;
                self.doubtful.extend(decide(lake, stored, verdict)?);
            }
        }
        let doubtful = self.doubtful.iter().chain(&self.strange);
        let files = doubtful.flat_map(|stored| stored.note.rows());
        Ok(files.filter(|file| is_of(file, table)).cloned().collect())
    }

    /// Shows files and acknowledges their state, in the one order in which nothing is lost or doubled.
    /// `files` are those that become visible and must not come twice.
    pub fn commit<E: From<Error>>(
        &mut self,
        lake: &Lake,
        files: Files,
        steps: &mut dyn Steps<E>,
    ) -> Result<(), E> {
        if !files.is_empty() {
            self.note(lake, files, steps.state(), steps.receipt())?;
        }
        steps.publish()?;
        if let Some(own) = &mut self.own {
            let changed = own.change(lake, |note| note.phase = Phase::Acknowledging);
            changed.map_err(|error| superseded(lake, error))?;
        }
        match steps.acknowledge() {
            Acknowledged::Yes => {
                let Some(own) = self.own.take() else { return Ok(()) };
                if steps.receipt().is_some_and(Receipt::is_the_same_everywhere) {
                    outrun(lake, &own)?;
                }
                Ok(own.remove(lake)?)
            }
            Acknowledged::No(error) => {
                if let Some(own) = self.own.take() {
                    withdraw(lake, own);
                }
                Err(error)
            }
            Acknowledged::Unknown(error) => Err(error),
        }
    }

    /// Writes down which files are about to become visible.
    fn note(
        &mut self,
        lake: &Lake,
        files: Files,
        state: Option<String>,
        receipt: Option<&dyn Receipt>,
    ) -> Result<()> {
        let known = receipt.and_then(Receipt::known);
        let note = Note {
            state,
            state_out: receipt.map(Receipt::place),
            before: known.clone(),
            replacing: files.replacing,
            ..Note::new(lake, Phase::Publishing, files.added)
        };
        self.commits += 1;
        let key = note::key(note.state_out.as_deref(), &lake.run, self.commits);
        let own = self.own.insert(Stored::create(lake, &key, note)?);
        // Whoever has moved the state before may not have seen this note, and whoever moves it from now on
        // does: of two runs that look for each other only after they have written, one sees the other.
        if let Some(receipt) = receipt
            && receipt.newest()?.map(|text| trimmed(&text)) != known
        {
            own.clone().remove(lake)?;
            self.own = None;
            return Err(Error::Superseded { run: lake.run.clone() });
        }
        Ok(())
    }

    /// The run has come to its end: what was in doubt came again, or never will. `came_again` says of which
    /// tables rows did.
    pub fn close(&mut self, lake: &Lake, came_again: impl Fn(&str) -> bool) -> Result<()> {
        let strange = self.strange.drain(..).filter(|stored| {
            stored.note.rows().any(|file| table_of(file).is_some_and(&came_again))
        });
        self.doubtful.drain(..).chain(strange).try_for_each(|stored| stored.remove(lake))
    }
}

/// Whether a note that names the place of this run is of its pipeline: the same path may be another file on
/// another machine, but hardly one with the same state.
fn is_surely_of(note: &Note, receipt: &dyn Receipt) -> bool {
    let known = receipt.known();
    receipt.is_the_same_everywhere()
        || known.is_some() && (known == note.before || known == note.state)
}

/// The files that runs have shown, or are about to, whose state has not been acknowledged. Listed
/// after the table, they are all of its that may go again.
pub(crate) fn open_files(lake: &Lake) -> Result<HashSet<String>> {
    let notes = Stored::all(lake, |key| !note::is_replacing(key))?.into_iter();
    Ok(notes.flat_map(|stored| stored.note.files).collect())
}

/// The note could not be changed: where another run of the pipeline has taken it over, this one's files
/// are that one's to settle.
fn superseded(lake: &Lake, error: Error) -> Error {
    match error {
        Error::Conflict { .. } => Error::Superseded { run: lake.run.clone() },
        error => error,
    }
}

/// What became of the state of a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Acknowledged,
    NotAcknowledged,
    /// Nobody can know.
    InDoubt,
}

/// Judges the note of another run of the pipeline.
fn judge(lake: &Lake, note: &Note, receipt: Option<&dyn Receipt>) -> Result<Verdict> {
    let receipt = match (note.phase, receipt) {
        (Phase::Publishing | Phase::Withdrawing | Phase::Replacing, _) => {
            return Ok(Verdict::NotAcknowledged);
        }
        (Phase::Acknowledging, None) => return Ok(Verdict::InDoubt),
        (Phase::Acknowledging, Some(receipt)) => receipt,
    };
    let found = receipt.newest()?.map(|text| trimmed(&text));
    Ok(match (found == note.state, found == note.before) {
        (true, false) => Verdict::Acknowledged,
        (false, true) if receipt.hold().map_err(|error| superseded(lake, error))? => {
            Verdict::NotAcknowledged
        }
        (true, true) | (false, _) => Verdict::InDoubt,
    })
}

/// The text of a state, without white space around it.
pub fn trimmed(state: &[u8]) -> String {
    String::from_utf8_lossy(state.trim_ascii()).into_owned()
}

/// Does what follows from the verdict on a note that was taken over. It is given back where its rows
/// are in doubt.
fn decide(lake: &Lake, stored: Stored, verdict: Verdict) -> Result<Option<Stored>> {
    let note = &stored.note;
    match verdict {
        Verdict::InDoubt => {
            tracing::warn!(
                run = note.run,
                files = note.rows().count(),
                "a run died while it gave a state back; where its appended rows come again, they are left out"
            );
            return Ok(Some(stored));
        }
        Verdict::NotAcknowledged => {
            tracing::warn!(
                run = note.run,
                files = note.files.len(),
                "a run died before it gave the state of its appended files back; they are taken away and come again"
            );
            take_away(lake, &note.files)?;
            if !note.replacing.is_empty() {
                // What they replaced is gone, so they stay.
                return Ok(Some(stored));
            }
        }
        Verdict::Acknowledged => {}
    }
    stored.remove(lake)?;
    Ok(None)
}

/// This run has moved the state, so no other that started from the same one has: their files go.
fn outrun(lake: &Lake, own: &Stored) -> Result<()> {
    // What another has taken over is that one's to settle.
    let is_beside = |note: &Note| {
        note.phase != Phase::Replacing
            && note.state_out == own.note.state_out
            && note.before == own.note.before
            && note.claimed_by.is_none()
    };
    let place = own.note.state_out.as_deref();
    let is_wanted = |key: &str| key != own.object.key && !note::is_of_other(key, place);
    for other in Stored::all(lake, is_wanted)? {
        if let Some(mut other) = other.claim_if(lake, is_beside)? {
            if other.note.phase == Phase::Acknowledging {
                // Whoever finds this half done knows by it that the files go.
                other.change(lake, |note| note.phase = Phase::Withdrawing)?;
            }
            decide(lake, other, Verdict::NotAcknowledged)?;
        }
    }
    Ok(())
}

/// The state of this run was not acknowledged: its files go again. Where that fails, the next run does it.
fn withdraw(lake: &Lake, mut own: Stored) {
    let withdrawn = own.change(lake, |note| note.phase = Phase::Withdrawing).and_then(|()| {
        take_away(lake, &own.note.files)?;
        if own.note.replacing.is_empty() { own.remove(lake) } else { Ok(()) }
    });
    if let Err(error) = withdrawn {
        tracing::warn!(%error, "appended files whose state was not given back are taken away by the next run");
    }
}

/// The rows of files go, and never come back: whoever is late finds that the file is there.
fn take_away(lake: &Lake, files: &[String]) -> Result<()> {
    let tables = lake.tables()?;
    let mut schemas = HashMap::new();
    let files = files.iter().map(|file| {
        let table = tables.iter().find(|table| is_of(file, table));
        let schema = match schemas.entry(table) {
            Entry::Occupied(known) => SchemaRef::clone(known.get()),
            Entry::Vacant(new) => SchemaRef::clone(new.insert(schema_of(lake, table)?)),
        };
        Ok((file, schema))
    });
    let put = |file: Result<(&String, SchemaRef)>| {
        let (file, schema) = file?;
        put_empty(lake, file, Condition::Always, &schema)
    };
    at_once(lake.at_once, files, put, |put| put)
}

/// Puts a file without rows where one was to appear that has not. Whether it is there: otherwise the
/// file with rows is.
fn block(lake: &Lake, file: &str) -> Result<bool> {
    let table = lake.tables()?.into_iter().find(|table| is_of(file, table));
    match put_empty(lake, file, Condition::Absent, &schema_of(lake, table.as_ref())?) {
        Ok(()) => Ok(true),
        Err(Error::Conflict { .. }) => is_empty(lake, file),
        Err(error) => Err(error),
    }
}

fn put_empty(lake: &Lake, file: &str, condition: Condition, schema: &SchemaRef) -> Result<()> {
    let format = lake.format(&Encoding::default(), 1);
    lake.part(file, condition, schema, &format)?.finish().map(drop)
}

/// Whether a file is there and has no rows.
fn is_empty(lake: &Lake, file: &str) -> Result<bool> {
    let Some(object) = lake.store.head(file)? else { return Ok(false) };
    let part = PartReader::open(lake.store.fetch(&object)?, &lake.store.locate(file))?;
    Ok(!part.has_rows())
}

/// The columns of the table that a file is for. Where it is not defined, none of its files is visible.
fn schema_of(lake: &Lake, table: Option<&String>) -> Result<SchemaRef> {
    let definition = table.map(|table| lake.definition(table)).transpose()?.flatten();
    Ok(Arc::new(match definition {
        Some((_, definition)) => Schema::new(fields(&definition.columns)),
        None => Schema::new(vec![Field::new("empty", DataType::Boolean, true)]),
    }))
}

/// A file that takes the place of others, which hold the same rows.
pub(crate) struct Replacement {
    stored: Stored,
}

impl Replacement {
    /// Writes down which file is about to take the place of others. Whoever is at the same is stopped,
    /// or brought to its end.
    pub(crate) fn begin(lake: &Lake, file: &str, obsolete: Vec<String>) -> Result<Self> {
        let key = note::replacing_key(file);
        let note = Note { obsolete, ..Note::new(lake, Phase::Replacing, vec![file.to_owned()]) };
        let stored = Stored::create(lake, &key, note)?;
        // Of two that look for each other only after they have written, one at least sees the other.
        for other in Stored::all(lake, |other| note::is_replacing(other) && other != key)? {
            let is_same =
                other.note.obsolete.iter().any(|file| stored.note.obsolete.contains(file));
            if is_same {
                end_replacement(lake, other)?;
            }
        }
        Ok(Self { stored })
    }

    /// The new file is there, or never will be: the others go in the first case.
    pub(crate) fn end(self, lake: &Lake, is_there: bool) -> Result<()> {
        if is_there {
            lake.remove(&self.stored.note.obsolete)?;
        }
        self.stored.remove(lake)
    }
}

/// Brings all replacements of other runs to their ends, or keeps them from becoming visible.
pub(crate) fn end_replacements(lake: &Lake) -> Result<()> {
    Stored::all(lake, note::is_replacing)?
        .into_iter()
        .try_for_each(|stored| end_replacement(lake, stored))
}

/// Brings a replacement of another run to its end, or keeps it from becoming visible.
fn end_replacement(lake: &Lake, stored: Stored) -> Result<()> {
    let mut is_there = true;
    for file in &stored.note.files {
        is_there &= !block(lake, file)?;
    }
    Replacement { stored }.end(lake, is_there)
}
