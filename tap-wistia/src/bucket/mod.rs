//! The state of the last sync in an object on S3, where the target keeps it with `--state-out s3://…`.
//!
//! Credentials and region are those of the environment, as AWS's own tools find them: variables, the keys of a
//! profile, a container, a token of a web identity, the machine.

mod profile;

use std::env::var;
use std::error::Error as Cause;
use std::io;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, resolve_bucket_region};
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, ObjectStoreExt as _, RetryConfig};

use crate::error::{Error, Result};
use profile::Profile;

/// Time for one try.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Time for a connection. Where there is no machine of AWS, nobody answers for it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Time for all tries.
const PATIENCE: Duration = Duration::from_mins(1);

/// Where S3 is asked when another server speaks its protocol and nobody names a region.
const FALLBACK_REGION: &str = "us-east-1";

/// What to do where no credentials are found.
const NO_CREDENTIALS: &str = "there are no credentials for AWS; those of a profile with a login come by \
     `eval \"$(aws configure export-credentials --format env)\"`";

/// The text of an object by its URL, `s3://bucket/key`; nothing where there is none.
pub(crate) fn read(url: &str) -> Result<Option<String>> {
    let fault =
        |reason: String| Error::File { name: url.to_owned(), source: io::Error::other(reason) };
    let address = url.strip_prefix("s3://").unwrap_or_default();
    let (bucket, key) = address.split_once('/').unwrap_or((address, ""));
    if bucket.is_empty() || key.is_empty() {
        return Err(fault("it names no object; write s3://bucket/key".to_owned()));
    }
    // An error says that one was chosen before.
    drop(rustls::crypto::ring::default_provider().install_default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(Error::unexpected("a runtime for a request"))?;
    runtime.block_on(Box::pin(get(bucket, key))).map_err(fault)
}

async fn get(bucket: &str, key: &str) -> Result<Option<String>, String> {
    let store = builder(bucket).await?.build().map_err(|error| innermost(&error))?;
    let path = Path::parse(key).map_err(|error| error.to_string())?;
    let bytes = match store.get(&path).await {
        Ok(found) => found.bytes().await,
        Err(error) => Err(error),
    };
    match bytes {
        Ok(bytes) => String::from_utf8(bytes.into()).map(Some).map_err(|error| error.to_string()),
        Err(object_store::Error::NotFound { source, .. }) => match innermost(&*source) {
            reason if reason.contains("NoSuchBucket") => Err(reason),
            _ => Ok(None),
        },
        Err(object_store::Error::PermissionDenied { source, .. }) => Err(format!(
            "access is denied, or it is not there and `s3:ListBucket`, by which that could be told, is not allowed: {}",
            innermost(&*source)
        )),
        Err(error) => Err(innermost(&error)),
    }
}

/// How a bucket is reached, as the environment says.
async fn builder(bucket: &str) -> Result<AmazonS3Builder, String> {
    let profile = Profile::of_environment();
    let mut builder = AmazonS3Builder::from_env();
    match profile.keys {
        _ if given("AWS_ACCESS_KEY_ID").is_some() => {}
        Some(keys) => {
            builder = builder.with_access_key_id(keys.id);
            builder = builder.with_secret_access_key(keys.secret.expose());
            if let Some(token) = keys.token {
                builder = builder.with_config(AmazonS3ConfigKey::Token, token.expose());
            }
        }
        None if may_be_lent() => {}
        None => return Err(NO_CREDENTIALS.to_owned()),
    }
    let options = ClientOptions::new().with_timeout(TIMEOUT).with_connect_timeout(CONNECT_TIMEOUT);
    let endpoint = given("AWS_ENDPOINT_URL_S3").or_else(|| given("AWS_ENDPOINT_URL"));
    program::warn_of_plain_http("AWS_ENDPOINT_URL", endpoint.as_deref(), "the state goes");
    let region = given("AWS_REGION").or_else(|| given("AWS_DEFAULT_REGION")).or(profile.region);
    let region = match region {
        Some(region) => region,
        None if endpoint.is_some() => FALLBACK_REGION.to_owned(),
        None => resolve_bucket_region(bucket, &options).await.map_err(|error| innermost(&error))?,
    };
    let is_plain = endpoint.is_some_and(|url| url.starts_with("http://"));
    let retries =
        RetryConfig { backoff: BackoffConfig::default(), max_retries: 4, retry_timeout: PATIENCE };
    Ok(builder
        .with_client_options(options.with_allow_http(is_plain))
        .with_bucket_name(bucket)
        .with_region(region)
        .with_retry(retries))
}

/// A variable that says something.
fn given(name: &str) -> Option<String> {
    var(name).ok().filter(|value| !value.is_empty())
}

/// Whether there may be credentials that are asked for over the network.
fn may_be_lent() -> bool {
    let names = [
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    ];
    let is_no_machine = given("AWS_EC2_METADATA_DISABLED");
    let is_no_machine = is_no_machine.is_some_and(|text| text.eq_ignore_ascii_case("true"));
    !is_no_machine || names.iter().any(|name| given(name).is_some())
}

/// The innermost cause, which says what happened and not how often it was tried.
fn innermost(error: &(dyn Cause + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
