//! The sync: stream after stream, each as its source allows.

use std::collections::{HashMap, HashSet};

use futures::{StreamExt, stream};

use crate::client::{Client, PAGE, Page, Request};
use crate::config::{Config, Period, parse_day};
use crate::error::{Error, Result};
use crate::events::{self, Readings};
use crate::output::{Output, Selected};
use crate::pages::{LookAhead, Pages};
use crate::privacy::Privacy;
use crate::progress::Progress;
use crate::state::{Bookmark, Pass, State};
use crate::streams::account::{AccountByDay, FACT_ACCOUNT_BYDAY};
use crate::streams::byday::{ByDay, Day, FACT_ENGAGEMENTS_BYDAY, MediaDays};
use crate::streams::channels::{
    BRIDGE_MEDIA_CHANNEL, Channel, Channels, Episode, MediaChannel, Rules,
};
use crate::streams::engagements::Engagements;
use crate::streams::event::{DIM_VISITORS, FACT_EVENTS};
use crate::streams::graph::Graphs;
use crate::streams::media::{DIM_MEDIA, Media};
use crate::streams::projects::Projects;
use crate::streams::timeseries::{FACT_MEDIA_TIMESERIES, Timeseries};
use crate::streams::visitor::Visitors;
use crate::streams::{Listing, MediaId, MediaStats, Source, Stream};

/// Medias between two states.
const MEDIAS_PER_STATE: usize = 100;

/// One sync.
#[derive(Debug)]
pub struct Sync<'a> {
    /// The API.
    pub client: &'a Client,
    /// The settings.
    pub config: &'a Config,
    /// The days that are read.
    pub period: Period,
    /// Treatment of personal data.
    pub privacy: Privacy,
    /// Rules for channels.
    pub rules: Rules,
    /// Where records go.
    pub output: Output,
    /// How far the streams have come.
    pub state: State,
    /// Streams that the token may not read.
    pub failed: Vec<&'static str>,
    /// What a person at the terminal sees.
    pub progress: Progress,
}

