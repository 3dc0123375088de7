//! Faults: those that come by chance, and those that a test asks for.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use futures::stream;
use serde::Deserialize;
use serde_json::Value;

/// A fault that a test asks for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Requests whose path has this in it.
    #[serde(default)]
    pub path: String,
    /// What goes wrong.
    pub kind: Kind,
    /// For so many requests; without it, for all.
    pub times: Option<u32>,
    /// After so many requests that would have met it.
    #[serde(default)]
    pub after: u32,
    /// The status of `status`.
    pub status: Option<u16>,
    /// The seconds of `stall`, or of Retry-After.
    pub seconds: Option<u64>,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An answer of some status, with the body that belongs to it.
    Status,
    /// A page of HTML from a proxy on the way.
    Html,
    /// The connection ends in the middle of the body.
    Cut,
    /// The body ends too early, and says nothing of it.
    Truncate,
    /// Nothing comes for a while.
    Stall,
    /// The token lacks a permission.
    Scope,
    /// Text that is no JSON.
    NotJson,
    /// An object where a list belongs.
    Object,
    /// The first page, whatever was asked for.
    FirstPage,
}

impl Kind {
    /// One of those that go away when they are asked again.
    pub fn passing(number: u64) -> (Self, Option<u16>) {
        match number % 7 {
            0 => (Self::Status, Some(500)),
            1 => (Self::Status, Some(503)),
            2 => (Self::Status, Some(429)),
            3 => (Self::Html, None),
            4 => (Self::Cut, None),
            5 => (Self::Truncate, None),
            _ => (Self::NotJson, None),
        }
    }
}

/// An answer in JSON.
pub fn json(status: StatusCode, value: &Value) -> Response {
    answer(status, "application/json; charset=utf-8", value.to_string())
}

/// An answer.
pub fn answer(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Too many requests.
pub fn too_many(seconds: u64) -> Response {
    let mut response = answer(StatusCode::TOO_MANY_REQUESTS, "text/plain", "Too Many Requests\n");
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// The answer of a status, with the body that Wistia gives it.
pub fn of_status(status: u16, seconds: u64) -> Response {
    let error = |text: &str| serde_json::json!({"error": text});
    match status {
        429 => too_many(seconds),
        401 => json(
            StatusCode::UNAUTHORIZED,
            &serde_json::json!({"code": "unauthorized_credentials", "error": "Invalid credentials."}),
        ),
        403 => json(StatusCode::FORBIDDEN, &error("Not available on your current plan")),
        404 => answer(StatusCode::NOT_FOUND, "application/json", ""),
        503 => answer(StatusCode::SERVICE_UNAVAILABLE, "text/plain", "Service Unavailable\n"),
        status => json(
            StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            &error("Internal server error"),
        ),
    }
}

/// What becomes of an answer that meets a fault.
pub async fn spoil(kind: Kind, status: Option<u16>, seconds: Option<u64>, good: Value) -> Response {
    let body = good.to_string();
    match kind {
        Kind::Status => of_status(status.unwrap_or(500), seconds.unwrap_or(1)),
        Kind::Html => answer(
            StatusCode::BAD_GATEWAY,
            "text/html",
            "<html>\n<head><title>502 Bad Gateway</title></head>\n<body>nginx</body>\n</html>\n",
        ),
        Kind::Cut => {
            let half = Bytes::from(body[..body.floor_char_boundary(body.len() / 2)].to_owned());
            let parts = [Ok(half), Err(std::io::Error::other("cut"))];
            answer(StatusCode::OK, "application/json", Body::from_stream(stream::iter(parts)))
        }
        Kind::Truncate => {
            let half = body[..body.floor_char_boundary(body.len() / 2)].to_owned();
            answer(StatusCode::OK, "application/json", half)
        }
        Kind::Stall => {
            tokio::time::sleep(Duration::from_secs(seconds.unwrap_or(60))).await;
            json(StatusCode::OK, &good)
        }
        Kind::Scope => json(
            StatusCode::UNAUTHORIZED,
            &serde_json::json!({"code": "unauthorized_scope", "error": "The token lacks a permission."}),
        ),
        Kind::NotJson => answer(StatusCode::OK, "application/json", "OK, but not JSON"),
        Kind::Object => json(StatusCode::OK, &serde_json::json!({"rows": good})),
        Kind::FirstPage => json(StatusCode::OK, &good),
    }
}
