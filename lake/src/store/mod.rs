//! Where objects live: a folder or S3, behind one small trait.
//!
//! Keys are relative to the destination. Nothing is ever visible half-written: an [`Upload`]
//! appears as a whole when it is finished, or not at all.

mod local;
mod s3;

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

pub use local::LocalStore;
pub use s3::S3Store;

use crate::error::{Error, Result};
use crate::options::{Location, Options};

/// An object that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Key below the destination.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// Changes whenever the object does: an `ETag`, or what a file system has in its place.
    pub version: String,
}

/// When a write may replace what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Whatever is there.
    Always,
    /// Only if nothing is there.
    Absent,
    /// Only if this version is there.
    Unchanged(String),
}

impl Condition {
    /// The condition that what was read is still there.
    pub fn still(object: Option<&Object>) -> Self {
        object.map_or(Self::Absent, |object| Self::Unchanged(object.version.clone()))
    }
}

/// An object being written. Dropping it takes everything back.
pub trait Upload: Write + Send {
    /// Makes the object visible and durable. [`Error::Conflict`] when its condition does not hold.
    fn finish(self: Box<Self>) -> Result<Object>;
}

/// A lock that is held until it is dropped.
pub trait Guard: Send + std::fmt::Debug {}

/// A place for objects.
pub trait Store: Send + Sync + std::fmt::Debug {
    /// Looks an object up.
    fn head(&self, key: &str) -> Result<Option<Object>>;

    /// Reads a small object whole.
    fn get(&self, key: &str) -> Result<Option<(Object, Vec<u8>)>>;

    /// An object as a file to read from anywhere; [`Error::Conflict`] when it is another version
    /// by now.
    fn fetch(&self, object: &Object) -> Result<File>;

    /// Begins to write an object.
    fn create(&self, key: &str, condition: Condition) -> Result<Box<dyn Upload>>;

    /// All objects whose keys start with `prefix`.
    fn list(&self, prefix: &str) -> Result<Vec<Object>>;

    /// Removes an object; it is no error when it is gone already.
    fn delete(&self, key: &str) -> Result<()>;

    /// Keeps other writers from a table while it is committed, where conditions cannot.
    fn lock(&self, table: &str) -> Result<Option<Box<dyn Guard>>>;

    /// The key as a person knows it: a URL or a path.
    fn locate(&self, key: &str) -> String;

    /// Writes a small object.
    fn put(&self, key: &str, bytes: &[u8], condition: Condition) -> Result<Object> {
        let mut upload = self.create(key, condition)?;
        upload.write_all(bytes).map_err(|error| Error::store("write", self.locate(key), error))?;
        upload.finish()
    }
}

/// Opens the place of a lake, and removes what dead runs have left there.
pub fn open(location: &Location, options: &Options, run: &str) -> Result<Arc<dyn Store>> {
    match location {
        Location::S3 { bucket, prefix } => {
            let store = S3Store::open(bucket, prefix, options, run)?;
            store.remove_leftovers();
            Ok(Arc::new(store))
        }
        Location::Folder(path) => Ok(Arc::new(LocalStore::open(path, run)?)),
    }
}
