//! `tap-wistia`: Wistia video analytics as Singer messages.
//!
//! ```text
//! catalog, state ─► job ─► sync ─► read (the ways of reading) ─► client ─► Wistia
//!                           │  streams (one file each: record, cleaning, endpoint)
//!                           └─► output ─► messages (Singer's or Airbyte's) ─► stdout
//! ```
//!
//! [`stream`] says what a stream is, [`streams`] which there are and in which way of [`read`] each is
//! read, [`sync`] goes through them and knows none by name. [`client`] knows how to ask (token, rate
//! limit, retries), [`clean`] what the API's values mean. No two files import each other, directly or
//! in a circle; `tests/house.rs` checks it.

mod absent;
mod airbyte;
mod behind;
#[cfg(not(feature = "s3"))]
#[path = "bucket/absent.rs"]
mod bucket;
#[cfg(feature = "s3")]
mod bucket;
mod clean;
mod cli;
mod client;
mod config;
mod context;
mod discover;
mod drift;
mod error;
mod figures;
mod job;
mod lineage;
mod members;
mod messages;
mod output;
mod pages;
mod permission;
mod privacy;
mod probe;
mod progress;
mod read;
mod rules;
mod settings;
mod shown;
mod singer;
mod state;
mod stream;
mod streams;
mod summary;
mod sync;
#[cfg(test)]
mod testing;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use chrono::Utc;
use clap::Parser;
use program::about::About;
use program::report::Exit;
use program::{Log, LogFormat};

use cli::{Cli, Command, Test};
use config::Config;
use error::{Error, Result};
use job::{Job, Signals};
use singer::Singer;
use state::State;

/// Prefix of the environment variables.
const ENVIRONMENT_PREFIX: &str = "TAP_WISTIA";

/// Runs the program with the given arguments, and returns how it exits. Messages go to stdout, and
/// everything else to stderr.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to stdout, usage errors to stderr; nobody is left to report to when
            // that fails.
            _ = error.print();
            let usage = if error.use_stderr() { Exit::Usage } else { Exit::Success };
            return usage.into();
        }
    };
    let debug = cli.command.as_ref().is_some_and(Command::debug);
    let log = program::start_log("tap-wistia", ENVIRONMENT_PREFIX, &cli.log, debug);
    match &cli.command {
        Some(Command::Airbyte(verb)) => airbyte::main(verb, &cli.config),
        Some(Command::Shell(command)) => {
            let text = command.text::<Cli>(&about());
            exit(program::print(&text).map_err(Error::Output), log.format)
        }
        None => exit(by_flags(&cli, log), log.format),
    }
}

/// Does what the Singer flags ask for.
fn by_flags(cli: &Cli, log: Log) -> Result<()> {
    if cli.about {
        about().print(cli.format).map_err(Error::Output)
    } else if cli.discover {
        program::print(&discover::document()).map_err(Error::Output)
    } else {
        connected(cli, log)
    }
}

/// Reports how a run ended.
fn exit(outcome: Result<()>, log_format: LogFormat) -> ExitCode {
    match outcome {
        Ok(()) => Exit::Success.into(),
        // The target has ended and says why; there is nothing to add.
        Err(error) if error.is_broken_pipe() => Exit::Failure.into(),
        Err(error) => {
            program::report_error(&error, error.hint(), log_format);
            error.kind().exit().into()
        }
    }
}

/// What the tap is and how it is configured.
fn about() -> About {
    About {
        name: "tap-wistia",
        description: env!("CARGO_PKG_DESCRIPTION"),
        version: env!("CARGO_PKG_VERSION"),
        capabilities: &[
            "about",
            "catalog",
            "discover",
            "properties",
            "schema-flattening",
            "state",
            "stream-maps",
            "structured-logging",
            "test",
        ],
        settings: program::settings::schema::<Config>(),
    }
}

/// The text of a state: of a file, which must be there, or of an object, which the first sync does not find.
fn stored_state(name: &str) -> Result<Option<String>> {
    if !name.starts_with("s3://") {
        return job::read_state(Path::new(name)).map(Some);
    }
    // The target may leave an object that says nothing.
    let text = bucket::read(name)?.filter(|text| !text.trim().is_empty());
    if text.is_none() {
        tracing::warn!("{name} is not there yet: this is the first sync, which reads everything");
    }
    Ok(text)
}

/// What needs the API.
fn connected(cli: &Cli, log: Log) -> Result<()> {
    let config: Config = program::load(&cli.config, ENVIRONMENT_PREFIX)?;
    config.validate()?;
    let selected = match &cli.catalog {
        Some(path) => discover::selection(&path.display().to_string(), &job::read(path)?)?,
        None => discover::default_selection(),
    };
    let is_known = |name: &str| streams::by_name(name).is_some();
    let state = match &cli.state {
        Some(name) => match stored_state(name)? {
            Some(text) => State::parse(name, &text, is_known)?,
            None => State::default(),
        },
        None => State::default(),
    };
    let mapper = config.mapper();
    let job = Job::new(config, Utc::now().date_naive(), selected, Signals::Handled)?;
    let messages = Box::new(Singer::new(Box::new(std::io::stdout())));
    match cli.test {
        Some(Test::Schema) => job.schemas(messages, &mapper),
        Some(Test::All) => {
            let report = job.probe(messages, &mapper)?;
            match log.format {
                LogFormat::Auto | LogFormat::Text => {
                    program::print(&report.table()).map_err(Error::Output)?;
                }
                LogFormat::Json | LogFormat::Singer => report.log(),
            }
            report.end()
        }
        None => job.sync(messages, &mapper, state, log.watched),
    }
}
