//! Objects as files below a folder.
//!
//! A file is written under `_lake/tmp/`, synced and renamed into place, so that a reader sees the
//! old or the new one. A file system has no conditional rename; whoever changes an object holds the
//! lock `_lake/tmp/writes.lock` while it looks at what is there and renames. Writers of one table
//! take turns for a whole commit by a lock under `_lake/locks/`.

mod upload;

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use crate::error::{Error, Result};
use crate::lock::FileLock;
use crate::owner::Presence;
use crate::store::contract::{Condition, Guard, Object, Store, Upload};
use upload::LocalUpload;

/// How long a commit waits for another run's commit.
const LOCK_PATIENCE: Duration = Duration::from_mins(5);

/// Temporary files this old are nobody's, wherever their writer ran.
const LEFTOVER_AFTER: Duration = Duration::from_hours(24);

/// Files that are being written, and those of the runs that write them.
const TEMPORARY: &str = "_lake/tmp/";

/// The locks of tables.
const LOCKS: &str = "_lake/locks/";

/// A folder of objects.
#[derive(Debug)]
pub struct LocalStore {
    folder: Folder,
    /// What our temporary files begin with is its owner.
    presence: Arc<Presence>,
    /// Uploads that were begun.
    counter: AtomicU64,
}

/// The place of the objects.
#[derive(Debug, Clone)]
struct Folder {
    root: PathBuf,
}

impl LocalStore {
    /// Opens a folder, making it if it is not there, and removes what dead runs left behind.
    pub fn open(root: &Path, run: &str) -> Result<Self> {
        let folder = Folder { root: root.to_owned() };
        let temporary = folder.path(TEMPORARY);
        fs::create_dir_all(&temporary).map_err(|error| failed("create", &temporary, error))?;
        // That it cannot be written to shows here, and not after an hour of reading.
        let presence = Presence::in_lake(&temporary, run)
            .map_err(|error| failed("write to", &folder.root, error))?;
        let store = Self { folder, presence: Arc::new(presence), counter: AtomicU64::new(0) };
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
            let owner = Presence::owner_of_file(&name).or_else(|| upload::owner_of_file(&name));
            let old = entry.metadata().and_then(|data| data.modified()).is_ok_and(is_leftover);
            if owner.is_some_and(|owner| self.presence.has_ended(owner)) || old {
                // Whoever else cleans up may have been faster.
                _ = fs::remove_file(entry.path());
            }
        }
    }
}

impl Folder {
    fn path(&self, key: &str) -> PathBuf {
        self.root.join(key)
    }

    fn locate(&self, key: &str) -> String {
        self.path(key).display().to_string()
    }

    fn conflict(&self, key: &str) -> Error {
        Error::Conflict { object: self.locate(key) }
    }

    /// Keeps all other writers of the folder from changing an object meanwhile.
    fn lock_writes(&self) -> io::Result<FileLock> {
        FileLock::wait(&self.path(TEMPORARY).join("writes.lock"))
    }

    fn head(&self, key: &str) -> Result<Option<Object>> {
        match fs::metadata(self.path(key)) {
            Ok(metadata) if metadata.is_file() => Ok(Some(object_of(key, &metadata))),
            Ok(_) => Ok(None),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(failed("look up", &self.path(key), error)),
        }
    }

    /// The file of an object, and what it is: also when another takes its place meanwhile.
    fn open(&self, key: &str, action: &'static str) -> Result<Option<(Object, File)>> {
        let path = self.path(key);
        let opened = File::open(&path).and_then(|file| Ok((file.metadata()?, file)));
        match opened {
            Ok((metadata, file)) if metadata.is_file() => {
                Ok(Some((object_of(key, &metadata), file)))
            }
            Ok(_) => Ok(None),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(failed(action, &path, error)),
        }
    }
}

fn failed(action: &'static str, path: &Path, error: io::Error) -> Error {
    Error::store(action, path.display().to_string(), error)
}

/// What a file is. The inode differs from that of the file whose place it took, and its time, which
/// is that of the writer's clock to the nanosecond, from all that had the inode before.
fn object_of(key: &str, metadata: &fs::Metadata) -> Object {
    Object {
        key: key.to_owned(),
        size: metadata.len(),
        version: format!(
            "{}-{}-{}.{:09}",
            metadata.ino(),
            metadata.len(),
            metadata.mtime(),
            metadata.mtime_nsec()
        ),
    }
}

fn walk(folder: &Path, prefix: &str, found: &mut Vec<Object>) -> io::Result<()> {
    // What is there is no object, but about to become one, or a lock.
    if matches!(prefix, TEMPORARY | LOCKS) {
        return Ok(());
    }
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if is_absent(&error) => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let key = format!("{prefix}{}", entry.file_name().to_string_lossy());
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => {
                walk(&entry.path(), &format!("{key}/"), found)?;
            }
            Ok(metadata) => found.push(object_of(&key, &metadata)),
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn is_leftover(modified: SystemTime) -> bool {
    SystemTime::now().duration_since(modified).is_ok_and(|age| age > LEFTOVER_AFTER)
}

impl Store for LocalStore {
    fn head(&self, key: &str) -> Result<Option<Object>> {
        self.folder.head(key)
    }

    fn get(&self, key: &str) -> Result<Option<(Object, Vec<u8>)>> {
        let Some((object, mut file)) = self.folder.open(key, "read")? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)
            .map_err(|error| failed("read", &self.folder.path(key), error))?;
        Ok(Some((object, bytes)))
    }

    fn fetch(&self, object: &Object) -> Result<File> {
        match self.folder.open(&object.key, "open")? {
            Some((found, file)) if found.version == object.version => Ok(file),
            Some(_) | None => Err(self.folder.conflict(&object.key)),
        }
    }

    fn create(&self, key: &str, condition: Condition) -> Result<Box<dyn Upload>> {
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        let owner = self.presence.owner();
        Ok(Box::new(LocalUpload::begin(&self.folder, owner, number, key, condition)?))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Object>> {
        // A file system would read it as another prefix.
        if prefix.starts_with('/') || prefix.contains("//") {
            return Ok(Vec::new());
        }
        let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
        let path = self.folder.path(folder);
        let start = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let mut found = Vec::new();
        walk(&path, &start, &mut found).map_err(|error| failed("list", &path, error))?;
        found.retain(|object| object.key.starts_with(prefix));
        found.sort_by(|left, right| left.key.cmp(&right.key));
        Ok(found)
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
        let folder = self.folder.path(LOCKS);
        fs::create_dir_all(&folder).map_err(|error| failed("create", &folder, error))?;
        let path = folder.join(format!("{table}.lock"));
        let taken =
            FileLock::take(&path, LOCK_PATIENCE).map_err(|error| failed("lock", &path, error))?;
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
