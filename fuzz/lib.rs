//! Feeds bytes to the target's reader as if they were its input.

use std::fs::File;
use std::io::{Seek, Write};
use std::sync::{Arc, LazyLock};

use target_s3_parquet::fuzzing;

static POOL: LazyLock<Arc<rayon::ThreadPool>> = LazyLock::new(|| {
    Arc::new(rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread"))
});

/// Reads all items. Errors of the input are fine; panics, hangs and broken invariants are not.
pub fn read(parts: &[&[u8]]) {
    let mut file: File = tempfile::tempfile().expect("a temporary file");
    for part in parts {
        file.write_all(part).expect("room");
    }
    file.rewind().expect("a file");
    fuzzing::read(file, Arc::clone(&POOL)).expect("an end or an error of the input");
}
