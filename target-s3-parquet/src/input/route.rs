//! Sends each line to where it is read.

use memchr::memchr;

use super::item::Item;
use super::lines::{Block, Blocks};
use super::outlet::{Halt, Outlet};
use super::protocol::Messages;
use crate::decode::chunk::is_utf8;
use crate::error::{Error, Result};

/// How records begin as most programs write them, in every protocol: they are known without asking.
const COMMON: [&[u8]; 2] = [b"{\"type\":\"RECORD\"", b"{\"type\": \"RECORD\""];

/// Has the lines that are no records read, and puts those that are into chunks.
#[derive(Debug)]
pub(super) struct Router {
    messages: Box<dyn Messages>,
    outlet: Outlet,
}

impl Router {
    pub(super) fn new(messages: Box<dyn Messages>, outlet: Outlet) -> Self {
        Self { messages, outlet }
    }

    /// Routes the whole input. Errors travel the same way as items, in their place.
    pub(super) fn run(&mut self, mut blocks: Blocks) {
        match self.route(&mut blocks) {
            Ok(()) | Err(Halt::Unheard) => {}
            Err(Halt::Broken(error)) => self.outlet.error(error),
        }
    }

    fn route(&mut self, blocks: &mut Blocks) -> Result<(), Halt> {
        while let Some(block) = blocks.next()? {
            let lines = self.block(&block)?;
            blocks.had(lines);
            blocks.fit_to(self.outlet.streams());
        }
        self.messages
            .at_end()
            .into_iter()
            .try_for_each(|text| self.outlet.item(Item::Warning(text)))
    }

    /// Routes the lines of a block, and says how many they are.
    fn block(&mut self, block: &Block) -> Result<u64, Halt> {
        let received_at = chrono::Utc::now().timestamp_micros();
        let mut records = 0..0;
        let mut records_line = block.first_line;
        let mut number = block.first_line;
        let mut at = 0;
        while let Some(rest) = block.bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let length = memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
            let line = rest.get(..length).unwrap_or_default().trim_ascii();
            let is_record = self.is_record(line);
            if matches!(is_record, Ok(true)) {
                if records.is_empty() {
                    records.start = at;
                    records_line = number;
                }
                records.end = at + length;
            } else {
                // What stands before a line that is broken comes before its error.
                self.outlet.records(None, block.bytes.slice(records), records_line, received_at)?;
                records = 0..0;
                // Records are looked at when they are decoded.
                is_utf8(line, number)?;
                is_record.map_err(|reason| Error::Line { line: number, reason })?;
                self.messages.read(line, number, &mut self.outlet)?;
            }
            at += length;
            number += 1;
        }
        self.outlet.records(None, block.bytes.slice(records), records_line, received_at)?;
        Ok(number - block.first_line)
    }

    /// Whether a line goes to the decoder: records, and blank lines among them.
    #[inline]
    fn is_record(&self, line: &[u8]) -> Result<bool, String> {
        if line.is_empty() || COMMON.iter().any(|start| line.starts_with(start)) {
            return Ok(true);
        }
        self.messages.is_record(line)
    }
}
