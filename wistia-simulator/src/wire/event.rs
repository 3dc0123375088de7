//! An event, and a visitor.

use serde_json::{Map, Value, json};

use super::form::{form, found, is_rare, moment, number, object, plain, text};
use super::media::asset;
use crate::account::{Account, Conversion, Event, Visitor};

/// An event.
pub fn event(account: &Account, event: &Event) -> Value {
    let key = event.key.as_str();
    let visitor = &account.visitors[event.visitor];
    let media = &account.medias[event.media];
    let mut row = object(json!({
        "received_at": moment(event.received),
        "event_key": event.key,
        "ip": visitor.ip,
        "percent_viewed": plain(event.percent_viewed),
        "iframe_heatmap_url": format!("https://api.wistia.com/v1/stats/events/{key}/iframe.html?public_token=simulated-public-token"),
        "visitor_key": visitor.key,
        "media_id": media.hashed_id,
        "media_name": media.name,
        "media_url": format!("https://example.wistia.com/medias/{}", media.hashed_id),
    }));
    let town = visitor.town.as_ref();
    found(&mut row, key, "country", town.map(|town| town.country));
    found(&mut row, key, "region", town.map(|town| town.region));
    found(&mut row, key, "city", town.map(|town| town.city));
    number(&mut row, key, "lat", town.map(|town| town.lat));
    number(&mut row, key, "lon", town.map(|town| town.lon));
    found(&mut row, key, "org", town.map(|town| town.org));
    match &visitor.email {
        None if form(key, "email", 3) != 0 => _ = row.insert("email".into(), Value::Null),
        email => text(&mut row, key, "email", email.as_deref()),
    }
    text(&mut row, key, "embed_url", event.embed_url.as_deref());
    conversion(&mut row, key, event.conversion.as_ref());
    agent(&mut row, key, visitor);
    if let Some(still) = &event.thumbnail {
        let url = format!("https://embed.example.com/deliveries/{}-still.jpg", media.hashed_id);
        let mut still = asset(&url, still);
        if is_rare(key, "case") {
            for (name, modern) in [("fileSize", "file_size"), ("contentType", "content_type")] {
                let value = still.remove(name).unwrap_or_default();
                still.insert(modern.into(), value);
            }
        }
        row.insert("thumbnail".into(), Value::Object(still));
    } else if form(key, "thumbnail", 10) == 0 {
        row.insert("thumbnail".into(), json!({}));
    }
    if form(key, "attributes", 50) == 0 {
        row.insert("attributes".into(), json!({"campaign": "spring"}));
    }
    Value::Object(row)
}

fn conversion(row: &mut Map<String, Value>, key: &str, conversion: Option<&Conversion>) {
    let Some(Conversion { kind, email, name, is_new_lead }) = conversion else {
        text(row, key, "conversion_type", None);
        match form(key, "conversion_data", 40) {
            0 => _ = row.insert("conversion_data".into(), json!("")),
            1..12 => {}
            _ => _ = row.insert("conversion_data".into(), json!({})),
        }
        return;
    };
    let kind = kind.parse::<u64>().map_or_else(|_| json!(kind), |number| json!(number));
    row.insert("conversion_type".into(), kind);
    let mut data = Map::new();
    if let Some(email) = email {
        data.insert("email".into(), json!(email));
    }
    if let Some((first, last)) = name {
        data.insert("first_name".into(), json!(first));
        data.insert("last_name".into(), json!(last));
    }
    if let Some(is_new) = is_new_lead {
        data.insert("is_new_lead".into(), json!(is_new));
    }
    if !data.is_empty() || form(key, "conversion_data", 2) == 0 {
        row.insert("conversion_data".into(), Value::Object(data));
    }
}

fn agent(row: &mut Map<String, Value>, key: &str, visitor: &Visitor) {
    match visitor.agent {
        Some(agent) => {
            let version = match agent.version.parse::<u64>() {
                Ok(version) if is_rare(key, "version") => json!(version),
                _ => json!(agent.version),
            };
            row.insert(
                "user_agent_details".into(),
                json!({"browser": agent.browser, "browser_version": version, "platform": agent.platform, "mobile": agent.mobile}),
            );
        }
        None if form(key, "agent", 2) == 0 => {
            row.insert("user_agent_details".into(), json!({}));
        }
        None => {}
    }
}

/// How many rows the list of events has for an event.
pub fn rows_of_event(event: &Event) -> usize {
    if form(&event.key, "row", 400) <= 1 { 2 } else { 1 }
}

/// A row of the list of events. Where there are two, the first one is empty, or the same event,
/// watched less.
pub fn event_row(account: &Account, event: &Event, row: usize) -> Value {
    if row + 1 == rows_of_event(event) {
        return self::event(account, event);
    }
    if form(&event.key, "row", 400) == 0 {
        return json!({});
    }
    let mut double = self::event(account, event);
    double["percent_viewed"] = json!(0);
    double
}

/// A visitor. The newest event is told apart from the visitor, because it is dear to look for.
pub fn visitor(visitor: &Visitor, last: Option<&Event>) -> Value {
    let key = visitor.key.as_str();
    let plays = match visitor.plays {
        plays if is_rare(key, "play_count") => json!(plays.to_string()),
        plays => json!(plays),
    };
    let name = match visitor.name {
        None if is_rare(key, "name") => Value::Null,
        name => json!(name.unwrap_or("")),
    };
    let (organisation, title) = visitor.organisation.unzip();
    let mut row = object(json!({
        "visitor_key": visitor.key,
        "created_at": moment(visitor.created),
        "last_active_at": last.map(|event| moment(event.received)),
        "last_event_key": last.map(|event| event.key.as_str()),
        "load_count": visitor.loads,
        "play_count": plays,
        "visitor_identity": {"name": name, "email": visitor.email, "org": {"name": organisation, "title": title.flatten()}},
    }));
    if visitor.identified_by.is_some() || form(key, "identifying_event_key", 3) != 0 {
        row.insert("identifying_event_key".into(), json!(visitor.identified_by));
    }
    agent(&mut row, key, visitor);
    Value::Object(row)
}
