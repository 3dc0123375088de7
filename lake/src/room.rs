//! Memory for what is written while many calls wait for the store: where objects are small, many at a time,
//! and where they are large, one after the other.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes that those at work share. Nobody takes a second part while holding one: all could wait for each
/// other then.
#[derive(Debug)]
pub(crate) struct Room {
    bytes: usize,
    taken: Mutex<usize>,
    given_back: Condvar,
}

impl Room {
    pub(crate) fn new(bytes: usize) -> Self {
        Self { bytes, taken: Mutex::new(0), given_back: Condvar::new() }
    }

    /// Takes a part, after waiting until there is one. What is larger than all of the room has it alone.
    pub(crate) fn take(&self, bytes: usize) -> Part<'_> {
        let mut taken = self.taken();
        while *taken > 0 && *taken + bytes > self.bytes {
            taken = self.given_back.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        *taken += bytes;
        Part { room: self, bytes }
    }

    fn taken(&self) -> MutexGuard<'_, usize> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A part of the room, which goes back when this is dropped.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    room: &'a Room,
    bytes: usize,
}

impl Part<'_> {
    /// It turns out to be of another size, and nobody is waited for.
    pub(crate) fn resize(&mut self, bytes: usize) {
        let mut taken = self.room.taken();
        *taken = *taken - self.bytes + bytes;
        self.bytes = bytes;
        drop(taken);
        self.room.given_back.notify_all();
    }
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        self.resize(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_taken_together_and_what_never_fits_alone() {
        let room = Room::new(10);
        let mut small = room.take(4);
        let other = room.take(6);
        std::thread::scope(|scope| {
            let large = scope.spawn(|| room.take(100).bytes);
            small.resize(1);
            drop((small, other));
            // It would wait for ever if what is given back were not counted.
            assert_eq!(large.join().unwrap(), 100);
        });
        assert_eq!(*room.taken(), 0);
    }
}
