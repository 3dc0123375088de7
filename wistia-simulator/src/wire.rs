//! How the API sends things: with empty strings for what is absent, numbers as strings, old and new
//! forms side by side. Which form a thing has depends on nothing but its key.

use chrono::{Duration, NaiveDate, NaiveTime, SecondsFormat};
use serde_json::{Map, Value, json};

use crate::account::{Account, DayFigures, Event, PROJECTS, TOWNS, Visitor, hash, rate};

/// One of so many forms.
fn form(key: &str, field: &str, forms: u64) -> u64 {
    hash((key, field)) % forms
}

/// Puts a text, or what the API sends where there is none.
fn text(row: &mut Map<String, Value>, key: &str, field: &str, value: Option<&str>) {
    match (value, form(key, field, 3)) {
        (Some(value), _) => _ = row.insert(field.into(), json!(value)),
        (None, 0) => _ = row.insert(field.into(), json!("")),
        (None, 1) => _ = row.insert(field.into(), Value::Null),
        (None, _) => {}
    }
}

/// Puts a number, now and then as a string.
fn number(row: &mut Map<String, Value>, key: &str, field: &str, value: Option<f64>) {
    match (value, form(key, field, 12)) {
        (Some(value), 0) => _ = row.insert(field.into(), json!(value.to_string())),
        (Some(value), _) => _ = row.insert(field.into(), plain(value)),
        (None, _) => text(row, key, field, None),
    }
}

/// A number as the API's own JSON has it: whole ones without a fraction.
#[expect(clippy::cast_possible_truncation, reason = "whole and small")]
pub fn plain(value: f64) -> Value {
    if value.fract() == 0.0 { json!(value as i64) } else { json!(value) }
}

fn object(fields: Value) -> Map<String, Value> {
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// A file of a media.
pub fn asset(hashed_id: &str, number: usize, snake: bool) -> Value {
    let url = format!("https://embed.example.com/deliveries/{hashed_id}-{number}.bin");
    let (size, kind) =
        (12_345_678 + number, if number == 0 { "OriginalFile" } else { "Mp3AudioFile" });
    if snake {
        return json!({"url": url, "width": if number == 0 { json!(1920) } else { Value::Null },
            "height": if number == 0 { json!(1080) } else { Value::Null },
            "file_size": size, "content_type": "video/mp4", "type": kind});
    }
    let mut row =
        object(json!({"url": url, "fileSize": size, "contentType": "video/mp4", "type": kind}));
    if number == 0 {
        row.insert("width".into(), json!(1920));
        row.insert("height".into(), json!("1080"));
    }
    Value::Object(row)
}

/// A media, as the list has it.
pub fn media(account: &Account, index: usize, cursor: bool) -> Value {
    let media = &account.medias[index];
    let key = media.hashed_id.as_str();
    let mut row = object(json!({
        "id": media.id,
        "hashed_id": media.hashed_id,
        "name": media.name,
        "type": media.kind,
        "archived": media.archived,
        "created": media.created,
        "updated": media.updated,
        "status": media.status,
        "progress": plain(media.progress),
        "subfolder": null,
        "embedCode": "<script>/* deprecated */</script>",
    }));
    number(&mut row, key, "duration", media.duration);
    text(&mut row, key, "description", media.description.as_deref());
    text(&mut row, key, "section", media.section);
    if media.thumbnail {
        row.insert(
            "thumbnail".into(),
            json!({"url": format!("https://embed.example.com/deliveries/{key}.jpg"), "width": 200, "height": 120}),
        );
    } else if form(key, "thumbnail", 2) == 0 {
        row.insert("thumbnail".into(), json!({}));
    }
    match media.project {
        Some(project) => _ = row.insert("project".into(), json!({"id": 7001 + project, "name": PROJECTS[project], "hashed_id": format!("projexmpl{project}")})),
        None if form(key, "project", 2) == 0 => _ = row.insert("project".into(), Value::Null),
        None => {}
    }
    let assets = (0..media.assets).map(|number| asset(key, number, false));
    row.insert("assets".into(), assets.collect());
    let tags = media.tags.iter().map(|tag| match form(key, "tags", 2) {
        0 => json!(tag),
        _ => json!({"name": tag}),
    });
    row.insert("tags".into(), tags.collect());
    if form(key, "share_link", 3) == 0 {
        row.insert("share_link".into(), json!("https://example.com/share"));
    }
    if cursor {
        row.insert("cursor".into(), json!(format!("c{}", media.id)));
    }
    Value::Object(row)
}

/// An event.
pub fn event(account: &Account, event: &Event) -> Value {
    let key = event.key.as_str();
    let visitor = &account.visitors[event.visitor];
    let media = &account.medias[event.media];
    let mut row = object(json!({
        "received_at": received_at(event),
        "event_key": event.key,
        "ip": visitor.ip,
        "percent_viewed": plain(event.percent_viewed),
        "iframe_heatmap_url": heatmap(event),
        "visitor_key": visitor.key,
        "media_id": media.hashed_id,
        "media_name": media.name,
        "media_url": format!("https://example.wistia.com/medias/{}", media.hashed_id),
    }));
    let town = visitor.town.map(|index| TOWNS[index]);
    text(&mut row, key, "country", town.map(|town| town.0));
    text(&mut row, key, "region", town.map(|town| town.1));
    text(&mut row, key, "city", town.map(|town| town.2));
    number(&mut row, key, "lat", town.map(|town| town.3));
    number(&mut row, key, "lon", town.map(|town| town.4));
    text(&mut row, key, "org", town.map(|town| town.5));
    text(&mut row, key, "email", visitor.email.as_deref());
    text(&mut row, key, "embed_url", event.embed_url.as_deref());
    match event.conversion_type {
        Some("7") => _ = row.insert("conversion_type".into(), json!(7)),
        other => text(&mut row, key, "conversion_type", other),
    }
    match form(key, "conversion_data", 4) {
        0 => _ = row.insert("conversion_data".into(), json!("")),
        1 => _ = row.insert("conversion_data".into(), json!({"email": "person@example.com"})),
        2 => _ = row.insert("conversion_data".into(), json!({})),
        _ => {}
    }
    agent(&mut row, key, visitor);
    if event.thumbnail {
        row.insert("thumbnail".into(), asset(&media.hashed_id, 0, form(key, "thumbnail", 2) == 0));
    } else if form(key, "thumbnail", 2) == 0 {
        row.insert("thumbnail".into(), json!({}));
    }
    if form(key, "attributes", 50) == 0 {
        row.insert("attributes".into(), json!({"campaign": "spring"}));
    }
    Value::Object(row)
}

fn agent(row: &mut Map<String, Value>, key: &str, visitor: &Visitor) {
    match visitor.agent {
        Some((browser, version, platform, mobile)) => {
            let version = match (form(key, "version", 3), version.parse::<u64>()) {
                (0, Ok(version)) => json!(version),
                _ => json!(version),
            };
            row.insert(
                "user_agent_details".into(),
                json!({"browser": browser, "browser_version": version, "platform": platform, "mobile": mobile}),
            );
        }
        None if form(key, "agent", 2) == 0 => {
            row.insert("user_agent_details".into(), json!({}));
        }
        None => {}
    }
}

/// The time of an event, with milliseconds or, where there are none, without.
pub fn received_at(event: &Event) -> String {
    let short = event.received.timestamp_subsec_millis() == 0;
    let format = if short { SecondsFormat::Secs } else { SecondsFormat::Millis };
    event.received.to_rfc3339_opts(format, true)
}

/// Where the picture of an event is.
pub fn heatmap(event: &Event) -> String {
    format!(
        "https://api.wistia.com/v1/stats/events/{}/iframe.html?public_token=simulated-public-token",
        event.key
    )
}

/// A row of the list of events.
#[derive(Debug, Clone, Copy)]
pub enum Row {
    /// The event.
    Event,
    /// The event again, watched less.
    Double,
    /// An empty row.
    Empty,
}

/// The rows that the list of events has for an event.
pub fn rows_of_event(event: &Event) -> &'static [Row] {
    match form(&event.key, "row", 400) {
        0 => &[Row::Empty, Row::Event],
        1 => &[Row::Double, Row::Event],
        _ => &[Row::Event],
    }
}

