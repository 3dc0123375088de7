//! Everything that can go wrong, told so that a person knows what to do. The token is in none of it.

use program::report::Exit;
use program::settings::SettingsError;
use protocol::mapping::MapError;

/// An error of the tap.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings cannot be read.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A map does not fit its stream.
    #[error(transparent)]
    Map(#[from] MapError),
    /// A setting has a value that does not work.
    #[error("the setting `{key}` is not valid: {reason}")]
    Setting {
        /// The setting.
        key: &'static str,
        /// Why.
        reason: String,
    },
    /// A file could not be read.
    #[error("could not read {name}")]
    File {
        /// The file.
        name: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A catalog or state file is damaged.
    #[error("{name} is no valid {what}: {reason}")]
    Document {
        /// The file.
        name: String,
        /// `catalog` or `state`.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// A catalog names a stream that there is not.
    #[error("{catalog} names the stream `{stream}`, which does not exist")]
    UnknownStream {
        /// The catalog.
        catalog: String,
        /// The stream.
        stream: String,
    },
    /// Wistia does not take the token.
    #[error("Wistia does not accept the token: {reason} (GET {path} answered 401)")]
    Unauthorized {
        /// Path of the request.
        path: String,
        /// What Wistia says.
        reason: String,
    },
    /// The token or the plan does not include something.
    #[error("the token may not read {path}: {reason} ({status})")]
    Forbidden {
        /// Path of the request.
        path: String,
        /// Status of the answer.
        status: u16,
        /// What Wistia says.
        reason: String,
    },
    /// There is nothing under this path.
    #[error("GET {path} answered 404")]
    NotFound {
        /// Path of the request.
        path: String,
    },
    /// An answer that nothing can be done about.
    #[error("GET {path} answered {status}: {body}")]
    Status {
        /// Path of the request.
        path: String,
        /// Status of the answer.
        status: u16,
        /// Start of its body.
        body: String,
        /// What Retry-After asks for, in seconds.
        retry_after: Option<u64>,
    },
    /// The network failed.
    #[error("GET {path} failed")]
    Transport {
        /// Path of the request.
        path: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// An answer is not what it should be.
    #[error("GET {path} answered something else than {expected}: {reason}")]
    Malformed {
        /// Path of the request.
        path: String,
        /// What belongs there.
        expected: &'static str,
        /// What is wrong.
        reason: String,
        /// Whether the body is no JSON at all, as when it was cut off.
        cut: bool,
    },
    /// The same page comes again and again.
    #[error("GET {path} answers the same page again and again; the pages never end")]
    EndlessPages {
        /// Path of the request.
        path: String,
    },
    /// Messages could not be written.
    #[error("could not write messages to standard output")]
    Output(#[source] std::io::Error),
    /// Some streams failed, the others are complete.
    #[error("{} not synced: {streams}", if *.count == 1 { "one stream was" } else { "some streams were" })]
    Streams {
        /// How many.
        count: usize,
        /// Their names.
        streams: String,
    },
    /// A signal ended the run.
    #[error("stopped by {signal}; the last state covers what was written")]
    Stopped {
        /// The signal's name.
        signal: &'static str,
        /// Its exit code.
        exit: Exit,
    },
    /// Something that cannot be.
    #[error("internal error: {0}; please report it")]
    Internal(String),
}

/// Result of the tap.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// How a run that ends by this error exits.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Stopped { exit, .. } => *exit,
            Self::File { .. } | Self::Settings(SettingsError::Unreadable { .. }) => Exit::Usage,
            _ => Exit::Failure,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
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
            _ => return None,
        })
    }

    /// Whether the same request may work a moment later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500..=599),
            Self::Transport { source, .. } => !is_permanent(source),
            _ => false,
        }
    }

    /// Whether only this stream fails, and the others may go on.
    pub fn is_of_stream(&self) -> bool {
        matches!(self, Self::Forbidden { .. })
    }

    /// Whether the reader of the messages has gone.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
    }
}

/// A certificate that is not trusted today is not trusted in a minute either.
fn is_permanent(error: &reqwest::Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(inner) = cause {
        if inner.to_string().contains("certificate") {
            return true;
        }
        cause = inner.source();
    }
    error.is_builder() || error.is_redirect()
}
