//! What S3 says, or why it says nothing, in words by which a person knows what to do.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::aws::{NotLent, Said};

/// What S3 said, in one sentence, with what to do where that is known.
pub(super) fn explain<E>(error: &SdkError<E>, bucket: &str, endpoint: Option<&str>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let Some(Said { code, message }) = Said::of(error) else {
        return unanswered(error, endpoint);
    };
    match code.as_ref() {
        "NoSuchBucket" => {
            format!("the bucket `{bucket}` does not exist; create it or correct `destination`")
        }
        "AccessDenied" | "Forbidden" => format!(
            "access denied ({message}); the credentials need s3:GetObject, PutObject, DeleteObject and ListBucket"
        ),
        "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "ExpiredToken" | "InvalidToken" => {
            format!("{code}: {message}; check the AWS credentials")
        }
        "PermanentRedirect" | "AuthorizationHeaderMalformed" => {
            format!("{code}: {message}; set `s3.region` to the bucket's region")
        }
        _ => format!("{code}: {message}"),
    }
}

/// What the SDK calls the kind of an error that is none of its others.
const UNNAMED: &str = "other";

/// Why no answer came: the causes from the outermost to the innermost, each once.
fn unanswered(error: &dyn std::error::Error, endpoint: Option<&str>) -> String {
    let mut causes: Vec<String> = Vec::new();
    let mut inner = error.source();
    while let Some(cause) = inner {
        if let Some(known) = cause.downcast_ref::<NotLent>() {
            return known.to_string();
        }
        let text = cause.to_string();
        // Lists of what was tried are for those who wrote it.
        let text = text.lines().next().unwrap_or_default().trim_end_matches(" Attempted:");
        if text != UNNAMED && causes.last().is_none_or(|last| !last.contains(text)) {
            causes.push(text.to_owned());
        }
        inner = cause.source();
    }
    let causes = causes.join(": ");
    // The SDK asks for credentials on the way to the first request, and has no kind of error for that.
    if causes.to_lowercase().contains("credential") {
        return format!(
            "there are no AWS credentials ({causes}); set `s3.profile`, or the variables AWS_ACCESS_KEY_ID and \
             AWS_SECRET_ACCESS_KEY, or `s3.access_key_id` and `s3.secret_access_key`"
        );
    }
    let (server, setting) = match endpoint {
        Some(endpoint) => (endpoint, "`s3.endpoint_url`"),
        None => ("S3", "`s3.region`"),
    };
    format!("{server} does not answer ({causes}); check {setting} and the network")
}
