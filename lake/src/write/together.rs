//! Files that become visible together: all are written before the first of them is.
//!
//! A store shows one object after the other, so this is not one step. But between the first and the
//! last nothing is read and nothing encoded any more, and a run that dies before the first has shown
//! nothing.

use std::sync::{Mutex, PoisonError};

use crate::at_once::at_once;
use crate::error::Result;
use crate::file::writer::Ended;
use crate::lake::Lake;
use crate::room::Part;
use crate::store::Object;

/// Files that wait with what a store keeps of them, an open file or the bytes of a small object, for each
/// that becomes visible at a time.
const OPEN: usize = 16;

/// Bytes of these files.
const OPEN_BYTES: usize = 16 * 1024 * 1024;

/// Files that are whole and that nobody sees yet, each with what it is for. Dropping them takes all
/// back.
#[derive(Debug)]
pub(super) struct Together<T> {
    files: Vec<(T, Ended)>,
}

/// What is kept of files that wait.
#[derive(Debug, Default)]
struct Kept {
    files: usize,
    bytes: usize,
}

impl Kept {
    /// Whether one more can wait so.
    fn fits(&mut self, lake: &Lake, file: &Ended) -> bool {
        let bytes = self.bytes + file.bytes();
        let fits = self.files < OPEN * lake.at_once && bytes <= OPEN_BYTES.min(lake.budget / 4);
        if fits {
            self.files += 1;
            self.bytes = bytes;
        }
        fits
    }
}

impl<T: Send> Together<T> {
    /// Writes files, several at once: `write` makes one of an item, if there is to be one, with its part of
    /// the lake's room.
    pub(super) fn write<'a, I: Send>(
        lake: &'a Lake,
        items: impl IntoIterator<Item = I>,
        write: impl Fn(I) -> Result<Option<(T, Ended, Part<'a>)>> + Sync,
    ) -> Result<Self> {
        let kept = Mutex::new(Kept::default());
        let written = |item| -> Result<Option<(T, Ended)>> {
            let Some((what, mut file, room)) = write(item)? else { return Ok(None) };
            if !kept.lock().unwrap_or_else(PoisonError::into_inner).fits(lake, &file) {
                file.hold()?;
            }
            drop(room);
            Ok(Some((what, file)))
        };
        let mut files = Vec::new();
        at_once(lake.at_once, items, written, |file| {
            files.extend(file?);
            Ok(())
        })?;
        Ok(Self { files })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// Makes all of them visible, several at once, and says of each what became of it. One that fails
    /// does not keep the others.
    pub(super) fn finish(self, lake: &Lake) -> Result<Vec<(T, Result<Object>)>> {
        let mut outcomes = Vec::with_capacity(self.files.len());
        let finish = |(what, file): (T, Ended)| (what, file.finish());
        at_once(lake.at_once, self.files, finish, |outcome| {
            outcomes.push(outcome);
            Ok(())
        })?;
        Ok(outcomes)
    }
}
