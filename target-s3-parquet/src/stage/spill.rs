//! Staged rows in a temporary file.
//!
//! The file is an Arrow IPC file whose batches belong to one group each, so that a commit reads
//! only the group it writes. It has no name any more once it is open: whatever ends the run, the
//! system takes it back.

use std::fs::File;
use std::io::{self, BufReader, BufWriter};
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::FileWriter;

use crate::error::{Error, Result};
use crate::table::Projection;

/// A temporary file of staged rows.
pub(super) struct Spill {
    file: File,
    folder: String,
    writer: Option<FileWriter<BufWriter<File>>>,
    /// Of each batch: its group and the numbers of its rows.
    batches: Vec<(usize, Vec<u32>)>,
}

impl std::fmt::Debug for Spill {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Spill").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Spill {
    pub(super) fn create(folder: &Path, schema: &SchemaRef) -> Result<Self> {
        let name = folder.display().to_string();
        let failed = |source| Error::Spill { action: "create", path: name.clone(), source };
        let file = tempfile::tempfile_in(folder).map_err(failed)?;
        let buffered = BufWriter::with_capacity(256 * 1024, file.try_clone().map_err(failed)?);
        let writer =
            FileWriter::try_new(buffered, schema).map_err(|error| failed(io_error(error)))?;
        Ok(Self { file, folder: name, writer: Some(writer), batches: Vec::new() })
    }

    fn failed(&self, action: &'static str, error: ArrowError) -> Error {
        Error::Spill { action, path: self.folder.clone(), source: io_error(error) }
    }

    pub(super) fn write(&mut self, group: usize, batch: &RecordBatch, ids: Vec<u32>) -> Result<()> {
        if let Some(writer) = &mut self.writer {
            if let Err(error) = writer.write(batch) {
                return Err(self.failed("write", error));
            }
            self.batches.push((group, ids));
        }
        Ok(())
    }

    pub(super) fn finish(&mut self) -> Result<()> {
        if let Some(mut writer) = self.writer.take() {
            writer.finish().map_err(|error| self.failed("write", error))?;
        }
        Ok(())
    }

    /// Gives the batches of a group with the numbers of their rows, as the columns of `schema`.
    pub(super) fn each(
        &self,
        group: usize,
        schema: &SchemaRef,
        mut take: impl FnMut(&RecordBatch, &[u32]) -> Result<()>,
    ) -> Result<()> {
        if !self.batches.iter().any(|(owner, _)| *owner == group) {
            return Ok(());
        }
        let again = self
            .file
            .try_clone()
            .map_err(|error| self.failed("read", ArrowError::IoError(error.to_string(), error)))?;
        let mut reader = FileReader::try_new(BufReader::new(again), None)
            .map_err(|error| self.failed("read", error))?;
        let projection = (reader.schema() != *schema)
            .then(|| Projection::between(reader.schema().fields(), schema));
        for (at, (owner, ids)) in self.batches.iter().enumerate() {
            if *owner != group {
                continue;
            }
            reader.set_index(at).map_err(|error| self.failed("read", error))?;
            let Some(batch) = reader.next() else { continue };
            let batch = batch.map_err(|error| self.failed("read", error))?;
            match &projection {
                Some(projection) => {
                    let batch =
                        projection.apply(&batch).map_err(|error| self.failed("read", error))?;
                    take(&batch, ids)?;
                }
                None => take(&batch, ids)?,
            }
        }
        Ok(())
    }
}

fn io_error(error: ArrowError) -> io::Error {
    match error {
        ArrowError::IoError(_, source) => source,
        other => io::Error::other(other),
    }
}
