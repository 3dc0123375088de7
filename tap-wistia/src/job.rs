//! What both protocols do with the API: settings and a selection become a runtime, a client and a sync.

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use chrono::NaiveDate;
use program::report::Exit;
use program::settings::question;
use protocol::mapping::Mapper;
use tokio::signal::unix::{SignalKind, signal};

use crate::absent::Absent;
use crate::client::Client;
use crate::config::Config;
use crate::context::Context;
use crate::discover::Selected;
use crate::error::{Error, Result};
use crate::figures;
use crate::lineage;
use crate::messages::Messages;
use crate::output::Output;
use crate::probe::{self, Report};
use crate::progress::Progress;
use crate::settings::Settings;
use crate::state::State;
use crate::stream::Stream;
use crate::streams;
use crate::summary::Summary;
use crate::sync::Sync;

/// Settings that were checked, and what they make.
#[derive(Debug)]
pub(crate) struct Job {
    signals: Signals,
    settings: Settings,
    client: Client,
    selected: Selected,
}

/// What a signal does that asks for the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signals {
    /// The run ends with an error that names the signal, and exits as shells expect.
    Handled,
    /// The program dies of it, even while nobody reads what it writes.
    Deadly,
}

impl Job {
    /// A job that is seen from `today` in UTC. Nothing is sent yet.
    pub(crate) fn new(
        config: Config,
        today: NaiveDate,
        selected: Selected,
        signals: Signals,
    ) -> Result<Self> {
        let settings = Settings::new(config, today)?;
        let client = Client::new(&settings.config)?;
        Ok(Self { signals, settings, client, selected })
    }

    /// Writes what records look like, without asking for any.
    pub(crate) fn schemas(self, messages: Box<dyn Messages>, mapper: &Mapper) -> Result<()> {
        output(messages, self.selected, mapper)?.schemas()
    }

    /// Asks for each selected stream that `mapper` does not drop, as a sync would.
    pub(crate) fn probe(self, messages: Box<dyn Messages>, mapper: &Mapper) -> Result<Report> {
        let Self { signals, settings, client, selected } = self;
        let client = client.hurried();
        run(signals, false, async || {
            let output = output(messages, selected, mapper)?;
            let is_selected = |stream: &Stream| output.wants(stream);
            probe::run(&client, &streams::ALL, &settings, is_selected).await
        })
    }

    /// Asks for each selected stream, as a sync would.
    pub(crate) fn check(self) -> Result<()> {
        let Self { signals, settings, client, selected } = self;
        let client = client.hurried();
        let is_selected = |stream: &Stream| selected.iter().any(|(other, _)| *other == stream);
        let report = run(signals, false, async || {
            probe::run(&client, &streams::ALL, &settings, is_selected).await
        })?;
        report.log();
        report.end()
    }

    /// Reads the selected streams, as `mapper` maps them.
    pub(crate) fn sync(
        self,
        messages: Box<dyn Messages>,
        mapper: &Mapper,
        state: State,
        watched: bool,
    ) -> Result<()> {
        let Self { signals, settings, client, selected } = self;
        let sync = async || {
            let started = Instant::now();
            let context = Context {
                client: &client,
                settings: &settings,
                output: output(messages, selected, mapper)?,
                goes_on: state != State::default(),
                state,
                names: HashMap::new(),
                absent: Absent::default(),
                progress: Progress::new(watched),
            };
            context.progress.tell(&client);
            let mut sync = Sync::new(context, &streams::ALL);
            let outcome = Box::pin(sync.run()).await;
            let Context { output, progress, absent, .. } = &sync.context;
            progress.clear();
            absent.tell();
            let failed: Vec<&str> = sync.failed.iter().map(|failed| failed.stream).collect();
            figures::tell(output, client.traffic());
            program::lineage::tell(|| lineage::data(output, &streams::ALL, &settings));
            Summary::new(output, client.traffic(), &failed, started.elapsed())
                .report(progress.is_watched(), outcome.is_ok());
            outcome
        };
        let exit = |error: &Error| error.kind().exit();
        program::watched(env!("CARGO_PKG_NAME"), "sync", exit, || run(signals, true, sync))
    }
}

/// The selected streams, to be written.
fn output(messages: Box<dyn Messages>, selected: Selected, mapper: &Mapper) -> Result<Output> {
    let names: Vec<&str> = streams::all().map(|stream| stream.name).collect();
    for found in mapper.misnamed(&names) {
        let meant = question(found.meant);
        tracing::warn!(
            "`stream_maps` names the stream `{}`, which there is not{meant}",
            found.name
        );
    }
    Output::new(messages, selected, mapper)
}

/// Does some work with the API, until it ends or a signal comes. It may be one that `writes`.
fn run<T>(signals: Signals, writes: bool, work: impl AsyncFnOnce() -> Result<T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Error::unexpected("a runtime for requests"))?;
    let handled = signals == Signals::Handled;
    runtime.block_on(async {
        tokio::select! {
            // Signals are handled before the first line is written.
            biased;
            stopped = stop(writes), if handled => Err(stopped),
            outcome = work() => outcome,
        }
    })
}

/// Waits for a signal that ends the run. What was written so far is whole lines, and the last state
/// among them says how far it reaches, where there is any.
async fn stop(writes: bool) -> Error {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::warn!("signals are not handled");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => Error::Stopped { writes, signal: "SIGTERM", exit: Exit::Terminated },
        _ = interrupt.recv() => Error::Stopped { writes, signal: "SIGINT", exit: Exit::Interrupted },
    }
}

/// The text of the file with the state of the last sync.
pub(crate) fn read_state(path: &Path) -> Result<String> {
    read(path).map_err(|error| match error {
        Error::File { name, source } if source.kind() == std::io::ErrorKind::NotFound => {
            Error::NoState { name, source }
        }
        error => error,
    })
}

/// The text of a file that the command line names.
pub(crate) fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path)
        .map_err(|source| Error::File { name: path.display().to_string(), source })
}
