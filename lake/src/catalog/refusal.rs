//! What Glue said in place of an answer.

use std::fmt::{self, Write as _};

use aws_sdk_glue::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use crate::error::Error;

/// A request that Glue refused, or that did not reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// What it means for what follows.
    pub(super) why: Why,
    /// What was asked for.
    pub(super) object: String,
    /// The sentence for people.
    pub(super) reason: String,
}

/// The meaning of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// It is not there, or what it belongs to is not.
    Missing,
    /// It is there already.
    Exists,
    /// Someone else has changed it meanwhile.
    Changed,
    /// The crawler is running.
    Running,
    /// The credentials may not.
    Denied,
    /// No other request will be answered either.
    Unreachable,
    /// Anything else.
    Other,
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.object, self.reason)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let Refusal { why, object, reason } = refusal;
        match why {
            Why::Unreachable => Self::CatalogUnreachable { reason },
            _ => Self::Catalog { object, reason },
        }
    }
}

impl Refusal {
    /// What the SDK reports about an operation on an object.
    pub(super) fn of<E>(operation: &str, object: String, error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let Some(service) = error.as_service_error() else {
            let reason =
                format!("Glue does not answer {operation}: {}", DisplayErrorContext(error));
            return Self { why: Why::Unreachable, object, reason };
        };
        let code = service.code().unwrap_or("an error without a code");
        Self::new(operation, object, code, service.message().unwrap_or("no message"))
    }

    /// A refusal by its code.
    pub(super) fn new(operation: &str, object: String, code: &str, message: &str) -> Self {
        let why = match code {
            "EntityNotFoundException" => Why::Missing,
            "AlreadyExistsException" => Why::Exists,
            "ConcurrentModificationException" | "VersionMismatchException" => Why::Changed,
            "CrawlerRunningException" => Why::Running,
            "AccessDeniedException" => Why::Denied,
            "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "ExpiredTokenException"
            | "InvalidClientTokenId" => Why::Unreachable,
            _ => Why::Other,
        };
        let mut reason = format!("{operation}: {code}: {message}");
        if why == Why::Denied {
            _ = write!(reason, "; the credentials need glue:{operation} on it");
        }
        Self { why, object, reason }
    }
}
