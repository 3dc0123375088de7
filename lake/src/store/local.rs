//! Objects as files below a folder.
//!
//! A file is written under `_lake/tmp/`, synced and renamed into place, so that a reader sees the
//! old or the new one. A file system has no conditional rename; writers of one table take turns by
//! a lock file under `_lake/locks/`.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use super::{Condition, Guard, Object, Store, Upload};
use crate::error::{Error, Result};
use crate::owner;

/// A lock that nobody has signed for so long is nobody's.
const UNSIGNED_AFTER: Duration = Duration::from_secs(2);

/// A lock that was not renewed for so long belongs to nobody.
const STALE_AFTER: Duration = Duration::from_mins(10);

/// How long a commit waits for another run's commit.
const LOCK_PATIENCE: Duration = Duration::from_mins(5);

/// Temporary files this old are nobody's, whatever process has their writer's number now.
const LEFTOVER_AFTER: Duration = Duration::from_hours(24);

/// A folder of objects.
#[derive(Debug)]
pub struct LocalStore {
    root: PathBuf,
    /// What our temporary files begin with: host, process and run.
    owner: String,
    counter: AtomicU64,
}

impl LocalStore {
    /// Opens a folder, making it if it is not there, and removes what dead runs left behind.
    pub fn open(root: &Path, run: &str) -> Result<Self> {
        let store =
            Self { root: root.to_owned(), owner: owner::name(run), counter: AtomicU64::new(0) };
        let temporary = store.temporary();
        fs::create_dir_all(&temporary).map_err(|error| failed("create", &temporary, error))?;
        // Better now than after an hour of reading.
        let probe = temporary.join(format!("{}.probe", store.owner));
        File::create(&probe).map_err(|error| failed("write to", &store.root, error))?;
        fs::remove_file(&probe).map_err(|error| failed("remove", &probe, error))?;
        store.remove_leftovers();
        Ok(store)
    }

    fn temporary(&self) -> PathBuf {
        self.root.join("_lake/tmp")
    }

    fn path(&self, key: &str) -> PathBuf {
        self.root.join(key)
    }

    fn remove_leftovers(&self) {
        let Ok(entries) = fs::read_dir(self.temporary()) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let old = entry.metadata().and_then(|data| data.modified()).is_ok_and(is_leftover);
            if old || owner::is_dead(&name) {
                // Whoever else cleans up may have been faster.
                _ = fs::remove_file(entry.path());
            }
        }
    }
}

