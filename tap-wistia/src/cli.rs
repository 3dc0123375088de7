//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use program::LogArguments;
use program::about::AboutFormat;
use program::shell::ShellCommand;

use crate::airbyte;

/// What `--help` ends with.
const EXAMPLES: &str = concat!(
    "Examples:\n",
    "  tap-wistia --config tap.json --test                      what the token may read\n",
    "  tap-wistia --config tap.json --discover > catalog.json   streams and fields to choose from\n",
    "  tap-wistia --config tap.json | target-s3-parquet --config target.json --state-out state.json\n",
    "  tap-wistia --config tap.json --state state.json | \\\n",
    "    target-s3-parquet --config target.json --state-out state.json > /dev/null\n",
    "                                                           from then on: only what is new\n",
    "\n",
    "Documentation: ",
    env!("CARGO_PKG_REPOSITORY"),
    "#readme"
);

/// Reads Wistia video analytics and writes Singer messages.
#[derive(Debug, Parser)]
#[command(
    name = "tap-wistia",
    version,
    about,
    after_help = EXAMPLES,
    max_term_width = 100,
    disable_help_subcommand = true
)]
pub(crate) struct Cli {
    /// What to do in the place of a Singer sync.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// Settings: a JSON file, or `ENV` for the environment variables `TAP_WISTIA_<SETTING>`. May be
    /// given several times; later files win, `ENV` wins over all. Default: ENV.
    #[arg(short, long, global = true, value_name = "FILE|ENV")]
    pub(crate) config: Vec<String>,

    /// Which streams and fields to read, as --discover prints them.
    #[arg(long, value_name = "FILE", visible_alias = "properties", visible_short_alias = 'p')]
    pub(crate) catalog: Option<PathBuf>,

    /// Where the last sync ended: the last STATE that the target gave back, in a file or S3 object. An object
    /// that is not there yet is none, and everything is read.
    #[arg(short, long, value_name = "FILE|S3-URL")]
    pub(crate) state: Option<String>,

    /// Print the catalog of all streams.
    #[arg(short, long, group = "mode")]
    pub(crate) discover: bool,

    /// Ask for each selected stream once, as a sync would, and say what the token may read; with `=schema`,
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
    pub(crate) test: Option<Test>,

    /// Describe the tap and its settings.
    #[arg(long, group = "mode")]
    pub(crate) about: bool,

    /// How to describe it.
    #[arg(long, value_enum, ignore_case = true, requires = "about", default_value = "text")]
    pub(crate) format: AboutFormat,

    /// The log.
    #[command(flatten)]
    pub(crate) log: LogArguments,
}

/// What `--test` tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Test {
    /// Every stream.
    All,
    /// Only what needs no request.
    Schema,
}

/// What there is to do beside Singer's flags.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The verbs of Airbyte.
    #[command(flatten)]
    Airbyte(airbyte::Verb),
    /// For the shell.
    #[command(flatten)]
    Shell(ShellCommand),
}

impl Command {
    /// Whether to log in detail.
    pub(crate) fn debug(&self) -> bool {
        match self {
            Self::Airbyte(verb) => verb.debug(),
            Self::Shell(_) => false,
        }
    }
}
