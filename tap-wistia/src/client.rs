//! The Wistia client: one token, one rate limit, retries, and answers read into types.

use std::cell::Cell;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use program::Secret;
use reqwest::header::RETRY_AFTER;
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::clean;
use crate::config::Config;
use crate::drift::Drift;
use crate::error::{Error, Result};

/// Rows that a page holds at most; Wistia answers no more than this.
pub const PAGE: usize = 100;

/// User agent where the settings name none.
const USER_AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

/// Times that a body which is no JSON is asked for again: it may have been cut off, or come from a
/// proxy on the way.
const MALFORMED_TRIES: u32 = 3;

/// Bytes of a body that an error shows.
const SHOWN: usize = 200;

/// Something that Wistia answers.
pub trait Resource: DeserializeOwned {
    /// What it is called in errors, such as `a media`.
    const NAME: &'static str;
    /// Documented fields that no table has. Other unknown fields are named in the log.
    const UNUSED: &'static [&'static str];
}

/// A page of rows. Empty rows are left out.
#[derive(Debug)]
pub struct Page<T> {
    /// The rows that hold something.
    pub rows: Vec<T>,
    /// Rows with the empty ones.
    pub received: usize,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Page<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let rows = Vec::<clean::Row<T>>::deserialize(deserializer)?;
        let received = rows.len();
        Ok(Self { rows: rows.into_iter().filter_map(|row| row.0).collect(), received })
    }
}

impl<T: Resource> Resource for Page<T> {
    const NAME: &'static str = "a list";
    const UNUSED: &'static [&'static str] = T::UNUSED;
}

impl<T> Page<T> {
    /// Whether no page follows.
    pub fn is_last(&self) -> bool {
        self.received < PAGE
    }
}

/// A GET request below the API's base URL.
#[derive(Debug, Clone)]
pub struct Request {
    api: Api,
    path: String,
    query: Vec<(&'static str, String)>,
}

/// Which of Wistia's two APIs answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Api {
    /// The stable one.
    V1,
    /// The one whose versions expire after about a year. It is a sibling of the other.
    Modern,
}

/// The version of the modern API that the tap speaks.
const MODERN_VERSION: &str = "2026-03";

impl Request {
    /// A request for `path`, which begins with a slash and has no suffix.
    pub fn new(path: impl Into<String>) -> Self {
        Self { api: Api::V1, path: path.into(), query: Vec::new() }
    }

    /// A request to the modern API.
    pub fn modern(path: impl Into<String>) -> Self {
        Self { api: Api::Modern, ..Self::new(path) }
    }

    /// With a parameter.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "numbers and days are copied anyway")]
    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.query.push((name, value.to_string()));
        self
    }
}

/// As a person writes it down.
impl fmt::Display for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.path)?;
        for (position, (name, value)) in self.query.iter().enumerate() {
            write!(formatter, "{}{name}={value}", if position == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
}

/// What was read from an answer.
#[derive(Debug)]
pub struct Answer<T> {
    /// The value.
    pub value: T,
    /// A hash of the body's bytes: the same page has the same.
    pub digest: u64,
}

/// What the client has done so far.
#[derive(Debug, Default)]
pub struct Traffic {
    requests: AtomicU64,
    retries: AtomicU64,
    waited_ms: AtomicU64,
    nulled: AtomicU64,
    skipped: AtomicU64,
}

impl Traffic {
    /// Requests sent, repeated ones included.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Requests that were sent again.
    pub fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// Seconds that requests waited for the rate limit, summed over all.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of one run")]
    pub fn waited_seconds(&self) -> f64 {
        self.waited_ms.load(Ordering::Relaxed) as f64 / 1000.0
    }

    /// Values that were null after cleaning though something stood there.
    pub fn nulled(&self) -> u64 {
        self.nulled.load(Ordering::Relaxed)
    }

    /// Empty rows that were left out.
    pub fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }
}

/// A client of one account.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    v1: String,
    modern: String,
    token: Secret,
    limiter: DefaultDirectRateLimiter,
    in_flight: Semaphore,
    paused_until: Mutex<Option<Instant>>,
    retry_for: Duration,
    traffic: Traffic,
    drift: Drift,
}

