//! Where a property is in a record.

/// Nesting beyond this is not looked into.
pub(super) const MAX_DEPTH: usize = 64;

/// The path of a property below the record.
pub type Path = Vec<String>;
