//! An AWS that was opened: its clients, with the settings of a run.

use std::sync::Arc;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{Region, SdkConfig};
use aws_sdk_s3::config::{
    Credentials, IdentityCache, RequestChecksumCalculation, SharedCredentialsProvider,
    SharedHttpClient,
};
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_types::service_config::ServiceConfigKey;
use tokio::runtime::Runtime;

use super::lent::{Borrower, Lent};
use crate::error::{Error, Result};
use crate::options::{Checksum, Options, S3Options};

/// Tries of one request, the first included.
pub(crate) const ATTEMPTS: u32 = 7;

/// All tries of a request.
const OPERATION_TIMEOUT: Duration = Duration::from_mins(10);

/// Time for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Threads that wait for answers, which they spend little time on.
const WORKERS: usize = 2;

/// Where S3 is asked when nobody names a region: stores that only speak its protocol ignore it, and
/// S3 itself names the right one in its answer.
const FALLBACK_REGION: &str = "us-east-1";

/// An AWS that was opened.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) runtime: Arc<Runtime>,
    /// Region and credentials, with the retries and timeouts of S3.
    #[cfg_attr(not(feature = "glue"), allow(dead_code, reason = "only the catalog asks for it"))]
    pub(crate) config: SdkConfig,
    pub(crate) s3: aws_sdk_s3::Client,
    /// Whether S3 is that of another server than AWS.
    pub(crate) is_foreign: bool,
}

impl Session {
    pub(super) fn open(options: &Options) -> Result<Self> {
        check_certificates()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .enable_all()
            .build()
            .map_err(|error| Error::broken("a runtime for AWS can be started", error))?;
        let config = runtime.block_on(Box::pin(load(options)));
        Ok(Self::of(Arc::new(runtime), config, &options.s3, None))
    }

    fn of(
        runtime: Arc<Runtime>,
        config: SdkConfig,
        settings: &S3Options,
        lent: Option<&Arc<Lent>>,
    ) -> Self {
        let endpoint = s3_endpoint(&config, settings);
        let is_foreign = endpoint.as_deref().is_some_and(|url| !is_of_aws(url));
        let mut s3 = s3_config(&config, settings);
        if let Some(lent) = lent {
            let borrower = Borrower(Arc::clone(lent));
            // Each try asks for those that are good by then.
            s3 = s3
                .identity_cache(IdentityCache::no_cache())
                .credentials_provider(borrower.clone())
                .retry_classifier(borrower.clone())
                .interceptor(borrower);
        }
        let s3 = aws_sdk_s3::Client::from_conf(s3.build());
        Self { runtime, config, s3, is_foreign }
    }

    /// The S3 of somebody else, by the same connections.
    pub(super) fn elsewhere(&self, settings: &S3Options, lent: Option<&Arc<Lent>>) -> Self {
        let mut config = self.config.clone().into_builder();
        if let Some(region) = &settings.region {
            config = config.region(Region::new(region.clone()));
        }
        Self::of(Arc::clone(&self.runtime), config.build(), settings, lent)
    }
}

/// There are root certificates, by which servers are known. The SDK panics where it finds none.
pub(crate) fn check_certificates() -> Result<()> {
    let found = rustls_native_certs::load_native_certs();
    if !found.certs.is_empty() {
        return Ok(());
    }
    let reasons: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
    let reasons =
        if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join("; ")) };
    Err(Error::Option {
        name: "SSL_CERT_FILE",
        reason: format!(
            "no root certificate was found, without which no server is trusted{reasons}; name a file of \
             them, or install the system's (ca-certificates)"
        ),
    })
}

/// One pool of connections, and the cryptography that the tap has as well.
fn http_client() -> SharedHttpClient {
    let tls = tls::Provider::Rustls(CryptoMode::Ring);
    aws_smithy_http_client::Builder::new().tls_provider(tls).build_https()
}

