//! OpenLineage: which run of which job has read what and written what, and from which columns each column comes, to
//! whom the variables `OPENLINEAGE_…` name. They are those of the other clients, so that an orchestrator that sets
//! them for its jobs has set them for ours. Without them there is nothing of it.
//!
//! ```text
//! environment (to whom, which job, which parent) ─► run ─► event (JSON) ─► transport
//! dataset (what the programs tell) ────────────────┘
//! ```

mod dataset;
mod environment;
mod event;
mod run;
mod transport;

pub use dataset::{Change, Data, Dataset, Field, Input, Name, Origin, Volume};
pub use run::{is_on, run, stream, tell};
