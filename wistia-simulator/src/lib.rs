//! A deterministic Wistia account behind the documented endpoints.
//!
//! [`account`] is what is true, [`wire`] how the API sends it with all its quirks, [`truth`] the
//! rows that a correct lake holds: both know the account and nothing of each other. [`api`] answers
//! paths, [`server`] adds tokens and the rate limit, [`world`] holds what changes, [`fault`] is what
//! goes wrong, and [`control`] the path by which tests steer.

pub mod account;
pub mod api;
pub mod control;
pub mod fault;
pub mod server;
pub mod truth;
pub mod wire;
pub mod world;
