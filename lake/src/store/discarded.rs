//! An upload of which nothing is kept.

use std::io::{self, Write};

use super::contract::{Object, Upload};
use crate::error::{Error, Result};

/// An upload of which nothing is kept: to see how large a file would be.
#[derive(Debug)]
pub(crate) struct Discarded;

impl Write for Discarded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Upload for Discarded {
    fn finish(self: Box<Self>) -> Result<Object> {
        Err(Error::internal("a file that is discarded is never made visible"))
    }
}
