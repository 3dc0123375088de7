//! The sync: a loop over endpoints that knows no stream by name.

use program::told::Told;
use program::{report, telemetry};
use tracing::Instrument as _;
use tracing::field::Empty;

use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::progress::Answers;
use crate::read::{Endpoint, OfMedia, Read};
use crate::stream::{MediaId, Stream};

/// A stream that could not be read.
#[derive(Debug)]
pub(crate) struct Failed {
    /// Its name.
    pub(crate) stream: &'static str,
    /// The error and its causes, in one line.
    pub(crate) reason: String,
    /// What to do about it.
    hint: Option<&'static str>,
    kind: Kind,
}

/// One sync.
#[derive(Debug)]
pub(crate) struct Sync<'a> {
    /// What reading needs.
    pub(crate) context: Context<'a>,
    /// What is read, each after those that it depends on.
    endpoints: &'a [&'static Endpoint],
    /// Streams that could not be read.
    pub(crate) failed: Vec<Failed>,
}

impl<'a> Sync<'a> {
    /// Reads the selected streams of these endpoints.
    pub(crate) fn new(context: Context<'a>, endpoints: &'a [&'static Endpoint]) -> Self {
        Self { context, endpoints, failed: Vec::new() }
    }

    /// Reads all selected streams. Whatever happens, the messages are brought to an end.
    pub(crate) async fn run(&mut self) -> Result<()> {
        let outcome = self.all().await;
        let ended = self.context.output.end();
        outcome.and(ended)
    }

    async fn all(&mut self) -> Result<()> {
        self.context.output.schemas()?;
        let mut medias = None;
        for endpoint in self.endpoints {
            self.endpoint(endpoint, &mut medias).await?;
        }
        // Runners wait for a state even where nothing was new.
        self.context.write_state()?;
        if self.failed.is_empty() {
            return Ok(());
        }
        Err(not_synced(&self.failed))
    }

    /// Reads an endpoint, where a stream depends on it.
    async fn endpoint(
        &mut self,
        endpoint: &'static Endpoint,
        medias: &mut Option<Vec<MediaId>>,
    ) -> Result<()> {
        let dependents = self.dependents(endpoint);
        if dependents.is_empty() {
            return Ok(());
        }
        self.begin(endpoint.streams)?;
        self.context.client.begin();
        let derived = self.derived();
        let context = &mut self.context;
        let span = tracing::info_span!(
            target: telemetry::SPANS,
            "read",
            otel.name = format!("read {}", names(endpoint.streams)),
            otel.status_code = Empty,
            otel.status_description = Empty,
            stream = names(endpoint.streams),
        );
        let read = async {
            match &endpoint.read {
                Read::Medias(list) => {
                    (list.read)(context, derived).await.map(|found| *medias = Some(found))
                }
                Read::List(list) | Read::Derived(list, _) => (list.read)(context).await,
                Read::PerMedia(figures) => {
                    let medias = medias.as_deref().ok_or_else(|| {
                        Error::internal(
                            "the medias to be read before what is asked for each of them",
                        )
                    })?;
                    (figures.read)(context, endpoint.streams, medias).await
                }
                Read::Account(account) => (account.read)(context, endpoint.streams).await,
                Read::Events(events) => (events.read)(context, endpoint.streams).await,
            }
        };
        let outcome = read.instrument(span.clone()).await;
        telemetry::ended(&span, &outcome);
        drop(span);
        match outcome {
            Ok(()) => self.complete(endpoint),
            Err(error) if error.kind().is_of_stream() => self.fail(&dependents, &error),
            Err(error) => Err(error),
        }
    }

    /// The wanted streams that cannot be read without this endpoint: those that it feeds, and where it
    /// is the medias, those that are read by them too.
    fn dependents(&self, endpoint: &Endpoint) -> Vec<&'static Stream> {
        let Context { output, settings, .. } = &self.context;
        let mut streams = output.wanted(endpoint.streams);
        if matches!(endpoint.read, Read::Medias(_)) {
            let others = self.endpoints.iter().filter(|other| {
                !matches!(other.read, Read::Medias(_)) && other.read.needs_medias(settings)
            });
            streams.extend(others.flat_map(|other| output.wanted(other.streams)));
        }
        streams
    }

