//! Feeds bytes to the target's reader as if they were its standard input.

use std::fs::File;
use std::io::{Seek, Write};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use lake::{Aws, Options};
use target_s3_parquet::decode::{Dialect, Registry};
use target_s3_parquet::input::{Items, Next, Source};
use target_s3_parquet::settings::Config;

static POOL: LazyLock<Arc<rayon::ThreadPool>> = LazyLock::new(|| {
    Arc::new(rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread"))
});

static CONFIG: LazyLock<Arc<Config>> = LazyLock::new(|| {
    let text = r#"{"destination": "unused", "memory_mb": 32}"#;
    Arc::new(serde_json::from_str(text).expect("settings"))
});

/// Reads all items. Errors are fine; panics and hangs are not.
pub fn read(parts: &[&[u8]]) {
    let mut file: File = tempfile::tempfile().expect("a temporary file");
    for part in parts {
        file.write_all(part).expect("room");
    }
    file.rewind().expect("a file");
    let source = Source::File(file, "fuzz".into());
    let stop = Arc::new(AtomicBool::new(false));
    let dialect = (Dialect::Singer, Registry::default());
    let (config, pool, aws) =
        (Arc::clone(&CONFIG), Arc::clone(&POOL), Aws::new(&Options::default()));
    let items = Items::start(source, dialect, config, pool, aws, stop, 0);
    loop {
        match items.next(Duration::from_secs(10)) {
            Next::Item(Ok(_)) => {}
            Next::Item(Err(_)) | Next::End => break,
            Next::Timeout => panic!("the reader hangs"),
        }
    }
    items.join().expect("no panic in the reader");
}
