//! Events, and those who watched.

use std::collections::{BTreeMap, HashMap};

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::span::{Span, agent, file, utc};
use crate::account::{Account, Event};

/// The events that Wistia still has and that are in the span, oldest first.
fn within(account: &Account, span: Span) -> impl Iterator<Item = &Event> {
    let oldest = account.recipe.today - TimeDelta::days(2 * 365);
    account.events.iter().filter(move |event| {
        let day = event.received.date_naive();
        day >= oldest && (span.start..=span.end).contains(&day)
    })
}

/// `fact_events`.
pub(super) fn events(account: &Account, span: Span) -> Vec<Value> {
    let mut rows = BTreeMap::new();
    for event in within(account, span) {
        let visitor = &account.visitors[event.visitor];
        let media = &account.medias[event.media];
        let id = &media.hashed_id;
        let town = visitor.town;
        let still = event.thumbnail.as_ref().map(|still| file(&format!("{id}-still.jpg"), still));
        let conversion = event.conversion.as_ref();
        let picture = [
            "https://api.wistia.com/v1/stats/events/",
            &event.key,
            "/iframe.html?public_token=simulated-public-token",
        ];
        let page = ["https://example.wistia.com/medias/", id].concat();
        let row = json!({
            "received_at": utc(event.received),
            "event_key": event.key,
            "region": town.map(|town| town.region),
            "city": town.map(|town| town.city),
            "lat": town.map(|town| town.lat),
            "lon": town.map(|town| town.lon),
            "org": town.map(|town| town.org),
            "email": i32::from(visitor.email.is_some()),
            "percent_viewed": event.percent_viewed,
            "embed_url": event.embed_url,
            "conversion_type": conversion.map(|conversion| conversion.kind),
            "iframe_heatmap_url": picture.concat(),
            "visitor_key": visitor.key,
            "user_agent_details": visitor.agent.map(agent),
            "media_id": id,
            "media_name": media.name,
            "media_url": page,
            "thumbnail": still,
            "country": town.map(|town| town.country),
            "is_new_lead": conversion.and_then(|conversion| conversion.is_new_lead),
        });
        rows.insert(&event.key, row);
    }
    rows.into_values().collect()
}

/// `dim_visitors`.
pub(super) fn visitors(account: &Account, span: Span) -> Vec<Value> {
    // Events are in order of time, so the last one of a visitor is the newest.
    let newest: HashMap<usize, &Event> =
        within(account, span).map(|event| (event.visitor, event)).collect();
    let mut rows: Vec<Value> = newest
        .into_keys()
        .map(|index| {
            let visitor = &account.visitors[index];
            let country = visitor.town.map(|town| town.country);
            json!({"visitor_id": visitor.key, "ip_address": visitor.ip, "country": country})
        })
        .collect();
    rows.sort_by(|a, b| a["visitor_id"].as_str().cmp(&b["visitor_id"].as_str()));
    rows
}
