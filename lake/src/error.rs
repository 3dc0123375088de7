//! What can go wrong with a lake.

use std::error::Error as StdError;

use arrow::error::ArrowError;

/// An error of a lake. What caused it is its source, never part of its text.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An option has a value that does not work.
    #[error("the option `{name}` is not valid: {reason}")]
    Option {
        /// Name of the option.
        name: &'static str,
        /// What is wrong with it, and what belongs there.
        reason: String,
    },
    /// What is asked for is no part of this program.
    #[error("this program was built without {what}")]
    Absent {
        /// What it is.
        what: &'static str,
        /// The feature that brings it.
        feature: &'static str,
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
        /// Dotted name of the column.
        column: String,
        /// Type in the lake.
        old: String,
        /// Type of the schema.
        new: String,
    },
    /// A table that was made with other rules, or that cannot be made.
    #[error("table `{table}`: {reason}")]
    Table {
        /// The table.
        table: String,
        /// What stands against it, and what to do.
        reason: String,
    },
    /// The store refused something.
    #[error("could not {action} {object}")]
    Store {
        /// What was tried.
        action: &'static str,
        /// The object or path.
        object: String,
        /// What the store said.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// An object changed while it was being replaced.
    #[error("{object} was changed by another writer")]
    Conflict {
        /// The object.
        object: String,
    },
    /// The store does not judge the conditions of writes as S3 does.
    #[error("{object}: {fault}")]
    Conditions {
        /// The object that was written, or the place of the lake.
        object: String,
        /// What it does instead.
        fault: ConditionFault,
    },
    /// Another run of the same pipeline has taken over, and this one must not go on.
    #[error(
        "another run that keeps its state in the same place has taken over; nothing of what is open is acknowledged"
    )]
    Superseded {
        /// This run.
        run: String,
    },
    /// An object has columns that the definition of its table does not know, or wider ones: they would be lost.
    #[error(
        "{object} has columns that the definition of its table does not know, or wider ones; another run has \
         given them to it meanwhile, so run again; if that does not help, the definition below _lake/tables was \
         replaced by an older one"
    )]
    Newer {
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
    /// Parquet refused to write or read a file.
    #[error("could not {action} {object}")]
    Parquet {
        /// What was tried.
        action: &'static str,
        /// The object.
        object: String,
        /// What Parquet said.
        #[source]
        source: parquet::errors::ParquetError,
    },
    /// Temporary files failed.
    #[error("could not {action} the temporary file {path}")]
    Spill {
        /// What was tried.
        action: &'static str,
        /// Its path, or that of its folder.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Something in the Glue Data Catalog is not as it must be, or Glue refused a request for it.
    #[error("{object}: {reason}")]
    Catalog {
        /// Its ARN.
        object: String,
        /// What is wrong with it, or what Glue said.
        reason: String,
        /// What the SDK said, where Glue said nothing.
        #[source]
        source: Option<Box<dyn StdError + Send + Sync>>,
    },
    /// Glue answers no request.
    #[error("the Glue Data Catalog cannot be reached: {reason}")]
    CatalogUnreachable {
        /// Which request it did not answer, or what it said to the credentials.
        reason: String,
        /// What the SDK said, where Glue said nothing.
        #[source]
        source: Option<Box<dyn StdError + Send + Sync>>,
    },
    /// The data is safe, but the catalog does not know all of it.
    #[error(
        "the data is committed and its state has been given back, but the catalog is behind: {tables}"
    )]
    CatalogBehind {
        /// The tables.
        tables: String,
        /// What kept the catalog from being brought up to date.
        #[source]
        source: Box<Self>,
    },
    /// The run was asked to stop while it waited.
    #[error("stopped while waiting for {what}")]
    Interrupted {
        /// What it waited for.
        what: String,
    },
    /// Something that must hold does not: a fault of this program.
    #[error("internal error: {expected}; please report it")]
    Internal {
        /// What should have been, and what was found.
        expected: String,
        /// What broke it, where something else did.
        #[source]
        source: Option<Box<dyn StdError + Send + Sync>>,
    },
}

/// What a store does in place of judging the condition of a write as S3 does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConditionFault {
    /// It refuses a write whose condition holds.
    #[error(
        "the server refuses to replace it only if unchanged (If-Match), although it is unchanged; it does not \
         compare If-Match as S3 does"
    )]
    Refused,
    /// What was found where each condition was tried.
    #[error("the server does not keep the conditions of writes as S3 does: {0}")]
    Tried(String),
}

/// Result of a lake.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What an error means for whoever has to act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Options, a schema or a table that do not fit each other: the same again fails again.
    Setting,
    /// Someone else was faster, or holds what is needed: the same again may succeed.
    Contention,
    /// The store or the temporary files do not do what they must. What is committed is not known.
    Storage,
    /// The catalog does not follow; the data is safe.
    Catalog,
    /// The run was asked to stop.
    Interrupted,
    /// A fault of this program, or a file that is none of Parquet's.
    Internal,
}

impl Error {
    /// What it means for whoever has to act on it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Option { .. }
            | Self::Absent { .. }
            | Self::Incompatible { .. }
            | Self::Table { .. }
            | Self::Conditions { .. } => Kind::Setting,
            Self::Conflict { .. }
            | Self::Newer { .. }
            | Self::Superseded { .. }
            | Self::Locked { .. } => Kind::Contention,
            Self::Store { .. } | Self::Spill { .. } => Kind::Storage,
            Self::Catalog { .. } | Self::CatalogUnreachable { .. } | Self::CatalogBehind { .. } => {
                Kind::Catalog
            }
            Self::Interrupted { .. } => Kind::Interrupted,
            Self::Parquet { .. } | Self::Internal { .. } => Kind::Internal,
        }
    }

    /// Wraps a failure of the store.
    pub fn store(
        action: &'static str,
        object: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::Store { action, object: object.into(), source: source.into() }
    }

    /// An invariant does not hold. `expected` says which, and what was found in its place.
    pub fn internal(expected: impl Into<String>) -> Self {
        Self::Internal { expected: expected.into(), source: None }
    }

    /// Something failed that cannot fail unless an invariant is broken.
    pub fn broken(
        expected: &'static str,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::Internal { expected: expected.into(), source: Some(source.into()) }
    }

    /// A computation on columns failed, which none should.
    pub(crate) fn arrow(source: ArrowError) -> Self {
        Self::broken("columns of one table can be computed with", source)
    }

    /// The error with its causes, in one line of the log.
    #[cfg(any(feature = "glue", feature = "iceberg"))]
    pub(crate) fn with_causes(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(inner) = cause {
            text.push_str(": ");
            text.push_str(&inner.to_string());
            cause = inner.source();
        }
        text
    }
}
