//! Objects in an S3 bucket.
//!
//! Conditional writes make a second writer visible (`If-Match`, `If-None-Match`). When the answer
//! to a write is lost and the SDK sends it again, the second try meets our own object and fails
//! its condition; every write therefore carries a mark in the object's metadata by which
//! [`Shared::settle`] knows it again.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Region, RequestChecksumCalculation};
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart, ServerSideEncryption, StorageClass,
};
use bytes::Bytes;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::{Condition, Guard, Object, Store, Upload};
use crate::aws::{self, ATTEMPTS};
use crate::error::{Error, Result};
use crate::options::{Checksum, Encryption, Options, S3Options};

/// Size of a multipart part; smaller objects are one PUT. Ten thousand parts make 80 GB.
const PART: usize = 8 * 1024 * 1024;

/// Parts of one object in flight.
const PARTS_IN_FLIGHT: usize = 3;

/// Uploads that began so long ago are nobody's.
const LEFTOVER_AFTER: Duration = Duration::from_hours(24);

/// The metadata key of our mark.
const MARK: &str = "lake-write";

/// A prefix of a bucket.
#[derive(Debug, Clone)]
pub struct S3Store {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    runtime: Runtime,
    client: Client,
    bucket: String,
    /// Empty, or with a slash behind it.
    prefix: String,
    settings: S3Options,
    /// Where downloads go.
    temp_dir: PathBuf,
    run: String,
    counter: AtomicU64,
}

impl S3Store {
    /// Opens the objects below a prefix of a bucket; without a prefix, all of them.
    pub fn open(bucket: &str, prefix: &str, options: &Options, run: &str) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|error| Error::broken("a runtime for S3 can be started", error))?;
        let client = runtime.block_on(Box::pin(client(options)));
        Ok(Self {
            shared: Arc::new(Shared {
                runtime,
                client,
                bucket: bucket.to_owned(),
                prefix: if prefix.is_empty() { String::new() } else { format!("{prefix}/") },
                settings: options.s3.clone(),
                temp_dir: options.temp_dir.clone(),
                run: run.to_owned(),
                counter: AtomicU64::new(0),
            }),
        })
    }
}

impl S3Store {
    /// Removes what runs have left behind that died long ago.
    pub fn remove_leftovers(&self) {
        self.shared.runtime.block_on(Box::pin(self.shared.abort_leftovers()));
    }
}

async fn client(options: &Options) -> Client {
    let settings = &options.s3;
    let shared = aws::load(options).await;
    let mut builder = aws_sdk_s3::config::Builder::from(&shared);
    if shared.region().is_none() {
        // S3-compatible stores ignore it, and S3 itself names the right one in its answer.
        builder = builder.region(Region::new("us-east-1"));
    }
    if let Some(endpoint) = &settings.endpoint_url {
        builder = builder.endpoint_url(endpoint);
    }
    let path_style = settings
        .force_path_style
        .unwrap_or(settings.endpoint_url.is_some() || shared.endpoint_url().is_some());
    builder = builder.force_path_style(path_style);
    if settings.checksum == Checksum::WhenRequired {
        builder = builder.request_checksum_calculation(RequestChecksumCalculation::WhenRequired);
    }
    Client::from_conf(builder.build())
}

/// What S3 said, in one sentence, with what to do where that is known.
fn explain<E>(error: &SdkError<E>, bucket: &str) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let Some(service) = error.as_service_error() else {
        return DisplayErrorContext(error).to_string();
    };
    let code = service.code().unwrap_or("an error without a code");
    let message = service.message().unwrap_or("no message");
    match code {
        "NoSuchBucket" => {
            format!("the bucket `{bucket}` does not exist; create it or correct `destination`")
        }
        "AccessDenied" | "Forbidden" => format!(
            "access denied ({message}); the credentials need s3:GetObject, PutObject, DeleteObject and ListBucket"
        ),
        "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "ExpiredToken" | "InvalidToken" => {
            format!("{code}: {message}; check the AWS credentials")
        }
        "PermanentRedirect" | "AuthorizationHeaderMalformed" => {
            format!("{code}: {message}; set `s3.region` to the bucket's region")
        }
        _ => format!("{code}: {message}"),
    }
}

fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

fn is_conflict<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    matches!(status(error), Some(409 | 412))
}

