//! Medias, what holds them, and what they are marked with.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::span::{Span, file, utc, with_offset};
use crate::account::{Account, Media};

/// `dim_media`. Of a deleted media Wistia tells no number any more, so that its row stays what it
/// was: `dim_deleted_media` says when it went.
pub(super) fn medias(account: &Account, span: Span) -> Vec<Value> {
    let row = |media: &Media| {
        let id = &media.hashed_id;
        let thumbnail = media.thumbnail.map(|(width, height)| {
            json!({"url": format!("https://embed.example.com/deliveries/{id}.jpg"), "width": width, "height": height})
        });
        let project = media.project.map(|index| &account.projects[index]);
        let subfolder = project.and_then(|project| Some(&project.subfolders[media.subfolder?]));
        let files = media.assets.iter().zip(0..);
        let assets: Vec<Value> =
            files.map(|(asset, number)| file(&format!("{id}-{number}.bin"), asset)).collect();
        json!({
            "id": media.id,
            "name": media.name,
            "type": media.kind,
            "archived": media.archived,
            "created": with_offset(media.created),
            "updated": with_offset(media.updated),
            "duration": media.duration,
            "hashed_id": media.hashed_id,
            "description": media.description,
            "progress": media.progress,
            "status": media.status,
            "thumbnail": thumbnail,
            "section": media.section,
            "project": project.map(|project| json!({"id": project.id, "name": project.name, "hashed_id": project.hashed_id})),
            "assets": assets,
            "tags": media.tags,
            "subfolder": subfolder.map(|subfolder| json!({
                "hashed_id": subfolder.hashed_id,
                "name": subfolder.name,
                "description": subfolder.description,
                "position": subfolder.position,
                "created": with_offset(subfolder.created),
                "updated": with_offset(subfolder.updated),
            })),
            "deleted_at": null,
        })
    };
    account.medias.iter().filter(|media| span.has(media)).map(row).collect()
}

/// `dim_deleted_media`.
pub(super) fn deleted(account: &Account) -> Vec<Value> {
    let gone = account.medias.iter().filter_map(|media| Some((media, media.deleted?)));
    let row = |(media, deleted): (&Media, chrono::DateTime<chrono::Utc>)| {
        let folder = media.project.map(|index| &account.projects[index]);
        let folder = folder.map(|of| json!({"hashed_id": of.hashed_id, "name": of.name}));
        json!({"hashed_id": media.hashed_id, "name": media.name, "type": media.kind,
            "duration": media.duration, "deleted_at": with_offset(deleted),
            "restore_expires_at": with_offset(deleted + TimeDelta::days(30)), "folder": folder})
    };
    gone.map(row).collect()
}

/// `dim_projects`.
pub(super) fn projects(account: &Account) -> Vec<Value> {
    let row = |(index, project): (usize, &crate::account::Project)| {
        let held = account.medias.iter().filter(|media| media.project == Some(index));
        json!({"id": project.id, "hashed_id": project.hashed_id, "name": project.name,
            "description": project.description,
            "media_count": held.filter(|media| media.deleted.is_none()).count(),
            "created": with_offset(project.created), "updated": with_offset(project.updated),
            "public": project.public_id.is_some()})
    };
    account.projects.iter().enumerate().map(row).collect()
}

/// `dim_channels`.
pub(super) fn channels(account: &Account) -> Vec<Value> {
    let mut shown = vec![BTreeSet::new(); account.channels.len()];
    for episode in &account.episodes {
        shown[episode.channel].insert(episode.media);
    }
    let rows = account.channels.iter().zip(shown).map(|(channel, medias)| {
        json!({"id": channel.id, "hashed_id": channel.hashed_id, "name": channel.name,
            "description": channel.description, "media_count": medias.len(),
            "created": with_offset(channel.created), "updated": with_offset(channel.updated)})
    });
    rows.collect()
}

/// `bridge_media_channel`, without the rules of a team: a media once in each channel, and published
/// where any of its episodes there is.
pub(super) fn bridge(account: &Account) -> Vec<Value> {
    let mut found = BTreeMap::new();
    for episode in &account.episodes {
        *found.entry((episode.media, episode.channel)).or_insert(false) |= episode.published;
    }
    let rows = found.into_iter().map(|((media, channel), published)| {
        let channel = &account.channels[channel];
        json!({"media_id": account.medias[media].hashed_id, "channel": channel.name,
            "source": "wistia", "channel_id": channel.hashed_id, "published": published})
    });
    rows.collect()
}

/// `dim_tags`.
pub(super) fn tags(account: &Account) -> Vec<Value> {
    let mut counts = BTreeMap::new();
    for media in account.medias.iter().filter(|media| media.deleted.is_none()) {
        for tag in &media.tags {
            *counts.entry(*tag).or_insert(0) += 1;
        }
    }
    let rows = account.tags.iter().map(|tag| {
        json!({"name": tag.name, "taggings_count": counts.get(tag.name).copied().unwrap_or(0),
            "created": with_offset(tag.created), "updated": with_offset(tag.updated)})
    });
    rows.collect()
}

/// `visitors`.
pub(super) fn visitors(account: &Account) -> Vec<Value> {
    let mut last = vec![None; account.visitors.len()];
    for event in &account.events {
        last[event.visitor] = Some(event);
    }
    let rows = account.visitors.iter().zip(last).map(|(visitor, last)| {
        let organisation = json!({"name": visitor.organisation.map(|(name, _)| name),
            "title": visitor.organisation.and_then(|(_, title)| title)});
        let identity = json!({"name": visitor.name, "email": i32::from(visitor.email.is_some()),
            "org": organisation});
        json!({
            "visitor_key": visitor.key,
            "created_at": utc(visitor.created),
            "last_active_at": last.map(|event| utc(event.received)),
            "last_event_key": last.map(|event| &event.key),
            "load_count": visitor.loads,
            "play_count": visitor.plays,
            "identifying_event_key": visitor.identified_by,
            "visitor_identity": identity,
            "user_agent_details": visitor.agent.map(super::span::agent),
        })
    });
    rows.collect()
}
