//! Requests for one object at a time, and for lists of them.

use std::time::{Duration, SystemTime};

use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use backon::{ExponentialBuilder, Retryable as _};
use bytes::Bytes;

use super::bucket::{
    Bucket, has_failed_condition, is_absent, is_conflict, is_no_such_key, present, same,
};
use crate::aws::ATTEMPTS;
use crate::error::{ConditionFault, Error, Result};
use crate::store::contract::{Condition, Object};

/// The metadata key of a write's mark.
pub(super) const MARK: &str = "lake-write";

/// The pauses before a body that broke off is asked for again.
pub(super) fn pauses() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(400))
        .with_max_delay(Duration::from_millis(12_800))
        .with_max_times(ATTEMPTS as usize - 1)
}

/// Why an object could not be read whole.
enum Unread {
    /// Its body broke off; another try may go better. The SDK repeats no request whose answer began.
    BrokeOff(Error),
    Refused(Error),
}

impl Bucket {
    /// What S3 says of an object that is there.
    async fn look_up(&self, key: &str) -> Result<Option<HeadObjectOutput>> {
        let request = self
            .client()
            .head_object()
            .bucket(&self.name)
            .key(self.full(key))
            .set_expected_bucket_owner(self.owner());
        match request.send().await {
            Ok(head) => Ok(Some(head)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(self.failed("look up", key, &error)),
        }
    }

    /// The object, and the mark of the write that made it.
    pub(super) async fn head(&self, key: &str) -> Result<Option<(Object, Option<String>)>> {
        let Some(head) = self.look_up(key).await? else { return Ok(None) };
        let mark = head.metadata().and_then(|data| data.get(MARK)).cloned();
        let object = self.object("look up", key, head.content_length(), head.e_tag())?;
        Ok(Some((object, mark)))
    }

    /// When the object was written.
    pub(super) async fn modified(&self, key: &str) -> Result<Option<SystemTime>> {
        let head = self.look_up(key).await?;
        Ok(head.and_then(|head| SystemTime::try_from(*head.last_modified()?).ok()))
    }

    /// The object and its bytes.
    pub(super) async fn get(&self, key: &str) -> Result<Option<(Object, Vec<u8>)>> {
        let read = || Box::pin(self.read(key));
        let outcome = read.retry(pauses()).when(|error| matches!(error, Unread::BrokeOff(_))).await;
        outcome.map_err(|error| match error {
            Unread::BrokeOff(error) | Unread::Refused(error) => error,
        })
    }

    async fn read(&self, key: &str) -> Result<Option<(Object, Vec<u8>)>, Unread> {
        let request = self
            .client()
            .get_object()
            .bucket(&self.name)
            .key(self.full(key))
            .set_expected_bucket_owner(self.owner());
        let got = match request.send().await {
            Ok(got) => got,
            Err(error) if is_no_such_key(&error) => return Ok(None),
            Err(error) => return Err(Unread::Refused(self.failed("read", key, &error))),
        };
        let etag = got.e_tag().map(str::to_owned);
        let broke_off = |error| Unread::BrokeOff(Error::store("read", self.locate(key), error));
        let bytes = got.body.collect().await.map_err(broke_off)?.to_vec();
        let object = self.object_of("read", key, bytes.len() as u64, etag.as_deref());
        Ok(Some((object.map_err(Unread::Refused)?, bytes)))
    }

    /// Writes an object by one request. `mark` is that of no other write.
    pub(super) async fn put(
        &self,
        key: &str,
        body: Bytes,
        condition: &Condition,
        mark: &str,
    ) -> Result<Object> {
        self.judge(key, condition).await?;
        match self.put_once(key, body.clone(), condition, mark).await {
            // The same bytes may have come back between the refusal and the look. Then it works now.
            Err(Error::Conditions { .. }) => self.put_once(key, body, condition, mark).await,
            outcome => outcome,
        }
    }

    async fn put_once(
        &self,
        key: &str,
        body: Bytes,
        condition: &Condition,
        mark: &str,
    ) -> Result<Object> {
        let size = body.len() as u64;
        let (absent, unchanged) = self.headers(condition);
        let request = self
            .client()
            .put_object()
            .bucket(&self.name)
            .key(self.full(key))
            .metadata(MARK, mark)
            .set_if_none_match(absent)
            .set_if_match(unchanged)
            .set_server_side_encryption(self.encryption())
            .set_ssekms_key_id(self.kms_key())
            .set_storage_class(self.storage_class())
            .set_expected_bucket_owner(self.owner())
            .body(ByteStream::from(body));
        match request.send().await {
            Ok(put) => self.written(key, size, put.e_tag()).await,
            Err(error) if has_failed_condition(&error) => {
                self.recognize(key, mark, Some(condition)).await
            }
            Err(error) if is_conflict(&error) => self.recognize(key, mark, None).await,
            // An object to be replaced that is gone fails If-Match with 404.
            Err(error) if is_absent(&error) && is_no_such_key(&error) => Err(self.conflict(key)),
            Err(error) => Err(self.failed("write", key, &error)),
        }
    }

    /// Judges a condition by a look at what is there, where the server is not asked to.
    pub(super) async fn judge(&self, key: &str, condition: &Condition) -> Result<()> {
        if self.settings.conditional_writes || *condition == Condition::Always {
            return Ok(());
        }
        let there = self.head(key).await?.map(|(object, _mark)| object);
        if holds(condition, there.as_ref()) { Ok(()) } else { Err(self.conflict(key)) }
    }

    /// After a write that failed: the object, if it is the one that we wrote. `failed` is the
    /// condition of which the server said that it does not hold.
    pub(super) async fn recognize(
        &self,
        key: &str,
        mark: &str,
        failed: Option<&Condition>,
    ) -> Result<Object> {
        let Some((object, found)) = self.head(key).await? else { return Err(self.conflict(key)) };
        if found.as_deref() == Some(mark) {
            return Ok(object);
        }
        // To merge again would not help: what would be replaced is what was read.
        if let Some(condition @ Condition::Unchanged(_)) = failed
            && holds(condition, Some(&object))
        {
            let fault = ConditionFault::Refused;
            return Err(Error::Conditions { object: self.locate(key), fault });
        }
        Err(self.conflict(key))
    }

    /// The object that was written just now. An answer without its `ETag` says not enough of it.
    pub(super) async fn written(&self, key: &str, size: u64, etag: Option<&str>) -> Result<Object> {
        match present(etag) {
            Some(_) => self.object_of("write", key, size, etag),
            None => match self.head(key).await? {
                Some((object, _)) => Ok(object),
                None => Err(self.conflict(key)),
            },
        }
    }

    /// The objects whose keys start with a prefix, in the order of S3: by the bytes of their keys
    /// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/ListingKeysUsingAPIs.html>).
    pub(super) async fn list(&self, prefix: &str) -> Result<Vec<Object>> {
        let mut found = Vec::new();
        let mut pages = self
            .client()
            .list_objects_v2()
            .bucket(&self.name)
            .prefix(self.full(prefix))
            .set_expected_bucket_owner(self.owner())
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.failed("list", prefix, &error))?;
            for object in page.contents() {
                let key = self.relative(object.key())?;
                found.push(self.object("list", key, object.size(), object.e_tag())?);
            }
        }
        Ok(found)
    }

    pub(super) async fn delete(&self, key: &str) -> Result<()> {
        let request = self
            .client()
            .delete_object()
            .bucket(&self.name)
            .key(self.full(key))
            .set_expected_bucket_owner(self.owner());
        request.send().await.map(drop).map_err(|error| self.failed("remove", key, &error))
    }
}

/// Whether a condition holds where this object is, or none.
fn holds(condition: &Condition, there: Option<&Object>) -> bool {
    match condition {
        Condition::Always => true,
        Condition::Absent => there.is_none(),
        Condition::Unchanged(version) => there.is_some_and(|object| same(&object.version, version)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_judged_by_what_is_there_whether_its_version_has_quotes_or_not() {
        let object = Object { key: "a".into(), size: 1, version: "\"v\"".into() };
        let unchanged = |version: &str| Condition::Unchanged(version.into());
        for (condition, beside_it, without) in [
            (Condition::Always, true, true),
            (Condition::Absent, false, true),
            (unchanged("\"v\""), true, false),
            (unchanged("v"), true, false),
            (unchanged("\"w\""), false, false),
        ] {
            assert_eq!(holds(&condition, Some(&object)), beside_it, "{condition:?}");
            assert_eq!(holds(&condition, None), without, "{condition:?}");
        }
    }
}
