//! What a person at the terminal sees while streams are read.

use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use crate::client::Client;
use crate::output::Output;
use crate::stream::Stream;

/// A line on the terminal; nothing elsewhere.
#[derive(Debug)]
pub(crate) struct Progress {
    line: ProgressBar,
    stream: &'static str,
    watched: bool,
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
        Self { line, stream: "", watched }
    }

    /// Whether a person reads along.
    pub(crate) fn is_watched(&self) -> bool {
        self.watched
    }

    /// A stream is about to be read.
    pub(crate) fn stream(&mut self, stream: &'static Stream) {
        self.stream = stream.name;
        tracing::info!(stream = stream.name, "reading");
    }

    /// Shows how far it has come: `parts` of the stream done, and all.
    pub(crate) fn show(&self, output: &Output, client: &Client, parts: Option<(usize, usize)>) {
        if self.line.is_hidden() {
            return;
        }
        let records: u64 = output.selected().iter().map(|selected| selected.records).sum();
        let part = parts.map_or(String::new(), |(done, all)| format!(" {done}/{all}"));
        let traffic = client.traffic();
        self.line.set_message(format!(
            "{}{part} · {} records · {} requests",
            self.stream,
            HumanCount(records),
            HumanCount(traffic.requests()),
        ));
    }

    /// Takes the line away.
    pub(crate) fn clear(&self) {
        self.line.finish_and_clear();
    }
}
