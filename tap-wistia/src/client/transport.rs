//! What carries requests: HTTP, or a script in tests. The one place that knows `reqwest`.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use program::Secret;
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::bounds;
use super::request::{Api, Request};
use crate::config::Config;
use crate::error::{Error, Result};

/// Bytes of a body that any number of requests may hold at the same time. What is larger is held by
/// one request alone.
const LARGE: usize = 1024 * 1024;

/// Bytes of a body without success that are read.
pub(super) const REASON: usize = 64 * 1024;

/// User agent where the settings name none.
const USER_AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

/// Time for a connection to be made, within the time for the request.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// An answer of the server, whatever its status.
#[derive(Debug, Default)]
pub(crate) struct Response {
    /// The status of HTTP.
    pub(crate) status: u16,
    /// The header Retry-After, as it was sent.
    pub(crate) retry_after: Option<String>,
    /// Where a redirection points, without query.
    pub(crate) location: Option<String>,
    /// The header Content-Type, as it was sent.
    pub(crate) content_type: Option<String>,
    /// The whole body, or as much of it as is of use.
    pub(crate) body: Bytes,
    /// That no other body is as large, for as long as this one is held.
    pub(super) permit: Option<OwnedSemaphorePermit>,
}

impl Response {
    /// An answer that has no header of interest.
    #[cfg(test)]
    pub(crate) fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self { status, body: body.into(), ..Self::default() }
    }

    /// Whether it is one of success.
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether the body is all that was sent.
    pub(super) fn is_whole(&self) -> bool {
        self.is_success() || self.body.len() < REASON
    }
}

/// Carries requests to a server. It sends each once.
pub(crate) trait Transport: fmt::Debug + Send + Sync {
    /// Sends a request and waits for the whole answer.
    fn send<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Response>>;

    /// What the server is called; nothing where it has no name.
    #[expect(clippy::unnecessary_literal_bound, reason = "others name one of their own")]
    fn host(&self) -> &str {
        ""
    }
}

/// HTTP, with the token of an account.
#[derive(Debug)]
pub(super) struct Http {
    client: reqwest::Client,
    v1: String,
    modern: String,
    host: String,
    token: Secret,
    large: Arc<Semaphore>,
}

impl Http {
    /// As the settings describe it. Nothing is sent yet.
    pub(super) fn new(config: &Config) -> Result<Self> {
        // An error says that one was chosen before, by an earlier client.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = reqwest::Client::builder()
            .user_agent(config.user_agent.as_deref().unwrap_or(USER_AGENT))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(Duration::from_secs(config.request_timeout_seconds))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(Error::unexpected("an HTTP client"))?;
        let v1 = config.api_url.trim_end_matches('/');
        let host = Url::parse(v1).map(|url| host(&url)).unwrap_or_default();
        Ok(Self {
            client,
            v1: v1.to_owned(),
            modern: format!("{}/modern", v1.trim_end_matches("/v1")),
            host,
            token: config.api_token.clone(),
            large: Arc::new(Semaphore::new(1)),
        })
    }

    fn url(&self, request: &Request) -> Result<Url> {
        let base = match request.api {
            Api::V1 => &self.v1,
            Api::Modern { .. } => &self.modern,
        };
        let mut url = Url::parse(&format!("{base}{}", request.path))
            .map_err(Error::unexpected("a URL from `api_url` and a path"))?;
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        Ok(url)
    }

    async fn get(&self, request: &Request) -> Result<Response> {
        let mut sent = self.client.get(self.url(request)?).bearer_auth(self.token.expose());
        if let Api::Modern { version } = request.api {
            sent = sent.header("X-Wistia-API-Version", version);
        }
        let mut answer = sent.send().await.map_err(|source| failure(request, source))?;
        let headers = answer.headers();
        let text = |name| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
        let location = text(LOCATION).map(|location| target(answer.url(), &location));
        let mut response = Response {
            status: answer.status().as_u16(),
            retry_after: text(RETRY_AFTER).map(Into::into),
            content_type: text(CONTENT_TYPE).map(Into::into),
            location,
            ..Response::default()
        };
        self.body(request, &mut answer, &mut response).await?;
        Ok(response)
    }

