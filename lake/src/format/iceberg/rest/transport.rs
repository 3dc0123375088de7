//! HTTP, by the client that S3 is asked with: one TLS in the program, and one way to name certificates.

use std::error::Error as StdError;
use std::time::Duration;

use aws_sdk_s3::config::http::HttpRequest;
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{HttpConnector as _, HttpConnectorSettings};
use bytes::Bytes;
use tokio::runtime::Runtime;

use crate::aws::check_certificates;
use crate::error::{Error, Result};

/// Time for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A request.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) method: &'static str,
    pub(super) url: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// What a server said.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Bytes,
}

/// Why it said nothing: the request may have reached it all the same.
pub(super) type Unanswered = Box<dyn StdError + Send + Sync>;

/// Sends requests.
#[derive(Debug)]
pub(super) struct Transport {
    runtime: Runtime,
    connector: Connector,
    timeout: Duration,
}

impl Transport {
    /// One that gives a request so long.
    pub(super) fn new(timeout: Duration) -> Result<Self> {
        check_certificates()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| Error::broken("a runtime for HTTP can be started", error))?;
        let settings =
            HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT.min(timeout)).build();
        let connector = Connector::builder()
            .connector_settings(settings)
            .proxy_config(ProxyConfig::from_env())
            .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
            .build();
        Ok(Self { runtime, connector, timeout })
    }

    /// Sends a request and waits for the whole answer.
    pub(super) fn send(&self, request: &Request) -> Result<Answer, Unanswered> {
        let mut sent = HttpRequest::new(SdkBody::from(request.body.clone()));
        sent.set_method(request.method)?;
        sent.set_uri(request.url.as_str())?;
        for (name, value) in &request.headers {
            sent.headers_mut().try_insert(name.clone(), value.clone())?;
        }
        let answer = async {
            let mut answer = self.connector.call(sent).await?;
            let status = answer.status().as_u16();
            let body = ByteStream::new(answer.take_body()).collect().await?.into_bytes();
            Ok(Answer { status, body })
        };
        let within = async { tokio::time::timeout(self.timeout, answer).await };
        self.runtime.block_on(within).unwrap_or_else(|late| Err(late.into()))
    }

    /// Waits for something else.
    pub(super) fn wait<T>(&self, answer: impl Future<Output = T>) -> T {
        self.runtime.block_on(answer)
    }
}
