//! Figures of the whole account, a row a day: one answer.

use futures::future::LocalBoxFuture;

use super::days::Days;
use crate::client::{Page, Request, Resource};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::output::Output;
use crate::stream::Stream;

/// The figures of a day.
pub(crate) trait AccountDay: Resource {
    /// The request for these days.
    fn request(days: Days) -> Request;

    /// The day, as it sorts.
    fn date(&self) -> &str;

    /// Writes the records of a day.
    fn emit(self, output: &mut Output) -> Result<()>;
}

type Read =
    for<'a> fn(&'a mut Context<'_>, &'static [&'static Stream]) -> LocalBoxFuture<'a, Result<()>>;

/// Figures of the account, whatever they are.
#[derive(Debug)]
pub(crate) struct Account {
    /// The request for days.
    pub(crate) request: fn(Days) -> Request,
    /// Reads them for these streams.
    pub(crate) read: Read,
}

impl Account {
    /// Such figures.
    pub(crate) const fn of<D: AccountDay>() -> Self {
        Self { request: D::request, read: boxed::<D> }
    }
}

fn boxed<'a, D: AccountDay>(
    context: &'a mut Context<'_>,
    streams: &'static [&'static Stream],
) -> LocalBoxFuture<'a, Result<()>> {
    Box::pin(read::<D>(context, streams))
}

async fn read<D: AccountDay>(
    context: &mut Context<'_>,
    streams: &'static [&'static Stream],
) -> Result<()> {
    let settings = context.settings;
    let lookback_days = settings.config.byday_lookback_days;
    let wanted = context.output.wanted(streams);
    let first = wanted
        .iter()
        .map(|stream| context.start_of(stream, lookback_days))
        .min()
        .ok_or_else(|| Error::internal("a stream that is wanted"))?;
    let request = D::request(Days { first, last: settings.period.end });
    let mut days = context.client.get::<Page<D>>(&request).await?.value.rows;
    // The order is not documented, and was seen to be descending.
    days.sort_by(|a, b| a.date().cmp(b.date()));
    if days.is_empty() {
        // Each day has a row, be it of zeros. They are asked for again.
        tracing::warn!("there is nothing in the answer to GET {request}; its days are not read");
        return context.write_state();
    }
    context.output.extracted_now();
    for day in days {
        day.emit(&mut context.output)?;
    }
    let done = context.read_until(settings.period.end);
    context.bookmark(streams, &done);
    context.write_state()
}
