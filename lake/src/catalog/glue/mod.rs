//! The Glue Data Catalog: what the catalog asks of it, as requests of the AWS SDK.

mod client;
mod crawlers;
mod tables;

pub(crate) use client::Glue;
