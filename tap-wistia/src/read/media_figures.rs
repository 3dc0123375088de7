//! Figures that are asked for media by media: many at a time, written in the order of the medias.

use chrono::NaiveDate;
use futures::future::LocalBoxFuture;
use futures::{StreamExt, stream};

use super::days::{Days, MediaDays};
use crate::client::{Request, Resource};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::output::Output;
use crate::state::{Bookmark, Pass};
use crate::stream::{MediaId, Stream};

/// Medias between two states. An interrupted pass reads fewer than so many again.
pub(crate) const MEDIAS_PER_STATE: usize = 100;

/// What is answered for one media.
pub(crate) trait MediaFigures: Resource {
    /// For figures by day: asks for these days. They are read in increments.
    const BY_DAY: Option<fn(Request, Days) -> Request> = None;

    /// The request for a media, without days.
    fn request(media_id: &str) -> Request;

    /// Writes the records of a media, as they are in a sync that began `today`.
    fn emit(self, media_id: &str, today: NaiveDate, output: &mut Output) -> Result<()>;
}

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
        Some(ask) => ask(request, days),
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
    let days = F::BY_DAY.map(|ask| (ask, MediaDays::of(context, first)));
    let done = match &days {
        Some((_, days)) => days.done(context, medias),
        None => Bookmark::default(),
    };
    let rest = &medias[read_before(context, &fed, medias)..];
    let rows = days.as_ref().map_or(rest.len() as u64, |(_, days)| days.rows(rest));
    context.output.estimate(first, rows)?;
    let request = |media: &MediaId| match &days {
        Some((ask, days)) => ask(F::request(&media.hashed_id), days.days(media)),
        None => F::request(&media.hashed_id),
    };
    let client = context.client;
    let began = context.settings.period.today;
    let mut answers = stream::iter(rest)
        .map(|media| {
            let request = request(media);
            async move { (media, client.get::<F>(&request).await) }
        })
        .buffered(context.settings.config.concurrency);
    let mut read = 0;
    while let Some((media, answer)) = answers.next().await {
        match answer {
            Ok(answer) => {
                context.output.extracted_now();
                answer.value.emit(&media.hashed_id, began, &mut context.output)?;
            }
            Err(error @ Error::NotFound { .. }) => {
                let stream = fed.first().map(|stream| stream.name);
                let media_id = &media.hashed_id;
                tracing::warn!(stream, media_id, "{error}; the media is left out");
            }
            Err(error) => return Err(error),
        }
        read += 1;
        if read % MEDIAS_PER_STATE == 0 {
            let pass = Some(Pass { began, media_id: media.id });
            for stream in &fed {
                let bookmark = context.state.bookmark(stream);
                context.state.set(stream, Bookmark { pass, ..bookmark });
            }
            context.write_state()?;
        }
        context.show(Some((read, rest.len())));
    }
    context.bookmark(&fed, done);
    context.write_state()
}

/// How many medias an interrupted pass of this day has read. Where one of the streams is behind, all
/// are read again from there.
fn read_before(context: &Context<'_>, fed: &[&Stream], medias: &[MediaId]) -> usize {
    let today = context.settings.period.today;
    let last = fed
        .iter()
        .map(|stream| context.state.bookmark(stream).pass)
        .map(|pass| pass.filter(|pass| pass.began == today).map(|pass| pass.media_id))
        .min()
        .flatten();
    medias.partition_point(|media| last.is_some_and(|last| media.id <= last))
}
