//! Where objects live: a folder, S3 or memory, behind one small trait.
//!
//! Keys are relative to the destination. Nothing is ever visible half-written: an [`Upload`]
//! appears as a whole when it is finished, or not at all. What every store owes is stated, and
//! tried, by [`conformance`].

pub mod conformance;
mod contract;
mod discarded;
mod local;
mod memory;
pub mod probe;
#[cfg(not(feature = "s3"))]
#[path = "s3/absent.rs"]
mod s3;
#[cfg(feature = "s3")]
mod s3;

use std::sync::Arc;

pub use contract::{Condition, Guard, Judgement, Object, Store, Upload};
pub(crate) use discarded::Discarded;
pub use local::LocalStore;
pub use memory::{Call, CallKind, MemoryStore, Stopped};
pub use s3::bucket;

use crate::aws::Aws;
use crate::error::Result;
use crate::options::Location;
use crate::owner::Presence;

/// Where an object is, for whoever reads of it in any folder: a URL, or a path from the root on.
#[allow(dead_code, reason = "the metadata of Iceberg tables names files so")]
pub(crate) fn address(store: &dyn Store, key: &str) -> String {
    let place = store.locate(key);
    if place.contains(':') {
        return place;
    }
    // What has no working folder has no other way to be named.
    std::path::absolute(&place).map_or(place, |path| path.display().to_string())
}

/// Opens the place of a lake for a run, and removes what dead runs have left there.
pub(crate) fn open(
    location: &Location,
    aws: &Aws,
    run: &str,
) -> Result<(Arc<dyn Store>, Arc<Presence>)> {
    match location {
        Location::S3 { bucket, prefix } => {
            let store = s3::lake(aws, bucket, prefix, run)?;
            let presence = Presence::on_host(&aws.options().temp_dir, run);
            Ok((store, Arc::new(presence)))
        }
        Location::Folder(path) => {
            let store = LocalStore::open(path, run)?;
            let presence = Arc::clone(store.presence());
            Ok((Arc::new(store), presence))
        }
    }
}
