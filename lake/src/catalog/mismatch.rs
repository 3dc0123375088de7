//! Why a table of the catalog cannot be the lake's.

use std::fmt;

/// In what the catalog and the lake differ so that nothing may be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mismatch {
    /// The table is not in the catalog.
    NoTable,
    /// The table is at another location, or at none.
    Location {
        /// Where it is.
        found: Option<String>,
    },
    /// The table is of another format.
    Format {
        /// Which.
        found: String,
    },
    /// The table has other partition keys.
    Keys {
        /// Those of the catalog.
        found: String,
        /// Those of the lake.
        expected: String,
    },
    /// The table lacks a column of the lake.
    NoColumn {
        /// Its name.
        column: String,
    },
    /// A column has a type that the lake's cannot become one with.
    Column {
        /// Its name.
        column: String,
        /// Its type in the catalog, if it has one.
        found: Option<String>,
        /// Its type in the lake.
        expected: String,
    },
    /// A partition is at another location, or at none.
    Partition {
        /// Its value.
        value: String,
        /// Where it is.
        found: Option<String>,
    },
    /// A partition has not exactly the one value that the lake's have.
    PartitionValues {
        /// Its values.
        found: Vec<String>,
    },
}

const NOWHERE: &str = "no location";

impl fmt::Display for Mismatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTable => formatter.write_str("it is not there"),
            Self::Location { found } => {
                let found = found.as_deref().unwrap_or(NOWHERE);
                write!(formatter, "it is at {found}, another place than the lake's table")
            }
            Self::Format { found } => {
                write!(formatter, "it is registered as {found}, not as Parquet")
            }
            Self::Keys { found, expected } => {
                write!(formatter, "it is partitioned by {found}, the lake's table by {expected}")
            }
            Self::NoColumn { column } => write!(formatter, "it has no column `{column}`"),
            Self::Column { column, found, expected } => {
                let found = found.as_deref().unwrap_or("without a type");
                write!(formatter, "its column `{column}` is {found}, and {expected} in the lake")
            }
            Self::Partition { value, found } => {
                let found = found.as_deref().unwrap_or(NOWHERE);
                write!(
                    formatter,
                    "its partition `{value}` is at {found}, another place than the lake's"
                )
            }
            Self::PartitionValues { found } => {
                write!(formatter, "it has a partition of the values {found:?}, not of one value")
            }
        }
    }
}
