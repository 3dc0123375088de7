//! `fact_engagements`: lifetime figures of each media, a snapshot a day, from `/stats/medias/{id}`.

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clean;
use crate::client::{Request, Resource};
use crate::error::Result;
use crate::output::Output;
use crate::read::{Endpoint, MediaFigures, PerMedia, Read};
use crate::stream::{Stream, schema};

/// Figures of medias since they were made: <https://docs.wistia.com/docs/stats-api>.
pub(super) static ENDPOINT: Endpoint = Endpoint {
    streams: &[&FACT_ENGAGEMENTS],
    read: Read::PerMedia(PerMedia::of::<clean::Row<Stats>>()),
};

static FACT_ENGAGEMENTS: Stream = Stream {
    name: "fact_engagements",
    keys: &["media_id", "date"],
    replication_key: None,
    selected_by_default: true,
    schema: schema::<Engagement<'_>>,
};

/// The figures of a media on a day, all of them since it was made.
#[derive(Debug, Serialize, JsonSchema)]
struct Engagement<'a> {
    /// Hashed id of the media.
    media_id: &'a str,
    /// UTC day of the snapshot.
    #[schemars(with = "String", extend("format" = "date"))]
    date: NaiveDate,
    /// Times it was loaded.
    load_count: Option<i64>,
    /// Times it was played.
    play_count: Option<i64>,
    /// Part of the visitors that played it, from 0 to 1.
    play_rate: Option<f64>,
    /// Hours watched.
    hours_watched: Option<f64>,
    /// Part of it that is watched on average, from 0 to 1.
    engagement: Option<f64>,
    /// Visitors.
    visitors: Option<i64>,
}

/// The figures as the API answers them.
#[derive(Debug, Deserialize)]
struct Stats {
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
    const TABLE: &'static str = FACT_ENGAGEMENTS.name;
    const UNUSED: &'static [&'static str] = &["actions"];
}

impl MediaFigures for clean::Row<Stats> {
    fn request(media_id: &str) -> Request {
        Request::new("/stats/medias").segment(media_id)
    }

    fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    fn emit(self, media_id: &str, today: NaiveDate, output: &mut Output) -> Result<()> {
        // An empty answer is an empty row: skipped, and counted where it was read.
        let Some(stats) = self.0 else { return Ok(()) };
        let record = Engagement {
            media_id,
            date: today,
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