/// A row of the list of events.
pub fn row(account: &Account, event: &Event, row: Row) -> Value {
    match row {
        Row::Event => self::event(account, event),
        Row::Double => {
            let mut double = self::event(account, event);
            double["percent_viewed"] = json!(0);
            double
        }
        Row::Empty => json!({}),
    }
}

/// What the modern API measured on a day: the time is the account's midnight in UTC.
pub fn measured(day: NaiveDate, zone: i64, figures: DayFigures) -> Value {
    let midnight = day.and_time(NaiveTime::MIN) - Duration::hours(zone);
    let timestamp = format!("{}.000Z", midnight.format("%Y-%m-%d %H:%M:%S"));
    let DayFigures { loads, plays, hours } = figures;
    if plays == 0 {
        return json!({"timestamp": timestamp});
    }
    json!({"timestamp": timestamp, "unique_loads": loads / 2, "unique_plays": plays / 2, "plays": plays,
        "play_rate": rate(loads, plays), "played_time": hours * 1800.0,
        "unique_visitors": loads / 2, "engagement_rate": 0.25, "cta_impressions": 0, "cta_conversions": 0,
        "cta_conversion_rate": null, "form_conversions": 0})
}

/// The figures of a day.
pub fn day(date: NaiveDate, figures: DayFigures) -> Value {
    json!({
        "date": date.to_string(),
        "load_count": figures.loads,
        "play_count": figures.plays,
        "hours_watched": plain(figures.hours),
    })
}

/// A visitor.
pub fn visitor(account: &Account, index: usize) -> Value {
    let visitor = &account.visitors[index];
    let last = account.events.iter().rev().find(|event| event.visitor == index);
    let key = visitor.key.as_str();
    let mut row = object(json!({
        "visitor_key": visitor.key,
        "created_at": "2024-12-12T01:51:36Z",
        "last_active_at": last.map(received_at),
        "last_event_key": last.map(|event| event.key.as_str()),
        "load_count": 1 + index % 17,
        "play_count": (index % 17).to_string(),
        "identifying_event_key": null,
        "visitor_identity": {"name": visitor.name.unwrap_or(""), "email": visitor.email, "org": {"name": null, "title": null}},
    }));
    agent(&mut row, key, visitor);
    Value::Object(row)
}
