//! What every run of the program needs: its settings, the lake, and the way of messages through it.

use std::sync::Arc;
use std::time::Duration;

use lake::Lake;
use lake::catalog::{Catalog, Hooks};
use lake::store::probe;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::input::items::{Items, Limits};
use crate::input::lines::Input;
use crate::input::protocol::Protocol;
use crate::memory::{self, Shares};
use crate::settings::config::Config;
use crate::signal::Stop;
use crate::state::Sink;

/// Prefix of the environment variables.
pub(crate) const ENVIRONMENT_PREFIX: &str = "TARGET_S3_PARQUET";

/// The settings that the command line names: files, and `ENV` for the environment.
pub(crate) fn load(names: &[String]) -> Result<Arc<Config>> {
    let config: Config = program::load(names, ENVIRONMENT_PREFIX)?;
    config.validate()?;
    Ok(Arc::new(config))
}

/// Has the C library of Linux keep some freed memory at hand, which it would else return to the
/// system and fetch again page by page, for every block and every row group: it keeps twice the size
/// of the largest block that was freed (mallopt(3), `M_MMAP_THRESHOLD`). Every thread's heap does.
fn keep_freed_memory(kept: usize) {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(kept / 2)));
}

/// The lake that the settings name. Requests are tried for as long as there is `patience`.
pub(crate) fn open(config: &Config, patience: Option<Duration>) -> Result<Arc<Lake>> {
    let workers = memory::workers(config.memory_bytes(), config.threads as usize);
    if workers < config.threads as usize {
        tracing::info!(workers, "`memory_mb` is enough for fewer threads than `threads` asks for");
    }
    let shares = Shares::new(config.memory_bytes(), workers);
    keep_freed_memory(shares.kept);
    let options = lake::Options {
        application: env!("CARGO_PKG_NAME").into(),
        created_by: concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")).into(),
        // As `singer.state`, which a tap goes on from.
        namespace: "singer",
        memory: shares.stage,
        threads: workers,
        patience,
        ..config.lake_options()
    };
    let location = lake::Location::parse(&config.destination)?;
    Ok(Arc::new(Lake::open(&location, &options)?))
}

/// The catalog that the settings name, if they name one.
pub(crate) fn catalog(config: &Arc<Config>, lake: &Arc<Lake>) -> Result<Option<Catalog>> {
    let Some(options) = config.catalog.options() else { return Ok(None) };
    let settings = Arc::clone(config);
    let hooks = Hooks {
        report: Box::new(program::report::event),
        encoding: Box::new(move |stream| settings.stream(stream).encoding()),
    };
    let personal = config.catalog.personal_options();
    Ok(Some(Catalog::open(lake, options, personal, hooks)?))
}

/// Does the work of a run, of which whoever the environment names is told.
pub(crate) fn watched(work: impl FnOnce() -> Result<()>) -> Result<()> {
    program::watched(env!("CARGO_PKG_NAME"), "write", Error::exit, work)
}

/// What a run needs, made from its settings.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) config: Arc<Config>,
    pub(crate) lake: Arc<Lake>,
    /// In microseconds since 1970.
    started_at: i64,
}

impl Run {
    pub(crate) fn new(config: Arc<Config>) -> Result<Self> {
        let lake = open(&config, None)?;
        probe::ensure(&**lake.store(), lake.run())?;
        Ok(Self { config, lake, started_at: chrono::Utc::now().timestamp_micros() })
    }

    /// An engine that acknowledges states to a sink.
    pub(crate) fn engine(&self, state: Box<dyn Sink>) -> Result<Engine> {
        let catalog = catalog(&self.config, &self.lake)?;
        Ok(Engine::new(&self.config, Arc::clone(&self.lake), state, catalog))
    }

    /// Reads all messages and writes their rows. `watched` says that a person reads the log.
    pub(crate) fn write(
        self,
        mut engine: Engine,
        input: Input,
        protocol: Protocol,
        watched: bool,
    ) -> Result<()> {
        let stop = Stop::listen();
        let limits = Limits {
            longest_line: self.config.memory_bytes() / 2,
            shares: Shares::new(self.config.memory_bytes(), self.lake.pool().current_num_threads()),
            stop: stop.flag(),
            started_at: self.started_at,
        };
        engine.watched(watched);
        let items = Items::start(input, protocol, Arc::clone(self.lake.pool()), limits);
        let outcome = engine.run(|patience| items.next(patience), || stop.error());
        if outcome.is_ok() {
            engine.compare(self.config.history_runs as usize);
        }
        engine.summary().report(outcome.is_ok());
        outcome?;
        items.join()
    }
}
