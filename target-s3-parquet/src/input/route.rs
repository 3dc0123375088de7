//! Sends each line to where it is read.

use std::sync::Arc;

use bytes::Bytes;
use memchr::memchr;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::batch::BatchMessage;
use super::lines::{Block, Blocks};
use super::plan::{Planner, SchemaMessage};
use super::{Item, Output, State, airbyte};
use crate::decode::{Chunk, Dialect, MessageKind, Registry, kind_of_line};
use crate::error::{Error, Result};
use crate::settings::Config;

#[derive(Deserialize)]
struct StateMessage<'a> {
    #[serde(borrow)]
    value: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ActivateVersionMessage {
    stream: String,
    version: Option<i64>,
}

#[derive(Deserialize)]
struct TypeOnly {
    #[serde(rename = "type")]
    kind: String,
}

/// Reads the lines that are no records, and cuts those that are into chunks.
pub(super) struct Router {
    output: Output,
    config: Arc<Config>,
    planner: Planner,
    registry: Arc<Registry>,
    dialect: Dialect,
    started_at: i64,
    warned: std::collections::HashSet<String>,
}

/// Why routing ends early.
enum Stop {
    /// Nobody listens any more.
    Unheard,
    /// The input is broken.
    Broken(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Broken(error)
    }
}

impl Router {
    /// Routes messages of a dialect. Streams that are known before their first message are in the
    /// registry.
    pub(super) fn new(
        config: Arc<Config>,
        output: Output,
        dialect: Dialect,
        registry: Registry,
        started_at: i64,
    ) -> Self {
        Self {
            output,
            planner: Planner::new(Arc::clone(&config)),
            config,
            registry: Arc::new(registry),
            dialect,
            started_at,
            warned: std::collections::HashSet::new(),
        }
    }

    /// Routes the whole input. Errors travel the same way as items, in their place.
    pub(super) fn run(&mut self, mut blocks: Blocks) {
        loop {
            let outcome = match blocks.next() {
                Ok(Some(block)) => self.block(&block),
                Ok(None) => {
                    let warnings = self.planner.misnamed();
                    _ = warnings.into_iter().all(|text| self.output.item(Ok(Item::Warning(text))));
                    return;
                }
                Err(error) => Err(Stop::Broken(error)),
            };
            match outcome {
                Ok(()) => blocks.expect_streams(self.registry.len()),
                Err(Stop::Unheard) => return,
                Err(Stop::Broken(error)) => {
                    self.output.item(Err(error));
                    return;
                }
            }
        }
    }

    fn block(&mut self, block: &Block) -> Result<(), Stop> {
        let received_at = chrono::Utc::now().timestamp_micros();
        let mut records = 0..0;
        let mut records_line = block.first_line;
        let mut number = block.first_line;
        let mut at = 0;
        while let Some(rest) = block.bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let length = memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
            let line = rest.get(..length).unwrap_or_default().trim_ascii();
            let kind = if line.is_empty() {
                Ok(MessageKind::Record)
            } else {
                self.kind(line).map_err(|reason| Error::Line { line: number, reason })
            };
            if matches!(kind, Ok(MessageKind::Record)) {
                if records.is_empty() {
                    records.start = at;
                    records_line = number;
                }
                records.end = at + length;
            } else {
                self.records(block.bytes.slice(records), records_line, received_at)?;
                records = 0..0;
                self.message(kind?, line, number)?;
            }
            at += length;
            number += 1;
        }
        self.records(block.bytes.slice(records), records_line, received_at)
    }

    fn kind(&self, line: &[u8]) -> Result<MessageKind, String> {
        match (kind_of_line(line), self.dialect) {
            // What other programs print on the same pipe is no message, and Airbyte passes it over.
            (Err(_), Dialect::Airbyte) => Ok(MessageKind::Other),
            (kind, _) => kind,
        }
    }

    fn records(&self, bytes: Bytes, first_line: u64, received_at: i64) -> Result<(), Stop> {
        self.records_of(None, bytes, first_line, received_at)
    }

    fn records_of(
        &self,
        file: Option<Arc<str>>,
        bytes: Bytes,
        first_line: u64,
        received_at: i64,
    ) -> Result<(), Stop> {
        if bytes.is_empty() {
            return Ok(());
        }
        let (started_at, dialect) = (self.started_at, self.dialect);
        let chunk = Chunk { bytes, first_line, received_at, started_at, dialect };
        let heard = self.output.chunk(chunk, Arc::clone(&self.registry), file);
        if heard { Ok(()) } else { Err(Stop::Unheard) }
    }

    fn batch(&self, message: &BatchMessage) -> Result<(), Stop> {
        for url in &message.manifest {
            let mut file = message.open(url, &self.config)?;
            let received_at = chrono::Utc::now().timestamp_micros();
            while let Some((bytes, first_line)) = file.next()? {
                self.records_of(Some(url.as_str().into()), bytes, first_line, received_at)?;
            }
        }
        Ok(())
    }

    fn message(&mut self, kind: MessageKind, line: &[u8], number: u64) -> Result<(), Stop> {
        if self.dialect == Dialect::Airbyte {
            return match airbyte::message(kind, line, number)? {
                Some(item) => self.pass(item),
                None => Ok(()),
            };
        }
        let broken = |error: serde_json::Error| Error::Line {
            line: number,
            reason: error.to_string().replace(" at line 1 column", " at column"),
        };
        let item = match kind {
            MessageKind::Record => return Ok(()),
            MessageKind::Schema => {
                let message = SchemaMessage::parse(line).map_err(broken)?;
                let source = message.stream.as_bytes().into();
                let Some(plans) = self.planner.plans(message, number)? else { return Ok(()) };
                for warning in self.planner.take_warnings() {
                    self.pass(Item::Warning(warning))?;
                }
                let registry = Arc::make_mut(&mut self.registry);
                registry.insert(source, Arc::clone(&plans));
                return plans.iter().try_for_each(|plan| self.pass(Item::Schema(Arc::clone(plan))));
            }
            MessageKind::State => {
                let state: StateMessage<'_> = serde_json::from_slice(line).map_err(broken)?;
                let Some(value) = state.value else {
                    let reason = "it is a STATE without a `value`".into();
                    return Err(Error::Line { line: number, reason }.into());
                };
                Item::State(State { text: value.to_owned(), stream: None })
            }
            MessageKind::ActivateVersion => {
                let message: ActivateVersionMessage =
                    serde_json::from_slice(line).map_err(broken)?;
                let Some(version) = message.version else { return Ok(()) };
                let Some(plans) = self.registry.get(message.stream.as_bytes()) else {
                    return self.pass(Item::ActivateVersion { stream: message.stream, version });
                };
                return plans.iter().try_for_each(|plan| {
                    self.pass(Item::ActivateVersion { stream: plan.stream.clone(), version })
                });
            }
            MessageKind::Batch => {
                let message: BatchMessage = serde_json::from_slice(line).map_err(broken)?;
                return self.batch(&message);
            }
            MessageKind::Other => {
                let message: TypeOnly = serde_json::from_slice(line).map_err(broken)?;
                if !self.warned.insert(message.kind.clone()) {
                    return Ok(());
                }
                Item::Warning(format!(
                    "line {number}: messages of type {} are not known and ignored",
                    message.kind
                ))
            }
        };
        self.pass(item)
    }

    fn pass(&self, item: Item) -> Result<(), Stop> {
        if self.output.item(Ok(item)) { Ok(()) } else { Err(Stop::Unheard) }
    }
}
