//! Blocks of whole lines from a pipe or a file.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use memchr::memrchr;
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::error::{Error, Result};
use crate::memory::Shares;

/// Bytes of a block for each stream: enough of its records that a batch of them is worth its cost.
const BLOCK_PER_STREAM: usize = 16 * 1024;

/// A pipe that has been quiet for so long is read as far as it goes.
const QUIET_MILLIS: i64 = 20;

/// How often a quiet input looks at the stop signal.
const STOP_MILLIS: i64 = 100;

/// Where messages come from.
#[derive(Debug)]
pub(crate) enum Input {
    /// Standard input.
    Stdin,
    /// A file.
    File(File, String),
}

impl Input {
    fn descriptor(&self) -> BorrowedFd<'_> {
        match self {
            Self::Stdin => rustix::stdio::stdin(),
            Self::File(file, _) => file.as_fd(),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Stdin => "standard input".into(),
            Self::File(_, name) => name.clone(),
        }
    }
}

/// Whole lines.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) bytes: Bytes,
    /// Number of the first line, from 1.
    pub(super) first_line: u64,
}

/// Reads an input block by block.
#[derive(Debug)]
pub(super) struct Blocks {
    input: Input,
    /// Longest line in bytes.
    longest: usize,
    shares: Shares,
    size: usize,
    stop: Arc<AtomicBool>,
    buffer: Vec<u8>,
    /// Blocks that were handed out. Memory that was used before is faster to read into than new pages.
    handed_out: VecDeque<Bytes>,
    /// Lines of the blocks that were handed out and routed.
    lines: u64,
    ended: bool,
}

impl Blocks {
    /// Reads from `input`; a line may have `longest` bytes; `stop` ends the input.
    pub(super) fn new(input: Input, longest: usize, shares: Shares, stop: Arc<AtomicBool>) -> Self {
        Self {
            input,
            longest,
            shares,
            size: shares.block,
            stop,
            buffer: Vec::new(),
            handed_out: VecDeque::new(),
            lines: 0,
            ended: false,
        }
    }

    /// Fits the size of the next blocks to the number of streams.
    pub(super) fn fit_to(&mut self, streams: usize) {
        self.size =
            (streams * BLOCK_PER_STREAM).clamp(self.shares.block, self.shares.largest_block);
    }

    /// The last block had so many lines: whoever looks at each of them has counted them.
    pub(super) fn had(&mut self, lines: u64) {
        self.lines += lines;
    }

    /// The next block, or nothing at the end.
    pub(super) fn next(&mut self) -> Result<Option<Block>> {
        self.fill()?;
        if self.stop.load(Ordering::Relaxed) {
            // What has not been routed yet will come again behind the state that is acknowledged.
            return Ok(None);
        }
        let end = match memrchr(b'\n', &self.buffer) {
            Some(at) => at + 1,
            None if self.buffer.is_empty() => return Ok(None),
            None => self.buffer.len(),
        };
        let end = if self.ended { self.buffer.len() } else { end };
        let mut next = self.room();
        next.extend_from_slice(self.buffer.get(end..).unwrap_or_default());
        let mut bytes = std::mem::replace(&mut self.buffer, next);
        bytes.truncate(end);
        let first_line = self.lines + 1;
        if first_line == 1 && bytes.starts_with(b"\xef\xbb\xbf") {
            bytes.drain(..3);
        }
        let is_usual = bytes.capacity() <= self.shares.largest_block;
        let bytes = Bytes::from(bytes);
        // As many as are on their way at once.
        if is_usual && self.handed_out.len() < self.shares.blocks {
            self.handed_out.push_back(bytes.clone());
        }
        Ok(Some(Block { bytes, first_line }))
    }

    /// The room of a block that nobody reads any more, or none.
    fn room(&mut self) -> Vec<u8> {
        let free = self.handed_out.iter().position(Bytes::is_unique);
        let room = free.and_then(|at| self.handed_out.remove(at)?.try_into_mut().ok());
        room.map_or_else(Vec::new, |mut room| {
            room.clear();
            room.into()
        })
    }

