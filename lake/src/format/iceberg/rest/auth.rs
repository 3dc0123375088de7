//! How a REST catalog knows whose requests they are.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::refusal::explain;
use super::signature::Signer;
use super::transport::{Request, Transport};
use crate::aws::Aws;
use crate::error::{Error, Result};
use crate::options::{RestAuth, Secret};

/// How requests are marked.
#[derive(Debug)]
pub(super) enum Auth {
    None,
    Token(Secret),
    OAuth(OAuth),
    Signature(Signer),
}

impl Auth {
    /// What the options ask for. Nothing is fetched yet.
    pub(super) fn new(options: &RestAuth, uri: &str, aws: &Aws) -> Result<Self> {
        Ok(match options {
            RestAuth::None => Self::None,
            RestAuth::Token(token) => Self::Token(token.clone()),
            RestAuth::OAuth2 { credential, server, scope } => Self::OAuth(OAuth {
                server: server.clone().unwrap_or_else(|| format!("{uri}/v1/oauth/tokens")),
                credential: credential.clone(),
                scope: scope.clone(),
                token: Mutex::default(),
            }),
            RestAuth::SigV4 { service, region } => {
                Self::Signature(Signer::new(aws, service, region.as_deref())?)
            }
        })
    }

    /// Marks a request.
    pub(super) fn mark(&self, transport: &Transport, request: &mut Request) -> Result<()> {
        let token = match self {
            Self::None => return Ok(()),
            Self::Token(token) => token.expose().to_owned(),
            Self::OAuth(oauth) => oauth.token(transport)?,
            Self::Signature(signer) => return signer.sign(transport, request),
        };
        request.headers.push(("authorization".into(), format!("Bearer {token}")));
        Ok(())
    }

    /// The server does not take what a request was marked with. Whether another may be better.
    pub(super) fn renew(&self) -> bool {
        match self {
            Self::None | Self::Token(_) => false,
            Self::OAuth(oauth) => oauth.forget(),
            Self::Signature(signer) => signer.forget(),
        }
    }

    /// What a person can do about a request that the server does not take.
    pub(super) fn advice(&self) -> &'static str {
        match self {
            Self::None => {
                "the server asks who it is; set `catalog.rest.token` or `catalog.rest.credential`"
            }
            Self::Token(_) => "`catalog.rest.token` is wrong, or has expired",
            Self::OAuth(_) => {
                "a token was fetched anew and is not taken either; check `catalog.rest.credential` and \
                 `catalog.rest.scope`"
            }
            Self::Signature(_) => {
                "check the AWS credentials, and `catalog.rest.signing_name` and `catalog.rest.signing_region`"
            }
        }
    }
}

/// The client credentials of OAuth 2, and the token that they gave.
pub(super) struct OAuth {
    server: String,
    credential: Secret,
    scope: String,
    token: Mutex<Option<Token>>,
}

struct Token {
    text: String,
    /// When another is fetched.
    until: Option<Instant>,
}

/// No secret is ever printed.
impl fmt::Debug for OAuth {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("OAuth").field("server", &self.server).finish_non_exhaustive()
    }
}

impl OAuth {
    fn token(&self, transport: &Transport) -> Result<String> {
        let mut token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(token) = &*token
            && token.until.is_none_or(|until| Instant::now() < until)
        {
            return Ok(token.text.clone());
        }
        let fetched = self.fetch(transport)?;
        let text = fetched.text.clone();
        *token = Some(fetched);
        Ok(text)
    }

    fn forget(&self) -> bool {
        self.token.lock().unwrap_or_else(PoisonError::into_inner).take().is_some()
    }

    /// <https://datatracker.ietf.org/doc/html/rfc6749#section-4.4>
    fn fetch(&self, transport: &Transport) -> Result<Token> {
        let failed =
            |reason: String| Error::store("fetch", format!("a token of {}", self.server), reason);
        let (id, secret) = match self.credential.expose().split_once(':') {
            Some((id, secret)) => (Some(id), secret),
            None => (None, self.credential.expose()),
        };
        let fields = [
            Some(("grant_type", "client_credentials")),
            id.map(|id| ("client_id", id)),
            Some(("client_secret", secret)),
            (!self.scope.is_empty()).then_some(("scope", self.scope.as_str())),
        ];
        let fields = fields
            .into_iter()
            .flatten()
            .map(|(key, value)| format!("{key}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
        let request = Request {
            method: "POST",
            url: self.server.clone(),
            headers: vec![("content-type".into(), "application/x-www-form-urlencoded".into())],
            body: fields.collect::<Vec<_>>().join("&").into_bytes(),
        };
        let answer = transport
            .send(&request)
            .map_err(|error| Error::store("fetch", format!("a token of {}", self.server), error))?;
        if answer.status != 200 {
            let advice = "check `catalog.rest.credential`, `catalog.rest.scope` and `catalog.rest.oauth2_server_uri`";
            return Err(failed(format!("{}; {advice}", explain(&answer))));
        }
        // The answer is a secret: nothing of it is told.
        let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let Some(text) = json["access_token"].as_str() else {
            return Err(failed("the answer has no `access_token`".into()));
        };
        let until = json["expires_in"].as_u64().map(|seconds| {
            // It must still be good when it arrives.
            let life = Duration::from_secs(seconds);
            Instant::now() + life.saturating_sub(Duration::from_mins(1).min(life / 10))
        });
        Ok(Token { text: text.to_owned(), until })
    }
}
