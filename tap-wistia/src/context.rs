//! What every way of reading needs: where to ask, what is wanted, where records go, and how far the
//! streams have come.

use std::collections::HashMap;

use chrono::{NaiveDate, NaiveTime};

use crate::absent::Absent;
use crate::client::Client;
use crate::error::Result;
use crate::figures;
use crate::output::Output;
use crate::progress::Progress;
use crate::settings::Settings;
use crate::state::{Bookmark, State};
use crate::stream::Stream;

/// The context of one sync.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    /// The API.
    pub(crate) client: &'a Client,
    /// The settings of the run.
    pub(crate) settings: &'a Settings,
    /// Where records go.
    pub(crate) output: Output,
    /// How far the streams have come.
    pub(crate) state: State,
    /// Whether there was a sync before.
    pub(crate) goes_on: bool,
    /// Names by id that the list of a stream has told, for lists that know the ids alone.
    pub(crate) names: HashMap<&'static str, HashMap<String, String>>,
    /// Medias that are listed and not there.
    pub(crate) absent: Absent,
    /// What a person at the terminal sees.
    pub(crate) progress: Progress,
}

impl Context<'_> {
    /// Writes how far all streams have come.
    pub(crate) fn write_state(&mut self) -> Result<()> {
        self.output.state(&self.state)
    }

    /// Sets the bookmark of those of the streams that are wanted.
    pub(crate) fn bookmark(&mut self, streams: &[&'static Stream], bookmark: &Bookmark) {
        let wanted = self.output.wanted(streams);
        if let Some(after) = bookmark.day.and_then(|day| day.succ_opt()) {
            figures::lag(&wanted, after.and_time(NaiveTime::MIN).and_utc());
        }
        for stream in wanted {
            self.state.set(stream, bookmark.clone());
        }
    }

    /// The first day to read of a stream that is read by day: what the last sync has not read, and the
    /// days before it that may have changed. Where it did not cover all that is wanted now, that is the
    /// first day of all, and the log says so.
    pub(crate) fn start_of(&self, stream: &Stream, lookback_days: u32) -> NaiveDate {
        let period = self.settings.period;
        let bookmark = self.state.bookmark(stream);
        if bookmark.start.is_some_and(|start| start > period.start) {
            return self.all_days(stream, "`start_date` is earlier than in the last sync");
        }
        if bookmark.day.is_none() && self.goes_on {
            return self.all_days(stream, "the last sync did not read it");
        }
        let next = bookmark.next_day(lookback_days);
        next.unwrap_or(period.start).clamp(period.start, period.end)
    }

    /// The first day of all, and why a stream is read from there.
    pub(crate) fn all_days(&self, stream: &Stream, reason: &str) -> NaiveDate {
        let start = self.settings.period.start;
        tracing::info!(
            stream = stream.name,
            "reading {} from the beginning, {start}: {reason}",
            stream.name
        );
        start
    }

    /// The bookmark of a stream of which every day up to this one has been read.
    pub(crate) fn read_until(&self, day: NaiveDate) -> Bookmark {
        let period = self.settings.period;
        Bookmark {
            day: Some(day.min(period.end)),
            read_on: Some(period.today),
            start: Some(period.start),
            ..Bookmark::default()
        }
    }

    /// Shows how far a stream has come: parts of it done, and all.
    pub(crate) fn show(&self, parts: Option<(usize, usize)>) {
        self.progress.show(&self.output, parts);
        figures::tell(&self.output, self.client.traffic());
    }
}