impl Sync<'_> {
    /// Reads all selected streams.
    pub async fn run(&mut self) -> Result<()> {
        let outcome = self.read().await;
        let ended = self.output.end();
        outcome.and(ended)
    }

    async fn read(&mut self) -> Result<()> {
        self.output.schemas()?;
        let medias = self.all_medias().await?;
        self.list(&Projects).await?;
        self.list(&Channels).await?;
        if self.output.wants(&BRIDGE_MEDIA_CHANNEL) {
            let outcome = self.episodes().await;
            self.settle(&[&BRIDGE_MEDIA_CHANNEL], outcome)?;
        }
        self.stats(&medias, &Engagements { date: self.period.today }, None).await?;
        let days = self.days_of(&FACT_ENGAGEMENTS_BYDAY);
        self.by_day(&medias, &ByDay(days), days).await?;
        self.stats(&medias, &Graphs, None).await?;
        let days = self.days_of(&FACT_MEDIA_TIMESERIES);
        self.by_day(&medias, &Timeseries(days), days).await?;
        if self.output.wants(&FACT_ACCOUNT_BYDAY) {
            let outcome = self.account().await;
            self.settle(&[&FACT_ACCOUNT_BYDAY], outcome)?;
        }
        if self.output.wants_any(&[&FACT_EVENTS, &DIM_VISITORS]) {
            let outcome = self.events().await;
            self.settle(&[&FACT_EVENTS, &DIM_VISITORS], outcome)?;
        }
        self.list(&Visitors).await?;
        // Runners wait for a state even where nothing was new.
        self.output.state(&self.state)?;
        if self.failed.is_empty() {
            return Ok(());
        }
        Err(Error::Streams { count: self.failed.len(), streams: self.failed.join(", ") })
    }

    /// Says how the reading of streams ended. One that the token may not read fails; the others go
    /// on.
    fn settle(&mut self, streams: &[&'static Stream], outcome: Result<()>) -> Result<()> {
        match outcome {
            Ok(()) => streams
                .iter()
                .filter(|stream| self.output.wants(stream))
                .collect::<Vec<_>>()
                .into_iter()
                .try_for_each(|stream| self.output.completed(stream, &self.state)),
            Err(error) if error.is_of_stream() => self.fail(streams, &error),
            Err(error) => Err(error),
        }
    }

    fn fail(&mut self, streams: &[&'static Stream], error: &Error) -> Result<()> {
        for stream in streams {
            if self.output.wants(stream) {
                tracing::error!(stream = stream.name, hint = error.hint(), "{error}");
                self.failed.push(stream.name);
                self.output.fail(stream, error)?;
            }
        }
        Ok(())
    }

    fn begin(&mut self, streams: &[&'static Stream]) -> Result<()> {
        let wanted: Vec<_> =
            streams.iter().copied().filter(|stream| self.output.wants(stream)).collect();
        if let Some(first) = wanted.first() {
            self.progress.stream(first);
        }
        wanted.into_iter().try_for_each(|stream| self.output.started(stream))
    }

    /// The first day to read of a stream.
    fn start_of(&self, stream: &Stream, lookback_days: u32) -> chrono::NaiveDate {
        let next = self.state.bookmark(stream).next_day(lookback_days);
        next.unwrap_or(self.period.start).clamp(self.period.start, self.period.end)
    }

    /// The bookmark of a stream of which every day has been read.
    fn read_to_the_end(&self) -> Bookmark {
        Bookmark {
            day: Some(self.period.end),
            read_on: Some(self.period.today),
            ..Bookmark::default()
        }
    }

    fn is_media_wanted(&self, hashed_id: Option<&String>) -> bool {
        let ids = &self.config.media_ids;
        ids.is_empty() || hashed_id.is_some_and(|id| ids.contains(id))
    }

    /// Reads the medias, where a stream needs them. Without them none of these streams can be read.
    async fn all_medias(&mut self) -> Result<Vec<MediaId>> {
        let is_needed = |selected: &Selected| match selected.stream.source {
            Source::Media(_) => true,
            Source::Rules(_) => !self.rules.is_empty(),
            _ => selected.stream.name == DIM_MEDIA.name,
        };
        let needing: Vec<&'static Stream> = self
            .output
            .selected()
            .iter()
            .filter(|selected| is_needed(selected))
            .map(|selected| selected.stream)
            .collect();
        if needing.is_empty() {
            return Ok(Vec::new());
        }
        self.begin(&[&DIM_MEDIA])?;
        match self.medias().await {
            Ok(medias) => {
                self.settle(&[&DIM_MEDIA], Ok(()))?;
                Ok(medias)
            }
            Err(error) if error.is_of_stream() => {
                self.fail(&needing, &error)?;
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    }

    /// Reads the medias: by cursor, which stays right while medias are added and deleted, and by
    /// page number where the answer has no cursor.
    async fn medias(&mut self) -> Result<Vec<MediaId>> {
        let mut list = Request::new("/medias").with("per_page", PAGE);
        if !self.config.include_archived {
            list = list.with("archived", false);
        }
        let mut request = list.clone().with("cursor[enabled]", 1);
        let mut medias = Vec::new();
        let mut known = HashSet::new();
        let mut last_cursor = None;
        let mut number = 1;
        loop {
            let page: Page<Media> = self.client.get(&request).await?.value;
            self.output.extracted_now();
            let is_last = page.is_last();
            let cursor = page.rows.last().and_then(|media| media.cursor.clone());
            let before = known.len();
            for media in page.rows {
                if known.insert(media.id) && self.is_media_wanted(media.hashed_id.as_ref()) {
                    self.media(&media)?;
                    if let Some(hashed_id) = media.hashed_id {
                        let created = media.created.as_deref().and_then(parse_day);
                        medias.push(MediaId { id: media.id, hashed_id, created });
                    }
                }
            }
            self.output.state(&self.state)?;
            self.progress.show(&self.output, self.client, None);
            if is_last {
                break;
            }
            if known.len() == before || (cursor.is_some() && cursor == last_cursor) {
                return Err(Error::EndlessPages { path: "/medias".into() });
            }
            number += 1;
            request = match &cursor {
                Some(cursor) => {
                    list.clone().with("cursor[enabled]", 1).with("cursor[after]", cursor)
                }
                None => list.clone().with("page", number),
            };
            last_cursor = cursor;
        }
        let is_found = |id: &&String| medias.iter().any(|media| media.hashed_id == **id);
        for media_id in self.config.media_ids.iter().filter(|id| !is_found(id)) {
            tracing::warn!(media_id, "`media_ids` names a media that the account does not have");
        }
        medias.sort_by_key(|media| media.id);
        Ok(medias)
    }

    fn media(&mut self, media: &Media) -> Result<()> {
        self.output.record(&DIM_MEDIA, media)?;
        if let (Some(media_id), Some(channel)) = (&media.hashed_id, self.rules.channel(media)) {
            let record = MediaChannel { media_id, channel, source: "rule" };
            self.output.record(&BRIDGE_MEDIA_CHANNEL, &record)?;
        }
        Ok(())
    }

    /// Reads the medias that Wistia's own channels show.
    async fn episodes(&mut self) -> Result<()> {
        self.begin(&[&BRIDGE_MEDIA_CHANNEL])?;
        let mut names = HashMap::new();
        let mut channels =
            Pages::<Channel>::new(self.client, Channels.request(), LookAhead::Little);
        while let Some(page) = channels.next().await? {
            names.extend(page.into_iter().filter_map(|row| Some((row.hashed_id?, row.name?))));
        }
        let mut seen = HashSet::new();
        let request = Request::new("/channel_episodes");
        let mut episodes = Pages::<Episode>::new(self.client, request, LookAhead::Little);
        while let Some(page) = episodes.next().await? {
            self.output.extracted_now();
            for episode in page {
                let (Some(media_id), Some(channel)) =
                    (episode.media_hashed_id, episode.channel_hashed_id)
                else {
                    continue;
                };
                let channel = names.get(&channel).cloned().unwrap_or(channel);
                if self.is_media_wanted(Some(&media_id))
                    && seen.insert((media_id.clone(), channel.clone()))
                {
                    let record =
                        MediaChannel { media_id: &media_id, channel: &channel, source: "wistia" };
                    self.output.record(&BRIDGE_MEDIA_CHANNEL, &record)?;
                }
            }
        }
        self.output.state(&self.state)
    }

    /// Reads a list of its own.
    async fn list<L: Listing>(&mut self, listing: &L) -> Result<()> {
        if !self.output.wants(L::STREAM) {
            return Ok(());
        }
        self.begin(&[L::STREAM])?;
        let mut pages = Pages::<L::Row>::new(self.client, listing.request(), LookAhead::Much);
        let outcome = loop {
            match pages.next().await {
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
                Ok(Some(rows)) => {
                    self.output.extracted_now();
                    for row in rows {
                        listing.emit(row, &self.privacy, &mut self.output)?;
                    }
                    self.progress.show(&self.output, self.client, None);
                }
            }
        };
        self.settle(&[L::STREAM], outcome)?;
        self.output.state(&self.state)
    }

    /// The days to read of each media for a stream.
    fn days_of(&self, stream: &Stream) -> MediaDays {
        MediaDays {
            first: self.period.start,
            since: self.start_of(stream, self.config.byday_lookback_days),
            last: self.period.end,
            bookmark: self.state.bookmark(stream),
        }
    }

    /// Reads daily figures of the medias.
    async fn by_day<S: MediaStats>(
        &mut self,
        medias: &[MediaId],
        source: &S,
        days: MediaDays,
    ) -> Result<()> {
        let newest = medias.iter().map(|media| media.id).max();
        let newest_media = newest.max(days.bookmark.newest_media);
        let done = Bookmark { newest_media, ..self.read_to_the_end() };
        self.stats(medias, source, Some(done)).await
    }

    /// Reads figures media by media, many at a time, in the order of the medias. Afterwards the
    /// stream's bookmark is `done`.
    async fn stats<S: MediaStats>(
        &mut self,
        medias: &[MediaId],
        source: &S,
        done: Option<Bookmark>,
    ) -> Result<()> {
        let fed: Vec<&'static Stream> =
            S::FEEDS.iter().copied().filter(|stream| self.output.wants(stream)).collect();
        let (Some(stream), Some(first)) = (fed.first().copied(), S::FEEDS.first()) else {
            return Ok(());
        };
        let began = self.period.today;
        // Where one of the streams is behind, all are read again from there.
        let resumed = fed
            .iter()
            .map(|stream| self.state.bookmark(stream).pass)
            .map(|pass| pass.filter(|pass| pass.began == began).map(|pass| pass.media_id))
            .min()
            .flatten();
        let rest = medias.partition_point(|media| resumed.is_some_and(|last| media.id <= last));
        let rest = &medias[rest..];
        self.begin(&fed)?;
        self.output.estimate(first, source.rows(rest))?;
        let client = self.client;
        let mut answers =
            stream::iter(rest)
                .map(|media| async move {
                    (media, client.get::<S::Answer>(&source.request(media)).await)
                })
                .buffered(self.config.concurrency);
        let mut read = 0;
        while let Some((media, answer)) = answers.next().await {
            match answer {
                Ok(answer) => {
                    self.output.extracted_now();
                    source.emit(&media.hashed_id, answer.value, &mut self.output)?;
                }
                Err(error @ Error::NotFound { .. }) => {
                    let media_id = &media.hashed_id;
                    tracing::warn!(
                        stream = stream.name,
                        media_id,
                        "{error}; the media is left out"
                    );
                }
                Err(error) => {
                    drop(answers);
                    return self.settle(&fed, Err(error));
                }
            }
            read += 1;
            if read % MEDIAS_PER_STATE == 0 {
                let pass = Some(Pass { began, media_id: media.id });
                for stream in &fed {
                    let bookmark = self.state.bookmark(stream);
                    self.state.set(stream, Bookmark { pass, ..bookmark });
                }
                self.output.state(&self.state)?;
            }
            self.progress.show(&self.output, client, Some((read, rest.len())));
        }
        for stream in &fed {
            self.state.set(stream, done.unwrap_or_default());
        }
        self.output.state(&self.state)?;
        self.settle(&fed, Ok(()))
    }

    /// Reads the daily figures of the account.
    async fn account(&mut self) -> Result<()> {
        self.begin(&[&FACT_ACCOUNT_BYDAY])?;
        let request = Request::new("/stats/account/by_date")
            .with("start_date", self.start_of(&FACT_ACCOUNT_BYDAY, self.config.byday_lookback_days))
            .with("end_date", self.period.end);
        let mut days = self.client.get::<Page<Day>>(&request).await?.value.rows;
        days.sort_by(|a, b| a.date.cmp(&b.date));
        self.output.extracted_now();
        for Day { date, load_count, play_count, hours_watched } in days {
            let record = AccountByDay { date, load_count, play_count, hours_watched };
            self.output.record(&FACT_ACCOUNT_BYDAY, &record)?;
        }
        self.state.set(&FACT_ACCOUNT_BYDAY, self.read_to_the_end());
        self.output.state(&self.state)
    }

    /// Reads events, slice after slice.
    async fn events(&mut self) -> Result<()> {
        let fed = [&FACT_EVENTS, &DIM_VISITORS];
        self.begin(&fed)?;
        let start = fed
            .into_iter()
            .filter(|stream| self.output.wants(stream))
            .map(|stream| self.start_of(stream, self.config.lookback_days))
            .min()
            .unwrap_or(self.period.start);
        let reader = events::Reader {
            client: self.client,
            privacy: &self.privacy,
            media_ids: &self.config.media_ids,
            period: self.period,
            start,
        };
        let mut readings = Readings::new(&reader, self.config.concurrency);
        let mut read = 0;
        let days = (self.period.end - start).num_days();
        while let Some(reading) = readings.next().await? {
            events::emit(&reading.events, &mut self.output)?;
            let bookmark = Bookmark {
                day: Some(reading.slice.end.min(self.period.end)),
                read_on: Some(self.period.today),
                ..Bookmark::default()
            };
            for stream in fed {
                if self.output.wants(stream) {
                    self.state.set(stream, bookmark);
                }
            }
            self.output.state(&self.state)?;
            read += reading.slice.days();
            let of = usize::try_from(days).unwrap_or(0) + 1;
            let read = usize::try_from(read).unwrap_or(of).min(of);
            self.progress.show(&self.output, self.client, Some((read, of)));
        }
        Ok(())
    }
}