    /// What wanted streams make of each media.
    fn derived(&self) -> Vec<OfMedia> {
        let wanted = self.endpoints.iter().filter(|endpoint| {
            endpoint.streams.iter().any(|stream| self.context.output.wants(stream))
        });
        wanted
            .filter_map(|endpoint| match &endpoint.read {
                Read::Derived(_, of_media) => Some(*of_media),
                Read::Medias(_)
                | Read::List(_)
                | Read::PerMedia(_)
                | Read::Account(_)
                | Read::Events(_) => None,
            })
            .collect()
    }

    fn begin(&mut self, streams: &[&'static Stream]) -> Result<()> {
        let Context { output, progress, client, .. } = &mut self.context;
        let wanted = output.wanted(streams);
        if let Some(first) = wanted.first().or(streams.first()) {
            progress.stream(first, !wanted.is_empty(), client);
        }
        wanted.into_iter().try_for_each(|stream| self.context.output.started(stream))
    }

    fn complete(&mut self, endpoint: &Endpoint) -> Result<()> {
        let answers = match endpoint.read {
            Read::PerMedia(_) | Read::Account(_) => Answers::Others,
            Read::Medias(_) | Read::List(_) | Read::Derived(..) | Read::Events(_) => Answers::Pages,
        };
        let Context { output, state, progress, client, .. } = &mut self.context;
        for stream in output.wanted(endpoint.streams) {
            output.completed(stream, state)?;
            progress.completed(stream.name, output.records(stream), answers, client);
        }
        Ok(())
    }

    /// These streams fail; the others go on.
    fn fail(&mut self, streams: &[&'static Stream], error: &Error) -> Result<()> {
        for stream in streams {
            // Why is said once, where nobody overlooks it: by the error that ends the run.
            Told::of(stream.name).words("cannot be read; the other streams go on").error();
            self.failed.push(Failed {
                stream: stream.name,
                reason: report::sentence(error, None),
                hint: error.hint(),
                kind: error.kind(),
            });
            self.context.output.fail(stream, error)?;
        }
        Ok(())
    }
}

/// Names of streams in a list.
fn names(streams: &[&'static Stream]) -> String {
    streams.iter().map(|stream| stream.name).collect::<Vec<_>>().join(", ")
}

/// The error of a sync of which these streams failed. Many runners show nothing but the last error, so
/// that the reasons are in it.
fn not_synced(failed: &[Failed]) -> Error {
    let names = |failed: &[Failed]| {
        failed.iter().map(|failed| failed.stream).collect::<Vec<_>>().join(", ")
    };
    let hint = failed.first().and_then(|first| first.hint);
    let hint = hint.filter(|_| failed.iter().all(|failed| failed.hint == hint));
    let reasons: Vec<String> = failed
        .chunk_by(|one, next| one.reason == next.reason)
        .map(|alike| {
            // What to do about all of them is said behind all of them.
            let own = alike[0].hint.filter(|_| hint.is_none());
            let own = own.map(|own| format!(" ({own})")).unwrap_or_default();
            format!("{}: {}{own}", names(alike), alike[0].reason)
        })
        .collect();
    let kind = match failed {
        [one, rest @ ..] if rest.iter().all(|failed| failed.kind == one.kind) => one.kind,
        failed if failed.iter().any(|failed| failed.kind == Kind::Access) => Kind::Access,
        _ => Kind::Api,
    };
    Error::Streams {
        kind,
        count: failed.len(),
        streams: names(failed),
        reasons: reasons.join("; ").into(),
        hint,
    }
}

#[cfg(test)]
mod tests;
