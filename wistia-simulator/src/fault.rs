//! Faults: those that come by chance, and those that a test asks for.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::stream;
use serde::Deserialize;
use serde_json::{Value, json};

/// A fault that a test asks for, by `POST __control/faults`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fault {
    /// Requests whose path has this in it. Paths are without the API's name and without suffix,
    /// such as `stats/medias/abc/by_date`.
    pub path: String,
    /// Requests whose query has this in it, such as `&page=2`.
    pub query: String,
    /// What goes wrong.
    pub kind: Kind,
    /// For so many requests; without it, for all.
    pub times: Option<u32>,
    /// After so many requests that would have met it.
    pub after: u32,
    /// The status of `status` and of `body`.
    pub status: Option<u16>,
    /// The seconds of `stall`, or of Retry-After.
    pub seconds: Option<u64>,
    /// Retry-After, with any text.
    pub retry_after: Option<String>,
    /// More headers, with any text.
    pub headers: BTreeMap<String, String>,
    /// The rows of `cap` and `short`.
    pub rows: Option<usize>,
    /// What `body` answers, or the error that `status` tells.
    pub body: Option<String>,
    /// What `body` answers where it is no text: bytes, two digits each.
    pub hex: Option<String>,
    /// So many times what `body` answers.
    pub repeat: Option<usize>,
    /// Whether the answer is compressed, whatever it is.
    pub gzip: bool,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An answer of some status, with the body that belongs to it.
    #[default]
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
    /// 401 that says no more than v1 describes: no code.
    Unauthorized,
    /// 400 with a list of `errors`.
    Errors,
    /// Text that is no JSON.
    NotJson,
    /// An object where a list belongs.
    Object,
    /// The first page, whatever was asked for.
    FirstPage,
    /// The right answer, compressed.
    Gzip,
    /// Pages of at most so many `rows`, whatever was asked for.
    Cap,
    /// A page that lacks all but its first `rows`: the others may not be seen.
    Short,
    /// Whatever `body` or `hex` says, as JSON.
    Body,
}

impl Kind {
    /// Whether it does something to the right answer, so that a refusal stays what it is.
    pub fn needs_rows(self) -> bool {
        matches!(self, Self::FirstPage | Self::Cap | Self::Short | Self::Gzip | Self::Stall)
    }

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
    let error = |text: &str| json!({"error": text});
    match status {
        429 => too_many(seconds),
        401 => json(
            StatusCode::UNAUTHORIZED,
            &json!({"code": "unauthorized_credentials", "error": "Invalid credentials."}),
        ),
        403 => json(StatusCode::FORBIDDEN, &error("Not available on your current plan")),
        404 => answer(StatusCode::NOT_FOUND, "application/json", ""),
        503 => answer(StatusCode::SERVICE_UNAVAILABLE, "text/plain", "Service Unavailable\n"),
        400 => json(StatusCode::BAD_REQUEST, &error("Bad request")),
        status => json(code(status), &error("Internal server error")),
    }
}

/// What becomes of an answer that meets a fault.
pub async fn spoil(fault: &Fault, good: Value) -> Response {
    let mut response = answer_of(fault, good).await;
    for (name, value) in &fault.headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
            response.headers_mut().insert(name, value);
        }
    }
    if let Some(Ok(text)) =
        fault.retry_after.as_ref().map(|text| HeaderValue::from_bytes(text.as_bytes()))
    {
        response.headers_mut().insert(header::RETRY_AFTER, text);
    }
    if fault.gzip || fault.kind == Kind::Gzip { compress(response).await } else { response }
}

