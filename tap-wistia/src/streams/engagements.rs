//! `fact_engagements` and `fact_media_actions`: lifetime figures of each media and of what it asks its
//! viewers to do, a snapshot a day, from `/stats/medias/{id}`.

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clean;
use crate::client::{Request, Resource};
use crate::error::Result;
use crate::output::Output;
use crate::read::{Endpoint, MediaFigures, PerMedia, Read};
use crate::stream::{Stream, schema};

/// Figures of medias since they were made: <https://docs.wistia.com/docs/stats-api>.
pub(super) static ENDPOINT: Endpoint = Endpoint {
    streams: &[&FACT_ENGAGEMENTS, &FACT_MEDIA_ACTIONS],
    read: Read::PerMedia(PerMedia::of::<clean::Row<Stats>>()),
};

static FACT_ENGAGEMENTS: Stream = Stream {
    name: "fact_engagements",
    keys: &["media_id", "date"],
    replication_key: None,
    selected_by_default: true,
    masked: &[],
    schema: schema::<Engagement<'_>>,
};

static FACT_MEDIA_ACTIONS: Stream = Stream {
    name: "fact_media_actions",
    keys: &["media_id", "date", "type"],
    replication_key: None,
    selected_by_default: false,
    masked: &[],
    schema: schema::<MediaAction<'_>>,
};

/// The figures of a media on a day, all of them since it was made.
#[derive(Debug, Serialize, JsonSchema)]
struct Engagement<'a> {
    /// Hashed id of the media.
    media_id: &'a str,
    /// UTC day of the snapshot.
    #[schemars(with = "String", extend("format" = "date"))]
    date: NaiveDate,
    /// Times it was loaded.
    load_count: Option<i64>,
    /// Times it was played.
    play_count: Option<i64>,
    /// Part of the visitors that played it, from 0 to 1.
    play_rate: Option<f64>,
    /// Hours watched.
    hours_watched: Option<f64>,
    /// Part of it that is watched on average, from 0 to 1.
    engagement: Option<f64>,
    /// Visitors.
    visitors: Option<i64>,
}

/// How often viewers of a media did what it asks for, as of a day, all of it since it was made.
///
/// Wistia lists each call to action by itself and names none of them but by its kind. Those of one kind
/// are one row: their counts are sums, and the rate is that of the sums.
#[derive(Debug, Serialize, JsonSchema)]
struct MediaAction<'a> {
    /// Hashed id of the media.
    media_id: &'a str,
    /// UTC day of the snapshot.
    #[schemars(with = "String", extend("format" = "date"))]
    date: NaiveDate,
    /// Kind of the action, such as `Call to Action`. Several of one kind are one row, with their sums.
    #[serde(rename = "type")]
    kind: String,
    /// Times it was shown.
    impression_count: Option<i64>,
    /// Times it was done.
    action_count: Option<i64>,
    /// Part of the times shown that it was done: as Wistia says it, and where several are summed, the
    /// quotient of the sums.
    rate: Option<f64>,
}

/// The figures as the API answers them.
#[derive(Debug, Deserialize)]
struct Stats {
    #[serde(default, deserialize_with = "clean::bigint")]
    load_count: Option<i64>,
    #[serde(default, deserialize_with = "clean::bigint")]
    play_count: Option<i64>,
    #[serde(default, deserialize_with = "clean::double")]
    play_rate: Option<f64>,
    #[serde(default, deserialize_with = "clean::double")]
    hours_watched: Option<f64>,
    #[serde(default, deserialize_with = "clean::double")]
    engagement: Option<f64>,
    #[serde(default, deserialize_with = "clean::bigint")]
    visitors: Option<i64>,
    #[serde(default, deserialize_with = "clean::list")]
    actions: Option<Vec<Action>>,
}

/// An action as the API answers it.
#[derive(Debug, Deserialize)]
struct Action {
    #[serde(default, rename = "type", deserialize_with = "clean::text")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "clean::bigint")]
    impression_count: Option<i64>,
    #[serde(default, deserialize_with = "clean::bigint")]
    action_count: Option<i64>,
    #[serde(default, deserialize_with = "clean::double")]
    rate: Option<f64>,
}

impl Resource for clean::Row<Stats> {
    const NAME: &'static str = "the figures of a media";
    const TABLE: &'static str = FACT_ENGAGEMENTS.name;
    const UNUSED: &'static [&'static str] = &[];
    const MEASURES: &'static [&'static str] =
        &["load_count", "play_count", "play_rate", "hours_watched", "engagement", "visitors"];
}

impl MediaFigures for clean::Row<Stats> {
    fn request(media_id: &str) -> Request {
        Request::new("/stats/medias").segment(media_id)
    }

    fn rows(&self) -> usize {
        usize::from(self.0.is_some())
    }

