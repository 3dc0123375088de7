//! A promise being tried on a store.

use std::fmt;
use std::io::Read as _;

use crate::error::{Error, Result};
use crate::store::contract::{Object, Store};

/// A promise that a store does not keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The promise.
    pub promise: &'static str,
    /// What the store did instead.
    pub found: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.promise, self.found)
    }
}

impl std::error::Error for Finding {}

/// Whether a promise is kept.
pub type Kept<T = ()> = Result<T, Finding>;

/// A promise being tried, in a folder of its own.
pub(super) struct Trial<'a> {
    pub(super) store: &'a dyn Store,
    promise: &'static str,
    folder: String,
}

impl<'a> Trial<'a> {
    /// Begins in a folder that is empty then.
    pub(super) fn begin(store: &'a dyn Store, promise: &'static str, folder: &str) -> Kept<Self> {
        let trial = Self { store, promise, folder: format!("conformance/{folder}/") };
        trial.clear()?;
        Ok(trial)
    }

    /// Removes what the trial has left.
    pub(super) fn clear(&self) -> Kept {
        let left = self.works("list", self.store.list(&self.folder))?;
        left.iter().try_for_each(|object| self.works("delete", self.store.delete(&object.key)))
    }

    /// A key of the trial's folder.
    pub(super) fn key(&self, name: &str) -> String {
        format!("{}{name}", self.folder)
    }

    /// The promise is broken.
    pub(super) fn broken(&self, found: impl Into<String>) -> Finding {
        Finding { promise: self.promise, found: found.into() }
    }

    /// What must hold.
    pub(super) fn holds(&self, holds: bool, else_found: impl Into<String>) -> Kept {
        if holds { Ok(()) } else { Err(self.broken(else_found)) }
    }

    /// What must be as it is said to be.
    pub(super) fn same<T: PartialEq + fmt::Debug>(
        &self,
        what: &str,
        found: &T,
        expected: &T,
    ) -> Kept {
        self.holds(found == expected, format!("{what} is {found:?}, not {expected:?}"))
    }

    /// Bytes that must be these. They are too many to be shown.
    pub(super) fn same_bytes(&self, what: &str, found: &[u8], expected: &[u8]) -> Kept {
        let differ = found.iter().zip(expected).position(|(found, expected)| found != expected);
        self.holds(
            found == expected,
            format!(
                "{what}: {} bytes, not {}; the first that differs is {}",
                found.len(),
                expected.len(),
                differ.unwrap_or(found.len().min(expected.len()))
            ),
        )
    }

    /// A call that must succeed.
    pub(super) fn works<T>(&self, call: &str, outcome: Result<T>) -> Kept<T> {
        outcome.map_err(|error| {
            let cause = std::error::Error::source(&error);
            let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
            self.broken(format!("{call} fails: {error}{cause}"))
        })
    }

    /// A call that must fail because of another writer.
    pub(super) fn conflicts<T>(&self, call: &str, outcome: Result<T>) -> Kept {
        match outcome {
            Err(Error::Conflict { .. }) => Ok(()),
            Err(error) => Err(self.broken(format!("{call} fails, but by no conflict: {error}"))),
            Ok(_) => Err(self.broken(format!("{call} succeeds"))),
        }
    }

    /// The bytes of a version, by way of a file.
    pub(super) fn fetched(&self, object: &Object) -> Kept<Vec<u8>> {
        let mut file = self.works("fetch", self.store.fetch(object))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)
            .map_err(|error| self.broken(format!("a fetched file cannot be read: {error}")))?;
        Ok(bytes)
    }

    /// The object, which must be there.
    pub(super) fn there(&self, key: &str) -> Kept<Object> {
        let found = self.works("head", self.store.head(key))?;
        found.ok_or_else(|| self.broken(format!("head finds no {key}")))
    }

    /// All that can be asked of an object must say that it is this one, and these its bytes.
    pub(super) fn is_there(&self, object: &Object, bytes: &[u8]) -> Kept {
        let key = &object.key;
        self.same("what head finds", &self.there(key)?, object)?;
        let got = self.works("get", self.store.get(key))?;
        let (found, got) = got.ok_or_else(|| self.broken(format!("get finds no {key}")))?;
        self.same("what get finds", &found, object)?;
        self.same_bytes("what get reads", &got, bytes)?;
        self.same_bytes("what fetch reads", &self.fetched(object)?, bytes)?;
        let listed = self.works("list", self.store.list(key))?;
        let listed: Vec<_> = listed.into_iter().filter(|listed| listed.key == *key).collect();
        self.same("what list finds", &listed, &vec![object.clone()])
    }

    /// Nothing that can be asked may know of the key.
    pub(super) fn is_absent(&self, key: &str) -> Kept {
        self.same("what head finds", &self.works("head", self.store.head(key))?, &None)?;
        self.same("what get finds", &self.works("get", self.store.get(key))?, &None)?;
        let mut listed = self.works("list", self.store.list(key))?;
        listed.retain(|listed| listed.key == *key);
        self.same("what list finds", &listed, &Vec::new())
    }

    /// The keys that a prefix lists.
    pub(super) fn listed(&self, prefix: &str) -> Kept<Vec<String>> {
        let listed = self.works("list", self.store.list(prefix))?;
        Ok(listed.into_iter().map(|object| object.key).collect())
    }

    /// What a thread of the trial came to.
    pub(super) fn joined<T>(&self, outcome: std::thread::Result<T>) -> Kept<T> {
        outcome.map_err(|_| self.broken("a call panics"))
    }
}
