//! `--test` and Airbyte's `check`: the first request of each selected stream, to see what the token may
//! read. Somebody waits for the outcome.

use std::time::Duration;

use program::report;
use serde::Deserialize;
use serde_json::Value;

use crate::client::{Client, Request, Resource};
use crate::error::{Error, Result};
use crate::read::{Endpoint, Medias, Read};
use crate::settings::Settings;
use crate::stream::Stream;

/// The time in which a server shows that it is there.
const SIGN_OF_LIFE: Duration = Duration::from_secs(9);

/// The time for a request to a server that is there.
const ANSWER: Duration = Duration::from_secs(30);

/// What is said of a stream with which all is well.
const READABLE: &str = "may be read";

/// Medias that are asked for, until one has figures.
const MEDIAS: usize = 3;

/// An answer of which only its arrival counts.
#[derive(Debug, Deserialize)]
struct Anything(#[expect(dead_code, reason = "it has been read, and that is all")] Value);

impl Resource for Anything {
    const NAME: &'static str = "JSON";
    const TABLE: &'static str = "";
    const UNUSED: &'static [&'static str] = &[];
}

/// Asks for the selected ones of these endpoints' streams. What is asked for each media is asked for
/// one of them. No stream keeps another from being tried.
pub(crate) async fn run(
    client: &Client,
    endpoints: &[&'static Endpoint],
    settings: &Settings,
    is_selected: impl Fn(&Stream) -> bool,
) -> Result<Report> {
    let selected = |endpoint: &Endpoint| -> Vec<&'static str> {
        let streams = endpoint.streams.iter().filter(|stream| is_selected(stream));
        streams.map(|stream| stream.name).collect()
    };
    let needs_medias = endpoints
        .iter()
        .any(|endpoint| !selected(endpoint).is_empty() && endpoint.read.needs_medias(settings));
    let mut probe = Probe {
        client,
        settings,
        medias: Ok(settings.config.media_ids.clone()),
        report: Report::default(),
    };
    for endpoint in endpoints {
        let streams = selected(endpoint);
        match &endpoint.read {
            Read::Medias(list) if needs_medias => {
                probe.medias(list, &streams, &endpoint.read).await?;
            }
            _ if streams.is_empty() => {}
            read => probe.others(read, &streams).await?,
        }
    }
    Ok(probe.report)
}

/// What is asked, and what was found so far.
struct Probe<'a> {
    client: &'a Client,
    settings: &'a Settings,
    /// Medias to ask for, or in short why there are none and what to do about it.
    medias: Result<Vec<String>, (String, Option<&'static str>)>,
    report: Report,
}

