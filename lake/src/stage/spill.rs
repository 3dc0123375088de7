//! Staged rows in a temporary file.
//!
//! One file serves all tables of a run, so that a thousand streams need no thousand files. It has
//! no name any more once it is open: whatever ends the run, the system takes it back. Each batch
//! lies in it by itself, as an Arrow IPC message, and belongs to one group, so that a commit reads
//! only the group it writes.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use arrow::buffer::MutableBuffer;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::reader::FileDecoder;
use arrow::ipc::writer::{
    DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions, write_message,
};
use arrow::ipc::{Block, MetadataVersion};

use crate::error::{Error, Result};
use crate::table::projection::Projection;

/// The temporary file of a run, made when the first rows go to it.
#[derive(Debug)]
pub(crate) struct SpillFile {
    folder: PathBuf,
    file: Mutex<Option<Arc<File>>>,
    end: AtomicU64,
}

impl SpillFile {
    /// A file in a folder.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, file: Mutex::new(None), end: AtomicU64::new(0) }
    }

    fn open(&self) -> Result<Arc<File>> {
        let mut file = match self.file.lock() {
            Ok(file) => file,
            Err(poisoned) => poisoned.into_inner(),
        };
        if let Some(file) = &*file {
            return Ok(Arc::clone(file));
        }
        let made = tempfile::tempfile_in(&self.folder);
        let made = Arc::new(made.map_err(|source| self.failed("create", source))?);
        Ok(Arc::clone(file.insert(made)))
    }

    fn failed(&self, action: &'static str, source: io::Error) -> Error {
        Error::Spill { action, path: self.folder.display().to_string(), source }
    }
}

/// Rows of one table in the temporary file.
#[derive(Debug)]
pub(super) struct Spill {
    place: Arc<SpillFile>,
    file: Arc<File>,
    schema: SchemaRef,
    pieces: Vec<Piece>,
}

/// A batch in the temporary file.
#[derive(Debug)]
struct Piece {
    group: usize,
    /// The numbers of its rows.
    ids: Vec<u32>,
    at: u64,
    metadata: usize,
    body: usize,
}

impl Spill {
    pub(super) fn create(place: &Arc<SpillFile>, schema: &SchemaRef) -> Result<Self> {
        Ok(Self {
            file: place.open()?,
            place: Arc::clone(place),
            schema: SchemaRef::clone(schema),
            pieces: Vec::new(),
        })
    }

    fn failed(&self, action: &'static str, error: ArrowError) -> Error {
        self.place.failed(action, io_error(error))
    }

    pub(super) fn write(&mut self, group: usize, batch: &RecordBatch, ids: Vec<u32>) -> Result<()> {
        let (bytes, metadata, body) = encode(batch).map_err(|error| self.failed("write", error))?;
        let at = self.place.end.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.file.write_all_at(&bytes, at).map_err(|error| self.place.failed("write", error))?;
        self.pieces.push(Piece { group, ids, at, metadata, body });
        Ok(())
    }

    pub(super) fn bytes(&self) -> usize {
        self.pieces.iter().map(|piece| piece.body).sum()
    }

    /// Gives the batches of a group with the numbers of their rows, as the columns of `schema`.
    pub(super) fn each(
        &self,
        group: usize,
        schema: &SchemaRef,
        mut take: impl FnMut(&RecordBatch, &[u32]) -> Result<()>,
    ) -> Result<()> {
        let decoder = FileDecoder::new(SchemaRef::clone(&self.schema), MetadataVersion::V5);
        let projection =
            (self.schema != *schema).then(|| Projection::between(self.schema.fields(), schema));
        for piece in self.pieces.iter().filter(|piece| piece.group == group) {
            let mut batch =
                self.read(piece, &decoder).map_err(|error| self.failed("read", error))?;
            if let Some(projection) = &projection {
                batch = projection.apply(&batch).map_err(|error| self.failed("read", error))?;
            }
            take(&batch, &piece.ids)?;
        }
        Ok(())
    }

    fn read(&self, piece: &Piece, decoder: &FileDecoder) -> Result<RecordBatch, ArrowError> {
        let mut bytes = MutableBuffer::from_len_zeroed(piece.metadata + piece.body);
        self.file.read_exact_at(&mut bytes, piece.at)?;
        let invalid = |_| ArrowError::IpcError("a batch is too large".into());
        let metadata = i32::try_from(piece.metadata).map_err(invalid)?;
        let body = i64::try_from(piece.body).map_err(invalid)?;
        decoder
            .read_record_batch(&Block::new(0, metadata, body), &bytes.into())?
            .ok_or_else(|| ArrowError::IpcError("a batch is missing".into()))
    }
}

impl Drop for Spill {
    /// Gives the room back to the disk, where the file system can.
    fn drop(&mut self) {
        for piece in &self.pieces {
            if punch_hole(&self.file, piece.at, (piece.metadata + piece.body) as u64).is_err() {
                return;
            }
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

/// A batch as an IPC message, with the lengths of its two parts.
fn encode(batch: &RecordBatch) -> Result<(Vec<u8>, usize, usize), ArrowError> {
    let options = IpcWriteOptions::default();
    let mut dictionaries = DictionaryTracker::new(false);
    let mut context = IpcWriteContext::default();
    let (_, message) =
        IpcDataGenerator::default().encode(batch, &mut dictionaries, &options, &mut context)?;
    let mut bytes = Vec::new();
    let (metadata, body) = write_message(&mut bytes, message, &options)?;
    Ok((bytes, metadata, body))
}

fn io_error(error: ArrowError) -> io::Error {
    match error {
        ArrowError::IoError(_, source) => source,
        other => io::Error::other(other),
    }
}
