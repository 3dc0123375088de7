//! What becomes of the answers of a pass over medias: they are written, in the order of the medias, or
//! their medias are left out, and remembered.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use chrono::NaiveDate;

use super::days::Days;
use super::figures::MediaFigures;
use crate::behind::Behind;
use crate::clean::Column;
use crate::client::{Answer, LOST, lost_column};
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::members::Members;
use crate::state::{Bookmark, Pass};
use crate::stream::{MediaId, Stream};

/// Medias of a pass whose answers are none before it is given up, where those are more than the others:
/// each may take a while.
const TOO_MANY: usize = 20;

/// Answers that wait for another one to say whether a column of theirs is lost.
const WAITING: usize = 100;

/// A pass over medias.
#[derive(Debug)]
pub(super) struct MediaPass<F> {
    /// The name that the log has for it.
    stream: &'static str,
    /// Medias whose figures were read.
    good: usize,
    /// Medias that are not there, or that the token does not see.
    left_out: usize,
    /// Medias whose answer is none.
    failed: usize,
    /// Medias with fewer days in their answers than were asked for.
    incomplete: usize,
    /// The first error of a media that failed, else of one that was left out.
    error: Option<Error>,
    /// Medias that could not be read, and from which day on: of this pass, and before it of the last
    /// one for medias that this pass has not come to.
    behind: BTreeMap<i64, NaiveDate>,
    /// Columns of which no answer so far had a value that could be read, and one had something else.
    suspects: BTreeMap<String, Column>,
    /// Answers with such a column.
    waiting: Vec<(MediaId, F)>,
    /// A column was lost in one answer after the other.
    is_lost: bool,
    answer: PhantomData<F>,
}

/// How a pass ended.
#[derive(Debug)]
pub(super) struct Outcome {
    good: usize,
    left_out: usize,
    failed: usize,
    error: Option<Error>,
}

