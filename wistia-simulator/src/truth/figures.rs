//! Figures of medias and of the account.

use serde_json::{Value, json};

use super::span::{Span, quotient};
use crate::account::{Account, Figures};

/// `fact_engagements`.
pub(super) fn lifetime(account: &Account, span: Span) -> Vec<Value> {
    let rows = span.medias(account).map(|(index, media)| {
        let all = account.lifetime(index);
        json!({"media_id": media.hashed_id, "date": span.sync.to_string(),
            "load_count": all.loads, "play_count": all.plays,
            "play_rate": quotient(all.unique_plays, all.unique_loads),
            "hours_watched": all.hours, "engagement": all.engagement.unwrap_or_default(),
            "visitors": all.visitors})
    });
    rows.collect()
}

/// `fact_media_actions`.
pub(super) fn actions(account: &Account, span: Span) -> Vec<Value> {
    let rows = span.medias(account).flat_map(|(index, media)| {
        account.actions(index).into_iter().map(move |action| {
            json!({"media_id": media.hashed_id, "date": span.sync.to_string(),
                "type": action.kind, "impression_count": action.impressions,
                "action_count": action.count, "rate": quotient(action.count, action.impressions)})
        })
    });
    rows.collect()
}

/// `fact_engagements_byday`.
pub(super) fn by_day(account: &Account, span: Span) -> Vec<Value> {
    let rows = span.medias(account).flat_map(|(index, media)| {
        span.days().map(move |day| {
            let Figures { loads, plays, hours, .. } = account.figures(index, day);
            json!({"media_id": media.hashed_id, "date": day.to_string(), "load_count": loads,
                "play_count": plays, "hours_watched": hours})
        })
    });
    rows.collect()
}

/// `fact_media_timeseries`: days on which a media was not loaded were not measured.
pub(super) fn measured(account: &Account, span: Span) -> Vec<Value> {
    let rows = span.medias(account).flat_map(|(index, media)| {
        span.days().map(move |day| {
            let of_day = Some(account.figures(index, day)).filter(|figures| figures.loads > 0);
            let count = |field: fn(&Figures) -> u64| of_day.as_ref().map(field);
            let shown = of_day.filter(|figures| figures.cta_impressions > 0);
            json!({
                "media_id": media.hashed_id,
                "date": day.to_string(),
                "played_time": count(|figures| figures.seconds),
                "plays": count(|figures| figures.plays),
                "unique_plays": count(|figures| figures.unique_plays),
                "unique_loads": count(|figures| figures.unique_loads),
                "unique_visitors": count(|figures| figures.visitors),
                "play_rate": of_day.map(|figures| quotient(figures.unique_plays, figures.unique_loads)),
                "engagement_rate": of_day.and_then(|figures| figures.engagement),
                "cta_impressions": count(|figures| figures.cta_impressions),
                "cta_conversions": count(|figures| figures.cta_conversions),
                "cta_conversion_rate": shown.map(|figures| quotient(figures.cta_conversions, figures.cta_impressions)),
                "form_conversions": count(|figures| figures.forms),
            })
        })
    });
    rows.collect()
}

/// `fact_engagement_graph`.
pub(super) fn graphs(account: &Account, span: Span) -> Vec<Value> {
    let rows = span.medias(account).map(|(index, media)| {
        let graph = account.graph(index);
        let watched: Vec<u64> = graph.iter().map(|(watched, _)| *watched).collect();
        let again: Vec<u64> = graph.iter().map(|(_, again)| *again).collect();
        json!({"media_id": media.hashed_id,
            "engagement": account.lifetime(index).engagement.unwrap_or_default(),
            "engagement_data": watched, "rewatch_data": again})
    });
    rows.collect()
}

/// `fact_engagement_graph_points`.
pub(super) fn points(account: &Account, span: Span) -> Vec<Value> {
    let rows = span.medias(account).flat_map(|(index, media)| {
        account.graph(index).into_iter().enumerate().map(|(position, (watched, again))| {
            json!({"media_id": media.hashed_id, "position": position, "engagement": watched,
                "rewatch": again})
        })
    });
    rows.collect()
}

/// `fact_account_byday`: the whole account, what has vanished included.
pub(super) fn account_by_day(account: &Account, span: Span) -> Vec<Value> {
    let rows = span.days().map(|day| {
        let (mut loads, mut plays, mut hours) = (0, 0, 0.0);
        for index in 0..account.medias.len() {
            let figures = account.figures(index, day);
            loads += figures.loads;
            plays += figures.plays;
            hours += figures.hours;
        }
        json!({"date": day.to_string(), "load_count": loads, "play_count": plays,
            "hours_watched": hours})
    });
    rows.collect()
}
