//! Singer: `{"type": "RECORD", "stream": …, "record": …}`.
//!
//! [`envelope`] reads records, [`messages`] all else: [`schemas`] become plans, a [`batch`] brings
//! records in files, from where [`batch_place`] allows. [`columns`] are those of the Meltano SDK, [`state`] acknowledges STATE.

mod batch;
mod batch_place;
mod columns;
pub(crate) mod envelope;
pub(crate) mod kind;
mod local_state;
pub(crate) mod messages;
mod schemas;
mod state;
mod state_file;
pub(crate) mod write;
