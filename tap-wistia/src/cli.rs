//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use program::LogFormat;
use program::about::AboutFormat;
use program::shell::ShellCommand;

use crate::airbyte;
use crate::error::Error;

/// Reads Wistia video analytics and writes Singer messages.
#[derive(Debug, Parser)]
#[command(
    name = "tap-wistia",
    version,
    about,
    max_term_width = 100,
    disable_help_subcommand = true
)]
pub struct Cli {
    /// What to do in the place of a Singer sync.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Settings: a JSON file, or `ENV` for the environment variables `TAP_WISTIA_<SETTING>`. May be
    /// given several times; later files win, `ENV` wins over all. Default: ENV.
    #[arg(short, long, global = true, value_name = "FILE|ENV")]
    pub config: Vec<String>,

    /// Which streams and fields to read, as --discover prints them.
    #[arg(long, value_name = "FILE", visible_alias = "properties", visible_short_alias = 'p')]
    pub catalog: Option<PathBuf>,

    /// Where the last sync ended: the last STATE that the target gave back.
    #[arg(short, long, value_name = "FILE")]
    pub state: Option<PathBuf>,

    /// Print the catalog of all streams.
    #[arg(short, long, group = "mode")]
    pub discover: bool,

    /// Ask for one record of each selected stream and say what the token may read; with `=schema`,
    /// only write the SCHEMA messages.
    #[arg(
        long,
        group = "mode",
        value_enum,
        ignore_case = true,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "all"
    )]
    pub test: Option<Test>,

    /// Describe the tap and its settings.
    #[arg(long, group = "mode")]
    pub about: bool,

    /// How to describe it.
    #[arg(long, value_enum, ignore_case = true, requires = "about", default_value = "text")]
    pub format: AboutFormat,

    /// How to write the log.
    #[arg(long, value_enum, ignore_case = true, default_value = "auto")]
    pub log_format: LogFormat,
}

/// What `--test` tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Test {
    /// Every stream.
    All,
    /// Only what needs no request.
    Schema,
}

/// What there is to do beside Singer's flags.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The verbs of Airbyte.
    #[command(flatten)]
    Airbyte(airbyte::Verb),
    /// For the shell.
    #[command(flatten)]
    Shell(ShellCommand),
}

impl Command {
    /// Whether to log in detail.
    pub fn debug(&self) -> bool {
        match self {
            Self::Airbyte(verb) => verb.debug(),
            Self::Shell(_) => false,
        }
    }

    /// Does it, with the settings in these files.
    pub fn run(&self, config: &[String]) -> ExitCode {
        match self {
            Self::Airbyte(verb) => airbyte::main(verb, config),
            Self::Shell(command) => crate::ended(
                program::print(&command.text::<Cli>(&crate::about())).map_err(Error::Output),
                LogFormat::Text,
            ),
        }
    }
}
