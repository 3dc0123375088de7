//! The span of a request, by the conventions for clients:
//! <https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-client-span>.

use program::telemetry;
use tracing::Instrument as _;
use tracing::field::Empty;

use super::request::Request;
use super::transport::Response;
use crate::error::{Error, Result};
use crate::shown::Shown;

/// Waits for the answer to a request. Of the request its path is told, and neither query nor token.
pub(super) async fn request(
    request: &Request,
    host: &str,
    shown: &Shown,
    sent: impl Future<Output = Result<Response>>,
) -> Result<Response> {
    let span = tracing::info_span!(
        target: telemetry::SPANS,
        "GET",
        otel.kind = "client",
        otel.status_code = Empty,
        http.request.method = "GET",
        http.response.status_code = Empty,
        http.response.body.size = Empty,
        server.address = host,
        url.path = shown.line(&request.path),
        "error.type" = Empty,
    );
    let outcome = sent.instrument(span.clone()).await;
    let fault = match &outcome {
        Ok(response) => {
            span.record("http.response.status_code", i64::from(response.status));
            span.record("http.response.body.size", telemetry::integer(response.body.len()));
            (response.status >= 400).then(|| response.status.to_string())
        }
        Err(Error::Transport { .. }) => Some("transport".to_owned()),
        Err(_) => Some("_OTHER".to_owned()),
    };
    if let Some(fault) = fault {
        span.record("otel.status_code", "error");
        span.record("error.type", fault);
    }
    outcome
}
