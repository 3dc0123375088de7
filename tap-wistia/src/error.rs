//! Everything that can go wrong, worded so that a person knows what to do. The token is in none of it.

use std::error::Error as Cause;

use program::report::Exit;
use program::settings::SettingsError;
use protocol::mapping::MapError;

/// An error of the tap. What an outcome means for the run is its [`Kind`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The settings cannot be read.
    #[error(transparent)]
    Settings(#[from] SettingsError),
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
    #[error("Wistia does not accept the token: {reason} (GET {path} answered 401)")]
    Unauthorized {
        /// Path and query of the request.
        path: String,
        /// What Wistia says.
        reason: String,
    },
    /// The token or the plan does not include something. Only the stream that needs it fails.
    #[error("the token may not read {path}: {reason} ({status})")]
    Forbidden {
        /// Path and query of the request.
        path: String,
        /// 401 or 403.
        status: u16,
        /// What Wistia says.
        reason: String,
    },
    /// There is nothing under this path.
    #[error("GET {path} answered 404")]
    NotFound {
        /// Path and query of the request.
        path: String,
    },
    /// The server is busy or broken, and says so. The same request may work a moment later.
    #[error("GET {path} answered {status}: {body}")]
    Unavailable {
        /// Path and query of the request.
        path: String,
        /// A status that [`judge`](crate::client) takes for passing.
        status: u16,
        /// Its first characters.
        body: String,
        /// The seconds that Retry-After asks for.
        retry_after: Option<u64>,
    },
    /// A refusal that the same request will always get.
    #[error("GET {path} answered {status}: {body}")]
    Refused {
        /// Path and query of the request.
        path: String,
        /// Any other status without success.
        status: u16,
        /// Its first characters.
        body: String,
    },
    /// No answer arrived.
    #[error("GET {path} failed")]
    Transport {
        /// Path and query of the request.
        path: String,
        /// Whether the same request may work a moment later.
        is_transient: bool,
        /// What the network reports, without the URL.
        #[source]
        source: Box<dyn Cause + Send + Sync>,
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
    #[error("GET {path} answers the same page again and again; the pages never end")]
    EndlessPages {
        /// Path and query of the request.
        path: String,
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
        source: Box<Error>,
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
    },
    /// A signal ended the run.
    #[error("stopped by {signal}; the last state covers what was written")]
    Stopped {
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
    /// Whether it is the trouble of the streams that were read, and of no other.
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
            Self::File { .. } | Self::Settings(SettingsError::Unreadable { .. }) => Kind::Usage,
            Self::Settings(_)
            | Self::Map(_)
            | Self::Setting { .. }
            | Self::Document { .. }
            | Self::UnknownStream { .. }
            | Self::Unauthorized { .. }
            | Self::Streams { .. } => Kind::Configuration,
            Self::Forbidden { .. } => Kind::Access,
            Self::Unavailable { .. } | Self::Transport { is_transient: true, .. } => {
                Kind::Transient
            }
            Self::NotFound { .. }
            | Self::Refused { .. }
            | Self::Transport { is_transient: false, .. }
            | Self::Malformed { .. }
            | Self::EndlessPages { .. } => Kind::Api,
            Self::Medias { source, .. } => source.kind(),
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
            Self::Unauthorized { .. } => {
                "make a token with the permission \"Read all data\" under Account > Settings > API Access and set `api_token` or TAP_WISTIA_API_TOKEN"
            }
            Self::Forbidden { .. } => {
                "give the token the permission \"Read all data\", or deselect the stream in the catalog"
            }
            Self::UnknownStream { .. } => "make a new catalog with `tap-wistia --discover`",
            Self::Document { what: "state", .. } => {
                "restore the last state, or leave --state out to read everything again"
            }
            Self::Document { .. } => "make a new catalog with `tap-wistia --discover`",
            Self::Transport { .. } => "check the network and `api_url`",
            Self::Medias { source, .. } => return source.hint(),
            Self::Settings(_)
            | Self::Map(_)
            | Self::Setting { .. }
            | Self::File { .. }
            | Self::NotFound { .. }
            | Self::Unavailable { .. }
            | Self::Refused { .. }
            | Self::Malformed { .. }
            | Self::EndlessPages { .. }
            | Self::Output(_)
            | Self::Streams { .. }
            | Self::Stopped { .. }
            | Self::Internal { .. } => return None,
        })
    }

    /// Whether it is about the one media that was asked for: it is not there, or the token does not see
    /// it.
    pub(crate) fn is_of_media(&self) -> bool {
        matches!(self, Self::NotFound { .. } | Self::Forbidden { status: 403, .. })
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
        Error::Transport { path: "/x".into(), is_transient, source: "reset".into() }
    }

    #[test]
    fn a_kind_decides_the_exit_code() {
        let file =
            Error::File { name: "c.json".into(), source: std::io::ErrorKind::NotFound.into() };
        let stopped = Error::Stopped { signal: "SIGTERM", exit: Exit::Terminated };
        for (error, kind, exit) in [
            (file, Kind::Usage, Exit::Usage),
            (stopped, Kind::Stopped(Exit::Terminated), Exit::Terminated),
            (Error::NotFound { path: "/x".into() }, Kind::Api, Exit::Failure),
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
            "error: GET /x failed\n  caused by: reset\n\nhint: check the network and `api_url`\n"
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
    fn only_a_reader_that_has_gone_is_a_broken_pipe() {
        let output = |kind: std::io::ErrorKind| Error::Output(kind.into());
        assert!(output(std::io::ErrorKind::BrokenPipe).is_broken_pipe());
        assert!(!output(std::io::ErrorKind::StorageFull).is_broken_pipe());
        assert!(!transport(true).is_broken_pipe());
    }
}
