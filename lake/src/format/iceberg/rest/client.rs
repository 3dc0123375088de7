//! What is asked of a REST catalog, and when it is asked again.
//!
//! A look is repeated until it succeeds or patience ends. A commit is sent once: whatever leaves open what became
//! of it is an error, after which the table is looked at. It is sent again only where the server has certainly not
//! looked at it: it did not take the token, or it had too many requests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::{BlockingRetryable as _, ExponentialBuilder};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::auth::Auth;
use super::refusal::explain;
use super::transport::{Answer, Request, Transport, Unanswered};
use super::vended;
use crate::aws::Aws;
use crate::error::{Error, Result};
use crate::options::RestOptions;

/// Time for one try of a request: a large table has megabytes of metadata.
const TIMEOUT: Duration = Duration::from_mins(1);

/// What stands in a path as it is.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What stands between the levels of a namespace, unless the server says otherwise.
const SEPARATOR: &str = "%1F";

/// The server that the options name.
#[derive(Debug)]
pub(super) struct Client {
    transport: Transport,
    auth: Auth,
    options: RestOptions,
    /// Where its tables are, once it was asked.
    paths: Mutex<Option<Arc<Paths>>>,
    pauses: ExponentialBuilder,
}

/// Where a server has its tables.
#[derive(Debug)]
struct Paths {
    /// Up to the namespaces.
    root: String,
    separator: String,
}

impl Client {
    /// The server that the options name. Nothing is asked of it yet.
    pub(super) fn new(
        options: &RestOptions,
        aws: &Aws,
        pauses: ExponentialBuilder,
    ) -> Result<Self> {
        let uri = options.uri.trim_end_matches('/').trim_end_matches("/v1").to_owned();
        let options = RestOptions { uri, ..options.clone() };
        let patience = aws.options().patience;
        Ok(Self {
            transport: Transport::new(patience.map_or(TIMEOUT, |most| most.min(TIMEOUT)))?,
            auth: Auth::new(&options.auth, &options.uri, aws)?,
            options,
            paths: Mutex::default(),
            pauses,
        })
    }

    /// What a table is called in messages.
    pub(super) fn name(&self, table: &str) -> String {
        format!("{}.{table} of {}", self.options.namespace.join("."), self.shown())
    }

    /// The address, without a password that somebody has put into it.
    fn shown(&self) -> String {
        let uri = &self.options.uri;
        match uri.split_once("://").and_then(|(scheme, rest)| {
            let (_, host) = rest.split_once('@')?;
            Some(format!("{scheme}://{host}"))
        }) {
            Some(shown) => shown,
            None => uri.clone(),
        }
    }

    /// The address of a table, or of all tables of the namespace.
    pub(super) fn tables(&self, table: Option<&str>) -> Result<String> {
        let paths = self.paths()?;
        let levels = self.options.namespace.iter().map(|level| encoded(level));
        let namespace = levels.collect::<Vec<_>>().join(&paths.separator);
        let tables = format!("{}/namespaces/{namespace}/tables", paths.root);
        Ok(table.map_or_else(|| tables.clone(), |table| format!("{tables}/{}", encoded(table))))
    }

    /// The address of all namespaces.
    pub(super) fn namespaces(&self) -> Result<String> {
        Ok(format!("{}/namespaces", self.paths()?.root))
    }

    /// Reads something, as often as it takes.
    pub(super) fn get(&self, url: &str, object: &str) -> Result<Answer> {
        let request = self.request("GET", url, Vec::new());
        let mut last = None;
        let answer = || match self.authorized(&request) {
            Ok(answer) if is_passing(answer.status) => {
                last = Some(answer);
                Err(Tried::Again)
            }
            Ok(answer) => Ok(answer),
            Err(Failed::Unanswered(error)) => {
                last = None;
                Err(Tried::Unanswered(error))
            }
            Err(Failed::Unmarked(error)) => Err(Tried::Unmarked(error)),
        };
        let tried =
            answer.retry(self.pauses).when(|tried| !matches!(tried, Tried::Unmarked(_))).call();
        match tried {
            Ok(answer) => Ok(answer),
            Err(Tried::Unmarked(error)) => Err(error),
            Err(Tried::Unanswered(error)) => Err(self.unanswered("read", object, &error)),
            Err(Tried::Again) => match last {
                Some(answer) => Ok(answer),
                None => Err(Error::internal("a request that was tried has an answer")),
            },
        }
    }

    /// Asks for a change, once.
    pub(super) fn post(
        &self,
        url: &str,
        body: &Value,
        action: &'static str,
        object: &str,
    ) -> Result<Answer> {
        let body =
            serde_json::to_vec(body).map_err(|error| Error::broken("a request is JSON", error))?;
        let request = self.request("POST", url, body);
        let mut refused = None;
        let answer = || match self.authorized(&request) {
            Ok(answer) if answer.status == TOO_MANY => {
                refused = Some(answer);
                Err(None)
            }
            Ok(answer) => Ok(answer),
            Err(failed) => Err(Some(failed)),
        };
        match answer.retry(self.pauses).when(Option::is_none).call() {
            Ok(answer) => Ok(answer),
            Err(Some(Failed::Unmarked(error))) => Err(error),
            Err(Some(Failed::Unanswered(error))) => Err(self.unanswered(action, object, &error)),
            Err(None) => match refused {
                Some(answer) => Ok(answer),
                None => Err(Error::internal("a request that was tried has an answer")),
            },
        }
    }

