//! The server: tokens, the rate limit and the way from a request to its answer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{self, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::Response;
use serde_json::{Value, json};

use crate::account::Account;
use crate::api::{self, Answer, Api, Query, Refusal};
use crate::control;
use crate::fault::{self, Fault, Kind};
use crate::world::World;

/// How the server behaves.
#[derive(Debug, Clone)]
pub struct Behaviour {
    /// The token that is accepted.
    pub token: String,
    /// Requests a minute.
    pub requests_per_minute: usize,
    /// Time that every answer takes.
    pub latency: Duration,
    /// Part of the requests that meet a fault that passes, from 0 to 1.
    pub fault_rate: f64,
    /// Hours by which the server's days begin before those of UTC.
    pub zone: i64,
}

/// A simulated account behind HTTP.
#[derive(Debug, Clone)]
pub struct Simulator {
    behaviour: Arc<Behaviour>,
    world: Arc<Mutex<World>>,
}

impl Simulator {
    /// Serves an account.
    pub fn new(account: Account, behaviour: Behaviour) -> Self {
        let world = World::new(account);
        Self { behaviour: Arc::new(behaviour), world: Arc::new(Mutex::new(world)) }
    }

    /// The routes.
    pub fn router(self) -> Router {
        Router::new().fallback(route).with_state(self)
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn route(
    State(simulator): State<Simulator>,
    extract::Query(pairs): extract::Query<Vec<(String, String)>>,
    request: Request,
) -> Response {
    if let Some(path) = request.uri().path().strip_prefix("/__control/").map(str::to_owned) {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, 1 << 26).await.unwrap_or_default();
        return control::control(&mut simulator.world(), &parts.method, &path, &pairs, &body);
    }
    serve(&simulator, request.uri(), request.headers(), Query(pairs)).await
}

async fn serve(simulator: &Simulator, uri: &Uri, headers: &HeaderMap, query: Query) -> Response {
    let behaviour = &simulator.behaviour;
    let (name, segments) = parts(uri.path());
    let path = segments.join("/");
    let text = |header: &str| headers.get(header).and_then(|value| value.to_str().ok());
    let version = text("x-wistia-api-version");
    let (limited, fault) = {
        let mut world = simulator.world();
        let pairs: Vec<String> =
            query.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let pairs = pairs.join("&");
        let limited = world.limited(behaviour.requests_per_minute);
        let fault = match limited {
            Some(_) => None,
            None => world.fault(&path, &pairs, behaviour.fault_rate),
        };
        let seconds = world.started.elapsed().as_secs_f64();
        world.requests.push(json!({"path": path, "query": pairs, "seconds": seconds,
            "limited": limited.is_some(), "api": name, "version": version, "url": uri.to_string()}));
        (limited, fault)
    };
    tokio::time::sleep(behaviour.latency).await;
    if let Some(seconds) = limited {
        return fault::too_many(seconds);
    }
    let token =
        text(header::AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Bearer "));
    if token != Some(behaviour.token.as_str()) || simulator.world().revoked {
        return fault::of_status(401, 0);
    }
    let fault = fault.map(|fault| in_words_of(&name, fault));
    let query = match &fault {
        Some(fault) => asked_instead(fault, query),
        None => query,
    };
    let api = match name.as_str() {
        "v1" => Ok(Api::V1),
        "modern" => Api::modern(version),
        _ => Err(Refusal::NotFound),
    };
    let answer = {
        let mut world = simulator.world();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let zone = behaviour.zone;
        let answer = api.and_then(|api| api::answer(&world.account, zone, api, &segments, &query));
        if path == "stats/events" {
            world.page_of_events_was_read();
        }
        answer
    };
    match (fault, answer) {
        (Some(fault), Err(_)) if !fault.kind.needs_rows() => {
            fault::spoil(&fault, Value::Null).await
        }
        (Some(fault), Ok(value)) => fault::spoil(&fault, value).await,
        (_, answer) => of_answer(answer),
    }
}

/// The API that a path names, and the rest of the path: its segments, decoded, without suffix.
fn parts(path: &str) -> (String, Vec<String>) {
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".json").unwrap_or(path);
    let mut segments = path.split('/').map(decoded);
    (segments.next().unwrap_or_default(), segments.collect())
}

/// A segment of a path, whose bytes may stand there as `%` and two digits.
fn decoded(segment: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = segment.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        let digits = others.get(..2).filter(|_| *first == b'%');
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &others[2..];
            }
            None => {
                bytes.push(*first);
                rest = others;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The modern API alone describes what 503 says.
fn in_words_of(api: &str, mut fault: Fault) -> Fault {
    if api == "modern" && fault.kind == Kind::Status && fault.status == Some(503) {
        let words = || "Analytics service is temporarily unavailable".to_owned();
        fault.body.get_or_insert_with(words);
    }
    fault
}

/// What a server with this fault takes a request for.
fn asked_instead(fault: &Fault, mut query: Query) -> Query {
    match (fault.kind, fault.rows) {
        (Kind::FirstPage, _) => {
            query.0.retain(|(name, _)| name != "page" && name != "cursor[after]");
        }
        (Kind::Cap, Some(rows)) => {
            let asked = query.integer("per_page").ok().flatten().unwrap_or(100);
            let size = usize::try_from(asked).unwrap_or(100).min(rows);
            query.0.retain(|(name, _)| name != "per_page");
            query.0.push(("per_page".into(), size.to_string()));
        }
        _ => {}
    }
    query
}

/// The answer, or the refusal in its words.
fn of_answer(answer: Answer) -> Response {
    match answer {
        Ok(value) => fault::json(StatusCode::OK, &value),
        Err(Refusal::NoStats) => fault::of_status(404, 0),
        Err(Refusal::NotFound) => {
            fault::json(StatusCode::NOT_FOUND, &json!({"error": "Not found"}))
        }
        Err(Refusal::Bad(reasons)) => fault::bad_request(&reasons),
        Err(Refusal::BadDate) => {
            fault::json(StatusCode::UNPROCESSABLE_ENTITY, &json!({"error": "Invalid date"}))
        }
        Err(Refusal::Broken) => fault::of_status(500, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_an_api_and_segments_with_or_without_suffix() {
        let (api, segments) = parts("/v1/stats/medias/a%2Fb%3Fc/by_date.json");
        assert_eq!(api, "v1");
        assert_eq!(segments, ["stats", "medias", "a/b?c", "by_date"]);
        assert_eq!(parts("/modern/deleted_media/").1, ["deleted_media"]);
        assert_eq!(parts("/v1/tags/100%").1, ["tags", "100%"]);
    }

    #[test]
    fn a_server_that_caps_pages_asks_itself_for_fewer_rows() {
        let cap = Fault { kind: Kind::Cap, rows: Some(50), ..Fault::default() };
        let size = |asked: &str| {
            let query = Query(vec![("per_page".into(), asked.into()), ("page".into(), "2".into())]);
            asked_instead(&cap, query).get("per_page").map(str::to_owned)
        };
        assert_eq!(size("100").as_deref(), Some("50"));
        assert_eq!(size("20").as_deref(), Some("20"));
    }
}
