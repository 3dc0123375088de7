//! How others are told of a run: in requests that neither fail nor hold it up.

use std::fmt;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use url::Url;

/// Time in which a server that did not answer is left alone.
const PAUSE: Duration = Duration::from_secs(30);

/// Bytes of an answer that are read. Collectors say little.
const LONGEST_ANSWER: u64 = 1 << 20;

/// Sends to a server that may not be there. Nothing is opened before the first request.
pub(crate) struct Courier {
    /// What is sent, for a warning.
    what: &'static str,
    timeout: Duration,
    client: OnceLock<Option<reqwest::blocking::Client>>,
    /// When the last request failed.
    failed: Mutex<Option<Instant>>,
    warned: AtomicBool,
}

impl fmt::Debug for Courier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Courier").field("what", &self.what).finish_non_exhaustive()
    }
}

impl Courier {
    /// Sends `what`, of which no request takes longer than the time.
    pub(crate) fn new(what: &'static str, timeout: Duration) -> Self {
        Self {
            what,
            timeout,
            client: OnceLock::new(),
            failed: Mutex::default(),
            warned: AtomicBool::new(false),
        }
    }

    /// Sends a request, unless one has failed a moment ago. The first failure is a warning.
    pub(crate) fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        if self.failed().is_some_and(|failed| failed.elapsed() < PAUSE) {
            return Err("the server did not answer a moment ago".into());
        }
        let address = shown(&request.uri().to_string());
        let fault = match self.answer(request) {
            Ok(answer) if answer.status().is_success() => return Ok(answer),
            Ok(answer) => format!("it answered {}", answer.status()),
            Err(error) => {
                *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                innermost(&*error)
            }
        };
        if !self.warned.swap(true, Ordering::Relaxed) {
            let what = self.what;
            tracing::warn!(
                "{what} cannot be sent to {address}, and the run goes on without: {fault}"
            );
        }
        Err(fault.into())
    }

    fn failed(&self) -> Option<Instant> {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        use std::io::Read as _;

        let client = self.client.get_or_init(|| client(self.timeout));
        let client = client.as_ref().ok_or("no HTTP client can be made")?;
        let answer = client.execute(request.try_into()?)?;
        let mut response = Response::builder().status(answer.status());
        if let Some(headers) = response.headers_mut() {
            headers.clone_from(answer.headers());
        }
        let mut body = Vec::new();
        answer.take(LONGEST_ANSWER).read_to_end(&mut body)?;
        Ok(response.body(body.into())?)
    }
}

/// A client with the one cryptography that the programs have.
fn client(timeout: Duration) -> Option<reqwest::blocking::Client> {
    // An error says that one was chosen before, by another client.
    drop(rustls::crypto::ring::default_provider().install_default());
    let client = reqwest::blocking::Client::builder()
        .timeout(timeout)
        .connect_timeout(timeout)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("tap-wistia/", env!("CARGO_PKG_VERSION")));
    client.build().ok()
}

impl HttpClient for Courier {
    // What the attribute `async_trait` makes of an `async fn`.
    fn send_bytes<'a, 'out>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'out>>
    where
        'a: 'out,
        Self: 'out,
    {
        // Exporters have threads of their own, which may wait.
        Box::pin(ready(self.send(request)))
    }
}

/// An address without what may be secret about it.
fn shown(address: &str) -> String {
    let Ok(mut url) = Url::parse(address) else { return "an address that is no URL".to_owned() };
    // What has no place for them has none.
    _ = url.set_username("");
    _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

/// The innermost cause, which says what happened and no URL.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if let Some(error) = cause.downcast_ref::<reqwest::Error>() {
        return if error.is_timeout() { "no answer in time" } else { "the request failed" }.into();
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_credentials_and_query() {
        for (address, expected) in [
            ("http://user:secret@c:4318/v1/traces?key=secret#x", "http://c:4318/v1/traces"),
            ("https://c.example.com/", "https://c.example.com/"),
            ("secret", "an address that is no URL"),
        ] {
            assert_eq!(shown(address), expected);
        }
    }

    #[test]
    fn a_server_that_is_not_there_is_left_alone_for_a_while() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let courier = Courier::new("traces", Duration::from_secs(5));
        let send = || {
            let request = Request::post(format!("http://127.0.0.1:{port}/v1/traces"));
            courier.send(request.body(Bytes::new()).unwrap()).unwrap_err().to_string()
        };
        assert!(send().contains("refused"));
        assert_eq!(send(), "the server did not answer a moment ago");
    }
}
