//! Objects in memory: for tests, and for tables that need not outlive their process.
//!
//! A store can be made to stop at its n-th call, as if its process were killed there, and to lose
//! the answer to its n-th write. What a run does to a store is thus tried at every point, in
//! milliseconds:
//!
//! ```
//! use lake::store::{Condition, MemoryStore, Store};
//!
//! # fn main() -> lake::Result<()> {
//! let work = |store: &MemoryStore| -> lake::Result<()> {
//!     store.put("a", b"1", Condition::Absent)?;
//!     store.put("b", b"2", Condition::Absent)?;
//!     Ok(())
//! };
//! let whole = MemoryStore::new();
//! work(&whole)?;
//! for call in 1..=whole.calls().len() {
//!     let store = MemoryStore::new();
//!     store.stop_before(call);
//!     assert!(work(&store).is_err());
//!     // The next run finds the objects as they are now.
//!     let left = store.reopen().list("")?;
//!     assert!(left.iter().all(|object| object.size == 1));
//! }
//! # Ok(())
//! # }
//! ```

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Seek as _, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::store::contract::{Condition, Guard, Object, Store, Upload};

/// A store in memory.
///
/// It is a view of its objects, as a process has one: calls are counted and stopped by the view.
/// [`reopen`](Self::reopen) makes another view of the same objects. Like S3 it has no locks, and
/// its conditions hold between all views.
#[derive(Debug, Default)]
pub struct MemoryStore {
    objects: Arc<Mutex<Objects>>,
    calls: Arc<Calls>,
}

/// What is kept.
#[derive(Debug, Clone, Default)]
struct Objects {
    stored: BTreeMap<String, Stored>,
    /// Writes so far: the version of the object that was written last.
    writes: u64,
}

#[derive(Debug, Clone)]
struct Stored {
    version: u64,
    bytes: Bytes,
}

/// A call of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// What was called.
    pub kind: CallKind,
    /// The key, the prefix or the table.
    pub key: String,
}

/// What was called of a store: a method of [`Store`], or the end of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallKind {
    /// [`Store::head`].
    Head,
    /// [`Store::get`].
    Get,
    /// [`Store::fetch`].
    Fetch,
    /// [`Store::create`], also by [`Store::put`].
    Create,
    /// [`Upload::finish`], also by [`Store::put`]: the write itself.
    Finish,
    /// [`Store::list`].
    List,
    /// [`Store::delete`].
    Delete,
    /// [`Store::lock`].
    Lock,
}

/// What a call meets that a store was made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    /// The store has stopped, as if its process were killed.
    #[error("the store was stopped")]
    Killed,
    /// The write was done, but nobody learns of it.
    #[error("the answer to the write was lost")]
    Unanswered,
}

impl Stopped {
    /// How a store was made to fail, if that is why an error came to be.
    pub fn of(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(stopped) = error.downcast_ref() {
                return Some(*stopped);
            }
            // Readers and writers hand an error on inside one of theirs, which has its source alone.
            if let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref)
                && let Some(stopped) = Self::of(inner)
            {
                return Some(stopped);
            }
            next = error.source();
        }
        None
    }
}

/// The calls of a view, and where it fails.
#[derive(Debug, Default)]
struct Calls {
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    calls: Vec<Call>,
    stop: Option<Stop>,
    /// The write whose answer is lost, counted from 1.
    lost: Option<usize>,
    /// Writes so far.
    writes: usize,
}

/// Where a view stops: at a call, counted from 1.
#[derive(Debug, Clone, Copy)]
enum Stop {
    Before(usize),
    After(usize),
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Done,
    /// It acts, and its caller learns of a failure.
    Unheard(Stopped),
    Refused,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Another view of the same objects, as the next process has it: no call counted, nothing
    /// stopped. Uploads that were not finished are not there.
    #[must_use]
    pub fn reopen(&self) -> Self {
        Self { objects: Arc::clone(&self.objects), calls: Arc::default() }
    }

    /// A copy of the objects as they are, which goes its own way from here on.
    #[must_use]
    pub fn snapshot(&self) -> Self {
        let objects = self.objects().clone();
        Self { objects: Arc::new(Mutex::new(objects)), calls: Arc::default() }
    }

    /// Stops instead of the n-th call, counted from 1: it and all later ones fail and do nothing.
    pub fn stop_before(&self, call: usize) {
        self.calls.log().stop = Some(Stop::Before(call));
    }

    /// Stops after the n-th call, counted from 1: it acts, but it and all later ones fail.
    pub fn stop_after(&self, call: usize) {
        self.calls.log().stop = Some(Stop::After(call));
    }

    /// The n-th write (the end of an upload), counted from 1, acts but fails. Later ones do not.
    pub fn lose_answer(&self, write: usize) {
        self.calls.log().lost = Some(write);
    }

