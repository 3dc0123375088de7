//! Figures that are asked for media by media: many at a time, written in the order of the medias.

use futures::future::LocalBoxFuture;
use futures::{StreamExt, stream};

use super::days::{Days, MediaDays};
use super::figures::MediaFigures;
use super::media_pass::MediaPass;
use crate::client::Request;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::members::Members;
use crate::state::{Bookmark, Pass};
use crate::stream::{MediaId, Stream};

/// Medias between two states. An interrupted pass reads fewer than so many again.
pub(crate) const MEDIAS_PER_STATE: usize = 100;

type Read = for<'a> fn(
    &'a mut Context<'_>,
    &'static [&'static Stream],
    &'a [MediaId],
) -> LocalBoxFuture<'a, Result<()>>;

/// Figures of medias, whatever the answer is.
#[derive(Debug)]
pub(crate) struct PerMedia {
    /// The request for a media; of these days, where they are figures by day.
    pub(crate) request: fn(&str, Days) -> Request,
    /// Whether they have a row a day and are read in increments.
    pub(crate) is_by_day: bool,
    /// Reads them for these streams. The first one that is wanted bears the pass in the log.
    pub(crate) read: Read,
}

impl PerMedia {
    /// Such figures.
    pub(crate) const fn of<F: MediaFigures>() -> Self {
        Self { request: request::<F>, is_by_day: F::BY_DAY.is_some(), read: boxed::<F> }
    }
}

fn request<F: MediaFigures>(media_id: &str, days: Days) -> Request {
    let request = F::request(media_id);
    match F::BY_DAY {
        Some(ask) => ask(request, Days { first: days.first.max((F::EARLIEST)(days.last)), ..days }),
        None => request,
    }
}

fn boxed<'a, F: MediaFigures>(
    context: &'a mut Context<'_>,
    streams: &'static [&'static Stream],
    medias: &'a [MediaId],
) -> LocalBoxFuture<'a, Result<()>> {
    Box::pin(read::<F>(context, streams, medias))
}

async fn read<F: MediaFigures>(
    context: &mut Context<'_>,
    streams: &'static [&'static Stream],
    medias: &[MediaId],
) -> Result<()> {
    let first =
        streams.first().ok_or_else(|| Error::internal("an endpoint that feeds a stream"))?;
    let fed = context.output.wanted(streams);
    let days = F::BY_DAY.map(|ask| (ask, MediaDays::of(context, first, medias, F::EARLIEST)));
    let read_before = read_before(context, &fed, medias);
    let rest = &medias[read_before..];
    let rows = days.as_ref().map_or(rest.len() as u64, |(_, days)| days.rows(rest));
    context.output.estimate(first, rows)?;
    if let Some((_, days)) = &days {
        days.report(first, rest);
    }
    let request = |media: &MediaId| match &days {
        Some((ask, days)) => ask(F::request(&media.hashed_id), days.days(media)),
        None => F::request(&media.hashed_id),
    };
    let client = context.client;
    let mut answers = stream::iter(rest)
        .map(|media| {
            let request = request(media);
            async move { (media, client.get::<F>(&request).await) }
        })
        .buffered(context.settings.config.concurrency);
    let mut pass = MediaPass::<F>::new(context, &fed, &medias[..read_before]);
    let mut read = 0;
    while let Some((media, answer)) = answers.next().await {
        read += 1;
        let asked = days.as_ref().map(|(_, days)| days.days(media));
        pass.answer(context, media, asked, answer)?;
        if read % MEDIAS_PER_STATE == 0 {
            pass.checkpoint(context, &fed, &medias[..read_before + read], media)?;
        }
        context.show(Some((read, rest.len())));
    }
    let (behind, outcome) = pass.end(context)?;
    if outcome.is_all_lost(medias.len()) {
        return outcome.result(medias.len());
    }
    let done = match &days {
        Some((_, days)) => days.done(context, medias, behind),
        None => Bookmark::default(),
    };
    context.bookmark(&fed, &done);
    context.write_state()?;
    outcome.result(medias.len())
}

/// How many medias an interrupted pass of this day has read. Where one of the streams is behind, or what
/// is wanted has changed since, all are read again.
fn read_before(context: &Context<'_>, fed: &[&Stream], medias: &[MediaId]) -> usize {
    let period = context.settings.period;
    let read = |pass: Pass| {
        let read = medias.partition_point(|media| media.id <= pass.media_id);
        let is_of_today = pass.began == period.today;
        let is_of_same_days = pass.start.is_none_or(|start| start == period.start);
        let is_of_same_medias =
            pass.members.is_none_or(|members| members == Members::of(ids(&medias[..read])).short());
        (is_of_today && is_of_same_days && is_of_same_medias).then_some(read)
    };
    let passes = fed.iter().map(|stream| context.state.bookmark(stream).pass);
    passes.map(|pass| pass.and_then(read).unwrap_or(0)).min().unwrap_or(0)
}

fn ids(medias: &[MediaId]) -> impl Iterator<Item = i64> {
    medias.iter().map(|media| media.id)
}
