//! A file that is not yet in its place.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::SystemTime;

use tempfile::TempPath;

use super::folder::{Folder, TEMPORARY, failed, object_of};
use crate::error::{Error, Result};
use crate::store::contract::{Condition, Object, Upload};

/// What the names of unfinished files end with.
const SUFFIX: &str = ".tmp";

/// Random characters in the names of unfinished files.
const RANDOM: usize = 16;

/// Bytes that are kept before the file system gets them.
const BUFFER: usize = 64 * 1024;

/// A file that is not yet in its place.
#[derive(Debug)]
pub(super) struct LocalUpload {
    /// Nothing while it waits for others.
    file: Option<io::BufWriter<File>>,
    /// Removed when it is dropped; what cannot be removed then is removed by a later run.
    temporary: TempPath,
    key: String,
    folder: Folder,
    condition: Condition,
}

/// The owner of an unfinished file, or nothing for a file that is none.
pub(super) fn owner_of_file(name: &str) -> Option<&str> {
    let (owner, _own) = name.strip_suffix(SUFFIX)?.rsplit_once('.')?;
    Some(owner)
}

impl LocalUpload {
    /// Begins a file, under a name that nobody can have put a link at.
    pub(super) fn begin(
        folder: &Folder,
        owner: &str,
        key: &str,
        condition: Condition,
    ) -> Result<Self> {
        let place = folder.path(TEMPORARY);
        let file = tempfile::Builder::new()
            .prefix(&format!("{owner}."))
            .suffix(SUFFIX)
            .rand_bytes(RANDOM)
            .permissions(folder.access.of_files())
            .tempfile_in(&place)
            .map_err(|error| failed("write to", &place, error))?;
        let (file, temporary) = file.into_parts();
        Ok(Self {
            file: Some(io::BufWriter::with_capacity(BUFFER, file)),
            temporary,
            key: key.to_owned(),
            folder: folder.clone(),
            condition,
        })
    }

    /// The file, open to be written to.
    fn file(&mut self) -> io::Result<&mut io::BufWriter<File>> {
        match &mut self.file {
            Some(file) => Ok(file),
            none => {
                let file = File::options().append(true).open(&self.temporary)?;
                Ok(none.insert(io::BufWriter::with_capacity(BUFFER, file)))
            }
        }
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
        self.file()?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file()?.flush()
    }
}

impl Upload for LocalUpload {
    fn hold(&mut self) -> Result<()> {
        let place = self.folder.path(&self.key);
        let sync = |mut file: io::BufWriter<File>| {
            file.flush()?;
            file.get_ref().sync_all()
        };
        self.file.take().map_or(Ok(()), sync).map_err(|error| failed("write", &place, error))
    }

    fn finish(mut self: Box<Self>) -> Result<Object> {
        let target = self.folder.path(&self.key);
        let failed = |error| Error::store("write", target.display().to_string(), error);
        self.file().and_then(Write::flush).map_err(failed)?;
        let file = self.file().map_err(failed)?.get_ref();
        // The system's own times may be the same for all that is written within some milliseconds.
        file.set_modified(SystemTime::now()).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        let object = object_of(&self.key, &metadata);
        let folder = target.parent().unwrap_or(&self.folder.root);
        let lock = self.folder.lock_writes().map_err(failed)?;
        if !self.holds()? {
            return Err(self.folder.conflict(&self.key));
        }
        self.folder.access.make_folder(folder).map_err(failed)?;
        self.temporary.persist(&target).map_err(|error| failed(error.error))?;
        drop(lock);
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
