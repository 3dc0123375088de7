//! How a lake is opened: where it is, and what it may use.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::catalog::options::Options as GlueOptions;
use crate::error::{Error, Result};

/// Where a lake is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A prefix of a bucket.
    S3 {
        /// The bucket.
        bucket: String,
        /// What all keys begin with: nothing, or a path without slashes around it.
        prefix: String,
    },
}

impl Location {
    /// Reads `s3://bucket/prefix`, `file:///folder` or the path of a folder.
    pub fn parse(text: &str) -> Result<Self> {
        let Some((bucket, prefix)) = s3_address(text) else {
            return Ok(Self::Folder(text.strip_prefix("file://").unwrap_or(text).into()));
        };
        if bucket.is_empty() {
            return Err(Error::Option {
                name: "destination",
                reason: "it names no bucket; write s3://bucket/prefix".into(),
            });
        }
        Ok(Self::S3 { bucket: bucket.to_owned(), prefix: prefix.trim_matches('/').to_owned() })
    }
}

/// The bucket of an `s3://bucket/key` URL and the key in it; nothing for what is no such URL. The key
/// is empty where the URL names none.
pub fn s3_address(url: &str) -> Option<(&str, &str)> {
    let address = url.strip_prefix("s3://")?;
    Some(address.split_once('/').unwrap_or((address, "")))
}

/// What a run of a lake may use.
#[derive(Debug, Clone)]
pub struct Options {
    /// The program that opens the lake, as AWS sees it in sessions.
    pub application: String,
    /// What the footers of files say about who wrote them.
    pub created_by: String,
    /// Bytes for staged rows and open row groups. What does not fit goes to temporary files.
    pub memory: usize,
    /// Workers that encode rows. As many as there are cores with 0.
    pub threads: usize,
    /// Calls of the store that are under way at once, for objects or tables that do not depend on one
    /// another. As many as are good for the store with 0; one after the other, in an order that is the
    /// same each time, with 1.
    pub at_once: usize,
    /// Folder for temporary files.
    pub temp_dir: PathBuf,
    /// What the names begin with of what a run says in the summaries of an Iceberg table's snapshots.
    pub namespace: &'static str,
    /// How long a request of S3 is tried; some minutes where nobody waits for it.
    pub patience: Option<Duration>,
    /// How S3 is reached.
    pub s3: S3Options,
    /// Who keeps the pointers to the metadata of Iceberg tables.
    pub iceberg: IcebergCatalog,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            application: env!("CARGO_PKG_NAME").into(),
            created_by: concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")).into(),
            memory: 64 * 1024 * 1024,
            threads: 0,
            at_once: 0,
            temp_dir: std::env::temp_dir(),
            namespace: "lake",
            patience: None,
            s3: S3Options::default(),
            iceberg: IcebergCatalog::default(),
        }
    }
}

/// Who keeps the pointers to the newest metadata of Iceberg tables.
#[derive(Debug, Clone, Default)]
pub enum IcebergCatalog {
    /// The folder of each table.
    #[default]
    Folder,
    /// A database of the Glue Data Catalog. How plain tables are registered does not matter here.
    Glue(GlueOptions),
    /// A server that speaks the protocol of Iceberg's REST catalogs.
    Rest(RestOptions),
}

/// How a REST catalog is reached
/// (<https://github.com/apache/iceberg/blob/main/open-api/rest-catalog-open-api.yaml>).
#[derive(Debug, Clone)]
pub struct RestOptions {
    /// Its address, without `/v1`.
    pub uri: String,
    /// Which of its warehouses: a name, a path or an ARN, as the server calls them.
    pub warehouse: Option<String>,
    /// The levels of the namespace that the tables are in. It is made if it is not there.
    pub namespace: Vec<String>,
    /// Put before the name of every table.
    pub table_prefix: Option<String>,
    /// Whether the server says where a new table lies, rather than the lake.
    pub server_places: bool,
    /// How the server knows whose requests they are.
    pub auth: RestAuth,
    /// Headers that go with every request, such as a realm.
    pub headers: Vec<(String, Secret)>,
}

