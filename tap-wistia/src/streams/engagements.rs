//! `fact_engagements`: lifetime figures of each media, a snapshot a day, from `/stats/medias/{id}`.

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{MediaId, MediaStats, Source, Stream, schema};
use crate::clean;
use crate::client::{Request, Resource};
use crate::error::Result;
use crate::output::Output;

/// The snapshots.
pub static FACT_ENGAGEMENTS: Stream = Stream {
    name: "fact_engagements",
    keys: &["media_id", "date"],
    replication_key: None,
    selected_by_default: true,
    source: Source::Media(request),
    schema: schema::<Engagement<'_>>,
};

/// The figures of a media on a day, all of them since it was made.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Engagement<'a> {
    /// Hashed id of the media.
    pub media_id: &'a str,
    /// UTC day of the snapshot.
    #[schemars(with = "String", extend("format" = "date"))]
    pub date: NaiveDate,
    /// Times it was loaded.
    pub load_count: Option<i64>,
    /// Times it was played.
    pub play_count: Option<i64>,
    /// Part of the visitors that played it, from 0 to 1.
    pub play_rate: Option<f64>,
    /// Hours watched.
    pub hours_watched: Option<f64>,
    /// Part of it that is watched on average, from 0 to 1.
    pub engagement: Option<f64>,
    /// Visitors.
    pub visitors: Option<i64>,
}

/// What the API answers.
#[derive(Debug, Deserialize)]
pub struct Stats {
    #[serde(default, deserialize_with = "clean::bigint")]
    load_count: Option<i64>,
    #[serde(default, deserialize_with = "clean::bigint")]
    play_count: Option<i64>,
    #[serde(default, deserialize_with = "clean::double")]
    play_rate: Option<f64>,
    #[serde(default, deserialize_with = "clean::double")]
    hours_watched: Option<f64>,
    #[serde(default, deserialize_with = "clean::double")]
    engagement: Option<f64>,
    #[serde(default, deserialize_with = "clean::bigint")]
    visitors: Option<i64>,
}

impl Resource for clean::Row<Stats> {
    const NAME: &'static str = "the figures of a media";
    const UNUSED: &'static [&'static str] = &["actions"];
}

/// Reads the snapshot of a day.
#[derive(Debug)]
pub struct Engagements {
    /// The day.
    pub date: NaiveDate,
}

fn request(media_id: &str) -> Request {
    Request::new(format!("/stats/medias/{media_id}"))
}

impl MediaStats for Engagements {
    type Answer = clean::Row<Stats>;
    const FEEDS: &'static [&'static Stream] = &[&FACT_ENGAGEMENTS];

    fn request(&self, media: &MediaId) -> Request {
        request(&media.hashed_id)
    }

    fn emit(&self, media_id: &str, answer: Self::Answer, output: &mut Output) -> Result<()> {
        let Some(stats) = answer.0 else { return Ok(()) };
        let record = Engagement {
            media_id,
            date: self.date,
            load_count: stats.load_count,
            play_count: stats.play_count,
            play_rate: stats.play_rate,
            hours_watched: stats.hours_watched,
            engagement: stats.engagement,
            visitors: stats.visitors,
        };
        output.record(&FACT_ENGAGEMENTS, &record)
    }
}
