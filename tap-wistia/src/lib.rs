//! `tap-wistia`: Wistia video analytics as Singer messages.
//!
//! ```text
//! catalog, state ─► sync ─► client ─► Wistia
//!                    │  streams (one file each: request, record, cleaning)
//!                    └─► output ─► stdout
//! ```
//!
//! [`client`] knows how to ask (token, rate limit, retries), [`streams`] what to ask for and what a
//! record is, [`clean`] what the API's values mean, [`sync`] the order of it all; [`events`] and
//! [`slice`] are the one stream that is too large to be read at once.

pub mod clean;
pub mod cli;
pub mod client;
pub mod config;
pub mod discover;
pub mod drift;
pub mod error;
pub mod events;
pub mod output;
pub mod pages;
pub mod privacy;
pub mod probe;
pub mod progress;
pub mod slice;
pub mod state;
pub mod streams;
pub mod summary;
pub mod sync;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use chrono::Utc;
use clap::Parser;
use protocol::about::About;
use protocol::program;
use protocol::report::Exit;
use protocol::settings;
use tokio::signal::unix::{SignalKind, signal};

use cli::{Cli, Command, Test};
use client::Client;
use config::Config;
use error::{Error, Result};
use output::Output;
use privacy::Privacy;
use progress::Progress;
use state::State;
use streams::channels::Rules;
use summary::Summary;
use sync::Sync;

/// Prefix of the environment variables.
pub const ENVIRONMENT_PREFIX: &str = "TAP_WISTIA";

/// Runs the program with the given arguments.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to stdout, usage errors to stderr; nobody is left to tell when
            // that fails.
            _ = error.print();
            let usage = if error.use_stderr() { Exit::Usage } else { Exit::Success };
            return usage.into();
        }
    };
    let log_format = program::start_log("tap-wistia", ENVIRONMENT_PREFIX, cli.log_format);
    let outcome = match &cli.command {
        Some(Command::Shell(command)) => {
            program::print(&command.text::<Cli>(&about())).map_err(Error::Output)
        }
        None if cli.about => about().print(cli.format).map_err(Error::Output),
        None if cli.discover => program::print(&discover::document()).map_err(Error::Output),
        None => connected(&cli),
    };
    match outcome {
        Ok(()) => Exit::Success.into(),
        // The target has ended and says why; there is nothing to add.
        Err(error) if error.is_broken_pipe() => Exit::Failure.into(),
        Err(error) => {
            program::tell(&error, error.hint(), log_format);
            error.exit().into()
        }
    }
}

/// What the tap is and how it is configured.
pub fn about() -> About {
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
        settings: settings::schema::<Config>(),
    }
}

/// What needs the API.
fn connected(cli: &Cli) -> Result<()> {
    let config: Config = program::load(&cli.config, ENVIRONMENT_PREFIX)?;
    config.validate()?;
    let period = config.period(Utc::now().date_naive())?;
    let rules = Rules::new(&config.channel_rules)?;
    let selected = match &cli.catalog {
        Some(path) => discover::selection(&path.display().to_string(), &read(path)?)?,
        None => discover::default_selection(),
    };
    let state = match &cli.state {
        Some(path) => State::parse(&path.display().to_string(), &read(path)?)?,
        None => State::default(),
    };
    let mut output = Output::new(Box::new(std::io::stdout()), selected, &config.mapper())?;
    if cli.test == Some(Test::Schema) {
        return output.schemas();
    }
    let client = Client::new(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Error::Internal(format!("no runtime: {error}")))?;
    let work = async {
        if cli.test.is_some() {
            return probe::run(&client, output.selected()).await;
        }
        let progress = Progress::new(program::is_watched(cli.log_format));
        synced(&client, &config, period, rules, output, state, progress).await
    };
    runtime.block_on(async {
        tokio::select! {
            outcome = work => outcome,
            stopped = stop() => Err(stopped),
        }
    })
}

async fn synced(
    client: &Client,
    config: &Config,
    period: config::Period,
    rules: Rules,
    output: Output,
    state: State,
    progress: Progress,
) -> Result<()> {
    let started = Instant::now();
    let mut sync = Sync {
        client,
        config,
        period,
        privacy: Privacy::new(config),
        rules,
        output,
        state,
        failed: Vec::new(),
        progress,
    };
    let outcome = Box::pin(sync.run()).await;
    sync.progress.clear();
    Summary::new(&sync.output, client.traffic(), &sync.failed, started.elapsed())
        .tell(sync.progress.is_watched());
    outcome
}

/// Waits for a signal that ends the run. What was written so far is whole lines, and the last state
/// among them says how far it reaches.
async fn stop() -> Error {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::warn!("signals are not handled");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => Error::Stopped { signal: "SIGTERM", exit: Exit::Terminated },
        _ = interrupt.recv() => Error::Stopped { signal: "SIGINT", exit: Exit::Interrupted },
    }
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path)
        .map_err(|source| Error::File { name: path.display().to_string(), source })
}
