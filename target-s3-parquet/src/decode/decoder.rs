//! A chunk of record lines to one Arrow batch per stream.

use memchr::memchr;

use super::chunk::Chunk;
use super::dialect::Dialect;
use super::fault::{LineFault, describe};
use super::plan::Registry;
use super::reader::{RecordReader, Scratch};
use super::rows::Decoded;
use crate::error::{Error, Result};

/// Decodes a chunk of a dialect.
pub(crate) fn decode(
    chunk: &Chunk,
    dialect: &dyn Dialect,
    registry: &Registry,
    scratch: &mut Scratch,
) -> Decoded {
    let mut reader = RecordReader::new(registry, scratch);
    let outcome = chunk.validate().and_then(|()| read_lines(chunk, dialect, &mut reader));
    reader.finish(chunk, outcome.err())
}

fn read_lines<'a>(
    chunk: &'a Chunk,
    dialect: &dyn Dialect,
    reader: &mut RecordReader<'a, '_, '_>,
) -> Result<()> {
    let mut rest: &[u8] = &chunk.bytes;
    let mut number = chunk.first_line;
    while !rest.is_empty() {
        let end = memchr(b'\n', rest).unwrap_or(rest.len());
        let (line, after) = rest.split_at(end);
        rest = after.get(1..).unwrap_or_default();
        if !line.trim_ascii().is_empty() {
            dialect.read(reader, line, number).map_err(|fault| error_of(fault, line, number))?;
        }
        number += 1;
    }
    Ok(())
}

#[cold]
fn error_of(fault: LineFault, line: &[u8], number: u64) -> Error {
    match fault {
        LineFault::Error(error) => *error,
        LineFault::Text(reason) => Error::Line { line: number, reason },
        LineFault::Syntax(syntax) => Error::Line { line: number, reason: describe(line, syntax) },
    }
}
