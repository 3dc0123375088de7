//! A run that others may watch.

use std::error::Error;

use crate::report::Exit;
use crate::{lineage, telemetry};

/// Does the work of a run of a program, and tells whoever the environment names: of its trace and its figures, and
/// of the data that it has read and written. `exit` is the code that an error leads to.
pub fn watched<T, E: Error>(
    program: &'static str,
    work: &'static str,
    exit: impl Fn(&E) -> Exit,
    does: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    lineage::run(program, exit, || telemetry::run(work, does))
}
