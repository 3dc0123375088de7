//! A run in which even a panic is told as Airbyte wants it.

use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::process::ExitCode;

use super::message::{FailureType, Message, Trace, TraceError};
use crate::lines::LineWriter;

/// Runs a verb. A panic is a trace on stdout and the exit code of a failure.
pub fn guard(verb: impl FnOnce() -> ExitCode) -> ExitCode {
    panic::set_hook(Box::new(trace));
    panic::catch_unwind(AssertUnwindSafe(verb)).unwrap_or(ExitCode::FAILURE)
}

fn trace(panic: &PanicHookInfo<'_>) {
    let error = TraceError {
        message: "The connector has a fault; please report it.".into(),
        internal_message: panic.to_string(),
        failure_type: FailureType::SystemError,
        stream_descriptor: None,
    };
    // Nobody is left to tell when this fails.
    _ = print(&Trace::error(error).into());
    _ = writeln!(io::stderr(), "error: {panic}");
}

/// Prints one message to stdout.
pub fn print(message: &Message<'_>) -> io::Result<()> {
    let mut lines = LineWriter::new(io::stdout());
    lines.line(message).and_then(|()| lines.flush())
}
