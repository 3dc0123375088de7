//! `fact_media_timeseries`: measured watch time of each media a day, from the modern API's
//! `/analytics/medias/{id}/timeseries`.

use chrono::{DateTime, Duration, Months, NaiveDate, NaiveDateTime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clean;
use crate::client::{Page, Request, Resource};
use crate::error::{Error, Result};
use crate::output::Output;
use crate::read::{Days, Endpoint, MediaFigures, PerMedia, Read};
use crate::stream::{Stream, schema};

/// Measured days of medias. The API of analytics is described with each version:
/// <https://docs.wistia.com/v2026.03/docs>.
pub(super) static ENDPOINT: Endpoint = Endpoint {
    streams: &[&FACT_MEDIA_TIMESERIES],
    read: Read::PerMedia(PerMedia::of::<Page<Point>>()),
};

static FACT_MEDIA_TIMESERIES: Stream = Stream {
    name: "fact_media_timeseries",
    keys: &["media_id", "date"],
    replication_key: Some("date"),
    selected_by_default: false,
    masked: &[],
    schema: schema::<MediaTimeseries<'_>>,
};

/// What was measured of a media on a day. Days without a view have nulls.
#[derive(Debug, Serialize, JsonSchema)]
struct MediaTimeseries<'a> {
    /// Hashed id of the media.
    media_id: &'a str,
    /// Day (YYYY-MM-DD) in the account's time zone.
    date: String,
    /// Seconds that were watched, as measured.
    played_time: Option<f64>,
    /// Plays.
    plays: Option<i64>,
    /// Visitors who played it.
    unique_plays: Option<i64>,
    /// Visitors who loaded it.
    unique_loads: Option<i64>,
    /// Visitors.
    unique_visitors: Option<i64>,
    /// Part of the loads that became plays.
    play_rate: Option<f64>,
    /// Mean part of the media that was watched.
    engagement_rate: Option<f64>,
    /// Times a call to action was shown.
    cta_impressions: Option<i64>,
    /// Times it was followed.
    cta_conversions: Option<i64>,
    /// Part of the times shown that it was followed.
    cta_conversion_rate: Option<f64>,
    /// Forms that were sent.
    form_conversions: Option<i64>,
}

/// A day as the API answers it.
#[derive(Debug, Deserialize)]
struct Point {
    #[serde(deserialize_with = "clean::key")]
    timestamp: String,
    #[serde(default, deserialize_with = "clean::double")]
    played_time: Option<f64>,
    #[serde(default, deserialize_with = "clean::bigint")]
    plays: Option<i64>,
    #[serde(default, deserialize_with = "clean::bigint")]
    unique_plays: Option<i64>,
    #[serde(default, deserialize_with = "clean::bigint")]
    unique_loads: Option<i64>,
    #[serde(default, deserialize_with = "clean::bigint")]
    unique_visitors: Option<i64>,
    #[serde(default, deserialize_with = "clean::double")]
    play_rate: Option<f64>,
    #[serde(default, deserialize_with = "clean::double")]
    engagement_rate: Option<f64>,
    #[serde(default, deserialize_with = "clean::bigint")]
    cta_impressions: Option<i64>,
    #[serde(default, deserialize_with = "clean::bigint")]
    cta_conversions: Option<i64>,
    #[serde(default, deserialize_with = "clean::double")]
    cta_conversion_rate: Option<f64>,
    #[serde(default, deserialize_with = "clean::bigint")]
    form_conversions: Option<i64>,
}

impl Resource for Point {
    const NAME: &'static str = "the figures of a day";
    const TABLE: &'static str = FACT_MEDIA_TIMESERIES.name;
    const UNUSED: &'static [&'static str] = &[];
    const MEASURES: &'static [&'static str] = &[
        "played_time",
        "plays",
        "unique_plays",
        "unique_loads",
        "unique_visitors",
        "play_rate",
        "engagement_rate",
        "cta_impressions",
        "cta_conversions",
        "cta_conversion_rate",
        "form_conversions",
    ];
}

impl MediaFigures for Page<Point> {
    const BY_DAY: Option<fn(Request, Days) -> Request> = Some(|request, days| {
        // This endpoint alone takes the day after the last one.
        let end = days.last.succ_opt().unwrap_or(days.last);
        request.with("start_date", days.first).with("end_date", end)
    });

    const EARLIEST: fn(NaiveDate) -> NaiveDate = |last| {
        // "The date range between `start_date` and `end_date` must not exceed 2 years."
        let end = last.succ_opt().unwrap_or(last);
        end.checked_sub_months(Months::new(24)).unwrap_or(end)
    };

    fn request(media_id: &str) -> Request {
        Request::modern("/analytics/medias")
            .segment(media_id)
            .segment("timeseries")
            .with("granularity", "daily")
    }

    fn rows(&self) -> usize {
        self.rows.len()
    }

    fn emit(self, media_id: &str, _: NaiveDate, output: &mut Output) -> Result<()> {
        let day = |point: &Point| {
            local_day(&point.timestamp).ok_or_else(|| Error::Malformed {
                path: Self::request(media_id).to_string(),
                expected: Point::NAME,
                reason: format!("{} is no time of a day", clean::shape(&point.timestamp)),
                cut: false,
            })
        };
        let days = self.rows.iter().map(day).collect::<Result<Vec<_>>>()?;
        for (point, date) in self.rows.into_iter().zip(days) {
            let record = MediaTimeseries {
                media_id,
                date: date.to_string(),
                played_time: point.played_time,
                plays: point.plays,
                unique_plays: point.unique_plays,
                unique_loads: point.unique_loads,
                unique_visitors: point.unique_visitors,
                play_rate: point.play_rate,
                engagement_rate: point.engagement_rate,
                cta_impressions: point.cta_impressions,
                cta_conversions: point.cta_conversions,
                cta_conversion_rate: point.cta_conversion_rate,
                form_conversions: point.form_conversions,
            };
            output.record(&FACT_MEDIA_TIMESERIES, &record)?;
        }
        Ok(())
    }
}

/// The account's day whose midnight a time is. A time with an offset says itself which day that is. Time
/// zones from 10:15 west (Hawaii) to 13:45 east (Chatham) have their midnight in UTC within a day of
/// each other.
fn local_day(timestamp: &str) -> Option<NaiveDate> {
    let text = timestamp.replacen(' ', "T", 1);
    let utc = match DateTime::parse_from_rfc3339(&text) {
        Ok(time) if time.offset().local_minus_utc() != 0 => return Some(time.date_naive()),
        Ok(time) => time.naive_utc(),
        Err(_) => NaiveDateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M:%S%.f").ok()?,
    };
    Some((utc + Duration::minutes(13 * 60 + 45)).date())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_midnight_anywhere_belongs_to_the_day_that_begins() {
        for (timestamp, day) in [
            ("2026-07-01 05:00:00.000Z", "2026-07-01"),
            ("2026-07-01 10:00:00.000Z", "2026-07-01"),
            ("2026-07-01T00:00:00Z", "2026-07-01"),
            ("2026-06-30 23:00:00.000Z", "2026-07-01"),
            ("2026-06-30 11:00:00.000Z", "2026-07-01"),
            ("2026-06-30 11:00:00", "2026-07-01"),
            ("2026-07-01T00:00:00+14:00", "2026-07-01"),
            ("2026-07-01 00:00:00.000-11:00", "2026-07-01"),
        ] {
            assert_eq!(local_day(timestamp).unwrap().to_string(), day, "{timestamp}");
        }
        assert!(local_day("yesterday").is_none());
    }
}
