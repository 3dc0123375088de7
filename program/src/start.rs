//! What both programs do alike when they start: read their settings and start the log.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use tracing_subscriber::EnvFilter;

use crate::exposed;
use crate::log::{Plain, Structured};
use crate::report;
use crate::settings::{self, Document, Environment, Loaded, SettingsError};

/// A form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text, or the Meltano SDK's structure where the runner asks for it.
    Auto,
    /// One line of text an event.
    Text,
    /// One JSON object an event.
    Json,
    /// One JSON object an event, in the structure of the Meltano SDK.
    Singer,
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

/// Starts the log of a program on stderr, and gives the form that it has. The level is that of
/// `<PREFIX>_LOGLEVEL`, `LOGLEVEL` or Airbyte's `LOG_LEVEL`; what libraries log below a warning is left
/// out.
pub fn start_log(program: &'static str, prefix: &str, format: LogFormat, debug: bool) -> LogFormat {
    let level = [&format!("{prefix}_LOGLEVEL"), "LOGLEVEL", "LOG_LEVEL"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok())
        .unwrap_or_default()
        .to_lowercase();
    let level = match level.as_str() {
        _ if debug => "debug",
        "warning" => "warn",
        "critical" | "fatal" => "error",
        known @ ("trace" | "debug" | "info" | "warn" | "error" | "off") => known,
        _ => "info",
    };
    let format = match format {
        LogFormat::Auto if runner_wants_structure() => LogFormat::Singer,
        LogFormat::Auto => LogFormat::Text,
        asked => asked,
    };
    let krate = program.replace('-', "_");
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(format!(
            "warn,{krate}={level},lake={level},program={level},protocol={level}"
        )))
        .with_writer(io::stderr)
        .with_ansi(is_coloured());
    // A second start, as in a test, keeps the first.
    _ = match format {
        LogFormat::Json => builder.event_format(Plain).try_init(),
        LogFormat::Singer => builder.event_format(Structured { program }).try_init(),
        LogFormat::Auto | LogFormat::Text => builder.with_target(false).try_init(),
    };
    format
}

/// Reports the error that ends a run: to a person, or to a runner that reads events.
pub fn report_error(error: &dyn std::error::Error, hint: Option<&str>, format: LogFormat) {
    if format == LogFormat::Singer {
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

/// Whether a person reads the log as it is written.
pub fn is_watched(format: LogFormat) -> bool {
    io::stderr().is_terminal() && matches!(format, LogFormat::Auto | LogFormat::Text)
}

/// Meltano names a Python logging configuration whose formatter says which lines it reads.
fn runner_wants_structure() -> bool {
    std::env::var("SINGER_SDK_LOG_CONFIG")
        .ok()
        .and_then(|path| std::fs::read_to_string(path).ok())
        .is_some_and(|text| text.contains("StructuredFormatter"))
}
