//! Objects as files below a folder.
//!
//! A file is written under `_lake/tmp/`, synced and renamed into place, so that a reader sees the
//! old or the new one. A file system has no conditional rename; whoever changes an object holds the
//! lock `_lake/tmp/writes.lock` while it looks at what is there and renames. Writers of one table
//! take turns for a whole commit by a lock under `_lake/locks/`.
//!
//! What is made is its maker's alone, or of a group that the lake's folder was opened to
//! ([`crate::access`]).

mod folder;
mod upload;

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::error::{Error, Result};
use crate::lock::FileLock;
use crate::owner::{Life, Presence};
use crate::store::contract::{Condition, Guard, Object, Store, Upload};
use folder::{Folder, LOCKS, TEMPORARY, WRITES, failed, is_absent};
use upload::LocalUpload;

/// How long a commit waits for another run's commit.
const LOCK_PATIENCE: Duration = Duration::from_mins(5);

/// Temporary files this old are nobody's, where nobody knows whether their writer lives.
const LEFTOVER_AFTER: Duration = Duration::from_hours(24);

/// A folder of objects.
#[derive(Debug)]
pub struct LocalStore {
    folder: Folder,
    /// What our temporary files begin with is its owner.
    presence: Arc<Presence>,
}

impl LocalStore {
    /// Opens a folder, making it if it is not there, and removes what dead runs left behind.
    pub fn open(root: &Path, run: &str) -> Result<Self> {
        let folder = Folder::open(root)?;
        let temporary = folder.make(TEMPORARY)?;
        // That it cannot be written to shows here, and not after an hour of reading.
        let presence = Presence::in_lake(&temporary, folder.access, run)
            .map_err(|error| failed("write to", &folder.root, error))?;
        let store = Self { folder, presence: Arc::new(presence) };
        store.remove_leftovers();
        Ok(store)
    }

    /// The run that opened the store.
    pub(crate) fn presence(&self) -> &Arc<Presence> {
        &self.presence
    }

    fn remove_leftovers(&self) {
        let Ok(entries) = fs::read_dir(self.folder.path(TEMPORARY)) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let run = Presence::owner_of_file(&name);
            let life = run.or_else(|| upload::owner_of_file(&name)).map(|o| self.presence.life(o));
            let is_obsolete = match life {
                Some(Life::Living) => false,
                Some(Life::Ended) => true,
                // The lock is taken by whoever writes next, and removed then.
                None if name == WRITES => false,
                Some(Life::Unknown) | None => {
                    entry.metadata().and_then(|data| data.modified()).is_ok_and(is_leftover)
                }
            };
            if is_obsolete && run.is_some() {
                Presence::remove_file(&entry.path());
            } else if is_obsolete {
                // Whoever else cleans up may have been faster.
                _ = fs::remove_file(entry.path());
            }
        }
    }
}

fn is_leftover(modified: SystemTime) -> bool {
    SystemTime::now().duration_since(modified).is_ok_and(|age| age > LEFTOVER_AFTER)
}

impl Store for LocalStore {
    fn head(&self, key: &str) -> Result<Option<Object>> {
        self.folder.head(key)
    }

    fn get(&self, key: &str) -> Result<Option<(Object, Vec<u8>)>> {
        let Some((object, mut file)) = self.folder.read(key, "read")? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)
            .map_err(|error| failed("read", &self.folder.path(key), error))?;
        Ok(Some((object, bytes)))
    }

    fn fetch(&self, object: &Object) -> Result<File> {
        match self.folder.read(&object.key, "open")? {
            Some((found, file)) if found.version == object.version => Ok(file),
            Some(_) | None => Err(self.folder.conflict(&object.key)),
        }
    }

    fn create(&self, key: &str, condition: Condition) -> Result<Box<dyn Upload>> {
        let owner = self.presence.owner();
        Ok(Box::new(LocalUpload::begin(&self.folder, owner, key, condition)?))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Object>> {
        self.folder.list(prefix)
    }

    fn modified(&self, key: &str) -> Result<Option<SystemTime>> {
        let path = self.folder.path(key);
        match fs::metadata(&path).and_then(|data| data.modified()) {
            Ok(time) => Ok(Some(time)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(failed("look up", &path, error)),
        }
    }

    fn delete(&self, key: &str) -> Result<()> {
        let path = self.folder.path(key);
        let removed = self.folder.lock_writes().and_then(|_lock| fs::remove_file(&path));
        match removed {
            Ok(()) => Ok(()),
            Err(error) if is_absent(&error) => Ok(()),
            Err(error) => Err(failed("remove", &path, error)),
        }
    }

    fn lock(&self, table: &str) -> Result<Option<Box<dyn Guard>>> {
        let path = self.folder.make(LOCKS)?.join(format!("{table}.lock"));
        let taken = FileLock::take(&path, self.folder.access, LOCK_PATIENCE)
            .map_err(|error| failed("lock", &path, error))?;
        let Some(mut lock) = taken else {
            let owner = fs::read_to_string(&path).map_err(|error| failed("read", &path, error))?;
            let owner = owner.trim().replace('\n', " since ");
            return Err(Error::Locked { table: table.to_owned(), owner });
        };
        let text = format!("{}\n{}\n", self.presence.owner(), chrono::Utc::now().to_rfc3339());
        lock.sign(&text).map_err(|error| failed("write", &path, error))?;
        Ok(Some(Box::new(LocalGuard { _lock: lock })))
    }

    fn locate(&self, key: &str) -> String {
        self.folder.locate(key)
    }
}

/// The lock of a table.
#[derive(Debug)]
struct LocalGuard {
    _lock: FileLock,
}

impl Guard for LocalGuard {}

#[cfg(test)]
mod tests;
