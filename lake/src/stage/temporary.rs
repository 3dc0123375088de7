//! The temporary file of a run.
//!
//! One serves all tables of a run, so that a thousand streams need no thousand files. To the system it is
//! one for each worker, because only one at a time writes to a file. They have no name any more once they
//! are open: whatever ends the run, the system takes them back.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;

use crate::error::{Error, Result};

/// The temporary file of a run, made when something first goes to it.
#[derive(Debug)]
pub(crate) struct SpillFile {
    folder: PathBuf,
    memory: usize,
    /// The workers that help whoever uses the file.
    pool: Option<Arc<rayon::ThreadPool>>,
    /// One for each worker.
    contents: Vec<Mutex<Content>>,
}

/// What the file of a worker has.
#[derive(Debug, Default)]
struct Content {
    file: Option<Arc<File>>,
    end: u64,
    /// Bytes of the parts that there are.
    live: u64,
}

impl SpillFile {
    /// A file in a folder, for what does not fit into this many bytes of memory.
    pub(crate) fn new(folder: PathBuf, memory: usize) -> Self {
        Self { folder, memory, pool: None, contents: vec![Mutex::default()] }
    }

    /// Has these workers help whoever uses the file.
    pub(crate) fn with_pool(self, pool: &Arc<rayon::ThreadPool>) -> Self {
        let contents = (0..pool.current_num_threads()).map(|_| Mutex::default()).collect();
        Self { pool: Some(Arc::clone(pool)), contents, ..self }
    }

    /// Does work that is in parallel, by the workers.
    pub(super) fn spread<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match &self.pool {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }

    /// Does the same for each of some items, by the workers; what comes of them is in their order.
    pub(super) fn side_by_side<T: Sync, R: Send>(
        &self,
        items: &[T],
        work: impl Fn(&T) -> Result<R> + Send + Sync,
    ) -> Result<Vec<R>> {
        self.spread(|| items.par_iter().with_max_len(1).map(work).collect())
    }

    /// The memory in bytes of which everybody who uses the file may take a share.
    pub(crate) fn memory(&self) -> usize {
        self.memory
    }

    /// Which of the files whoever asks writes to.
    fn own(&self) -> usize {
        rayon::current_thread_index().unwrap_or(0) % self.contents.len()
    }

    fn content(&self, number: usize) -> MutexGuard<'_, Content> {
        // There is one of each number: it is from `own`.
        #[expect(clippy::indexing_slicing, reason = "numbers come from `own`")]
        self.contents[number].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, number: usize) -> Result<Arc<File>> {
        let mut content = self.content(number);
        if let Some(file) = &content.file {
            return Ok(Arc::clone(file));
        }
        let made = tempfile::tempfile_in(&self.folder);
        let made = Arc::new(made.map_err(|source| self.failed("create", source))?);
        Ok(Arc::clone(content.file.insert(made)))
    }

    /// What could not be done with the file.
    pub(super) fn failed(&self, action: &'static str, source: io::Error) -> Error {
        Error::Spill { action, path: self.folder.display().to_string(), source }
    }
}

/// A part of the temporary file. Dropped, it gives its room back to the disk.
#[derive(Debug)]
pub(crate) struct Extent {
    file: Arc<SpillFile>,
    /// In which of the files.
    number: usize,
    at: u64,
    length: u64,
}

impl Extent {
    /// A part for so many bytes, to be written.
    pub(super) fn reserve(file: &Arc<SpillFile>, length: u64) -> Self {
        let number = file.own();
        let mut content = file.content(number);
        let at = content.end;
        content.end += length;
        content.live += length;
        Self { file: Arc::clone(file), number, at, length }
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
        let written = self.file.open(self.number)?.write_all_at(bytes, self.at + from);
        written.map_err(|source| self.failed("write", source))
    }

    /// Reads the bytes behind the first `from`.
    pub(super) fn read(&self, from: u64, bytes: &mut [u8]) -> Result<()> {
        let read = self.file.open(self.number)?.read_exact_at(bytes, self.at + from);
        read.map_err(|source| self.failed("read", source))
    }

    /// What could not be done with the file.
    pub(super) fn failed(&self, action: &'static str, source: io::Error) -> Error {
        self.file.failed(action, source)
    }
}

impl Drop for Extent {
    /// Gives the room back to the disk: that of a part where the file system can, and all of it with the
    /// last part.
    fn drop(&mut self) {
        let mut content = self.file.content(self.number);
        content.live -= self.length;
        let Some(file) = &content.file else { return };
        if content.live > 0 {
            _ = punch_hole(file, self.at, self.length);
        } else if file.set_len(0).is_ok() {
            content.end = 0;
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

/// Elsewhere the room of a part comes back with the last one.
#[cfg(not(target_os = "linux"))]
fn punch_hole(_: &File, _: u64, _: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
impl SpillFile {
    /// Blocks that it takes on the disk.
    pub(super) fn blocks(&self) -> u64 {
        use std::os::unix::fs::MetadataExt as _;

        let files = (0..self.contents.len()).map(|number| self.open(number).unwrap());
        files.map(|file| file.metadata().unwrap().blocks()).sum()
    }

    /// Cuts the files.
    pub(super) fn cut(&self, length: u64) {
        for number in 0..self.contents.len() {
            let file = self.open(number).unwrap();
            if file.metadata().unwrap().len() > length {
                file.set_len(length).unwrap();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_no_name_and_its_room_goes_back_to_the_disk_with_the_last_part() {
        let folder = tempfile::tempdir().unwrap();
        let file = Arc::new(SpillFile::new(folder.path().into(), 0));
        let first = Extent::of(&file, &vec![1; 1 << 20]).unwrap();
        let second = Extent::of(&file, &vec![2; 1 << 20]).unwrap();
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
        let before = file.blocks();
        drop(first);
        // Some file systems cannot, and none takes more than it did.
        assert!(file.blocks() <= before);
        let mut bytes = [0; 3];
        second.read((1 << 20) - 3, &mut bytes).unwrap();
        assert_eq!(bytes, [2; 3]);
        drop(second);
        assert_eq!(file.blocks(), 0);
        let third = Extent::of(&file, &[3; 5]).unwrap();
        third.read(2, &mut bytes).unwrap();
        assert_eq!((bytes, third.at), ([3; 3], 0));
    }

    #[test]
    fn a_file_that_was_cut_is_an_error_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let file = Arc::new(SpillFile::new(folder.path().into(), 0));
        let extent = Extent::of(&file, &[1; 100]).unwrap();
        file.cut(50);
        let error = extent.read(0, &mut [0; 100]).unwrap_err();
        let place = folder.path().to_str().unwrap();
        assert!(
            matches!(&error, Error::Spill { action: "read", path, .. } if path == place),
            "{error}"
        );
    }
}
