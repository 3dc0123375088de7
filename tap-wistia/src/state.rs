//! State: how far each stream has come. It stays small whatever the account's size.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::behind::Behind;
use crate::config::PersonalData;
use crate::error::{Error, Result};
use crate::members::Members;
use crate::stream::Stream;

/// State of a tap, as STATE messages carry it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// How far each stream has come.
    #[serde(default)]
    bookmarks: BTreeMap<String, Bookmark>,
    /// What runners add beside it.
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// How far a stream has come, and what the syncs covered that brought it there: what later settings
/// include beyond it has not been read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bookmark {
    /// All days up to this one have been read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) day: Option<NaiveDate>,
    /// The day on which the sync began that read them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) read_on: Option<NaiveDate>,
    /// The newest media among those that were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) newest_media: Option<i64>,
    /// A pass over all medias that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pass: Option<Pass>,
    /// The first day that was wanted. In bookmarks of older versions it is absent, as all below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) start: Option<NaiveDate>,
    /// Which medias were read, for a stream that is read media by media.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) members: Option<Members>,
    /// Medias that could not be read, and from which day on.
    #[serde(default, skip_serializing_if = "Behind::is_empty")]
    pub(crate) behind: Behind,
    /// A digest of `media_ids`; absent where they name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) media_ids: Option<String>,
    /// The treatment of personal data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) personal_data: Option<PersonalData>,
}

/// A pass over all medias, in the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pass {
    /// The day on which it began.
    pub(crate) began: NaiveDate,
    /// The last media that was read.
    pub(crate) media_id: i64,
    /// The first day that is wanted of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) start: Option<NaiveDate>,
    /// The medias that were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) members: Option<String>,
}

impl Bookmark {
    /// The first day that the next sync reads: what follows the last day that was read, and before
    /// it the days that may have changed since they were read.
    pub(crate) fn next_day(&self, lookback_days: u32) -> Option<NaiveDate> {
        let day = self.day?;
        let fresh = day.checked_add_days(Days::new(1)).unwrap_or(day);
        let read_on = self.read_on.unwrap_or(day);
        let lookback = Days::new(lookback_days.into());
        let changing = read_on.checked_sub_days(lookback).unwrap_or(NaiveDate::MIN);
        Some(fresh.min(changing))
    }
}

impl State {
    /// Whether the last sync has left a media out of any stream.
    pub(crate) fn was_left_out(&self, media: i64) -> bool {
        self.bookmarks.values().any(|bookmark| bookmark.behind.since(media).is_some())
    }

    /// Reads a state file. An empty one is the state before the first sync; one with a stream that is
    /// not known is damaged.
    pub(crate) fn parse(name: &str, text: &str, is_known: impl Fn(&str) -> bool) -> Result<Self> {
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.is_empty() {
            return Ok(Self::default());
        }
        let damaged = |reason: String| Error::Document { name: name.into(), what: "state", reason };
        let mut value: Value =
            serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
        // Some runners keep the whole message.
        if value.get("type").and_then(Value::as_str) == Some("STATE")
            && let Some(inner) = value.get_mut("value")
        {
            value = inner.take();
        }
        let Value::Object(object) = &value else {
            return Err(damaged("it is no JSON object".into()));
        };
        if !object.is_empty() && !object.contains_key("bookmarks") {
            return Err(damaged("it has no `bookmarks`".into()));
        }
        let state: Self = serde_path_to_error::deserialize(&value)
            .map_err(|error| damaged(format!("{} at `{}`", error.inner(), error.path())))?;
        match state.bookmarks.keys().find(|stream| !is_known(stream)) {
            Some(stream) => Err(damaged(format!("there is no stream `{stream}`"))),
            None => Ok(state),
        }
    }

    /// How far a stream has come.
    pub(crate) fn bookmark(&self, stream: &Stream) -> Bookmark {
        self.bookmarks.get(stream.name).cloned().unwrap_or_default()
    }

    /// Records how far a stream has come. An empty bookmark is none.
    pub(crate) fn set(&mut self, stream: &Stream, bookmark: Bookmark) {
        if bookmark == Bookmark::default() {
            self.bookmarks.remove(stream.name);
        } else {
            self.bookmarks.insert(stream.name.to_owned(), bookmark);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{EVENTS, day};

    fn parse(text: &str) -> Result<State> {
        State::parse("state.json", text, |name| name == EVENTS.name)
    }

    #[test]
    fn the_next_sync_starts_the_lookback_before_the_last_one() {
        let done = Bookmark {
            day: Some(day("2026-11-23")),
            read_on: Some(day("2026-11-23")),
            ..Bookmark::default()
        };
        assert_eq!(done.next_day(3), Some(day("2026-11-20")));
        let interrupted = Bookmark { day: Some(day("2025-01-31")), ..done.clone() };
        assert_eq!(interrupted.next_day(3), Some(day("2025-02-01")));
        assert_eq!(done.next_day(u32::MAX), Some(NaiveDate::MIN));
        assert_eq!(Bookmark::default().next_day(3), None);
    }

    #[test]
    fn state_goes_around_with_what_runners_add() {
        let text = r#"{"bookmarks":{"events":{"day":"2026-11-23"}},"singer_sdk_version":"1"}"#;
        let state = parse(text).unwrap();
        assert_eq!(state.bookmark(&EVENTS).day, Some(day("2026-11-23")));
        assert_eq!(serde_json::to_string(&state).unwrap(), text);
        let message = format!(r#"{{"type":"STATE","value":{text}}}"#);
        assert_eq!(parse(&message).unwrap(), state);
    }

    #[test]
    fn nothing_is_a_first_sync_and_damage_is_an_error() {
        for text in ["", " \n", "{}", "\u{feff}{}"] {
            assert_eq!(parse(text).unwrap(), State::default());
        }
        for text in [
            "{\"bookmarks\":{\"eve",
            "[]",
            "null",
            r#"{"events":"2026-01-01"}"#,
            r#"{"bookmarks":{"orders":{"day":"2026-01-01"}}}"#,
            r#"{"bookmarks":{"events":{"day":"soon"}}}"#,
            r#"{"bookmarks":{"events":{"days":"2026-01-01"}}}"#,
            r#"{"bookmarks":{"events":{"members":"no digest"}}}"#,
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with("state.json is no valid state"), "{error}");
        }
    }

    #[test]
    fn every_bookmark_comes_back_as_it_was_written() {
        let full = Bookmark {
            day: Some(day("2026-11-23")),
            read_on: Some(day("2026-11-24")),
            newest_media: Some(i64::MAX),
            pass: Some(Pass {
                began: day("2026-11-24"),
                media_id: -1,
                start: Some(day("2024-11-24")),
                members: Some("0f".into()),
            }),
            start: Some(day("2024-11-24")),
            members: Some(Members::of([1, 2, 3])),
            behind: Behind::of([(7, day("2026-10-01"))]),
            media_ids: Some("ff".into()),
            personal_data: Some(PersonalData::Hash),
        };
        let mut state = State::default();
        for bookmark in [full.clone(), Bookmark { pass: None, ..full }] {
            state.set(&EVENTS, bookmark.clone());
            let text = serde_json::to_string(&state).unwrap();
            assert_eq!(parse(&text).unwrap(), state);
            assert_eq!(parse(&text).unwrap().bookmark(&EVENTS), bookmark);
        }
        state.set(&EVENTS, Bookmark::default());
        assert_eq!(serde_json::to_string(&state).unwrap(), r#"{"bookmarks":{}}"#);
        assert_eq!(state.bookmark(&EVENTS), Bookmark::default());
    }
}
