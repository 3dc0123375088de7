//! What a REST catalog says in place of what it was asked for, in words by which a person knows what to do.

use serde_json::Value;

use super::transport::Answer;

/// The longest part of an answer that is shown.
const SHOWN: usize = 400;

/// What the server said, in one sentence.
pub(super) fn explain(answer: &Answer) -> String {
    let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let error = &json["error"];
    // Iceberg's form, and that of OAuth.
    let said = match (error["message"].as_str(), error.as_str()) {
        (Some(message), _) => {
            let kind = error["type"].as_str().unwrap_or_default();
            if kind.is_empty() { message.to_owned() } else { format!("{kind}: {message}") }
        }
        (None, Some(error)) => {
            let more = json["error_description"].as_str();
            more.map_or_else(|| error.to_owned(), |more| format!("{error}: {more}"))
        }
        // The form of AWS.
        (None, None) => json["message"]
            .as_str()
            .or(json["Message"].as_str())
            .map_or_else(|| String::from_utf8_lossy(&answer.body).into_owned(), str::to_owned),
    };
    let words: Vec<&str> =
        said.split(|c: char| c.is_control() || c == ' ').filter(|word| !word.is_empty()).collect();
    let mut said = words.join(" ");
    if said.len() > SHOWN {
        said.truncate(said.floor_char_boundary(SHOWN));
        said.push('…');
    }
    if said.is_empty() {
        said.push_str("nothing else");
    }
    format!("the server answers {} ({said})", answer.status)
}

/// Whether the answer is one of a REST catalog that says what is wrong, and not of something on the way to it.
pub(super) fn is_of_catalog(answer: &Answer) -> bool {
    serde_json::from_slice::<Value>(&answer.body).is_ok_and(|json| json["error"].is_object())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: u16, body: &str) -> String {
        explain(&Answer { status, body: body.to_owned().into() })
    }

    #[test]
    fn each_form_of_an_error_is_told_in_one_line() {
        assert_eq!(
            told(
                403,
                r#"{"error":{"message":"no\nrights","type":"ForbiddenException","code":403}}"#
            ),
            "the server answers 403 (ForbiddenException: no rights)"
        );
        assert_eq!(
            told(401, r#"{"error":"invalid_client","error_description":"unknown"}"#),
            "the server answers 401 (invalid_client: unknown)"
        );
        assert_eq!(told(403, r#"{"message":"x"}"#), "the server answers 403 (x)");
        assert_eq!(told(502, "<html>"), "the server answers 502 (<html>)");
        assert_eq!(told(503, ""), "the server answers 503 (nothing else)");
        assert!(told(500, &"ä".repeat(1000)).len() < 500);
    }
}