/// Region and credentials as the settings name them, else from the usual AWS chain.
async fn load(options: &Options) -> SdkConfig {
    let settings = &options.s3;
    let patience = options.patience.unwrap_or(OPERATION_TIMEOUT);
    let attempts = if options.patience.is_some() { 2 } else { ATTEMPTS };
    let attempt = Duration::from_secs(settings.request_timeout_seconds);
    let timeouts = TimeoutConfig::builder()
        // A second try may yet find the server, and what failed is told rather than that time is up.
        .connect_timeout(CONNECT_TIMEOUT.min(patience / 3))
        .operation_attempt_timeout(attempt.min(patience))
        .operation_timeout(patience)
        .build();
    let mut loader = aws_config::defaults(aws_config::BehaviorVersion::latest())
        .http_client(http_client())
        .retry_config(RetryConfig::standard().with_max_attempts(attempts))
        .timeout_config(timeouts);
    if let Some(region) = &settings.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(profile) = &settings.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(credentials) = &settings.credentials {
        loader = loader.credentials_provider(Credentials::new(
            &credentials.access_key_id,
            &credentials.secret_access_key,
            credentials.session_token.clone(),
            None,
            "settings",
        ));
    }
    let shared = loader.load().await;
    let Some(role) = &settings.role_arn else { return shared };
    let mut provider = aws_config::sts::AssumeRoleProvider::builder(role)
        .session_name(&options.application)
        .configure(&shared);
    if let Some(external_id) = &settings.external_id {
        provider = provider.external_id(external_id);
    }
    let provider = provider.build().await;
    shared.into_builder().credentials_provider(SharedCredentialsProvider::new(provider)).build()
}

fn s3_config(shared: &SdkConfig, settings: &S3Options) -> aws_sdk_s3::config::Builder {
    let mut builder = aws_sdk_s3::config::Builder::from(shared);
    if shared.region().is_none() {
        builder = builder.region(Region::from_static(FALLBACK_REGION));
    }
    if let Some(endpoint) = &settings.endpoint_url {
        builder = builder.endpoint_url(endpoint);
    }
    let path_style =
        settings.force_path_style.unwrap_or_else(|| s3_endpoint(shared, settings).is_some());
    builder = builder.force_path_style(path_style);
    match settings.checksum {
        Checksum::WhenSupported => {}
        Checksum::WhenRequired => {
            builder =
                builder.request_checksum_calculation(RequestChecksumCalculation::WhenRequired);
        }
    }
    builder
}

/// Where S3 is asked, if somebody says so: the settings, or the environment and the profile of AWS for
/// S3 or for all services
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html>).
fn s3_endpoint(shared: &SdkConfig, settings: &S3Options) -> Option<String> {
    let of_service = || {
        let key = ServiceConfigKey::builder().service_id("S3");
        let key = key.env("AWS_ENDPOINT_URL").profile("endpoint_url").build().ok()?;
        shared.service_config()?.load_config(key)
    };
    let of_all = || shared.endpoint_url().map(str::to_owned);
    settings.endpoint_url.clone().or_else(of_service).or_else(of_all)
}

/// Whether a URL is one of AWS, such as that of a region or of an endpoint in a VPC
/// (<https://docs.aws.amazon.com/general/latest/gr/s3.html>).
fn is_of_aws(url: &str) -> bool {
    let address = url.split_once("://").map_or(url, |(_, address)| address);
    let host = address.split(['/', ':', '?']).next().unwrap_or(address).to_ascii_lowercase();
    [".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".api.aws"]
        .iter()
        .any(|domain| host.ends_with(domain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_is_told_why_before_its_patience_ends() {
        let s3 = S3Options { region: Some("eu-north-1".into()), ..S3Options::default() };
        let patience = Duration::from_secs(6);
        let hurried = Options { s3, patience: Some(patience), ..Options::default() };
        let session = Session::open(&hurried).unwrap();
        let times = session.config.timeout_config().unwrap();
        assert_eq!(times.operation_timeout(), Some(patience));
        let tries = session.config.retry_config().unwrap().max_attempts();
        // And a second between them (`RetryConfig::standard`).
        let connects = times.connect_timeout().unwrap() * tries + Duration::from_secs(1);
        assert!(connects < patience, "{connects:?}");
    }

    #[test]
    fn s3_has_a_region_even_where_nobody_names_one() {
        let nowhere =
            SdkConfig::builder().behavior_version(aws_config::BehaviorVersion::latest()).build();
        let config = s3_config(&nowhere, &S3Options::default()).build();
        assert_eq!(config.region().map(Region::as_ref), Some(FALLBACK_REGION));
    }

    #[test]
    fn a_server_is_foreign_unless_its_name_is_one_of_aws() {
        for url in [
            "https://s3.eu-central-1.amazonaws.com",
            "https://bucket.vpce-1a2b.s3.us-east-1.vpce.amazonaws.com/",
            "https://s3.cn-north-1.amazonaws.com.cn:443",
            "https://s3.dualstack.us-west-2.API.AWS",
        ] {
            assert!(is_of_aws(url), "{url}");
        }
        for url in [
            "http://localhost:9000",
            "https://amazonaws.com.example.org",
            "https://example.org/s3.amazonaws.com",
            "https://notamazonaws.com",
            "s3.example.org",
        ] {
            assert!(!is_of_aws(url), "{url}");
        }
    }
}
