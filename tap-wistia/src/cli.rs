//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use protocol::program::{AboutFormat, LogFormat};
use protocol::shell::ShellCommand;

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
    /// Settings: a JSON file, or `ENV` for the environment variables `TAP_WISTIA_<SETTING>`. May be
    /// given several times; later files win, `ENV` wins over all. Default: ENV.
    #[arg(short, long, value_name = "FILE|ENV")]
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

    /// Something else than a sync.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What `--test` tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Test {
    /// Every stream.
    All,
    /// Only what needs no request.
    Schema,
}

/// Commands beside the sync.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// For the shell.
    #[command(flatten)]
    Shell(ShellCommand),
}