impl Shared {
    fn full(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    fn locate(&self, key: &str) -> String {
        format!("s3://{}/{}", self.bucket, self.full(key))
    }

    fn failed<E>(&self, action: &'static str, key: &str, error: &SdkError<E>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        Error::store(action, self.locate(key), explain(error, &self.bucket))
    }

    async fn head(&self, key: &str) -> Result<Option<(Object, Option<String>)>> {
        let request = self
            .client
            .head_object()
            .bucket(&self.bucket)
            .key(self.full(key))
            .set_expected_bucket_owner(self.settings.expected_bucket_owner.clone());
        match request.send().await {
            Ok(head) => {
                let mark = head.metadata().and_then(|data| data.get(MARK)).cloned();
                Ok(Some((
                    Object {
                        key: key.to_owned(),
                        size: u64::try_from(head.content_length().unwrap_or(0)).unwrap_or(0),
                        version: head.e_tag().unwrap_or_default().to_owned(),
                    },
                    mark,
                )))
            }
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) => Err(self.failed("look up", key, &error)),
        }
    }

    /// After a failed condition: the object, if it is the one that we wrote.
    async fn settle(&self, key: &str, mark: &str) -> Result<Object> {
        match self.head(key).await? {
            Some((object, Some(found))) if found == mark => Ok(object),
            _ => Err(Error::Conflict { object: self.locate(key) }),
        }
    }

    async fn object_of(&self, key: &str, size: u64, version: Option<&str>) -> Result<Object> {
        match version {
            Some(version) => Ok(Object { key: key.to_owned(), size, version: version.to_owned() }),
            None => match self.head(key).await? {
                Some((object, _)) => Ok(object),
                None => Err(Error::Conflict { object: self.locate(key) }),
            },
        }
    }

    async fn put(
        &self,
        key: &str,
        body: Bytes,
        condition: &Condition,
        mark: &str,
    ) -> Result<Object> {
        let size = body.len() as u64;
        let (absent, unchanged) = headers(condition);
        let request = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(self.full(key))
            .metadata(MARK, mark)
            .set_if_none_match(absent)
            .set_if_match(unchanged)
            .set_server_side_encryption(self.encryption())
            .set_ssekms_key_id(self.settings.kms_key_id.clone())
            .set_storage_class(self.storage_class())
            .set_expected_bucket_owner(self.settings.expected_bucket_owner.clone())
            .body(ByteStream::from(body));
        match request.send().await {
            Ok(put) => self.object_of(key, size, put.e_tag()).await,
            Err(error) if is_conflict(&error) => self.settle(key, mark).await,
            // An object to be replaced that is gone fails If-Match with 404.
            Err(error)
                if status(&error) == Some(404) && error_code(&error) == Some("NoSuchKey") =>
            {
                Err(Error::Conflict { object: self.locate(key) })
            }
            Err(error) => Err(self.failed("write", key, &error)),
        }
    }

    fn encryption(&self) -> Option<ServerSideEncryption> {
        self.settings.encryption.map(|encryption| match encryption {
            Encryption::S3 => ServerSideEncryption::Aes256,
            Encryption::Kms => ServerSideEncryption::AwsKms,
            Encryption::KmsTwice => ServerSideEncryption::AwsKmsDsse,
        })
    }

    fn checksum(&self) -> Option<ChecksumAlgorithm> {
        (self.settings.checksum == Checksum::WhenSupported).then_some(ChecksumAlgorithm::Crc32)
    }

    fn storage_class(&self) -> Option<StorageClass> {
        self.settings.storage_class.as_deref().map(StorageClass::from)
    }

    async fn begin(&self, key: &str, mark: &str) -> Result<String> {
        let request = self
            .client
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(self.full(key))
            .metadata(MARK, mark)
            // The parts carry this checksum, so the upload must be one of it.
            .set_checksum_algorithm(self.checksum())
            .set_server_side_encryption(self.encryption())
            .set_ssekms_key_id(self.settings.kms_key_id.clone())
            .set_storage_class(self.storage_class())
            .set_expected_bucket_owner(self.settings.expected_bucket_owner.clone());
        let begun = request.send().await.map_err(|error| self.failed("write", key, &error))?;
        begun
            .upload_id()
            .map(str::to_owned)
            .ok_or_else(|| Error::store("write", self.locate(key), "the store gave no upload id"))
    }