fn failed(action: &'static str, path: &Path, error: io::Error) -> Error {
    Error::store(action, path.display().to_string(), error)
}

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
        match fs::metadata(self.path(key)) {
            Ok(metadata) if metadata.is_file() => Ok(Some(object_of(key, &metadata))),
            Ok(_) => Ok(None),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(failed("look up", &self.path(key), error)),
        }
    }

    fn get(&self, key: &str) -> Result<Option<(Object, Vec<u8>)>> {
        let Some(object) = self.head(key)? else { return Ok(None) };
        match fs::read(self.path(key)) {
            Ok(bytes) => Ok(Some((object, bytes))),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(failed("read", &self.path(key), error)),
        }
    }

    fn fetch(&self, object: &Object) -> Result<File> {
        let path = self.path(&object.key);
        let file = File::open(&path).map_err(|error| failed("open", &path, error))?;
        let metadata = file.metadata().map_err(|error| failed("open", &path, error))?;
        if object_of(&object.key, &metadata).version == object.version {
            Ok(file)
        } else {
            Err(Error::Conflict { object: self.locate(&object.key) })
        }
    }

    fn create(&self, key: &str, condition: Condition) -> Result<Box<dyn Upload>> {
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        let temporary = self.temporary().join(format!("{}.{number}.tmp", self.owner));
        let file = File::create(&temporary).map_err(|error| failed("create", &temporary, error))?;
        Ok(Box::new(LocalUpload {
            file: io::BufWriter::with_capacity(64 * 1024, file),
            temporary,
            target: self.path(key),
            key: key.to_owned(),
            store: Self {
                root: self.root.clone(),
                owner: self.owner.clone(),
                counter: AtomicU64::new(0),
            },
            condition,
            done: false,
        }))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Object>> {
        let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
        let path = self.path(folder);
        let start = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let mut found = Vec::new();
        walk(&path, &start, &mut found).map_err(|error| failed("list", &path, error))?;
        found.retain(|object| object.key.starts_with(prefix));
        found.sort_by(|left, right| left.key.cmp(&right.key));
        Ok(found)
    }

    fn delete(&self, key: &str) -> Result<()> {
        match fs::remove_file(self.path(key)) {
            Ok(()) => Ok(()),
            Err(error) if is_absent(&error) => Ok(()),
            Err(error) => Err(failed("remove", &self.path(key), error)),
        }
    }

    fn lock(&self, table: &str) -> Result<Option<Box<dyn Guard>>> {
        let folder = self.root.join("_lake/locks");
        fs::create_dir_all(&folder).map_err(|error| failed("create", &folder, error))?;
        let path = folder.join(format!("{table}.lock"));
        let began = std::time::Instant::now();
        loop {
            match File::create_new(&path) {
                Ok(mut file) => {
                    let text = format!("{}\n{}\n", self.owner, chrono::Utc::now().to_rfc3339());
                    file.write_all(text.as_bytes())
                        .map_err(|error| failed("write", &path, error))?;
                    return Ok(Some(Box::new(LocalGuard { path, owner: self.owner.clone() })));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed("create", &path, error)),
            }
            let owner = fs::read_to_string(&path).unwrap_or_default();
            if is_stale(&path, &owner) {
                // Only one of several waiting runs succeeds in the rename, so a fresh lock that
                // another has made meanwhile is not taken away.
                let aside = folder.join(format!("{table}.{}.stale", self.owner));
                if fs::rename(&path, &aside).is_ok() {
                    _ = fs::remove_file(&aside);
                }
                continue;
            }
            if began.elapsed() > LOCK_PATIENCE {
                let owner = owner.trim().replace('\n', " since ");
                return Err(Error::Locked { table: table.to_owned(), owner });
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn locate(&self, key: &str) -> String {
        self.path(key).display().to_string()
    }
}

fn is_stale(path: &Path, owner: &str) -> bool {
    if owner::is_dead(owner) {
        return true;
    }
    // Its writer died between making the lock and signing it.
    let limit = if owner.trim().is_empty() { UNSIGNED_AFTER } else { STALE_AFTER };
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
    modified.is_ok_and(|time| SystemTime::now().duration_since(time).is_ok_and(|age| age > limit))
}

/// A lock file.
#[derive(Debug)]
struct LocalGuard {
    path: PathBuf,
    owner: String,
}

impl Guard for LocalGuard {}

impl Drop for LocalGuard {
    fn drop(&mut self) {
        let ours = fs::read_to_string(&self.path).is_ok_and(|text| text.starts_with(&self.owner));
        if ours {
            // A lock that stays is taken over once this process has ended.
            _ = fs::remove_file(&self.path);
        }
    }
}

/// A file that is not yet in its place.
#[derive(Debug)]
struct LocalUpload {
    file: io::BufWriter<File>,
    temporary: PathBuf,
    target: PathBuf,
    key: String,
    store: LocalStore,
    condition: Condition,
    done: bool,
}

impl Write for LocalUpload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Upload for LocalUpload {
    fn finish(mut self: Box<Self>) -> Result<Object> {
        let failed =
            |error: io::Error| Error::store("write", self.target.display().to_string(), error);
        self.file.flush().map_err(failed)?;
        self.file.get_ref().sync_all().map_err(failed)?;
        let current = self.store.head(&self.key)?;
        let holds = match &self.condition {
            Condition::Always => true,
            Condition::Absent => current.is_none(),
            Condition::Unchanged(version) => {
                current.is_some_and(|object| object.version == *version)
            }
        };
        if !holds {
            return Err(Error::Conflict { object: self.target.display().to_string() });
        }
        let folder = self.target.parent().unwrap_or(&self.store.root);
        fs::create_dir_all(folder).map_err(failed)?;
        fs::rename(&self.temporary, &self.target).map_err(failed)?;
        self.done = true;
        sync_folders(folder, &self.store.root).map_err(failed)?;
        self.store
            .head(&self.key)?
            .ok_or_else(|| Error::Conflict { object: self.target.display().to_string() })
    }
}

/// Makes new names durable, up to the root.
fn sync_folders(folder: &Path, root: &Path) -> io::Result<()> {
    let mut folder = folder;
    loop {
        File::open(folder)?.sync_all()?;
        match folder.parent() {
            Some(parent) if folder != root && folder.starts_with(root) => folder = parent,
            _ => return Ok(()),
        }
    }
}

impl Drop for LocalUpload {
    fn drop(&mut self) {
        if !self.done {
            // What cannot be removed now is removed by a later run.
            _ = fs::remove_file(&self.temporary);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(folder: &tempfile::TempDir) -> LocalStore {
        LocalStore::open(folder.path(), "run1").unwrap()
    }

    #[test]
    fn an_object_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        let mut upload = store.create("t/p=1/part.parquet", Condition::Absent).unwrap();
        upload.write_all(b"abc").unwrap();
        assert!(store.list("t/").unwrap().is_empty());
        drop(upload);
        assert_eq!(fs::read_dir(folder.path().join("_lake/tmp")).unwrap().count(), 0);
        let object = store.put("t/p=1/part.parquet", b"abc", Condition::Absent).unwrap();
        assert_eq!(store.list("t/").unwrap(), [object]);
    }

    #[test]
    fn conditions_notice_another_writer() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        let first = store.put("a", b"1", Condition::Absent).unwrap();
        assert!(matches!(store.put("a", b"2", Condition::Absent), Err(Error::Conflict { .. })));
        let second = store.put("a", b"22", Condition::Unchanged(first.version.clone())).unwrap();
        assert!(matches!(
            store.put("a", b"3", Condition::Unchanged(first.version.clone())),
            Err(Error::Conflict { .. })
        ));
        assert!(matches!(store.fetch(&first), Err(Error::Conflict { .. })));
        assert!(store.fetch(&second).is_ok());
    }

    #[test]
    fn a_lock_of_a_dead_process_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        let path = folder.path().join("_lake/locks/t.lock");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // No process has the largest number.
        fs::write(&path, format!("{}.2147483646.run0\nearlier\n", owner::host())).unwrap();
        let guard = store.lock("t").unwrap();
        assert!(fs::read_to_string(&path).unwrap().starts_with(&store.owner));
        drop(guard);
        assert!(!path.exists());
    }

    #[test]
    fn leftovers_of_dead_runs_are_removed_on_opening() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("_lake/tmp");
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join(format!("{}.2147483646.run0.1.tmp", owner::host())), "x").unwrap();
        fs::write(path.join(format!("{}.{}.run9.1.tmp", owner::host(), std::process::id())), "x")
            .unwrap();
        store(&folder);
        assert_eq!(fs::read_dir(&path).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = LocalStore::open(&file.path().join("lake"), "r").unwrap_err().to_string();
        assert!(error.contains("could not create") && error.contains("lake"), "{error}");
    }
}
