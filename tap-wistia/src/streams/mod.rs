//! The streams: one file each, with its record type, its cleaning and how it is asked for.
//!
//! A new stream is a file here and a line in [`ALL`]. Where it is one request a media it implements
//! [`MediaStats`], where it is a list of its own, [`Listing`].

pub mod account;
pub mod byday;
pub mod channels;
pub mod engagements;
pub mod event;
pub mod graph;
pub mod media;
pub mod projects;
pub mod timeseries;
pub mod visitor;

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde_json::Value;

use crate::client::{Request, Resource};
use crate::error::Result;
use crate::output::Output;
use crate::privacy::Privacy;

/// What is fixed about a stream.
#[derive(Debug)]
pub struct Stream {
    /// Its name, which is the name of its table.
    pub name: &'static str,
    /// Its key columns.
    pub keys: &'static [&'static str],
    /// The column that bookmarks are about, for a stream that is read in increments.
    pub replication_key: Option<&'static str>,
    /// Whether it is read where no catalog says otherwise.
    pub selected_by_default: bool,
    /// Where its records come from.
    pub source: Source,
    /// The JSON Schema of its records.
    pub schema: fn() -> Value,
}

impl Stream {
    /// Whether a sync goes on where the last one ended: by a column, or as events do, whatever is
    /// made of them.
    pub fn is_incremental(&self) -> bool {
        self.replication_key.is_some() || matches!(self.source, Source::List("/stats/events"))
    }

    /// Whether a read that broke off can go on where it was.
    pub fn is_resumable(&self) -> bool {
        self.is_incremental() || matches!(self.source, Source::Media(_))
    }
}

/// Where the records of a stream come from: paths of the API.
#[derive(Debug, Clone, Copy)]
pub enum Source {
    /// A list.
    List(&'static str),
    /// A list, and the team's rules on medias.
    Rules(&'static str),
    /// An answer for each media: the request for it.
    Media(fn(&str) -> Request),
    /// One answer.
    Single(&'static str),
}

/// All streams, each after those it depends on.
pub static ALL: [&Stream; 13] = [
    &media::DIM_MEDIA,
    &projects::DIM_PROJECTS,
    &channels::DIM_CHANNELS,
    &channels::BRIDGE_MEDIA_CHANNEL,
    &engagements::FACT_ENGAGEMENTS,
    &byday::FACT_ENGAGEMENTS_BYDAY,
    &graph::FACT_ENGAGEMENT_GRAPH,
    &graph::FACT_ENGAGEMENT_GRAPH_POINTS,
    &timeseries::FACT_MEDIA_TIMESERIES,
    &account::FACT_ACCOUNT_BYDAY,
    &event::FACT_EVENTS,
    &event::DIM_VISITORS,
    &visitor::VISITORS,
];

/// The stream of that name.
pub fn by_name(name: &str) -> Option<&'static Stream> {
    ALL.into_iter().find(|stream| stream.name == name)
}

/// The JSON Schema of a record type.
fn schema<T: JsonSchema>() -> Value {
    program::schema::record::<T>()
}

/// What the other streams need to know of a media.
#[derive(Debug)]
pub struct MediaId {
    /// Its number. Younger medias have larger ones.
    pub id: i64,
    /// Its id in the paths of the API.
    pub hashed_id: String,
    /// The day on which it was created.
    pub created: Option<NaiveDate>,
}

/// Figures that are asked for media by media.
pub trait MediaStats {
    /// What is answered for one media.
    type Answer: Resource;
    /// The streams that the answer feeds. The first one bears the bookmark of a pass under way.
    const FEEDS: &'static [&'static Stream];

    /// The request for a media.
    fn request(&self, media: &MediaId) -> Request;

    /// How many rows the medias are likely to have: one each, unless the source knows better.
    fn rows(&self, medias: &[MediaId]) -> u64 {
        medias.len() as u64
    }

    /// Writes the records of a media.
    fn emit(&self, media_id: &str, answer: Self::Answer, output: &mut Output) -> Result<()>;
}

/// A list of its own, read to its end in every sync.
pub trait Listing {
    /// A row of the list.
    type Row: Resource;
    /// The stream that the list feeds.
    const STREAM: &'static Stream;
    /// The request for the list, without its page.
    fn request(&self) -> Request;

    /// Writes the record of a row.
    fn emit(&self, row: Self::Row, privacy: &Privacy, output: &mut Output) -> Result<()>;
}
