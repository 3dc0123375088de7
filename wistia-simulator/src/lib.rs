//! A deterministic Wistia account behind the documented endpoints.
//!
//! [`account`] is what is true, [`wire`] how the API sends it with all its quirks, [`truth`] the
//! rows that a correct lake holds. [`api`] answers paths, [`server`] adds tokens, the rate limit,
//! [`fault`]s and the control path of the tests.

pub mod account;
pub mod api;
pub mod fault;
pub mod server;
pub mod truth;
pub mod wire;
