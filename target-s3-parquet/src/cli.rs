//! The command line.

use std::path::PathBuf;

use clap::Parser;
use protocol::program::{AboutFormat, LogFormat};

/// Reads Singer messages and writes typed Parquet to S3 or a folder.
#[derive(Debug, Parser)]
#[command(name = "target-s3-parquet", version, about, max_term_width = 100)]
pub struct Cli {
    /// Settings: a JSON file, or `ENV` for the environment variables `TARGET_S3_PARQUET_<SETTING>`. May be
    /// given several times; later files win, `ENV` wins over all. Default: ENV.
    #[arg(short, long, value_name = "FILE|ENV")]
    pub config: Vec<String>,

    /// Read messages from a file in place of standard input.
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,

    /// Keep the newest state that was given back in this file or S3 object, replaced atomically.
    #[arg(long, value_name = "FILE|S3-URL")]
    pub state_out: Option<String>,

    /// Describe the target and its settings.
    #[arg(long)]
    pub about: bool,

    /// How to describe it.
    #[arg(long, value_enum, ignore_case = true, requires = "about", default_value = "text")]
    pub format: AboutFormat,

    /// How to write the log.
    #[arg(long, value_enum, ignore_case = true, default_value = "auto")]
    pub log_format: LogFormat,
}
