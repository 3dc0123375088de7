//! The Wistia client: one token, one rate limit, retries, and answers read into types.
//!
//! A request waits for its turn ([`limit`]), is carried ([`transport`]), judged ([`retry`]) and read
//! ([`answer`], [`refusal`]). Every attempt takes a turn of its own, because every attempt counts
//! against the account's allowance. How long it is tried is a matter of [`patience`]. No error leaves
//! the client before what the server said was made fit to be [`shown`](crate::shown).

mod answer;
mod body;
mod bounds;
mod limit;
mod patience;
mod refusal;
mod request;
mod retry;
mod traced;
mod traffic;
mod transport;
mod waits;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::clean::Column;
use crate::config::Config;
use crate::drift::Drift;
use crate::error::{Error, Result};
use crate::shown::Shown;
use limit::Limit;
use patience::Patience;
use retry::{Budget, Next, Verdict, judge};
use transport::Http;

pub(crate) use crate::clean::Page;
pub(crate) use answer::{LOST, PAGE, Resource, lost_column};
pub(crate) use request::Request;
pub(crate) use traffic::Traffic;
pub(crate) use transport::{Response, Transport};

/// What was read from an answer.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    /// The body, cleaned.
    pub(crate) value: T,
    /// The columns that it fills, where a value of any was odd.
    pub(crate) columns: BTreeMap<String, Column>,
}

/// A client of one account.
#[derive(Debug)]
pub(crate) struct Client {
    transport: Box<dyn Transport>,
    limit: Limit,
    patience: Patience,
    shown: Shown,
    traffic: Arc<Traffic>,
    drift: Drift,
}

impl Client {
    /// A client as the settings describe it. Nothing is sent yet.
    pub(crate) fn new(config: &Config) -> Result<Self> {
        Ok(Self::over(Box::new(Http::new(config)?), config))
    }

    /// A client whose requests `transport` carries.
    pub(crate) fn over(transport: Box<dyn Transport>, config: &Config) -> Self {
        let shown = Shown::hiding(&config.api_token);
        Self {
            transport,
            limit: Limit::new(config.requests_per_minute, config.concurrency),
            patience: Patience::of(Duration::from_secs(config.retry_for_seconds)),
            traffic: Arc::default(),
            drift: Drift::new(shown.clone()),
            shown,
        }
    }

    /// A client for somebody who waits for the outcome: it gives up soon.
    #[must_use]
    pub(crate) fn hurried(self) -> Self {
        Self { patience: Patience::hurried(self.patience.most()), ..self }
    }

    /// What the server is called.
    pub(crate) fn host(&self) -> &str {
        self.transport.host()
    }

    /// Whether the server has ever answered anything.
    pub(crate) fn is_there(&self) -> bool {
        self.patience.has_heard()
    }

    /// What was done so far.
    pub(crate) fn traffic(&self) -> &Arc<Traffic> {
        &self.traffic
    }

    /// Another endpoint is about to be read. One that was broken takes no patience from it, unless
    /// nothing at all was answered since.
    pub(crate) fn begin(&self) {
        self.patience.begin();
    }

    /// Sends a request until it is answered or cannot be.
    pub(crate) async fn get<T: Resource>(&self, request: &Request) -> Result<Answer<T>> {
        let mut budget = Budget::from(Instant::now(), self.patience.now());
        loop {
            let error = match self.attempt(request, &budget).await {
                Ok(answer) => return Ok(answer),
                Err(error) => self.told(error),
            };
            match budget.next(&error, Instant::now()) {
                Next::Wait(delay) => {
                    self.traffic.repeated();
                    let seconds = delay.as_secs_f64();
                    tracing::warn!(
                        cause = cause(&error),
                        "{error}; trying again in {seconds:.1} s"
                    );
                    let waits = self.traffic.waits();
                    let _waiting = error.is_of_limit().then(|| waits.begin());
                    waits.until(Instant::now() + delay);
                    tokio::time::sleep(delay).await;
                }
                Next::TooLong => return Err(error.too_long(self.patience.most())),
                Next::UsedUp => {
                    self.patience.used_up();
                    return Err(error);
                }
                Next::End => return Err(error),
            }
        }
    }

    /// Sends a request once.
    async fn attempt<T: Resource>(&self, request: &Request, budget: &Budget) -> Result<Answer<T>> {
        if let Some(id) = &request.misfit {
            return Err(Error::Misfit { path: request.to_string(), id: id.clone() });
        }
        let _turn = self.limit.turn(self.traffic.waits()).await?;
        self.traffic.sent();
        let started = Instant::now();
        let sent = self.transport.send(request);
        let response = traced::request(request, self.host(), &self.shown, sent).await?;
        self.patience.heard();
        let path = request.to_string();
        let (asked, status) = (self.shown.line(&path), response.status);
        tracing::debug!(
            path = asked,
            status,
            bytes = response.body.len(),
            seconds = started.elapsed().as_secs_f64(),
            "GET {asked} answered {status}"
        );
        match judge(response.status, response.retry_after.as_deref(), SystemTime::now()) {
            Verdict::Done => self.patience.answered(),
            verdict @ (Verdict::Again { .. } | Verdict::Refused) => {
                if let Verdict::Again { everyone: true, after: Some(seconds) } = verdict {
                    // A pause that this request does not wait for holds no other.
                    let pause = Duration::from_secs(seconds);
                    if pause <= budget.left(Instant::now()) {
                        self.limit.pause(pause);
                    }
                }
                let answered = self.patience.has_answered();
                self.show(&response);
                return Err(refusal::refusal(request, &response, verdict, answered));
            }
        }
        if let Some(limit) = bounds::excess(&response.body) {
            return Err(Error::TooLarge { path, limit, host: String::new() });
        }
        let read = answer::read::<T>(&path, &response, &self.drift);
        let (value, tally) = read.inspect_err(|_| self.show(&response))?;
        self.traffic.cleaned(T::TABLE, &tally);
        Ok(Answer { value, columns: tally.columns })
    }

