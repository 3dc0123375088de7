//! Settings of S3.

use lake::S3Options;
use program::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Settings of S3 and of stores that speak its protocol.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub(crate) struct S3Config {
    /// AWS region of the bucket.
    #[schemars(extend("examples" = ["eu-central-1"]))]
    pub(crate) region: Option<String>,
    /// Another S3 endpoint, such as `http://localhost:9000`.
    pub(crate) endpoint_url: Option<String>,
    /// Address buckets in the path, not in the host name. Default: true with an `endpoint_url`.
    pub(crate) force_path_style: Option<bool>,
    /// Profile of the AWS configuration files.
    pub(crate) profile: Option<String>,
    /// Access key, where the usual chain of credentials is not wanted.
    pub(crate) access_key_id: Option<Secret>,
    /// Secret of the access key.
    pub(crate) secret_access_key: Option<Secret>,
    /// Session token of temporary credentials.
    pub(crate) session_token: Option<Secret>,
    /// Role to assume for all access.
    pub(crate) role_arn: Option<String>,
    /// External id that the role asks for.
    pub(crate) external_id: Option<String>,
    /// Server-side encryption of the objects. Default: the bucket's.
    pub(crate) sse: Option<Encryption>,
    /// KMS key, where `sse` is one of KMS. Default: the key of AWS for S3.
    pub(crate) kms_key_id: Option<String>,
    /// Storage class of the objects, such as `INTELLIGENT_TIERING`.
    pub(crate) storage_class: Option<String>,
    /// Account that must own the bucket.
    pub(crate) expected_bucket_owner: Option<String>,
    /// Seconds after which one try of a request is given up and repeated. A part of 8 MiB must fit.
    #[serde(default = "default_request_timeout_seconds")]
    #[schemars(range(min = 1))]
    pub(crate) request_timeout_seconds: u64,
    /// Checksums of uploads; `when_required` is for stores that reject them.
    #[serde(default)]
    pub(crate) checksum: Checksum,
    /// Writes carry the conditions of S3 (`If-Match`, `If-None-Match`), by which runs at once lose no row.
    /// `false` is for servers that do not keep them: then **one run at a time** must be all that writes to
    /// the lake.
    #[serde(default = "default_conditional_writes")]
    pub(crate) conditional_writes: bool,
}

impl Default for S3Config {
    fn default() -> Self {
        Self {
            region: None,
            endpoint_url: None,
            force_path_style: None,
            profile: None,
            access_key_id: None,
            secret_access_key: None,
            session_token: None,
            role_arn: None,
            external_id: None,
            sse: None,
            kms_key_id: None,
            storage_class: None,
            expected_bucket_owner: None,
            request_timeout_seconds: default_request_timeout_seconds(),
            checksum: Checksum::default(),
            conditional_writes: default_conditional_writes(),
        }
    }
}

fn default_conditional_writes() -> bool {
    true
}

fn default_request_timeout_seconds() -> u64 {
    60
}

/// Server-side encryption of S3, in S3's own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) enum Encryption {
    /// By keys of S3.
    #[serde(rename = "AES256")]
    S3,
    /// By a key of KMS.
    #[serde(rename = "aws:kms")]
    Kms,
    /// Twice by a key of KMS.
    #[serde(rename = "aws:kms:dsse")]
    KmsTwice,
}

/// When uploads carry a checksum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Checksum {
    /// Always.
    #[default]
    WhenSupported,
    /// Only where S3 refuses an upload without.
    WhenRequired,
}

impl S3Config {
    /// A setting that does nothing without another would be ignored in silence.
    pub(super) fn validate(&self) -> Result<(), Error> {
        program::warn_of_plain_http("s3.endpoint_url", self.endpoint_url.as_deref(), "all rows go");
        let has_keys = self.access_key_id.is_some();
        let is_kms = matches!(self.sse, Some(Encryption::Kms | Encryption::KmsTwice));
        for (key, is_set, needed, is_there) in [
            ("access_key_id", has_keys, "secret_access_key", self.secret_access_key.is_some()),
            ("secret_access_key", self.secret_access_key.is_some(), "access_key_id", has_keys),
            ("session_token", self.session_token.is_some(), "access_key_id", has_keys),
            ("external_id", self.external_id.is_some(), "role_arn", self.role_arn.is_some()),
            ("kms_key_id", self.kms_key_id.is_some(), "sse: aws:kms", is_kms),
        ] {
            if is_set && !is_there {
                return Err(Error::Setting {
                    key: format!("s3.{key}"),
                    reason: format!("it does nothing without `{needed}`"),
                });
            }
        }
        Ok(())
    }