    fn emit(self, media_id: &str, today: NaiveDate, output: &mut Output) -> Result<()> {
        // An empty answer is an empty row: skipped, and counted where it was read.
        let Some(stats) = self.0 else { return Ok(()) };
        let record = Engagement {
            media_id,
            date: today,
            load_count: stats.load_count,
            play_count: stats.play_count,
            play_rate: stats.play_rate,
            hours_watched: stats.hours_watched,
            engagement: stats.engagement,
            visitors: stats.visitors,
        };
        output.record(&FACT_ENGAGEMENTS, &record)?;
        if !output.wants(&FACT_MEDIA_ACTIONS) {
            return Ok(());
        }
        let actions = by_kind(media_id, today, stats.actions.unwrap_or_default());
        actions.iter().try_for_each(|action| output.record(&FACT_MEDIA_ACTIONS, action))
    }
}

/// The actions of a media, one of each kind, in the order in which the kinds first come.
fn by_kind(media_id: &str, date: NaiveDate, actions: Vec<Action>) -> Vec<MediaAction<'_>> {
    let mut found: Vec<MediaAction<'_>> = Vec::new();
    for Action { kind, impression_count, action_count, rate } in actions {
        let Some(kind) = kind else {
            // The kind is a part of the key. The other figures of the media do not suffer for it.
            tracing::warn!(media_id, "an action without its type is left out");
            continue;
        };
        match found.iter_mut().find(|known| known.kind == kind) {
            None => found.push(MediaAction {
                media_id,
                date,
                kind,
                impression_count,
                action_count,
                rate,
            }),
            Some(known) => {
                known.impression_count = sum(known.impression_count, impression_count);
                known.action_count = sum(known.action_count, action_count);
                known.rate = quotient(known.action_count, known.impression_count);
            }
        }
    }
    found
}

/// The sum of two counts. Where one is unknown, so is the sum.
fn sum(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    one?.checked_add(other?)
}

/// A part of a whole, unless that is nothing.
fn quotient(part: Option<i64>, whole: Option<i64>) -> Option<f64> {
    let (part, whole) = (part?, whole.filter(|whole| *whole != 0)?);
    #[expect(clippy::cast_precision_loss, reason = "a double is what the column holds")]
    Some(part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn actions(json: &str) -> Vec<Value> {
        let stats: clean::Row<Stats> = serde_json::from_str(json).unwrap();
        let day = "2026-11-25".parse().unwrap();
        let actions = by_kind("abc", day, stats.0.unwrap().actions.unwrap_or_default());
        actions.iter().map(|action| json!(action)).collect()
    }

    /// A row with its impressions, its actions and its rate.
    fn row(kind: &str, figures: &Value) -> Value {
        json!({"media_id": "abc", "date": "2026-11-25", "type": kind, "impression_count": figures[0],
            "action_count": figures[1], "rate": figures[2]})
    }

    #[test]
    fn an_action_is_as_wistia_says_it() {
        // The rate is not recomputed: Wistia may count another way.
        let one = r#"{"actions":[{"type":"Call to Action","impression_count":"240","action_count":12,
            "rate":0.06,"text":"Buy"},{"type":"Turnstile"}]}"#;
        assert_eq!(
            actions(one),
            [
                row("Call to Action", &json!([240, 12, 0.06])),
                row("Turnstile", &json!([null, null, null])),
            ]
        );
    }

    #[test]
    fn several_actions_of_one_kind_are_one_with_their_sums() {
        let several = r#"{"actions":[
            {"type":"a","impression_count":30,"action_count":3,"rate":0.1},
            {"type":"b","impression_count":0,"action_count":0,"rate":0},
            {"type":"a","impression_count":10,"action_count":7,"rate":0.7},
            {"type":"b","impression_count":0,"action_count":0,"rate":0.5},
            {"type":"c","impression_count":4,"action_count":1},
            {"type":"c","action_count":1,"rate":0.9}]}"#;
        assert_eq!(
            actions(several),
            [
                row("a", &json!([40, 10, 0.25])),
                row("b", &json!([0, 0, null])),
                row("c", &json!([null, 2, null])),
            ]
        );
        let huge = r#"{"actions":[{"type":"a","impression_count":9223372036854775807},
            {"type":"a","impression_count":1}]}"#;
        assert_eq!(actions(huge), [row("a", &json!([null, null, null]))]);
    }

    #[test]
    fn an_action_without_its_type_takes_nothing_down() {
        for odd in [r#"[{"rate":1},{"type":""},{},null]"#, "[]", "null", r#""""#, "{}", "3"] {
            assert_eq!(
                actions(&format!(r#"{{"load_count":1,"actions":{odd}}}"#)),
                [] as [Value; 0]
            );
        }
    }
}