    /// The calls so far, those that failed included.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.log().calls.clone()
    }

    fn objects(&self) -> MutexGuard<'_, Objects> {
        whole(&self.objects)
    }

    /// Counts a call and does it, unless the view has stopped.
    fn call<T>(
        &self,
        kind: CallKind,
        key: &str,
        act: impl FnOnce(&mut Objects) -> Result<T>,
    ) -> Result<T> {
        self.calls.call(kind, key, || act(&mut self.objects()))
    }
}

/// What a lock holds. Nothing panics while it is held, so it is whole even if a thread did.
fn whole<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn locate(key: &str) -> String {
    format!("memory:{key}")
}

impl Calls {
    fn log(&self) -> MutexGuard<'_, Log> {
        whole(&self.log)
    }

    fn call<T>(&self, kind: CallKind, key: &str, act: impl FnOnce() -> Result<T>) -> Result<T> {
        let fate = self.log().note(kind, key);
        let failed = |stopped| Error::store("reach", locate(key), stopped);
        match fate {
            Fate::Done => act(),
            Fate::Unheard(stopped) => act().and(Err(failed(stopped))),
            Fate::Refused => Err(failed(Stopped::Killed)),
        }
    }

    /// Whether the last call was the end.
    fn has_stopped(&self) -> bool {
        let log = self.log();
        match log.stop {
            Some(Stop::Before(call) | Stop::After(call)) => log.calls.len() >= call,
            None => false,
        }
    }
}

impl Log {
    fn note(&mut self, kind: CallKind, key: &str) -> Fate {
        self.calls.push(Call { kind, key: key.to_owned() });
        let number = self.calls.len();
        if kind == CallKind::Finish {
            self.writes += 1;
        }
        match self.stop {
            Some(Stop::Before(call)) if number >= call => Fate::Refused,
            Some(Stop::After(call)) if number > call => Fate::Refused,
            Some(Stop::After(call)) if number == call => Fate::Unheard(Stopped::Killed),
            _ if kind == CallKind::Finish && self.lost == Some(self.writes) => {
                Fate::Unheard(Stopped::Unanswered)
            }
            Some(Stop::Before(_) | Stop::After(_)) | None => Fate::Done,
        }
    }
}

impl Objects {
    fn head(&self, key: &str) -> Option<Object> {
        self.stored.get(key).map(|stored| stored.object(key))
    }

    fn put(&mut self, key: &str, bytes: Bytes, condition: &Condition) -> Result<Object> {
        let current = self.head(key);
        let holds = match condition {
            Condition::Always => true,
            Condition::Absent => current.is_none(),
            Condition::Unchanged(version) => {
                current.is_some_and(|object| object.version == *version)
            }
        };
        if !holds {
            return Err(Error::Conflict { object: locate(key) });
        }
        self.writes += 1;
        let stored = Stored { version: self.writes, bytes };
        let object = stored.object(key);
        self.stored.insert(key.to_owned(), stored);
        Ok(object)
    }
}

impl Stored {
    fn object(&self, key: &str) -> Object {
        Object {
            key: key.to_owned(),
            size: self.bytes.len() as u64,
            version: self.version.to_string(),
        }
    }
}

impl Store for MemoryStore {
    fn head(&self, key: &str) -> Result<Option<Object>> {
        self.call(CallKind::Head, key, |objects| Ok(objects.head(key)))
    }

    fn get(&self, key: &str) -> Result<Option<(Object, Vec<u8>)>> {
        self.call(CallKind::Get, key, |objects| {
            let stored = objects.stored.get(key);
            Ok(stored.map(|stored| (stored.object(key), stored.bytes.to_vec())))
        })
    }

    fn fetch(&self, object: &Object) -> Result<File> {
        let found = self.call(CallKind::Fetch, &object.key, |objects| {
            let stored = objects.stored.get(&object.key);
            Ok(stored.filter(|stored| stored.object(&object.key) == *object).cloned())
        })?;
        let Some(stored) = found else {
            return Err(Error::Conflict { object: locate(&object.key) });
        };
        let copy = || -> io::Result<File> {
            let mut file = tempfile::tempfile()?;
            file.write_all(&stored.bytes)?;
            file.rewind()?;
            Ok(file)
        };
        copy().map_err(|source| Error::Spill {
            action: "write",
            path: "of a download".into(),
            source,
        })
    }

    fn create(&self, key: &str, condition: Condition) -> Result<Box<dyn Upload>> {
        self.call(CallKind::Create, key, |_| {
            Ok(Box::new(MemoryUpload {
                objects: Arc::clone(&self.objects),
                calls: Arc::clone(&self.calls),
                key: key.to_owned(),
                condition,
                bytes: Vec::new(),
            }) as Box<dyn Upload>)
        })
    }

