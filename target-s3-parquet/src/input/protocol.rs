//! What the input knows of a protocol.

use std::fmt::Debug;

use super::outlet::{Halt, Outlet};
use crate::decode::dialect::Dialect;
use crate::decode::plan::Registry;

/// A protocol at the start of a run.
#[derive(Debug)]
pub(crate) struct Protocol {
    /// The form of its records.
    pub(crate) dialect: &'static dyn Dialect,
    /// What reads its other messages.
    pub(crate) messages: Box<dyn Messages>,
    /// The streams that are known before their first message.
    pub(crate) registry: Registry,
}

/// The messages of a protocol that are no records.
pub(crate) trait Messages: Debug + Send {
    /// Whether a line holds a record. The error says what keeps it from being a message.
    fn is_record(&self, line: &[u8]) -> Result<bool, String>;

    /// Reads a line that is no record, and passes on what it says.
    fn read(&mut self, line: &[u8], number: u64, outlet: &mut Outlet) -> Result<(), Halt>;

    /// Warnings at the end of the input.
    fn at_end(&self) -> Vec<String>;
}
