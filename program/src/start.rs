//! What both programs do alike when they start: read their settings and start the log.

use std::io::{self, IsTerminal, Write};

use clap::{Args, ValueEnum};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use tracing_subscriber::fmt::FormatEvent;
use tracing_subscriber::fmt::format::DefaultFields;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry};

use crate::exposed;
use crate::log::{Plain, Sentences, Structured};
use crate::report;
use crate::settings::{self, Document, Environment, Loaded, SettingsError};
use crate::{telemetry, told};

/// What a command line says of the log.
#[derive(Debug, Clone, Args)]
pub struct LogArguments {
    /// How to write the log: text, JSON, or the Meltano SDK's JSON, with metrics, where the runner asks for it.
    #[arg(long, global = true, value_enum, ignore_case = true, default_value = "auto")]
    log_format: LogFormat,

    /// The least that is logged. Default: the variable `<PROGRAM>_LOGLEVEL`, `LOGLEVEL` or `LOG_LEVEL`, else info.
    #[arg(long, global = true, value_enum, ignore_case = true, value_name = "LEVEL")]
    log_level: Option<LogLevel>,

    /// Say nothing but warnings and errors: no progress, no table.
    #[arg(short, long, global = true, conflicts_with = "log_level")]
    quiet: bool,
}

/// A form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text, or the Meltano SDK's structure where the runner asks for it.
    Auto,
    /// One sentence an event.
    Text,
    /// One JSON object an event.
    Json,
    /// One JSON object an event, in the structure of the Meltano SDK.
    Singer,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum LogLevel {
    /// Nothing, not even errors of the log; what ends a run is printed all the same.
    Off,
    /// What failed.
    #[value(aliases = ["critical", "fatal"])]
    Error,
    /// What somebody should look at.
    #[value(alias = "warn")]
    Warning,
    /// What was done.
    Info,
    /// Every request, and more.
    Debug,
    /// All there is.
    Trace,
}

impl LogLevel {
    /// As filters name it.
    fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warning => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }

    /// What the environment says. A word that is no level is none.
    fn of_environment(prefix: &str) -> Option<Self> {
        let names = [&format!("{prefix}_LOGLEVEL"), "LOGLEVEL", "LOG_LEVEL"];
        let text = names.into_iter().find_map(|name| std::env::var(name).ok())?;
        Self::from_str(&text, true).ok()
    }
}

/// The log of a run.
#[derive(Debug, Clone, Copy)]
pub struct Log {
    /// Its form.
    pub format: LogFormat,
    /// Whether a person reads it as it is written, and wants to see how far things are.
    pub watched: bool,
}

/// Prints a text to stdout. A reader that has gone is no error.
pub fn print(text: &str) -> io::Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// Reads settings as the command line names them: files, and `ENV` for the environment variables
/// that begin with `prefix`. Without any name it is the environment. Warnings go to the log, and one of
/// them is that a file lies open.
pub fn load<C: DeserializeOwned + JsonSchema>(
    names: &[String],
    prefix: &'static str,
) -> Result<C, SettingsError> {
    let files = names.iter().filter(|name| *name != "ENV");
    let documents = files.map(|name| Document::read(name)).collect::<Result<Vec<_>, _>>()?;
    exposed::warn_of_files(&documents, &settings::schema::<C>());
    let environment = documents.len() < names.len() || names.is_empty();
    let environment = environment.then(|| Environment {
        prefix,
        variables: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
    });
    settings::load(&documents, environment.as_ref()).map(Loaded::warned)
}

/// Starts the log of a program on stderr. The level is what the command line says, else that of
/// `<PREFIX>_LOGLEVEL`, `LOGLEVEL` or Airbyte's `LOG_LEVEL`; what libraries log below a warning is left out.
pub fn start_log(
    program: &'static str,
    prefix: &str,
    arguments: &LogArguments,
    debug: bool,
) -> Log {
    let level = match arguments.log_level {
        _ if arguments.quiet => LogLevel::Warning,
        _ if debug => LogLevel::Debug,
        Some(level) => level,
        None => LogLevel::of_environment(prefix).unwrap_or(LogLevel::Info),
    };
    let format = match arguments.log_format {
        LogFormat::Auto if runner_wants_structure() => LogFormat::Singer,
        LogFormat::Auto => LogFormat::Text,
        asked => asked,
    };
    let is_terminal = io::stderr().is_terminal() && format == LogFormat::Text;
    told::want_metrics(format == LogFormat::Singer);
    let (krate, least) = (program.replace('-', "_"), level.name());
    let others = level.min(LogLevel::Warning).name();
    // What the AWS SDK warns of is that one of the places of its settings is empty.
    let sdk = level.min(LogLevel::Error).name();
    let filter = EnvFilter::new(format!(
        "{others},aws_config={sdk},{krate}={least},lake={least},program={least},protocol={least}"
    ));
    let (layer, warnings) = telemetry::layer(program);
    match format {
        LogFormat::Json => start(Plain { program }, filter, layer),
        LogFormat::Singer => start(Structured { program }, filter, layer),
        LogFormat::Auto | LogFormat::Text => {
            start(Sentences { watched: is_terminal }, filter, layer);
        }
    }
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    Log { format, watched: is_terminal && level >= LogLevel::Info }
}

/// Starts a log of a form. A second start, as in a test, keeps the first.
fn start<F>(form: F, filter: EnvFilter, telemetry: Option<telemetry::Layers>)
where
    F: FormatEvent<Registry, DefaultFields> + Send + Sync + 'static,
{
    let Some(telemetry) = telemetry else {
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
        _ = log.with_ansi(is_coloured()).event_format(form).try_init();
        return;
    };
    let log = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(is_coloured());
    let log = log.event_format(form).with_filter(filter).boxed();
    _ = tracing_subscriber::registry().with(vec![log, telemetry]).try_init();
}

/// Reports the error that ends a run: to a person, or to a runner that reads events.
pub fn report_error(error: &dyn std::error::Error, hint: Option<&str>, format: LogFormat) {
    // Whoever has silenced the log still wants to know why a run ends.
    if format == LogFormat::Singer && tracing::enabled!(tracing::Level::ERROR) {
        let text = report::render(error, hint);
        tracing::error!("{}", text.trim_start_matches("error: ").trim_end());
    } else {
        report::print(error, hint);
    }
}

/// Colours are for terminals, unless `NO_COLOR` says otherwise.
fn is_coloured() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Meltano names a Python logging configuration whose formatter says which lines it reads.
fn runner_wants_structure() -> bool {
    std::env::var("SINGER_SDK_LOG_CONFIG")
        .ok()
        .and_then(|path| std::fs::read_to_string(path).ok())
        .is_some_and(|text| text.contains("StructuredFormatter"))
}
