//! Everything that can go wrong, told so that a person knows what to do.

use arrow::error::ArrowError;
use program::report::Exit;
use program::settings::SettingsError;
use protocol::mapping::MapError;

/// An error of the target.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings cannot be read.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A map does not fit its stream.
    #[error(transparent)]
    Map(#[from] MapError),
    /// A setting has a value that does not work.
    #[error("the setting `{key}` is not valid: {reason}")]
    Setting {
        /// Dotted path of the setting.
        key: String,
        /// Why.
        reason: String,
    },
    /// The input could not be read.
    #[error("could not read {name}")]
    Input {
        /// The file, or standard input.
        name: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file of a BATCH message cannot be read.
    #[error("the batch file {file}: {reason}")]
    Batch {
        /// Its URL.
        file: String,
        /// Why.
        reason: String,
    },
    /// A line is no message.
    #[error("line {line} is not a message: {reason}")]
    Line {
        /// Line number, from 1.
        line: u64,
        /// Why.
        reason: String,
    },
    /// A record before its schema.
    #[error(
        "line {line} holds a record of stream `{stream}` before the SCHEMA message of that stream"
    )]
    RecordBeforeSchema {
        /// Line number, from 1.
        line: u64,
        /// The stream.
        stream: String,
    },
    /// A schema that makes no table.
    #[error("line {line}: the schema of stream `{stream}` cannot become a table: {reason}")]
    Schema {
        /// Line number, from 1.
        line: u64,
        /// The stream.
        stream: String,
        /// Why.
        reason: String,
    },
    /// A record without its key.
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
    /// A value that does not fit its column.
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
    /// A record that breaks a rule of its schema.
    #[error("line {line}: a record of stream `{stream}` breaks its schema at `{path}`: {reason}")]
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
    /// The lake refuses something, or does not answer.
    #[error(transparent)]
    Lake(lake::Error),
    /// STATE could not be given back.
    #[error("could not write the state to {name}; the data before it is committed")]
    State {
        /// Where it goes.
        name: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Streams whose replacement is held back.
    #[error("the input ended before {streams} {verb} complete; the old rows stay")]
    Incomplete {
        /// The streams.
        streams: String,
        /// `was` or `were`.
        verb: &'static str,
    },
    /// Streams of which the source has not said that they are complete.
    #[error(
        "the input ended, but the source did not say that these streams are complete: {streams}; rows that a STATE covers are stored, and nothing was replaced"
    )]
    Unfinished {
        /// The streams.
        streams: String,
    },
    /// The file of the configured streams cannot be used.
    #[error("{name} is no valid catalog: {reason}")]
    CatalogFile {
        /// The file.
        name: String,
        /// Why.
        reason: String,
    },
    /// A signal ended the run.
    #[error("stopped by {signal}; what a STATE covered is committed")]
    Stopped {
        /// The signal's name.
        signal: &'static str,
        /// The exit code of that signal.
        exit: Exit,
    },
}

/// Result of the target.
pub type Result<T, E = Error> = std::result::Result<T, E>;

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
    /// The destination or the state does not take what it is given: what is committed is not known.
    Storage,
    /// The catalog does not follow; the data is safe.
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
                | SettingsError::Missing { .. }
                | SettingsError::Invalid { .. },
            )
            | Self::Setting { .. }
            | Self::Input { .. }
            | Self::CatalogFile { .. }
            | Self::Schema { .. }
            | Self::Value { .. }
            | Self::MissingKey { .. }
            | Self::Invalid { .. } => Kind::Setting,
            Self::Map(_)
            | Self::Batch { .. }
            | Self::Line { .. }
            | Self::RecordBeforeSchema { .. } => Kind::Input,
            Self::Unfinished { .. } | Self::Incomplete { .. } => Kind::Transient,
            Self::State { .. } => Kind::Storage,
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
    pub fn exit(&self) -> Exit {
        match self.kind() {
            Kind::Usage => Exit::Usage,
            Kind::Stopped(exit) => exit,
            Kind::Catalog => match self {
                Self::Lake(lake::Error::CatalogBehind { .. }) => Exit::CatalogBehind,
                _ => Exit::Failure,
            },
            Kind::Setting | Kind::Input | Kind::Transient | Kind::Storage | Kind::Internal => {
                Exit::Failure
            }
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Settings(SettingsError::Missing { .. }) => {
                "write it into the --config file, or set TARGET_S3_PARQUET_<SETTING> and pass --config ENV"
            }
            Self::Line { .. } => {
                "the input must be one JSON message a line; is another program printing to the same pipe?"
            }
            Self::RecordBeforeSchema { .. } => {
                "a tap must send the SCHEMA of a stream before its first RECORD"
            }
            Self::MissingKey { .. } => {
                "every record needs its key; set `key_properties` of the stream in `streams`, or [] to append without keys"
            }
            Self::Value { .. } => "set `on_invalid` to `null` to write null and count such values",
            Self::Invalid { .. } => "set `validate_records` to false to check types only",
            Self::Lake(lake::Error::Incompatible { .. }) => {
                "columns widen from int to bigint to double; for any other change load into a new table (`table` in `streams`)"
            }
            Self::Lake(lake::Error::Locked { .. }) => {
                "wait for that run to end; a lock of a run that died is taken over after ten minutes"
            }
            Self::Lake(lake::Error::Conflict { .. }) => {
                "run again: nothing of this run's state was given back for it"
            }
            Self::Lake(lake::Error::Spill { .. }) => {
                "set `temp_dir` to a folder with room and write permission"
            }
            Self::Incomplete { .. } => {
                "run the tap again to the end; overwrite replaces a table only when a STATE follows its records"
            }
            Self::Lake(lake::Error::CatalogBehind { .. }) => {
                "mend that and run again: the next run brings the catalog up, with or without new rows"
            }
            _ => return None,
        })
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
