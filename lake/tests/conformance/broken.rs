//! Stores that break one promise each, and the suite that notices.

use std::fs::File;
use std::io::{self, Seek as _, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lake::store::conformance::{self, Answer, Promise};
use lake::store::{Condition, Guard, MemoryStore, Object, Store, Upload};
use lake::{Error, Result};

/// What a store does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Writes whatever is there.
    IgnoresConditions,
    /// Looks at what is there when a write begins, and not again.
    ChecksTooEarly,
    /// Fails a condition by an error that is no conflict.
    ConflictsObscurely,
    /// Shows an object while it is being written.
    ShowsEarly,
    /// Writes an object in two steps.
    TearsWrites,
    /// Keeps what was written of an upload that was dropped.
    KeepsDropped,
    /// Writes large objects without their last bytes.
    CutsLarge,
    /// Mixes the parts of large objects up.
    SwapsParts,
    /// Writes large objects whatever is there.
    IgnoresConditionsOfLarge,
    /// Lists what was there before the last write.
    ListsLate,
    /// Lists what was deleted.
    ListsDeleted,
    /// Lists in the order of folders.
    ListsByFolder,
    /// Takes a prefix for a folder.
    ListsFoldersOnly,
    /// Lists as many as come in one answer.
    ListsOnePage,
    /// A version is the size.
    KeepsVersion,
    /// Fetches whatever is there.
    FetchesAnyVersion,
    /// Cannot delete what is absent.
    MissesDeleted,
    /// Deletes what begins like the key, too.
    DeletesMore,
    /// Cannot read an object without bytes.
    LosesEmpty,
    /// Locks nothing.
    LocksNothing,
    /// Has one lock for all tables, and has it sometimes.
    LocksSometimes,
}

/// A store that does something wrong.
#[derive(Debug)]
struct Broken {
    inner: Arc<MemoryStore>,
    fault: Fault,
    listed: Mutex<Vec<Object>>,
    deleted: Mutex<Vec<Object>>,
    locks: Mutex<u32>,
}

impl Broken {
    fn new(fault: Fault) -> Self {
        Self {
            inner: Arc::default(),
            fault,
            listed: Mutex::default(),
            deleted: Mutex::default(),
            locks: Mutex::default(),
        }
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn shown(&self, object: Object) -> Object {
        shown(self.fault, object)
    }

    /// What a version that was shown is in truth.
    fn meant(&self, condition: Condition, key: &str) -> Condition {
        match (condition, self.inner.head(key).unwrap()) {
            (Condition::Unchanged(version), Some(there)) if self.has(Fault::KeepsVersion) => {
                if version == there.size.to_string() {
                    Condition::Unchanged(there.version)
                } else {
                    Condition::Unchanged(version)
                }
            }
            (condition, _) => condition,
        }
    }
}

/// An object as the store describes it.
fn shown(fault: Fault, mut object: Object) -> Object {
    if fault == Fault::KeepsVersion {
        object.version = object.size.to_string();
    }
    object
}

#[derive(Debug)]
struct NoGuard;

impl Guard for NoGuard {}

impl Store for Broken {
    fn head(&self, key: &str) -> Result<Option<Object>> {
        Ok(self.inner.head(key)?.map(|object| self.shown(object)))
    }

    fn get(&self, key: &str) -> Result<Option<(Object, Vec<u8>)>> {
        let got = self.inner.get(key)?.map(|(object, bytes)| (self.shown(object), bytes));
        Ok(got.filter(|(object, _)| object.size > 0 || !self.has(Fault::LosesEmpty)))
    }

    fn fetch(&self, object: &Object) -> Result<File> {
        let there = self.inner.get(&object.key)?;
        let conflict = || Error::Conflict { object: object.key.clone() };
        let (there, bytes) = there.ok_or_else(conflict)?;
        if self.shown(there) != *object && !self.has(Fault::FetchesAnyVersion) {
            return Err(conflict());
        }
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        file.rewind().unwrap();
        Ok(file)
    }

