//! How many heaps the program has.
//!
//! The C library of Linux gives threads heaps of their own, up to eight for each core, and what one keeps of freed
//! memory no other can use: with 16 threads a third of the memory is kept so. It reads how many it may
//! have before the program begins (`M_ARENA_MAX`,
//! <https://man7.org/linux/man-pages/man3/mallopt.3.html>), so the program begins once more with that said.
//! Two are enough: memory is taken in large pieces, and seldom.

use std::env;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Names the number of heaps.
const HEAPS: &str = "MALLOC_ARENA_MAX";

/// Begins the program once more with few heaps, unless somebody has said how many. Where that cannot be
/// done it goes on with many.
pub(crate) fn keep_few() {
    let is_said = env::var_os(HEAPS).is_some() || env::var_os("GLIBC_TUNABLES").is_some();
    let (false, Ok(program)) = (is_said, env::current_exe()) else { return };
    let mut arguments = env::args_os();
    let mut again = Command::new(program);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    // It only comes back when it fails.
    _ = again.args(arguments).env(HEAPS, "2").exec();
}
