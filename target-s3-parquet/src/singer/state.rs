//! The newest state of a Singer tap, which goes back once its rows are durable.

use std::io::Write;

use lake::write::journal::{Acknowledged, Receipt};
use serde_json::value::RawValue;

use super::state_file::StateFile;
use crate::error::Error;
use crate::state::{Sink, State, is_empty, unwritten};

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

    fn covering(&self, _: &str) -> Option<&str> {
        self.next()
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
    fn acknowledge(&mut self, held: &[String]) -> Acknowledged<Error> {
        if !held.is_empty() {
            return Acknowledged::Yes;
        }
        let Some(state) = self.pending.take() else { return Acknowledged::Yes };
        let text = state.get().trim();
        if is_empty(text) || self.acknowledged.as_deref() == Some(text) {
            return Acknowledged::Yes;
        }
        if let Some(file) = &mut self.file {
            match file.replace(text) {
                Acknowledged::Yes => {}
                other => return other,
            }
        }
        let line = format!("{text}\n");
        let written = self.stdout.write_all(line.as_bytes()).and_then(|()| self.stdout.flush());
        if let Err(source) = written {
            return match (unwritten(source), &self.file) {
                // The file has it already, and counts.
                (Acknowledged::No(error), Some(_)) => Acknowledged::Unknown(error),
                (outcome, _) => outcome,
            };
        }
        self.acknowledged = Some(text.to_owned());
        Acknowledged::Yes
    }
}

#[cfg(test)]
mod tests {
    use super::super::local_state::LocalState;
    use super::*;
    use crate::testing::Lines;
    use std::io;

    fn local(path: &std::path::Path) -> StateFile {
        StateFile::Local(LocalState::open(path).unwrap())
    }

    fn raw(text: &str) -> State {
        State { text: RawValue::from_string(text.into()).unwrap(), stream: None }
    }

    #[test]
    fn states_come_back_as_they_were_and_empty_ones_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.json");
        let lines = Lines::default();
        let mut sink = StateSink::new(Box::new(lines.clone()), Some(local(&file)));
        for text in ["{}", "{ }", "null", r#"{"b":1.10,"a":12345678901234567890}"#] {
            sink.note(raw(text));
            assert!(matches!(sink.acknowledge(&[]), Acknowledged::Yes));
        }
        sink.note(raw(r#"{"b":1.10,"a":12345678901234567890}"#));
        for _ in 0..2 {
            assert!(matches!(sink.acknowledge(&[]), Acknowledged::Yes));
        }
        let printed = lines.text();
        assert_eq!(printed, "{\"b\":1.10,\"a\":12345678901234567890}\n");
        assert_eq!(std::fs::read_to_string(file).unwrap(), printed);
    }

    #[test]
    fn a_state_file_that_cannot_be_written_is_an_error_that_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("inner/state.json");
        std::fs::create_dir(folder.path().join("inner")).unwrap();
        let mut sink = StateSink::new(Box::new(io::sink()), Some(local(&file)));
        std::fs::remove_dir_all(folder.path().join("inner")).unwrap();
        sink.note(raw(r#"{"a":1}"#));
        let Acknowledged::No(error) = sink.acknowledge(&[]) else { panic!("it has no file") };
        assert!(error.to_string().contains("inner/state.json"), "{error}");
    }
}
