//! Errors of requests: what they are about, and how they leave the client.

use std::time::Duration;

use super::Error;
use super::words::at;

impl Error {
    /// Whether it is about the one media that was asked for: it is gone, or the token does not see it.
    pub(crate) fn is_of_media(&self) -> bool {
        matches!(
            self,
            Self::NotFound { .. } | Self::Forbidden { status: 403, .. } | Self::Blocked { .. }
        )
    }

    /// Whether the server says that its limit is used up.
    pub(crate) fn is_of_limit(&self) -> bool {
        matches!(self, Self::Unavailable { status: 429, .. })
    }

    /// The error of a request as it leaves the client: it names the server, and `show` has been over
    /// what the server said.
    pub(crate) fn told(mut self, server: &str, show: impl Fn(&str) -> String) -> Self {
        let show = |text: &mut String| *text = show(text);
        match &mut self {
            Self::Unauthorized { path, reason, host, .. }
            | Self::Forbidden { path, reason, host, .. }
            | Self::Blocked { path, reason, host }
            | Self::NotFound { path, reason, host, .. }
            | Self::Unavailable { path, body: reason, host, .. }
            | Self::Refused { path, body: reason, host, .. } => {
                show(path);
                show(reason);
                server.clone_into(host);
            }
            Self::Redirected { path, to, host, .. } => {
                show(path);
                to.as_mut().into_iter().for_each(show);
                server.clone_into(host);
            }
            Self::Transport { path, host, .. } | Self::TooLarge { path, host, .. } => {
                show(path);
                server.clone_into(host);
            }
            Self::EndlessPages { path, host } => {
                show(path);
                server.clone_into(host);
            }
            Self::Misfit { path, id } => {
                show(path);
                show(id);
            }
            Self::Malformed { path, reason, .. } => {
                show(path);
                show(reason);
                reason.push_str(&at(server));
            }
            Self::Settings(_)
            | Self::Form(_)
            | Self::Map(_)
            | Self::Setting { .. }
            | Self::File { .. }
            | Self::NoState { .. }
            | Self::Document { .. }
            | Self::UnknownStream { .. }
            | Self::Medias { .. }
            | Self::Output(_)
            | Self::Streams { .. }
            | Self::Unreachable { .. }
            | Self::Unreadable { .. }
            | Self::Stopped { .. }
            | Self::Internal { .. } => {}
        }
        self
    }

    /// In two or three words, where the whole stands somewhere else.
    pub(crate) fn in_short(&self) -> String {
        match self {
            Self::Forbidden { wants, .. } => format!("it wants \"{}\"", wants.name()),
            Self::Blocked { .. } => "answered 403 by a proxy".into(),
            Self::NotFound { .. } => "answered 404".into(),
            Self::Redirected { status, .. }
            | Self::Unavailable { status, .. }
            | Self::Refused { status, .. } => format!("answered {status}"),
            Self::Malformed { cut: true, .. } => "answered no JSON".into(),
            Self::Malformed { .. } => "answered something else".into(),
            Self::TooLarge { .. } => "answered too much".into(),
            Self::Transport { .. } => "did not answer".into(),
            other => other.to_string(),
        }
    }

    /// The error of a server that asks for more time than this setting leaves.
    pub(crate) fn too_long(mut self, retry_for: Duration) -> Self {
        if let Self::Unavailable { too_long, .. } = &mut self {
            *too_long = Some(retry_for.as_secs());
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_is_gone_over_before_anybody_sees_it() {
        let (path, reason) = ("/loud".to_owned(), "LOUD".to_owned());
        let errors = [
            Error::Refused {
                path: path.clone(),
                status: 422,
                body: reason.clone(),
                host: String::new(),
            },
            Error::Malformed {
                path: path.clone(),
                expected: "a list",
                reason: reason.clone(),
                cut: false,
            },
            Error::Redirected { path, status: 301, to: Some(reason), host: String::new() },
        ];
        let texts = errors.map(|error| {
            error
                .told("api.example.com", |text| text.to_lowercase().replace("loud", "quiet"))
                .to_string()
        });
        assert_eq!(
            texts,
            [
                "GET /quiet answered 422: quiet (api.example.com)",
                "GET /quiet answered something else than a list: quiet (api.example.com)",
                "GET /quiet answered 301 and points to quiet, where the token is not sent (api.example.com)",
            ]
        );
    }
}
