//! Singer's messages that are no records.

use std::collections::HashSet;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::batch::BatchMessage;
use super::envelope::Singer;
use super::kind::{MessageKind, kind_of_line};
use super::schemas::{Planner, SchemaMessage};
use crate::decode::plan::Registry;
use crate::error::Error;
use crate::input::item::Item;
use crate::input::outlet::{Halt, Outlet};
use crate::input::protocol::{Messages, Protocol};
use crate::settings::config::Config;
use crate::state::State;

/// Singer at the start of a run: no stream is known before its SCHEMA.
pub(crate) fn protocol(config: &Arc<Config>) -> Protocol {
    Protocol {
        dialect: &Singer,
        messages: Box::new(SingerMessages {
            planner: Planner::new(Arc::clone(config)),
            config: Arc::clone(config),
            warned: HashSet::new(),
        }),
        registry: Registry::default(),
    }
}

/// Reads messages, and remembers the schemas and what was warned of.
#[derive(Debug)]
struct SingerMessages {
    config: Arc<Config>,
    planner: Planner,
    /// Types of messages that are not known.
    warned: HashSet<String>,
}

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

impl Messages for SingerMessages {
    fn is_record(&self, line: &[u8]) -> Result<bool, String> {
        kind_of_line(line).map(|kind| kind == MessageKind::Record)
    }

    fn read(&mut self, line: &[u8], number: u64, outlet: &mut Outlet) -> Result<(), Halt> {
        let no_message = |reason| Error::Line { line: number, reason };
        let broken = |error: serde_json::Error| {
            no_message(error.to_string().replace(" at line 1 column", " at column"))
        };
        match kind_of_line(line).map_err(no_message)? {
            MessageKind::Record => {
                Err(Error::internal("a record is decoded with its chunk").into())
            }
            MessageKind::Schema => {
                let message = SchemaMessage::parse(line).map_err(broken)?;
                self.schema(message, number, outlet)
            }
            MessageKind::State => {
                let state: StateMessage<'_> = serde_json::from_slice(line).map_err(broken)?;
                let Some(value) = state.value else {
                    return Err(no_message("it is a STATE without a `value`".into()).into());
                };
                outlet.item(Item::State(State { text: value.to_owned(), stream: None }))
            }
            MessageKind::ActivateVersion => {
                let message: ActivateVersionMessage =
                    serde_json::from_slice(line).map_err(broken)?;
                activate_version(message, outlet)
            }
            MessageKind::Batch => {
                let message: BatchMessage = serde_json::from_slice(line).map_err(broken)?;
                self.batch(&message, outlet)
            }
            MessageKind::Other => {
                let TypeOnly { kind } = serde_json::from_slice(line).map_err(broken)?;
                if !self.warned.insert(kind.clone()) {
                    return Ok(());
                }
                outlet.item(Item::Warning(format!(
                    "line {number}: messages of type {kind} are not known and ignored"
                )))
            }
        }
    }

    fn at_end(&self) -> Vec<String> {
        self.planner.misnamed()
    }
}

impl SingerMessages {
    fn schema(
        &mut self,
        message: SchemaMessage,
        number: u64,
        outlet: &mut Outlet,
    ) -> Result<(), Halt> {
        let source = message.stream.as_bytes().into();
        let Some(plans) = self.planner.plans(message, number)? else { return Ok(()) };
        for warning in self.planner.take_warnings() {
            outlet.item(Item::Warning(warning))?;
        }
        outlet.define(source, &plans)
    }

    /// Reads the files of a BATCH as if their records stood in its place.
    fn batch(&self, message: &BatchMessage, outlet: &Outlet) -> Result<(), Halt> {
        for url in &message.manifest {
            let file: Arc<str> = url.as_str().into();
            let mut blocks = message.open(url, &self.config)?;
            let received_at = chrono::Utc::now().timestamp_micros();
            while let Some((bytes, first_line)) = blocks.next()? {
                outlet.records(Some(Arc::clone(&file)), bytes, first_line, received_at)?;
            }
        }
        Ok(())
    }
}

/// The message of a copied stream is for all its copies. A version that is null names none.
fn activate_version(message: ActivateVersionMessage, outlet: &Outlet) -> Result<(), Halt> {
    let Some(version) = message.version else { return Ok(()) };
    let Some(plans) = outlet.plans(message.stream.as_bytes()) else {
        return outlet.item(Item::ActivateVersion { stream: message.stream, version });
    };
    plans.iter().try_for_each(|plan| {
        outlet.item(Item::ActivateVersion { stream: plan.stream.clone(), version })
    })
}
