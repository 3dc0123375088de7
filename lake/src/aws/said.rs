//! What a service of AWS says to a request that it refuses.

use std::borrow::Cow;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

/// The words of a refusal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said<'a> {
    /// The code, or the status of the answer where its body names none: a proxy or a server in trouble answers so.
    pub(crate) code: Cow<'a, str>,
    pub(crate) message: &'a str,
}

impl<'a> Said<'a> {
    /// What the service said; nothing where it did not answer.
    pub(crate) fn of<E: ProvideErrorMetadata>(error: &'a SdkError<E>) -> Option<Self> {
        let service = error.as_service_error()?;
        let status = || error.raw_response().map_or(0, |answer| answer.status().as_u16());
        let code =
            service.code().map_or_else(|| format!("HTTP {}", status()).into(), Cow::Borrowed);
        Some(Self { code, message: service.message().unwrap_or("the answer says nothing more") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_s3::config::http::HttpResponse;
    use aws_sdk_s3::error::ErrorMetadata;
    use aws_sdk_s3::operation::get_object::GetObjectError;
    use aws_sdk_s3::primitives::SdkBody;

    #[test]
    fn an_answer_without_a_code_is_named_by_its_status() {
        let refused = |metadata: ErrorMetadata| {
            let answer = HttpResponse::new(502_u16.try_into().unwrap(), SdkBody::empty());
            SdkError::service_error(GetObjectError::generic(metadata), answer)
        };
        let error = refused(ErrorMetadata::builder().build());
        let said = Said::of(&error).unwrap();
        assert_eq!(
            (said.code.as_ref(), said.message),
            ("HTTP 502", "the answer says nothing more")
        );
        let error = refused(ErrorMetadata::builder().code("SlowDown").message("Wait.").build());
        assert_eq!(Said::of(&error), Some(Said { code: "SlowDown".into(), message: "Wait." }));
        let error: SdkError<GetObjectError> = SdkError::timeout_error("slow");
        assert_eq!(Said::of(&error), None);
    }
}
