//! `target-s3-parquet`: any Singer stream as typed Parquet on S3 or in a folder.
//!
//! ```text
//! stdin ─► input (lines, route) ─► decode (workers) ─► engine ─► lake
//!                                                        │
//!                                                        └─► state ─► stdout, --state-out
//! ```
//!
//! [`input`] turns bytes into an ordered sequence of items, [`decode`] is the pure hot path from
//! JSON text to Arrow columns, [`engine`] decides when to commit, the crate [`lake`] knows how rows
//! become objects and what Glue is told, and [`state`] acknowledges STATE when it is safe.

pub mod airbyte;
pub mod cli;
pub mod decode;
pub mod engine;
pub mod error;
pub mod input;
mod json_schema;
pub mod maintain;
pub mod settings;
pub mod signal;
pub mod state;
pub mod summary;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use lake::catalog::{Catalog, Hooks};
use program::about::About;
use program::report::Exit;

use cli::{Cli, Command};
use decode::{Dialect, Registry};
use engine::Engine;
use error::{Error, Result};
use input::{Items, Source};
use settings::{Config, MIB};

/// Prefix of the environment variables.
pub const ENVIRONMENT_PREFIX: &str = "TARGET_S3_PARQUET";

/// The part of the memory budget that staged rows and open files may take; the rest is for the
/// blocks in flight and the buffers of readers and uploads.
const STAGE_SHARE: f64 = 0.25;

/// See [`keep_freed_memory`].
const FREED_AT_ONCE: usize = 4 * MIB;

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
    let debug = matches!(&cli.command, Some(Command::Airbyte(verb)) if verb.debug());
    let log_format =
        program::start_log("target-s3-parquet", ENVIRONMENT_PREFIX, cli.log_format, debug);
    let unprintable = |source| Error::Input { name: "standard output".into(), source };
    let outcome = match &cli.command {
        Some(Command::Airbyte(verb)) => return airbyte::main(verb, &cli.config),
        Some(Command::Shell(command)) => {
            program::print(&command.text::<Cli>(&about())).map_err(unprintable)
        }
        Some(Command::Maintain(arguments)) => {
            load(&cli).and_then(|config| maintain::run(&config, arguments))
        }
        None if cli.about => about().print(cli.format).map_err(unprintable),
        None => write(&cli),
    };
    match outcome {
        Ok(()) => Exit::Success.into(),
        Err(error) => {
            program::tell(&error, error.hint(), log_format);
            error.exit().into()
        }
    }
}

/// What the target is and how it is configured.
pub fn about() -> About {
    About {
        name: "target-s3-parquet",
        description: env!("CARGO_PKG_DESCRIPTION"),
        version: env!("CARGO_PKG_VERSION"),
        capabilities: &[
            "about",
            "activate-version",
            "batch",
            "schema-flattening",
            "stream-maps",
            "structured-logging",
            "validate-records",
        ],
        settings: program::settings::schema::<Config>(),
    }
}

/// The settings that the command line names.
fn load(cli: &Cli) -> Result<Arc<Config>> {
    let config: Config = program::load(&cli.config, ENVIRONMENT_PREFIX)?;
    config.validate()?;
    Ok(Arc::new(config))
}

/// Has the C library of Linux keep some freed memory at hand, which it would else give back to the
/// system and fetch again page by page, for every block and every row group: it keeps twice the size
/// of the largest block that was freed (mallopt(3), `M_MMAP_THRESHOLD`).
fn keep_freed_memory() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(FREED_AT_ONCE)));
}

/// The lake that the settings name.
fn open(config: &Config) -> Result<Arc<lake::Lake>> {
    keep_freed_memory();
    let options = lake::Options {
        application: env!("CARGO_PKG_NAME").into(),
        created_by: concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")).into(),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share of a size in memory"
        )]
        memory: ((config.memory_bytes() as f64 * STAGE_SHARE) as usize).max(8 * MIB),
        ..config.lake_options()
    };
    let location = lake::Location::parse(&config.destination)?;
    Ok(Arc::new(lake::Lake::open(&location, &options)?))
}

fn write(cli: &Cli) -> Result<()> {
    let config = load(cli)?;
    let source = match &cli.input {
        Some(path) => {
            let name = path.display().to_string();
            let file = std::fs::File::open(path)
                .map_err(|source| Error::Input { name: name.clone(), source })?;
            Source::File(file, name)
        }
        None => Source::Stdin,
    };
    let run = Run::new(config)?;
    let state_file = match &cli.state_out {
        Some(name) => {
            Some(state::StateFile::open(name, &run.config.lake_options(), run.lake.run())?)
        }
        None => None,
    };
    let state = state::StateSink::new(Box::new(std::io::stdout()), state_file);
    let engine = run.engine(Box::new(state))?;
    let messages = (Dialect::Singer, Registry::default());
    run.write(engine, source, messages, program::is_watched(cli.log_format))
}

/// What a run needs, made from its settings.
struct Run {
    config: Arc<Config>,
    lake: Arc<lake::Lake>,
    started_at: i64,
}

impl Run {
    fn new(config: Arc<Config>) -> Result<Self> {
        let lake = open(&config)?;
        Ok(Self { config, lake, started_at: chrono::Utc::now().timestamp_micros() })
    }

    fn engine(&self, state: Box<dyn state::Sink>) -> Result<Engine> {
        let catalog = match self.config.catalog.options() {
            None => None,
            Some(options) => {
                let config = Arc::clone(&self.config);
                let hooks = Hooks {
                    report: Box::new(|event| program::report::event(event)),
                    encoding: Box::new(move |stream| config.stream(stream).encoding()),
                };
                let aws = self.config.lake_options();
                Some(Catalog::open(&self.lake, options, &aws, hooks)?)
            }
        };
        Ok(Engine::new(Arc::clone(&self.config), Arc::clone(&self.lake), state, catalog))
    }

    /// Reads all messages and writes their rows.
    fn write(
        self,
        mut engine: Engine,
        source: Source,
        messages: (Dialect, Registry),
        watched: bool,
    ) -> Result<()> {
        let stop = signal::Stop::listen();
        let pool = Arc::clone(self.lake.pool());
        let items = Items::start(source, messages, self.config, pool, stop.flag(), self.started_at);
        let outcome = engine.run(&items, || stop.error());
        engine.summary().tell(watched);
        outcome?;
        items.join()
    }
}
