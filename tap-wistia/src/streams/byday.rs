//! `fact_engagements_byday`: plays of each media a day, from `/stats/medias/{id}/by_date`.

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clean;
use crate::client::{Page, Request, Resource};
use crate::error::Result;
use crate::output::Output;
use crate::read::{Days, Endpoint, MediaFigures, PerMedia, Read};
use crate::stream::{Stream, schema};

/// Days of medias: <https://docs.wistia.com/docs/stats-api>.
pub(super) static ENDPOINT: Endpoint = Endpoint {
    streams: &[&FACT_ENGAGEMENTS_BYDAY],
    read: Read::PerMedia(PerMedia::of::<Page<Day>>()),
};

static FACT_ENGAGEMENTS_BYDAY: Stream = Stream {
    name: "fact_engagements_byday",
    keys: &["media_id", "date"],
    replication_key: Some("date"),
    selected_by_default: true,
    masked: &[],
    schema: schema::<EngagementByDay<'_>>,
};

/// The figures of a media on a day.
#[derive(Debug, Serialize, JsonSchema)]
struct EngagementByDay<'a> {
    /// Hashed id of the media.
    media_id: &'a str,
    /// Day (YYYY-MM-DD) in the account's time zone.
    date: String,
    /// Times it was loaded.
    load_count: Option<i64>,
    /// Times it was played.
    play_count: Option<i64>,
    /// Hours watched: the plays times the media's mean, which Wistia restates.
    hours_watched: Option<f64>,
}

/// A day as the API answers it.
#[derive(Debug, Deserialize)]
pub(super) struct Day {
    /// YYYY-MM-DD, in the account's time zone.
    #[serde(deserialize_with = "clean::key_day")]
    pub(super) date: String,
    /// Times anything was loaded.
    #[serde(default, deserialize_with = "clean::bigint")]
    pub(super) load_count: Option<i64>,
    /// Times anything was played.
    #[serde(default, deserialize_with = "clean::bigint")]
    pub(super) play_count: Option<i64>,
    /// Hours watched.
    #[serde(default, deserialize_with = "clean::double")]
    pub(super) hours_watched: Option<f64>,
}

impl Resource for Day {
    const NAME: &'static str = "the figures of a day";
    const TABLE: &'static str = FACT_ENGAGEMENTS_BYDAY.name;
    const UNUSED: &'static [&'static str] = &[];
    const MEASURES: &'static [&'static str] = &["load_count", "play_count", "hours_watched"];
}

impl MediaFigures for Page<Day> {
    const BY_DAY: Option<fn(Request, Days) -> Request> =
        Some(|request, days| request.with("start_date", days.first).with("end_date", days.last));

    fn request(media_id: &str) -> Request {
        Request::new("/stats/medias").segment(media_id).segment("by_date")
    }

    fn rows(&self) -> usize {
        self.rows.len()
    }

    fn emit(self, media_id: &str, _: NaiveDate, output: &mut Output) -> Result<()> {
        for Day { date, load_count, play_count, hours_watched } in self.rows {
            let record = EngagementByDay { media_id, date, load_count, play_count, hours_watched };
            output.record(&FACT_ENGAGEMENTS_BYDAY, &record)?;
        }
        Ok(())
    }
}
