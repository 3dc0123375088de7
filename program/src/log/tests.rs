use std::io;
use std::sync::{Arc, Mutex};

use tracing_subscriber::Registry;
use tracing_subscriber::fmt::format::DefaultFields;
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;
use crate::told::{Told, summary};

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn text(
    format: impl FormatEvent<Registry, DefaultFields> + Send + Sync + 'static,
    log: impl FnOnce(),
) -> String {
    let sink = Sink::default();
    let writer = sink.clone();
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .event_format(format);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
    String::from_utf8(sink.0.lock().unwrap().clone()).unwrap()
}

fn logged(log: impl FnOnce()) -> Value {
    serde_json::from_str(&text(Structured { program: "tap-x" }, log)).unwrap()
}

fn plain(log: impl FnOnce()) -> Value {
    serde_json::from_str(&text(Plain { program: "tap-x" }, log)).unwrap()
}

/// The sentence of an event, behind its time and level.
fn sentence(log: impl FnOnce()) -> String {
    let text = text(Sentences { watched: false }, log);
    let words = text.trim_end().split_once('Z').unwrap().1;
    words.trim_start().split_once(' ').unwrap().1.to_owned()
}

#[test]
fn an_event_has_what_meltano_asks_for() {
    let line = logged(|| tracing::warn!(stream = "s", count = 3, "watch out"));
    for key in ["level", "pid", "logger_name", "ts", "thread_name", "app_name", "message"] {
        assert!(line.get(key).is_some(), "{key}");
    }
    assert_eq!(line["level"], "warning");
    assert_eq!(line["message"], "s: watch out (count 3)");
    assert_eq!(line["stream_name"], "s");
    assert_eq!(line["extra"], json!({"count": 3}));
}

#[test]
fn the_message_says_what_the_fields_hold_once() {
    let both = |log: fn()| {
        let words = sentence(log);
        assert_eq!(plain(log)["fields"]["message"], words);
        assert_eq!(logged(log)["message"], words);
        words
    };
    assert_eq!(both(|| tracing::info!("as it is")), "as it is");
    assert_eq!(both(|| tracing::info!(stream = "s", "gone")), "s: gone");
    assert_eq!(both(|| tracing::info!(table = "t", shards = 4, "t has 4 parts")), "t has 4 parts");
    assert_eq!(
        both(|| tracing::info!(table = "t", objects = 4, "14 rows of `t_x` are left")),
        "t: 14 rows of `t_x` are left (objects 4)"
    );
    assert_eq!(
        both(|| tracing::warn!(media_id = "abc", error = "no disk", "left out")),
        "left out (media id abc, error no disk)"
    );
}

#[test]
fn what_is_told_of_a_stream_is_a_sentence_with_its_fields_beside() {
    let told = || {
        Told::of("fact_events")
            .count("rows_new", 280, "row new", "rows new")
            .any("rows_replaced", 20, "replaced", "replaced")
            .any("rows_unchanged", 0, "unchanged", "unchanged")
            .count("files", 1, "file", "files")
            .bytes("bytes", 49_100)
            .field("table", "fact_events")
            .info();
    };
    let words = "fact_events: 280 rows new, 20 replaced, 1 file, 49 kB";
    assert_eq!(sentence(told), words);
    let fields = json!({
        "message": words, "stream": "fact_events", "table": "fact_events", "rows_new": 280,
        "rows_replaced": 20, "rows_unchanged": 0, "files": 1, "bytes": 49_100,
    });
    assert_eq!(plain(told)["fields"], fields);
    assert_eq!(logged(told)["stream_name"], "fact_events");
    assert_eq!(logged(told)["message"], words);
    assert_eq!(logged(told)["extra"]["bytes"], 49_100);
}

#[test]
fn a_summary_is_an_object_in_json_and_a_sentence_in_text() {
    let done = json!({"records": {"s": 2}, "failed": ["t"]});
    assert_eq!(logged(|| summary(&done, "done: 2 records"))["extra"]["summary"], done);
    let fields = json!({"message": "done: 2 records", "summary": done});
    assert_eq!(plain(|| summary(&done, "done: 2 records"))["fields"], fields);
    assert_eq!(sentence(|| summary(&done, "done: 2 records")), "done: 2 records");
}

#[test]
fn a_plain_line_has_the_time_the_level_the_origin_and_the_fields() {
    let line = plain(|| tracing::warn!(count = 3, ok = true, "watch \u{1b} out"));
    assert_eq!(line["level"], "WARN");
    let message = "watch \u{1b} out (count 3, ok true)";
    assert_eq!(line["fields"], json!({"message": message, "count": 3, "ok": true}));
    assert!(line["timestamp"].as_str().unwrap().ends_with('Z'), "{line}");
    assert_eq!(line["target"], "tap_x", "what both programs share speaks for the program");
}

#[test]
fn a_line_on_a_terminal_takes_the_place_of_one_that_shows_progress() {
    let watched = |log: fn()| text(Sentences { watched: true }, log);
    assert_eq!(watched(|| tracing::info!("well")), format!("{CLEAR_LINE}well\n"));
    let loud = watched(|| tracing::warn!("bell \u{7} and \u{1b}[2J\nWARN more"));
    assert_eq!(loud, format!("{CLEAR_LINE}WARN bell \\u{{7}} and \\u{{1b}}[2J\\nWARN more\n"));
}

#[test]
fn a_metric_is_one() {
    let metric = json!({"value": 5});
    let line = logged(|| tracing::info!("{METRIC}{metric}"));
    assert_eq!((&line["message"], &line["metric_info"]), (&json!("METRIC"), &metric));
}
