//! `fact_engagements_byday`: plays of each media a day, from `/stats/medias/{id}/by_date`.

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{MediaStats, Source, Stream, schema};
use crate::clean;
use crate::client::{Page, Request, Resource};
use crate::error::Result;
use crate::output::Output;

/// The daily figures.
pub static FACT_ENGAGEMENTS_BYDAY: Stream = Stream {
    name: "fact_engagements_byday",
    keys: &["media_id", "date"],
    replication_key: Some("date"),
    selected_by_default: true,
    source: Source::Media("/by_date"),
    schema: schema::<EngagementByDay<'_>>,
};

/// The figures of a media on a day.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EngagementByDay<'a> {
    /// Hashed id of the media.
    pub media_id: &'a str,
    /// Day (YYYY-MM-DD) in the account's time zone.
    pub date: String,
    /// Times it was loaded.
    pub load_count: Option<i64>,
    /// Times it was played.
    pub play_count: Option<i64>,
    /// Hours watched: the plays times the media's mean, which Wistia restates.
    pub hours_watched: Option<f64>,
}

/// A day as the API answers it.
#[derive(Debug, Deserialize)]
pub struct Day {
    /// The day.
    #[serde(deserialize_with = "clean::key")]
    pub date: String,
    /// Times anything was loaded.
    #[serde(default, deserialize_with = "clean::bigint")]
    pub load_count: Option<i64>,
    /// Times anything was played.
    #[serde(default, deserialize_with = "clean::bigint")]
    pub play_count: Option<i64>,
    /// Hours watched.
    #[serde(default, deserialize_with = "clean::double")]
    pub hours_watched: Option<f64>,
}

impl Resource for Day {
    const NAME: &'static str = "the figures of a day";
    const UNUSED: &'static [&'static str] = &[];
}

/// Reads the days from the first to the last, both included.
#[derive(Debug)]
pub struct ByDay {
    /// The first day.
    pub start: NaiveDate,
    /// The last day.
    pub end: NaiveDate,
}

impl MediaStats for ByDay {
    type Answer = Page<Day>;
    const FEEDS: &'static [&'static Stream] = &[&FACT_ENGAGEMENTS_BYDAY];

    fn request(&self, media_id: &str) -> Request {
        Request::new(format!("/stats/medias/{media_id}/by_date"))
            .with("start_date", self.start)
            .with("end_date", self.end)
    }

    fn emit(&self, media_id: &str, answer: Self::Answer, output: &mut Output) -> Result<()> {
        for day in answer.rows {
            let record = EngagementByDay {
                media_id,
                date: day.date,
                load_count: day.load_count,
                play_count: day.play_count,
                hours_watched: day.hours_watched,
            };
            output.record(&FACT_ENGAGEMENTS_BYDAY, &record)?;
        }
        Ok(())
    }
}
