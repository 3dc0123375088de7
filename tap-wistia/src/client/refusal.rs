//! Answers without success: which error each is, and what the server says about it.
//!
//! Of a body, only what Wistia documents as the words of a refusal is repeated: `error`, `errors` and
//! `code` (<https://docs.wistia.com/docs/making-api-requests>), and `message`. All else may be anything,
//! and is told by its length, type and kind.

use serde_json::Value;

use super::body;
use super::request::Request;
use super::retry::Verdict;
use super::transport::Response;
use crate::error::{Error, Unaccepted};

/// Fields in which a refusal says what is wrong, best first.
const REASONS: [&str; 3] = ["error", "errors", "message"];

/// The error of an answer without success. `answered` says whether any request was answered with
/// success before.
pub(super) fn refusal(
    request: &Request,
    response: &Response,
    verdict: Verdict,
    answered: bool,
) -> Error {
    let (path, host, status) = (request.to_string(), String::new(), response.status);
    let said = Said::of(response);
    let (reason, wants) = (said.reason, request.permission);
    match (status, verdict) {
        (_, Verdict::Again { after, .. }) => Error::Unavailable {
            path,
            status,
            body: reason,
            retry_after: after,
            too_long: None,
            host,
        },
        (401, _) => match said.code.as_deref() {
            Some("unauthorized_scope") => Error::Forbidden { path, status, reason, wants, host },
            Some("account_inactive") => {
                Error::Unauthorized { path, reason, because: Unaccepted::Inactive, host }
            }
            Some("unauthorized_credentials") => {
                Error::Unauthorized { path, reason, because: Unaccepted::Token, host }
            }
            // v1 describes no code. A token that was good a moment ago lacks a permission.
            _ if answered => Error::Forbidden { path, status, reason, wants, host },
            _ => Error::Unauthorized { path, reason, because: Unaccepted::Token, host },
        },
        // Wistia's refusals are JSON, text or empty.
        (403, _) if said.is_page => Error::Blocked { path, reason, host },
        (403, _) => Error::Forbidden { path, status, reason, wants, host },
        (404, _) => Error::NotFound { path, reason, nothing_else: !answered, host },
        (300..=399, _) => {
            let to = response.location.as_deref();
            Error::Redirected { path, status, to: to.map(str::to_owned), host }
        }
        (_, Verdict::Refused | Verdict::Done) => {
            Error::Refused { path, status, body: reason, host }
        }
    }
}

/// What a refusal says.
#[derive(Debug, Default)]
struct Said {
    code: Option<String>,
    /// In words; nothing where it says nothing.
    reason: String,
    /// Whether it is a web page, which the API never answers.
    is_page: bool,
}

impl Said {
    fn of(response: &Response) -> Self {
        let body = body::without_mark(&response.body);
        let value = serde_json::from_slice::<Value>(body).unwrap_or_default();
        let code = [value.get("code"), value.pointer("/error/code")];
        let code = code.into_iter().flatten().find_map(Value::as_str);
        let code = code.map(str::to_owned);
        let mut reason = reason(&value);
        if reason.is_empty() {
            reason = match &code {
                Some(code) => format!("the code {code}"),
                None if body.is_empty() => String::new(),
                None => body::described(response),
            };
        }
        Self { code, reason, is_page: body::is_page(body) }
    }
}

