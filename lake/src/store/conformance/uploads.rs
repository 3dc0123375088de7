//! An object appears whole, when its upload is finished, or not at all.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::trial::{Kept, Trial};
use crate::error::{Error, Result};
use crate::store::contract::{Condition, Object, Store, Upload};

/// Bytes of a large object: more than twice the part of a multipart upload, and no multiple of it.
pub(super) const LARGE: usize = 2 * 8 * 1024 * 1024 + 12_345;

/// Bytes that say where they stand, and whose they are.
pub(super) fn large(writer: usize, size: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size + BLOCK);
    for number in 0..size.div_ceil(BLOCK) {
        let start = bytes.len();
        bytes.extend_from_slice(format!("writer {writer}, block {number} ").as_bytes());
        bytes.resize(start + BLOCK, b'.');
    }
    bytes.truncate(size);
    bytes
}

const BLOCK: usize = 4096;

/// Replacements under the eyes of a reader, and how often it looks, at least.
const REPLACEMENTS: usize = 40;
const LOOKS: usize = 40;

fn write(store: &dyn Store, upload: &mut Box<dyn Upload>, bytes: &[u8]) -> Result<()> {
    upload.write_all(bytes).map_err(|error| Error::store("write", store.locate(""), error))
}

fn put_large(store: &dyn Store, key: &str, bytes: &[u8], condition: Condition) -> Result<Object> {
    let mut upload = store.create(key, condition)?;
    write(store, &mut upload, bytes)?;
    upload.finish()
}

/// Nothing of an upload is seen before it is finished, not even under another key, and what it
/// replaces is there until then. Dropped, it has never been.
pub fn visibility(store: &dyn Store) -> Kept {
    let trial = Trial::begin(store, "nothing is seen of an unfinished upload", "visibility")?;
    let (new, old) = (trial.key("new"), trial.key("old"));
    let object = trial.works("put", store.put(&old, b"before", Condition::Absent))?;
    let before = trial.listed("")?;
    for (holds, ends) in [(false, false), (true, false), (true, true)] {
        let mut creating = trial.works("create", store.create(&new, Condition::Absent))?;
        let still = Condition::still(Some(&object));
        let mut replacing = trial.works("create", store.create(&old, still))?;
        for upload in [&mut creating, &mut replacing] {
            trial.works("write", write(store, upload, b"after"))?;
            upload.flush().map_err(|error| trial.broken(format!("flush fails: {error}")))?;
            if holds {
                trial.works("hold", upload.hold())?;
            }
        }
        trial.is_absent(&new)?;
        trial.is_there(&object, b"before")?;
        trial.same("what is listed", &trial.listed("")?, &before)?;
        if ends {
            let created = trial.works("finish", creating.finish())?;
            let replaced = trial.works("finish", replacing.finish())?;
            trial.is_there(&created, b"after")?;
            trial.is_there(&replaced, b"after")?;
        } else {
            drop((creating, replacing));
            trial.is_absent(&new)?;
            trial.is_there(&object, b"before")?;
            trial.same("what is listed", &trial.listed("")?, &before)?;
        }
    }
    trial.clear()
}

/// A reader beside a writer sees one object or the next, whole, and never none or a part.
pub fn readers(store: &dyn Store) -> Kept {
    let trial = Trial::begin(store, "a reader sees whole objects", "readers")?;
    let key = trial.key("object");
    // All bytes of an object are its number, and its size follows from it.
    let body = |number: usize| {
        let number = number % 251;
        vec![u8::try_from(number).unwrap_or(u8::MAX); 1 + number % 7 * 30_000]
    };
    trial.works("put", store.put(&key, &body(0), Condition::Absent))?;
    let (ended, looks) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| -> Kept {
            while !ended.load(Ordering::Acquire) {
                look(&trial, &key, body)?;
                looks.fetch_add(1, Ordering::Release);
            }
            Ok(())
        });
        let replace = |number| {
            let put = store.put(&key, &body(number), Condition::Always);
            trial.works("put", put).map(drop)
        };
        let mut written = Ok(());
        let mut number = 0;
        // A reader that has found something looks no more.
        while written.is_ok()
            && (number < REPLACEMENTS || looks.load(Ordering::Acquire) < LOOKS)
            && !reader.is_finished()
        {
            number += 1;
            written = replace(number);
        }
        ended.store(true, Ordering::Release);
        written.and(trial.joined(reader.join())?)
    })?;
    trial.clear()
}

