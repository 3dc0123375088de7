//! A file that is not yet in its place.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::folder::{Folder, TEMPORARY, failed, object_of};
use crate::error::{Error, Result};
use crate::store::contract::{Condition, Object, Upload};

/// What the names of unfinished files end with.
const SUFFIX: &str = ".tmp";

/// Bytes that are kept before the file system gets them.
const BUFFER: usize = 64 * 1024;

/// A file that is not yet in its place.
#[derive(Debug)]
pub(super) struct LocalUpload {
    file: io::BufWriter<File>,
    temporary: PathBuf,
    key: String,
    folder: Folder,
    condition: Condition,
    done: bool,
}

/// The owner of an unfinished file, or nothing for a file that is none.
pub(super) fn owner_of_file(name: &str) -> Option<&str> {
    let (owner, _number) = name.strip_suffix(SUFFIX)?.rsplit_once('.')?;
    Some(owner)
}

impl LocalUpload {
    /// Begins a file. `number` is one that the owner has not used before.
    pub(super) fn begin(
        folder: &Folder,
        owner: &str,
        number: u64,
        key: &str,
        condition: Condition,
    ) -> Result<Self> {
        let temporary = folder.path(TEMPORARY).join(format!("{owner}.{number}{SUFFIX}"));
        let file = File::create(&temporary).map_err(|error| failed("create", &temporary, error))?;
        Ok(Self {
            file: io::BufWriter::with_capacity(BUFFER, file),
            temporary,
            key: key.to_owned(),
            folder: folder.clone(),
            condition,
            done: false,
        })
    }

    /// Whether what is there now allows the file to take its place.
    fn holds(&self) -> Result<bool> {
        let current = self.folder.head(&self.key)?;
        Ok(match &self.condition {
            Condition::Always => true,
            Condition::Absent => current.is_none(),
            Condition::Unchanged(version) => {
                current.is_some_and(|object| object.version == *version)
            }
        })
    }
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
        let target = self.folder.path(&self.key);
        let failed = |error| Error::store("write", target.display().to_string(), error);
        self.file.flush().map_err(failed)?;
        let file = self.file.get_ref();
        // The system's own times may be the same for all that is written within some milliseconds.
        file.set_modified(SystemTime::now()).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        let object = object_of(&self.key, &file.metadata().map_err(failed)?);
        let folder = target.parent().unwrap_or(&self.folder.root);
        let lock = self.folder.lock_writes().map_err(failed)?;
        if !self.holds()? {
            return Err(self.folder.conflict(&self.key));
        }
        fs::create_dir_all(folder).map_err(failed)?;
        fs::rename(&self.temporary, &target).map_err(failed)?;
        drop(lock);
        self.done = true;
        sync_folders(folder, &self.folder.root).map_err(failed)?;
        Ok(object)
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
