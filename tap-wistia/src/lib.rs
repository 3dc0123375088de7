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
//! [`mod@slice`] are the one stream that is too large to be read at once.

pub mod airbyte;
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

use chrono::{NaiveDate, Utc};
use clap::Parser;
use program::LogFormat;
use program::about::About;
use program::report::Exit;
use program::settings;
use protocol::mapping::Mapper;
use tokio::signal::unix::{SignalKind, signal};

use cli::{Cli, Command, Test};
use client::Client;
use config::Config;
use discover::Selected;
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
    let debug = cli.command.as_ref().is_some_and(Command::debug);
    let log_format = program::start_log("tap-wistia", ENVIRONMENT_PREFIX, cli.log_format, debug);
    match &cli.command {
        Some(command) => command.run(&cli.config),
        None => singer(&cli, log_format),
    }
}

/// Does what the Singer flags ask for.
fn singer(cli: &Cli, log_format: LogFormat) -> ExitCode {
    let outcome = if cli.about {
        about().print(cli.format).map_err(Error::Output)
    } else if cli.discover {
        program::print(&discover::document()).map_err(Error::Output)
    } else {
        connected(cli)
    };
    ended(outcome, log_format)
}

/// Tells how a run ended.
fn ended(outcome: Result<()>, log_format: LogFormat) -> ExitCode {
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
    let selected = match &cli.catalog {
        Some(path) => discover::selection(&path.display().to_string(), &read(path)?)?,
        None => discover::default_selection(),
    };
    let state = match &cli.state {
        Some(path) => State::parse(&path.display().to_string(), &read(path)?)?,
        None => State::default(),
    };
    let mut job = Job::new(config, Utc::now().date_naive(), selected, Signals::Told)?;
    let messages = output::Messages::singer(Box::new(std::io::stdout()));
    match cli.test {
        Some(Test::Schema) => job.output(messages)?.schemas(),
        Some(Test::All) => job.run(async |job| {
            let output = job.output(messages)?;
            probe::run(&job.client, output.selected().iter().map(|s| s.stream)).await
        }),
        None => job.sync(messages, state, program::is_watched(cli.log_format)),
    }
}

/// Settings that were checked, and what they make.
struct Job {
    signals: Signals,
    config: Config,
    period: config::Period,
    rules: Rules,
    client: Client,
    selected: Selected,
}

/// What a signal does that asks for the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signals {
    /// The run ends, says so, and exits as shells expect.
    Told,
    /// The program dies of it, even while nobody reads what it writes.
    Deadly,
}

impl Job {
    fn new(config: Config, today: NaiveDate, selected: Selected, signals: Signals) -> Result<Self> {
        let period = config.period(today)?;
        let rules = Rules::new(&config.channel_rules)?;
        let client = Client::new(&config)?;
        Ok(Self { signals, config, period, rules, client, selected })
    }

    /// The selected streams, to be written. Maps are Singer's.
    fn output(&mut self, messages: output::Messages) -> Result<Output> {
        let mapper = match messages {
            output::Messages::Singer(_) => self.config.mapper(),
            output::Messages::Airbyte(_) => Mapper::default(),
        };
        for found in mapper.misnamed(&streams::ALL.map(|stream| stream.name)) {
            let meant = settings::question(found.meant);
            tracing::warn!(
                "`stream_maps` names the stream `{}`, which there is not{meant}",
                found.name
            );
        }
        Output::new(messages, std::mem::take(&mut self.selected), &mapper)
    }

    /// Does some work with the API, until it ends or a signal comes.
    fn run<T>(mut self, work: impl AsyncFnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|error| Error::Internal(format!("no runtime: {error}")))?;
        let told = self.signals == Signals::Told;
        runtime.block_on(async {
            tokio::select! {
                // Signals are heard before the first line is written.
                biased;
                stopped = stop(), if told => Err(stopped),
                outcome = work(&mut self) => outcome,
            }
        })
    }

    /// Reads the selected streams.
    fn sync(self, messages: output::Messages, state: State, watched: bool) -> Result<()> {
        self.run(async |job| {
            let started = Instant::now();
            let output = job.output(messages)?;
            let mut sync = Sync {
                client: &job.client,
                config: &job.config,
                period: job.period,
                privacy: Privacy::new(&job.config),
                rules: std::mem::take(&mut job.rules),
                output,
                state,
                failed: Vec::new(),
                progress: Progress::new(watched),
            };
            let outcome = Box::pin(sync.run()).await;
            sync.progress.clear();
            Summary::new(&sync.output, job.client.traffic(), &sync.failed, started.elapsed())
                .tell(sync.progress.is_watched());
            outcome
        })
    }
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
