//! What tests share: a server that is a function, and a sync whose messages are read back.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use chrono::NaiveDate;
use futures::future::BoxFuture;
use protocol::mapping::Mapper;
use protocol::singer::Selection;
use serde_json::{Value, json};

use crate::absent::Absent;
use crate::client::{Client, Request, Response, Transport};
use crate::config::Config;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::messages::Messages;
use crate::output::Output;
use crate::progress::Progress;
use crate::read::Endpoint;
use crate::settings::Settings;
use crate::singer::Singer;
use crate::state::State;
use crate::stream::Stream;
use crate::sync::Sync;

/// A stream that is read in increments.
pub(crate) static EVENTS: Stream = Stream {
    name: "events",
    keys: &["id"],
    replication_key: Some("day"),
    selected_by_default: true,
    masked: &[],
    schema: || json!({"type": "object", "properties": {"id": {"type": "string"}, "day": {"type": "string"}}}),
};

/// A stream that is read whole.
pub(crate) static PLACES: Stream = Stream {
    name: "places",
    keys: &["id"],
    replication_key: None,
    selected_by_default: true,
    masked: &[],
    schema: || json!({"type": "object", "properties": {"id": {"type": "string"}}}),
};

/// The day on which the tests' syncs begin.
pub(crate) const TODAY: &str = "2026-11-25";

/// A day.
pub(crate) fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// Settings with a token, and with these members.
pub(crate) fn config(members: &str) -> Config {
    let comma = if members.is_empty() { "" } else { "," };
    serde_json::from_str(&format!(
        r#"{{"api_token":"t","requests_per_minute":1000000,"retry_for_seconds":0{comma}{members}}}"#
    ))
    .unwrap()
}

/// What a server answers: a status and a body.
pub(crate) type Reply = (u16, String);

/// Answers with success.
pub(crate) fn ok(body: impl Into<String>) -> Reply {
    (200, body.into())
}

/// A server whose answers are those of a function of path and query.
#[derive(Clone)]
pub(crate) struct Server {
    answer: Arc<dyn Fn(&str) -> Reply + Send + std::marker::Sync>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Server")
    }
}

impl Server {
    /// A server that answers so.
    pub(crate) fn new(answer: impl Fn(&str) -> Reply + Send + std::marker::Sync + 'static) -> Self {
        Self { answer: Arc::new(answer), asked: Arc::default() }
    }

    /// A server that answers these requests, and 404 to all others.
    pub(crate) fn of(answers: &[(&str, Reply)]) -> Self {
        let answers: HashMap<String, Reply> =
            answers.iter().map(|(path, reply)| ((*path).to_owned(), reply.clone())).collect();
        Self::new(move |path| answers.get(path).cloned().unwrap_or((404, String::new())))
    }

    /// The requests since the last call, in the order in which they arrived.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    /// A client of this server.
    pub(crate) fn client(&self, config: &Config) -> Client {
        Client::over(Box::new(self.clone()), config)
    }
}

impl Transport for Server {
    fn send<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Response>> {
        let path = request.to_string();
        let (status, body) = (self.answer)(&path);
        self.asked.lock().unwrap().push(path);
        // Status 0 is a connection that breaks.
        Box::pin(async move {
            if status == 0 {
                return Err(Error::Transport {
                    path: request.to_string(),
                    is_transient: true,
                    source: body.into(),
                    host: String::new(),
                });
            }
            Ok(Response::new(status, body))
        })
    }
}

/// Where messages are written and read back.
#[derive(Debug, Clone, Default)]
pub(crate) struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Written {
    /// The messages since the last call.
    pub(crate) fn messages(&self) -> Vec<Value> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap());
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The messages since the last call, in short: the columns of records, the values of states.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.messages().iter().map(short).collect()
    }
}

fn short(message: &Value) -> String {
    let name = message["stream"].as_str().unwrap_or_default();
    match message["type"].as_str().unwrap() {
        "SCHEMA" => format!("SCHEMA {name} {}", message["key_properties"]),
        "RECORD" => format!("{name} {}", message["record"]),
        "STATE" => format!("STATE {}", message["value"]["bookmarks"]),
        other => panic!("{other}"),
    }
}

/// A sync of endpoints, all of whose streams are selected.
#[derive(Debug)]
pub(crate) struct Run {
    /// The messages in short, but for SCHEMA.
    pub(crate) lines: Vec<String>,
    /// The requests.
    pub(crate) asked: Vec<String>,
    /// How it ended.
    pub(crate) outcome: Result<()>,
    /// The streams that failed, each with its error.
    pub(crate) failed: Vec<(&'static str, String)>,
    /// How far the streams have come.
    pub(crate) state: State,
}

impl Run {
    /// The records of a stream.
    pub(crate) fn records(&self, stream: &str) -> Vec<Value> {
        let prefix = format!("{stream} ");
        let records = self.lines.iter().filter_map(|line| line.strip_prefix(&prefix));
        records.map(|record| serde_json::from_str(record).unwrap()).collect()
    }
}

/// Syncs endpoints against a server: those streams whose names are wanted.
pub(crate) async fn sync_some(
    server: &Server,
    endpoints: &[&'static Endpoint],
    settings: &str,
    state: State,
    is_wanted: impl Fn(&Stream) -> bool,
) -> Run {
    let settings = Settings::new(config(settings), day(TODAY)).unwrap();
    let client = server.client(&settings.config);
    let written = Written::default();
    let messages: Box<dyn Messages> = Box::new(Singer::new(Box::new(written.clone())));
    let selected = endpoints
        .iter()
        .flat_map(|endpoint| endpoint.streams.iter().copied())
        .filter(|stream| is_wanted(stream))
        .map(|stream| (stream, Selection::all((stream.schema)())))
        .collect();
    let context = Context {
        client: &client,
        settings: &settings,
        output: Output::new(messages, selected, &Mapper::default()).unwrap(),
        goes_on: state != State::default(),
        state,
        names: HashMap::new(),
        absent: Absent::default(),
        progress: Progress::new(false),
    };
    let mut sync = Sync::new(context, endpoints);
    let outcome = Box::pin(sync.run()).await;
    let lines = written.lines();
    Run {
        lines: lines.into_iter().filter(|line| !line.starts_with("SCHEMA")).collect(),
        asked: server.asked(),
        outcome,
        failed: sync.failed.drain(..).map(|failed| (failed.stream, failed.reason)).collect(),
        state: sync.context.state.clone(),
    }
}

/// Syncs all streams of endpoints against a server, from the beginning.
pub(crate) async fn sync(server: &Server, endpoints: &[&'static Endpoint], settings: &str) -> Run {
    sync_some(server, endpoints, settings, State::default(), |_| true).await
}

/// A list of so many rows, each made by its number.
pub(crate) fn rows(numbers: impl IntoIterator<Item = i64>, row: impl Fn(i64) -> String) -> String {
    let rows: Vec<String> = numbers.into_iter().map(row).collect();
    format!("[{}]", rows.join(","))
}