    /// Shows the start of a body that is of no use to who looks for the reason. It may be a page of
    /// viewers: no message above debug has any of it.
    fn show(&self, response: &Response) {
        tracing::debug!("what was answered: {}", self.shown.bytes(&response.body));
    }

    /// An error that names the server, and in which what the server says can be shown.
    pub(crate) fn told(&self, error: Error) -> Error {
        error.told(self.host(), |text| self.shown.line(text))
    }
}

/// The innermost cause of an error, for a line of log.
fn cause(error: &Error) -> Option<String> {
    let mut inner = std::error::Error::source(error)?;
    while let Some(deeper) = inner.source() {
        inner = deeper;
    }
    Some(inner.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures::future::BoxFuture;
    use program::Secret;
    use serde::Deserialize;

    use super::*;
    use crate::testing::config;

    #[derive(Debug, Deserialize)]
    struct Row {
        id: i64,
    }

    impl Resource for Row {
        const NAME: &'static str = "a row";
        const TABLE: &'static str = "rows";
        const UNUSED: &'static [&'static str] = &[];
    }

    /// Answers one after another, and notes when it was asked.
    #[derive(Debug, Default)]
    struct Script {
        answers: Mutex<Vec<(u16, Option<&'static str>, &'static str)>>,
        asked: Mutex<Vec<Instant>>,
    }

    impl Transport for &'static Script {
        fn send<'a>(&'a self, _: &'a Request) -> BoxFuture<'a, Result<Response>> {
            self.asked.lock().unwrap().push(Instant::now());
            let mut answers = self.answers.lock().unwrap();
            let (status, retry_after, body) =
                if answers.len() > 1 { answers.remove(0) } else { answers[0] };
            let retry_after = retry_after.map(str::to_owned);
            Box::pin(async move { Ok(Response { retry_after, ..Response::new(status, body) }) })
        }

        #[expect(clippy::unnecessary_literal_bound, reason = "as the trait has it")]
        fn host(&self) -> &str {
            "api.example.com"
        }
    }

    fn script(answers: &[(u16, Option<&'static str>, &'static str)]) -> &'static Script {
        Box::leak(Box::new(Script { answers: Mutex::new(answers.to_vec()), ..Script::default() }))
    }

    fn client(script: &'static Script, retry_for: u64) -> Client {
        let mut config = config("");
        config.retry_for_seconds = retry_for;
        Client::over(Box::new(script), &config)
    }

    #[tokio::test(start_paused = true)]
    async fn what_passes_is_asked_again_after_the_time_that_the_server_names() {
        let script = script(&[
            (429, Some("7"), "Too many"),
            (502, None, "<html>"),
            (200, None, r#"{"id":1}"#),
        ]);
        let client = client(script, 600);
        let answer = client.get::<Row>(&Request::new("/row")).await.unwrap();
        assert_eq!(answer.value.id, 1);
        let asked = script.asked.lock().unwrap().clone();
        let waits: Vec<_> =
            asked.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
        assert_eq!(waits.len(), 2);
        assert!((7.0..8.0).contains(&waits[0]), "Retry-After: {waits:?}");
        assert!((0.5..5.0).contains(&waits[1]), "backoff: {waits:?}");
        assert_eq!((client.traffic().requests(), client.traffic().retries()), (3, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_pass_is_the_error_of_the_last_attempt() {
        let script = script(&[(503, None, "busy")]);
        let started = Instant::now();
        let error = client(script, 30).get::<Row>(&Request::new("/row")).await.unwrap_err();
        assert_eq!(error.to_string(), "GET /row answered 503: text, 4 bytes (api.example.com)");
        assert_eq!(started.elapsed().as_secs(), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_for_everyone_holds_requests_that_were_not_refused() {
        let script = script(&[(429, Some("20"), ""), (200, None, r#"{"id":1}"#)]);
        let client = client(script, 600);
        let started = Instant::now();
        let request = Request::new("/row");
        let refused = client.get::<Row>(&request);
        let other = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            client.get::<Row>(&request).await
        };
        let (refused, other) = futures::join!(refused, other);
        assert!(refused.is_ok() && other.is_ok());
        let asked = script.asked.lock().unwrap().clone();
        assert_eq!(asked.len(), 3);
        assert!(asked[1..].iter().all(|at| *at - started >= Duration::from_secs(20)));
        assert!(client.traffic().waits().seconds() >= 19.0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_was_cut_off_is_asked_for_again_and_wrong_data_is_not() {
        let cut = script(&[(200, None, r#"{"id":"#), (200, None, r#"{"id":1}"#)]);
        let answer = client(cut, 0).get::<Row>(&Request::new("/row")).await.unwrap();
        assert_eq!((answer.value.id, cut.asked.lock().unwrap().len()), (1, 2));

        let always_cut = script(&[(200, None, r#"{"id":"#)]);
        let error = client(always_cut, 0).get::<Row>(&Request::new("/row")).await.unwrap_err();
        assert!(matches!(error, Error::Malformed { cut: true, .. }), "{error}");
        assert_eq!(always_cut.asked.lock().unwrap().len(), 3);

        let wrong = script(&[(200, None, r#"{"id":"x"}"#)]);
        assert!(client(wrong, 600).get::<Row>(&Request::new("/row")).await.is_err());
        assert_eq!(wrong.asked.lock().unwrap().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_to_wait_longer_than_there_is_time_is_not_waited_for() {
        for (status, asked) in [
            (429, "3600"),
            (500, "31"),
            (503, "9223372036854775807"),
            (503, "99999999999999999999999"),
        ] {
            let script = script(&[(status, Some(asked), "busy"), (200, None, r#"{"id":1}"#)]);
            let client = client(script, 30);
            let started = Instant::now();
            let error = client.get::<Row>(&Request::new("/row")).await.unwrap_err().to_string();
            let words = "s, which is longer than `retry_for_seconds` (30) leaves";
            assert!(error.contains("it asks to wait") && error.contains(words), "{error}");
            client.get::<Row>(&Request::new("/row")).await.unwrap();
            assert_eq!(started.elapsed(), Duration::ZERO, "others are not held either");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_one_request_in_vain_the_others_are_tried_shortly() {
        let mut answers = vec![(503, None, "busy"); 40];
        answers.push((200, None, r#"{"id":1}"#));
        answers.push((503, None, "busy"));
        let script = script(&answers);
        let client = client(script, 600);
        let request = Request::new("/row");
        let seconds = async || {
            client.begin();
            let started = Instant::now();
            let outcome = client.get::<Row>(&request).await;
            (started.elapsed().as_secs(), outcome.is_ok())
        };
        assert_eq!(seconds().await, (600, false));
        assert_eq!(seconds().await, (10, false));
        while !seconds().await.1 {}
        assert_eq!(seconds().await, (600, false), "it had answered");
    }

    #[tokio::test]
    async fn a_server_that_repeats_the_token_is_not_repeated() {
        let mut config = config("");
        config.api_token = Secret::new("simulated-token");
        let asked = Request::new("/rows").segment("simulated-token");
        for (status, body) in [
            (401, "Bearer simulated-token is unknown"),
            (403, r#"{"error":"simulated-token"}"#),
            (404, "simulated-token"),
            (500, "<title>simulated-token</title>"),
            (422, r#"{"errors":["\u0073imulated-token"]}"#),
            (200, "simulated-token"),
            (200, r#"{"id":"simulated-token"}"#),
        ] {
            let script = script(&[(status, None, body)]);
            let client = Client::over(Box::new(script), &config);
            let error = client.get::<Row>(&asked).await.unwrap_err().to_string();
            assert!(error.contains("***") && !error.contains("simulated-"), "{status} {error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_hidden_wherever_in_a_body_it_stands() {
        let mut config = config("");
        config.api_token = Secret::new("simulated-token");
        for before in 0..300 {
            let text = format!("<{}simulated-token", " ".repeat(before));
            let name = format!(r#"{{"{}simulated-token":1}}"#, "x".repeat(before));
            for body in [text, name] {
                let client = Client::over(Box::new(script(&[(200, None, body.leak())])), &config);
                let request = Request::new("/row");
                let error = client.get::<Page<Row>>(&request).await.unwrap_err().to_string();
                assert!(!error.contains("simu"), "{before} {error}");
            }
        }
    }

    #[tokio::test]
    async fn a_401_without_a_code_is_judged_by_what_was_answered_before() {
        let script = script(&[(401, None, "no"), (200, None, r#"{"id":1}"#), (401, None, "no")]);
        let client = client(script, 0);
        let get = async || client.get::<Row>(&Request::new("/row")).await;
        assert!(matches!(get().await, Err(Error::Unauthorized { .. })));
        assert!(get().await.is_ok());
        assert!(matches!(get().await, Err(Error::Forbidden { status: 401, .. })));
    }

    #[tokio::test]
    async fn an_id_that_would_ask_for_something_else_is_not_sent() {
        let script = script(&[(200, None, r#"{"id":1}"#)]);
        let request = Request::new("/stats/medias").segment("..").segment("by_date");
        let error = client(script, 0).get::<Row>(&request).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the id `..` cannot be asked for: /stats/medias/../by_date would be another path"
        );
        assert!(script.asked.lock().unwrap().is_empty());
    }
}
