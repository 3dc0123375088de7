//! The forms of the log: sentences, JSON, and JSON in the structure of the Meltano SDK, which Meltano reads as
//! events with levels and fields.
//!
//! In each of them the message alone says all: some readers show nothing else. What a field has that the
//! message leaves out is put behind it.

use std::fmt;
use std::time::UNIX_EPOCH;

use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::told::{FIELDS, METRIC, SUMMARY};

/// Back to the beginning of a line, and nothing left in it: a line that shows progress gives way, whichever
/// program of the pipe has drawn it.
pub(crate) const CLEAR_LINE: &str = "\r\x1b[2K";

/// This crate, as its events name it.
const OWN: &str = env!("CARGO_CRATE_NAME");

/// Writes one line of text an event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sentences {
    /// A person reads it as it is written, on a terminal.
    pub(crate) watched: bool,
}

/// Writes one JSON object an event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plain {
    /// The name of the program.
    pub(crate) program: &'static str,
}

/// Writes one JSON object an event, as the Meltano SDK does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Structured {
    /// The name of the program.
    pub(crate) program: &'static str,
}

/// What an event says.
#[derive(Debug, Default)]
struct Said {
    message: String,
    /// What its message has put into words already.
    told: Map<String, Value>,
    fields: Map<String, Value>,
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field.name(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.take(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.take(field.name(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.take(field.name(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.take(field.name(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field.name(), format!("{value:?}").into());
    }
}

impl Said {
    fn by(event: &Event<'_>) -> Self {
        let mut said = Self::default();
        event.record(&mut said);
        said.message = said.sentence();
        said
    }

    fn take(&mut self, name: &str, value: Value) {
        match (name, value) {
            ("message", Value::String(text)) => self.message = text,
            (FIELDS, Value::String(text)) => {
                self.told = serde_json::from_str(&text).unwrap_or_default();
            }
            (SUMMARY, Value::String(text)) => {
                let summary = serde_json::from_str(&text).unwrap_or(Value::String(text));
                self.told.insert(SUMMARY.to_owned(), summary);
            }
            (_, value) => _ = self.fields.insert(name.to_owned(), value),
        }
    }

    /// The message, with what the fields say beside it.
    fn sentence(&self) -> String {
        let unsaid = |name: &str| {
            let text = self.fields.get(name).and_then(Value::as_str)?;
            (!has_word(&self.message, text)).then_some(text)
        };
        let subject = unsaid("stream").or_else(|| unsaid("table"));
        let mut sentence = subject.map(|subject| format!("{subject}: ")).unwrap_or_default();
        sentence.push_str(&self.message);
        let rest = self.fields.iter().filter_map(|(name, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (!has_word(&sentence, &text)).then(|| format!("{} {text}", name.replace('_', " ")))
        });
        let rest: Vec<String> = rest.collect();
        if rest.is_empty() { sentence } else { format!("{sentence} ({})", rest.join(", ")) }
    }

    fn fields(self) -> Map<String, Value> {
        let mut fields = self.fields;
        fields.extend(self.told);
        fields
    }
}

/// Whether this stands somewhere in a text, and not as a part of a longer word or number.
fn has_word(text: &str, word: &str) -> bool {
    let is_of_word = |other: char| other.is_alphanumeric() || other == '_';
    text.match_indices(word).any(|(at, found)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let after = text.get(at + found.len()..).and_then(|after| after.chars().next());
        let joins = |inner: Option<char>, outer: Option<char>| {
            inner.is_some_and(is_of_word) && outer.is_some_and(is_of_word)
        };
        !joins(word.chars().next(), before) && !joins(word.chars().next_back(), after)
    })
}

/// A text that does nothing to a terminal, and is one line.
fn shown(text: &str) -> String {
    let is_quiet = |letter: char| !letter.is_control() || letter == '\t';
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_quiet(letter) { shown.push(letter) } else { shown.extend(letter.escape_default()) }
    }
    shown
}

/// The time, as logs and events have it.
pub(crate) fn timestamp() -> Result<String, fmt::Error> {
    let mut timestamp = String::new();
    SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
    Ok(timestamp)
}

impl Structured {
    fn line(self, event: &Event<'_>, seconds: f64) -> Value {
        let metadata = event.metadata();
        let said = Said::by(event);
        let metric = said.message.strip_prefix(METRIC);
        let metric: Option<Value> = metric.and_then(|text| serde_json::from_str(text).ok());
        let message = if metric.is_some() { "METRIC".into() } else { said.message.clone() };
        let mut extra = said.fields();
        let mut line = json!({
            "level": level(*metadata.level()),
            "pid": std::process::id(),
            "logger_name": origin(metadata.target(), self.program).replace("::", "."),
            "ts": seconds,
            "thread_name": std::thread::current().name().unwrap_or("worker"),
            "app_name": self.program,
            "stream_name": extra.remove("stream").unwrap_or_default(),
            "message": message,
            "extra": extra,
        });
        if let (Some(metric), Some(line)) = (metric, line.as_object_mut()) {
            line.insert("metric_info".into(), metric);
        }
        line
    }
}

/// Where an event comes from. What both programs share speaks for the program.
fn origin(target: &str, program: &str) -> String {
    if target == OWN || target.starts_with(concat!(env!("CARGO_CRATE_NAME"), "::")) {
        program.replace('-', "_")
    } else {
        target.to_owned()
    }
}

/// The name that Python's logging has for a level.
fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warning",
        Level::INFO => "info",
        Level::DEBUG | Level::TRACE => "debug",
    }
}

/// A level in its colour on a terminal (ECMA-48, select graphic rendition).
fn coloured(level: Level) -> String {
    let colour = match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        Level::DEBUG => 34,
        Level::TRACE => 35,
    };
    format!("\x1b[{colour}m{level}\x1b[0m")
}

impl<S, N> FormatEvent<S, N> for Sentences
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
        let level = *event.metadata().level();
        let message = shown(&Said::by(event).message);
        if !self.watched {
            return writeln!(writer, "{} {level:>5} {message}", timestamp()?);
        }
        // The time is on the wall, and that it goes well needs no mark.
        let mark = match level {
            Level::INFO => String::new(),
            level if writer.has_ansi_escapes() => format!("{} ", coloured(level)),
            level => format!("{level} "),
        };
        writeln!(writer, "{CLEAR_LINE}{mark}{message}")
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
        let said = Said::by(event);
        let message = said.message.clone();
        let mut fields = said.fields();
        fields.insert("message".to_owned(), message.into());
        let line = json!({
            "timestamp": timestamp()?,
            "level": event.metadata().level().as_str(),
            "fields": fields,
            "target": origin(event.metadata().target(), self.program),
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
mod tests;
