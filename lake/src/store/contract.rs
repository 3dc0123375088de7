//! What a store is: objects under keys, writes with conditions, and locks where conditions are not
//! enough.
//!
//! The words here are made exact by [`conformance`](crate::store::conformance), which tries each
//! promise on a store.

use std::fs::File;
use std::io::Write;
use std::time::SystemTime;

use crate::error::{Error, Result};

/// An object that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Key below the destination.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// Two objects of a key with the same version have the same bytes: an `ETag`, or what a file
    /// system has in its place. The same bytes written again may keep it, because the `ETag` of S3
    /// is of the content alone
    /// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html>).
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

/// What is known of how a store judges conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// It is the lake's own, or documented.
    Known,
    /// It is that of a server of which nothing is known:
    /// [`ensure`](crate::store::probe::ensure) tries it.
    Untried,
    /// It is not asked for: one run at a time is all that writes.
    OneWriter,
}

/// An object being written. Dropping it takes everything back.
pub trait Upload: Write + Send {
    /// All bytes are written, and the object is about to wait for others. What can be done before it
    /// becomes visible is done now, and it takes neither memory nor an open file until then.
    fn hold(&mut self) -> Result<()> {
        Ok(())
    }

    /// Makes the object visible and durable. [`Error::Conflict`] when its condition does not hold.
    ///
    /// Of several uploads that finish at one instant under conditions that exclude each other,
    /// exactly one succeeds.
    fn finish(self: Box<Self>) -> Result<Object>;
}

/// A lock that is held until it is dropped.
pub trait Guard: Send + std::fmt::Debug {}

/// A place for objects. What it owes is what [`conformance`](crate::store::conformance) tries.
pub trait Store: Send + Sync + std::fmt::Debug {
    /// Looks an object up.
    fn head(&self, key: &str) -> Result<Option<Object>>;

    /// Reads a small object whole. The bytes are those of the version that comes with them.
    fn get(&self, key: &str) -> Result<Option<(Object, Vec<u8>)>>;

    /// An object as a file to read from anywhere; [`Error::Conflict`] when it is another version
    /// by now, or gone.
    fn fetch(&self, object: &Object) -> Result<File>;

    /// Begins to write an object. Nobody sees anything of it before it is finished.
    fn create(&self, key: &str, condition: Condition) -> Result<Box<dyn Upload>>;

    /// [`create`](Self::create) by the way that large objects take, for a store that has one of its own.
    fn create_in_parts(&self, key: &str, condition: Condition) -> Result<Box<dyn Upload>> {
        self.create(key, condition)
    }

    /// What is known of how it judges conditions.
    fn judgement(&self) -> Judgement {
        Judgement::Known
    }

    /// As many calls at once as are good for it: each waits for its own answer.
    fn at_once(&self) -> usize {
        4
    }

    /// The most bytes that a key may have.
    fn longest_key(&self) -> usize {
        usize::MAX
    }

    /// All objects whose keys start with `prefix`, sorted by the bytes of their keys: those that are
    /// there when it is called, and none that is gone by then.
    fn list(&self, prefix: &str) -> Result<Vec<Object>>;

    /// When an object was written, by the clock of the store; nothing where it is gone, or the store keeps no times.
    fn modified(&self, _key: &str) -> Result<Option<SystemTime>> {
        Ok(None)
    }

    /// Removes an object; it is no error when it is gone already.
    fn delete(&self, key: &str) -> Result<()>;

    /// Keeps other writers from a table while it is committed, where conditions cannot. A store
    /// without locks says so by `None`.
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
