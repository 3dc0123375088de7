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
    /// A schema that the table cannot take.
    #[error(
        "stream `{stream}`: column `{column}` is {old} in table `{table}` and {new} in the schema"
    )]
    Incompatible {
        /// The stream.
        stream: String,
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// Type in the lake.
        old: String,
        /// Type of the schema.
        new: String,
    },
    /// A table that was made with other rules.
    #[error("table `{table}`: {reason}")]
    Table {
        /// The table.
        table: String,
        /// Why.
        reason: String,
    },
    /// The destination refused something.
    #[error("could not {action} {object}")]
    Store {
        /// What was tried.
        action: &'static str,
        /// The object or path.
        object: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An object changed while it was being replaced.
    #[error("{object} was changed by another writer")]
    Conflict {
        /// The object.
        object: String,
    },
    /// Another run holds the table.
    #[error("table `{table}` is locked by {owner}")]
    Locked {
        /// The table.
        table: String,
        /// Who holds the lock, and since when.
        owner: String,
    },
    /// Parquet or Arrow refused.
    #[error("could not {action} {object}")]
    Parquet {
        /// What was tried.
        action: &'static str,
        /// The object.
        object: String,
        /// Why.
        #[source]
        source: parquet::errors::ParquetError,
    },
    /// Temporary files failed.
    #[error("could not {action} the temporary file {path}")]
    Spill {
        /// What was tried.
        action: &'static str,
        /// Its path.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
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
    /// Something in the Glue Data Catalog is not as it must be, or Glue refused a request for it.
    #[error("{object}: {reason}")]
    Catalog {
        /// Its ARN.
        object: String,
        /// Why.
        reason: String,
    },
    /// Glue answers no request.
    #[error("the Glue Data Catalog cannot be reached: {reason}")]
    CatalogUnreachable {
        /// Why.
        reason: String,
    },
    /// The data is safe, but the catalog does not know all of it.
    #[error(
        "the data is committed and its state has been given back, but the catalog is behind: {tables}"
    )]
    CatalogBehind {
        /// The tables.
        tables: String,
        /// Why.
        #[source]
        source: Box<Self>,
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
    /// A thread of ours died.
    #[error("internal error: {0}; please report it")]
    Internal(String),
}

/// Result of the target.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A computation on columns failed, which none should.
    #[expect(clippy::needless_pass_by_value, reason = "it is handed to `map_err`")]
    pub(crate) fn arrow(error: ArrowError) -> Self {
        Self::Internal(error.to_string())
    }

    /// How a run that ends by this error exits.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Stopped { exit, .. } => *exit,
            Self::CatalogBehind { .. } => Exit::CatalogBehind,
            Self::Settings(SettingsError::Unreadable { .. }) => Exit::Usage,
            _ => Exit::Failure,
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
            Self::Incompatible { .. } => {
                "columns widen from int to bigint to double; for any other change load into a new table (`table` in `streams`)"
            }
            Self::Locked { .. } => {
                "wait for that run to end; a lock of a run that died is taken over after ten minutes"
            }
            Self::Conflict { .. } => "run again: nothing of this run's state was given back for it",
            Self::Spill { .. } => "set `temp_dir` to a folder with room and write permission",
            Self::Incomplete { .. } => {
                "run the tap again to the end; overwrite replaces a table only when a STATE follows its records"
            }
            Self::CatalogBehind { .. } => {
                "mend that and run again: the next run brings the catalog up, with or without new rows"
            }
            _ => return None,
        })
    }

    /// Wraps a failure of the destination.
    pub fn store(
        action: &'static str,
        object: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Store { action, object: object.into(), source: source.into() }
    }
}
