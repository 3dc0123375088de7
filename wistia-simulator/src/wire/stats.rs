//! Figures.

use chrono::{Duration, NaiveDate, NaiveTime};
use serde_json::{Value, json};

use super::form::{form, is_rare, plain, rate};
use crate::account::{Account, Figures};

/// The figures of a media since it was made.
pub fn lifetime(account: &Account, index: usize) -> Value {
    let sum = account.lifetime(index);
    let mut row = json!({
        "load_count": sum.loads, "play_count": sum.plays,
        "play_rate": plain(rate(sum.unique_plays, sum.unique_loads)),
        "hours_watched": plain(sum.hours), "engagement": plain(sum.engagement.unwrap_or(0.0)),
        "visitors": sum.visitors,
    });
    let actions = account.actions(index);
    if !actions.is_empty() || form(&account.medias[index].hashed_id, "actions", 2) == 0 {
        let actions = actions.into_iter().map(|action| {
            json!({"type": action.kind, "action_count": action.count,
                "impression_count": action.impressions,
                "rate": plain(rate(action.count, action.impressions))})
        });
        row["actions"] = actions.collect();
    }
    row
}

/// How a media was watched, second by second.
pub fn engagement(account: &Account, index: usize) -> Value {
    let (watched, again): (Vec<u64>, Vec<u64>) = account.graph(index).into_iter().unzip();
    let engagement = account.lifetime(index).engagement.unwrap_or(0.0);
    json!({"engagement": plain(engagement), "engagement_data": watched, "rewatch_data": again})
}

/// What the modern API measured on a day: the time is the account's midnight in UTC. Days on which
/// nothing was to be measured have nulls or nothing at all.
pub fn measured(hashed_id: &str, day: NaiveDate, zone: i64, figures: Figures) -> Value {
    let midnight = day.and_time(NaiveTime::MIN) - Duration::hours(zone);
    let date = midnight.date().to_string();
    // A space is no time as it is described, but it is seen.
    let between = if is_rare(hashed_id, &date) { ' ' } else { 'T' };
    let timestamp = format!("{date}{between}{}.000Z", midnight.time());
    if figures.loads == 0 {
        return match form(hashed_id, &timestamp, 3) {
            0 => json!({"timestamp": timestamp, "unique_loads": null, "unique_plays": null,
                "plays": null, "play_rate": null, "played_time": null, "unique_visitors": null,
                "engagement_rate": null, "cta_impressions": null, "cta_conversions": null,
                "cta_conversion_rate": null, "form_conversions": null}),
            _ => json!({"timestamp": timestamp}),
        };
    }
    let shown = figures.cta_impressions > 0;
    json!({"timestamp": timestamp, "unique_loads": figures.unique_loads,
        "unique_plays": figures.unique_plays, "plays": figures.plays,
        "play_rate": plain(rate(figures.unique_plays, figures.unique_loads)),
        "played_time": figures.seconds, "unique_visitors": figures.visitors,
        "engagement_rate": figures.engagement, "cta_impressions": figures.cta_impressions,
        "cta_conversions": figures.cta_conversions,
        "cta_conversion_rate": shown.then(|| plain(rate(figures.cta_conversions, figures.cta_impressions))),
        "form_conversions": figures.forms})
}

/// The figures of a day.
pub fn day(date: NaiveDate, figures: &Figures) -> Value {
    json!({"date": date.to_string(), "load_count": figures.loads, "play_count": figures.plays,
        "hours_watched": plain(figures.hours)})
}

/// The figures of several medias together.
pub fn sums(of: impl Iterator<Item = Figures>) -> Figures {
    of.fold(Figures::default(), |sum, media| Figures {
        loads: sum.loads + media.loads,
        plays: sum.plays + media.plays,
        hours: sum.hours + media.hours,
        ..sum
    })
}

/// The figures of a project or, without a number of medias, of the account.
pub fn project_stats(sum: &Figures, medias: Option<usize>) -> Value {
    let mut row = json!({"load_count": sum.loads, "play_count": sum.plays,
        "hours_watched": plain(sum.hours)});
    if let Some(medias) = medias {
        row["number_of_videos"] = json!(medias);
    }
    row
}
