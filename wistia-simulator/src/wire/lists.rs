//! What holds medias, and what is told of them beside figures.

use std::collections::HashSet;

use chrono::Duration;
use serde_json::{Map, Value, json};

use super::form::{object, text, time};
use crate::account::{Account, Caption, Episode, Media, Subfolder, Tag};

/// How many of the account's medias are there and fit.
fn count(account: &Account, fits: impl Fn(&Media) -> bool) -> usize {
    account.medias.iter().filter(|media| media.deleted.is_none() && fits(media)).count()
}

/// A project.
pub fn project(account: &Account, index: usize) -> Map<String, Value> {
    let project = &account.projects[index];
    let mut row = object(json!({
        "id": project.id, "name": project.name,
        "mediaCount": count(account, |media| media.project == Some(index)),
        "created": time(project.created), "updated": time(project.updated),
        "hashedId": project.hashed_id, "anonymousCanUpload": false,
        "anonymousCanDownload": false, "public": project.public_id.is_some(),
        "publicId": project.public_id,
    }));
    text(&mut row, &project.hashed_id, "description", project.description);
    row
}

/// A subfolder.
pub fn subfolder(subfolder: &Subfolder) -> Value {
    json!({"hashed_id": subfolder.hashed_id, "name": subfolder.name,
        "description": subfolder.description, "position": subfolder.position,
        "created": time(subfolder.created), "updated": time(subfolder.updated)})
}

/// A channel.
pub fn channel(account: &Account, index: usize) -> Value {
    let channel = &account.channels[index];
    let episodes = account.episodes.iter().filter(|episode| episode.channel == index);
    let medias: HashSet<usize> = episodes.map(|episode| episode.media).collect();
    json!({"id": channel.id, "hashedId": channel.hashed_id, "name": channel.name,
        "description": channel.description.unwrap_or(""),
        "mediaCount": medias.len(),
        "created": time(channel.created), "updated": time(channel.updated)})
}

/// An episode.
pub fn episode(account: &Account, episode: &Episode) -> Value {
    let mut row = json!({"hashedId": episode.hashed_id,
        "channelHashedId": account.channels[episode.channel].hashed_id,
        "mediaHashedId": account.medias[episode.media].hashed_id, "title": episode.title,
        "description": "", "summary": "Short.", "published": episode.published,
        "created": time(episode.created), "updated": time(episode.created + Duration::days(26))});
    if let Some(publish_at) = episode.publish_at {
        row["publish_at"] = json!(format!("{}", publish_at.format("%Y-%m-%dT%H:%M:%SZ")));
    }
    row
}

/// A tag.
pub fn tag(account: &Account, tag: &Tag) -> Value {
    json!({"name": tag.name, "taggingsCount": count(account, |media| media.tags.contains(&tag.name)),
        "created": time(tag.created), "updated": time(tag.updated)})
}

/// Captions.
pub fn caption(caption: &Caption) -> Value {
    json!({"id": caption.hashed_id, "language": caption.language, "english_name": caption.english,
        "native_name": caption.native, "is_draft": caption.text.is_none(), "text": caption.text})
}

/// A media that was deleted, as long as it may come back. It has no number.
pub fn deleted(account: &Account, media: &Media) -> Map<String, Value> {
    let folder = media.project.map(|index| {
        let project = &account.projects[index];
        json!({"hashed_id": project.hashed_id, "name": project.name})
    });
    let expires = media.deleted.map(|deleted| time(deleted + Duration::days(30)));
    object(json!({"hashed_id": media.hashed_id, "name": media.name, "type": media.kind,
        "duration": media.duration, "deleted_at": media.deleted.map(time),
        "restore_expires_at": expires, "folder": folder}))
}