    /// Reads the body, or as much of it as is of use.
    async fn body(
        &self,
        request: &Request,
        answer: &mut reqwest::Response,
        response: &mut Response,
    ) -> Result<()> {
        let too_large = || {
            Err(Error::TooLarge {
                path: request.to_string(),
                limit: bounds::BYTES_IN_WORDS,
                host: String::new(),
            })
        };
        if response.is_success()
            && answer.content_length().is_some_and(|all| all > bounds::BYTES as u64)
        {
            return too_large();
        }
        let mut body = Vec::new();
        loop {
            let chunk = match answer.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                // The status is known; what is missing is a part of the words.
                Err(_) if !response.is_success() => break,
                Err(source) => return Err(unread(request, source)),
            };
            if !response.is_success() {
                body.extend_from_slice(&chunk[..chunk.len().min(REASON - body.len())]);
                if body.len() == REASON {
                    break;
                }
                continue;
            }
            let length = body.len() + chunk.len();
            if length > bounds::BYTES {
                return too_large();
            }
            if length > LARGE && response.permit.is_none() {
                let permit = Arc::clone(&self.large).acquire_owned().await;
                response.permit =
                    Some(permit.map_err(Error::unexpected("a semaphore that is never closed"))?);
            }
            body.extend_from_slice(&chunk);
        }
        response.body = body.into();
        Ok(())
    }
}

/// The host of a URL, and its port where it is not that of the scheme.
fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Where a redirection from `url` points, without what may be secret about it.
fn target(url: &Url, location: &str) -> String {
    let Ok(mut target) = url.join(location) else {
        return location.split(['?', '#']).next().unwrap_or_default().to_owned();
    };
    target.set_query(None);
    target.set_fragment(None);
    // Refused where there is no host, and then there are no credentials.
    _ = target.set_username("");
    _ = target.set_password(None);
    target.into()
}

/// An answer that did not arrive.
fn failure(request: &Request, source: reqwest::Error) -> Error {
    Error::Transport {
        path: request.to_string(),
        is_transient: !is_permanent(&source),
        source: source.without_url().into(),
        host: String::new(),
    }
}

/// A body that did not arrive, or that cannot be unpacked.
fn unread(request: &Request, source: reqwest::Error) -> Error {
    let Some(damage) = damage(&source) else { return failure(request, source) };
    let (path, reason) = (request.to_string(), format!("its compression: {damage}"));
    Error::Malformed { path, expected: "a body that can be unpacked", reason, cut: true }
}

/// What is wrong with the compression of a body, if that is what is wrong. What the network does has
/// the same types; only its words tell it apart.
fn damage(error: &reqwest::Error) -> Option<String> {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};

    let mut found = None;
    let mut cause = error.source();
    while let Some(inner) = cause {
        let text = inner.to_string();
        if text.contains("from connection") {
            return None;
        }
        if let Some(inner) = inner.downcast_ref::<io::Error>()
            && matches!(inner.kind(), InvalidData | InvalidInput | UnexpectedEof)
        {
            found = Some(text);
        }
        cause = inner.source();
    }
    found
}

impl Transport for Http {
    fn send<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Response>> {
        Box::pin(self.get(request))
    }

    fn host(&self) -> &str {
        &self.host
    }
}

