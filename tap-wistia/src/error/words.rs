//! Words that errors of requests have in common.

use std::fmt;

/// What is wrong with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unaccepted {
    /// It is none, or none any more.
    Token,
    /// Its account is not active.
    Inactive,
}

impl fmt::Display for Unaccepted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Token => "Wistia does not accept the token",
            Self::Inactive => "the account is not active",
        })
    }
}

/// What a server says, behind what it answered.
pub(super) fn said(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(": {reason}") }
}

/// The server, at the end of a sentence.
pub(super) fn at(host: &str) -> String {
    if host.is_empty() { String::new() } else { format!(" ({host})") }
}

/// The server, within brackets.
pub(super) fn aside(host: &str) -> String {
    if host.is_empty() { String::new() } else { format!(", {host}") }
}

/// Where a redirection points.
pub(super) fn points(to: Option<&str>) -> String {
    to.map_or_else(
        || "does not say where it points to".into(),
        |to| format!("points to {to}, where the token is not sent"),
    )
}

/// What a server asks for that does not get it.
pub(super) fn waits(asked: Option<u64>, setting: Option<u64>) -> String {
    asked.zip(setting).map_or_else(String::new, |(asked, setting)| {
        format!(
            "; it asks to wait {asked} s, which is longer than `retry_for_seconds` ({setting}) leaves"
        )
    })
}
