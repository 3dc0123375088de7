//! The verbs of an Airbyte destination.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use lake::store::Condition;
use program::report::{self, Exit};
use protocol::airbyte::{
    ConfiguredCatalog, ConnectionStatus, DestinationSyncMode, FailureType, Message,
    PROTOCOL_VERSION, Specification, Trace, TraceError, print,
};

use super::state::Acknowledger;
use super::{form, messages, streams};
use crate::error::{Error, Kind, Result};
use crate::input::lines::Input;
use crate::run::{self, Run};
use crate::settings::config::Config;

/// What Airbyte asks of a destination.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Airbyte: print how the destination is configured.
    Spec(Options),
    /// Airbyte: say whether the settings work.
    Check(Options),
    /// Airbyte: write the messages on standard input.
    Write(Write),
}

/// What every verb takes.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Log in detail.
    #[arg(long)]
    debug: bool,
}

/// What `write` takes.
#[derive(Debug, Args)]
pub(crate) struct Write {
    #[command(flatten)]
    options: Options,
    /// Which streams are written, and how.
    #[arg(long, value_name = "FILE")]
    catalog: PathBuf,
}

impl Verb {
    /// Whether to log in detail.
    pub(crate) fn debug(&self) -> bool {
        match self {
            Self::Spec(options) | Self::Check(options) => options.debug,
            Self::Write(write) => write.options.debug,
        }
    }

    fn run(&self, config: &[String]) -> Result<()> {
        match self {
            Self::Spec(_) => send(&Message::Spec { spec: &specification() }),
            Self::Check(_) => {
                let status = match load(config).and_then(|config| check(&config)) {
                    Ok(()) => ConnectionStatus::Succeeded { message: None },
                    Err(error) => ConnectionStatus::Failed { message: trace(&error).message },
                };
                send(&Message::ConnectionStatus { status })
            }
            Self::Write(write) => write.run(load(config)?),
        }
    }
}

/// Runs a verb to its exit code. The failure of one is a trace, so that Airbyte can show it.
pub(crate) fn main(verb: &Verb, config: &[String]) -> ExitCode {
    protocol::airbyte::guard(|| match verb.run(config) {
        Ok(()) => Exit::Success.into(),
        Err(error) => {
            report::print(&error, error.hint());
            // Nobody is left to hear of it when this fails.
            _ = send(&Trace::error(trace(&error)).into());
            match error {
                Error::Stopped { exit, .. } => exit.into(),
                _ => Exit::Failure.into(),
            }
        }
    })
}

fn send(message: &Message<'_>) -> Result<()> {
    print(message).map_err(|source| Error::Input { name: "standard output".into(), source })
}

/// An error as a trace says it.
fn trace(error: &Error) -> TraceError<'static> {
    let failure_type = match error.kind() {
        Kind::Usage | Kind::Setting => FailureType::ConfigError,
        Kind::Transient | Kind::Stopped(_) => FailureType::TransientError,
        Kind::Storage => match error {
            Error::Lake(lake::Error::Store { .. }) => FailureType::TransientError,
            // Temporary files and standard output are this machine's.
            _ => FailureType::SystemError,
        },
        Kind::Input | Kind::Catalog | Kind::Internal => FailureType::SystemError,
    };
    let details = report::render(error, None).trim_end().to_owned();
    TraceError::new(error, error.hint(), details, failure_type)
}

/// How the destination is configured.
fn specification() -> Specification {
    use DestinationSyncMode::{Append, AppendDedup, Overwrite};
    Specification {
        protocol_version: PROTOCOL_VERSION,
        documentation_url: concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/airbyte.md")
            .into(),
        connection_specification: form::specification(),
        supports_incremental: true,
        supported_destination_sync_modes: &[Overwrite, Append, AppendDedup],
    }
}

fn load(config: &[String]) -> Result<Config> {
    let config = form::load(config)?;
    config.validate()?;
    Ok(config)
}

/// Writes, reads and deletes an object where the lake is.
fn check(config: &Config) -> Result<()> {
    let lake = run::open(config)?;
    let (store, run) = (lake.store(), lake.run());
    let key = format!("_lake/check/{run}");
    let written = store.put(&key, run.as_bytes(), Condition::Always)?;
    let read = store.get(&key);
    store.delete(&written.key)?;
    match read? {
        Some((_, text)) if text == run.as_bytes() => Ok(()),
        _ => {
            let reason = "it is not what was written";
            Err(lake::Error::store("read", store.locate(&key), reason).into())
        }
    }
}

impl Write {
    fn run(&self, config: Config) -> Result<()> {
        let name = self.catalog.display().to_string();
        let text = std::fs::read_to_string(&self.catalog)
            .map_err(|source| Error::Input { name: name.clone(), source })?;
        let catalog = ConfiguredCatalog::parse(&text)
            .map_err(|reason| Error::CatalogFile { name: name.clone(), reason })?;
        let streams = streams::plans(&name, &catalog, &config)?;
        let run = Run::new(Arc::new(config))?;
        let sink = Acknowledger::new(Box::new(std::io::stdout()));
        let engine =
            run.engine(Box::new(sink))?.for_streams(streams.iter().map(|stream| &stream.plan))?;
        run.write(engine, Input::Stdin, messages::protocol(&streams), false)
    }
}
