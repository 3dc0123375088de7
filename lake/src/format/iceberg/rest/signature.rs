//! Signatures of AWS (`SigV4`) on requests to Glue's and S3 Tables' REST catalogs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_sdk_s3::config::{Credentials, ProvideCredentials as _};
use aws_sigv4::http_request::{
    PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign,
};
use aws_sigv4::sign::v4;

use super::transport::{Request, Transport, Unanswered};
use crate::aws::{Aws, Session};
use crate::error::{Error, Result};

/// Credentials that end sooner are fetched anew.
const SOON: Duration = Duration::from_mins(5);

/// Signs requests with the credentials of a run.
#[derive(Debug)]
pub(super) struct Signer {
    session: Arc<Session>,
    service: String,
    region: String,
    credentials: Mutex<Option<Credentials>>,
}

impl Signer {
    pub(super) fn new(aws: &Aws, service: &str, region: Option<&str>) -> Result<Self> {
        let session = aws.session()?;
        let region = region.map(str::to_owned);
        let region = region.or_else(|| session.config.region().map(ToString::to_string));
        let Some(region) = region else {
            return Err(Error::Option {
                name: "catalog.rest.signing_region",
                reason: "no region is known; set it, `s3.region` or AWS_REGION".into(),
            });
        };
        let (service, credentials) = (service.to_owned(), Mutex::default());
        Ok(Self { session, service, region, credentials })
    }

    /// Adds the headers of a signature.
    pub(super) fn sign(&self, transport: &Transport, request: &mut Request) -> Result<()> {
        let credentials = self.credentials(transport)?;
        let headers = self.headers(credentials, request, SystemTime::now());
        let headers = headers.map_err(|error| Error::store("sign", &request.url, error))?;
        request.headers.extend(headers);
        Ok(())
    }

    /// The credentials are not taken. Whether there may be others.
    pub(super) fn forget(&self) -> bool {
        let known = self.credentials.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Those of the settings stay what they are.
        known.is_some_and(|known| known.expiry().is_some())
    }

    fn credentials(&self, transport: &Transport) -> Result<Credentials> {
        let mut known = self.credentials.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*known
            && known.expiry().is_none_or(|expiry| SystemTime::now() + SOON < expiry)
        {
            return Ok(known.clone());
        }
        let none = "no AWS credentials were found to sign requests with";
        let Some(provider) = self.session.config.credentials_provider() else {
            return Err(Error::Option { name: "catalog.rest.signing_name", reason: none.into() });
        };
        let fetched = transport
            .wait(async { provider.provide_credentials().await })
            .map_err(|error| Error::store("sign", format!("requests ({none})"), error))?;
        *known = Some(fetched.clone());
        Ok(fetched)
    }

    fn headers(
        &self,
        credentials: Credentials,
        request: &Request,
        now: SystemTime,
    ) -> Result<Vec<(String, String)>, Unanswered> {
        let identity = credentials.into();
        let mut settings = SigningSettings::default();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(&self.service)
            .time(now)
            .settings(settings)
            .build()?
            .into();
        let headers = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let signable = SignableRequest::new(
            request.method,
            request.url.as_str(),
            headers,
            SignableBody::Bytes(&request.body),
        )?;
        let (signed, _) = sign(signable, &params)?.into_parts();
        let headers = signed.headers();
        Ok(headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}
