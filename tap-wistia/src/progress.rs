//! How far a sync has come, while streams are read: a line that a person at the terminal sees, or lines
//! in the log.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use program::told::{self, Told};
use program::words;
use tokio::time::Instant;

use crate::client::{Client, Traffic};
use crate::output::Output;
use crate::stream::Stream;

/// Time between two lines of the log. Orchestrators take a minute of silence for a bad sign.
const PERIOD: Duration = Duration::from_secs(45);

/// Time between two looks of the line on a terminal.
const TICK: Duration = Duration::from_millis(200);

/// How far a sync has come.
#[derive(Debug)]
pub(crate) struct Progress {
    line: ProgressBar,
    watched: bool,
    now: Arc<Mutex<Now>>,
}

/// What is known of it.
#[derive(Debug)]
struct Now {
    /// When the sync began.
    begun: Instant,
    /// The stream that is read.
    stream: &'static str,
    /// Since when.
    since: Instant,
    /// How much of it is done, and all.
    parts: Option<(usize, usize)>,
    /// Answers before it.
    answers: u64,
    /// Records of every stream.
    records: Vec<(&'static str, u64)>,
}

impl Progress {
    /// A line, where a person reads along.
    pub(crate) fn new(watched: bool) -> Self {
        let line = if watched { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{spinner} [{elapsed}] {wide_msg}") {
            line.set_style(style);
        }
        let begun = Instant::now();
        let now =
            Now { begun, stream: "", since: begun, parts: None, answers: 0, records: Vec::new() };
        Self { line, watched, now: Arc::new(Mutex::new(now)) }
    }

    /// Whether a person reads along.
    pub(crate) fn is_watched(&self) -> bool {
        self.watched
    }

    /// Shows how far things are from time to time, also while nothing moves: in a line to a person who reads
    /// along, else in the log. It goes on for as long as its runtime does.
    pub(crate) fn tell(&self, client: &Client) {
        let (now, traffic) = (Arc::clone(&self.now), Arc::clone(client.traffic()));
        if self.watched {
            let line = self.line.clone();
            drop(tokio::spawn(async move { draw(&line, &now, &traffic).await }));
        } else {
            drop(tokio::spawn(async move { tell(&now, &traffic).await }));
        }
    }

    /// A stream is about to be read: one that is wanted, or that others need.
    pub(crate) fn stream(&mut self, stream: &'static Stream, is_wanted: bool, client: &Client) {
        let mut now = locked(&self.now);
        now.stream = stream.name;
        now.since = Instant::now();
        now.parts = None;
        now.answers = client.traffic().answers();
        if is_wanted && !self.watched {
            Told::of(stream.name).words("reading").info();
        }
    }

    /// A stream was read to its end, of which so many records were written, in answers of this kind.
    pub(crate) fn completed(&self, stream: &str, records: u64, answers: Answers, client: &Client) {
        let count = client.traffic().answers() - locked(&self.now).answers;
        let told = Told::of(stream).count("records", records, "record read", "records read");
        let told = match answers {
            Answers::Pages => told.count("pages", count, "page", "pages"),
            Answers::Others => told.count("requests", count, "request", "requests"),
        };
        // A person sees the line, and a table at the end.
        if self.watched { told.debug() } else { told.info() }
    }

    /// Shows how far it has come: `parts` of the stream done, and all.
    pub(crate) fn show(&self, output: &Output, parts: Option<(usize, usize)>) {
        let mut now = locked(&self.now);
        now.parts = parts;
        now.records.clear();
        let selected = output.selected().iter();
        now.records.extend(selected.map(|selected| (selected.stream.name, selected.records)));
    }

    /// Takes the line away.
    pub(crate) fn clear(&self) {
        self.line.finish_and_clear();
    }
}

/// What the answers of an endpoint are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answers {
    /// Pages of a list.
    Pages,
    /// Each about something else.
    Others,
}

impl Now {
    /// The line of a person who reads along.
    fn line(&self, traffic: &Traffic) -> String {
        let part = self.parts.map_or(String::new(), |(done, all)| format!(" {done}/{all}"));
        let left = self.left().map_or(String::new(), |left| format!(", {} left", rounded(left)));
        let records: u64 = self.records.iter().map(|(_, records)| records).sum();
        let rate = records.checked_div(self.begun.elapsed().as_secs());
        let rate = rate.map_or(String::new(), |rate| format!(", {}/s", words::number(rate)));
        let records = words::counted(records, "record", "records");
        let asked = || words::counted(traffic.requests(), "request", "requests");
        let asks = waits(traffic).unwrap_or_else(asked);
        format!("{}{part}{left} · {records}{rate} · {asks}", self.stream)
    }

