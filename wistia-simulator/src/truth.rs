//! The rows that a correct lake holds, made from the account and not from what the API sends.

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;
use serde_json::{Value, json};

use crate::account::{Account, DayFigures, PROJECTS, TOWNS, rate};
use crate::wire;

/// The days that a lake was filled with.
#[derive(Debug, Clone, Copy)]
pub struct Days {
    /// The first.
    pub start: NaiveDate,
    /// The last.
    pub end: NaiveDate,
    /// The day of the last sync.
    pub sync: NaiveDate,
}

/// The rows of a table, by key; nothing for a table that there is not.
pub fn rows(account: &Account, table: &str, days: Days) -> Option<Vec<Value>> {
    let medias = || account.medias.iter().enumerate().filter(|(_, media)| !media.vanished);
    Some(match table {
        "dim_media" => dim_media(account),
        "dim_visitors" => dim_visitors(account, days),
        "fact_events" => fact_events(account, days),
        "fact_engagements" => medias()
            .map(|(index, media)| {
                let sum = account.lifetime(index);
                json!({"media_id": media.hashed_id, "date": days.sync.to_string(),
                    "load_count": sum.loads, "play_count": sum.plays, "play_rate": rate(sum.loads, sum.plays),
                    "hours_watched": sum.hours, "engagement": 0.25, "visitors": sum.loads / 2})
            })
            .collect(),
        "fact_engagements_byday" => medias()
            .flat_map(|(index, media)| {
                days.start.iter_days().take_while(|day| *day <= days.end).map(move |day| {
                    let figures = account.figures(index, day);
                    json!({"media_id": media.hashed_id, "date": day.to_string(), "load_count": figures.loads,
                        "play_count": figures.plays, "hours_watched": figures.hours})
                })
            })
            .collect(),
        "fact_media_timeseries" => medias()
            .flat_map(|(index, media)| {
                days.start.iter_days().take_while(|day| *day <= days.end).map(move |day| {
                    let DayFigures { loads, plays, hours } = account.figures(index, day);
                    let seen = |value: Value| if plays > 0 { value } else { Value::Null };
                    json!({"media_id": media.hashed_id, "date": day.to_string(),
                        "played_time": seen(json!(hours * 1800.0)), "plays": seen(json!(plays)),
                        "unique_plays": seen(json!(plays / 2)), "unique_loads": seen(json!(loads / 2)),
                        "unique_visitors": seen(json!(loads / 2)), "play_rate": seen(json!(rate(loads, plays))),
                        "engagement_rate": seen(json!(0.25)), "cta_impressions": seen(json!(0)),
                        "cta_conversions": seen(json!(0)), "cta_conversion_rate": null,
                        "form_conversions": seen(json!(0))})
                })
            })
            .collect(),
        "fact_engagement_graph" => medias()
            .map(|(index, media)| {
                let (watched, again): (Vec<u64>, Vec<u64>) = account.graph(index).into_iter().unzip();
                json!({"media_id": media.hashed_id, "engagement": 0.25, "engagement_data": watched, "rewatch_data": again})
            })
            .collect(),
        "fact_engagement_graph_points" => medias()
            .flat_map(|(index, media)| {
                account.graph(index).into_iter().enumerate().map(|(position, (watched, again))| {
                    json!({"media_id": media.hashed_id, "position": position, "engagement": watched, "rewatch": again})
                })
            })
            .collect(),
        "fact_account_byday" => account_byday(account, days),
        "visitors" => (0..account.visitors.len()).map(|index| visitor(account, index)).collect(),
        "dim_projects" => PROJECTS
            .iter()
            .enumerate()
            .map(|(index, name)| {
                json!({"id": 7001 + index, "hashed_id": format!("projexmpl{index}"), "name": name, "description": null,
                    "media_count": 12, "created": "2023-01-01T00:00:00+00:00", "updated": "2026-06-30T21:15:42+00:00",
                    "public": false})
            })
            .collect(),
        "dim_channels" => vec![
            json!({"id": 501, "hashed_id": "chanexmpl1", "name": "Academy", "description": null, "media_count": 3,
                "created": "2025-02-03T04:05:06+00:00", "updated": "2026-02-03T04:05:06+00:00"}),
        ],
        "bridge_media_channel" => account
            .medias
            .iter()
            .step_by(5)
            .map(|media| json!({"media_id": media.hashed_id, "channel": "Academy", "source": "wistia"}))
            .collect(),
        _ => return None,
    })
}

