//! The requests of a multipart upload, and the end of those that dead runs have left open.

use std::time::{Duration, SystemTime};

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, MultipartUpload};
use bytes::Bytes;

use super::bucket::{Bucket, has_failed_condition, is_absent, is_conflict};
use super::objects::MARK;
use crate::error::{Error, Result};
use crate::store::contract::{Condition, Object};

/// Uploads that began so long ago are nobody's.
const LEFTOVER_AFTER: Duration = Duration::from_hours(24);

impl Bucket {
    /// Begins an upload, whose object carries the mark. The id of the upload.
    pub(super) async fn begin(&self, key: &str, mark: &str) -> Result<String> {
        let request = self
            .client()
            .create_multipart_upload()
            .bucket(&self.name)
            .key(self.full(key))
            .metadata(MARK, mark)
            // The parts carry this checksum, so the upload must be one of it.
            .set_checksum_algorithm(self.checksum())
            .set_server_side_encryption(self.encryption())
            .set_ssekms_key_id(self.kms_key())
            .set_storage_class(self.storage_class())
            .set_expected_bucket_owner(self.owner());
        let begun = request.send().await.map_err(|error| self.failed("write", key, &error))?;
        begun
            .upload_id()
            .map(str::to_owned)
            .ok_or_else(|| Error::store("write", self.locate(key), "the store gave no upload id"))
    }

    /// Sends a part; `number` counts from 1.
    pub(super) async fn part(
        &self,
        key: &str,
        upload: &str,
        number: i32,
        body: Bytes,
    ) -> Result<CompletedPart> {
        let request = self
            .client()
            .upload_part()
            .bucket(&self.name)
            .key(self.full(key))
            .upload_id(upload)
            .part_number(number)
            .set_expected_bucket_owner(self.owner())
            .set_checksum_algorithm(self.checksum())
            .body(ByteStream::from(body));
        let part = request.send().await.map_err(|error| self.failed("write", key, &error))?;
        let etag = part.e_tag().ok_or_else(|| {
            Error::store("write", self.locate(key), "the store gave a part no ETag")
        })?;
        Ok(CompletedPart::builder()
            .part_number(number)
            .e_tag(etag)
            .set_checksum_crc32(part.checksum_crc32().map(str::to_owned))
            .build())
    }

    /// Makes the object of the parts, if the condition holds.
    pub(super) async fn complete(
        &self,
        key: &str,
        upload: &str,
        parts: Vec<CompletedPart>,
        size: u64,
        condition: &Condition,
        mark: &str,
    ) -> Result<Object> {
        self.judge(key, condition).await?;
        let (absent, unchanged) = self.headers(condition);
        let request = self
            .client()
            .complete_multipart_upload()
            .bucket(&self.name)
            .key(self.full(key))
            .upload_id(upload)
            .set_if_none_match(absent)
            .set_if_match(unchanged)
            .set_expected_bucket_owner(self.owner())
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts)).build());
        match request.send().await {
            Ok(done) => self.written(key, size, done.e_tag()).await,
            Err(error) if has_failed_condition(&error) => {
                self.recognize(key, mark, Some(condition)).await
            }
            // A completion that is repeated after its answer was lost finds no upload any more.
            Err(error) if is_conflict(&error) || is_absent(&error) => {
                self.recognize(key, mark, None).await
            }
            Err(error) => match self.recognize(key, mark, None).await {
                Ok(object) => Ok(object),
                Err(_) => Err(self.failed("write", key, &error)),
            },
        }
    }

    /// Gives an upload up. That it stays is no fault of the run.
    pub(super) async fn abort(&self, key: &str, upload: &str) {
        let request = self
            .client()
            .abort_multipart_upload()
            .bucket(&self.name)
            .key(self.full(key))
            .upload_id(upload)
            .set_expected_bucket_owner(self.owner());
        if let Err(error) = request.send().await {
            tracing::warn!(
                object = self.locate(key),
                reason = self.explain(&error),
                "an unfinished upload could not be aborted; a lifecycle rule for incomplete uploads removes it"
            );
        }
    }

    /// Aborts uploads that a dead run has left open: their parts cost, and no listing shows them.
    pub(super) async fn abort_leftovers(&self) {
        let limit = SystemTime::now() - LEFTOVER_AFTER;
        let mut next = Some((None, None));
        while let Some((key, id)) = next {
            let request = self
                .client()
                .list_multipart_uploads()
                .bucket(&self.name)
                .prefix(&self.prefix)
                .set_key_marker(key.clone())
                .set_upload_id_marker(id.clone())
                .set_expected_bucket_owner(self.owner());
            let page = match request.send().await {
                Ok(page) => page,
                // Whoever may not list them has a lifecycle rule, or a bucket that does not exist yet.
                Err(error) => {
                    let reason = self.explain(&error);
                    tracing::debug!(reason, "open uploads are not known");
                    return;
                }
            };
            self.abort_older(page.uploads(), limit).await;
            let behind = (
                page.next_key_marker().map(str::to_owned),
                page.next_upload_id_marker().map(str::to_owned),
            );
            // A server that does not go on with its list would be asked for ever.
            let goes_on = page.is_truncated() == Some(true) && behind != (key, id);
            next = (goes_on && behind.0.is_some()).then_some(behind);
        }
    }

    async fn abort_older(&self, uploads: &[MultipartUpload], limit: SystemTime) {
        for upload in uploads {
            let Some(leftover) = Leftover::read(upload, &self.prefix) else {
                tracing::debug!(?upload, "an open upload is not described, and stays");
                continue;
            };
            if leftover.begun < limit {
                tracing::info!(
                    object = self.locate(leftover.key),
                    "an upload that a dead run left is aborted"
                );
                self.abort(leftover.key, leftover.id).await;
            }
        }
    }
}

/// An upload that is open.
#[derive(Debug, PartialEq, Eq)]
struct Leftover<'a> {
    key: &'a str,
    id: &'a str,
    begun: SystemTime,
}

impl<'a> Leftover<'a> {
    /// What an answer says of an upload; nothing where it does not say enough to abort it.
    fn read(upload: &'a MultipartUpload, prefix: &str) -> Option<Self> {
        Some(Self {
            key: upload.key()?.strip_prefix(prefix)?,
            id: upload.upload_id()?,
            begun: SystemTime::try_from(*upload.initiated()?).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_s3::primitives::DateTime;

    #[test]
    fn an_open_upload_is_aborted_only_where_all_is_known_of_it() {
        let upload = |key: &str| {
            MultipartUpload::builder().key(key).upload_id("u").initiated(DateTime::from_secs(7))
        };
        let begun = SystemTime::UNIX_EPOCH + Duration::from_secs(7);
        let whole = upload("lake/t/a").build();
        assert_eq!(Leftover::read(&whole, "lake/"), Some(Leftover { key: "t/a", id: "u", begun }));
        for strange in [
            upload("other/t/a").build(),
            upload("lake/t/a").set_initiated(None).build(),
            upload("lake/t/a").set_upload_id(None).build(),
        ] {
            assert_eq!(Leftover::read(&strange, "lake/"), None);
        }
    }
}
