//! Airbyte's source: the same streams and the same sync behind `spec`, `check`, `discover` and `read`.

mod messages;
mod state;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use chrono::Utc;
use clap::{Args, Subcommand};
use program::form;
use program::report::{self, Exit};
use program::settings::{self, Document, SettingsError};
use protocol::airbyte::{
    Catalog, ConfiguredCatalog, ConnectionStatus, Message, Specification, Stream as CatalogStream,
    SyncMode, Trace,
};
use protocol::mapping::{self, Mapper};
use protocol::singer::CatalogEntry;
use serde_json::Map;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::config::Config;
use crate::discover::{self, Selected};
use crate::error::{Error, Result};
use crate::job::{self, Job, Signals};
use crate::read::Read;
use crate::state::State;
use crate::stream::Stream;
use crate::streams;
use messages::AirbyteMessages;

/// What Airbyte asks of a source.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Airbyte: print how the source is configured.
    Spec(Options),
    /// Airbyte: say whether the settings work.
    Check(Options),
    /// Airbyte: print the catalog of all streams.
    Discover(Options),
    /// Airbyte: read streams.
    Read(ReadOptions),
}

/// What every verb takes.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Log in detail.
    #[arg(long)]
    debug: bool,
}

/// What `read` takes.
#[derive(Debug, Args)]
pub(crate) struct ReadOptions {
    #[command(flatten)]
    options: Options,
    /// Which streams to read, and how.
    #[arg(long, value_name = "FILE")]
    catalog: PathBuf,
    /// Where the last read ended.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
}

impl Verb {
    /// Whether to log in detail.
    pub(crate) fn debug(&self) -> bool {
        match self {
            Self::Spec(options) | Self::Check(options) | Self::Discover(options) => options.debug,
            Self::Read(options) => options.options.debug,
        }
    }

    fn run(&self, config: &[String]) -> Result<()> {
        match self {
            Self::Spec(_) => print(&Message::Spec { spec: &specification() }),
            Self::Check(_) => {
                let status = check(config).unwrap_or_else(|error| {
                    let message = messages::trace(&error).message;
                    ConnectionStatus::Failed { message }
                });
                print(&Message::ConnectionStatus { status })
            }
            Self::Discover(_) => {
                load(config)?;
                print(&Message::Catalog { catalog: &catalog() })
            }
            Self::Read(options) => options.run(config),
        }
    }
}

/// Prints one message.
fn print(message: &Message<'_>) -> Result<()> {
    protocol::airbyte::print(message).map_err(Error::Output)
}

/// Runs a verb to its exit code. The failure of one is a trace, so that Airbyte can show it.
pub(crate) fn main(verb: &Verb, config: &[String]) -> ExitCode {
    die_of_signals();
    protocol::airbyte::guard(|| match verb.run(config) {
        Ok(()) => Exit::Success.into(),
        Err(error) if error.is_broken_pipe() => Exit::Failure.into(),
        Err(error) => {
            report::print(&error, error.hint());
            // Nobody is left to report to when this fails.
            _ = print(&Trace::error(messages::trace(&error)).into());
            Exit::Failure.into()
        }
    })
}

/// The first process of a container does not die of a signal that it does not handle. Elsewhere
/// nothing is handled: Airbyte's drivers take any other end of a stopped program for a failure.
fn die_of_signals() {
    if std::process::id() != 1 {
        return;
    }
    for (signal, exit) in [(SIGTERM, Exit::Terminated), (SIGINT, Exit::Interrupted)] {
        let always = Arc::new(AtomicBool::new(true));
        let registered =
            signal_hook::flag::register_conditional_shutdown(signal, exit as i32, always);
        if let Err(error) = registered {
            tracing::warn!(%error, "signals are not handled");
        }
    }
}

/// How the source is configured.
fn specification() -> Specification {
    Specification {
        protocol_version: protocol::airbyte::PROTOCOL_VERSION,
        documentation_url: concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/airbyte.md")
            .into(),
        connection_specification: form::connection(
            settings::schema::<Config>(),
            "Wistia",
            &Map::new(),
            &mapping::SETTINGS,
        ),
        supports_incremental: true,
        supported_destination_sync_modes: &[],
    }
}

fn load(config: &[String]) -> Result<Config> {
    let config = filled_in(config).map_err(Error::Form)?;
    config.validate()?;
    Ok(config)
}

/// The settings as a form has filled them in.
fn filled_in(config: &[String]) -> Result<Config, SettingsError> {
    let schema = settings::schema::<Config>();
    let document = form::from_form(
        &Document::only(config)?,
        &schema,
        &Map::new(),
        &mapping::SETTINGS,
        |_| Ok(()),
    )?;
    Ok(settings::load(&[document], None)?.warned())
}

fn check(config: &[String]) -> Result<ConnectionStatus> {
    let config = load(config)?;
    let today = Utc::now().date_naive();
    let selected = discover::default_selection();
    Job::new(config, today, selected, Signals::Deadly)?.check()?;
    Ok(ConnectionStatus::Succeeded { message: None })
}

/// What there is to read.
fn catalog() -> Catalog {
    let streams = reads().map(|(stream, read)| described(stream, read));
    Catalog { streams: streams.collect() }
}

/// All streams in the order of dependency, and how each is read.
fn reads() -> impl Iterator<Item = (&'static Stream, &'static Read)> {
    streams::ALL
        .into_iter()
        .flat_map(|endpoint| endpoint.streams.iter().map(|stream| (*stream, &endpoint.read)))
}

