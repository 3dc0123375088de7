//! The verbs of an Airbyte destination.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use program::report::{self, Exit};
use protocol::airbyte::{
    ConfiguredCatalog, ConnectionStatus, DestinationSyncMode, FailureType, Message,
    PROTOCOL_VERSION, Specification, Trace, TraceError, print,
};

use super::state::Acknowledger;
use super::{form, messages, streams};
use crate::check::check;
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
                    Ok(message) => ConnectionStatus::Succeeded { message },
                    Err(error) => ConnectionStatus::Failed { message: trace(&error).message },
                };
                send(&Message::ConnectionStatus { status })
            }
            Self::Write(write) => {
                let config = load(config)?;
                run::watched(|| write.run(config))
            }
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
            match error.kind() {
                Kind::Stopped(exit) => exit.into(),
                // Airbyte knows one code of failure; the trace says which one it is.
                Kind::Usage
                | Kind::Setting
                | Kind::Input
                | Kind::Transient
                | Kind::Storage
                | Kind::Catalog
                | Kind::Internal => Exit::Failure.into(),
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
        Kind::Storage if matches!(error, Error::Lake(lake::Error::Store { .. })) => {
            FailureType::TransientError
        }
        // Temporary files and standard output are this machine's.
        Kind::Storage => FailureType::SystemError,
        Kind::Input | Kind::Catalog | Kind::Internal => FailureType::SystemError,
    };
    let details = report::render(error, None).trim_end().to_owned();
    TraceError::new(report::sentence(error, error.hint()), details, failure_type)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_the_users_or_a_matter_of_time_or_ours() {
        use FailureType::{ConfigError, SystemError, TransientError};
        let text = || "x".to_owned();
        let disk = || std::io::Error::other("the disk");
        for (error, expected) in [
            (Error::Setting { key: text(), reason: text() }, ConfigError),
            (Error::CatalogFile { name: text(), reason: text() }, ConfigError),
            (
                Error::Value {
                    line: 1,
                    stream: text(),
                    column: text(),
                    value: text(),
                    expected: text(),
                },
                ConfigError,
            ),
            (lake::Error::Table { table: text(), reason: text() }.into(), ConfigError),
            (Error::Unfinished { streams: text() }, TransientError),
            (Error::Stopped { signal: "SIGTERM", exit: Exit::Terminated }, TransientError),
            (lake::Error::Conflict { object: text() }.into(), TransientError),
            (lake::Error::store("read", "x", "no answer").into(), TransientError),
            (
                lake::Error::Spill { action: "write", path: text(), source: disk() }.into(),
                SystemError,
            ),
            (Error::State { name: text(), source: disk() }, SystemError),
            (Error::Line { line: 1, reason: text() }, SystemError),
            (
                lake::Error::Catalog { object: text(), reason: text(), source: None }.into(),
                SystemError,
            ),
            (Error::internal("x"), SystemError),
        ] {
            let found = format!("{:?}", trace(&error).failure_type);
            assert_eq!(found, format!("{expected:?}"), "{error:?}");
        }
    }
}
