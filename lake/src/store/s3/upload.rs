//! An object being written: one PUT while it is small, a multipart upload once it is not.

use std::io::{self, Write};
use std::sync::Arc;

use aws_sdk_s3::types::CompletedPart;
use bytes::Bytes;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::bucket::Bucket;
use crate::error::{Error, Result};
use crate::store::contract::{Condition, Object, Upload};

/// Size of a multipart part; smaller objects are one PUT. Ten thousand parts, which is as many as S3
/// takes (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>), make 80 GB.
const PART: usize = 8 * 1024 * 1024;

/// Parts of one object in flight.
const PARTS_IN_FLIGHT: usize = 3;

/// An object being written.
pub(super) struct S3Upload {
    bucket: Arc<Bucket>,
    key: String,
    mark: String,
    condition: Condition,
    /// Whether it is a multipart upload even if it stays small.
    in_parts: bool,
    buffer: Vec<u8>,
    size: u64,
    multipart: Option<Multipart>,
}

struct Multipart {
    id: String,
    next: i32,
    running: JoinSet<Result<CompletedPart>>,
    done: Vec<CompletedPart>,
}

impl S3Upload {
    /// Begins an object. `mark` is that of no other write; `in_parts` has even a small one uploaded in
    /// parts.
    pub(super) fn begin(
        bucket: &Arc<Bucket>,
        key: &str,
        condition: Condition,
        mark: String,
        in_parts: bool,
    ) -> Self {
        Self {
            bucket: Arc::clone(bucket),
            key: key.to_owned(),
            mark,
            condition,
            in_parts,
            buffer: Vec::new(),
            size: 0,
            multipart: None,
        }
    }

    /// Sends the buffer as the next part, after waiting until fewer are in flight.
    fn send_part(&mut self) -> Result<()> {
        let body = Bytes::from(std::mem::take(&mut self.buffer));
        let bucket = Arc::clone(&self.bucket);
        let runtime = &self.bucket.session.runtime;
        let multipart = match &mut self.multipart {
            Some(multipart) => multipart,
            none => {
                let id = runtime.block_on(Box::pin(bucket.begin(&self.key, &self.mark)))?;
                none.insert(Multipart { id, next: 1, running: JoinSet::new(), done: Vec::new() })
            }
        };
        while multipart.running.len() >= PARTS_IN_FLIGHT {
            runtime.block_on(multipart.join_one())?;
        }
        let (key, id, number) = (self.key.clone(), multipart.id.clone(), multipart.next);
        multipart.next += 1;
        multipart.running.spawn_on(
            Box::pin(async move { bucket.part(&key, &id, number, body).await }.in_current_span()),
            runtime.handle(),
        );
        Ok(())
    }
}

impl Multipart {
    async fn join_one(&mut self) -> Result<()> {
        match self.running.join_next().await {
            Some(Ok(part)) => self.done.push(part?),
            Some(Err(error)) => return Err(Error::broken("a part is uploaded to its end", error)),
            None => {}
        }
        Ok(())
    }

    async fn join_all(&mut self) -> Result<()> {
        while !self.running.is_empty() {
            self.join_one().await?;
        }
        Ok(())
    }
}

impl Write for S3Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() >= PART {
            self.send_part().map_err(io::Error::other)?;
        }
        if self.buffer.capacity() == 0 && self.multipart.is_some() {
            self.buffer.reserve(PART);
        }
        let room = PART - self.buffer.len();
        let (taken, _) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
        self.buffer.extend_from_slice(taken);
        self.size += taken.len() as u64;
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Upload for S3Upload {
    /// A small object becomes a part as well: it would lie in memory otherwise.
    fn hold(&mut self) -> Result<()> {
        if !self.buffer.is_empty() {
            self.send_part()?;
        }
        let bucket = Arc::clone(&self.bucket);
        match &mut self.multipart {
            Some(multipart) => bucket.session.runtime.block_on(multipart.join_all()),
            None => Ok(()),
        }
    }

    fn finish(mut self: Box<Self>) -> Result<Object> {
        let bucket = Arc::clone(&self.bucket);
        let runtime = &bucket.session.runtime;
        if self.multipart.is_none() && !self.in_parts {
            let body = Bytes::from(std::mem::take(&mut self.buffer));
            let put = bucket.put(&self.key, body, &self.condition, &self.mark);
            return runtime.block_on(Box::pin(put));
        }
        if !self.buffer.is_empty() || self.multipart.is_none() {
            self.send_part()?;
        }
        let Some(multipart) = &mut self.multipart else {
            return Err(Error::internal("a multipart upload that was begun is there"));
        };
        runtime.block_on(multipart.join_all())?;
        let mut parts = std::mem::take(&mut multipart.done);
        parts.sort_by_key(CompletedPart::part_number);
        let id = multipart.id.clone();
        let complete =
            bucket.complete(&self.key, &id, parts, self.size, &self.condition, &self.mark);
        let object = runtime.block_on(Box::pin(complete))?;
        self.multipart = None;
        Ok(object)
    }
}

impl Drop for S3Upload {
    fn drop(&mut self) {
        if let Some(mut multipart) = self.multipart.take() {
            let bucket = &self.bucket;
            bucket.session.runtime.block_on(Box::pin(async {
                multipart.running.shutdown().await;
                bucket.abort(&self.key, &multipart.id).await;
            }));
        }
    }
}