fn account_byday(account: &Account, days: Days) -> Vec<Value> {
    days.start
        .iter_days()
        .take_while(|day| *day <= days.end)
        .map(|day| {
            let medias = (0..account.medias.len()).map(|index| account.figures(index, day));
            let (loads, plays, hours) = medias.fold((0, 0, 0.0), |(loads, plays, hours), media| {
                (loads + media.loads, plays + media.plays, hours + media.hours)
            });
            json!({"date": day.to_string(), "load_count": loads, "play_count": plays, "hours_watched": hours})
        })
        .collect()
}

fn visitor(account: &Account, index: usize) -> Value {
    let visitor = &account.visitors[index];
    let last = account.events.iter().rev().find(|event| event.visitor == index);
    let agent = visitor.agent.map(|(browser, version, platform, mobile)| {
        json!({"browser": browser, "browser_version": version, "platform": platform, "mobile": mobile})
    });
    json!({"visitor_key": visitor.key, "created_at": "2024-12-12T01:51:36Z",
        "last_active_at": last.map(wire::received_at), "last_event_key": last.map(|event| event.key.as_str()),
        "load_count": 1 + index % 17, "play_count": index % 17, "identifying_event_key": null,
        "visitor_identity": {"name": visitor.name, "email": i32::from(visitor.email.is_some()), "org": {"name": null, "title": null}},
        "user_agent_details": agent})
}

fn dim_media(account: &Account) -> Vec<Value> {
    let rows = account.medias.iter().map(|media| {
        let key = &media.hashed_id;
        let thumbnail = media.thumbnail.then(|| {
            json!({"url": format!("https://embed.example.com/deliveries/{key}.jpg"), "width": 200, "height": 120})
        });
        let project = media.project.map(|index| {
            json!({"id": 7001 + index, "name": PROJECTS[index], "hashed_id": format!("projexmpl{index}")})
        });
        let assets: Vec<Value> =
            (0..media.assets).map(|number| wire::asset(key, number, true)).collect();
        json!({"id": media.id, "name": media.name, "type": media.kind, "archived": media.archived,
            "created": media.created, "updated": media.updated, "duration": media.duration,
            "hashed_id": media.hashed_id, "description": media.description, "progress": media.progress,
            "status": media.status, "thumbnail": thumbnail, "section": media.section,
            "project": project, "assets": assets, "tags": media.tags})
    });
    rows.collect()
}

fn fact_events(account: &Account, days: Days) -> Vec<Value> {
    let mut rows = BTreeMap::new();
    for event in account.events_between(days.start, days.end, 0) {
        let visitor = &account.visitors[event.visitor];
        let media = &account.medias[event.media];
        let town = visitor.town.map(|index| TOWNS[index]);
        let agent = visitor.agent.map(|(browser, version, platform, mobile)| {
            json!({"browser": browser, "browser_version": version, "platform": platform, "mobile": mobile})
        });
        let row = json!({
            "received_at": wire::received_at(event),
            "event_key": event.key,
            "region": town.map(|town| town.1),
            "city": town.map(|town| town.2),
            "lat": town.map(|town| town.3),
            "lon": town.map(|town| town.4),
            "org": town.map(|town| town.5),
            "email": i32::from(visitor.email.is_some()),
            "percent_viewed": event.percent_viewed,
            "embed_url": event.embed_url,
            "conversion_type": event.conversion_type,
            "iframe_heatmap_url": wire::heatmap(event),
            "visitor_key": visitor.key,
            "user_agent_details": agent,
            "media_id": media.hashed_id,
            "media_name": media.name,
            "media_url": format!("https://example.wistia.com/medias/{}", media.hashed_id),
            "thumbnail": event.thumbnail.then(|| wire::asset(&media.hashed_id, 0, true)),
        });
        rows.insert(event.key.clone(), row);
    }
    rows.into_values().collect()
}

fn dim_visitors(account: &Account, days: Days) -> Vec<Value> {
    // Events are in order of time, so the last one of a visitor is the newest.
    let mut newest = HashMap::new();
    for event in account.events_between(days.start, days.end, 0) {
        newest.insert(event.visitor, event);
    }
    let mut rows: Vec<Value> = newest
        .into_keys()
        .map(|index| {
            let visitor = &account.visitors[index];
            let country = visitor.town.map(|index| TOWNS[index].0);
            json!({"visitor_id": visitor.key, "ip_address": visitor.ip, "country": country})
        })
        .collect();
    rows.sort_by(|a, b| a["visitor_id"].as_str().cmp(&b["visitor_id"].as_str()));
    rows
}
