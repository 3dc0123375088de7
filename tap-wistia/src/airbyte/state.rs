//! A stream's state between two of Airbyte's reads.

use chrono::NaiveDate;
use protocol::airbyte::{SyncMode, state};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::state::{Bookmark, State};
use crate::stream::Stream;

/// How far a stream has come.
#[derive(Debug, Serialize)]
pub(super) struct StreamState {
    /// Its bookmark.
    #[serde(flatten)]
    pub(super) bookmark: Bookmark,
    /// The day on which a full refresh began that is not at its end yet. Only that refresh may go on
    /// from here; another one reads everything again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refresh: Option<NaiveDate>,
}

/// The state that a sync of these streams goes on from. Those of other streams are ignored.
pub(super) fn parse(
    name: &str,
    text: &str,
    streams: &[(&'static Stream, SyncMode)],
    today: NaiveDate,
) -> Result<State> {
    let damaged = |reason: String| Error::Document { name: name.into(), what: "state", reason };
    let mut states = state::parse(text).map_err(damaged)?;
    let mut found = State::default();
    for (stream, mode) in streams {
        let Some(mut value) = states.remove(stream.name) else { continue };
        // The bookmark refuses what it does not know, the mark of a refresh too.
        let refresh = value.as_object_mut().and_then(|state| state.remove("refresh"));
        let bookmark: Bookmark = serde_path_to_error::deserialize(&value)
            .map_err(|error| damaged(format!("stream `{}`: {}", stream.name, error.inner())))?;
        let is_ours = match mode {
            SyncMode::Incremental => refresh.is_none(),
            SyncMode::FullRefresh => refresh.is_some_and(|day| day == today.to_string()),
        };
        if is_ours {
            found.set(stream, bookmark);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{EVENTS, day};

    fn bookmark(text: &str, mode: SyncMode) -> Bookmark {
        let state = format!(
            r#"[{{"type":"STREAM","stream":{{"stream_descriptor":{{"name":"events"}},"stream_state":{text}}}}}]"#
        );
        let streams = [(&EVENTS, mode)];
        parse("state", &state, &streams, day("2026-11-25")).unwrap().bookmark(&EVENTS)
    }

    #[test]
    fn an_increment_goes_on_and_a_refresh_only_where_it_broke_off() {
        let done = r#"{"day":"2026-11-24","read_on":"2026-11-24"}"#;
        let broken = r#"{"day":"2025-01-01","read_on":"2026-11-25","refresh":"2026-11-25"}"#;
        let old = r#"{"day":"2025-01-01","read_on":"2026-11-20","refresh":"2026-11-20"}"#;
        assert_eq!(bookmark(done, SyncMode::Incremental).day, Some(day("2026-11-24")));
        assert_eq!(bookmark(done, SyncMode::FullRefresh), Bookmark::default());
        assert_eq!(bookmark(broken, SyncMode::FullRefresh).day, Some(day("2025-01-01")));
        assert_eq!(bookmark(old, SyncMode::FullRefresh), Bookmark::default());
    }

    #[test]
    fn states_of_other_streams_are_ignored_and_damage_is_named() {
        let streams = [(&EVENTS, SyncMode::Incremental)];
        let other = r#"{"orders":{"id":7}}"#;
        assert_eq!(parse("s", other, &streams, day("2026-11-25")).unwrap(), State::default());
        let damaged = r#"{"events":{"day":"soon"}}"#;
        let error = parse("s.json", damaged, &streams, day("2026-11-25")).unwrap_err();
        assert!(error.to_string().contains("stream `events`"), "{error}");
    }
}