    fn create(&self, key: &str, condition: Condition) -> Result<Box<dyn Upload>> {
        let mut condition = self.meant(condition, key);
        let current = self.inner.head(key)?;
        if self.has(Fault::ChecksTooEarly) {
            let holds = match &condition {
                Condition::Always => true,
                Condition::Absent => current.is_none(),
                Condition::Unchanged(version) => current.is_some_and(|o| o.version == *version),
            };
            if !holds {
                return Err(Error::Conflict { object: key.to_owned() });
            }
        }
        if matches!(self.fault, Fault::ChecksTooEarly | Fault::IgnoresConditions) {
            condition = Condition::Always;
        }
        *self.listed.lock().unwrap() = self.inner.list("")?;
        Ok(Box::new(BrokenUpload {
            inner: Arc::clone(&self.inner),
            fault: self.fault,
            key: key.to_owned(),
            condition,
            bytes: Vec::new(),
        }))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Object>> {
        let mut found = self.inner.list(prefix)?;
        match self.fault {
            Fault::ListsLate => {
                found.clone_from(&self.listed.lock().unwrap());
                found.retain(|object| object.key.starts_with(prefix));
            }
            Fault::ListsDeleted => {
                found.extend(self.deleted.lock().unwrap().clone());
                found.retain(|object| object.key.starts_with(prefix));
                found.sort_by(|left, right| left.key.cmp(&right.key));
                found.dedup_by(|left, right| left.key == right.key);
            }
            Fault::ListsByFolder => {
                found.sort_by_key(|object| {
                    object.key.split('/').map(str::to_owned).collect::<Vec<_>>()
                });
            }
            Fault::ListsFoldersOnly => {
                let folder = format!("{}/", prefix.trim_end_matches('/'));
                found.retain(|object| object.key.starts_with(&folder) || object.key == prefix);
            }
            Fault::ListsOnePage => found.truncate(1000),
            _ => {}
        }
        Ok(found.into_iter().map(|object| self.shown(object)).collect())
    }

    fn delete(&self, key: &str) -> Result<()> {
        let there = self.inner.head(key)?;
        if there.is_none() && self.has(Fault::MissesDeleted) {
            return Err(Error::store("remove", key, "it is not there"));
        }
        if self.has(Fault::DeletesMore) {
            return self.inner.list(key)?.iter().try_for_each(|o| self.inner.delete(&o.key));
        }
        self.deleted.lock().unwrap().extend(there);
        self.inner.delete(key)
    }

    fn lock(&self, _: &str) -> Result<Option<Box<dyn Guard>>> {
        let mut locks = self.locks.lock().unwrap();
        *locks += 1;
        Ok(match self.fault {
            Fault::LocksNothing => Some(Box::new(NoGuard)),
            Fault::LocksSometimes if locks.is_multiple_of(2) => Some(Box::new(NoGuard)),
            _ => None,
        })
    }

    fn locate(&self, key: &str) -> String {
        self.inner.locate(key)
    }
}

struct BrokenUpload {
    inner: Arc<MemoryStore>,
    fault: Fault,
    key: String,
    condition: Condition,
    bytes: Vec<u8>,
}

/// Objects above this are large.
const LARGE: usize = 8 * 1024 * 1024;

impl BrokenUpload {
    fn put(&self, bytes: &[u8]) -> Result<Object> {
        self.inner.put(&self.key, bytes, Condition::Always)
    }
}

impl Write for BrokenUpload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        if self.fault == Fault::ShowsEarly {
            self.put(&self.bytes).unwrap();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl BrokenUpload {
    fn write_all_of_it(&mut self) -> Result<Object> {
        let bytes = std::mem::take(&mut self.bytes);
        if bytes.len() > LARGE {
            let put = |bytes: &[u8]| self.inner.put(&self.key, bytes, self.condition.clone());
            match self.fault {
                Fault::CutsLarge => return put(&bytes[..bytes.len() - 1]),
                Fault::SwapsParts => return put(&[&bytes[LARGE..], &bytes[..LARGE]].concat()),
                Fault::IgnoresConditionsOfLarge => return self.put(&bytes),
                _ => {}
            }
        }
        match self.fault {
            Fault::ShowsEarly => return self.put(&bytes),
            Fault::TearsWrites => {
                let condition = self.condition.clone();
                let half = self.inner.put(&self.key, &bytes[..bytes.len() / 2], condition)?;
                std::thread::sleep(Duration::from_millis(2));
                return self.inner.put(&self.key, &bytes, Condition::still(Some(&half)));
            }
            _ => {}
        }
        let outcome = self.inner.put(&self.key, &bytes, self.condition.clone());
        match outcome {
            Err(Error::Conflict { .. }) if self.fault == Fault::ConflictsObscurely => {
                Err(Error::store("write", &self.key, "412"))
            }
            outcome => outcome,
        }
    }
}

impl Upload for BrokenUpload {
    fn finish(mut self: Box<Self>) -> Result<Object> {
        let fault = self.fault;
        self.write_all_of_it().map(|object| shown(fault, object))
    }
}

impl Drop for BrokenUpload {
    fn drop(&mut self) {
        if self.fault == Fault::KeepsDropped && !self.bytes.is_empty() {
            self.put(&self.bytes).unwrap();
        }
    }
}

/// Each fault, a promise that it breaks, and words of what is found.
const CAUGHT: [(Fault, Promise, &str); 21] = [
    (Fault::IgnoresConditions, conformance::conditions, "to replace what is absent succeeds"),
    (Fault::ChecksTooEarly, conformance::one_winner, "8 of 8 won"),
    (Fault::ConflictsObscurely, conformance::conditions, "fails, but by no conflict"),
    (Fault::ShowsEarly, conformance::visibility, "what head finds is Some"),
    (Fault::TearsWrites, conformance::readers, "what was read"),
    (Fault::KeepsDropped, conformance::dropped_uploads, "what head finds is Some"),
    (Fault::CutsLarge, conformance::large_uploads, "16789560 bytes, not 16789561"),
    (Fault::SwapsParts, conformance::large_uploads, "the first that differs is"),
    (Fault::IgnoresConditionsOfLarge, conformance::one_winner, "3 of 3 won"),
    (Fault::ListsLate, conformance::listing, "what is listed after a put is"),
    (Fault::ListsDeleted, conformance::listing, "what is listed after a delete is"),
    (Fault::ListsByFolder, conformance::listing, "what is listed after a put is"),
    (Fault::ListsFoldersOnly, conformance::listing, "lists is"),
    (Fault::ListsOnePage, conformance::long_lists, "the number of objects is 1000, not 1100"),
    (Fault::KeepsVersion, conformance::versions, "objects 0 and 1 are both 8"),
    (Fault::FetchesAnyVersion, conformance::old_versions, "fetch of what was replaced succeeds"),
    (Fault::MissesDeleted, conformance::absent, "delete of what is absent fails"),
    (Fault::DeletesMore, conformance::deleting, "head finds no"),
    (Fault::LosesEmpty, conformance::round_trip, "get finds no"),
    (Fault::LocksNothing, conformance::locks, "two hold it at once"),
    (Fault::LocksSometimes, conformance::locks, "that there is a lock is"),
];

#[test]
fn a_store_that_breaks_a_promise_is_caught() {
    for (fault, promise, words) in CAUGHT {
        let finding = promise(&Broken::new(fault)).expect_err(&format!("{fault:?} is not caught"));
        assert!(finding.to_string().contains(words), "{fault:?}: {finding}");
    }
}

#[test]
fn all_names_every_promise_that_is_broken() {
    let findings = conformance::all(&Broken::new(Fault::IgnoresConditions));
    let promises: Vec<_> = findings.iter().map(|finding| finding.promise).collect();
    assert!(promises.contains(&"a condition that fails changes nothing"), "{findings:?}");
    assert!(promises.contains(&"of many writers at one instant one wins"), "{findings:?}");
    assert!(promises.contains(&"large uploads are as small ones"), "{findings:?}");
    assert!(!promises.contains(&"what was put is read back"), "{findings:?}");
}

#[test]
fn stores_that_share_no_objects_are_not_one() {
    conformance::shared(&MemoryStore::new(), &MemoryStore::new()).unwrap_err();
}

/// A store that writes again when it hears nothing, and whose answers can be lost.
#[derive(Debug)]
struct Retrying {
    inner: Arc<MemoryStore>,
    /// Whether it knows its own object when it meets it.
    recognizes: bool,
    loses: Arc<Mutex<Option<Answer>>>,
}

struct RetryingUpload {
    store: Retrying,
    key: String,
    condition: Condition,
    bytes: Vec<u8>,
}

impl Store for Retrying {
    fn head(&self, key: &str) -> Result<Option<Object>> {
        self.inner.head(key)
    }