impl<F: MediaFigures> MediaPass<F> {
    /// A pass that feeds these streams, and goes on after medias that were `read` before.
    pub(super) fn new(context: &Context<'_>, fed: &[&'static Stream], read: &[MediaId]) -> Self {
        let behind = |media: &MediaId| {
            let since = fed
                .iter()
                .filter_map(|stream| context.state.bookmark(stream).behind.since(media.id));
            since.min().map(|since| (media.id, since))
        };
        Self {
            stream: fed.first().map_or("", |stream| stream.name),
            good: 0,
            left_out: 0,
            failed: 0,
            incomplete: 0,
            error: None,
            behind: read.iter().filter_map(behind).collect(),
            suspects: BTreeMap::new(),
            waiting: Vec::new(),
            is_lost: false,
            answer: PhantomData,
        }
    }

    /// Takes the answer for a media, which was asked for its figures, of these days where they are by day.
    pub(super) fn answer(
        &mut self,
        context: &mut Context<'_>,
        media: &MediaId,
        days: Option<Days>,
        answer: Result<Answer<F>>,
    ) -> Result<()> {
        let first_day = days.map(|days| days.first);
        let outcome = match answer {
            // Whoever asks for days again finds them, when there are some.
            Ok(Answer { value, .. }) if value.rows() == 0 && days.is_some() => {
                tracing::warn!(
                    stream = self.stream,
                    media_id = media.hashed_id,
                    "there is no day in the answer for the media {}; they are asked for again",
                    media.hashed_id
                );
                self.leave(media, first_day);
                Ok(())
            }
            Ok(Answer { value, .. }) if value.rows() == 0 => {
                let nothing = Error::Malformed {
                    path: F::request(&media.hashed_id).to_string(),
                    expected: F::NAME,
                    reason: "there is nothing in it".into(),
                    cut: false,
                };
                self.leave_out(context, media, first_day, context.client.told(nothing));
                return Ok(());
            }
            Ok(Answer { value, columns }) => {
                // Today may not have begun in the account's time zone.
                let is_whole = days.is_none_or(|days| value.rows() + 1 >= days.count());
                self.incomplete += usize::from(!is_whole);
                self.write(context, media, value, columns)
            }
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => self.good += 1,
            Err(error) if self.is_lost => return Err(error),
            Err(error) if error.is_of_media() => self.leave_out(context, media, first_day, error),
            Err(error) if error.kind().is_of_stream() && error.kind() != Kind::Access => {
                tracing::error!(
                    stream = self.stream,
                    media_id = media.hashed_id,
                    "{error}; the media {} is left out",
                    media.hashed_id
                );
                self.leave(media, first_day);
                self.failed += 1;
                let is_first = self.failed == 1;
                if is_first {
                    self.error = Some(error);
                }
                if self.failed >= TOO_MANY && self.failed > self.good {
                    return self.outcome().result(0);
                }
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Leaves out a media that has no figures, or none for this token.
    fn leave_out(
        &mut self,
        context: &mut Context<'_>,
        media: &MediaId,
        first_day: Option<NaiveDate>,
        error: Error,
    ) {
        context.absent.leave_out(self.stream, media, &context.state, &error);
        self.leave(media, first_day);
        self.left_out += 1;
        self.error.get_or_insert(error);
    }

    fn leave(&mut self, media: &MediaId, first_day: Option<NaiveDate>) {
        self.behind.extend(first_day.map(|day| (media.id, day)));
    }

    /// Writes an answer, as soon as another one shows that none of its columns is lost.
    fn write(
        &mut self,
        context: &mut Context<'_>,
        media: &MediaId,
        value: F,
        columns: BTreeMap<String, Column>,
    ) -> Result<()> {
        context.output.extracted_now();
        // Columns are told only of an answer with something odd in it: of others all can be read.
        if columns.is_empty() {
            self.suspects.clear();
        }
        for (name, column) in columns {
            if !column.is_lost() {
                self.suspects.remove(&name);
                continue;
            }
            let suspect = self.suspects.entry(name.clone()).or_default();
            suspect.nulled += column.nulled;
            suspect.shape = column.shape;
            if suspect.nulled >= LOST {
                self.is_lost = true;
                let path = F::request(&media.hashed_id).to_string();
                return Err(context.client.told(lost_column::<F>(&path, &name, suspect)));
            }
        }
        if self.suspects.is_empty() || self.waiting.len() >= WAITING {
            self.write_waiting(context)?;
        }
        if self.suspects.is_empty() {
            let today = context.settings.period.today;
            let written = value.emit(&media.hashed_id, today, &mut context.output);
            return written.map_err(|error| context.client.told(error));
        }
        self.waiting.push((media.clone(), value));
        Ok(())
    }

    fn write_waiting(&mut self, context: &mut Context<'_>) -> Result<()> {
        let today = context.settings.period.today;
        for (media, value) in std::mem::take(&mut self.waiting) {
            value.emit(&media.hashed_id, today, &mut context.output)?;
        }
        Ok(())
    }

    /// Writes how far the pass has come: it has read these medias, of which this is the last.
    pub(super) fn checkpoint(
        &self,
        context: &mut Context<'_>,
        fed: &[&'static Stream],
        read: &[MediaId],
        last: &MediaId,
    ) -> Result<()> {
        if !self.waiting.is_empty() {
            return Ok(());
        }
        let period = context.settings.period;
        let members = Members::of(read.iter().map(|media| media.id)).short();
        for stream in fed {
            let bookmark = context.state.bookmark(stream);
            // What was behind, and comes after the last media, still is.
            let rest = bookmark.behind.after(last.id);
            let behind = Behind::of(self.behind.iter().map(|(id, day)| (*id, *day))).with(rest);
            let pass = Some(Pass {
                began: period.today,
                media_id: last.id,
                start: Some(period.start),
                members: Some(members.clone()),
            });
            context.state.set(stream, Bookmark { pass, behind, ..bookmark });
        }
        context.write_state()
    }

    /// Ends the pass: the medias that are behind, and how it went.
    pub(super) fn end(mut self, context: &mut Context<'_>) -> Result<(Behind, Outcome)> {
        self.write_waiting(context)?;
        if self.incomplete > 0 {
            let (medias, stream) = (self.incomplete, self.stream);
            tracing::warn!(
                stream,
                medias,
                "the answers for {medias} medias have fewer days than were asked for"
            );
        }
        let behind = Behind::of(std::mem::take(&mut self.behind));
        Ok((behind, self.outcome()))
    }

    fn outcome(&mut self) -> Outcome {
        let Self { good, left_out, failed, .. } = *self;
        Outcome { good, left_out, failed, error: self.error.take() }
    }
}

impl Outcome {
    /// Whether not one of so many medias was there.
    pub(super) fn is_all_lost(&self, medias: usize) -> bool {
        medias > 0 && self.left_out + self.failed == medias
    }

    /// The error of the stream, where a media failed or, of so many, none was there.
    pub(super) fn result(self, medias: usize) -> Result<()> {
        let is_all_lost = self.is_all_lost(medias);
        let Self { good, left_out, failed, error } = self;
        match error {
            Some(source) if failed > 0 || is_all_lost => Err(Error::Medias {
                lost: left_out + failed,
                of: good + left_out + failed,
                source: Box::new(source),
            }),
            Some(_) | None => Ok(()),
        }
    }
}
