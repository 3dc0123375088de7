//! What every store owes, as a suite that tries it.
//!
//! Tables rest on these promises. Whoever writes a [`Store`] runs [`all`] on an empty one, and has a
//! store when nothing is found:
//!
//! ```
//! use lake::store::{MemoryStore, conformance};
//!
//! let findings = conformance::all(&MemoryStore::new());
//! assert!(findings.is_empty(), "{findings:#?}");
//! ```
//!
//! Each function tries one promise, under keys of its own below `conformance/`, which it removes in
//! the end. The store must be nobody else's meanwhile, except by other functions of the suite.
//! [`lost_answers`] is not among those that [`all`] tries, because a store cannot be made to lose an
//! answer by its own methods; [`shared`] is not, because it needs two stores.

mod conditions;
mod listing;
mod locks;
mod objects;
mod trial;
mod uploads;

pub use conditions::{Answer, conditions, lost_answers, one_winner};
pub use listing::{listing, long_lists};
pub use locks::{locks, shared};
pub use objects::{absent, deleting, old_versions, round_trip, versions};
pub use trial::{Finding, Kept};
pub use uploads::{dropped_uploads, large_uploads, readers, visibility};

use crate::store::contract::Store;

/// A promise: tries it on a store.
pub type Promise = fn(&dyn Store) -> Kept;

/// What can be tried on any store by its own methods.
pub const PROMISES: [Promise; 14] = [
    absent,
    round_trip,
    versions,
    old_versions,
    deleting,
    conditions,
    one_winner,
    visibility,
    readers,
    large_uploads,
    dropped_uploads,
    listing,
    long_lists,
    locks,
];

/// Tries all [`PROMISES`] on an empty store. What it finds broken; nothing, if it is a store.
#[must_use]
pub fn all(store: &dyn Store) -> Vec<Finding> {
    PROMISES.iter().filter_map(|promise| promise(store).err()).collect()
}
