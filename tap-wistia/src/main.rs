//! The `tap-wistia` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    tap_wistia::run(std::env::args_os())
}