    /// What the lake gets of S3.
    pub(crate) fn options(&self) -> S3Options {
        let credentials = self.access_key_id.as_ref().zip(self.secret_access_key.as_ref());
        let credentials = credentials.map(|(key, secret)| lake::Credentials {
            access_key_id: key.expose().to_owned(),
            secret_access_key: secret.expose().to_owned(),
            session_token: self.session_token.as_ref().map(|token| token.expose().to_owned()),
        });
        S3Options {
            region: self.region.clone(),
            endpoint_url: self.endpoint_url.clone(),
            force_path_style: self.force_path_style,
            profile: self.profile.clone(),
            credentials,
            role_arn: self.role_arn.clone(),
            external_id: self.external_id.clone(),
            encryption: self.sse.map(|sse| match sse {
                Encryption::S3 => lake::Encryption::S3,
                Encryption::Kms => lake::Encryption::Kms,
                Encryption::KmsTwice => lake::Encryption::KmsTwice,
            }),
            kms_key_id: self.kms_key_id.clone(),
            storage_class: self.storage_class.clone(),
            expected_bucket_owner: self.expected_bucket_owner.clone(),
            request_timeout_seconds: self.request_timeout_seconds,
            checksum: match self.checksum {
                Checksum::WhenSupported => lake::Checksum::WhenSupported,
                Checksum::WhenRequired => lake::Checksum::WhenRequired,
            },
            conditional_writes: self.conditional_writes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> S3Config {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_setting_that_does_nothing_without_another_is_refused_with_both() {
        for (text, key, needed) in [
            (r#"{"access_key_id":"a"}"#, "s3.access_key_id", "secret_access_key"),
            (r#"{"secret_access_key":"a"}"#, "s3.secret_access_key", "access_key_id"),
            (r#"{"session_token":"a"}"#, "s3.session_token", "access_key_id"),
            (r#"{"external_id":"a"}"#, "s3.external_id", "role_arn"),
            (r#"{"kms_key_id":"a"}"#, "s3.kms_key_id", "sse: aws:kms"),
        ] {
            let error = config(text).validate().unwrap_err().to_string();
            assert!(error.contains(key) && error.contains(needed), "{error}");
        }
        for text in [
            "{}",
            r#"{"access_key_id":"a","secret_access_key":"b","session_token":"c"}"#,
            r#"{"sse":"aws:kms:dsse","kms_key_id":"a"}"#,
            r#"{"sse":"AES256"}"#,
        ] {
            config(text).validate().unwrap();
        }
    }

    #[test]
    fn what_is_absent_is_as_in_the_default() {
        let (absent, default) = (config("{}").options(), S3Config::default().options());
        assert_eq!(format!("{absent:?}"), format!("{default:?}"));
        assert_eq!((absent.request_timeout_seconds, absent.conditional_writes), (60, true));
        assert!(absent.credentials.is_none());
    }

    #[test]
    fn the_lake_gets_the_settings_under_its_own_names() {
        let options = config(
            r#"{"region":"r","endpoint_url":"e","force_path_style":false,"profile":"p",
                "access_key_id":"a","secret_access_key":"b","role_arn":"o","external_id":"x",
                "sse":"aws:kms","kms_key_id":"k","storage_class":"c","expected_bucket_owner":"w",
                "request_timeout_seconds":7,"checksum":"when_required","conditional_writes":false}"#,
        )
        .options();
        let texts = [
            &options.region,
            &options.endpoint_url,
            &options.profile,
            &options.role_arn,
            &options.external_id,
            &options.kms_key_id,
            &options.storage_class,
            &options.expected_bucket_owner,
        ];
        let texts: Vec<_> = texts.into_iter().map(|text| text.as_deref().unwrap()).collect();
        assert_eq!(texts, ["r", "e", "p", "o", "x", "k", "c", "w"]);
        assert_eq!((options.force_path_style, options.request_timeout_seconds), (Some(false), 7));
        assert_eq!(options.encryption, Some(lake::Encryption::Kms));
        assert_eq!(options.checksum, lake::Checksum::WhenRequired);
        assert!(!options.conditional_writes);
        let credentials = options.credentials.unwrap();
        assert_eq!(credentials.access_key_id, "a");
        assert_eq!((&*credentials.secret_access_key, credentials.session_token), ("b", None));
    }
}