impl Client {
    /// A client as the settings describe it. Nothing is sent yet.
    pub fn new(config: &Config) -> Result<Self> {
        let http = reqwest::Client::builder()
            .user_agent(config.user_agent.as_deref().unwrap_or(USER_AGENT))
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(config.request_timeout_seconds))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| Error::Internal(format!("no HTTP client: {error}")))?;
        let v1 = config.api_url.trim_end_matches('/');
        Ok(Self {
            http,
            v1: v1.to_owned(),
            modern: format!("{}/modern", v1.trim_end_matches("/v1")),
            token: config.api_token.clone(),
            limiter: RateLimiter::direct(quota(config.requests_per_minute)),
            in_flight: Semaphore::new(config.concurrency),
            paused_until: Mutex::new(None),
            retry_for: Duration::from_secs(config.retry_for_seconds),
            traffic: Traffic::default(),
            drift: Drift::default(),
        })
    }

    /// What was done so far.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Sends a request until it is answered or cannot be.
    pub async fn get<T: Resource>(&self, request: &Request) -> Result<Answer<T>> {
        let deadline = Instant::now() + self.retry_for;
        let malformed = Cell::new(0);
        let backoff = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(500))
            .with_max_delay(Duration::from_mins(1))
            .with_jitter()
            .without_max_times();
        (|| self.attempt(request))
            .retry(backoff)
            .when(|error| {
                if matches!(error, Error::Malformed { cut: true, .. }) {
                    malformed.set(malformed.get() + 1);
                    return malformed.get() < MALFORMED_TRIES;
                }
                error.is_transient() && Instant::now() < deadline
            })
            .adjust(|error, delay| match error {
                // Retry-After says when; a second more than the server's zero keeps us polite.
                Error::Status { retry_after: Some(seconds), .. } => delay.map(|delay| {
                    Duration::from_secs(*seconds).max(delay.min(Duration::from_secs(1)))
                }),
                _ => delay,
            })
            .notify(|error, delay| {
                self.traffic.retries.fetch_add(1, Ordering::Relaxed);
                let seconds = delay.as_secs_f64();
                tracing::warn!(%error, cause = cause(error), "trying again in {seconds:.1} s");
            })
            .await
    }

    async fn attempt<T: Resource>(&self, request: &Request) -> Result<Answer<T>> {
        let _permit = self
            .in_flight
            .acquire()
            .await
            .map_err(|error| Error::Internal(format!("no permit for a request: {error}")))?;
        self.wait_for_turn().await;
        self.traffic.requests.fetch_add(1, Ordering::Relaxed);
        let started = Instant::now();
        let path = request.to_string();
        let transport = |source: reqwest::Error| Error::Transport {
            path: path.clone(),
            source: source.without_url(),
        };
        let address = match request.api {
            Api::V1 => format!("{}{}.json", self.v1, request.path),
            Api::Modern => format!("{}{}", self.modern, request.path),
        };
        let url = Url::parse_with_params(
            &address,
            request.query.iter().map(|(name, value)| (*name, value.as_str())),
        )
        .map_err(|error| Error::Internal(format!("{path} is no URL: {error}")))?;
        let mut sent = self.http.get(url).bearer_auth(self.token.expose());
        if request.api == Api::Modern {
            sent = sent.header("X-Wistia-API-Version", MODERN_VERSION);
        }
        let response = sent.send().await.map_err(transport)?;
        let status = response.status();
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.trim().parse::<u64>().ok());
        let body = response.bytes().await.map_err(transport)?;
        tracing::debug!(
            path,
            status = status.as_u16(),
            bytes = body.len(),
            seconds = started.elapsed().as_secs_f64(),
            "request"
        );
        if !status.is_success() {
            if status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE
            {
                self.pause(Duration::from_secs(retry_after.unwrap_or(0)));
            }
            return Err(refusal(path, status, &body, retry_after));
        }
        let value = self.read::<T>(&path, &body)?;
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        Ok(Answer { value, digest: hasher.finish() })
    }

    /// Waits until nobody asked for a pause and the limit allows a request.
    async fn wait_for_turn(&self) {
        let started = Instant::now();
        loop {
            self.limiter.until_ready().await;
            let paused = self.paused_until.lock().map_or(None, |until| *until);
            match paused {
                Some(until) if until > Instant::now() => tokio::time::sleep_until(until).await,
                _ => break,
            }
        }
        let waited = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.traffic.waited_ms.fetch_add(waited, Ordering::Relaxed);
    }

    /// Lets every request wait.
    fn pause(&self, time: Duration) {
        let until = Instant::now() + time;
        if let Ok(mut paused) = self.paused_until.lock() {
            *paused = Some(paused.map_or(until, |current| current.max(until)));
        }
    }

    fn read<T: Resource>(&self, path: &str, body: &[u8]) -> Result<T> {
        clean::take_counts();
        let mut deserializer = serde_json::Deserializer::from_slice(body);
        let value = serde_ignored::deserialize(&mut deserializer, |field| {
            self.drift.note(T::UNUSED, path, &field);
        })
        .and_then(|value| deserializer.end().map(|()| value));
        let counts = clean::take_counts();
        self.traffic.nulled.fetch_add(counts.nulled, Ordering::Relaxed);
        self.traffic.skipped.fetch_add(counts.skipped, Ordering::Relaxed);
        value.map_err(|error| malformed::<T>(path, body, &error))
    }
}

