//! The files of a folder as objects.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::access::Access;
use crate::error::{Error, Result};
use crate::lock::FileLock;
use crate::store::contract::Object;

/// Files that are being written, and those of the runs that write them.
pub(super) const TEMPORARY: &str = "_lake/tmp/";

/// The lock among the temporary files that whoever changes an object holds.
pub(super) const WRITES: &str = "writes.lock";

/// The locks of tables.
pub(super) const LOCKS: &str = "_lake/locks/";

/// The place of the objects.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    pub(super) root: PathBuf,
    pub(super) access: Access,
}

impl Folder {
    /// Opens the folder, making it if it is not there.
    pub(super) fn open(root: &Path) -> Result<Self> {
        let made = Access::OWN.make_folder(root).and_then(|()| Access::of_folder(root));
        let access = made.map_err(|error| failed("create", root, error))?;
        Ok(Self { root: root.to_owned(), access })
    }

    /// Makes a folder in it.
    pub(super) fn make(&self, key: &str) -> Result<PathBuf> {
        let path = self.path(key);
        self.access.make_folder(&path).map_err(|error| failed("create", &path, error))?;
        Ok(path)
    }

    pub(super) fn path(&self, key: &str) -> PathBuf {
        self.root.join(key)
    }

    pub(super) fn locate(&self, key: &str) -> String {
        self.path(key).display().to_string()
    }

    pub(super) fn conflict(&self, key: &str) -> Error {
        Error::Conflict { object: self.locate(key) }
    }

    /// Keeps all other writers of the folder from changing an object meanwhile.
    pub(super) fn lock_writes(&self) -> io::Result<FileLock> {
        FileLock::wait(&self.path(TEMPORARY).join(WRITES), self.access)
    }

    pub(super) fn head(&self, key: &str) -> Result<Option<Object>> {
        match fs::metadata(self.path(key)) {
            Ok(metadata) if metadata.is_file() => Ok(Some(object_of(key, &metadata))),
            Ok(_) => Ok(None),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(failed("look up", &self.path(key), error)),
        }
    }

    /// The objects whose keys start with a prefix, sorted.
    pub(super) fn list(&self, prefix: &str) -> Result<Vec<Object>> {
        // A file system would read it as another prefix.
        if prefix.starts_with('/') || prefix.contains("//") {
            return Ok(Vec::new());
        }
        let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
        let path = self.path(folder);
        let start = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let mut found = Vec::new();
        walk(&path, &start, &mut found).map_err(|error| failed("list", &path, error))?;
        found.retain(|object| object.key.starts_with(prefix));
        found.sort_by(|left, right| left.key.cmp(&right.key));
        Ok(found)
    }

    /// The file of an object, and what it is: also when another takes its place meanwhile.
    pub(super) fn read(&self, key: &str, action: &'static str) -> Result<Option<(Object, File)>> {
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

pub(super) fn failed(action: &'static str, path: &Path, error: io::Error) -> Error {
    Error::store(action, path.display().to_string(), error)
}

/// What a file is. The inode differs from that of the file whose place it took, and its time, which
/// is that of the writer's clock to the nanosecond, from all that had the inode before.
pub(super) fn object_of(key: &str, metadata: &fs::Metadata) -> Object {
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

pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
