//! The target's settings, declared once.
//!
//! Their doc comments are the reference: `--about`, the settings schema and the documentation are made
//! from them. [`config`] is what a user writes, with the groups [`s3`] and [`catalog`] (with [`rest`]); [`stream`] has
//! what one stream gets after the entries of `streams` that match its name have been laid over it.

pub(crate) mod catalog;
pub(crate) mod columns;
pub(crate) mod config;
pub(crate) mod rest;
pub(crate) mod s3;
pub(crate) mod shards;
pub(crate) mod stream;
pub(crate) mod units;
