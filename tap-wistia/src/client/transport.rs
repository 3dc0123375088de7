//! What carries requests: HTTP, or a script in tests. The one place that knows `reqwest`.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use program::Secret;
use reqwest::Url;
use reqwest::header::RETRY_AFTER;

use super::request::{Api, MODERN_VERSION, Request};
use crate::config::Config;
use crate::error::{Error, Result};

/// User agent where the settings name none.
const USER_AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

/// Time for a connection to be made, within the time for the request.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// An answer of the server, whatever its status.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    /// The status of HTTP.
    pub(crate) status: u16,
    /// The header Retry-After, as it was sent.
    pub(crate) retry_after: Option<String>,
    /// The whole body.
    pub(crate) body: Bytes,
}

/// Carries requests to a server. It sends each once.
pub(crate) trait Transport: fmt::Debug + Send + Sync {
    /// Sends a request and waits for the whole answer.
    fn send<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Response>>;
}

/// HTTP, with the token of an account.
#[derive(Debug)]
pub(super) struct Http {
    client: reqwest::Client,
    v1: String,
    modern: String,
    token: Secret,
}

impl Http {
    /// As the settings describe it. Nothing is sent yet.
    pub(super) fn new(config: &Config) -> Result<Self> {
        let client = reqwest::Client::builder()
            .user_agent(config.user_agent.as_deref().unwrap_or(USER_AGENT))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(Duration::from_secs(config.request_timeout_seconds))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(Error::unexpected("an HTTP client"))?;
        let v1 = config.api_url.trim_end_matches('/');
        Ok(Self {
            client,
            v1: v1.to_owned(),
            modern: format!("{}/modern", v1.trim_end_matches("/v1")),
            token: config.api_token.clone(),
        })
    }

    fn url(&self, request: &Request) -> Result<Url> {
        let address = match request.api {
            Api::V1 => format!("{}{}.json", self.v1, request.path),
            Api::Modern => format!("{}{}", self.modern, request.path),
        };
        let query = request.query.iter().map(|(name, value)| (*name, value.as_str()));
        Url::parse_with_params(&address, query)
            .map_err(Error::unexpected("a URL from `api_url` and a path"))
    }

    async fn get(&self, request: &Request) -> Result<Response> {
        let failed = |source: reqwest::Error| Error::Transport {
            path: request.to_string(),
            is_transient: !is_permanent(&source),
            source: source.without_url().into(),
        };
        let mut sent = self.client.get(self.url(request)?).bearer_auth(self.token.expose());
        if request.api == Api::Modern {
            sent = sent.header("X-Wistia-API-Version", MODERN_VERSION);
        }
        let response = sent.send().await.map_err(failed)?;
        let retry_after = response.headers().get(RETRY_AFTER);
        Ok(Response {
            status: response.status().as_u16(),
            retry_after: retry_after.and_then(|value| value.to_str().ok()).map(str::to_owned),
            body: response.bytes().await.map_err(failed)?,
        })
    }
}

impl Transport for Http {
    fn send<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Response>> {
        Box::pin(self.get(request))
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
    use super::*;

    fn http(api_url: &str) -> Http {
        let config = format!(r#"{{"api_token":"t","api_url":"{api_url}"}}"#);
        Http::new(&serde_json::from_str(&config).unwrap()).unwrap()
    }

    #[test]
    fn the_modern_api_is_a_sibling_of_v1_and_has_no_suffix() {
        let http = http("https://api.example.com/v1/");
        let url = |request: &Request| http.url(request).unwrap().to_string();
        assert_eq!(
            url(&Request::new("/medias").with("cursor[enabled]", 1)),
            "https://api.example.com/v1/medias.json?cursor%5Benabled%5D=1"
        );
        assert_eq!(url(&Request::modern("/tags")), "https://api.example.com/modern/tags?");
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_asked_again_and_named_without_its_query() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let http = http(&format!("http://127.0.0.1:{port}/v1"));
        let error = http.send(&Request::new("/medias")).await.unwrap_err();
        assert!(matches!(error, Error::Transport { is_transient: true, .. }), "{error:?}");
        let text = program::report::render(&error, None);
        assert!(text.starts_with("error: GET /medias failed\n  caused by: "), "{text}");
        assert!(!text.contains("/v1/medias"), "{text}");
    }
}
