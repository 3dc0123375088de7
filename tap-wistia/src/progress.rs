//! How far a sync has come, while streams are read: a line that a person at the terminal sees, or lines
//! in the log.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use program::log;

use crate::client::{Client, Traffic};
use crate::output::Output;
use crate::stream::Stream;

/// Time between two lines of the log. Orchestrators take a minute of silence for a bad sign.
const PERIOD: Duration = Duration::from_secs(45);

/// How far a sync has come.
#[derive(Debug)]
pub(crate) struct Progress {
    line: ProgressBar,
    watched: bool,
    now: Arc<Mutex<Now>>,
}

/// What is known of it.
#[derive(Debug, Default)]
struct Now {
    /// The stream that is read.
    stream: &'static str,
    /// How much of it is done, and all.
    parts: Option<(usize, usize)>,
    /// Records of every stream.
    records: Vec<(&'static str, u64)>,
}

impl Progress {
    /// A line, where a person reads along.
    pub(crate) fn new(watched: bool) -> Self {
        let line = if watched { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} [{elapsed}]") {
            line.set_style(style);
        }
        if watched {
            line.enable_steady_tick(Duration::from_millis(200));
        }
        Self { line, watched, now: Arc::default() }
    }

    /// Whether a person reads along.
    pub(crate) fn is_watched(&self) -> bool {
        self.watched
    }

    /// Tells the log from time to time, where no person reads along, also while nothing moves. It goes
    /// on for as long as its runtime does.
    pub(crate) fn tell(&self, client: &Client) {
        if !self.watched {
            let (now, traffic) = (Arc::clone(&self.now), Arc::clone(client.traffic()));
            drop(tokio::spawn(async move { tell(&now, &traffic).await }));
        }
    }

    /// A stream is about to be read.
    pub(crate) fn stream(&mut self, stream: &'static Stream) {
        let mut now = locked(&self.now);
        now.stream = stream.name;
        now.parts = None;
        tracing::info!(stream = stream.name, "reading");
    }

    /// Shows how far it has come: `parts` of the stream done, and all.
    pub(crate) fn show(&self, output: &Output, client: &Client, parts: Option<(usize, usize)>) {
        let mut now = locked(&self.now);
        now.parts = parts;
        now.records.clear();
        let selected = output.selected().iter();
        now.records.extend(selected.map(|selected| (selected.stream.name, selected.records)));
        if self.line.is_hidden() {
            return;
        }
        let records: u64 = now.records.iter().map(|(_, records)| records).sum();
        let part = parts.map_or(String::new(), |(done, all)| format!(" {done}/{all}"));
        self.line.set_message(format!(
            "{}{part} · {} records · {} requests",
            now.stream,
            HumanCount(records),
            HumanCount(client.traffic().requests()),
        ));
    }

    /// Takes the line away.
    pub(crate) fn clear(&self) {
        self.line.finish_and_clear();
    }
}

fn locked(now: &Mutex<Now>) -> MutexGuard<'_, Now> {
    now.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells how far the stream has come that is read, and those that it feeds by the way.
async fn tell(now: &Mutex<Now>, traffic: &Traffic) {
    let mut told = HashMap::new();
    loop {
        tokio::time::sleep(PERIOD).await;
        let now = locked(now);
        if now.stream.is_empty() {
            continue;
        }
        let (done, all) = now.parts.unzip();
        let known = now.records.iter().find(|(stream, _)| *stream == now.stream);
        let records = known.map_or(0, |(_, records)| *records);
        let requests = traffic.requests();
        tracing::info!(stream = now.stream, records, done, all, requests, "still reading");
        log::record_count(now.stream, records);
        told.insert(now.stream, records);
        for (stream, records) in &now.records {
            if told.insert(*stream, *records).unwrap_or_default() != *records {
                tracing::info!(stream, records, requests, "still reading");
                log::record_count(stream, *records);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use protocol::mapping::Mapper;
    use protocol::singer::Selection;

    use super::*;
    use crate::singer::Singer;
    use crate::testing::{EVENTS, PLACES, Server, Written, config, ok};

    /// The lines of a log.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Log {
        fn lines(&self, with: &str) -> Vec<String> {
            let text = String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap();
            text.lines().filter(|line| line.contains(with)).map(str::to_owned).collect()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_log_is_told_every_minute_also_while_nothing_moves() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .without_time()
            .with_target(false)
            .finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        let client = Server::new(|_| ok("[]")).client(&config(""));
        let selected = [&EVENTS, &PLACES].map(|stream| (stream, Selection::all((stream.schema)())));
        let messages = Box::new(Singer::new(Box::new(Written::default())));
        let mut output = Output::new(messages, selected.to_vec(), &Mapper::default()).unwrap();
        let mut progress = Progress::new(false);
        progress.tell(&client);
        progress.stream(&EVENTS);
        let minute = async || tokio::time::sleep(Duration::from_mins(1)).await;
        minute().await;
        let still = log.lines("still reading");
        assert_eq!(still, [r#" INFO still reading stream="events" records=0 requests=0"#]);

        for id in 0..3 {
            output.record(&EVENTS, &serde_json::json!({"id": id})).unwrap();
        }
        output.record(&PLACES, &serde_json::json!({"id": 1})).unwrap();
        progress.show(&output, &client, Some((2, 9)));
        minute().await;
        let lines = log.lines("");
        assert_eq!(
            lines[0],
            r#" INFO still reading stream="events" records=3 done=2 all=9 requests=0"#
        );
        assert!(lines[1].contains("METRIC") && lines[1].contains(r#""value":3"#), "{lines:?}");
        assert_eq!(lines[2], r#" INFO still reading stream="places" records=1 requests=0"#);
        minute().await;
        assert!(!log.lines("still reading").is_empty(), "nothing has moved");
    }

    #[tokio::test(start_paused = true)]
    async fn a_person_who_reads_along_sees_a_line_and_no_log() {
        let mut progress = Progress { watched: true, ..Progress::new(false) };
        let client = Server::new(|_| ok("[]")).client(&config(""));
        progress.tell(&client);
        progress.stream(&EVENTS);
        assert_eq!(Arc::strong_count(&progress.now), 1, "nobody else looks at it");
    }
}
