//! `fact_engagements_byday`: plays of each media a day, from `/stats/medias/{id}/by_date`.

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{MediaId, MediaStats, Source, Stream, schema};
use crate::clean;
use crate::client::{Page, Request, Resource};
use crate::error::Result;
use crate::output::Output;
use crate::state::Bookmark;

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

/// Reads the days that may have changed since the last sync, and all days of medias that were not
/// there then.
#[derive(Debug)]
pub struct ByDay {
    /// The first day of medias that are new.
    pub first: NaiveDate,
    /// The first day of the others.
    pub since: NaiveDate,
    /// The last day.
    pub last: NaiveDate,
    /// How far the last sync came.
    pub bookmark: Bookmark,
}

impl ByDay {
    fn is_new(&self, media: &MediaId) -> bool {
        // Days begin and end with the account's time zone, which may be a day off.
        let recent = self.bookmark.read_on.and_then(|day| day.pred_opt());
        self.bookmark.newest_media.is_none_or(|newest| media.id > newest)
            || media.created.zip(recent).is_some_and(|(created, recent)| created >= recent)
    }
}

impl MediaStats for ByDay {
    type Answer = Page<Day>;
    const FEEDS: &'static [&'static Stream] = &[&FACT_ENGAGEMENTS_BYDAY];

    fn request(&self, media: &MediaId) -> Request {
        Request::new(format!("/stats/medias/{}/by_date", media.hashed_id))
            .with("start_date", if self.is_new(media) { self.first } else { self.since })
            .with("end_date", self.last)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medias_that_the_last_sync_did_not_know_are_read_from_the_first_day() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        let bookmark = Bookmark {
            read_on: Some(day("2026-11-20")),
            newest_media: Some(7),
            ..Bookmark::default()
        };
        let source = ByDay {
            first: day("2024-11-24"),
            since: day("2026-11-06"),
            last: day("2026-11-24"),
            bookmark,
        };
        let first_day = |id, created: Option<&str>| {
            let media = MediaId { id, hashed_id: "abc".into(), created: created.map(day) };
            source.request(&media).to_string()
        };
        assert!(first_day(7, None).contains("start_date=2026-11-06"));
        assert!(first_day(7, Some("2026-11-18")).contains("start_date=2026-11-06"));
        assert!(first_day(8, None).contains("start_date=2024-11-24"));
        assert!(first_day(2, Some("2026-11-19")).contains("start_date=2024-11-24"));
    }
}