/// What a reader finds must be whole, whatever is written meanwhile.
fn look(trial: &Trial<'_>, key: &str, body: impl Fn(usize) -> Vec<u8>) -> Kept {
    let got = trial.works("get", trial.store.get(key))?;
    let (object, bytes) = got.ok_or_else(|| trial.broken("the object is not there"))?;
    is_whole(trial, &object, &bytes, body)?;
    match trial.store.fetch(&object) {
        Err(Error::Conflict { .. }) => {}
        outcome => drop(trial.works("fetch", outcome)?),
    }
    trial.there(key)?;
    trial.same("what is listed", &trial.listed(key)?, &vec![key.to_owned()])
}

/// The bytes must be those of one object, and the object must be theirs.
fn is_whole(
    trial: &Trial<'_>,
    object: &Object,
    bytes: &[u8],
    body: impl Fn(usize) -> Vec<u8>,
) -> Kept {
    trial.same("the size of what was read", &object.size, &(bytes.len() as u64))?;
    let number = bytes.first().copied().map_or(0, usize::from);
    trial.same_bytes("what was read", bytes, &body(number))
}

/// Large objects keep what small ones do: their bytes, their conditions, their invisibility.
pub fn large_uploads(store: &dyn Store) -> Kept {
    let trial = Trial::begin(store, "large uploads are as small ones", "large")?;
    let key = trial.key("object");
    let [first, second, third] = [0, 1, 2].map(|writer| large(writer, LARGE));
    let never = Condition::Unchanged("never".into());
    let outcome = put_large(store, &key, &first, never);
    trial.conflicts("to replace what is absent", outcome)?;
    trial.is_absent(&key)?;

    let mut upload = trial.works("create", store.create(&key, Condition::Absent))?;
    let (start, end) = first.split_at(first.len() - 10);
    trial.works("write", write(store, &mut upload, start))?;
    trial.is_absent(&key)?;
    trial.works("write", write(store, &mut upload, end))?;
    let created = trial.works("finish", upload.finish())?;
    trial.is_there(&created, &first)?;

    let outcome = put_large(store, &key, &second, Condition::Absent);
    trial.conflicts("to create what is there", outcome)?;
    trial.is_there(&created, &first)?;
    let still = Condition::still(Some(&created));
    let outcome = put_large(store, &key, &second, still.clone());
    let replaced = trial.works("to replace what was read", outcome)?;
    trial.is_there(&replaced, &second)?;
    let outcome = put_large(store, &key, &third, still);
    trial.conflicts("to replace what is no more", outcome)?;
    trial.is_there(&replaced, &second)?;
    let outcome = put_large(store, &key, &third, Condition::Always);
    let replaced = trial.works("to write in any case", outcome)?;
    trial.is_there(&replaced, &third)?;

    // Exactly as many bytes as parts hold.
    let even = large(3, 2 * 8 * 1024 * 1024);
    let outcome = put_large(store, &trial.key("even"), &even, Condition::Absent);
    trial.is_there(&trial.works("to write", outcome)?, &even)?;
    trial.clear()
}

/// A large upload that is dropped half-way leaves nothing, and takes nothing away.
pub fn dropped_uploads(store: &dyn Store) -> Kept {
    let trial = Trial::begin(store, "a dropped upload leaves nothing", "dropped")?;
    let (new, old) = (trial.key("new"), trial.key("old"));
    let object = trial.works("put", store.put(&old, b"before", Condition::Absent))?;
    let before = trial.listed("")?;
    for (key, condition) in [
        (&new, Condition::Absent),
        (&old, Condition::Always),
        (&old, Condition::still(Some(&object))),
    ] {
        for size in [0, 1, LARGE / 2 + 1, LARGE] {
            let mut upload = trial.works("create", store.create(key, condition.clone()))?;
            trial.works("write", write(store, &mut upload, &large(0, size)))?;
            drop(upload);
            trial.is_absent(&new)?;
            trial.is_there(&object, b"before")?;
            trial.same("what is listed", &trial.listed("")?, &before)?;
        }
    }
    trial.clear()
}
