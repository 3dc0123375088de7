//! Which days are read of each media: those that may have changed since the last sync, and all of a
//! media that was not there then.

use chrono::NaiveDate;

use crate::behind::Behind;
use crate::context::Context;
use crate::members::Members;
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

impl Days {
    /// How many they are: one at least.
    pub(super) fn count(self) -> usize {
        let after_first = (self.last - self.first).num_days().max(0);
        usize::try_from(after_first).map_or(usize::MAX, |days| days.saturating_add(1))
    }
}

/// The days of all medias.
#[derive(Debug, Clone)]
pub(super) struct MediaDays {
    /// The first day of medias that are new.
    first: NaiveDate,
    /// The first day of the others.
    since: NaiveDate,
    /// The last day of all.
    last: NaiveDate,
    /// The medias that are read now, as far as the last sync may have known them.
    members: Members,
    /// How far the last sync came.
    bookmark: Bookmark,
}

impl MediaDays {
    /// The days to read for a stream, by its bookmark. Of days before `earliest`, the API answers none.
    pub(super) fn of(
        context: &Context<'_>,
        stream: &Stream,
        medias: &[MediaId],
        earliest: fn(NaiveDate) -> NaiveDate,
    ) -> Self {
        let settings = context.settings;
        let bookmark = context.state.bookmark(stream);
        let since = context.start_of(stream, settings.config.byday_lookback_days);
        let last = settings.period.end;
        let first = settings.period.start.max(earliest(last));
        if first > settings.period.start {
            tracing::info!(
                stream = stream.name,
                "{} begins with {first}: the API answers no longer range",
                stream.name
            );
        }
        let is_old = |id: &i64| bookmark.newest_media.is_some_and(|newest| *id <= newest);
        let members = Members::of(medias.iter().map(|media| media.id).filter(is_old));
        Self { first, since: since.max(first), last, members, bookmark }
    }

    /// The days of one media.
    pub(super) fn days(&self, media: &MediaId) -> Days {
        let behind = self.bookmark.behind.since(media.id).unwrap_or(self.since);
        let first = if self.is_new(media) { self.first } else { self.since.min(behind) };
        Days { first: first.clamp(self.first, self.last), last: self.last }
    }

    /// Whether the last sync has not read the media.
    fn is_new(&self, media: &MediaId) -> bool {
        if self.bookmark.newest_media.is_none_or(|newest| media.id > newest) {
            return true;
        }
        // Days begin and end with the account's time zone, which may be a day off.
        let recent = self.bookmark.read_on.and_then(|day| day.pred_opt());
        media.created.zip(recent).is_some_and(|(created, recent)| created >= recent)
            || self.has_joined(media)
    }

    /// Whether the media may be one that the last sync did not find, or did not want: one that comes
    /// back from the archive or the trash, or that `media_ids` did not name.
    fn has_joined(&self, media: &MediaId) -> bool {
        let known = self.bookmark.members.as_ref();
        known.is_some_and(|known| !known.agrees(&self.members, media.id))
    }

    /// Says which medias are read from the beginning for no reason of their own.
    pub(super) fn report(&self, stream: &Stream, medias: &[MediaId]) {
        let joined = medias
            .iter()
            .filter(|media| self.bookmark.newest_media.is_some_and(|newest| media.id <= newest))
            .filter(|media| self.has_joined(media))
            .count();
        if joined > 0 {
            tracing::info!(
                stream = stream.name,
                medias = joined,
                "reading {joined} medias of {} from the beginning, {}: other medias are read than in \
                 the last sync",
                stream.name,
                self.first
            );
        }
    }

    /// Rows of these medias: one a day.
    pub(super) fn rows(&self, medias: &[MediaId]) -> u64 {
        let days = medias.iter().map(|media| self.days(media));
        days.map(|days| days.count() as u64).sum()
    }

    /// The bookmark of the stream once all its medias have been read, but for those that are behind.
    pub(super) fn done(
        &self,
        context: &Context<'_>,
        medias: &[MediaId],
        behind: Behind,
    ) -> Bookmark {
        let newest = medias.iter().map(|media| media.id).max();
        Bookmark {
            newest_media: newest.max(self.bookmark.newest_media),
            members: Some(Members::of(medias.iter().map(|media| media.id))),
            behind,
            ..context.read_until(self.last)
        }
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
            members: Some(Members::of([2, 7])),
            behind: Behind::of([(2, day("2026-09-30"))]),
            ..Bookmark::default()
        };
        MediaDays {
            first: day("2024-11-24"),
            since: day("2026-11-06"),
            last: day("2026-11-24"),
            members: Members::of([2, 7]),
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
    fn a_media_that_was_left_out_is_read_from_where_it_was_left() {
        assert_eq!(days().days(&media(2, None)).first, day("2026-09-30"));
        let behind = Behind::of([(2, day("2024-01-01"))]);
        let bookmark = Bookmark { behind, ..days().bookmark };
        let days = MediaDays { bookmark, ..days() };
        assert_eq!(days.days(&media(2, None)).first, day("2024-11-24"), "no earlier than all");
    }

    #[test]
    fn a_media_that_has_joined_the_others_is_read_from_the_first_day() {
        let now = MediaDays { members: Members::of([2, 5, 7]), ..days() };
        assert_eq!(now.days(&media(5, None)).first, day("2024-11-24"));
        assert_eq!(now.days(&media(7, None)).first, day("2026-11-06"), "it is of another group");
    }

    #[test]
    fn a_row_a_day_is_expected_of_each_media() {
        assert_eq!(days().rows(&[media(1, None), media(7, None)]), 2 * 19);
        assert_eq!(days().rows(&[media(1, None), media(9, None)]), 19 + 731);
        assert_eq!(days().rows(&[]), 0);
    }
}
