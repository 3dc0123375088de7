//! Everything that can go wrong, in words by which a person knows what to do.

mod hint;

use arrow::error::ArrowError;
use program::report::Exit;
use program::settings::SettingsError;
use protocol::mapping::MapError;

/// An error of the target. Its text says what was tried and with which thing; what caused it is its
/// source where that says more than the text.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The settings must be JSON objects or variables of the environment, and of their types.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A map must fit the schema of its stream.
    #[error(transparent)]
    Map(#[from] MapError),
    /// A setting must have a value that works together with the others.
    #[error("the setting `{key}` is not valid: {reason}")]
    Setting {
        /// Dotted path of the setting.
        key: String,
        /// What is wrong with it, and what belongs there.
        reason: String,
    },
    /// The tables of a lake must hold what they promise.
    #[error("the check found {faults} in {tables}; the report names them")]
    Unproven {
        /// How many, in words.
        faults: String,
        /// The tables.
        tables: String,
    },
    /// Standard input, the files that the command line names and standard output must be usable.
    #[error("could not read {name}")]
    Input {
        /// The file, or which standard stream.
        name: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The files of a BATCH message must be there and hold records of its stream.
    #[error("the batch file {file}: {reason}")]
    Batch {
        /// Its URL.
        file: String,
        /// What is wrong with it, and in which line.
        reason: String,
    },
    /// Every line must be a message: UTF-8, JSON, and with the keys of its type.
    #[error("line {line} is not a message: {reason}")]
    Line {
        /// Line number, from 1.
        line: u64,
        /// What is missing or found in its place.
        reason: String,
    },
    /// A stream must have its schema before its first record.
    #[error(
        "line {line} holds a record of stream `{stream}` before the SCHEMA message of that stream"
    )]
    RecordBeforeSchema {
        /// Line number, from 1.
        line: u64,
        /// The stream.
        stream: String,
    },
    /// A schema must describe objects with properties, its keys among them.
    #[error("line {line}: the schema of stream `{stream}` cannot become a table: {reason}")]
    Schema {
        /// Line number, from 1.
        line: u64,
        /// The stream.
        stream: String,
        /// What it lacks.
        reason: String,
    },
    /// A record must have a value for each of its keys.
    #[error(
        "line {line}: a record of stream `{stream}` has no value for its key property `{column}` (key_properties)"
    )]
    MissingKey {
        /// Line number, from 1.
        line: u64,
        /// The stream.
        stream: String,
        /// The key column.
        column: String,
    },
    /// A value must fit its column, unless `on_invalid` makes it null.
    #[error("line {line}: stream `{stream}`, column `{column}`: {value} is not {expected}")]
    Value {
        /// Line number, from 1.
        line: u64,
        /// The stream.
        stream: String,
        /// Dotted path of the column.
        column: String,
        /// The value, shortened.
        value: String,
        /// What belongs there.
        expected: String,
    },
    /// With `validate_records`, a record must keep every rule of its schema.
    #[error(
        "line {line}: a record of stream `{stream}` breaks its schema at {}: {reason}",
        place(path)
    )]
    Invalid {
        /// Line number, from 1.
        line: u64,
        /// The stream.
        stream: String,
        /// Path in the record.
        path: String,
        /// The rule.
        reason: String,
    },
    /// There is less memory than the tables take whatever is done.
    #[error(
        "`memory_mb` is {given}, and {streams} streams of up to {columns} columns take about {least}"
    )]
    Memory {
        /// The setting.
        given: usize,
        /// Streams so far.
        streams: usize,
        /// Columns of the widest.
        columns: usize,
        /// What it must be at least.
        least: usize,
    },
    /// The lake refuses something, does not answer, or an invariant is broken.
    #[error(transparent)]
    Lake(lake::Error),
    /// A state whose rows are durable must reach whoever waits for it.
    #[error("could not write the state to {name}; the data before it is committed")]
    State {
        /// Where it goes.
        name: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A table is replaced only when a state stands behind the records of its stream.
    #[error("the input ended before {streams} {verb} complete; the old rows stay")]
    Incomplete {
        /// The streams.
        streams: String,
        /// `was` or `were`.
        verb: &'static str,
    },
    /// Appended rows are shown only when a state stands behind them.
    #[error(
        "the input ended behind the last STATE: rows of {streams} that none covers are left out; they come again"
    )]
    Uncovered {
        /// The streams.
        streams: String,
    },
    /// Where the source says of its streams that they are complete, it must say it of all.
    #[error(
        "the input ended, but the source did not say that these streams are complete: {streams}; rows that a STATE covers are stored, and nothing was replaced"
    )]
    Unfinished {
        /// The streams.
        streams: String,
    },
    /// The configured streams must have names, sync modes and keys that this program can write.
    #[error("{name} is no valid catalog: {reason}")]
    CatalogFile {
        /// The file.
        name: String,
        /// What is wrong, and with which stream.
        reason: String,
    },
    /// A run ends at the end of its input, not by a signal.
    #[error("stopped by {signal}; what a STATE covered is committed")]
    Stopped {
        /// The signal's name.
        signal: &'static str,
        /// The exit code of that signal.
        exit: Exit,
    },
}

