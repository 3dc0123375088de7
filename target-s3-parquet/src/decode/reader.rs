//! Brings the records of a chunk to the buffers of their streams.

use std::sync::Arc;

use hashbrown::HashMap;

use super::chunk::Chunk;
use super::fault::LineFault;
use super::plan::{Plan, Registry};
use super::rows::Decoded;
use super::scan::{Cursor, Text};
use super::stream::Stream;
use super::text;
use crate::error::{Error, Result};

/// Room that is used again from chunk to chunk. One belongs to one worker.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    streams: HashMap<u64, Stream>,
}

/// What a dialect reads its records with: the streams by name, and their buffers. `'a` is the chunk,
/// `'r` the registry.
#[derive(Debug)]
pub(crate) struct RecordReader<'a, 'r, 'b> {
    registry: &'r Registry,
    scratch: &'b mut Scratch,
    /// Ids of the plans that have buffers, in the order in which they first appear.
    order: Vec<u64>,
    unknown_streams: Vec<String>,
    /// The stream of the line before, by its name as it stands there: most lines have the same.
    current: Option<(&'a [u8], &'r [Arc<Plan>])>,
}

impl<'a, 'r, 'b> RecordReader<'a, 'r, 'b> {
    pub(super) fn new(registry: &'r Registry, scratch: &'b mut Scratch) -> Self {
        Self { registry, scratch, order: Vec::new(), unknown_streams: Vec::new(), current: None }
    }

    /// The plans of the stream whose name stands in the line, or nothing if there is none such.
    #[inline]
    pub(crate) fn plans(&mut self, name: Text<'a>) -> Result<Option<&'r [Arc<Plan>]>, LineFault> {
        if let Some((current, plans)) = self.current
            && current == name.raw
        {
            return Ok(Some(plans));
        }
        let found = match self.registry.get(name.raw) {
            Some(plans) => Some(plans),
            // A name with escapes is rare enough to be looked up again, unescaped.
            None => self.registry.get(characters(name)?.as_slice()),
        };
        let Some(plans) = found else { return Ok(None) };
        self.open(plans)?;
        self.current = Some((name.raw, plans));
        Ok(Some(plans))
    }

    /// The plans of the stream of that name in the registry.
    pub(crate) fn plans_of(&mut self, name: &[u8]) -> Result<Option<&'r [Arc<Plan>]>> {
        let Some(plans) = self.registry.get(name) else { return Ok(None) };
        self.open(plans)?;
        Ok(Some(plans))
    }

    /// Brings out the buffers of streams.
    fn open(&mut self, plans: &[Arc<Plan>]) -> Result<()> {
        for plan in plans {
            if !self.scratch.streams.contains_key(&plan.id) {
                let stream = Stream::new(Arc::clone(plan))?;
                self.scratch.streams.insert(plan.id, stream);
            }
            if self.stream(plan.id)?.is_empty() && !self.order.contains(&plan.id) {
                self.order.push(plan.id);
            }
        }
        Ok(())
    }

    /// The buffers of a stream whose plans were asked for.
    #[inline]
    pub(crate) fn stream(&mut self, id: u64) -> Result<&mut Stream> {
        self.scratch.streams.get_mut(&id).ok_or_else(|| no_buffers(id))
    }

    /// Reads a record into the buffers of a stream.
    pub(crate) fn record(
        &mut self,
        id: u64,
        cursor: &mut Cursor<'_>,
        number: u64,
    ) -> Result<(), LineFault> {
        self.stream(id)?.read(cursor, number)
    }

    /// Notes a stream that nobody asked for.
    pub(crate) fn note_unknown_stream(&mut self, name: String) {
        if !self.unknown_streams.contains(&name) {
            self.unknown_streams.push(name);
        }
    }

    /// What was read, which ended by `error` if there is one.
    pub(super) fn finish(self, chunk: &Chunk, error: Option<Error>) -> Decoded {
        let rows = Vec::with_capacity(self.order.len());
        let mut decoded = Decoded { rows, error, unknown_streams: self.unknown_streams };
        for id in self.order {
            let stream = self.scratch.streams.get_mut(&id).ok_or_else(|| no_buffers(id));
            match stream.and_then(|stream| stream.take(chunk)) {
                Ok(rows) => decoded.rows.push(rows),
                Err(error) => {
                    decoded.error.get_or_insert(error);
                }
            }
        }
        decoded
    }
}

#[cold]
fn no_buffers(id: u64) -> Error {
    Error::internal(format!("plan {id} has buffers"))
}

/// The characters of a text in the line.
pub(crate) fn characters(text: Text<'_>) -> Result<Vec<u8>, LineFault> {
    let mut characters = Vec::new();
    text::append(text, &mut characters).map_err(LineFault::text)?;
    Ok(characters)
}