/// A quota under which no minute sees more than `requests_per_minute`: what may come at once and
/// what comes back in a minute are that together.
fn quota(requests_per_minute: u32) -> Quota {
    let burst = (requests_per_minute / 60).max(1);
    let refill = requests_per_minute.saturating_sub(burst).max(1);
    let per_request = Duration::from_mins(1) / refill;
    let quota = Quota::with_period(per_request).unwrap_or(Quota::per_minute(NonZeroU32::MIN));
    quota.allow_burst(NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN))
}

/// The error that an answer without success is.
fn refusal(path: String, status: StatusCode, body: &[u8], retry_after: Option<u64>) -> Error {
    #[derive(Default, Deserialize)]
    struct Reason {
        code: Option<String>,
        error: Option<String>,
    }

    let reason: Reason = serde_json::from_slice(body).unwrap_or_default();
    let text = reason.error.unwrap_or_else(|| start_of(body));
    match status.as_u16() {
        401 if reason.code.as_deref() == Some("unauthorized_scope") => {
            Error::Forbidden { path, status: 401, reason: text }
        }
        401 => Error::Unauthorized { path, reason: text },
        403 => Error::Forbidden { path, status: 403, reason: text },
        404 => Error::NotFound { path },
        status => Error::Status { path, status, body: text, retry_after },
    }
}

/// Tells what is wrong with a body. The path to the place is found by reading it a second time.
fn malformed<T: Resource>(path: &str, body: &[u8], error: &serde_json::Error) -> Error {
    let cut = !error.is_data();
    let reason = if cut {
        format!("{error}; it begins with: {}", start_of(body))
    } else {
        let mut deserializer = serde_json::Deserializer::from_slice(body);
        match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
            Err(error) => format!("at {}: {}", error.path(), error.inner()),
            Ok(_) => error.to_string(),
        }
    };
    Error::Malformed { path: path.to_owned(), expected: T::NAME, reason, cut }
}

/// The start of a body, on one line.
fn start_of(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(SHOWN)]);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if body.len() > SHOWN { format!("{line}…") } else { line }
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
    use super::*;

    #[test]
    fn no_minute_sees_more_requests_than_allowed_and_nearly_all_are_used() {
        for allowed in [1_u32, 2, 10, 60, 100, 600, 6000] {
            let quota = quota(allowed);
            let burst = quota.burst_size().get();
            let refill =
                Duration::from_mins(1).as_secs_f64() / quota.replenish_interval().as_secs_f64();
            assert!(f64::from(burst) + refill <= f64::from(allowed.max(2)) + 1e-3, "{allowed}");
            assert!(allowed < 60 || refill >= 0.95 * f64::from(allowed), "{allowed}");
        }
    }

    #[test]
    fn refusals_are_told_apart_by_status_and_code() {
        let refusal = |status: u16, body: &str| {
            refusal("/x".into(), StatusCode::from_u16(status).unwrap(), body.as_bytes(), None)
        };
        let wrong =
            refusal(401, r#"{"code":"unauthorized_credentials","error":"Invalid credentials."}"#);
        assert!(matches!(wrong, Error::Unauthorized { .. }));
        let scope = refusal(401, r#"{"code":"unauthorized_scope","error":"No."}"#);
        assert!(scope.is_of_stream());
        assert!(refusal(403, "").is_of_stream());
        assert!(matches!(refusal(404, ""), Error::NotFound { .. }));
        assert!(refusal(502, "<html>").is_transient());
        assert!(!refusal(422, r#"{"error":"bad"}"#).is_transient());
    }

    #[test]
    fn the_start_of_a_body_is_one_line() {
        assert_eq!(start_of(b"<html>\n  <h1>Bad\tGateway"), "<html> <h1>Bad Gateway");
    }
}