    /// Reads until a block is full, the input is quiet with a whole line at hand, or it ends.
    fn fill(&mut self) -> Result<()> {
        self.buffer.reserve(self.size.saturating_sub(self.buffer.len()));
        let mut searched = 0;
        let mut has_line = false;
        while !self.ended && !self.stop.load(Ordering::Relaxed) {
            has_line = has_line
                || memrchr(b'\n', self.buffer.get(searched..).unwrap_or_default()).is_some();
            searched = self.buffer.len();
            if has_line && self.buffer.len() >= self.size {
                break;
            }
            if self.buffer.len() >= self.longest {
                return Err(Error::Line {
                    line: self.lines + 1,
                    reason: format!("it is longer than {} bytes (half of memory_mb)", self.longest),
                });
            }
            if !self.wait(if has_line { QUIET_MILLIS } else { STOP_MILLIS })? {
                if has_line {
                    break;
                }
                continue;
            }
            if self.buffer.len() == self.buffer.capacity() {
                self.buffer.reserve(self.buffer.len().max(self.size));
            }
            match rustix::io::read(self.input.descriptor(), spare_capacity(&mut self.buffer)) {
                Ok(0) => self.ended = true,
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
        Ok(())
    }

    /// Whether there is something to read within the time.
    fn wait(&self, millis: i64) -> Result<bool> {
        let descriptor = self.input.descriptor();
        let mut fds = [PollFd::new(&descriptor, PollFlags::IN)];
        let timeout = Timespec { tv_sec: 0, tv_nsec: millis * 1_000_000 };
        match poll(&mut fds, Some(&timeout)) {
            Ok(ready) => Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn failed(&self, error: rustix::io::Errno) -> Error {
        Error::Input { name: self.input.name(), source: io::Error::from(error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::BLOCK;
    use crate::testing::limits;
    use std::io::{Seek, Write};

    fn blocks(content: &[u8], longest: usize) -> Blocks {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file.rewind().unwrap();
        let shares = limits(longest).shares;
        Blocks::new(Input::File(file, "input".into()), longest, shares, Arc::default())
    }

    #[test]
    fn a_last_line_needs_no_newline_and_a_byte_order_mark_is_taken_away() {
        let mut blocks = blocks(b"\xef\xbb\xbfone\r\n\ntwo", 1 << 20);
        let block = blocks.next().unwrap().unwrap();
        assert_eq!(&block.bytes[..], b"one\r\n\ntwo");
        assert_eq!(block.first_line, 1);
        assert!(blocks.next().unwrap().is_none());
    }

    #[test]
    fn lines_longer_than_a_block_come_whole() {
        let long = "x".repeat(BLOCK * 2 + 5);
        let mut blocks = blocks(format!("{long}\nshort\n").as_bytes(), BLOCK * 8);
        let mut all = Vec::new();
        while let Some(block) = blocks.next().unwrap() {
            assert!(block.bytes.ends_with(b"\n"));
            all.extend_from_slice(&block.bytes);
        }
        assert_eq!(all.len(), long.len() + 7);
    }

    #[test]
    fn the_room_of_a_block_is_used_again_once_nobody_reads_it() {
        let content = "0123456\n".repeat(BLOCK / 2);
        let mut blocks = blocks(content.as_bytes(), BLOCK * 8);
        let mut next = || blocks.next().unwrap().unwrap().bytes;
        let held = next();
        let read = next().as_ptr();
        assert_ne!(next().as_ptr(), held.as_ptr());
        assert_eq!(next().as_ptr(), read);
        assert_eq!(held, content.as_bytes()[..held.len()]);
    }

    #[test]
    fn a_line_beyond_the_limit_is_refused_with_its_number() {
        let mut blocks = blocks("y".repeat(BLOCK).as_bytes(), 1000);
        let error = blocks.next().unwrap_err().to_string();
        assert!(error.starts_with("line 1 is not a message: it is longer than"), "{error}");
    }
}