    fn list(&self, prefix: &str) -> Result<Vec<Object>> {
        self.call(CallKind::List, prefix, |objects| {
            let behind = objects.stored.range(prefix.to_owned()..);
            let found = behind.take_while(|(key, _)| key.starts_with(prefix));
            Ok(found.map(|(key, stored)| stored.object(key)).collect())
        })
    }

    fn delete(&self, key: &str) -> Result<()> {
        self.call(CallKind::Delete, key, |objects| {
            objects.stored.remove(key);
            Ok(())
        })
    }

    /// Its conditions notice other writers, so nobody has to wait.
    fn lock(&self, table: &str) -> Result<Option<Box<dyn Guard>>> {
        self.call(CallKind::Lock, table, |_| Ok(None))
    }

    fn locate(&self, key: &str) -> String {
        locate(key)
    }
}

/// An object being written.
struct MemoryUpload {
    objects: Arc<Mutex<Objects>>,
    calls: Arc<Calls>,
    key: String,
    condition: Condition,
    bytes: Vec<u8>,
}

impl Write for MemoryUpload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.calls.has_stopped() {
            return Err(io::Error::other(Stopped::Killed));
        }
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Upload for MemoryUpload {
    fn finish(self: Box<Self>) -> Result<Object> {
        let Self { objects, calls, key, condition, bytes } = *self;
        calls.call(CallKind::Finish, &key, || whole(&objects).put(&key, bytes.into(), &condition))
    }
}

#[cfg(test)]
mod tests {
    use super::CallKind::{Create, Delete, Finish, Head};
    use super::*;

    fn killed<T>(outcome: Result<T>) -> bool {
        outcome.is_err_and(|error| Stopped::of(&error) == Some(Stopped::Killed))
    }

    #[test]
    fn a_store_that_stops_before_a_call_does_nothing_from_there_on() {
        let store = MemoryStore::new();
        store.stop_before(4);
        store.put("a", b"1", Condition::Absent).unwrap();
        let mut upload = store.create("b", Condition::Absent).unwrap();
        upload.write_all(b"2").unwrap();
        assert!(killed(upload.finish()));
        assert!(killed(store.head("a")));
        assert!(killed(store.delete("a")));
        let kinds: Vec<_> = store.calls().into_iter().map(|call| call.kind).collect();
        assert_eq!(kinds, [Create, Finish, Create, Finish, Head, Delete]);
        let keys: Vec<_> = store.reopen().list("").unwrap().into_iter().map(|o| o.key).collect();
        assert_eq!(keys, ["a"]);
    }

    #[test]
    fn a_store_that_stops_after_a_call_has_done_it_and_says_nothing() {
        let store = MemoryStore::new();
        store.stop_after(2);
        assert!(killed(store.put("a", b"1", Condition::Absent)));
        assert!(killed(store.put("b", b"2", Condition::Absent)));
        let next = store.reopen();
        assert_eq!(next.list("").unwrap().len(), 1);
        assert_eq!(next.get("a").unwrap().unwrap().1, b"1");
        assert_eq!(next.calls().len(), 2);
    }

    #[test]
    fn bytes_of_an_upload_of_a_stopped_store_go_nowhere() {
        let store = MemoryStore::new();
        let mut upload = store.create("a", Condition::Absent).unwrap();
        store.stop_before(2);
        upload.write_all(b"1").unwrap();
        assert!(killed(store.list("")));
        let error = upload.write_all(b"2").unwrap_err();
        assert_eq!(Stopped::of(&error), Some(Stopped::Killed));
    }

    #[test]
    fn an_answer_is_lost_once_and_the_write_is_there() {
        let store = MemoryStore::new();
        store.lose_answer(2);
        store.put("a", b"1", Condition::Absent).unwrap();
        let error = store.put("b", b"2", Condition::Absent).unwrap_err();
        assert_eq!(Stopped::of(&error), Some(Stopped::Unanswered));
        assert!(store.head("b").unwrap().is_some());
        store.put("c", b"3", Condition::Absent).unwrap();
        assert_eq!(Stopped::of(&Error::internal("else")), None);
    }

    #[test]
    fn a_condition_that_fails_is_a_conflict_even_where_the_answer_would_be_lost() {
        let store = MemoryStore::new();
        store.put("a", b"1", Condition::Absent).unwrap();
        store.lose_answer(2);
        let outcome = store.put("a", b"2", Condition::Absent);
        assert!(matches!(outcome, Err(Error::Conflict { .. })));
    }

    #[test]
    fn views_share_their_objects_and_copies_do_not() {
        let store = MemoryStore::new();
        let first = store.put("a", b"1", Condition::Absent).unwrap();
        let copy = store.snapshot();
        let condition = Condition::still(Some(&first));
        store.reopen().put("a", b"2", condition.clone()).unwrap();
        assert!(matches!(store.put("a", b"3", condition), Err(Error::Conflict { .. })));
        assert_eq!(copy.get("a").unwrap().unwrap(), (first, b"1".to_vec()));
    }
}
