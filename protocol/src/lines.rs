//! Writing JSON lines: whole ones only, in writes of about 64 KiB.

use std::io::{self, Write};

use serde::Serialize;

/// Bytes that are gathered before they are written.
const BUFFER: usize = 64 * 1024;

/// Gathers lines and writes them.
#[derive(Debug)]
pub struct LineWriter<W: Write> {
    output: W,
    buffer: Vec<u8>,
}

impl<W: Write> LineWriter<W> {
    /// A writer to `output`.
    pub fn new(output: W) -> Self {
        Self { output, buffer: Vec::with_capacity(BUFFER + BUFFER / 4) }
    }

    /// Adds a line.
    pub fn line<T: Serialize>(&mut self, message: &T) -> io::Result<()> {
        self.gather(|line| Ok(serde_json::to_writer(line, message)?))
    }

    /// Adds the line that `write` appends, without its end.
    pub fn gather(&mut self, write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> io::Result<()> {
        write(&mut self.buffer)?;
        self.buffer.push(b'\n');
        if self.buffer.len() >= BUFFER {
            self.output.write_all(&self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }

    /// Writes what was gathered.
    pub fn flush(&mut self) -> io::Result<()> {
        self.output.write_all(&self.buffer)?;
        self.buffer.clear();
        self.output.flush()
    }
}