impl Probe<'_> {
    async fn medias(&mut self, list: &Medias, streams: &[&'static str], read: &Read) -> Result<()> {
        let Some(request) = read.probe(None, self.settings) else { return Ok(()) };
        let outcome = self.in_time(&request, (list.page)(self.client, &request)).await;
        match (&mut self.medias, &outcome) {
            (Ok(medias), Ok(found)) if medias.is_empty() => medias.clone_from(found),
            (Ok(_), Ok(_)) | (Err(_), _) => {}
            (medias, Err(error)) => *medias = Err((error.in_short(), error.hint())),
        }
        self.note(streams, outcome.map(|_| ()))
    }

    async fn others(&mut self, read: &Read, streams: &[&'static str]) -> Result<()> {
        let no_medias = Vec::new();
        let medias = match &self.medias {
            Ok(medias) => medias,
            Err((why, hint)) if read.needs_medias(self.settings) => {
                self.report.fail(streams, why, *hint, "it cannot be read without the medias");
                return Ok(());
            }
            Err(_) => &no_medias,
        };
        let mut outcome = None;
        for media_id in medias.iter().take(MEDIAS).map(|id| Some(id.as_str())).chain([None]) {
            let Some(request) = read.probe(media_id, self.settings) else { break };
            let answer = self.in_time(&request, self.client.get::<Anything>(&request)).await;
            let answer = outcome.insert(answer.map(|_| ()));
            // One media may be gone, or be hidden from the token.
            let is_of_media = answer.as_ref().is_err_and(Error::is_of_media);
            if !(is_of_media && matches!(read, Read::PerMedia(_))) {
                break;
            }
        }
        match outcome {
            Some(outcome) => self.note(streams, outcome),
            None => {
                self.report.pass(streams, "nothing to ask for: the account has no media");
                Ok(())
            }
        }
    }

    /// Gives an answer up that does not come.
    async fn in_time<T>(
        &self,
        request: &Request,
        answer: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let limit = if self.client.is_there() { ANSWER } else { SIGN_OF_LIFE };
        let outcome = tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| {
            Err(Error::Transport {
                path: request.to_string(),
                is_transient: true,
                source: format!("no answer within {} s", limit.as_secs()).into(),
                host: self.client.host().to_owned(),
            })
        });
        match outcome {
            Err(Error::Transport { is_transient: true, host, source, .. })
                if !self.client.is_there() =>
            {
                Err(Error::Unreachable { host, source })
            }
            outcome => outcome,
        }
    }

    /// Notes what became of streams. What no stream is to blame for ends it all.
    fn note(&mut self, streams: &[&'static str], outcome: Result<()>) -> Result<()> {
        match outcome {
            Ok(()) => self.report.pass(streams, READABLE),
            Err(error) if self.client.is_there() && error.kind().is_of_stream() => {
                let hint = error.hint();
                let todo = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
                let cause = std::error::Error::source(&error);
                let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
                let words = format!("{error}{cause}{todo}");
                self.report.fail(streams, &error.in_short(), hint, &words);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Which streams may be read.
#[derive(Debug, Default)]
pub(crate) struct Report(Vec<Row>);

/// What was found of a stream.
#[derive(Debug)]
struct Row {
    stream: &'static str,
    /// Why it may not be read in short, if it may not.
    fault: Option<String>,
    /// All that is known.
    words: String,
    hint: Option<&'static str>,
}

impl Report {
    fn pass(&mut self, streams: &[&'static str], words: &str) {
        let row = |stream: &&'static str| Row {
            stream,
            fault: None,
            words: words.to_owned(),
            hint: None,
        };
        self.0.extend(streams.iter().map(row));
    }

    fn fail(
        &mut self,
        streams: &[&'static str],
        short: &str,
        hint: Option<&'static str>,
        words: &str,
    ) {
        let row = |stream: &&'static str| Row {
            stream,
            fault: Some(short.to_owned()),
            words: words.to_owned(),
            hint,
        };
        self.0.extend(streams.iter().map(row));
    }

    /// Tells the log, stream by stream.
    pub(crate) fn log(&self) {
        for Row { stream, fault, words, .. } in &self.0 {
            match fault {
                Some(_) => tracing::error!(stream, "{words}"),
                None => tracing::info!(stream, "{words}"),
            }
        }
    }

    /// The table that a person reads.
    pub(crate) fn table(&self) -> String {
        let rows = self.0.iter().map(|Row { stream, fault, words, hint }| {
            let (may_be_read, todo) = match fault {
                Some(fault) => (format!("no: {fault}"), hint.unwrap_or(words)),
                None if words == READABLE => ("yes".to_owned(), ""),
                None => ("yes".to_owned(), words.as_str()),
            };
            [(*stream).to_owned(), may_be_read, todo.to_owned()]
        });
        format!("{}\n", report::render_table(["stream", "may be read", "what to do"], rows))
    }

    /// The error of those that may not be read.
    pub(crate) fn end(self) -> Result<()> {
        let failed = || self.0.iter().filter(|row| row.fault.is_some());
        let Some(first) = failed().next() else { return Ok(()) };
        let names = failed()
            .map(|row| format!("{} ({})", row.stream, row.fault.as_deref().unwrap_or_default()));
        Err(Error::Unreadable {
            count: failed().count(),
            all: self.0.len(),
            streams: names.collect::<Vec<_>>().join(", "),
            hint: first.hint.filter(|_| failed().all(|row| row.hint == first.hint)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::streams;
    use crate::testing::{Reply, Server, TODAY, config, day, ok};

    fn account(path: &str) -> Reply {
        match path {
            path if path.starts_with("/medias") => ok(r#"[{"id":1,"hashed_id":"abc"}]"#),
            _ => ok("{}"),
        }
    }

    async fn probed(server: &Server, is_selected: impl Fn(&Stream) -> bool) -> Result<()> {
        probed_with(server, config(""), is_selected).await
    }

    async fn probed_with(
        server: &Server,
        config: Config,
        is_selected: impl Fn(&Stream) -> bool,
    ) -> Result<()> {
        let settings = Settings::new(config, day(TODAY)).unwrap();
        let client = server.client(&settings.config).hurried();
        run(&client, &streams::ALL, &settings, is_selected).await?.end()
    }

    fn patient() -> Config {
        Config { retry_for_seconds: 600, ..config("") }
    }

    #[tokio::test]
    async fn each_endpoint_is_asked_as_a_sync_would_ask_it() {
        let server = Server::new(account);
        probed(&server, |_| true).await.unwrap();
        let days = "start_date=2024-11-25&end_date=2026-11-25";
        assert_eq!(
            server.asked(),
            [
                "/medias?per_page=100&cursor[enabled]=1",
                "/deleted_media?per_page=1",
                "/projects?per_page=1",
                "/tags?per_page=1",
                "/channels?per_page=1",
                "/channel_episodes?per_page=1",
                "/stats/medias/abc",
                &format!("/stats/medias/abc/by_date?{days}"),
                "/stats/medias/abc/engagement",
                "/analytics/medias/abc/timeseries?granularity=daily&start_date=2024-11-26&end_date=2026-11-26",
                &format!("/stats/account/by_date?{days}"),
                &format!("/stats/events?{days}&per_page=1"),
                "/stats/visitors?per_page=1",
            ]
        );
        probed(&server, |stream| stream.name == "visitors").await.unwrap();
        assert_eq!(server.asked(), ["/stats/visitors?per_page=1"]);
        let config = config(r#""media_ids":["xyz"],"include_archived":false"#);
        probed_with(&server, config, |stream| stream.name == "fact_engagements").await.unwrap();
        assert_eq!(
            server.asked(),
            ["/medias?per_page=100&archived=false&cursor[enabled]=1", "/stats/medias/xyz"]
        );
    }

    #[tokio::test]
    async fn an_account_without_medias_has_nothing_to_ask_for_each_of_them() {
        let server = Server::new(|_| ok("[]"));
        probed(&server, |stream| stream.name.starts_with("fact_engagement")).await.unwrap();
        assert_eq!(server.asked(), ["/medias?per_page=100&cursor[enabled]=1"]);
    }

    #[tokio::test]
    async fn every_failure_is_named_with_what_is_missing_and_the_others_are_still_tried() {
        let server = Server::new(|path| match path {
            path if path.starts_with("/medias") => account(path),
            path if path.starts_with("/analytics") => (403, String::new()),
            path if path.starts_with("/stats/account") => (403, String::new()),
            path if path.starts_with("/stats/events") => (401, String::new()),
            path if path.starts_with("/channels") => (404, String::new()),
            path if path.starts_with("/projects") => (500, String::new()),
            path if path.starts_with("/channel_episodes") => ok("<html>"),
            _ => ok("[]"),
        });
        let error = probed(&server, |_| true).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "7 of 16 streams may not be read: dim_projects (answered 500), \
             dim_channels (answered 404), bridge_media_channel (answered no JSON), \
             fact_media_timeseries (it wants \"Read detailed stats\"), \
             fact_account_byday (it wants \"Read detailed stats\"), \
             fact_events (it wants \"Read all data\"), dim_visitors (it wants \"Read all data\")"
        );
        assert_eq!(server.asked().last().unwrap(), "/stats/visitors?per_page=1");
        assert_eq!(error.hint(), None, "each has its own");
    }

    #[tokio::test]
    async fn what_is_read_by_medias_fails_with_them() {
        let server = Server::new(|path| match path {
            path if path.starts_with("/medias") => (403, String::new()),
            _ => ok("[]"),
        });
        let names = ["dim_media", "fact_engagements", "visitors"];
        let error = probed(&server, |stream| names.contains(&stream.name)).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "2 of 3 streams may not be read: dim_media (it wants \"Read all data\"), \
             fact_engagements (it wants \"Read all data\")"
        );
        assert!(error.hint().unwrap().contains("\"Read all data\""), "it is the same for all");
    }

    #[tokio::test]
    async fn a_media_that_is_gone_says_nothing_about_the_others() {
        let medias = r#"[{"id":1,"hashed_id":"a"},{"id":2,"hashed_id":"b"}]"#;
        let figures = |stream: &Stream| stream.name == "fact_engagements";
        let answers =
            [("/medias?per_page=100&cursor[enabled]=1", ok(medias)), ("/stats/medias/b", ok("{}"))];
        let server = Server::of(&answers);
        probed(&server, figures).await.unwrap();
        assert_eq!(server.asked()[1..], ["/stats/medias/a", "/stats/medias/b"]);
        let error = probed(&Server::of(&answers[..1]), figures).await.unwrap_err().to_string();
        assert_eq!(error, "1 of 1 streams may not be read: fact_engagements (answered 404)");
    }

    #[tokio::test]
    async fn a_token_that_is_not_accepted_ends_it_at_once() {
        let server = Server::new(|_| (401, String::new()));
        let error = probed(&server, |_| true).await.unwrap_err();
        assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
        assert_eq!(server.asked().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_is_dead_is_given_up_within_ten_seconds() {
        let started = tokio::time::Instant::now();
        let server = Server::new(|_| (0, "refused".into()));
        let error = probed_with(&server, patient(), |_| true).await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }), "{error}");
        assert!(error.to_string().ends_with("does not answer"), "{error}");
        assert!(started.elapsed().as_secs() < 10);
        assert!(server.asked().iter().all(|path| path.starts_with("/medias")));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_busy_for_all_is_waited_for_once() {
        let started = tokio::time::Instant::now();
        let server = Server::new(|_| (503, "busy".into()));
        let error = probed_with(&server, patient(), |_| true).await.unwrap_err();
        assert!(error.to_string().starts_with("16 of 16 streams may not be read: "), "{error}");
        assert!(started.elapsed().as_secs() < 10);
    }
}
