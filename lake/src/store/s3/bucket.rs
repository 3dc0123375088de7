//! A prefix of a bucket, as requests name it, and what S3 says when it refuses one.

use std::path::PathBuf;
use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::{ChecksumAlgorithm, ServerSideEncryption, StorageClass};

use super::words;
use crate::aws::Session;
use crate::error::{Error, Result};
use crate::options::{Checksum, Encryption, S3Options};
use crate::store::contract::{Condition, Object};

/// A prefix of a bucket.
#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) session: Arc<Session>,
    pub(super) name: String,
    /// Empty, or with a slash behind it.
    pub(super) prefix: String,
    pub(super) settings: S3Options,
    /// Where downloads go.
    pub(super) temp_dir: PathBuf,
}

impl Bucket {
    pub(super) fn client(&self) -> &Client {
        &self.session.s3
    }

    /// The key in the bucket.
    pub(super) fn full(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// The key below the prefix of a key that S3 found there.
    pub(super) fn relative<'a>(&self, full: Option<&'a str>) -> Result<&'a str> {
        full.and_then(|full| full.strip_prefix(self.prefix.as_str())).ok_or_else(|| {
            let found = full.unwrap_or("none");
            Error::store("list", self.locate(""), format!("the store names a key {found} there"))
        })
    }

    pub(super) fn locate(&self, key: &str) -> String {
        format!("s3://{}/{}", self.name, self.full(key))
    }

    pub(super) fn owner(&self) -> Option<String> {
        self.settings.expected_bucket_owner.clone()
    }

    pub(super) fn encryption(&self) -> Option<ServerSideEncryption> {
        self.settings.encryption.map(|encryption| match encryption {
            Encryption::S3 => ServerSideEncryption::Aes256,
            Encryption::Kms => ServerSideEncryption::AwsKms,
            Encryption::KmsTwice => ServerSideEncryption::AwsKmsDsse,
        })
    }

    pub(super) fn kms_key(&self) -> Option<String> {
        self.settings.kms_key_id.clone()
    }

    pub(super) fn checksum(&self) -> Option<ChecksumAlgorithm> {
        match self.settings.checksum {
            Checksum::WhenSupported => Some(ChecksumAlgorithm::Crc32),
            Checksum::WhenRequired => None,
        }
    }

    pub(super) fn storage_class(&self) -> Option<StorageClass> {
        self.settings.storage_class.as_deref().map(StorageClass::from)
    }

    pub(super) fn conflict(&self, key: &str) -> Error {
        Error::Conflict { object: self.locate(key) }
    }

    /// The values of `If-None-Match` and `If-Match`, where the server is to judge conditions
    /// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>).
    pub(super) fn headers(&self, condition: &Condition) -> (Option<String>, Option<String>) {
        match condition {
            _ if !self.settings.conditional_writes => (None, None),
            Condition::Always => (None, None),
            Condition::Absent => (Some("*".into()), None),
            Condition::Unchanged(version) => (None, Some(version.clone())),
        }
    }

    /// A request that S3 refused for good.
    pub(super) fn failed<E>(&self, action: &'static str, key: &str, error: &SdkError<E>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        Error::store(action, self.locate(key), self.explain(error))
    }

    /// What S3 said, or why it said nothing, in one sentence.
    pub(super) fn explain<E>(&self, error: &SdkError<E>) -> String
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        words::explain(error, &self.name, self.settings.endpoint_url.as_deref())
    }

    /// An object as an answer describes it, which must name its size: else nobody knows when it
    /// was read whole.
    pub(super) fn object(
        &self,
        action: &'static str,
        key: &str,
        size: Option<i64>,
        etag: Option<&str>,
    ) -> Result<Object> {
        let size = size.and_then(|size| u64::try_from(size).ok()).ok_or_else(|| {
            Error::store(action, self.locate(key), "the store does not say how large it is")
        })?;
        self.object_of(action, key, size, etag)
    }

    /// An object of known size. Without its `ETag` it can be neither read nor replaced as what it
    /// is.
    pub(super) fn object_of(
        &self,
        action: &'static str,
        key: &str,
        size: u64,
        etag: Option<&str>,
    ) -> Result<Object> {
        let version = present(etag).ok_or_else(|| {
            let reason = "the store gives it no ETag, and without one it cannot be replaced only if unchanged";
            Error::store(action, self.locate(key), reason)
        })?;
        Ok(Object { key: key.to_owned(), size, version: version.to_owned() })
    }
}

/// An `ETag` that says something.
pub(super) fn present(etag: Option<&str>) -> Option<&str> {
    etag.filter(|etag| !etag.is_empty())
}

/// Whether two `ETag`s are the same. Some servers leave the quotes out of some answers.
pub(super) fn same(one: &str, other: &str) -> bool {
    one.trim_matches('"') == other.trim_matches('"')
}

pub(super) fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

