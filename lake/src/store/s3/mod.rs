//! Objects in an S3 bucket.
//!
//! Conditional writes make a second writer visible (`If-Match`, `If-None-Match`). When the answer
//! to a write is lost and the SDK sends it again, the second try meets our own object and fails
//! its condition; every write therefore carries a mark in the object's metadata by which
//! [`Bucket::recognize`] knows it again.
//!
//! The crate `object_store` is no substitute: an upsert replaces large objects only while they are
//! what it read, and a multipart upload of that crate takes no `If-Match`. Its
//! `CompleteMultipartMode` knows `Overwrite` and `Create`, and neither is open to its users
//! (<https://docs.rs/crate/object_store/0.14.0/source/src/aws/client.rs>,
//! <https://github.com/apache/arrow-rs-object-store/issues/289>).

mod bucket;
mod download;
mod multipart;
mod objects;
mod upload;
mod words;

use std::fs::File;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use crate::aws::Aws;
use crate::error::Result;
use crate::store::contract::{Condition, Guard, Judgement, Object, Store, Upload};
use bucket::Bucket;
use upload::S3Upload;

/// Requests that are under way at once. At 30 ms each they are a thousand a second, and S3 takes 3,500 writes a
/// second below a prefix
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html>).
const AT_ONCE: usize = 32;

/// Opens the objects below a prefix of a bucket; without a prefix, all of them. `run` names the run,
/// unlike any other.
pub fn bucket(aws: &Aws, bucket: &str, prefix: &str, run: &str) -> Result<Arc<dyn Store>> {
    Ok(Arc::new(S3Store::open(aws, bucket, prefix, run)?))
}

/// Opens a lake, and removes what runs have left behind there that died long ago.
pub(crate) fn lake(aws: &Aws, bucket: &str, prefix: &str, run: &str) -> Result<Arc<dyn Store>> {
    let store = S3Store::open(aws, bucket, prefix, run)?;
    // Whoever waits for an answer waits for nothing else.
    if aws.options().patience.is_none() {
        store.wait(store.bucket.abort_leftovers());
    }
    Ok(Arc::new(store))
}

/// A prefix of a bucket.
#[derive(Debug, Clone)]
struct S3Store {
    bucket: Arc<Bucket>,
    run: String,
    /// Uploads that were begun.
    counter: Arc<AtomicU64>,
}

impl S3Store {
    fn open(aws: &Aws, bucket: &str, prefix: &str, run: &str) -> Result<Self> {
        let options = aws.options();
        Ok(Self {
            bucket: Arc::new(Bucket {
                session: aws.session()?,
                name: bucket.to_owned(),
                prefix: if prefix.is_empty() { String::new() } else { format!("{prefix}/") },
                settings: options.s3.clone(),
                temp_dir: options.temp_dir.clone(),
            }),
            run: run.to_owned(),
            counter: Arc::default(),
        })
    }

    fn begin(&self, key: &str, condition: Condition, in_parts: bool) -> Box<dyn Upload> {
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        let mark = format!("{}-{number}", self.run);
        Box::new(S3Upload::begin(&self.bucket, key, condition, mark, in_parts))
    }

    /// Waits for an answer.
    fn wait<T>(&self, answer: impl Future<Output = T>) -> T {
        self.bucket.session.runtime.block_on(Box::pin(answer))
    }
}

impl Store for S3Store {
    fn head(&self, key: &str) -> Result<Option<Object>> {
        let head = self.wait(self.bucket.head(key))?;
        Ok(head.map(|(object, _mark)| object))
    }

    fn get(&self, key: &str) -> Result<Option<(Object, Vec<u8>)>> {
        self.wait(self.bucket.get(key))
    }

    fn fetch(&self, object: &Object) -> Result<File> {
        self.wait(self.bucket.fetch(object))
    }

    fn create(&self, key: &str, condition: Condition) -> Result<Box<dyn Upload>> {
        Ok(self.begin(key, condition, false))
    }

    fn create_in_parts(&self, key: &str, condition: Condition) -> Result<Box<dyn Upload>> {
        Ok(self.begin(key, condition, true))
    }

    fn at_once(&self) -> usize {
        AT_ONCE
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>
    fn longest_key(&self) -> usize {
        1024_usize.saturating_sub(self.bucket.prefix.len())
    }

    /// AWS documents how S3 judges conditions. Other servers are known by what they do.
    fn judgement(&self) -> Judgement {
        if !self.bucket.settings.conditional_writes {
            Judgement::OneWriter
        } else if self.bucket.session.is_foreign {
            Judgement::Untried
        } else {
            Judgement::Known
        }
    }

    fn list(&self, prefix: &str) -> Result<Vec<Object>> {
        self.wait(self.bucket.list(prefix))
    }

    fn modified(&self, key: &str) -> Result<Option<SystemTime>> {
        self.wait(self.bucket.modified(key))
    }

    fn delete(&self, key: &str) -> Result<()> {
        self.wait(self.bucket.delete(key))
    }

    /// Conditions of S3 notice other writers, so nobody has to wait.
    fn lock(&self, _table: &str) -> Result<Option<Box<dyn Guard>>> {
        Ok(None)
    }

    fn locate(&self, key: &str) -> String {
        self.bucket.locate(key)
    }
}
