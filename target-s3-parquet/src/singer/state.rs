//! The newest state of a Singer tap, which goes back once its rows are durable.

use std::io::Write;

use lake::write::journal::Receipt;
use serde_json::value::RawValue;

use super::state_file::StateFile;
use crate::error::{Error, Result};
use crate::state::{Sink, State};

/// Acknowledges the newest state of a Singer tap, on stdout and in its file.
pub(super) struct StateSink {
    stdout: Box<dyn Write + Send>,
    file: Option<StateFile>,
    pending: Option<Box<RawValue>>,
    /// The state that was acknowledged last.
    acknowledged: Option<String>,
}

impl std::fmt::Debug for StateSink {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("StateSink").field("file", &self.file).finish_non_exhaustive()
    }
}

impl StateSink {
    /// A sink to `stdout` and, where there is one, to a file that always holds the newest state.
    pub(super) fn new(stdout: Box<dyn Write + Send>, file: Option<StateFile>) -> Self {
        Self { stdout, file, pending: None, acknowledged: None }
    }
}

impl Sink for StateSink {
    fn count(&mut self, _: &str, _: u64, _: u64) {}

    /// Only the newest state that is durable counts, so it replaces one that waits.
    fn note(&mut self, state: State) {
        self.pending = Some(state.text);
    }

    fn next(&self) -> Option<&str> {
        self.pending.as_ref().map(|state| state.get().trim())
    }

    fn receipt(&self) -> Option<&dyn Receipt> {
        self.file.as_ref().map(|file| -> &dyn Receipt { file })
    }

    fn is_ready(&self, held: &[String]) -> bool {
        self.pending.is_some() && held.is_empty()
    }

    fn is_full(&self) -> bool {
        false
    }

    /// Acknowledges the state byte for byte as it came. An empty state is kept back, because runners
    /// would store it and start afresh; so is one that was acknowledged last.
    fn acknowledge(&mut self, held: &[String]) -> Result<()> {
        if !held.is_empty() {
            return Ok(());
        }
        let Some(state) = self.pending.take() else { return Ok(()) };
        let text = state.get().trim();
        if is_empty(text) || self.acknowledged.as_deref() == Some(text) {
            return Ok(());
        }
        if let Some(file) = &mut self.file {
            file.replace(text)?;
        }
        let line = format!("{text}\n");
        self.stdout
            .write_all(line.as_bytes())
            .and_then(|()| self.stdout.flush())
            .map_err(|source| Error::State { name: "standard output".into(), source })?;
        self.acknowledged = Some(text.to_owned());
        Ok(())
    }
}

/// Whether a state says nothing.
fn is_empty(text: &str) -> bool {
    let is_empty_object = || {
        let inner = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        inner.is_some_and(|inner| inner.trim().is_empty())
    };
    matches!(text, "null" | "\"\"" | "[]") || is_empty_object()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Lines;
    use std::io;

    fn raw(text: &str) -> State {
        State { text: RawValue::from_string(text.into()).unwrap(), stream: None }
    }

    #[test]
    fn states_come_back_as_they_were_and_empty_ones_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.json");
        let lines = Lines::default();
        let mut sink =
            StateSink::new(Box::new(lines.clone()), Some(StateFile::Local(file.clone())));
        for text in ["{}", "{ }", "null", r#"{"b":1.10,"a":12345678901234567890}"#] {
            sink.note(raw(text));
            sink.acknowledge(&[]).unwrap();
        }
        sink.note(raw(r#"{"b":1.10,"a":12345678901234567890}"#));
        sink.acknowledge(&[]).unwrap();
        sink.acknowledge(&[]).unwrap();
        let printed = lines.text();
        assert_eq!(printed, "{\"b\":1.10,\"a\":12345678901234567890}\n");
        assert_eq!(std::fs::read_to_string(file).unwrap(), printed);
    }

    #[test]
    fn a_state_file_that_cannot_be_written_is_an_error_that_says_so() {
        let mut sink = StateSink::new(
            Box::new(io::sink()),
            Some(StateFile::Local("/nowhere/state.json".into())),
        );
        sink.note(raw(r#"{"a":1}"#));
        let error = sink.acknowledge(&[]).unwrap_err().to_string();
        assert!(error.contains("/nowhere/state.json"), "{error}");
    }
}
