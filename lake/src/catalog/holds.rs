//! Which tables of a lake a database holds.
//!
//! Where there is a database for personal data, whoever may read the other one sees none of it: on
//! an external schema Redshift grants all tables or none
//! (<https://docs.aws.amazon.com/redshift/latest/dg/r_GRANT.html>).

use crate::table::Definition;

/// Which tables of a lake a database holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    /// All: it is the only database.
    All,
    /// Those without personal columns.
    Shared,
    /// Those with a personal column.
    Personal,
}

impl Holds {
    /// Whether it holds a table.
    pub(super) fn has(self, table: &Definition) -> bool {
        match self {
            Self::All => true,
            Self::Shared => !table.is_personal(),
            Self::Personal => table.is_personal(),
        }
    }
}
