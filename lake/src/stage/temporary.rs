//! The temporary file of a run.
//!
//! One file serves all tables of a run, so that a thousand streams need no thousand files. It has
//! no name any more once it is open: whatever ends the run, the system takes it back.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Result};

/// The temporary file of a run, made when something first goes to it.
#[derive(Debug)]
pub(crate) struct SpillFile {
    folder: PathBuf,
    memory: usize,
    file: Mutex<Option<Arc<File>>>,
    end: AtomicU64,
}

impl SpillFile {
    /// A file in a folder, for what does not fit into this many bytes of memory.
    pub(crate) fn new(folder: PathBuf, memory: usize) -> Self {
        Self { folder, memory, file: Mutex::new(None), end: AtomicU64::new(0) }
    }

    /// The memory in bytes of which everybody who uses the file may take a share.
    pub(crate) fn memory(&self) -> usize {
        self.memory
    }

    fn open(&self) -> Result<Arc<File>> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &*file {
            return Ok(Arc::clone(file));
        }
        let made = tempfile::tempfile_in(&self.folder);
        let made = Arc::new(made.map_err(|source| self.failed("create", source))?);
        Ok(Arc::clone(file.insert(made)))
    }

    /// What could not be done with the file.
    pub(super) fn failed(&self, action: &'static str, source: io::Error) -> Error {
        Error::Spill { action, path: self.folder.display().to_string(), source }
    }
}

/// A part of the temporary file. Dropped, it gives its room back to the disk.
#[derive(Debug)]
pub(super) struct Extent {
    file: Arc<SpillFile>,
    at: u64,
    length: u64,
}

impl Extent {
    /// A part for so many bytes, to be written.
    pub(super) fn reserve(file: &Arc<SpillFile>, length: u64) -> Self {
        let at = file.end.fetch_add(length, Ordering::Relaxed);
        Self { file: Arc::clone(file), at, length }
    }

    /// A part with these bytes.
    pub(super) fn of(file: &Arc<SpillFile>, bytes: &[u8]) -> Result<Self> {
        let extent = Self::reserve(file, bytes.len() as u64);
        extent.write(0, bytes)?;
        Ok(extent)
    }

    /// Bytes.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Writes bytes behind the first `from`.
    pub(super) fn write(&self, from: u64, bytes: &[u8]) -> Result<()> {
        let written = self.file.open()?.write_all_at(bytes, self.at + from);
        written.map_err(|source| self.failed("write", source))
    }

    /// Reads the bytes behind the first `from`.
    pub(super) fn read(&self, from: u64, bytes: &mut [u8]) -> Result<()> {
        let read = self.file.open()?.read_exact_at(bytes, self.at + from);
        read.map_err(|source| self.failed("read", source))
    }

    /// What could not be done with the file.
    pub(super) fn failed(&self, action: &'static str, source: io::Error) -> Error {
        self.file.failed(action, source)
    }
}

impl Drop for Extent {
    /// Gives the room back to the disk, where the file system can.
    fn drop(&mut self) {
        let file = self.file.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &*file {
            _ = punch_hole(file, self.at, self.length);
        }
    }
}

/// Takes the room of a part of a file back (<https://man7.org/linux/man-pages/man2/fallocate.2.html>).
#[cfg(target_os = "linux")]
fn punch_hole(file: &File, at: u64, length: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};

    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    Ok(fallocate(file, flags, at, length)?)
}

/// Elsewhere the room of a file comes back when the run ends.
#[cfg(not(target_os = "linux"))]
fn punch_hole(_: &File, _: u64, _: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_no_name_and_its_room_goes_back_to_the_disk() {
        use std::os::unix::fs::MetadataExt as _;

        let folder = tempfile::tempdir().unwrap();
        let file = Arc::new(SpillFile::new(folder.path().into(), 0));
        let (first, second) =
            (Extent::of(&file, &[1; 1 << 20]).unwrap(), Extent::of(&file, &[2; 1 << 20]).unwrap());
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
        let blocks = || file.open().unwrap().metadata().unwrap().blocks();
        let before = blocks();
        drop(first);
        // Some file systems cannot, and none takes more than it did.
        assert!(blocks() <= before);
        let mut bytes = [0; 3];
        second.read((1 << 20) - 3, &mut bytes).unwrap();
        assert_eq!(bytes, [2; 3]);
    }

    #[test]
    fn a_file_that_was_cut_is_an_error_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let file = Arc::new(SpillFile::new(folder.path().into(), 0));
        let extent = Extent::of(&file, &[1; 100]).unwrap();
        file.open().unwrap().set_len(50).unwrap();
        let error = extent.read(0, &mut [0; 100]).unwrap_err();
        let place = folder.path().to_str().unwrap();
        assert!(
            matches!(&error, Error::Spill { action: "read", path, .. } if path == place),
            "{error}"
        );
    }
}