    /// How long the stream takes yet, if it goes on as so far.
    fn left(&self) -> Option<Duration> {
        let (done, all) = self.parts.filter(|(done, all)| (1..*all).contains(done))?;
        let (done, rest) = (u32::try_from(done).ok()?, u32::try_from(all - done).ok()?);
        Some(self.since.elapsed() / done * rest)
    }
}

/// What everything waits for, if it does.
fn waits(traffic: &Traffic) -> Option<String> {
    let left = traffic.waits().left().filter(|left| left.as_secs() > 0)?;
    Some(format!("waiting for Wistia's limit, {}", rounded(left)))
}

/// A time as one counts down.
fn rounded(time: Duration) -> String {
    let seconds = time.as_secs_f64().ceil();
    if seconds < 120.0 { format!("{seconds} s") } else { words::time(seconds) }
}

fn locked(now: &Mutex<Now>) -> MutexGuard<'_, Now> {
    now.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Draws the line again and again.
async fn draw(line: &ProgressBar, now: &Mutex<Now>, traffic: &Traffic) {
    loop {
        tokio::time::sleep(TICK).await;
        let message = locked(now).line(traffic);
        if line.message() != message {
            line.set_message(message);
        }
        line.tick();
    }
}

/// Tells how far the stream has come that is read, and those that it feeds by the way.
async fn tell(now: &Mutex<Now>, traffic: &Traffic) {
    let mut known: HashMap<&str, u64> = HashMap::new();
    loop {
        tokio::time::sleep(PERIOD).await;
        let now = locked(now);
        if now.stream.is_empty() {
            continue;
        }
        let of = |stream| now.records.iter().find(|(other, _)| *other == stream);
        let others = now.records.iter().filter(|(stream, records)| {
            *stream != now.stream && known.get(stream).copied().unwrap_or_default() != *records
        });
        let read = (now.stream, of(now.stream).map_or(0, |(_, records)| *records));
        let streams: Vec<_> = std::iter::once(read).chain(others.copied()).collect();
        for (stream, records) in streams {
            let mut still = Told::of(stream).words("still reading").count(
                "records",
                records,
                "record so far",
                "records so far",
            );
            if let (Some((done, all)), true) = (now.parts, stream == now.stream) {
                still = still.words(format!("{done} of {all} parts"));
                still = still.field("done", done).field("all", all);
            }
            still = still.count("requests", traffic.requests(), "request", "requests");
            match waits(traffic) {
                Some(waits) => still.words(waits).info(),
                None => still.info(),
            }
            told::record_count(stream, records);
            known.insert(stream, records);
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
        progress.stream(&EVENTS, true, &client);
        let minute = async || tokio::time::sleep(Duration::from_mins(1)).await;
        minute().await;
        let still = log.lines("still reading");
        assert!(
            still[0].contains("events: still reading, 0 records so far, 0 requests"),
            "{still:?}"
        );

        for id in 0..3 {
            output.record(&EVENTS, &serde_json::json!({"id": id})).unwrap();
        }
        output.record(&PLACES, &serde_json::json!({"id": 1})).unwrap();
        progress.show(&output, Some((2, 9)));
        minute().await;
        let lines = log.lines("still reading");
        let events = "events: still reading, 3 records so far, 2 of 9 parts, 0 requests";
        assert!(lines[0].contains(events), "{lines:?}");
        assert!(
            lines[1].contains("places: still reading, 1 record so far, 0 requests"),
            "{lines:?}"
        );
        assert_eq!(lines.len(), 2);
        minute().await;
        assert!(!log.lines("still reading").is_empty(), "nothing has moved");
    }

    #[tokio::test(start_paused = true)]
    async fn the_line_names_the_stream_that_is_read_with_rate_time_left_and_what_is_waited_for() {
        let client = Server::new(|_| ok("[]")).client(&config(""));
        let (mut progress, traffic) = (Progress::new(false), client.traffic());
        let line = |progress: &Progress| locked(&progress.now).line(traffic);
        progress.stream(&EVENTS, true, &client);
        assert_eq!(line(&progress), "events · 0 records · 0 requests");
        let second = Duration::from_secs(1);
        tokio::time::sleep(10 * second).await;
        {
            let mut now = locked(&progress.now);
            (now.parts, now.records) = (Some((2, 9)), vec![("events", 12_345)]);
        }
        assert_eq!(line(&progress), "events 2/9, 35 s left · 12,345 records, 1,234/s · 0 requests");
        let waiting = traffic.waits().begin();
        traffic.waits().until(Instant::now() + 41 * second);
        assert!(line(&progress).ends_with(" · waiting for Wistia's limit, 41 s"));
        drop(waiting);
        progress.stream(&PLACES, true, &client);
        assert_eq!(line(&progress), "places · 12,345 records, 1,234/s · 0 requests");
    }
}