/// The reason that a JSON body gives, each part once.
fn reason(body: &Value) -> String {
    let known = REASONS.iter().filter_map(|name| body.get(name));
    let mut parts: Vec<String> = Vec::new();
    for part in known.map(words).filter(|part| !part.is_empty()) {
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    parts.join("; ")
}

/// A reason as a person writes it: a text, several, an object with one as its `message`, or texts by the
/// name of what they are about. What is none of these is no reason.
fn words(value: &Value) -> String {
    let message = |value: &Value| match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Object(fields) => {
            let text = fields.get("message").and_then(Value::as_str);
            text.unwrap_or_default().trim().to_owned()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => String::new(),
    };
    let list = |items: &[Value]| {
        let items: Vec<_> = items.iter().map(message).filter(|item| !item.is_empty()).collect();
        items.join(", ")
    };
    match (value, message(value)) {
        (Value::Array(items), _) => list(items),
        (Value::Object(fields), text) if text.is_empty() => {
            let fields = fields.iter().filter_map(|(name, value)| Some((name, value.as_array()?)));
            let fields = fields.map(|(name, texts)| (name, list(texts)));
            let fields = fields.filter(|(_, texts)| !texts.is_empty());
            let fields: Vec<_> = fields.map(|(name, texts)| format!("{name}: {texts}")).collect();
            fields.join("; ")
        }
        (_, text) => text,
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::super::retry::judge;
    use super::*;
    use crate::error::Kind;
    use crate::permission::Permission;

    fn refused_after(status: u16, body: &'static str, answered: bool) -> Error {
        let response = Response { retry_after: Some("5".into()), ..Response::new(status, body) };
        let verdict = judge(status, response.retry_after.as_deref(), SystemTime::now());
        refusal(&Request::new("/x"), &response, verdict, answered)
    }

    fn refused(status: u16, body: &'static str) -> Error {
        refused_after(status, body, true)
    }

    #[test]
    fn refusals_are_sorted_by_status_and_code() {
        let scope = refused(401, r#"{"code":"unauthorized_scope","error":"No."}"#);
        assert!(matches!(&scope, Error::Forbidden { status: 401, .. }), "{scope:?}");
        assert_eq!(scope.kind(), Kind::Access);
        assert_eq!(refused(403, "").kind(), Kind::Access);
        assert!(matches!(refused(404, ""), Error::NotFound { nothing_else: false, .. }));
        assert!(matches!(refused(502, "<html>"), Error::Unavailable { retry_after: Some(5), .. }));
        let refused = refused(422, r#"{"error":"bad"}"#);
        assert_eq!(refused.to_string(), "GET /x answered 422: bad");
        assert_eq!(refused.kind(), Kind::Api);
    }

    #[test]
    fn a_401_without_a_code_is_a_dead_token_only_where_nothing_was_answered() {
        let coded = r#"{"code":"unauthorized_credentials","error":"Invalid credentials."}"#;
        for (body, answered, kind) in [
            (coded, true, Kind::Configuration),
            (coded, false, Kind::Configuration),
            (r#"{"error":"Unauthorized"}"#, true, Kind::Access),
            (r#"{"error":"Unauthorized"}"#, false, Kind::Configuration),
            (r#"{"code":"other"}"#, true, Kind::Access),
            ("", true, Kind::Access),
            ("", false, Kind::Configuration),
        ] {
            assert_eq!(refused_after(401, body, answered).kind(), kind, "{body} {answered}");
        }
        let error = refused(401, coded);
        assert_eq!(
            error.to_string(),
            "Wistia does not accept the token: Invalid credentials. (GET /x answered 401)"
        );
    }

    #[test]
    fn an_account_that_is_not_active_needs_no_other_token() {
        let error = refused(401, r#"{"code":"account_inactive","error":"Account is inactive."}"#);
        assert_eq!(error.kind(), Kind::Configuration);
        assert_eq!(
            error.to_string(),
            "the account is not active: Account is inactive. (GET /x answered 401)"
        );
        let hint = error.hint().unwrap();
        assert!(hint.contains("owner") && !hint.contains("make a token"), "{hint}");
    }

    #[test]
    fn a_missing_permission_is_named_as_the_resource_wants_it() {
        for (request, name) in [
            (Request::new("/x"), "\"Read all data\""),
            (Request::modern("/x"), "\"Read detailed stats\""),
            (
                Request::modern("/x").wanting(Permission::FoldersAndMedia),
                "\"Read all folder and media data\"",
            ),
        ] {
            let error = refusal(&request, &Response::new(403, ""), Verdict::Refused, true);
            assert!(error.hint().unwrap().contains(name), "{error:?}");
        }
    }

    #[test]
    fn a_web_page_with_403_says_nothing_about_the_token() {
        let page = "<!DOCTYPE html><HTML><head>\n<Title lang=en> Access\n denied </TITLE>";
        let error = refused(403, page);
        assert_eq!(
            error.to_string(),
            "the server or a proxy on the way refuses GET /x (403): an HTML page, 67 bytes"
        );
        assert!(!error.hint().unwrap().contains("permission"));
        assert_eq!(error.kind(), Kind::Api);
    }

    #[test]
    fn a_404_of_everything_is_told_from_one_of_a_resource() {
        let body = r#"{"error":"Media not found."}"#;
        let one = refused_after(404, body, true);
        assert_eq!(one.to_string(), "GET /x answered 404: Media not found.");
        assert_eq!(one.hint(), None);
        assert!(refused_after(404, "", false).hint().unwrap().contains("/v1"));
    }

    #[test]
    fn a_redirection_says_where_it_points() {
        let to = |location: Option<&str>| {
            let location = location.map(str::to_owned);
            let response = Response { location, ..Response::new(302, "<html>moved") };
            refusal(&Request::new("/x"), &response, Verdict::Refused, true).to_string()
        };
        assert_eq!(
            to(Some("https://other.example/login")),
            "GET /x answered 302 and points to https://other.example/login, where the token is not sent"
        );
        assert_eq!(to(None), "GET /x answered 302 and does not say where it points to");
    }

    #[test]
    fn what_a_refusal_says_is_readable() {
        for (body, reason) in [
            (r#"{"error":"bad"}"#, "bad"),
            (r#"{"error":{"message":"bad","code":"x"}}"#, "bad"),
            (r#"{"error":"bad","message":"bad"}"#, "bad"),
            (r#"{"error":"bad","message":"Try later."}"#, "bad; Try later."),
            (r#"{"errors":["a","b"]}"#, "a, b"),
            (
                r#"{"errors":[{"field":"end_date","message":"is wrong"},{"message":"no"}]}"#,
                "is wrong, no",
            ),
            (
                r#"{"errors":{"end_date":["is wrong","is old"],"x":null}}"#,
                "end_date: is wrong, is old",
            ),
            (r#"{"message":"gone"}"#, "gone"),
            (r#"{"code":"unauthorized_params"}"#, "the code unauthorized_params"),
            ("", ""),
            ("\u{feff}{\"error\":\"bad\"}", "bad"),
        ] {
            assert_eq!(Said::of(&Response::new(400, body)).reason, reason, "{body}");
        }
    }

    #[test]
    fn what_is_no_reason_is_told_by_what_it_is() {
        for (body, reason) in [
            (r#"{"ip":"192.0.2.1","b":[true]}"#, "JSON, 29 bytes"),
            (r#"{"error":{"ip":"192.0.2.1"}}"#, "JSON, 28 bytes"),
            (r#"{"error":[["192.0.2.1"]]}"#, "JSON, 25 bytes"),
            (r#"{"detail":"192.0.2.1"}"#, "JSON, 22 bytes"),
            (r#"[{"error":"192.0.2.1"}]"#, "JSON, 23 bytes"),
            (r#""192.0.2.1""#, "JSON, 11 bytes"),
            ("{}", "JSON, 2 bytes"),
            (r#"{"error":"192.0.2"#, "JSON that breaks off at line 1 column 17, 17 bytes"),
            ("Too many requests of 192.0.2.1", "text, 30 bytes"),
            ("<title>192.0.2.1</title>", "an HTML page, 24 bytes"),
            ("<?xml version='1.0'?><Error/>", "markup, 29 bytes"),
        ] {
            assert_eq!(Said::of(&Response::new(400, body)).reason, reason, "{body}");
        }
    }
}
