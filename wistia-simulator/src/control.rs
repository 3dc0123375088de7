//! The path by which tests steer the simulator, and learn what is true.
//!
//! - `GET`, `DELETE requests`: what was asked, and forgetting it.
//! - `POST grow`: [`Growth`](crate::account::Growth) of the account.
//! - `POST delete`: `{"media": "<hashed id>"}` deletes a media, as a person in the account does.
//! - `POST live`: `{"events_per_page": n}` lets events arrive while their list is read.
//! - `POST`, `DELETE faults`: a [`Fault`], and the end of all. Statistics of a media that are gone
//!   for a while are a fault of `status` 404 with its id in `path`.
//! - `POST revoke`: the token is accepted no more.
//! - `GET truth/<table>`: the rows of a correct lake, from `start_date` to `end_date`, last synced
//!   on `sync_date`. With `deleted=kept` it was filled before medias were deleted.

use axum::http::{Method, StatusCode};
use axum::response::Response;
use chrono::NaiveDate;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::fault::{self, Fault};
use crate::truth::{self, Span};
use crate::world::World;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Live {
    events_per_page: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Delete {
    media: String,
}

/// Does what a test asks for.
pub fn control(
    world: &mut World,
    method: &Method,
    path: &str,
    query: &[(String, String)],
    body: &[u8],
) -> Response {
    let parameter =
        |name: &str| query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    match (method, path) {
        (&Method::GET, "requests") => {
            fault::json(StatusCode::OK, &Value::Array(world.requests.clone()))
        }
        (&Method::DELETE, "requests") => {
            world.requests.clear();
            done()
        }
        (&Method::POST, "grow") => with(body, |growth| world.account.grow(&growth)),
        (&Method::POST, "delete") => match read::<Delete>(body) {
            Ok(Delete { media }) if world.account.delete(&media) => done(),
            Ok(Delete { media }) => bad(&format!("there is no media {media}")),
            Err(response) => *response,
        },
        (&Method::POST, "live") => {
            with(body, |live: Live| world.events_per_page = live.events_per_page)
        }
        (&Method::POST, "faults") => with(body, |fault: Fault| world.faults.push(fault)),
        (&Method::DELETE, "faults") => {
            world.faults.clear();
            done()
        }
        (&Method::POST, "revoke") => {
            world.revoked = true;
            done()
        }
        (&Method::GET, path) => {
            let day = |name: &str| parameter(name).and_then(|text| text.parse::<NaiveDate>().ok());
            let today = world.account.recipe.today;
            let span = Span {
                start: day("start_date").unwrap_or(NaiveDate::MIN),
                end: day("end_date").unwrap_or(today),
                sync: day("sync_date").unwrap_or(today),
                keeps_deleted: parameter("deleted") == Some("kept"),
            };
            let table = path.strip_prefix("truth/");
            match table.and_then(|table| truth::rows(&world.account, table, span)) {
                None => not_found(),
                Some(rows) => {
                    let lines: Vec<String> = rows.iter().map(ToString::to_string).collect();
                    fault::answer(StatusCode::OK, "application/x-ndjson", lines.join("\n"))
                }
            }
        }
        _ => not_found(),
    }
}

/// Does something with what a body says.
fn with<T: DeserializeOwned>(body: &[u8], act: impl FnOnce(T)) -> Response {
    match read(body) {
        Ok(said) => {
            act(said);
            done()
        }
        Err(response) => *response,
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Box<Response>> {
    serde_json::from_slice(body).map_err(|error| Box::new(bad(&error.to_string())))
}

fn done() -> Response {
    fault::json(StatusCode::OK, &json!({}))
}

fn bad(error: &str) -> Response {
    fault::json(StatusCode::BAD_REQUEST, &json!({"error": error}))
}

fn not_found() -> Response {
    fault::json(StatusCode::NOT_FOUND, &json!({"error": "Not found"}))
}
