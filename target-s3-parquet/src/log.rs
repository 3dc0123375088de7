//! Logs go to stderr: text for people, JSON where a runner asks for it.

use std::path::Path;

use tracing_subscriber::EnvFilter;

use crate::cli::LogFormat;
use crate::summary::Summary;

/// Starts logging.
pub(crate) fn start(format: LogFormat) {
    let level = [format!("{}_LOGLEVEL", crate::ENVIRONMENT_PREFIX), "LOGLEVEL".to_owned()]
        .iter()
        .find_map(|name| std::env::var(name).ok())
        .unwrap_or_else(|| "info".into())
        .to_lowercase();
    let level = match level.as_str() {
        "warning" => "warn",
        "critical" | "fatal" => "error",
        known @ ("trace" | "debug" | "info" | "warn" | "error" | "off") => known,
        _ => "info",
    };
    // The SDKs below log every request at debug; nobody who asks for our debug log wants that.
    let filter = EnvFilter::new(format!("warn,target_s3_parquet={level},protocol={level}"));
    let json = match format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => runner_wants_json(),
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    // A second start, as in a test, keeps the first.
    _ = if json { builder.json().try_init() } else { builder.with_target(false).try_init() };
}

/// Meltano names a Python logging configuration whose formatter says which lines it reads.
fn runner_wants_json() -> bool {
    std::env::var("SINGER_SDK_LOG_CONFIG")
        .ok()
        .and_then(|path| std::fs::read_to_string(Path::new(&path)).ok())
        .is_some_and(|text| text.contains("StructuredFormatter"))
}

/// Logs the summary of a run: a line a stream, and one for all.
pub(crate) fn summary(summary: &Summary) {
    for (stream, counts) in &summary.streams {
        tracing::info!(
            stream,
            table = counts.table,
            records = counts.records,
            rows = counts.rows,
            files = counts.files,
            bytes = counts.bytes,
            "stream"
        );
        for (column, count) in &counts.invalid {
            tracing::warn!(stream, column, count, "values did not fit and are null");
        }
    }
    match serde_json::to_string(summary) {
        Ok(text) => tracing::info!(summary = text, "done"),
        Err(error) => tracing::warn!(%error, "no summary"),
    }
}
