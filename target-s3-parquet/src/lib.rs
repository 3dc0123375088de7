//! `target-s3-parquet`: any Singer stream as typed Parquet on S3 or in a folder.
//!
//! ```text
//! stdin ─► input (lines, route) ─► decode (workers) ─► engine ─► commit ─► store
//!                                                        │
//!                                                        ├─► state ─► stdout, --state-out
//!                                                        └─► catalog ─► Glue
//! ```
//!
//! [`input`] turns bytes into an ordered sequence of items, [`decode`] is the pure hot path from
//! JSON text to Arrow columns, [`engine`] decides when to commit, [`commit`] knows how rows become
//! objects, [`store`] where objects live, [`state`] gives STATE back when it is safe, and [`catalog`]
//! tells the Glue Data Catalog.

pub mod airbyte;
mod aws;
pub mod catalog;
pub mod cli;
pub mod commit;
pub mod config;
pub mod decode;
pub mod engine;
pub mod error;
pub mod input;
pub mod maintain;
pub mod parquet_file;
pub mod schema;
pub mod signal;
pub mod stage;
pub mod state;
pub mod store;
pub mod summary;
pub mod table;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use program::about::About;
use program::report::Exit;
use program::settings;

use cli::{Cli, Command, Maintain, ReportFormat};
use config::{Config, MIB};
use decode::{Dialect, Registry};
use engine::Engine;
use error::{Error, Result};
use input::{Items, Source};
use stage::SpillFile;

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
        Some(Command::Maintain(arguments)) => maintain(&cli, arguments),
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
        settings: settings::schema::<Config>(),
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

/// The lake that the settings name, and the threads to work with.
fn open(config: &Config) -> Result<Arc<commit::Lake>> {
    keep_freed_memory();
    let pool = rayon::ThreadPoolBuilder::new()
        .thread_name(|number| format!("worker-{number}"))
        .build()
        .map_err(|error| Error::Internal(format!("no worker threads: {error}")))?;
    let run = run_name();
    Ok(Arc::new(commit::Lake {
        store: store::open(config, &run)?,
        run,
        pool: Arc::new(pool),
        spill: Arc::new(SpillFile::new(config.temp_dir())),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share of a size in memory"
        )]
        budget: ((config.memory_bytes() as f64 * STAGE_SHARE) as usize).max(8 * MIB),
    }))
}

/// `maintain`: the report goes to stdout.
fn maintain(cli: &Cli, arguments: &Maintain) -> Result<()> {
    let config = load(cli)?;
    let lake = open(&config)?;
    let options = maintain::Options {
        tables: arguments.table.clone(),
        compact: arguments.compact,
        shards: arguments.shards,
        dry_run: arguments.dry_run,
    };
    let report = maintain::run(&lake, &config, &options)?;
    let text = match arguments.format {
        ReportFormat::Text => report.text(arguments.dry_run),
        ReportFormat::Json => report.json(),
    };
    program::print(&text).map_err(|source| Error::Input { name: "standard output".into(), source })
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
        Some(name) => Some(state::StateFile::open(name, &run.config, &run.lake.run)?),
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
    lake: Arc<commit::Lake>,
    started_at: i64,
}

impl Run {
    fn new(config: Arc<Config>) -> Result<Self> {
        let lake = open(&config)?;
        Ok(Self { config, lake, started_at: chrono::Utc::now().timestamp_micros() })
    }

    fn engine(&self, state: Box<dyn state::Sink>) -> Result<Engine> {
        let catalog = catalog::Catalog::open(&self.config, &self.lake)?;
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
        let pool = Arc::clone(&self.lake.pool);
        let items = Items::start(source, messages, self.config, pool, stop.flag(), self.started_at);
        let outcome = engine.run(&items, || stop.error());
        engine.summary().tell(watched);
        outcome?;
        items.join()
    }
}

/// A name for a run, unlike any other.
fn run_name() -> String {
    format!("{}-{:06x}", chrono::Utc::now().format("%Y%m%dT%H%M%S%6f"), std::process::id())
}