/// How a REST catalog knows whose requests they are.
#[derive(Debug, Clone, Default)]
pub enum RestAuth {
    /// It does not ask.
    #[default]
    None,
    /// By a token that somebody else renews.
    Token(Secret),
    /// By a token that is fetched for the credentials of a client (OAuth 2).
    OAuth2 {
        /// `id:secret`, or a secret alone.
        credential: Secret,
        /// Where the token is fetched. Default: the catalog itself.
        server: Option<String>,
        /// What it is asked for.
        scope: String,
    },
    /// By a signature of AWS, with the credentials of the lake.
    SigV4 {
        /// The name of the service, `glue` or `s3tables`.
        service: String,
        /// Its region. Default: that of S3.
        region: Option<String>,
    },
}

/// Something that is sent and never printed.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Wraps it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Itself, for the one place that sends it.
    #[cfg_attr(
        not(all(feature = "iceberg", feature = "s3")),
        allow(dead_code, reason = "only a REST catalog asks for it")
    )]
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}

/// How S3, and stores that speak its protocol, are reached. What is not given comes from the usual
/// chain of AWS.
#[derive(Debug, Clone)]
pub struct S3Options {
    /// AWS region.
    pub region: Option<String>,
    /// Another endpoint, such as `http://localhost:9000`.
    pub endpoint_url: Option<String>,
    /// Address buckets in the path, not in the host name. Default: true with an `endpoint_url`.
    pub force_path_style: Option<bool>,
    /// Profile of the AWS configuration files.
    pub profile: Option<String>,
    /// Credentials, where the usual chain is not wanted.
    pub credentials: Option<Credentials>,
    /// Role to assume.
    pub role_arn: Option<String>,
    /// External id that the role asks for.
    pub external_id: Option<String>,
    /// Server-side encryption. Default: the bucket's.
    pub encryption: Option<Encryption>,
    /// KMS key, where `encryption` is one of KMS.
    pub kms_key_id: Option<String>,
    /// Storage class of the objects, such as `INTELLIGENT_TIERING`.
    pub storage_class: Option<String>,
    /// Account that must own the bucket.
    pub expected_bucket_owner: Option<String>,
    /// Seconds after which one try of a request is given up and repeated.
    pub request_timeout_seconds: u64,
    /// When uploads carry a checksum.
    pub checksum: Checksum,
    /// Have the server judge the conditions of writes. Without it each is judged by a look at what is
    /// there before the write, so that one run at a time must be all that writes to the lake.
    pub conditional_writes: bool,
}

impl Default for S3Options {
    fn default() -> Self {
        Self {
            region: None,
            endpoint_url: None,
            force_path_style: None,
            profile: None,
            credentials: None,
            role_arn: None,
            external_id: None,
            encryption: None,
            kms_key_id: None,
            storage_class: None,
            expected_bucket_owner: None,
            request_timeout_seconds: 60,
            checksum: Checksum::default(),
            conditional_writes: true,
        }
    }
}

/// An access key of AWS.
#[derive(Clone)]
pub struct Credentials {
    /// The key.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: String,
    /// The token of temporary ones.
    pub session_token: Option<String>,
}

/// No secret is ever printed.
impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Credentials")
    }
}

/// Server-side encryption of S3
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/serv-side-encryption.html>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// By keys of S3, `AES256`.
    S3,
    /// By a key of KMS, `aws:kms`.
    Kms,
    /// Twice by a key of KMS, `aws:kms:dsse`.
    KmsTwice,
}

/// When uploads carry a checksum
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-dataintegrity.html>).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Checksum {
    /// Always.
    #[default]
    WhenSupported,
    /// Only where S3 refuses an upload without.
    WhenRequired,
}
