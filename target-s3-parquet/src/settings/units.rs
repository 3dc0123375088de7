//! Units in which sizes are set.

/// Bytes of a mebibyte.
pub(crate) const MIB: usize = 1024 * 1024;
