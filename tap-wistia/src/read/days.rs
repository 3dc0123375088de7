//! Which days are read of each media: those that may have changed since the last sync, and all of a
//! media that was not there then.

use chrono::NaiveDate;

use crate::context::Context;
use crate::state::Bookmark;
use crate::stream::{MediaId, Stream};

/// Days from the first to the last, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Days {
    /// The first day.
    pub(crate) first: NaiveDate,
    /// The last day.
    pub(crate) last: NaiveDate,
}

/// The days of all medias.
#[derive(Debug, Clone, Copy)]
pub(super) struct MediaDays {
    /// The first day of medias that are new.
    first: NaiveDate,
    /// The first day of the others.
    since: NaiveDate,
    /// The last day of all.
    last: NaiveDate,
    /// How far the last sync came.
    bookmark: Bookmark,
}

impl MediaDays {
    /// The days to read for a stream, by its bookmark.
    pub(super) fn of(context: &Context<'_>, stream: &Stream) -> Self {
        let settings = context.settings;
        Self {
            first: settings.period.start,
            since: context.start_of(stream, settings.config.byday_lookback_days),
            last: settings.period.end,
            bookmark: context.state.bookmark(stream),
        }
    }

    /// The days of one media.
    pub(super) fn days(&self, media: &MediaId) -> Days {
        // Days begin and end with the account's time zone, which may be a day off.
        let recent = self.bookmark.read_on.and_then(|day| day.pred_opt());
        let is_new = self.bookmark.newest_media.is_none_or(|newest| media.id > newest)
            || media.created.zip(recent).is_some_and(|(created, recent)| created >= recent);
        Days { first: if is_new { self.first } else { self.since }, last: self.last }
    }

    /// Rows of these medias: one a day.
    pub(super) fn rows(&self, medias: &[MediaId]) -> u64 {
        let days = medias.iter().map(|media| self.days(media));
        // The first day is never after the last: both stem from one period.
        days.map(|days| (days.last - days.first).num_days().unsigned_abs() + 1).sum()
    }

    /// The bookmark of the stream once all its medias have been read.
    pub(super) fn done(&self, context: &Context<'_>, medias: &[MediaId]) -> Bookmark {
        let newest = medias.iter().map(|media| media.id).max();
        let newest_media = newest.max(self.bookmark.newest_media);
        Bookmark { newest_media, ..context.read_until(self.last) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn media(id: i64, created: Option<&str>) -> MediaId {
        MediaId { id, hashed_id: "abc".into(), created: created.map(day) }
    }

    fn days() -> MediaDays {
        let bookmark = Bookmark {
            read_on: Some(day("2026-11-20")),
            newest_media: Some(7),
            ..Bookmark::default()
        };
        MediaDays {
            first: day("2024-11-24"),
            since: day("2026-11-06"),
            last: day("2026-11-24"),
            bookmark,
        }
    }

    #[test]
    fn medias_that_the_last_sync_did_not_know_are_read_from_the_first_day() {
        let first_day = |id, created| days().days(&media(id, created)).first.to_string();
        assert_eq!(first_day(7, None), "2026-11-06");
        assert_eq!(first_day(7, Some("2026-11-18")), "2026-11-06");
        assert_eq!(first_day(8, None), "2024-11-24");
        assert_eq!(first_day(2, Some("2026-11-19")), "2024-11-24");
    }

    #[test]
    fn a_row_a_day_is_expected_of_each_media() {
        assert_eq!(days().rows(&[media(1, None), media(2, None)]), 2 * 19);
        assert_eq!(days().rows(&[media(1, None), media(9, None)]), 19 + 731);
        assert_eq!(days().rows(&[]), 0);
    }
}