fn described(stream: &Stream, read: &Read) -> CatalogStream {
    let mut modes = vec![SyncMode::FullRefresh];
    modes.extend(read.is_incremental().then_some(SyncMode::Incremental));
    CatalogStream {
        name: stream.name.into(),
        json_schema: (stream.schema)(),
        supported_sync_modes: modes,
        source_defined_cursor: read.is_incremental(),
        default_cursor_field: stream.replication_key.into_iter().map(Into::into).collect(),
        source_defined_primary_key: stream.keys.iter().map(|key| vec![(*key).into()]).collect(),
        is_resumable: read.is_resumable(),
        ..CatalogStream::default()
    }
}

/// The streams of a catalog file, in the order of dependency, and the mode of each.
fn selection(name: &str, text: &str) -> Result<(Selected, Vec<SyncMode>)> {
    let damaged = |reason| Error::Document { name: name.into(), what: "catalog", reason };
    let configured = ConfiguredCatalog::parse(text).map_err(damaged)?;
    for (at, entry) in configured.streams.iter().enumerate() {
        let stream = &entry.stream.name;
        if streams::by_name(stream).is_none() {
            return Err(Error::UnknownStream { catalog: name.into(), stream: stream.clone() });
        }
        if configured.streams.iter().take(at).any(|other| other.stream.name == *stream) {
            return Err(damaged(format!("it has the stream `{stream}` twice")));
        }
    }
    let mut selected = Selected::new();
    let mut modes = Vec::new();
    for (stream, read) in reads() {
        let entry = configured.streams.iter().find(|entry| entry.stream.name == stream.name);
        let Some(entry) = entry else { continue };
        let own =
            CatalogEntry { schema: entry.stream.json_schema.clone(), ..CatalogEntry::default() };
        selected.push((stream, own.selection(&(stream.schema)(), stream.keys)));
        // A stream that has no increments is read whole, whatever the catalog says.
        let mode = entry.sync_mode.filter(|_| read.is_incremental());
        modes.push(mode.unwrap_or(SyncMode::FullRefresh));
    }
    Ok((selected, modes))
}

impl ReadOptions {
    fn run(&self, config: &[String]) -> Result<()> {
        let config = load(config)?;
        let today = Utc::now().date_naive();
        let (selected, modes) =
            selection(&self.catalog.display().to_string(), &job::read(&self.catalog)?)?;
        let streams: Vec<(&'static Stream, SyncMode)> =
            selected.iter().map(|(stream, _)| *stream).zip(modes).collect();
        let state = match &self.state {
            Some(path) => {
                state::parse(&path.display().to_string(), &job::read_state(path)?, &streams, today)?
            }
            None => State::default(),
        };
        let stdout: Box<dyn Write> = Box::new(io::stdout());
        let messages = Box::new(AirbyteMessages::new(stdout, streams, &state, today));
        // Maps are Singer's.
        let job = Job::new(config, today, selected, Signals::Deadly)?;
        job.sync(messages, &Mapper::default(), state, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(name: &str) -> CatalogStream {
        catalog().streams.into_iter().find(|stream| stream.name == name).unwrap()
    }

    #[test]
    fn a_stream_offers_what_its_way_of_reading_can() {
        let modes = |name: &str| described(name).supported_sync_modes;
        assert_eq!(modes("dim_media"), [SyncMode::FullRefresh]);
        assert_eq!(modes("fact_engagements"), [SyncMode::FullRefresh]);
        for name in ["fact_events", "fact_engagements_byday", "fact_account_byday"] {
            assert_eq!(modes(name), [SyncMode::FullRefresh, SyncMode::Incremental], "{name}");
            assert_eq!(described(name).default_cursor_field.len(), 1, "{name}");
        }
        // Increments of visitors are those of the events, and no column of theirs is a cursor.
        assert_eq!(modes("dim_visitors"), [SyncMode::FullRefresh, SyncMode::Incremental]);
        assert!(described("dim_visitors").source_defined_cursor);
        assert!(described("dim_visitors").default_cursor_field.is_empty());
        // A pass over medias goes on where it was interrupted, a list does not.
        assert!(described("fact_engagements").is_resumable);
        assert!(!described("dim_projects").is_resumable);
    }

    fn configured(streams: &[(&str, &str)]) -> String {
        let streams: Vec<String> = streams
            .iter()
            .map(|(name, mode)| {
                format!(
                    r#"{{"stream":{{"name":"{name}","json_schema":{{}}}},"sync_mode":"{mode}",
                        "destination_sync_mode":"append"}}"#
                )
            })
            .collect();
        format!(r#"{{"streams":[{}]}}"#, streams.join(","))
    }

    #[test]
    fn streams_are_read_in_their_order_and_whole_where_there_are_no_increments() {
        let text = configured(&[
            ("fact_events", "incremental"),
            ("fact_engagements", "incremental"),
            ("dim_media", "full_refresh"),
        ]);
        let (selected, modes) = selection("catalog.json", &text).unwrap();
        let names: Vec<_> = selected.iter().map(|(stream, _)| stream.name).collect();
        assert_eq!(names, ["dim_media", "fact_engagements", "fact_events"]);
        assert_eq!(modes, [SyncMode::FullRefresh, SyncMode::FullRefresh, SyncMode::Incremental]);
    }

    #[test]
    fn a_catalog_with_a_stranger_or_a_stream_twice_is_an_error() {
        let stranger = selection("c.json", &configured(&[("orders", "full_refresh")]));
        assert!(matches!(stranger, Err(Error::UnknownStream { .. })));
        let twice = configured(&[("dim_media", "full_refresh"), ("dim_media", "full_refresh")]);
        let error = selection("c.json", &twice).unwrap_err().to_string();
        assert_eq!(error, "c.json is no valid catalog: it has the stream `dim_media` twice");
    }
}
