//! Objects are there or not, and are what was written last.

use super::trial::{Kept, Trial};
use crate::store::contract::{Condition, Object, Store};

/// Replacements in quick succession: more than fit into one tick of a file system's clock.
const REPLACEMENTS: u32 = 40;

/// What is absent is no error: it is found by no call, and can be deleted.
pub fn absent(store: &dyn Store) -> Kept {
    let trial = Trial::begin(store, "what is absent is no error", "absent")?;
    for key in [trial.key("nothing"), trial.key("no/such/folder/nothing")] {
        trial.is_absent(&key)?;
        trial.works("delete of what is absent", store.delete(&key))?;
        let never = Object { key, size: 1, version: "never".into() };
        trial.conflicts("fetch of what never was", store.fetch(&never))?;
    }
    // What lies below a key is not the key.
    trial.works("put", store.put(&trial.key("a/b"), b"1", Condition::Absent))?;
    trial.is_absent(&trial.key("a"))?;
    trial.is_absent(&trial.key("a/b/c"))?;
    trial.clear()
}

/// What was put is read back, byte for byte, by every call, under any key.
pub fn round_trip(store: &dyn Store) -> Kept {
    let trial = Trial::begin(store, "what was put is read back", "round-trip")?;
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    for (name, bytes) in [
        ("empty", Vec::new()),
        ("one", vec![0]),
        ("every byte", every_byte.clone()),
        ("p_month=2026-01/part-00000.parquet", every_byte.repeat(1000)),
        ("a%2Fb+c &é/ü.json", b"{}\n".to_vec()),
        ("deep/deep/deep/deep/deep/deep/deep/deep", b"deep".to_vec()),
    ] {
        let key = trial.key(name);
        let object = trial.works("put", store.put(&key, &bytes, Condition::Absent))?;
        trial.same("the key of what was put", &object.key, &key)?;
        trial.same("the size of what was put", &object.size, &(bytes.len() as u64))?;
        trial.is_there(&object, &bytes)?;
        let again = trial.works("put", store.put(&key, b"again", Condition::Always))?;
        trial.is_there(&again, b"again")?;
    }
    trial.clear()
}

/// Two objects of a key with one version have the same bytes: whatever replaces other bytes has
/// another version, also if it has the same size, comes at once, or comes after a delete.
///
/// It is not owed that the same bytes have another version when they are written again.
pub fn versions(store: &dyn Store) -> Kept {
    let trial = Trial::begin(store, "other bytes have another version", "versions")?;
    let key = trial.key("object");
    let mut seen: Vec<Object> = Vec::new();
    for number in 0..REPLACEMENTS {
        let bytes = format!("{number:08}");
        let object = trial.works("put", store.put(&key, bytes.as_bytes(), Condition::Always))?;
        if let Some(before) = seen.iter().position(|seen| seen.version == object.version) {
            let found = format!("objects {before} and {number} are both {}", object.version);
            return Err(trial.broken(found));
        }
        trial.is_there(&object, bytes.as_bytes())?;
        if number % 8 == 7 {
            trial.works("delete", store.delete(&key))?;
        }
        seen.push(object);
    }
    trial.clear()
}

/// A version that was replaced or deleted cannot be fetched any more, and a file that was fetched
/// before stays what it was.
pub fn old_versions(store: &dyn Store) -> Kept {
    let trial = Trial::begin(store, "a version that is gone is not fetched", "old-versions")?;
    let key = trial.key("object");
    let first = trial.works("put", store.put(&key, b"first", Condition::Absent))?;
    let early = trial.works("fetch", store.fetch(&first))?;
    let second = trial.works("put", store.put(&key, b"other", Condition::Always))?;
    trial.conflicts("fetch of what was replaced", store.fetch(&first))?;
    trial.same_bytes("what fetch reads", &trial.fetched(&second)?, b"other")?;
    trial.works("delete", store.delete(&key))?;
    trial.conflicts("fetch of what was deleted", store.fetch(&second))?;
    let read = std::io::read_to_string(early)
        .map_err(|error| trial.broken(format!("a fetched file cannot be read: {error}")))?;
    trial.same("what was fetched before", &read.as_str(), &"first")?;
    trial.clear()
}

/// What was deleted is gone at once, and nothing beside it.
pub fn deleting(store: &dyn Store) -> Kept {
    let trial = Trial::begin(store, "what was deleted is gone, and nothing else", "deleting")?;
    let key = trial.key("folder/object");
    let put = |name: &str| {
        let key = trial.key(name);
        trial.works("put", store.put(&key, name.as_bytes(), Condition::Absent))
    };
    let object = put("folder/object")?;
    let beside = [put("folder/object2")?, put("folder2/object")?, put("objects")?];
    trial.works("delete", store.delete(&key))?;
    trial.is_absent(&key)?;
    for object in &beside {
        let name = object.key.strip_prefix(&trial.key("")).unwrap_or(&object.key);
        trial.is_there(object, name.as_bytes())?;
    }
    trial.works("a second delete", store.delete(&key))?;
    let outcome = store.put(&key, b"late", Condition::still(Some(&object)));
    trial.conflicts("to replace what was deleted", outcome)?;
    let again = trial.works("put", store.put(&key, b"again", Condition::Absent))?;
    trial.is_there(&again, b"again")?;
    trial.clear()
}
