//! The stores of the crate keep every promise, and stores that do not are caught.
//!
//! S3 takes part when `LAKE_TEST_S3_ENDPOINT` and `LAKE_TEST_S3_BUCKET` name one; credentials come
//! from the environment as AWS reads it. With `LAKE_TEST_S3_ONE_WRITER` the server judges no condition.
//! `LAKE_TEST_S3_FAULTS` is the URL of a proxy before it that
//! loses answers on demand, as `tests/fault_proxy.py` does.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]
#![allow(
    clippy::print_stdout,
    reason = "whoever runs this with an S3 must learn that it took part"
)]

mod broken;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use lake::store::conformance::{self, Answer, Finding, PROMISES};
use lake::store::{LocalStore, MemoryStore, Store, bucket, probe};
use lake::{Aws, Options, S3Options};

fn assert_kept(name: &str, findings: &[Finding]) {
    let found: Vec<_> = findings.iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "{name} is no store:\n{}", found.join("\n"));
    println!("{name}: {} promises kept", PROMISES.len());
}

fn is_empty(store: &dyn Store) {
    assert_eq!(store.list("").unwrap(), [], "the suite leaves nothing");
}

#[test]
fn memory_keeps_every_promise() {
    let store = MemoryStore::new();
    assert_kept("memory", &conformance::all(&store));
    conformance::shared(&store, &store.reopen()).unwrap();
    is_empty(&store);
}

#[test]
fn a_folder_keeps_every_promise() {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalStore::open(folder.path(), "run1").unwrap();
    assert_kept("a folder", &conformance::all(&store));
    conformance::shared(&store, &LocalStore::open(folder.path(), "run2").unwrap()).unwrap();
    is_empty(&store);
    drop(store);
    let left: Vec<_> = files_in(folder.path());
    assert!(left.is_empty(), "{left:?}");
}

fn files_in(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_in(&path) } else { vec![path] }).collect()
}

/// The S3 that the environment names, as two runs open it.
fn s3(prefix: &str) -> Option<(Arc<dyn Store>, Arc<dyn Store>)> {
    let endpoint = std::env::var("LAKE_TEST_S3_ENDPOINT").ok()?;
    let name = std::env::var("LAKE_TEST_S3_BUCKET").expect("a bucket beside the endpoint");
    let s3 = S3Options {
        region: Some(std::env::var("AWS_REGION").unwrap_or_else(|_| "us-east-1".into())),
        endpoint_url: Some(endpoint),
        conditional_writes: std::env::var_os("LAKE_TEST_S3_ONE_WRITER").is_none(),
        ..S3Options::default()
    };
    let aws = Aws::new(&Options { s3, ..Options::default() });
    let open = |run| bucket(&aws, &name, prefix, run).unwrap();
    Some((open("run1"), open("run2")))
}

#[test]
fn s3_keeps_every_promise() {
    let Some((store, other)) = s3("all") else {
        return println!("S3: not tried, because LAKE_TEST_S3_ENDPOINT names none");
    };
    assert_kept(&store.locate(""), &conformance::all(&*store));
    conformance::shared(&*store, &*other).unwrap();
    is_empty(&*store);
}

/// For `scripts/try_store.py`, which makes a row of a table of it.
#[test]
fn what_a_probe_finds_of_s3() {
    let Some((store, _)) = s3("probe") else {
        return println!("S3: not probed, because LAKE_TEST_S3_ENDPOINT names none");
    };
    let findings = probe::probe(&*store, "run1").unwrap();
    for trial in probe::TRIALS {
        let of_trial = findings.iter().filter(|finding| finding.trial == trial);
        let found: Vec<_> = of_trial.map(|finding| format!("{:?}", finding.found)).collect();
        println!("probe {:?} {:?}: {}", trial.what, trial.way, found.join(" and "));
    }
    is_empty(&*store);
}

#[test]
fn s3_knows_its_own_writes_when_answers_are_lost() {
    let (Some((store, _)), Ok(faults)) = (s3("lost"), std::env::var("LAKE_TEST_S3_FAULTS")) else {
        return println!("S3: no answer lost, because LAKE_TEST_S3_FAULTS names no proxy");
    };
    conformance::lost_answers(&*store, &|answer| lose(&faults, answer)).unwrap();
    is_empty(&*store);
    println!("{}: lost answers are recognised", store.locate(""));
}

/// Tells the proxy to lose the next answer of a kind.
fn lose(url: &str, answer: Answer) {
    let (method, path) = match answer {
        Answer::Write => ("PUT", "lost-answers/small"),
        Answer::LargeWrite => ("POST", "lost-answers/large.*uploadId="),
        Answer::Delete => ("DELETE", "lost-answers/"),
    };
    let body = format!(r#"{{"kind":"reset_after","method":"{method}","path":"{path}"}}"#);
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut connection = TcpStream::connect(host).unwrap();
    write!(
        connection,
        "POST /{path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut status = [0; 12];
    connection.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
}
