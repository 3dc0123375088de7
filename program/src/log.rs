//! Metrics, summaries, and log lines that are JSON: plain, or in the structure of the Meltano SDK, which
//! Meltano reads as events with levels and fields.

use std::fmt;
use std::time::UNIX_EPOCH;

use serde::Serialize;
use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Begins the message of a metric; its JSON follows.
const METRIC: &str = "METRIC: ";

/// Logs how many records of a stream were read or written, as the SDK's metrics say it.
pub fn record_count(stream: &str, records: u64) {
    let metric = json!({
        "type": "counter",
        "metric": "record_count",
        "value": records,
        "tags": {"stream": stream, "pid": std::process::id(), "context": {}},
    });
    tracing::info!("{METRIC}{metric}");
}

/// The field whose text is JSON.
const SUMMARY: &str = "summary";

/// Logs what was done. In a log of JSON it is an object, in one of text its JSON as it is.
pub fn summary(summary: &impl Serialize) {
    match serde_json::to_string(summary) {
        // By this name formatters know it.
        Ok(text) => tracing::info!(summary = %text, "done"),
        Err(error) => tracing::warn!(%error, "no summary"),
    }
}

/// Writes one JSON object an event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plain;

/// Writes one JSON object an event, as the Meltano SDK does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Structured {
    /// The name of the program.
    pub(crate) program: &'static str,
}

/// Gathers the fields of an event.
#[derive(Debug, Default)]
struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        let json = (field.name() == SUMMARY).then(|| serde_json::from_str(&text).ok()).flatten();
        self.0.insert(field.name().to_owned(), json.unwrap_or_else(|| text.into()));
    }
}

impl Fields {
    fn of(event: &Event<'_>) -> Map<String, Value> {
        let mut fields = Self::default();
        event.record(&mut fields);
        fields.0
    }
}

impl Structured {
    fn line(self, event: &Event<'_>, seconds: f64) -> Value {
        let metadata = event.metadata();
        let mut extra = Fields::of(event);
        let message = extra.remove("message").unwrap_or_default();
        let stream = extra.remove("stream").unwrap_or_default();
        let metric = message.as_str().and_then(|text| text.strip_prefix(METRIC));
        let metric: Option<Value> = metric.and_then(|text| serde_json::from_str(text).ok());
        let mut line = json!({
            "level": level(*metadata.level()),
            "pid": std::process::id(),
            "logger_name": metadata.target().replace("::", "."),
            "ts": seconds,
            "thread_name": std::thread::current().name().unwrap_or("worker"),
            "app_name": self.program,
            "stream_name": stream,
            "message": if metric.is_some() { "METRIC".into() } else { message },
            "extra": extra,
        });
        if let (Some(metric), Some(line)) = (metric, line.as_object_mut()) {
            line.insert("metric_info".into(), metric);
        }
        line
    }
}

/// The name that Python's logging has for a level.
fn level(level: tracing::Level) -> &'static str {
    match level {
        tracing::Level::ERROR => "error",
        tracing::Level::WARN => "warning",
        tracing::Level::INFO => "info",
        tracing::Level::DEBUG | tracing::Level::TRACE => "debug",
    }
}

impl<S, N> FormatEvent<S, N> for Plain
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        let line = json!({
            "timestamp": timestamp,
            "level": event.metadata().level().as_str(),
            "fields": Fields::of(event),
            "target": event.metadata().target(),
        });
        writeln!(writer, "{line}")
    }
}

impl<S, N> FormatEvent<S, N> for Structured
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let seconds = UNIX_EPOCH.elapsed().map_or(0.0, |time| time.as_secs_f64());
        writeln!(writer, "{}", self.line(event, seconds))
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::Registry;
    use tracing_subscriber::fmt::format::DefaultFields;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

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

    #[test]
    fn an_event_has_what_meltano_asks_for() {
        let line = logged(|| tracing::warn!(stream = "s", count = 3, "watch out"));
        for key in ["level", "pid", "logger_name", "ts", "thread_name", "app_name", "message"] {
            assert!(line.get(key).is_some(), "{key}");
        }
        assert_eq!(line["level"], "warning");
        assert_eq!(line["message"], "watch out");
        assert_eq!(line["stream_name"], "s");
        assert_eq!(line["extra"], json!({"count": 3}));
    }

    #[test]
    fn a_summary_is_an_object_in_json_and_readable_in_text() {
        let done = json!({"records": {"s": 2}, "failed": ["t"]});
        assert_eq!(logged(|| summary(&done))["extra"]["summary"], done);
        let plain: Value = serde_json::from_str(&text(Plain, || summary(&done))).unwrap();
        assert_eq!(plain["fields"], json!({"message": "done", "summary": done}));
        let line = text(tracing_subscriber::fmt::format(), || summary(&done));
        assert!(
            line.ends_with("done summary={\"records\":{\"s\":2},\"failed\":[\"t\"]}\n"),
            "{line}"
        );
    }

    #[test]
    fn a_plain_line_has_the_time_the_level_the_origin_and_the_fields() {
        let line = text(Plain, || tracing::warn!(count = 3, ok = true, "watch \u{1b} out"));
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["fields"], json!({"message": "watch \u{1b} out", "count": 3, "ok": true}));
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'), "{line}");
        assert!(line["target"].as_str().unwrap().starts_with("program"), "{line}");
    }

    #[test]
    fn a_metric_is_one() {
        let line = logged(|| record_count("s", 5));
        assert_eq!(line["message"], "METRIC");
        assert_eq!(line["metric_info"]["value"], 5);
        assert_eq!(line["metric_info"]["tags"]["stream"], "s");
    }
}