/// A certificate that is not trusted today is not trusted in a minute either. `reqwest` hides the
/// type of this cause, so that only its words are left to ask.
fn is_permanent(error: &reqwest::Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(inner) = cause {
        if inner.to_string().contains("certificate") {
            return true;
        }
        cause = inner.source();
    }
    error.is_builder() || error.is_redirect()
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    fn http(api_url: &str) -> Http {
        let config = format!(r#"{{"api_token":"t","api_url":"{api_url}"}}"#);
        Http::new(&serde_json::from_str(&config).unwrap()).unwrap()
    }

    #[test]
    fn the_modern_api_is_a_sibling_of_v1_and_paths_are_sent_as_they_are() {
        let http = http("https://api.example.com/v1/");
        let url = |request: &Request| http.url(request).unwrap().to_string();
        assert_eq!(
            url(&Request::new("/medias").with("cursor[enabled]", 1)),
            "https://api.example.com/v1/medias?cursor%5Benabled%5D=1"
        );
        assert_eq!(url(&Request::modern("/tags")), "https://api.example.com/modern/tags");
        assert_eq!(
            url(&Request::new("/stats/medias").segment("../a?b#c%2e")),
            "https://api.example.com/v1/stats/medias/..%2Fa%3Fb%23c%252e"
        );
    }

    #[test]
    fn a_host_is_named_with_its_port_and_without_credentials() {
        for (url, expected) in [
            ("https://api.wistia.com/v1", "api.wistia.com"),
            ("https://user:pass@api.example.com:8443/v1", "api.example.com:8443"),
            ("http://127.0.0.1:80/v1", "127.0.0.1"),
        ] {
            assert_eq!(http(url).host(), expected);
        }
    }

    #[test]
    fn a_redirection_points_to_a_url_without_secrets() {
        let from = Url::parse("https://api.example.com/v1/medias?page=1").unwrap();
        for (location, expected) in [
            ("https://u:p@sso.example.com/login?token=t#x", "https://sso.example.com/login"),
            ("/login?next=%2Fv1", "https://api.example.com/login"),
            ("http://[bad?x", "http://[bad"),
            ("", "https://api.example.com/v1/medias"),
        ] {
            assert_eq!(target(&from, location), expected);
        }
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_asked_again_and_named_without_its_query() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let http = http(&format!("http://127.0.0.1:{port}/v1"));
        let error = http.send(&Request::new("/medias")).await.unwrap_err();
        assert!(matches!(error, Error::Transport { is_transient: true, .. }), "{error:?}");
        let text = program::report::render(&error, None);
        assert!(text.starts_with("error: GET /medias failed\n  caused by: "), "{text}");
        assert!(!text.contains("/v1/medias"), "{text}");
    }

    /// A server that answers each connection with `head`, and then with `chunk` while anybody listens.
    fn endless(head: &'static str, chunk: &'static [u8]) -> Http {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                std::thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let mut sent = stream.read(&mut [0; 4096]).map(|_| ());
                    sent = sent.and_then(|()| stream.write_all(head.as_bytes()));
                    while sent.is_ok() {
                        sent = stream.write_all(chunk);
                    }
                });
            }
        });
        http(&format!("http://127.0.0.1:{port}/v1"))
    }

    #[tokio::test]
    async fn a_body_without_end_is_an_error_and_a_large_one_is_told_by_its_length() {
        for head in [
            "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n",
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 99999999\r\n\r\n",
        ] {
            let http = endless(head, &[b' '; 16 * 1024]);
            let error = http.send(&Request::new("/medias")).await.unwrap_err();
            assert_eq!(error.to_string(), "GET /medias answered more than 64 MiB");
            assert_eq!(http.large.available_permits(), 1, "the next large body may come");
        }
    }

    #[tokio::test]
    async fn of_a_refusal_without_end_the_beginning_is_read() {
        let http = endless("HTTP/1.1 500 No\r\nconnection: close\r\n\r\n", b"broken ");
        let response = http.send(&Request::new("/medias")).await.unwrap();
        assert_eq!((response.status, response.body.len()), (500, REASON));
    }

    static BLANKS: &[u8] = &[b' '; 2_000_000];

    #[tokio::test]
    async fn one_large_body_is_held_at_a_time() {
        let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2000000\r\n\r\n";
        let http = endless(head, BLANKS);
        let request = Request::new("/medias");
        let first = http.send(&request).await.unwrap();
        let mut second = http.send(&request);
        let waiting = tokio::time::timeout(Duration::from_millis(200), &mut second).await;
        assert!(waiting.is_err(), "{waiting:?}");
        drop(first);
        assert_eq!(second.await.unwrap().body.len(), 2_000_000);
    }

    #[tokio::test]
    async fn a_compression_that_is_damaged_is_no_trouble_of_the_network() {
        let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-encoding: gzip\r\ncontent-length: 16\r\n\r\n";
        let http = endless(head, b"this is no gzip!");
        let error = http.send(&Request::new("/medias")).await.unwrap_err();
        assert!(matches!(error, Error::Malformed { cut: true, .. }), "{error:?}");
    }
}
