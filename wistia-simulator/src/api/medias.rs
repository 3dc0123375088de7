//! The list of medias, a media, its captions, and the medias that were deleted.

use serde_json::{Value, json};

use super::cursor::{self, Cursor};
use super::query::{Answer, Query, Refusal};
use crate::account::{Account, Media};
use crate::wire;

const KINDS: [&str; 7] =
    ["Video", "Audio", "Image", "PdfDocument", "MicrosoftOfficeDocument", "Swf", "UnknownType"];

/// The media of a hashed id.
pub(super) fn by_hashed_id(account: &Account, id: &str) -> Option<usize> {
    let is_it = |media: &Media| media.hashed_id == id && !media.vanished && media.deleted.is_none();
    account.medias.iter().position(is_it)
}

/// `/medias`.
pub(super) fn list(account: &Account, query: &Query) -> Answer {
    let archived = query.boolean("archived")?;
    let kind = query.choice("type", &KINDS)?;
    let cursor = Cursor::of(query)?;
    let known: &[&str] = match cursor {
        Some(_) => &["id", "created"],
        None => &["name", "created", "updated", "position"],
    };
    let (tags, ids) = (query.all("tags[]"), query.all("hashed_ids[]"));
    let project = query
        .get("project_id")
        .map(|id| account.projects.iter().position(|project| project.hashed_id == id));
    let (name, hashed_id) = (query.get("name"), query.get("hashed_id"));
    let fits = |media: &Media| {
        media.deleted.is_none()
            && archived.is_none_or(|archived| media.archived == archived)
            && kind.is_none_or(|kind| media.kind == kind)
            && project.is_none_or(|project| project.is_some() && media.project == project)
            && name.is_none_or(|name| media.name == name)
            && hashed_id.is_none_or(|id| media.hashed_id == id)
            && (ids.is_empty() || ids.contains(&media.hashed_id.as_str()))
            && tags.iter().all(|tag| media.tags.contains(tag))
    };
    let key = |media: &&Media, by: &str| match by {
        "name" => (0, media.name.clone()),
        "created" => (media.created.timestamp(), media.hashed_id.clone()),
        "updated" => (media.updated.timestamp(), media.hashed_id.clone()),
        _ => (media.id, String::new()),
    };
    let rows = query.sorted(account.medias.iter(), known, "id", key)?;
    let rows = match cursor {
        None => query.page(rows.filter(|media| fits(media)))?,
        Some(cursor) => {
            let id = |media: &&Media| media.id.to_string();
            cursor.page(rows.collect(), query.page_size()?, id, |media| fits(media))?
        }
    };
    let rows = rows.into_iter().map(|media| {
        let mut row = wire::media(account, media);
        if cursor.is_some() {
            row.insert("cursor".into(), json!(cursor::of_row(&media.id.to_string())));
        }
        Value::Object(row)
    });
    Ok(rows.collect())
}

/// `/medias/{id}`.
pub(super) fn show(account: &Account, id: &str) -> Answer {
    let index = by_hashed_id(account, id).ok_or(Refusal::NotFound)?;
    Ok(Value::Object(wire::media(account, &account.medias[index])))
}

/// `/medias/{id}/stats`.
pub(super) fn stats(account: &Account, id: &str) -> Answer {
    let index = by_hashed_id(account, id).ok_or(Refusal::NotFound)?;
    Ok(wire::media_stats(account, index))
}

/// `/medias/{id}/captions`: all of them.
pub(super) fn captions_of(account: &Account, id: &str) -> Answer {
    let index = by_hashed_id(account, id).ok_or(Refusal::NoStats)?;
    let captions = account.captions.iter().filter(|caption| caption.media == index);
    Ok(captions.map(wire::caption).collect())
}

/// `/captions`: page after page, and without the media that they belong to.
pub(super) fn captions(account: &Account, query: &Query) -> Answer {
    let of = query.get("media_id").map(|id| by_hashed_id(account, id));
    let fits = |media: usize| of.is_none_or(|of| of == Some(media));
    let rows = account.captions.iter().filter(|caption| fits(caption.media));
    Ok(query.page(rows)?.into_iter().map(wire::caption).collect())
}

/// `/deleted_media`: the newest first, unless told otherwise.
pub(super) fn deleted(account: &Account, query: &Query) -> Answer {
    let cursor = Cursor::of(query)?;
    let ids = query.all("hashed_ids[]");
    let fits = |media: &Media| ids.is_empty() || ids.contains(&media.hashed_id.as_str());
    let gone = account.medias.iter().filter(|media| media.deleted.is_some());
    let age = |media: &Media| media.deleted.map_or(0, |deleted| deleted.timestamp());
    let known = ["id", "deleted", "name", "type", "created"];
    let rows = query.sorted(gone, &known, "", |media, by| match by {
        "id" => (media.id, String::new()),
        "deleted" => (age(media), String::new()),
        "name" => (0, media.name.clone()),
        "type" => (media.id, media.kind.to_owned()),
        "created" => (media.created.timestamp(), String::new()),
        _ => (-age(media), String::new()),
    })?;
    let rows: Vec<&Media> = match cursor {
        None => query.page(rows.filter(|media| fits(media)))?,
        Some(cursor) => {
            let id = |media: &&Media| media.hashed_id.clone();
            cursor.page(rows.collect(), query.page_size()?, id, |media| fits(media))?
        }
    };
    let rows = rows.into_iter().map(|media| {
        let mut row = wire::deleted(account, media);
        let cursor = cursor.map(|_| cursor::of_row(&media.hashed_id));
        row.insert("cursor".into(), json!(cursor));
        Value::Object(row)
    });
    Ok(rows.collect())
}