    /// What an answer means that is none of those which are asked for.
    pub(super) fn refused(&self, action: &'static str, object: &str, answer: &Answer) -> Error {
        let said = explain(answer);
        let advice = match answer.status {
            401 | 419 => self.auth.advice(),
            403 => "whoever asks may not do that; the catalog's administrator can grant it",
            404 => {
                "check `catalog.rest.uri`, `catalog.rest.warehouse` and `catalog.rest.namespace`"
            }
            400 | 406 | 422 => "the server knows no such request",
            409 => "another writer was faster",
            _ => "what became of the request is not known",
        };
        Error::store(action, object, format!("{said}; {advice}"))
    }

    fn unanswered(&self, action: &'static str, object: &str, error: &Unanswered) -> Error {
        let mut causes = vec![error.to_string()];
        let mut inner = error.source();
        while let Some(cause) = inner {
            causes.push(cause.to_string());
            inner = cause.source();
        }
        causes.dedup();
        let reason = format!(
            "{} does not answer ({}); check `catalog.rest.uri` and the network",
            self.shown(),
            causes.join(": ")
        );
        Error::store(action, object, reason)
    }

    fn request(&self, method: &'static str, url: &str, body: Vec<u8>) -> Request {
        let mut headers = vec![("accept".to_owned(), "application/json".to_owned())];
        if !body.is_empty() {
            headers.push(("content-type".into(), "application/json".into()));
        }
        if self.options.server_places {
            headers.push((vended::HEADER.0.to_owned(), vended::HEADER.1.to_owned()));
        }
        let own = self.options.headers.iter();
        headers.extend(own.map(|(name, value)| (name.to_lowercase(), value.expose().to_owned())));
        Request { method, url: url.to_owned(), headers, body }
    }

    /// Sends a request, and once more where the server did not take what it was marked with.
    fn authorized(&self, request: &Request) -> Result<Answer, Failed> {
        let answer = self.marked(request)?;
        if matches!(answer.status, 401 | 419) && self.auth.renew() {
            return self.marked(request);
        }
        Ok(answer)
    }

    fn marked(&self, request: &Request) -> Result<Answer, Failed> {
        let mut marked = request.clone();
        self.auth.mark(&self.transport, &mut marked).map_err(Failed::Unmarked)?;
        self.transport.send(&marked).map_err(Failed::Unanswered)
    }

    /// Asks the server for its paths, once.
    fn paths(&self) -> Result<Arc<Paths>> {
        // They are kept whole or not at all, so a panic elsewhere leaves nothing half done.
        let mut paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(paths) = &*paths {
            return Ok(Arc::clone(paths));
        }
        let asked = Arc::new(self.configured()?);
        *paths = Some(Arc::clone(&asked));
        Ok(asked)
    }

    fn configured(&self) -> Result<Paths> {
        let uri = &self.options.uri;
        let query = self.options.warehouse.as_deref();
        let query = query.map(|warehouse| format!("?warehouse={}", encoded(warehouse)));
        let object = format!("the configuration of the catalog {}", self.shown());
        let answer = self.get(&format!("{uri}/v1/config{}", query.unwrap_or_default()), &object)?;
        if answer.status != 200 {
            return Err(self.refused("read", &object, &answer));
        }
        let json = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
        if !json["overrides"].is_object() && !json["defaults"].is_object() {
            let reason =
                format!("{uri}/v1/config is none of a REST catalog; check `catalog.rest.uri`");
            return Err(Error::store("read", object, reason));
        }
        Ok(Paths::new(uri, &settings(&json)))
    }
}

/// The status of a server that has too many requests: it has not looked at this one.
const TOO_MANY: u16 = 429;

/// Whether the same look may soon succeed.
fn is_passing(status: u16) -> bool {
    matches!(status, 408 | TOO_MANY | 500 | 502 | 503 | 504)
}

/// Why a request has no answer.
enum Failed {
    /// It was not sent: there is no token, or nothing to sign with.
    Unmarked(Error),
    Unanswered(Unanswered),
}

/// Why a look has not succeeded.
enum Tried {
    Again,
    Unmarked(Error),
    Unanswered(Unanswered),
}

/// What a server wants its clients to use: of two values its overrides win.
fn settings(json: &Value) -> BTreeMap<&str, &str> {
    let parts = ["defaults", "overrides"];
    let parts = parts.into_iter().filter_map(|part| json[part].as_object());
    parts.flatten().filter_map(|(key, value)| Some((key.as_str(), value.as_str()?))).collect()
}

impl Paths {
    fn new(uri: &str, settings: &BTreeMap<&str, &str>) -> Self {
        let uri = settings.get("uri").map_or(uri, |uri| uri.trim_end_matches('/'));
        let root = match settings.get("prefix").map(|prefix| prefix.trim_matches('/')) {
            // A prefix is part of the path as it is.
            Some(prefix) if !prefix.is_empty() => format!("{uri}/v1/{prefix}"),
            _ => format!("{uri}/v1"),
        };
        let separator = settings.get("namespace-separator").copied().unwrap_or(SEPARATOR);
        Self { root, separator: separator.to_owned() }
    }
}

/// A part of a path.
fn encoded(text: &str) -> String {
    utf8_percent_encode(text, PATH).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_server_says_of_its_paths_wins() {
        let json = json!({
            "defaults": {"prefix": "a", "clients": "4"},
            "overrides": {"prefix": "ws/b", "uri": "https://other/", "namespace-separator": "%2E"},
        });
        let paths = Paths::new("https://host", &settings(&json));
        assert_eq!(paths.root, "https://other/v1/ws/b");
        assert_eq!(paths.separator, "%2E");
        let plain = Paths::new("https://host", &BTreeMap::new());
        assert_eq!((plain.root.as_str(), plain.separator.as_str()), ("https://host/v1", "%1F"));
    }
}
