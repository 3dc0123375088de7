//! Everything that can go wrong, worded so that a person knows what to do. The token is in none of it.

mod request;
mod words;

use std::error::Error as Cause;

use program::report::Exit;
use program::settings::SettingsError;
use protocol::mapping::MapError;

use crate::permission::Permission;
use words::{aside, at, points, said, waits};

pub(crate) use words::Unaccepted;

/// An error of the tap. What an outcome means for the run is its [`Kind`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The settings cannot be read.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The settings that a form has filled in cannot be read.
    #[error(transparent)]
    Form(SettingsError),
    /// A map does not fit its stream.
    #[error(transparent)]
    Map(#[from] MapError),
    /// A setting has a value that does not work.
    #[error("the setting `{key}` is not valid: {reason}")]
    Setting {
        /// Its name in the config file.
        key: &'static str,
        /// The rule that the value breaks.
        reason: String,
    },
    /// A file could not be read.
    #[error("could not read {name}")]
    File {
        /// The path as the command line gives it.
        name: String,
        /// The refusal of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// There is no file that holds the state of the last sync.
    #[error("could not read {name}")]
    NoState {
        /// The path as the command line gives it.
        name: String,
        /// The refusal of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// A catalog or state file is damaged.
    #[error("{name} is no valid {what}: {reason}")]
    Document {
        /// The path as the command line gives it.
        name: String,
        /// `catalog` or `state`.
        what: &'static str,
        /// What is wrong, and where in the file.
        reason: String,
    },
    /// A catalog names a stream that there is not.
    #[error("{catalog} names the stream `{stream}`, which does not exist")]
    UnknownStream {
        /// The path of the catalog.
        catalog: String,
        /// The name that no stream has.
        stream: String,
    },
    /// Wistia does not take the token.
    #[error("{because}{} (GET {path} answered 401{})", said(.reason), aside(.host))]
    Unauthorized {
        /// Path and query of the request.
        path: String,
        /// What Wistia says.
        reason: String,
        /// What is wrong with it.
        because: Unaccepted,
        /// The server.
        host: String,
    },
    /// The token or the plan does not include something. Only the stream that needs it fails.
    #[error("the token may not read {path}{} ({status}{})", said(.reason), aside(.host))]
    Forbidden {
        /// Path and query of the request.
        path: String,
        /// 401 or 403.
        status: u16,
        /// What Wistia says.
        reason: String,
        /// What the resource wants of a token.
        wants: Permission,
        /// The server.
        host: String,
    },
    /// Something that is not Wistia's API refuses the request.
    #[error("the server or a proxy on the way refuses GET {path} (403){}{}", said(.reason), at(.host))]
    Blocked {
        /// Path and query of the request.
        path: String,
        /// What it says.
        reason: String,
        /// The server.
        host: String,
    },
    /// There is nothing under this path.
    #[error("GET {path} answered 404{}{}", said(.reason), at(.host))]
    NotFound {
        /// Path and query of the request.
        path: String,
        /// What the server says.
        reason: String,
        /// No request of this run was answered with success.
        nothing_else: bool,
        /// The server.
        host: String,
    },
    /// The answer is somewhere else.
    #[error("GET {path} answered {status} and {}{}", points(.to.as_deref()), at(.host))]
    Redirected {
        /// Path and query of the request.
        path: String,
        /// Any of 300 to 399.
        status: u16,
        /// Where, without the query.
        to: Option<String>,
        /// The server.
        host: String,
    },
    /// The server is busy or broken, and says so. The same request may work a moment later.
    #[error("GET {path} answered {status}{}{}{}", said(.body), waits(*.retry_after, *.too_long), at(.host))]
    Unavailable {
        /// Path and query of the request.
        path: String,
        /// A status that [`judge`](crate::client) takes for passing.
        status: u16,
        /// What the server says.
        body: String,
        /// The seconds that Retry-After asks for.
        retry_after: Option<u64>,
        /// That is longer than these seconds of the settings leave.
        too_long: Option<u64>,
        /// The server.
        host: String,
    },
    /// A refusal that the same request will always get.
    #[error("GET {path} answered {status}{}{}", said(.body), at(.host))]
    Refused {
        /// Path and query of the request.
        path: String,
        /// Any other status without success.
        status: u16,
        /// What the server says.
        body: String,
        /// The server.
        host: String,
    },
    /// No answer arrived.
    #[error("GET {path} failed{}", at(.host))]
    Transport {
        /// Path and query of the request.
        path: String,
        /// Whether the same request may work a moment later.
        is_transient: bool,
        /// What the network reports, without the URL.
        #[source]
        source: Box<dyn Cause + Send + Sync>,
        /// The server.
        host: String,
    },
    /// Nothing has ever come from the server.
    #[error("{} does not answer", if host.is_empty() { "the server" } else { host.as_str() })]
    Unreachable {
        /// The server.
        host: String,
        /// What the network reports of the last try.
        #[source]
        source: Box<dyn Cause + Send + Sync>,
    },
    /// An answer is larger than any of Wistia's.
    #[error("GET {path} answered more than {limit}{}", at(.host))]
    TooLarge {
        /// Path and query of the request.
        path: String,
        /// What it may have, after decompression.
        limit: &'static str,
        /// The server.
        host: String,
    },
    /// An id cannot stand in a path. Nothing was sent.
    #[error("the id `{id}` cannot be asked for: {path} would be another path")]
    Misfit {
        /// The path with it.
        path: String,
        /// The id.
        id: String,
    },
    /// An answer is not what is documented.
    #[error("GET {path} answered something else than {expected}: {reason}")]
    Malformed {
        /// Path and query of the request.
        path: String,
        /// What belongs there.
        expected: &'static str,
        /// What is wrong, and where in the body.
        reason: String,
        /// Whether the body is no JSON at all, as when it was cut off.
        cut: bool,
    },
    /// The same page comes again and again.
    #[error("GET {path} answers the same page again and again; the pages never end{}", at(.host))]
    EndlessPages {
        /// Path and query of the request.
        path: String,
        /// The server.
        host: String,
    },
    /// Figures of medias cannot be read. Those of the others have been.
    #[error("the figures of {lost} of {of} medias cannot be read")]
    Medias {
        /// How many of them.
        lost: usize,
        /// How many were asked for.
        of: usize,
        /// The error of the first one.
        #[source]
        source: Box<Self>,
    },
    /// Messages could not be written.
    #[error("could not write messages to standard output")]
    Output(#[source] std::io::Error),
    /// Some streams failed, the others are complete.
    #[error("{} not synced: {streams}", if *.count == 1 { "one stream was" } else { "some streams were" })]
    Streams {
        /// How many of them.
        count: usize,
        /// Their names, between commas.
        streams: String,
        /// Why, for those of one reason at a time.
        #[source]
        reasons: Box<dyn Cause + Send + Sync>,
        /// What to do about all of them, if it is the same.
        hint: Option<&'static str>,
        /// What all of them mean for the run.
        kind: Kind,
    },
    /// A check has found streams that may not be read.
    #[error("{count} of {all} streams may not be read: {streams}")]
    Unreadable {
        /// How many of them.
        count: usize,
        /// How many were checked.
        all: usize,
        /// Their names and what is missing in short, between commas.
        streams: String,
        /// What to do about all of them, if it is the same.
        hint: Option<&'static str>,
    },
    /// A signal ended the run.
    #[error("stopped by {signal}{}", if *.writes { "; the last state covers what was written" } else { "" })]
    Stopped {
        /// Whether it was one that writes records and states.
        writes: bool,
        /// As `kill -l` names it, with SIG.
        signal: &'static str,
        /// What shells expect after this signal.
        exit: Exit,
    },
    /// An invariant does not hold. It is the fault of this program, and no row is dropped over it.
    #[error("internal error: expected {expected}; please report it")]
    Internal {
        /// What should always be so.
        expected: &'static str,
        /// What a library reports instead.
        #[source]
        source: Option<Box<dyn Cause + Send + Sync>>,
    },
}

/// Result of the tap.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// What an error means for the run: its exit code, who can do something about it, and whether a
/// request is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A file that the command line names cannot be read.
    Usage,
    /// The user changes settings, token, catalog, state or selection.
    Configuration,
    /// One stream may not be read. The others go on.
    Access,
    /// The same request may work a moment later.
    Transient,
    /// The API answers what it should not, or not at all.
    Api,
    /// Whoever reads the messages has gone, or cannot take more.
    Output,
    /// The run was asked to end.
    Stopped(Exit),
    /// A fault of this program.
    Internal,
}

impl Kind {
    /// How a run that ends by such an error exits.
    pub(crate) fn exit(self) -> Exit {
        match self {
            Self::Usage => Exit::Usage,
            Self::Stopped(exit) => exit,
            Self::Configuration
            | Self::Access
            | Self::Transient
            | Self::Api
            | Self::Output
            | Self::Internal => Exit::Failure,
        }
    }

    /// Whether it is the trouble of one stream, and the others go on.
    pub(crate) fn is_of_stream(self) -> bool {
        match self {
            Self::Access | Self::Transient | Self::Api => true,
            Self::Usage
            | Self::Configuration
            | Self::Output
            | Self::Stopped(_)
            | Self::Internal => false,
        }
    }
}

impl Error {
    /// A broken invariant that no library reports.
    pub(crate) fn internal(expected: &'static str) -> Self {
        Self::Internal { expected, source: None }
    }

    /// A broken invariant as a library reports it.
    pub(crate) fn unexpected<E: Into<Box<dyn Cause + Send + Sync>>>(
        expected: &'static str,
    ) -> impl FnOnce(E) -> Self {
        move |source| Self::Internal { expected, source: Some(source.into()) }
    }

    /// What it means for the run.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::File { .. }
            | Self::NoState { .. }
            | Self::Settings(SettingsError::Unreadable { .. } | SettingsError::NotOneFile)
            | Self::Form(SettingsError::Unreadable { .. } | SettingsError::NotOneFile) => {
                Kind::Usage
            }
            Self::Settings(_)
            | Self::Form(_)
            | Self::Map(_)
            | Self::Setting { .. }
            | Self::Document { .. }
            | Self::UnknownStream { .. }
            | Self::Unauthorized { .. }
            | Self::Unreadable { .. } => Kind::Configuration,
            Self::Forbidden { .. } => Kind::Access,
            Self::Unavailable { .. }
            | Self::Unreachable { .. }
            | Self::Transport { is_transient: true, .. } => Kind::Transient,
            Self::Blocked { .. }
            | Self::NotFound { .. }
            | Self::Redirected { .. }
            | Self::Refused { .. }
            | Self::Transport { is_transient: false, .. }
            | Self::TooLarge { .. }
            | Self::Misfit { .. }
            | Self::Malformed { .. }
            | Self::EndlessPages { .. } => Kind::Api,
            Self::Medias { source, .. } => source.kind(),
            Self::Streams { kind, .. } => *kind,
            Self::Output(_) => Kind::Output,
            Self::Stopped { exit, .. } => Kind::Stopped(*exit),
            Self::Internal { .. } => Kind::Internal,
        }
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Settings(SettingsError::Missing { .. }) => {
                "write it into the --config file, or set TAP_WISTIA_<SETTING> (TAP_WISTIA_API_TOKEN for the token) and pass --config ENV"
            }
            Self::Form(SettingsError::Missing { .. }) => "fill it in where the source is set up",
            Self::Unauthorized { because: Unaccepted::Inactive, .. } => {
                "the account has expired or was suspended: its owner renews it at wistia.com; another token does not help"
            }
            Self::Unauthorized { because: Unaccepted::Token, .. } => {
                "make a token with the permission \"Read all data\" under Account > Settings > API Access and set `api_token` or TAP_WISTIA_API_TOKEN"
            }
            Self::Unreadable { hint, .. } | Self::Streams { hint, .. } => return *hint,
            Self::Forbidden { wants, .. } => wants.hint(),
            Self::Blocked { .. } => {
                "this is a firewall's or a proxy's answer, not Wistia's: have it let the requests pass, or check `api_url`"
            }
            Self::NotFound { nothing_else: true, .. } => {
                "check `api_url`: it must end in /v1, as in https://api.wistia.com/v1"
            }
            Self::Redirected { .. } => {
                "check `api_url`; redirections are not followed, because the token would go with them"
            }
            Self::NoState { .. } => {
                "leave --state out the first time: the target prints the state of a sync, and keeps it with --state-out"
            }
            Self::UnknownStream { .. } => "make a new catalog with `tap-wistia --discover`",
            Self::Document { what: "state", .. } => {
                "restore the last state, or leave --state out to read everything again"
            }
            Self::Document { .. } => "make a new catalog with `tap-wistia --discover`",
            Self::Transport { .. } | Self::Unreachable { .. } => "check the network and `api_url`",
            Self::Medias { source, .. } => return source.hint(),
            Self::Settings(_)
            | Self::Form(_)
            | Self::Map(_)
            | Self::Setting { .. }
            | Self::File { .. }
            | Self::NotFound { .. }
            | Self::Unavailable { .. }
            | Self::Refused { .. }
            | Self::TooLarge { .. }
            | Self::Misfit { .. }
            | Self::Malformed { .. }
            | Self::EndlessPages { .. }
            | Self::Output(_)
            | Self::Stopped { .. }
            | Self::Internal { .. } => return None,
        })
    }

    /// Whether the reader of the messages has gone.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transport(is_transient: bool) -> Error {
        Error::Transport {
            path: "/x".into(),
            is_transient,
            source: "reset".into(),
            host: "api.example.com".into(),
        }
    }

    fn not_found() -> Error {
        let (path, reason, host) = ("/x".into(), String::new(), String::new());
        Error::NotFound { path, reason, nothing_else: false, host }
    }

    #[test]
    fn a_kind_decides_the_exit_code() {
        let file =
            Error::File { name: "c.json".into(), source: std::io::ErrorKind::NotFound.into() };
        let stopped = Error::Stopped { writes: true, signal: "SIGTERM", exit: Exit::Terminated };
        for (error, kind, exit) in [
            (file, Kind::Usage, Exit::Usage),
            (stopped, Kind::Stopped(Exit::Terminated), Exit::Terminated),
            (not_found(), Kind::Api, Exit::Failure),
            (transport(true), Kind::Transient, Exit::Failure),
            (transport(false), Kind::Api, Exit::Failure),
            (Error::internal("order"), Kind::Internal, Exit::Failure),
        ] {
            assert_eq!((error.kind(), error.kind().exit()), (kind, exit), "{error}");
        }
    }

    #[test]
    fn a_cause_is_a_source_and_stands_once_in_what_is_printed() {
        let text = program::report::render(&transport(true), transport(true).hint());
        assert_eq!(
            text,
            "error: GET /x failed (api.example.com)\n  caused by: reset\n\nhint: check the network and `api_url`\n"
        );
        let broken: Error = Error::unexpected("a runtime")(std::io::Error::other("no threads"));
        let text = program::report::render(&broken, broken.hint());
        assert_eq!(
            text,
            "error: internal error: expected a runtime; please report it\n  caused by: no threads\n"
        );
    }

    #[test]
    fn what_to_do_is_said_where_the_user_can_do_something() {
        let document = |what| Error::Document { name: "f".into(), what, reason: "empty".into() };
        assert!(document("state").hint().unwrap().contains("--state"));
        assert!(document("catalog").hint().unwrap().contains("--discover"));
        assert!(Error::internal("order").hint().is_none());
    }

    #[test]
    fn trouble_of_a_stream_or_a_media_ends_no_run() {
        for error in [not_found(), transport(true), transport(false)] {
            assert!(error.kind().is_of_stream(), "{error}");
        }
        assert!(not_found().is_of_media() && !transport(true).is_of_media());
        let token = Error::Unauthorized {
            path: "/x".into(),
            reason: String::new(),
            because: Unaccepted::Token,
            host: String::new(),
        };
        for error in [token, Error::internal("order")] {
            assert!(!error.kind().is_of_stream() && !error.is_of_media(), "{error}");
        }
    }

    #[test]
    fn only_a_reader_that_has_gone_is_a_broken_pipe() {
        let output = |kind: std::io::ErrorKind| Error::Output(kind.into());
        assert!(output(std::io::ErrorKind::BrokenPipe).is_broken_pipe());
        assert!(!output(std::io::ErrorKind::StorageFull).is_broken_pipe());
        assert!(!transport(true).is_broken_pipe());
    }
}