    async fn part(
        &self,
        key: &str,
        upload: &str,
        number: i32,
        body: Bytes,
    ) -> Result<CompletedPart> {
        let request = self
            .client
            .upload_part()
            .bucket(&self.bucket)
            .key(self.full(key))
            .upload_id(upload)
            .part_number(number)
            .set_expected_bucket_owner(self.settings.expected_bucket_owner.clone())
            .set_checksum_algorithm(self.checksum())
            .body(ByteStream::from(body));
        let part = request.send().await.map_err(|error| self.failed("write", key, &error))?;
        Ok(CompletedPart::builder()
            .part_number(number)
            .set_e_tag(part.e_tag().map(str::to_owned))
            .set_checksum_crc32(part.checksum_crc32().map(str::to_owned))
            .build())
    }

    async fn complete(
        &self,
        key: &str,
        upload: &str,
        parts: Vec<CompletedPart>,
        size: u64,
        condition: &Condition,
        mark: &str,
    ) -> Result<Object> {
        let (absent, unchanged) = headers(condition);
        let request = self
            .client
            .complete_multipart_upload()
            .bucket(&self.bucket)
            .key(self.full(key))
            .upload_id(upload)
            .set_if_none_match(absent)
            .set_if_match(unchanged)
            .set_expected_bucket_owner(self.settings.expected_bucket_owner.clone())
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts)).build());
        match request.send().await {
            Ok(done) => self.object_of(key, size, done.e_tag()).await,
            // A completion that is repeated after its answer was lost finds no upload any more.
            Err(error) if is_conflict(&error) || status(&error) == Some(404) => {
                self.settle(key, mark).await
            }
            Err(error) => match self.settle(key, mark).await {
                Ok(object) => Ok(object),
                Err(_) => Err(self.failed("write", key, &error)),
            },
        }
    }

    async fn abort(&self, key: &str, upload: &str) {
        let request = self
            .client
            .abort_multipart_upload()
            .bucket(&self.bucket)
            .key(self.full(key))
            .upload_id(upload)
            .set_expected_bucket_owner(self.settings.expected_bucket_owner.clone());
        if let Err(error) = request.send().await {
            tracing::warn!(
                object = self.locate(key),
                reason = explain(&error, &self.bucket),
                "an unfinished upload could not be aborted; a lifecycle rule for incomplete uploads removes it"
            );
        }
    }

    /// Aborts uploads that a dead run has left open: their parts cost, and no listing shows them.
    async fn abort_leftovers(&self) {
        let limit = SystemTime::now() - LEFTOVER_AFTER;
        let request = self
            .client
            .list_multipart_uploads()
            .bucket(&self.bucket)
            .prefix(&self.prefix)
            .set_expected_bucket_owner(self.settings.expected_bucket_owner.clone());
        let listed = match request.send().await {
            Ok(listed) => listed,
            // Whoever may not list them has a lifecycle rule, or a bucket that does not exist yet.
            Err(error) => {
                tracing::debug!(
                    reason = explain(&error, &self.bucket),
                    "open uploads are not known"
                );
                return;
            }
        };
        for upload in listed.uploads() {
            let begun = upload.initiated().and_then(|time| SystemTime::try_from(*time).ok());
            let key = upload.key().and_then(|key| key.strip_prefix(self.prefix.as_str()));
            if let (Some(begun), Some(key), Some(id)) = (begun, key, upload.upload_id())
                && begun < limit
            {
                tracing::info!(
                    object = self.locate(key),
                    "an upload that a dead run left is aborted"
                );
                self.abort(key, id).await;
            }
        }
    }

    async fn read_range(&self, object: &Object, from: u64) -> Result<Option<ByteStream>> {
        let request = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(self.full(&object.key))
            .if_match(&object.version)
            .set_range((from > 0).then(|| format!("bytes={from}-")))
            .set_expected_bucket_owner(self.settings.expected_bucket_owner.clone());
        match request.send().await {
            Ok(got) => Ok(Some(got.body)),
            Err(error) if is_conflict(&error) || status(&error) == Some(404) => Ok(None),
            Err(error) => Err(self.failed("read", &object.key, &error)),
        }
    }

    /// Copies an object into a file. A body that breaks off goes on where it broke.
    async fn download(&self, object: &Object, file: &mut File) -> Result<()> {
        let patience = Duration::from_secs(self.settings.request_timeout_seconds);
        let mut written = 0;
        let mut broken = 0;
        while written < object.size || object.size == 0 {
            let Some(mut body) = self.read_range(object, written).await? else {
                return Err(Error::Conflict { object: self.locate(&object.key) });
            };
            let fault = loop {
                let next = tokio::time::timeout(patience, body.next()).await;
                match next {
                    Ok(Some(Ok(bytes))) => {
                        file.write_all(&bytes).map_err(|source| Error::Spill {
                            action: "write",
                            path: "of a download".into(),
                            source,
                        })?;
                        written += bytes.len() as u64;
                    }
                    Ok(None) if written >= object.size => return Ok(()),
                    Ok(None) => break "the body ended early".to_owned(),
                    Ok(Some(Err(error))) => break error.to_string(),
                    Err(_) => break "the body stalled".to_owned(),
                }
            };
            broken += 1;
            if broken >= ATTEMPTS {
                return Err(Error::store("read", self.locate(&object.key), fault));
            }
            tokio::time::sleep(Duration::from_millis(200 << broken.min(6))).await;
        }
        Ok(())
    }
}

