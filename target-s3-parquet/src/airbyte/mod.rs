//! Airbyte's destination: the same engine behind `spec`, `check` and `write`.
//!
//! [`verbs`] are the commands. [`envelope`] reads records, [`messages`] all else; [`streams`] come from
//! the configured catalog. [`columns`] are those of Airbyte's destinations, [`state`] acknowledges
//! STATE, [`form`] is what a user fills in.

mod columns;
mod envelope;
mod form;
mod messages;
mod state;
mod streams;
pub(crate) mod verbs;
