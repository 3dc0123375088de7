//! What every AWS client is made of: region, credentials, retries and timeouts.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{Region, SdkConfig};
use aws_sdk_s3::config::SharedCredentialsProvider;

use crate::options::Options;

/// Tries of one request, the first included.
pub(crate) const ATTEMPTS: u32 = 7;

/// All tries of a request.
const OPERATION_TIMEOUT: Duration = Duration::from_mins(10);

/// Region and credentials as the settings name them, else from the usual AWS chain.
pub(crate) async fn load(options: &Options) -> SdkConfig {
    let settings = &options.s3;
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(10))
        .operation_attempt_timeout(Duration::from_secs(settings.request_timeout_seconds))
        .operation_timeout(OPERATION_TIMEOUT)
        .build();
    let mut loader = aws_config::defaults(aws_config::BehaviorVersion::latest())
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .timeout_config(timeouts);
    if let Some(region) = &settings.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(profile) = &settings.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(credentials) = &settings.credentials {
        loader = loader.credentials_provider(credentials.clone());
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
