//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use program::LogArguments;
use program::about::AboutFormat;
use program::shell::ShellCommand;

use crate::airbyte::verbs::Verb;
use crate::settings::stream::TableFormat;

/// What `--help` ends with.
const EXAMPLES: &str = concat!(
    "Examples:\n",
    "  target-s3-parquet --config target.json --check             can the lake be written to?\n",
    "  some-tap | target-s3-parquet --config target.json --state-out state.json\n",
    "  target-s3-parquet --config target.json --input messages.jsonl\n",
    "  target-s3-parquet --config target.json maintain            small files, orphans, sizes\n",
    "  TARGET_S3_PARQUET_DESTINATION=s3://bucket/lake target-s3-parquet < messages.jsonl\n",
    "\n",
    "Documentation: ",
    env!("CARGO_PKG_REPOSITORY"),
    "#readme"
);

/// Reads Singer messages and writes typed Parquet to S3 or a folder.
#[derive(Debug, Parser)]
#[command(
    name = "target-s3-parquet",
    version,
    about,
    after_help = EXAMPLES,
    max_term_width = 100,
    disable_help_subcommand = true
)]
pub(crate) struct Cli {
    /// What to do in place of writing messages.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// Settings: a JSON file, or `ENV` for the environment variables `TARGET_S3_PARQUET_<SETTING>`. May be
    /// given several times; later files win, `ENV` wins over all. Default: ENV.
    #[arg(short, long, global = true, value_name = "FILE|ENV")]
    pub(crate) config: Vec<String>,

    /// Read messages from a file in place of standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,

    /// Keep the newest state that was given back in this file or S3 object, replaced atomically.
    #[arg(long, value_name = "FILE|S3-URL")]
    pub(crate) state_out: Option<String>,

    /// Say whether the settings work and the lake can be written to, and write no message.
    #[arg(long, conflicts_with_all = ["input", "state_out", "about"])]
    pub(crate) check: bool,

    /// Describe the target and its settings.
    #[arg(long)]
    pub(crate) about: bool,

    /// How to describe it.
    #[arg(long, value_enum, ignore_case = true, requires = "about", default_value = "text")]
    pub(crate) format: AboutFormat,

    /// The log.
    #[command(flatten)]
    pub(crate) log: LogArguments,
}

/// What the program does beside writing messages.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Report small files, orphans and sizes of a lake; put files together or cut tables anew.
    Maintain(Maintain),
    /// Print the newest state that the Iceberg tables of the lake hold: what to give the tap as `--state`.
    State,
    /// For the shell.
    #[command(flatten)]
    Shell(ShellCommand),
    /// The verbs of Airbyte.
    #[command(flatten)]
    Airbyte(Verb),
}

/// Arguments of `maintain`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that a person may give")]
pub(crate) struct Maintain {
    /// Only these tables; may be given several times. Default: all.
    #[arg(long, value_name = "NAME|GLOB")]
    pub(crate) table: Vec<String>,

    /// Put small files of appended tables together.
    #[arg(long)]
    pub(crate) compact: bool,

    /// Cut upserted tables into this many objects per partition. No sync may load into them
    /// meanwhile.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) shards: Option<u32>,

    /// Make Iceberg tables of plain ones, or give such back that nothing was written to since. The files stay as they
    /// are. Let no sync load into the tables meanwhile, and set `table_format` for them afterwards.
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) to: Option<TableFormat>,

    /// Of Iceberg tables: leave out snapshots older than three days, but for the newest five, and remove data and
    /// metadata that no snapshot names, whoever has written them, once they are three days old. Each commit leaves
    /// out what is due by itself; this is for tables that are written no more, and for what runs that died have left.
    #[arg(long)]
    pub(crate) expire: bool,

    /// Remove the rows that hold this value in this column, whatever tables they are in; with `@FILE`
    /// those that hold a line of the file. For a field of a struct its path, such as `identity.email`.
    /// May be given several times.
    #[arg(
        long,
        value_name = "COLUMN=VALUE|COLUMN=@FILE",
        conflicts_with_all = ["compact", "shards", "expire", "to"]
    )]
    pub(crate) erase: Vec<String>,

    /// Read all rows of the tables and prove what they promise: keys unique, rows in the partitions and objects where
    /// they belong, footers and manifests true, the catalog equal. Changes nothing; exits with 1 where something is
    /// otherwise.
    #[arg(long, conflicts_with_all = ["compact", "shards", "expire", "to", "erase", "dry_run"])]
    pub(crate) check: bool,

    /// Say what would be done, and do nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// How to report.
    #[arg(long = "report", value_enum, ignore_case = true, default_value = "text")]
    pub(crate) format: ReportFormat,
}

/// A form of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// For reading.
    Text,
    /// For programs.
    Json,
}