/// Whether a condition did not hold, or another write of the key was under way.
pub(super) fn is_conflict<E>(error: &SdkError<E>) -> bool {
    matches!(status(error), Some(409 | 412))
}

/// Whether a condition did not hold. A write that was disturbed by another one answers 409
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html#API_PutObject_RequestSyntax>).
pub(super) fn has_failed_condition<E>(error: &SdkError<E>) -> bool {
    status(error) == Some(412)
}

pub(super) fn is_absent<E>(error: &SdkError<E>) -> bool {
    status(error) == Some(404)
}

/// Whether the key is not there, rather than its bucket.
pub(super) fn is_no_such_key<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    error.as_service_error().and_then(ProvideErrorMetadata::code) == Some("NoSuchKey")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::Aws;
    use crate::options::Options;
    use aws_sdk_s3::config::http::HttpResponse;
    use aws_sdk_s3::error::ErrorMetadata;
    use aws_sdk_s3::operation::put_object::PutObjectError;
    use aws_sdk_s3::primitives::SdkBody;

    fn bucket() -> Bucket {
        let region = Some("us-east-1".to_owned());
        let s3 = S3Options { region, ..S3Options::default() };
        let session = Aws::new(&Options { s3: s3.clone(), ..Options::default() }).session();
        Bucket {
            session: session.unwrap(),
            name: "videos".into(),
            prefix: "lake/".into(),
            settings: s3,
            temp_dir: std::env::temp_dir(),
        }
    }

    fn refused(status: u16, code: &str) -> SdkError<PutObjectError> {
        let metadata = ErrorMetadata::builder().code(code).message("so it is").build();
        let answer = HttpResponse::new(status.try_into().unwrap(), SdkBody::empty());
        SdkError::service_error(PutObjectError::generic(metadata), answer)
    }

    fn cause(error: &Error) -> String {
        std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        for (code, words) in [
            ("NoSuchBucket", "the bucket `videos` does not exist"),
            ("AccessDenied", "access denied (so it is); the credentials need s3:GetObject"),
            ("ExpiredToken", "ExpiredToken: so it is; check the AWS credentials"),
            ("PermanentRedirect", "set `s3.region`"),
            ("SlowDown", "SlowDown: so it is"),
        ] {
            let text = bucket().explain(&refused(400, code));
            assert!(text.contains(words), "{text}");
        }
        let error = bucket().failed("write", "t/a", &refused(403, "AccessDenied"));
        assert_eq!(error.to_string(), "could not write s3://videos/lake/t/a");
    }

    #[test]
    fn what_is_gone_and_what_was_changed_are_told_apart() {
        for (status, code, conflict, absent, no_such_key) in [
            (412, "PreconditionFailed", true, false, false),
            (409, "ConditionalRequestConflict", true, false, false),
            (404, "NoSuchKey", false, true, true),
            (404, "NoSuchBucket", false, true, false),
            (500, "InternalError", false, false, false),
        ] {
            let error = refused(status, code);
            let found = (is_conflict(&error), is_absent(&error), is_no_such_key(&error));
            assert_eq!(found, (conflict, absent, no_such_key), "{code}");
        }
    }

    #[test]
    fn conditions_are_the_headers_of_s3() {
        let mut bucket = bucket();
        let unchanged = Condition::Unchanged("\"e\"".into());
        assert_eq!(bucket.headers(&Condition::Always), (None, None));
        assert_eq!(bucket.headers(&Condition::Absent), (Some("*".into()), None));
        assert_eq!(bucket.headers(&unchanged), (None, Some("\"e\"".into())));
        bucket.settings.conditional_writes = false;
        for condition in [Condition::Always, Condition::Absent, unchanged] {
            assert_eq!(bucket.headers(&condition), (None, None));
        }
    }

    #[test]
    fn an_object_without_size_or_etag_is_an_error_that_says_so() {
        let bucket = bucket();
        let object = bucket.object("list", "t/a", Some(3), Some("\"e\"")).unwrap();
        assert_eq!(object, Object { key: "t/a".into(), size: 3, version: "\"e\"".into() });
        for size in [None, Some(-1)] {
            let error = bucket.object("list", "t/a", size, Some("\"e\"")).unwrap_err();
            assert_eq!(error.to_string(), "could not list s3://videos/lake/t/a");
            assert!(cause(&error).contains("how large"));
        }
        for etag in [None, Some("")] {
            let error = bucket.object("look up", "t/a", Some(3), etag).unwrap_err();
            assert!(cause(&error).contains("no ETag"));
        }
    }

    #[test]
    fn a_listed_key_must_be_below_the_prefix() {
        let bucket = bucket();
        assert_eq!(bucket.relative(Some("lake/t/a")).unwrap(), "t/a");
        for key in [None, Some("other/t/a")] {
            assert!(bucket.relative(key).is_err());
        }
    }
}
