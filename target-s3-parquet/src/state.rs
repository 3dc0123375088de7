//! Giving STATE back: to stdout, and to `--state-out`.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lake::Options;
use lake::store::{Condition, Object, S3Store, Store};
use lake::write::journal::Receipt;
use serde_json::value::RawValue;

use crate::error::{Error, Result};
use crate::input::State;

/// Where the newest state is kept.
#[derive(Debug)]
pub enum StateFile {
    /// In a file.
    Local(PathBuf),
    /// In an object on S3.
    S3 {
        /// The bucket.
        bucket: Arc<dyn Store>,
        /// The object's key in it.
        key: String,
        /// The object as it was found, or as this run left it.
        known: Option<Object>,
    },
}

impl StateFile {
    /// The place of that name: a path, or `s3://bucket/key`.
    pub fn open(name: &str, options: &Options, run: &str) -> Result<Self> {
        match lake::s3_address(name) {
            None => Ok(Self::Local(name.into())),
            Some((_, "")) => {
                let reason = "it names no object; write s3://bucket/key";
                Err(Error::Setting { key: "--state-out".into(), reason: reason.into() })
            }
            Some((bucket, key)) => {
                let bucket: Arc<dyn Store> = Arc::new(S3Store::open(bucket, "", options, run)?);
                let known = bucket.head(key)?;
                Ok(Self::S3 { bucket, key: key.to_owned(), known })
            }
        }
    }

    /// Replaces what is kept there. On S3 only if no other run did so meanwhile: two that take turns
    /// would each take the other's progress back.
    fn replace(&mut self, text: &str) -> Result<()> {
        match self {
            Self::Local(path) => replace(path, text)
                .map_err(|source| Error::State { name: path.display().to_string(), source }),
            Self::S3 { bucket, key, known } => {
                let text = format!("{text}\n");
                let condition = Condition::still(known.as_ref());
                *known = Some(bucket.put(key, text.as_bytes(), condition)?);
                Ok(())
            }
        }
    }
}

impl Receipt for StateFile {
    fn newest(&self) -> lake::Result<Option<Vec<u8>>> {
        match self {
            Self::Local(path) => match std::fs::read(path) {
                Ok(text) => Ok(Some(text)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(lake::Error::store("read", path.display().to_string(), error)),
            },
            Self::S3 { bucket, key, .. } => Ok(bucket.get(key)?.map(|(_, text)| text)),
        }
    }
}

/// Where states go once the rows before them are durable.
pub trait Sink: std::fmt::Debug {
    /// Rows of a stream came in; others were left out for good.
    fn count(&mut self, stream: &str, rows: u64, rejected: u64);

    /// Notes a state.
    fn note(&mut self, state: State);

    /// Whether a state waits that can be given back when the rows of all streams but the `held` ones
    /// are durable.
    fn is_pending(&self, held: &[String]) -> bool;

    /// Whether so much waits that it should be given back soon.
    fn is_full(&self) -> bool;

    /// The state that is given back next.
    fn pending(&self) -> Option<&str>;

    /// The file that holds the newest state.
    fn file(&self) -> Option<&StateFile>;

    /// The rows of all streams but the `held` ones are durable: gives their states back.
    fn acknowledge(&mut self, held: &[String]) -> Result<()>;
}

/// Gives back the newest state of a Singer tap.
pub struct StateSink {
    stdout: Box<dyn Write + Send>,
    file: Option<StateFile>,
    pending: Option<Box<RawValue>>,
    given: Option<String>,
}

impl std::fmt::Debug for StateSink {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("StateSink").field("file", &self.file).finish_non_exhaustive()
    }
}

impl StateSink {
    /// A sink to `stdout` and, if wanted, to a file that always holds the newest state.
    pub fn new(stdout: Box<dyn Write + Send>, file: Option<StateFile>) -> Self {
        Self { stdout, file, pending: None, given: None }
    }
}

impl Sink for StateSink {
    fn count(&mut self, _: &str, _: u64, _: u64) {}

    /// Only the newest state that is durable counts, so it replaces one that waits.
    fn note(&mut self, state: State) {
        self.pending = Some(state.text);
    }

    fn pending(&self) -> Option<&str> {
        self.pending.as_ref().map(|state| state.get().trim())
    }

    fn file(&self) -> Option<&StateFile> {
        self.file.as_ref()
    }

    fn is_pending(&self, held: &[String]) -> bool {
        self.pending.is_some() && held.is_empty()
    }

    fn is_full(&self) -> bool {
        false
    }

    /// Gives the state back byte for byte as it came. An empty state is kept back, because runners
    /// would store it and start afresh; so is one that was given last.
    fn acknowledge(&mut self, held: &[String]) -> Result<()> {
        if !held.is_empty() {
            return Ok(());
        }
        let Some(state) = self.pending.take() else { return Ok(()) };
        let text = state.get().trim();
        let is_empty = matches!(text, "{}" | "null" | "\"\"" | "[]")
            || text
                .strip_prefix('{')
                .and_then(|rest| rest.strip_suffix('}'))
                .is_some_and(|inner| inner.trim().is_empty());
        if is_empty || self.given.as_deref() == Some(text) {
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
        self.given = Some(text.to_owned());
        Ok(())
    }
}

/// Replaces a file atomically: whoever reads it finds the old text or the new one.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// An output whose text can be looked at.
    #[derive(Clone, Default)]
    pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Lines {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

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
    fn a_state_that_cannot_be_read_is_not_taken_for_none() {
        let folder = tempfile::tempdir().unwrap();
        assert!(StateFile::Local(folder.path().into()).newest().is_err());
        assert!(StateFile::Local(folder.path().join("none")).newest().unwrap().is_none());
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
