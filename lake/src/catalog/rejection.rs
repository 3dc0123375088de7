//! What Glue says in place of an answer.

use std::error::Error as StdError;
use std::fmt;

use aws_sdk_glue::error::{BuildError, ProvideErrorMetadata, SdkError};

use crate::aws::Said;
use crate::error::Error;

/// A request that Glue rejected, or that did not reach it.
#[derive(Debug)]
pub(crate) struct Rejection {
    /// What it means for what comes next.
    pub(crate) reason: Reason,
    /// ARN of what the request was for.
    object: String,
    /// The sentence for people. Where Glue answered, it holds all that Glue said.
    message: String,
    /// What the SDK said, where Glue did not answer.
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What a rejection means for what comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The object is not there, or what it belongs to is not.
    Missing,
    /// The object is there already.
    Exists,
    /// Another writer has modified the object since it was read.
    Modified,
    /// The crawler is running.
    Running,
    /// The credentials lack a permission.
    Denied,
    /// No other request will be answered either.
    Unreachable,
    /// Nothing that this program acts on.
    Other,
}

impl Reason {
    /// The reason that an error code of Glue stands for
    /// (<https://docs.aws.amazon.com/glue/latest/webapi/CommonErrors.html>, and `Errors` of each
    /// operation there).
    fn of(code: &str) -> Self {
        match code {
            "EntityNotFoundException" => Self::Missing,
            "AlreadyExistsException" => Self::Exists,
            "ConcurrentModificationException" | "VersionMismatchException" => Self::Modified,
            "CrawlerRunningException" => Self::Running,
            "AccessDeniedException" => Self::Denied,
            "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "ExpiredTokenException"
            | "InvalidClientTokenId" => Self::Unreachable,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.object, self.message)
    }
}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        let Rejection { reason, object, message, source } = rejection;
        match reason {
            Reason::Unreachable => Self::CatalogUnreachable { reason: message, source },
            Reason::Missing
            | Reason::Exists
            | Reason::Modified
            | Reason::Running
            | Reason::Denied
            | Reason::Other => Self::Catalog { object, reason: message, source },
        }
    }
}

impl Rejection {
    /// What the SDK reports about an operation on an object.
    pub(crate) fn of<E>(operation: &str, object: String, error: SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        if let Some(Said { code, message }) = Said::of(&error) {
            return Self::new(operation, object, &code, message);
        }
        Self {
            reason: Reason::Unreachable,
            object,
            message: format!("Glue does not answer {operation}"),
            source: error.into_source().ok(),
        }
    }

    /// A rejection by its code.
    pub(crate) fn new(operation: &str, object: String, code: &str, message: &str) -> Self {
        let reason = Reason::of(code);
        let permission = match reason {
            Reason::Denied => format!("; the credentials need glue:{operation} on it"),
            Reason::Missing
            | Reason::Exists
            | Reason::Modified
            | Reason::Running
            | Reason::Unreachable
            | Reason::Other => String::new(),
        };
        let message = format!("{operation}: {code}: {message}{permission}");
        Self { reason, object, message, source: None }
    }

    /// An answer that lacks what it must hold.
    pub(crate) fn incomplete(operation: &str, object: String, lacks: &str) -> Self {
        let message = format!("{operation}: Glue answers without {lacks}");
        Self { reason: Reason::Other, object, message, source: None }
    }

    /// A request that could not be made.
    pub(crate) fn unbuilt(operation: &str, object: String, error: BuildError) -> Self {
        let message = format!("{operation}: the request lacks a field");
        Self { reason: Reason::Other, object, message, source: Some(error.into()) }
    }

    /// What it means where commits go through Glue: it is not known what became of one.
    #[cfg_attr(not(feature = "iceberg"), allow(dead_code, reason = "tables of Iceberg ask for it"))]
    pub(crate) fn of_commit(self, action: &'static str) -> Error {
        let object = self.object.clone();
        match (self.reason, self.source) {
            (Reason::Unreachable, source) => {
                let source = Error::CatalogUnreachable { reason: self.message, source };
                Error::store(action, object, source)
            }
            (_, None) => Error::store(action, object, self.message),
            (_, Some(source)) => Error::store(action, object, source),
        }
    }

    /// Puts what the object's absence means before what Glue said.
    pub(crate) fn with_context(mut self, context: &str) -> Self {
        self.message = format!("{context}; {}", self.message);
        self
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_glue::operation::get_table::GetTableError;

    use super::*;

    #[test]
    fn a_denied_request_names_the_permission_that_it_needs() {
        let rejection =
            Rejection::new("GetTable", "arn:t".into(), "AccessDeniedException", "no rights");
        assert_eq!(rejection.reason, Reason::Denied);
        assert_eq!(
            Error::from(rejection).to_string(),
            "arn:t: GetTable: AccessDeniedException: no rights; the credentials need glue:GetTable on it"
        );
    }

    #[test]
    fn what_never_reached_glue_is_told_once_with_its_cause() {
        let cause: Box<dyn StdError + Send + Sync> = "connection refused".into();
        let error: SdkError<GetTableError> = SdkError::timeout_error(cause);
        let error = Error::from(Rejection::of("GetTable", "arn:t".into(), error));
        assert!(matches!(error, Error::CatalogUnreachable { .. }));
        assert_eq!(
            error.to_string(),
            "the Glue Data Catalog cannot be reached: Glue does not answer GetTable"
        );
        assert_eq!(error.source().map(ToString::to_string).as_deref(), Some("connection refused"));
    }

    #[test]
    fn credentials_that_are_not_valid_fail_every_other_request_too() {
        for code in ["ExpiredTokenException", "UnrecognizedClientException"] {
            let rejection = Rejection::new("GetTable", "arn:t".into(), code, "");
            assert_eq!(rejection.reason, Reason::Unreachable, "{code}");
        }
    }
}