fn error_code<E: ProvideErrorMetadata>(error: &SdkError<E>) -> Option<&str> {
    error.as_service_error().and_then(ProvideErrorMetadata::code)
}

fn headers(condition: &Condition) -> (Option<String>, Option<String>) {
    match condition {
        Condition::Always => (None, None),
        Condition::Absent => (Some("*".into()), None),
        Condition::Unchanged(version) => (None, Some(version.clone())),
    }
}

impl Store for S3Store {
    fn head(&self, key: &str) -> Result<Option<Object>> {
        let head = self.shared.runtime.block_on(Box::pin(self.shared.head(key)))?;
        Ok(head.map(|(object, _)| object))
    }

    fn get(&self, key: &str) -> Result<Option<(Object, Vec<u8>)>> {
        let shared = &self.shared;
        shared.runtime.block_on(Box::pin(async {
            let mut failures = 0;
            loop {
                let request = shared
                    .client
                    .get_object()
                    .bucket(&shared.bucket)
                    .key(shared.full(key))
                    .set_expected_bucket_owner(shared.settings.expected_bucket_owner.clone());
                let got = match request.send().await {
                    Ok(got) => got,
                    Err(error) if error_code(&error) == Some("NoSuchKey") => return Ok(None),
                    Err(error) => return Err(shared.failed("read", key, &error)),
                };
                let version = got.e_tag().unwrap_or_default().to_owned();
                match got.body.collect().await {
                    Ok(body) => {
                        let bytes = body.to_vec();
                        let size = bytes.len() as u64;
                        return Ok(Some((Object { key: key.to_owned(), size, version }, bytes)));
                    }
                    // The SDK does not repeat a request whose body breaks off.
                    Err(_) if failures < ATTEMPTS => failures += 1,
                    Err(error) => return Err(Error::store("read", shared.locate(key), error)),
                }
            }
        }))
    }

    fn fetch(&self, object: &Object) -> Result<File> {
        let spill =
            |action| move |source| Error::Spill { action, path: "of a download".into(), source };
        let mut file = tempfile::tempfile_in(&self.shared.temp_dir).map_err(spill("create"))?;
        self.shared.runtime.block_on(Box::pin(self.shared.download(object, &mut file)))?;
        file.rewind().map_err(spill("read"))?;
        Ok(file)
    }

    fn create(&self, key: &str, condition: Condition) -> Result<Box<dyn Upload>> {
        let number = self.shared.counter.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(S3Upload {
            shared: Arc::clone(&self.shared),
            key: key.to_owned(),
            mark: format!("{}-{number}", self.shared.run),
            condition,
            buffer: Vec::new(),
            size: 0,
            multipart: None,
        }))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Object>> {
        let shared = &self.shared;
        shared.runtime.block_on(Box::pin(async {
            let mut found = Vec::new();
            let mut pages = shared
                .client
                .list_objects_v2()
                .bucket(&shared.bucket)
                .prefix(shared.full(prefix))
                .set_expected_bucket_owner(shared.settings.expected_bucket_owner.clone())
                .into_paginator()
                .send();
            while let Some(page) = pages.next().await {
                let page = page.map_err(|error| shared.failed("list", prefix, &error))?;
                for object in page.contents() {
                    let Some(key) =
                        object.key().and_then(|key| key.strip_prefix(shared.prefix.as_str()))
                    else {
                        continue;
                    };
                    found.push(Object {
                        key: key.to_owned(),
                        size: u64::try_from(object.size().unwrap_or(0)).unwrap_or(0),
                        version: object.e_tag().unwrap_or_default().to_owned(),
                    });
                }
            }
            Ok(found)
        }))
    }

