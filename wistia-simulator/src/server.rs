//! The server: tokens, the rate limit, faults, and the path by which tests steer it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{self, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;
use chrono::NaiveDate;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::account::{Account, Growth, hash};
use crate::api::{self, Query, Refusal};
use crate::fault::{self, Fault, Kind};
use crate::truth;

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

#[derive(Debug)]
struct World {
    started: Instant,
    account: Account,
    faults: Vec<Fault>,
    recent: VecDeque<Instant>,
    requests: Vec<Value>,
    revoked: bool,
    events_per_page: usize,
    random: fastrand::Rng,
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
        let world = World {
            random: fastrand::Rng::with_seed(hash((account.recipe.seed, "faults"))),
            started: Instant::now(),
            account,
            faults: Vec::new(),
            recent: VecDeque::new(),
            requests: Vec::new(),
            revoked: false,
            events_per_page: 0,
        };
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
    let path = request.uri().path().to_owned();
    let query = Query(pairs);
    if let Some(path) = path.strip_prefix("/__control/") {
        let (parts, body) = request.into_parts();
        return control(&simulator, &parts.method, path, &query, body).await;
    }
    let path = path.strip_prefix("/v1/").or_else(|| path.strip_prefix("/modern/"));
    match path {
        Some(path) => serve(&simulator, request.headers(), path, query).await,
        None => fault::json(StatusCode::NOT_FOUND, &json!({"error": "Not found"})),
    }
}

async fn serve(
    simulator: &Simulator,
    headers: &HeaderMap,
    path: &str,
    mut query: Query,
) -> Response {
    let behaviour = &simulator.behaviour;
    let path = path.trim_end_matches('/');
    let path = path.strip_suffix(".json").unwrap_or(path);
    let (limited, fault) = {
        let mut world = simulator.world();
        let limited = world.limited(behaviour.requests_per_minute);
        let fault = if limited.is_some() { None } else { world.fault(path, behaviour.fault_rate) };
        let pairs: Vec<String> =
            query.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let seconds = world.started.elapsed().as_secs_f64();
        world.requests.push(json!({"path": path, "query": pairs.join("&"), "seconds": seconds,
            "limited": limited.is_some()}));
        (limited, fault)
    };
    tokio::time::sleep(behaviour.latency).await;
    if let Some(seconds) = limited {
        return fault::too_many(seconds);
    }
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    if token != Some(behaviour.token.as_str()) || simulator.world().revoked {
        return fault::of_status(401, 0);
    }
    if fault.as_ref().is_some_and(|fault| fault.kind == Kind::FirstPage) {
        query.0.retain(|(name, _)| name != "page" && name != "cursor[after]");
    }
    let answer = {
        let mut world = simulator.world();
        let answer = api::answer(&world.account, behaviour.zone, path, &query);
        if path == "stats/events" && world.events_per_page > 0 {
            let new_events = world.events_per_page;
            world.account.grow(&Growth { new_events, ..Growth::default() });
        }
        answer
    };
    match (answer, fault) {
        (answer, Some(fault)) => {
            let good = answer.unwrap_or(Value::Null);
            fault::spoil(fault.kind, fault.status, fault.seconds, good).await
        }
        (Ok(value), None) => fault::json(StatusCode::OK, &value),
        (Err(Refusal::NoStats), None) => fault::of_status(404, 0),
        (Err(Refusal::NotFound), None) => {
            fault::json(StatusCode::NOT_FOUND, &json!({"error": "Not found"}))
        }
        (Err(Refusal::BadDate), None) => {
            fault::json(StatusCode::UNPROCESSABLE_ENTITY, &json!({"error": "Invalid date"}))
        }
        (Err(Refusal::Broken), None) => fault::of_status(500, 0),
    }
}

impl World {
    /// The seconds to wait, where the minute's requests are used up.
    fn limited(&mut self, requests_per_minute: usize) -> Option<u64> {
        const MINUTE: Duration = Duration::from_mins(1);
        let now = Instant::now();
        while self.recent.front().is_some_and(|first| now - *first >= MINUTE) {
            self.recent.pop_front();
        }
        if self.recent.len() < requests_per_minute {
            self.recent.push_back(now);
            return None;
        }
        let wait = self.recent.front().map_or(MINUTE, |first| MINUTE.saturating_sub(now - *first));
        Some(wait.as_secs() + 1)
    }

    /// The fault that a request meets.
    fn fault(&mut self, path: &str, rate: f64) -> Option<Fault> {
        for fault in &mut self.faults {
            if !path.contains(&fault.path) {
                continue;
            }
            if fault.after > 0 {
                fault.after -= 1;
                continue;
            }
            match &mut fault.times {
                Some(0) => continue,
                Some(times) => *times -= 1,
                None => {}
            }
            return Some(fault.clone());
        }
        if self.random.f64() >= rate {
            return None;
        }
        let (kind, status) = Kind::passing(self.random.u64(..));
        Some(Fault { path: String::new(), kind, times: None, after: 0, status, seconds: Some(1) })
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Live {
    events_per_page: usize,
}

/// Steers the simulator, and tells what is true.
async fn control(
    simulator: &Simulator,
    method: &Method,
    path: &str,
    query: &Query,
    body: Body,
) -> Response {
    let body = to_bytes(body, 1 << 20).await.unwrap_or_default();
    let mut world = simulator.world();
    let bad = |error: serde_json::Error| {
        fault::json(StatusCode::BAD_REQUEST, &json!({"error": error.to_string()}))
    };
    let done = || fault::json(StatusCode::OK, &json!({}));
    match (method, path) {
        (&Method::GET, "requests") => {
            fault::json(StatusCode::OK, &Value::Array(world.requests.clone()))
        }
        (&Method::DELETE, "requests") => {
            world.requests.clear();
            done()
        }
        (&Method::POST, "grow") => match serde_json::from_slice(&body) {
            Ok(growth) => {
                world.account.grow(&growth);
                done()
            }
            Err(error) => bad(error),
        },
        (&Method::POST, "live") => match serde_json::from_slice::<Live>(&body) {
            Ok(live) => {
                world.events_per_page = live.events_per_page;
                done()
            }
            Err(error) => bad(error),
        },
        (&Method::POST, "faults") => match serde_json::from_slice(&body) {
            Ok(fault) => {
                world.faults.push(fault);
                done()
            }
            Err(error) => bad(error),
        },
        (&Method::DELETE, "faults") => {
            world.faults.clear();
            done()
        }
        (&Method::POST, "revoke") => {
            world.revoked = true;
            done()
        }
        (&Method::GET, path) => {
            let day = |name: &str| query.get(name).and_then(|text| text.parse::<NaiveDate>().ok());
            let today = world.account.recipe.today;
            let days = truth::Days {
                start: day("start_date").unwrap_or(NaiveDate::MIN),
                end: day("end_date").unwrap_or(today),
                sync: day("sync_date").unwrap_or(today),
            };
            let rows = path
                .strip_prefix("truth/")
                .and_then(|table| truth::rows(&world.account, table, days));
            match rows {
                None => fault::json(StatusCode::NOT_FOUND, &json!({"error": "Not found"})),
                Some(rows) => {
                    let lines: Vec<String> = rows.iter().map(ToString::to_string).collect();
                    fault::answer(StatusCode::OK, "application/x-ndjson", lines.join("\n"))
                }
            }
        }
        _ => fault::json(StatusCode::NOT_FOUND, &json!({"error": "Not found"})),
    }
}