/// A place in a record.
fn place(path: &str) -> String {
    if path.is_empty() { "the record itself".into() } else { format!("`{path}`") }
}

/// Result of the target.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

impl From<lake::Error> for Error {
    fn from(error: lake::Error) -> Self {
        match error {
            // The options of the lake are settings here, and called alike.
            lake::Error::Option { name, reason } => Self::Setting { key: name.into(), reason },
            other => Self::Lake(other),
        }
    }
}

/// What an error means for whoever has to act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The command line, or a file that it names.
    Usage,
    /// Settings, a catalog of streams, a schema or a value that do not fit each other.
    Setting,
    /// What came in is no protocol, or breaks off where it must not.
    Input,
    /// The source did not say that all streams are complete, or someone else was faster. The same
    /// again may succeed.
    Transient,
    /// The destination or the state does not take what it must: what is committed is not known.
    Storage,
    /// The catalog is behind; the data is safe.
    Catalog,
    /// A signal.
    Stopped(Exit),
    /// A fault of this program.
    Internal,
}

impl Error {
    /// What it means for whoever has to act on it.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Settings(SettingsError::Unreadable { .. }) => Kind::Usage,
            Self::Settings(
                SettingsError::Syntax { .. }
                | SettingsError::NotAnObject { .. }
                | SettingsError::NotOneFile
                | SettingsError::Missing { .. }
                | SettingsError::Invalid { .. },
            )
            | Self::Setting { .. }
            | Self::Input { .. }
            | Self::CatalogFile { .. }
            | Self::Schema { .. }
            | Self::Value { .. }
            | Self::MissingKey { .. }
            | Self::Invalid { .. }
            | Self::Memory { .. } => Kind::Setting,
            Self::Map(_)
            | Self::Batch { .. }
            | Self::Line { .. }
            | Self::RecordBeforeSchema { .. } => Kind::Input,
            Self::Unfinished { .. } | Self::Incomplete { .. } | Self::Uncovered { .. } => {
                Kind::Transient
            }
            Self::State { .. } | Self::Unproven { .. } => Kind::Storage,
            Self::Stopped { exit, .. } => Kind::Stopped(*exit),
            Self::Lake(error) => match error.kind() {
                lake::Kind::Setting => Kind::Setting,
                lake::Kind::Contention | lake::Kind::Interrupted => Kind::Transient,
                lake::Kind::Storage => Kind::Storage,
                lake::Kind::Catalog => Kind::Catalog,
                lake::Kind::Internal => Kind::Internal,
            },
        }
    }

    /// How a run that ends by this error exits.
    pub(crate) fn exit(&self) -> Exit {
        match self.kind() {
            Kind::Usage => Exit::Usage,
            Kind::Stopped(exit) => exit,
            Kind::Catalog if matches!(self, Self::Lake(lake::Error::CatalogBehind { .. })) => {
                Exit::CatalogBehind
            }
            Kind::Catalog
            | Kind::Setting
            | Kind::Input
            | Kind::Transient
            | Kind::Storage
            | Kind::Internal => Exit::Failure,
        }
    }

    /// The error as that of a file of records: what is wrong with a record is wrong with its file.
    pub(crate) fn in_batch(self, file: &str) -> Self {
        match self.kind() {
            Kind::Input | Kind::Setting => {
                Self::Batch { file: file.to_owned(), reason: self.to_string() }
            }
            Kind::Usage
            | Kind::Transient
            | Kind::Storage
            | Kind::Catalog
            | Kind::Stopped(_)
            | Kind::Internal => self,
        }
    }

    /// An invariant does not hold. `expected` says which, and what was found in its place.
    pub(crate) fn internal(expected: impl Into<String>) -> Self {
        Self::Lake(lake::Error::internal(expected))
    }

    /// Something failed that cannot fail unless an invariant is broken.
    pub(crate) fn broken(
        expected: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Lake(lake::Error::broken(expected, source))
    }

    /// A computation on columns failed, which none should.
    pub(crate) fn arrow(source: ArrowError) -> Self {
        Self::broken("columns of one stream can be computed with", source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    fn io() -> std::io::Error {
        std::io::Error::other("the disk")
    }

    fn text() -> String {
        "x".into()
    }

    /// Every variant, with its kind and the exit code of a run that ends by it.
    fn table() -> Vec<(Error, Kind, Exit)> {
        use Kind::{Input, Internal, Setting, Stopped, Storage, Transient, Usage};
        let failed = |error, kind| (error, kind, Exit::Failure);
        let settings = |error| Error::Settings(error);
        vec![
            (
                settings(SettingsError::Unreadable { name: text(), source: io() }),
                Usage,
                Exit::Usage,
            ),
            failed(Error::Setting { key: text(), reason: text() }, Setting),
            failed(Error::Map(MapError::Setting { key: text(), reason: text() }), Input),
            failed(Error::Input { name: text(), source: io() }, Setting),
            failed(Error::Batch { file: text(), reason: text() }, Input),
            failed(Error::Line { line: 1, reason: text() }, Input),
            failed(Error::RecordBeforeSchema { line: 1, stream: text() }, Input),
            failed(Error::Schema { line: 1, stream: text(), reason: text() }, Setting),
            failed(Error::MissingKey { line: 1, stream: text(), column: text() }, Setting),
            failed(
                Error::Value {
                    line: 1,
                    stream: text(),
                    column: text(),
                    value: text(),
                    expected: text(),
                },
                Setting,
            ),
            failed(
                Error::Invalid { line: 1, stream: text(), path: text(), reason: text() },
                Setting,
            ),
            failed(Error::Memory { given: 32, streams: 1, columns: 9000, least: 400 }, Setting),
            failed(Error::State { name: text(), source: io() }, Storage),
            failed(Error::Incomplete { streams: text(), verb: "was" }, Transient),
            failed(Error::Unfinished { streams: text() }, Transient),
            failed(Error::CatalogFile { name: text(), reason: text() }, Setting),
            (
                Error::Stopped { signal: "SIGINT", exit: Exit::Interrupted },
                Stopped(Exit::Interrupted),
                Exit::Interrupted,
            ),
            (
                Error::Stopped { signal: "SIGTERM", exit: Exit::Terminated },
                Stopped(Exit::Terminated),
                Exit::Terminated,
            ),
            failed(lake::Error::Conflict { object: text() }.into(), Transient),
            failed(lake::Error::Locked { table: text(), owner: text() }.into(), Transient),
            failed(lake::Error::Interrupted { what: text() }.into(), Transient),
            failed(lake::Error::Table { table: text(), reason: text() }.into(), Setting),
            failed(lake::Error::Option { name: "x", reason: text() }.into(), Setting),
            failed(lake::Error::Absent { what: "S3", feature: "s3" }.into(), Setting),
            failed(
                lake::Error::Conditions { object: text(), fault: lake::ConditionFault::Refused }
                    .into(),
                Setting,
            ),
            failed(lake::Error::store("read", "x", "no answer").into(), Storage),
            failed(
                lake::Error::Spill { action: "write", path: text(), source: io() }.into(),
                Storage,
            ),
            failed(
                lake::Error::Catalog { object: text(), reason: text(), source: None }.into(),
                Kind::Catalog,
            ),
            (
                lake::Error::CatalogBehind {
                    tables: text(),
                    source: Box::new(lake::Error::internal("x")),
                }
                .into(),
                Kind::Catalog,
                Exit::CatalogBehind,
            ),
            failed(Error::internal("x"), Internal),
            failed(Error::broken("x", "y"), Internal),
        ]
    }

    #[test]
    fn every_error_has_its_kind_and_its_exit_code() {
        for (error, kind, exit) in table() {
            assert_eq!((error.kind(), error.exit()), (kind, exit), "{error:?}");
        }
    }

    #[test]
    fn an_option_of_the_lake_is_a_setting_of_that_name() {
        let error = Error::from(lake::Error::Option { name: "destination", reason: text() });
        assert_eq!(error.to_string(), "the setting `destination` is not valid: x");
    }

    #[test]
    fn what_is_wrong_with_a_record_is_wrong_with_its_file_and_what_is_not_stays_itself() {
        for (error, kind, _) in table() {
            let own = error.to_string();
            let in_batch = error.in_batch("f.jsonl");
            match kind {
                Kind::Input | Kind::Setting => {
                    assert_eq!(in_batch.to_string(), format!("the batch file f.jsonl: {own}"));
                }
                Kind::Usage
                | Kind::Transient
                | Kind::Storage
                | Kind::Catalog
                | Kind::Stopped(_)
                | Kind::Internal => assert_eq!(in_batch.to_string(), own),
            }
        }
    }

    #[test]
    fn what_broke_an_invariant_is_its_source_and_not_in_its_text() {
        let error = Error::broken("a thing holds", io());
        assert_eq!(error.to_string(), "internal error: a thing holds; please report it");
        assert_eq!(error.source().unwrap().to_string(), "the disk");
        let error = Error::State { name: "f".into(), source: io() };
        assert!(!error.to_string().contains("the disk"));
        assert!(error.source().is_some());
    }

    #[test]
    fn hints_say_what_to_do_and_only_where_the_text_does_not() {
        let hint = |error: Error| error.hint();
        assert!(hint(Error::Line { line: 1, reason: text() }).unwrap().contains("JSON"));
        assert!(hint(lake::Error::Conflict { object: text() }.into()).unwrap().contains("again"));
        assert!(hint(Error::Setting { key: text(), reason: text() }).is_none());
        assert!(hint(Error::internal("x")).is_none());
    }
}
