//! What the fuzz targets drive: the way from bytes to rows, without a lake.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use lake::{Aws, Options};

use crate::error::Error;
use crate::input::items::{Items, Limits, Next};
use crate::input::lines::Input;
use crate::memory::Shares;
use crate::settings::config::Config;
use crate::singer::messages;

/// Longer than any input of a fuzzer takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads a file of Singer messages to its end or its first error, decoding on the workers of `pool`.
/// That the input is broken is fine; the error says what no input may bring about.
pub fn read(file: File, pool: Arc<rayon::ThreadPool>) -> Result<(), String> {
    let config: Config = serde_json::from_str(r#"{"destination": "unused", "memory_mb": 32}"#)
        .map_err(|error| error.to_string())?;
    let shares = Shares::new(config.memory_bytes(), pool.current_num_threads());
    let stop = Arc::new(AtomicBool::new(false));
    let limits = Limits { longest_line: shares.block, shares, stop, started_at: 0 };
    let protocol = messages::protocol(&Arc::new(config), &Aws::new(&Options::default()));
    let items = Items::start(Input::File(file, "fuzz".into()), protocol, pool, limits);
    loop {
        match items.next(PATIENCE) {
            Next::Item(Ok(_)) => {}
            Next::Item(Err(Error::Lake(error))) => return Err(error.to_string()),
            Next::Item(Err(_)) | Next::End => break,
            Next::Timeout => return Err("the reader hangs".into()),
        }
    }
    items.join().map_err(|error| error.to_string())
}
