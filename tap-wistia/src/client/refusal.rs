//! Answers without success: which error each is, and what the server says about it.

use serde_json::Value;

use super::request::Request;
use super::retry::Verdict;
use super::transport::Response;
use crate::error::{Error, Unaccepted};

/// Fields in which servers say what is wrong, best first.
const REASONS: [&str; 7] =
    ["error", "errors", "message", "error_description", "detail", "title", "reason"];

/// The error of an answer without success. `answered` says whether any request was answered with
/// success before.
pub(super) fn refusal(
    request: &Request,
    response: &Response,
    verdict: Verdict,
    answered: bool,
) -> Error {
    let (path, host, status) = (request.to_string(), String::new(), response.status);
    let said = Said::of(&response.body);
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
    fn of(body: &[u8]) -> Self {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        if let Ok(value) = serde_json::from_slice::<Value>(body) {
            let code = [value.get("code"), value.pointer("/error/code")];
            let code = code.into_iter().flatten().find_map(Value::as_str);
            return Self { code: code.map(str::to_owned), reason: reason(&value), is_page: false };
        }
        let text = String::from_utf8_lossy(body);
        match page(&text) {
            Some(title) => Self { code: None, reason: title, is_page: true },
            None => Self { code: None, reason: text.into_owned(), is_page: false },
        }
    }
}

/// The reason that a JSON body gives, each part once; the body where no part is known.
fn reason(body: &Value) -> String {
    let known = REASONS.iter().filter_map(|name| body.get(name));
    let mut parts: Vec<String> = Vec::new();
    for part in known.map(words).filter(|part| !part.is_empty()) {
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    if parts.is_empty() { words(body) } else { parts.join("; ") }
}

/// A value as a person writes it.
fn words(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.trim().to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(words).filter(|item| !item.is_empty()).collect();
            items.join(", ")
        }
        Value::Object(fields) => {
            let named = |name| fields.get(name).map(words).filter(|words| !words.is_empty());
            // An object about one mistake: the field that it is about, and what is wrong with it.
            if let Some(text) = named("message").or_else(|| named("detail")) {
                return match named("field").or_else(|| named("param")) {
                    Some(field) => format!("{field}: {text}"),
                    None => text,
                };
            }
            let fields = fields.iter().map(|(name, value)| (name, words(value)));
            let fields = fields.filter(|(_, words)| !words.is_empty());
            let fields: Vec<_> = fields.map(|(name, words)| format!("{name}: {words}")).collect();
            fields.join("; ")
        }
    }
}

/// What a web page is called; nothing where the text is none.
fn page(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let start = lower.trim_start();
    if !start.starts_with('<')
        || !["<html", "<!doctype html", "<title", "<head", "<body", "<h1"]
            .iter()
            .any(|tag| start.contains(tag))
    {
        return None;
    }
    // Lower case of ASCII leaves every byte in its place.
    let title = lower.find("<title").and_then(|open| {
        let begin = open + lower.get(open..)?.find('>')? + 1;
        let length = lower.get(begin..)?.find("</title")?;
        text.get(begin..begin + length)
    });
    let title = title.map(|title| title.split_whitespace().collect::<Vec<_>>().join(" "));
    Some(match title.filter(|title| !title.is_empty()) {
        Some(title) => format!("an HTML page, \"{title}\""),
        None => "an HTML page".into(),
    })
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
            "the server or a proxy on the way refuses GET /x (403): an HTML page, \"Access denied\""
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
                r#"{"errors":[{"field":"end_date","message":"is wrong"},{"detail":"no"}]}"#,
                "end_date: is wrong, no",
            ),
            (
                r#"{"errors":{"end_date":["is wrong","is old"],"x":null}}"#,
                "end_date: is wrong, is old",
            ),
            (r#"{"message":"gone"}"#, "gone"),
            (r#"{"a":1,"b":[true]}"#, "a: 1; b: true"),
            (r#""text""#, "text"),
            ("[]", ""),
            ("{}", ""),
            ("", ""),
            ("\u{feff}{\"error\":\"bad\"}", "bad"),
            ("Too many requests", "Too many requests"),
            ("<html>", "an HTML page"),
            ("  <html><title></title>", "an HTML page"),
            ("<title>Bad gateway", "an HTML page"),
            ("<?xml version='1.0'?><Error/>", "<?xml version='1.0'?><Error/>"),
        ] {
            assert_eq!(Said::of(body.as_bytes()).reason, reason, "{body}");
        }
    }
}
