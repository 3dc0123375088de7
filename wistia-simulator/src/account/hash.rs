//! Numbers that depend on nothing but what they are made from.

use std::hash::{DefaultHasher, Hash, Hasher};

/// The number of these parts.
pub(super) fn hash(parts: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}
