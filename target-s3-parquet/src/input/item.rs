//! What the input says.

use std::sync::Arc;

use crate::decode::plan::Plan;
use crate::decode::rows::Decoded;
use crate::state::State;

/// One thing that the input says, in its order.
#[derive(Debug)]
pub(crate) enum Item {
    /// Rows of one or more streams.
    Rows(Decoded),
    /// A stream has this schema from here on.
    Schema(Arc<Plan>),
    /// A state that covers what stands before it.
    State(State),
    /// The source has said how a stream ended.
    Ended {
        /// The stream.
        stream: String,
        /// Whether it was read to its end.
        complete: bool,
    },
    /// The stream's rows of other versions are obsolete.
    ActivateVersion {
        /// The stream.
        stream: String,
        /// The version that stays.
        version: i64,
    },
    /// A warning about the input.
    Warning(String),
}