    fn delete(&self, key: &str) -> Result<()> {
        let shared = &self.shared;
        shared.runtime.block_on(Box::pin(async {
            let request = shared
                .client
                .delete_object()
                .bucket(&shared.bucket)
                .key(shared.full(key))
                .set_expected_bucket_owner(shared.settings.expected_bucket_owner.clone());
            match request.send().await {
                Ok(_) => Ok(()),
                Err(error) => Err(shared.failed("remove", key, &error)),
            }
        }))
    }

    /// Conditions of S3 notice other writers, so nobody has to wait.
    fn lock(&self, _table: &str) -> Result<Option<Box<dyn Guard>>> {
        Ok(None)
    }

    fn locate(&self, key: &str) -> String {
        self.shared.locate(key)
    }
}

/// An object being written: one PUT while it is small, a multipart upload once it is not.
struct S3Upload {
    shared: Arc<Shared>,
    key: String,
    mark: String,
    condition: Condition,
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
    /// Sends the buffer as the next part, after waiting for a place in flight.
    fn send_part(&mut self) -> Result<()> {
        let body = Bytes::from(std::mem::take(&mut self.buffer));
        let shared = Arc::clone(&self.shared);
        let multipart = match &mut self.multipart {
            Some(multipart) => multipart,
            none => {
                let id = shared.runtime.block_on(Box::pin(shared.begin(&self.key, &self.mark)))?;
                none.insert(Multipart { id, next: 1, running: JoinSet::new(), done: Vec::new() })
            }
        };
        while multipart.running.len() >= PARTS_IN_FLIGHT {
            shared.runtime.block_on(multipart.join_one())?;
        }
        let (key, id, number) = (self.key.clone(), multipart.id.clone(), multipart.next);
        multipart.next += 1;
        let task = Arc::clone(&shared);
        multipart.running.spawn_on(
            Box::pin(async move { task.part(&key, &id, number, body).await }),
            shared.runtime.handle(),
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
}

impl Write for S3Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() >= PART {
            self.send_part().map_err(io::Error::other)?;
        }
        if self.buffer.capacity() == 0 && self.multipart.is_some() {
            self.buffer.reserve(PART);
        }
        let taken = bytes.len().min(PART - self.buffer.len());
        self.buffer.extend_from_slice(bytes.get(..taken).unwrap_or_default());
        self.size += taken as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Upload for S3Upload {
    fn finish(mut self: Box<Self>) -> Result<Object> {
        let shared = Arc::clone(&self.shared);
        if self.multipart.is_none() {
            let body = Bytes::from(std::mem::take(&mut self.buffer));
            return shared.runtime.block_on(Box::pin(shared.put(
                &self.key,
                body,
                &self.condition,
                &self.mark,
            )));
        }
        if !self.buffer.is_empty() {
            self.send_part()?;
        }
        let Some(multipart) = &mut self.multipart else {
            return Err(Error::internal("a multipart upload that was begun is there"));
        };
        while !multipart.running.is_empty() {
            shared.runtime.block_on(multipart.join_one())?;
        }
        let mut parts = std::mem::take(&mut multipart.done);
        parts.sort_by_key(CompletedPart::part_number);
        let id = multipart.id.clone();
        let object = shared.runtime.block_on(Box::pin(shared.complete(
            &self.key,
            &id,
            parts,
            self.size,
            &self.condition,
            &self.mark,
        )))?;
        self.multipart = None;
        Ok(object)
    }
}

impl Drop for S3Upload {
    fn drop(&mut self) {
        if let Some(mut multipart) = self.multipart.take() {
            let shared = Arc::clone(&self.shared);
            shared.runtime.block_on(Box::pin(async {
                multipart.running.shutdown().await;
                shared.abort(&self.key, &multipart.id).await;
            }));
        }
    }
}
