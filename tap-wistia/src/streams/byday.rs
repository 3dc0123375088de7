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
    source: Source::Media(request),
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

fn request(media_id: &str) -> Request {
    Request::new(format!("/stats/medias/{media_id}/by_date"))
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

/// The days that are read of each media: those that may have changed since the last sync, and all
/// of medias that were not there then.
#[derive(Debug, Clone, Copy)]
pub struct MediaDays {
    /// The first day of medias that are new.
    pub first: NaiveDate,
    /// The first day of the others.
    pub since: NaiveDate,
    /// The last day.
    pub last: NaiveDate,
    /// How far the last sync came.
    pub bookmark: Bookmark,
}

impl MediaDays {
    /// The first day to read of a media.
    pub fn start(&self, media: &MediaId) -> NaiveDate {
        // Days begin and end with the account's time zone, which may be a day off.
        let recent = self.bookmark.read_on.and_then(|day| day.pred_opt());
        let is_new = self.bookmark.newest_media.is_none_or(|newest| media.id > newest)
            || media.created.zip(recent).is_some_and(|(created, recent)| created >= recent);
        if is_new { self.first } else { self.since }
    }

    /// Rows of all medias: one a day.
    pub fn rows(&self, medias: &[MediaId]) -> u64 {
        let days = medias.iter().map(|media| (self.last - self.start(media)).num_days() + 1);
        days.filter_map(|days| u64::try_from(days).ok()).sum()
    }
}

/// Reads the daily figures.
#[derive(Debug)]
pub struct ByDay(pub MediaDays);

impl MediaStats for ByDay {
    type Answer = Page<Day>;
    const FEEDS: &'static [&'static Stream] = &[&FACT_ENGAGEMENTS_BYDAY];

    fn request(&self, media: &MediaId) -> Request {
        request(&media.hashed_id)
            .with("start_date", self.0.start(media))
            .with("end_date", self.0.last)
    }

    fn rows(&self, medias: &[MediaId]) -> u64 {
        self.0.rows(medias)
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
        let days = MediaDays {
            first: day("2024-11-24"),
            since: day("2026-11-06"),
            last: day("2026-11-24"),
            bookmark,
        };
        let first_day = |id, created: Option<&str>| {
            let media = MediaId { id, hashed_id: "abc".into(), created: created.map(day) };
            days.start(&media).to_string()
        };
        assert_eq!(first_day(7, None), "2026-11-06");
        assert_eq!(first_day(7, Some("2026-11-18")), "2026-11-06");
        assert_eq!(first_day(8, None), "2024-11-24");
        assert_eq!(first_day(2, Some("2026-11-19")), "2024-11-24");
    }
}
