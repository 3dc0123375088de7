//! The streams: one file each, with its record type, its cleaning and its endpoint.
//!
//! A new stream is a file here and a line in [`ALL`]. Its endpoint says in which of the ways of
//! [`read`](crate::read) it is read; nothing else has to know of it.

#![expect(clippy::struct_field_names, reason = "columns are named as the API names them")]

mod account;
mod byday;
mod channels;
mod deleted;
mod engagements;
mod event;
mod graph;
mod media;
mod projects;
mod tags;
mod timeseries;
mod visitor;

use crate::read::Endpoint;
use crate::stream::Stream;

/// All endpoints in the order in which they are read, each after those that it depends on. The streams
/// in the order of the catalog are those of one endpoint after the other.
pub(crate) static ALL: [&Endpoint; 13] = [
    &media::ENDPOINT,
    &deleted::ENDPOINT,
    &projects::ENDPOINT,
    &tags::ENDPOINT,
    &channels::CHANNELS,
    &channels::EPISODES,
    &engagements::ENDPOINT,
    &byday::ENDPOINT,
    &graph::ENDPOINT,
    &timeseries::ENDPOINT,
    &account::ENDPOINT,
    &event::ENDPOINT,
    &visitor::ENDPOINT,
];

/// All streams, in the order of the catalog.
pub(crate) fn all() -> impl Iterator<Item = &'static Stream> {
    ALL.into_iter().flat_map(|endpoint| endpoint.streams.iter().copied())
}

/// The stream of that name.
pub(crate) fn by_name(name: &str) -> Option<&'static Stream> {
    all().find(|stream| stream.name == name)
}

#[cfg(test)]
mod tests;
