//! Medias that Wistia lists and of which it knows nothing more: they were deleted, or are hidden from the token.
//! Each is told once a sync, and as news only where it is new.

use std::collections::BTreeSet;

use crate::error::Error;
use crate::state::State;
use crate::stream::MediaId;

/// The medias that were left out of this sync because they are not there.
#[derive(Debug, Default)]
pub(crate) struct Absent {
    /// By number.
    told: BTreeSet<i64>,
    /// Those that the last sync left out too, as Wistia calls them.
    again: Vec<String>,
}

impl Absent {
    /// A media is left out of a stream, for this reason.
    pub(crate) fn leave_out(
        &mut self,
        stream: &str,
        media: &MediaId,
        state: &State,
        error: &Error,
    ) {
        let media_id = &media.hashed_id;
        if !self.told.insert(media.id) {
            tracing::debug!(stream, "{error}; the media {media_id} is left out");
        } else if state.was_left_out(media.id) {
            self.again.push(media_id.clone());
            tracing::debug!(
                stream,
                "{error}; the media {media_id} is left out, as in the last sync"
            );
        } else {
            tracing::warn!(
                stream,
                media_id,
                "{error}; the media {media_id} is left out, here and wherever it is not there"
            );
        }
    }

    /// Tells those that are no news, at the end of the sync.
    pub(crate) fn tell(&self) {
        match &self.again[..] {
            [] => {}
            [media] => tracing::info!("the media {media} is left out, as in the last sync"),
            [first, rest @ ..] => {
                let (others, count) = (rest.len(), self.again.len());
                tracing::info!(
                    "{count} medias are left out, as in the last sync: {first} and {others} more"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_knows_the_medias_that_any_stream_is_behind_with() {
        let text = r#"{"bookmarks":{"fact_engagements_byday":{"behind":[{"from":3,"to":4,"since":"2026-10-01"}]}}}"#;
        let state = State::parse("state.json", text, |_| true).unwrap();
        assert_eq!([2, 3, 4, 5].map(|id| state.was_left_out(id)), [false, true, true, false]);
    }
}
