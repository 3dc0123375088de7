//! Files that become visible together: all are written before the first of them is.
//!
//! A store shows one object after the other, so this is not one step. But between the first and the
//! last nothing is read and nothing encoded any more, and a run that dies before the first has shown
//! nothing.

use crossbeam_channel::unbounded;

use crate::error::Result;
use crate::file::writer::Ended;
use crate::lake::Lake;
use crate::store::Object;

/// Files that wait with what a store keeps of them: an open file, or the bytes of a small object.
const OPEN: usize = 64;

/// Bytes of these files.
const OPEN_BYTES: usize = 16 * 1024 * 1024;

/// Files that are whole and that nobody sees yet, each with what it is for. Dropping them takes all
/// back.
#[derive(Debug)]
pub(super) struct Together<T> {
    files: Vec<(T, Ended)>,
    bytes: usize,
}

impl<T: Send> Together<T> {
    pub(super) fn new() -> Self {
        Self { files: Vec::new(), bytes: 0 }
    }

    /// Adds a file to the others.
    pub(super) fn add(&mut self, what: T, mut file: Ended) -> Result<()> {
        if self.files.len() < OPEN && self.bytes + file.bytes() <= OPEN_BYTES {
            self.bytes += file.bytes();
        } else {
            file.hold()?;
        }
        self.files.push((what, file));
        Ok(())
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// Makes all of them visible, several at once, and says of each what became of it. One that fails
    /// does not keep the others.
    pub(super) fn finish(self, lake: &Lake) -> Vec<(T, Result<Object>)> {
        let (work, files) = unbounded();
        let (done, outcomes) = unbounded();
        for file in self.files {
            // Whoever takes it is there until all is sent.
            _ = work.send(file);
        }
        drop(work);
        std::thread::scope(|scope| {
            for _ in 0..lake.at_once {
                let (files, done) = (files.clone(), done.clone());
                scope.spawn(move || {
                    files.iter().for_each(|(what, file)| _ = done.send((what, file.finish())));
                });
            }
            drop(done);
            outcomes.iter().collect()
        })
    }
}
