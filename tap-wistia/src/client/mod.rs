//! The Wistia client: one token, one rate limit, retries, and answers read into types.
//!
//! A request waits for its turn ([`limit`]), is carried ([`transport`]), judged ([`retry`]) and read
//! ([`answer`]). Every attempt takes a turn of its own, because every attempt counts against the
//! account's allowance.

mod answer;
mod limit;
mod request;
mod retry;
mod traffic;
mod transport;

use std::collections::BTreeMap;
use std::time::Duration;

use backon::Retryable;
use tokio::time::Instant;

use crate::clean::Column;
use crate::config::Config;
use crate::drift::Drift;
use crate::error::{Error, Result};
use limit::Limit;
use retry::{Budget, Verdict, backoff, judge};
use transport::Http;

pub(crate) use answer::{LOST, PAGE, Page, Resource, lost_column};
pub(crate) use request::Request;
pub(crate) use traffic::Traffic;
#[cfg(test)]
pub(crate) use transport::Response;
pub(crate) use transport::Transport;

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
    retry_for: Duration,
    traffic: Traffic,
    drift: Drift,
}

impl Client {
    /// A client as the settings describe it. Nothing is sent yet.
    pub(crate) fn new(config: &Config) -> Result<Self> {
        Ok(Self::over(Box::new(Http::new(config)?), config))
    }

    /// A client whose requests `transport` carries.
    pub(crate) fn over(transport: Box<dyn Transport>, config: &Config) -> Self {
        Self {
            transport,
            limit: Limit::new(config.requests_per_minute, config.concurrency),
            retry_for: Duration::from_secs(config.retry_for_seconds),
            traffic: Traffic::default(),
            drift: Drift::default(),
        }
    }

    /// What was done so far.
    pub(crate) fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Sends a request until it is answered or cannot be.
    pub(crate) async fn get<T: Resource>(&self, request: &Request) -> Result<Answer<T>> {
        let mut budget = Budget::until(Instant::now() + self.retry_for);
        (|| self.attempt(request))
            .retry(backoff())
            .when(|error| budget.allows(error, Instant::now()))
            .adjust(|error, delay| delay.map(|delay| retry::delay(error, delay)))
            .notify(|error, delay| {
                self.traffic.repeated();
                let seconds = delay.as_secs_f64();
                tracing::warn!(%error, cause = cause(error), "trying again in {seconds:.1} s");
            })
            .await
    }

    async fn attempt<T: Resource>(&self, request: &Request) -> Result<Answer<T>> {
        let turn = self.limit.turn().await?;
        self.traffic.sent(turn.waited);
        let started = Instant::now();
        let response = self.transport.send(request).await?;
        let path = request.to_string();
        tracing::debug!(
            path,
            status = response.status,
            bytes = response.body.len(),
            seconds = started.elapsed().as_secs_f64(),
            "request"
        );
        match judge(response.status, response.retry_after.as_deref()) {
            Verdict::Done => {}
            verdict @ (Verdict::Again { .. } | Verdict::Refused) => {
                if let Verdict::Again { everyone: true, after: Some(seconds) } = verdict {
                    self.limit.pause(Duration::from_secs(seconds));
                }
                return Err(answer::refusal(path, &response, verdict));
            }
        }
        let (value, tally) = answer::read::<T>(&path, &response.body, &self.drift)?;
        self.traffic.cleaned(T::TABLE, &tally);
        Ok(Answer { value, columns: tally.columns })
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
            Box::pin(async move { Ok(Response { status, retry_after, body: body.into() }) })
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
        assert_eq!(error.to_string(), "GET /row answered 503: busy");
        let elapsed = started.elapsed().as_secs();
        assert!((30..120).contains(&elapsed), "{elapsed}");
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
        assert!(client.traffic().waited_seconds() >= 19.0);
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
}
