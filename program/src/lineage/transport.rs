//! How events reach whom they are for: beside the run, which they neither fail nor hold up.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use opentelemetry_http::{Bytes, Request};
use serde_json::Value;

use super::environment::Receiver;
use crate::courier::Courier;

/// No event takes longer to be sent.
const LONGEST: Duration = Duration::from_secs(3);

/// Takes events, and sends them one after the other.
#[derive(Debug)]
pub(super) struct Transport {
    events: Sender<Value>,
    thread: JoinHandle<()>,
}

impl Transport {
    /// Nothing is opened before the first event.
    pub(super) fn new(receiver: Receiver) -> io::Result<Self> {
        let (events, received) = channel::<Value>();
        let courier = Courier::new("lineage", LONGEST);
        let work = move || {
            for event in received {
                match &receiver {
                    Receiver::Server(url, key) => {
                        // The first that fails is a warning there.
                        _ = request(url.as_str(), key.as_deref(), &event)
                            .map(|request| courier.send(request));
                    }
                    Receiver::File(path) => append(path, &event),
                    Receiver::Files(path) => append(&own(path, &event), &event),
                }
            }
        };
        let thread = std::thread::Builder::new().name("lineage".into()).spawn(work)?;
        Ok(Self { events, thread })
    }

    /// Sends an event, after those before it.
    pub(super) fn send(&self, event: Value) {
        // It ends where this does.
        _ = self.events.send(event);
    }

    /// Waits until all is sent.
    pub(super) fn end(self) {
        drop(self.events);
        _ = self.thread.join();
    }
}

fn request(url: &str, key: Option<&str>, event: &Value) -> Option<Request<Bytes>> {
    let mut request = Request::post(url).header("Content-Type", "application/json");
    if let Some(key) = key {
        request = request.header("Authorization", format!("Bearer {key}"));
    }
    let request = request.body(Bytes::from(event.to_string()));
    request.inspect_err(|_| tracing::warn!("OPENLINEAGE_API_KEY cannot stand in a header")).ok()
}

/// The file of one event, as the Python client names it.
fn own(path: &Path, event: &Value) -> PathBuf {
    let time = event.get("eventTime").and_then(Value::as_str).unwrap_or_default();
    let time: String = time
        .chars()
        .filter_map(|letter| match letter {
            'T' => Some('-'),
            '-' | ':' | 'Z' => None,
            other => Some(other),
        })
        .collect();
    let mut name = path.as_os_str().to_owned();
    name.push(format!("-{time}.json"));
    name.into()
}

/// Appends an event in one piece: both programs of a pipe may write to one file.
fn append(path: &Path, event: &Value) {
    let file = OpenOptions::new().create(true).append(true).open(path);
    let written = file.and_then(|mut file| file.write_all(format!("{event}\n").as_bytes()));
    if let Err(error) = written {
        let path = path.display();
        tracing::warn!("lineage cannot be written to {path}, and the run goes on without: {error}");
    }
}