    fn get(&self, key: &str) -> Result<Option<(Object, Vec<u8>)>> {
        self.inner.get(key)
    }

    fn fetch(&self, object: &Object) -> Result<File> {
        self.inner.fetch(object)
    }

    fn create(&self, key: &str, condition: Condition) -> Result<Box<dyn Upload>> {
        let (inner, loses) = (Arc::clone(&self.inner), Arc::clone(&self.loses));
        let store = Self { inner, loses, recognizes: self.recognizes };
        Ok(Box::new(RetryingUpload { store, key: key.to_owned(), condition, bytes: Vec::new() }))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Object>> {
        self.inner.list(prefix)
    }

    fn delete(&self, key: &str) -> Result<()> {
        self.inner.delete(key)?;
        self.inner.delete(key)
    }

    fn lock(&self, _: &str) -> Result<Option<Box<dyn Guard>>> {
        Ok(None)
    }

    fn locate(&self, key: &str) -> String {
        self.inner.locate(key)
    }
}

impl Write for RetryingUpload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Upload for RetryingUpload {
    fn finish(self: Box<Self>) -> Result<Object> {
        let put = || self.store.inner.put(&self.key, &self.bytes, self.condition.clone());
        let first = put();
        let Some(Answer::Write | Answer::LargeWrite) = self.store.loses.lock().unwrap().take()
        else {
            return first;
        };
        let ours = self.store.inner.get(&self.key)?;
        match put() {
            Err(Error::Conflict { object }) if self.store.recognizes => match ours {
                Some((ours, bytes)) if bytes == self.bytes => Ok(ours),
                _ => Err(Error::Conflict { object }),
            },
            second => second,
        }
    }
}

#[test]
fn a_write_that_does_not_know_its_own_object_is_caught() {
    for recognizes in [true, false] {
        let store = Retrying { inner: Arc::default(), recognizes, loses: Arc::default() };
        let lose = |answer| *store.loses.lock().unwrap() = Some(answer);
        let kept = conformance::lost_answers(&store, &lose);
        assert_eq!(kept.is_ok(), recognizes, "{kept:?}");
    }
}
