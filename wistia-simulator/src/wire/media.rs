//! A media.

use serde_json::{Map, Value, json};

use super::form::{form, is_rare, object, plain, rate, text, time};
use super::lists::subfolder;
use crate::account::{Account, Asset, Media, Project};

/// A file of a media or an event.
pub(super) fn asset(url: &str, asset: &Asset) -> Map<String, Value> {
    let mut row = object(json!({"url": url, "fileSize": asset.size,
        "contentType": asset.content_type, "type": asset.kind}));
    for (field, value) in [("width", asset.width), ("height", asset.height)] {
        if let Some(value) = value {
            row.insert(field.into(), json!(value));
        }
    }
    row
}

/// The project of a media. Its id has two spellings, and now and then both at once.
fn project(key: &str, project: &Project) -> Value {
    let mut row = object(json!({"id": project.id, "name": project.name}));
    let spelling = form(key, "project", 40);
    if spelling != 0 {
        row.insert("hashedId".into(), json!(project.hashed_id));
    }
    if spelling <= 1 {
        row.insert("hashed_id".into(), json!(project.hashed_id));
    }
    Value::Object(row)
}

/// A media as it stands in its project.
pub fn of_project(media: &Media) -> Map<String, Value> {
    let key = media.hashed_id.as_str();
    let mut row = object(json!({
        "id": media.id,
        "hashed_id": media.hashed_id,
        "name": media.name,
        "type": media.kind,
        "archived": media.archived,
        "created": time(media.created),
        "updated": time(media.updated),
        "status": media.status,
        "progress": plain(media.progress),
        "embedCode": "<script>/* deprecated */</script>",
    }));
    if let Some(duration) = media.duration {
        row.insert("duration".into(), plain(duration));
    }
    if let Some(section) = media.section {
        row.insert("section".into(), json!(section));
    }
    text(&mut row, key, "description", media.description.as_deref());
    if let Some((width, height)) = media.thumbnail {
        let url = format!("https://embed.example.com/deliveries/{key}.jpg");
        row.insert("thumbnail".into(), json!({"url": url, "width": width, "height": height}));
    } else if form(key, "thumbnail", 2) == 0 {
        row.insert("thumbnail".into(), json!({}));
    }
    row
}

/// A media, as the list has it.
pub fn media(account: &Account, media: &Media) -> Map<String, Value> {
    let key = media.hashed_id.as_str();
    let mut row = of_project(media);
    let of = media.project.map(|index| &account.projects[index]);
    match of {
        Some(of) => _ = row.insert("project".into(), project(key, of)),
        None if is_rare(key, "no project") => _ = row.insert("project".into(), Value::Null),
        None => {}
    }
    let held = of.zip(media.subfolder).and_then(|(of, index)| of.subfolders.get(index));
    match held {
        Some(held) => _ = row.insert("subfolder".into(), subfolder(held)),
        None if is_rare(key, "subfolder") => _ = row.insert("subfolder".into(), Value::Null),
        None => {}
    }
    let assets = media.assets.iter().enumerate().map(|(place, file)| {
        let url = format!("https://embed.example.com/deliveries/{key}-{place}.bin");
        let mut row = asset(&url, file);
        if let Some(height) = file.height.filter(|_| is_rare(&url, "height")) {
            row.insert("height".into(), json!(height.to_string()));
        }
        Value::Object(row)
    });
    row.insert("assets".into(), assets.collect());
    let bare = is_rare(key, "tags");
    let tags = media.tags.iter().map(|tag| if bare { json!(tag) } else { json!({"name": tag}) });
    row.insert("tags".into(), tags.collect());
    if form(key, "share_link", 20) == 0 {
        row.insert("share_link".into(), json!("https://example.com/share"));
    }
    row
}

/// The figures of a media in whole percents, under names of their own.
#[expect(clippy::cast_possible_truncation, reason = "percents")]
pub fn media_stats(account: &Account, index: usize) -> Value {
    let media = &account.medias[index];
    let sum = account.lifetime(index);
    let percent = |part: f64| (100.0 * part).round() as i64;
    json!({"id": media.id, "hashed_id": media.hashed_id, "name": media.name, "stats": {
        "pageLoads": sum.loads, "visitors": sum.visitors, "plays": sum.plays,
        "percentOfVisitorsClickingPlay": percent(rate(sum.unique_plays, sum.unique_loads)),
        "averagePercentWatched": percent(sum.engagement.unwrap_or(0.0)),
    }})
}
