//! The `target-s3-parquet` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    target_s3_parquet::run(std::env::args_os())
}