async fn answer_of(fault: &Fault, good: Value) -> Response {
    let error = |status, value| json(status, &value);
    match fault.kind {
        Kind::Status => {
            let status = fault.status.unwrap_or(500);
            match &fault.body {
                Some(text) => json(code(status), &json!({"error": text})),
                None => of_status(status, fault.seconds.unwrap_or(1)),
            }
        }
        Kind::Html => answer(
            StatusCode::BAD_GATEWAY,
            "text/html",
            "<html>\n<head><title>502 Bad Gateway</title></head>\n<body>nginx</body>\n</html>\n",
        ),
        Kind::Cut => {
            let parts = [Ok(half(&good)), Err(std::io::Error::other("cut"))];
            answer(StatusCode::OK, "application/json", Body::from_stream(stream::iter(parts)))
        }
        Kind::Truncate => answer(StatusCode::OK, "application/json", half(&good)),
        Kind::Stall => {
            tokio::time::sleep(Duration::from_secs(fault.seconds.unwrap_or(60))).await;
            json(StatusCode::OK, &good)
        }
        Kind::Scope => error(
            StatusCode::UNAUTHORIZED,
            json!({"code": "unauthorized_scope", "error": "The token lacks a permission."}),
        ),
        Kind::Unauthorized => error(
            StatusCode::UNAUTHORIZED,
            json!({"error": "Unauthorized, invalid or missing token"}),
        ),
        Kind::Errors => bad_request(&["This is wrong".into(), "And so is that".into()]),
        Kind::NotJson => answer(StatusCode::OK, "application/json", "OK, but not JSON"),
        Kind::Object => json(StatusCode::OK, &json!({"rows": good})),
        Kind::FirstPage | Kind::Cap | Kind::Gzip => json(StatusCode::OK, &good),
        Kind::Short => {
            let mut rows = good;
            if let Value::Array(rows) = &mut rows {
                rows.truncate(fault.rows.unwrap_or(0));
            }
            json(StatusCode::OK, &rows)
        }
        Kind::Body => {
            let body = match &fault.hex {
                Some(digits) => bytes_of(digits),
                None => fault.body.clone().unwrap_or_default().into_bytes(),
            };
            let body = body.repeat(fault.repeat.unwrap_or(1));
            answer(code(fault.status.unwrap_or(200)), "application/json", body)
        }
    }
}

/// The first half of what would have been answered.
fn half(good: &Value) -> Bytes {
    let body = good.to_string();
    Bytes::from(body[..body.floor_char_boundary(body.len() / 2)].to_owned())
}

fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// 400, with all that is wrong: as a sentence, and one by one.
pub fn bad_request(reasons: &[String]) -> Response {
    let error = format!("Bad request: {}", reasons.join("; "));
    json(StatusCode::BAD_REQUEST, &json!({"error": error, "errors": reasons}))
}

/// The bytes of hexadecimal digits; what is no digit counts as 0.
fn bytes_of(digits: &str) -> Vec<u8> {
    let digit =
        |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let digits: Vec<u8> = digits.as_bytes().iter().map(|byte| digit(byte).unwrap_or(0)).collect();
    digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect()
}

/// The same answer, compressed.
async fn compress(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let plain = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // What is written into memory cannot fail.
    let packed = encoder.write_all(&plain).and_then(|()| encoder.finish()).unwrap_or_default();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    Response::from_parts(parts, Body::from(packed))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    async fn of(fault: Value, good: Value) -> (u16, Response) {
        let fault: Fault = serde_json::from_value(fault).unwrap();
        let response = spoil(&fault, good).await;
        (response.status().as_u16(), response)
    }

    async fn bytes(response: Response) -> Vec<u8> {
        to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()
    }

    #[tokio::test]
    async fn an_answer_is_compressed_and_says_so() {
        let good = json!([{"id": 1}]);
        let (status, response) = of(json!({"kind": "gzip"}), good.clone()).await;
        assert_eq!(
            (status, response.headers()["content-encoding"].to_str().unwrap()),
            (200, "gzip")
        );
        let mut text = String::new();
        GzDecoder::new(&*bytes(response).await).read_to_string(&mut text).unwrap();
        assert_eq!(text, good.to_string());
    }

    #[tokio::test]
    async fn any_bytes_any_status_and_any_header_can_be_served() {
        let fault = json!({"kind": "body", "hex": "7bff7D", "repeat": 2, "status": 418,
            "retry_after": "9223372036854775807", "headers": {"location": "https://example.com"}});
        let (status, response) = of(fault, Value::Null).await;
        assert_eq!(
            (status, response.headers()["retry-after"].to_str().unwrap()),
            (418, "9223372036854775807")
        );
        assert_eq!(response.headers()["location"], "https://example.com");
        assert_eq!(bytes(response).await, b"{\xff}{\xff}");
    }

    #[tokio::test]
    async fn a_401_has_a_code_or_not() {
        for (kind, code) in [("unauthorized", None), ("scope", Some("unauthorized_scope"))] {
            let (status, response) = of(json!({"kind": kind}), Value::Null).await;
            let body: Value = serde_json::from_slice(&bytes(response).await).unwrap();
            assert_eq!((status, body.get("code").and_then(Value::as_str)), (401, code));
        }
    }

    #[tokio::test]
    async fn a_short_page_has_its_first_rows() {
        let (_, response) = of(json!({"kind": "short", "rows": 2}), json!([1, 2, 3])).await;
        assert_eq!(bytes(response).await, b"[1,2]");
    }
}
