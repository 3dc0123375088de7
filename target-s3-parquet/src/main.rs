//! The `target-s3-parquet` command.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod heaps;

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    heaps::keep_few();
    target_s3_parquet::run(std::env::args_os())
}
