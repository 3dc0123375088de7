//! How a protocol writes its records.

use std::fmt::Debug;

use super::fault::LineFault;
use super::reader::RecordReader;

/// The form of a protocol's record messages.
pub(crate) trait Dialect: Debug + Sync {
    /// Reads a line that holds a record: finds its stream, has the reader read the record, and
    /// [keeps](super::stream::Stream::keep) it once the line was read to its end. Every record is
    /// kept, or the stream is noted as unknown, or the line is a fault.
    fn read<'a>(
        &self,
        reader: &mut RecordReader<'a, '_, '_>,
        line: &'a [u8],
        number: u64,
    ) -> Result<(), LineFault>;
}
