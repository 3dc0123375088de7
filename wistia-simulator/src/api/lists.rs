//! Projects, channels, tags and the account.

use serde_json::{Value, json};

use super::query::{Answer, Query, Refusal};
use crate::account::{Account, Episode};
use crate::wire;

/// `/account`.
pub(super) fn account(account: &Account) -> Value {
    let medias = account.medias.iter().filter(|media| media.deleted.is_none()).count();
    json!({"id": 4242, "name": "Example Org", "url": "https://example.wistia.com",
        "mediaCount": medias, "videoLimit": 250, "projectCount": account.projects.len(),
        "channelCount": account.channels.len()})
}

/// `/projects`.
pub(super) fn projects(account: &Account, query: &Query) -> Answer {
    let ids = query.all("hashed_ids[]");
    let rows = (0..account.projects.len()).filter(|index| {
        ids.is_empty() || ids.contains(&account.projects[*index].hashed_id.as_str())
    });
    let known = ["name", "created", "updated", "mediaCount", "id"];
    let held =
        |index: usize| account.medias.iter().filter(|media| media.project == Some(index)).count();
    let rows = query.sorted(rows, &known, "id", |index, by| {
        let project = &account.projects[*index];
        match by {
            "name" => (0, project.name.to_owned()),
            "created" => (project.created.timestamp(), String::new()),
            "updated" => (project.updated.timestamp(), String::new()),
            "mediaCount" => (i64::try_from(held(*index)).unwrap_or(0), String::new()),
            _ => (project.id, String::new()),
        }
    })?;
    let rows = query.page(rows)?.into_iter();
    Ok(rows.map(|index| Value::Object(wire::project(account, index))).collect())
}

fn project(account: &Account, id: &str) -> Option<usize> {
    account.projects.iter().position(|project| project.hashed_id == id)
}

/// `/projects/{id}`: with its first medias, up to 500.
pub(super) fn project_show(account: &Account, id: &str, query: &Query) -> Answer {
    let index = project(account, id).ok_or(Refusal::NotFound)?;
    let first = usize::try_from(query.integer("page")?.unwrap_or(1)).unwrap_or(1).max(1) - 1;
    let medias = account.medias.iter();
    let medias = medias.filter(|media| media.deleted.is_none() && media.project == Some(index));
    let medias = medias.skip(first.saturating_mul(500)).take(500);
    let mut row = wire::project(account, index);
    let medias = medias.map(|media| Value::Object(wire::of_project(media)));
    row.insert("medias".into(), medias.collect());
    Ok(Value::Object(row))
}

/// `/projects/{id}/subfolders`.
pub(super) fn subfolders(account: &Account, id: &str, query: &Query) -> Answer {
    let index = project(account, id).ok_or(Refusal::NotFound)?;
    // Here alone are the bounds described.
    if query.integer("page")?.is_some_and(|page| page < 1) {
        return Err(Refusal::bad("page is less than 1"));
    }
    if query.integer("per_page")?.is_some_and(|size| !(1..=100).contains(&size)) {
        return Err(Refusal::bad("per_page is not between 1 and 100"));
    }
    let known = ["name", "created", "updated", "position", "id"];
    let rows = account.projects[index].subfolders.iter();
    let rows = query.sorted(rows, &known, "position", |subfolder, by| match by {
        "name" => (0, subfolder.name.unwrap_or_default().to_owned()),
        "created" | "updated" => (subfolder.created.timestamp(), String::new()),
        _ => (i64::try_from(subfolder.position).unwrap_or(0), String::new()),
    })?;
    Ok(query.page(rows)?.into_iter().map(wire::subfolder).collect())
}

/// `/channels`.
pub(super) fn channels(account: &Account, query: &Query) -> Answer {
    let ids = query.all("hashed_ids[]");
    let rows = (0..account.channels.len()).filter(|index| {
        ids.is_empty() || ids.contains(&account.channels[*index].hashed_id.as_str())
    });
    let rows = query.sorted(rows, &["created", "id", "updated", "name"], "id", |index, by| {
        let channel = &account.channels[*index];
        match by {
            "name" => (channel.id, channel.name.to_owned()),
            "created" => (channel.created.timestamp(), String::new()),
            "updated" => (channel.updated.timestamp(), String::new()),
            _ => (channel.id, String::new()),
        }
    })?;
    Ok(query.page(rows)?.into_iter().map(|index| wire::channel(account, index)).collect())
}

fn channel(account: &Account, id: &str) -> Option<usize> {
    account.channels.iter().position(|channel| channel.hashed_id == id)
}

/// `/channels/{id}`.
pub(super) fn channel_show(account: &Account, id: &str) -> Answer {
    let index = channel(account, id).ok_or(Refusal::NotFound)?;
    Ok(wire::channel(account, index))
}

/// `/channel_episodes`, and those of one channel.
pub(super) fn episodes(account: &Account, of: Option<&str>, query: &Query) -> Answer {
    let of = of.map(|id| channel(account, id).ok_or(Refusal::NotFound)).transpose()?;
    let published = query.boolean("published")?;
    let (medias, ids) = (query.all("media_id[]"), query.all("hashed_id[]"));
    let title = query.get("title");
    let media = |episode: &Episode| account.medias[episode.media].hashed_id.as_str();
    let fits = |episode: &&Episode| {
        of.is_none_or(|of| episode.channel == of)
            && published.is_none_or(|published| episode.published == published)
            && (medias.is_empty() || medias.contains(&media(episode)))
            && (ids.is_empty() || ids.contains(&episode.hashed_id.as_str()))
            && title.is_none_or(|title| episode.title.as_deref() == Some(title))
    };
    let known = ["position", "title", "created", "updated", "id"];
    let rows = account.episodes.iter().filter(fits);
    let rows = query.sorted(rows, &known, "id", |episode, by| match by {
        "title" => (0, episode.title.clone().unwrap_or_default()),
        "created" | "updated" => (episode.created.timestamp(), String::new()),
        // The number of an episode is not shown; they are made with their medias.
        _ => (0, String::new()),
    })?;
    let rows = query.page(rows)?.into_iter();
    Ok(rows.map(|episode| wire::episode(account, episode)).collect())
}

/// `/channels/{id}/channel_episodes/{id}`.
pub(super) fn episode_show(account: &Account, of: &str, id: &str) -> Answer {
    let of = channel(account, of).ok_or(Refusal::NotFound)?;
    let mut episodes = account.episodes.iter();
    let found = episodes.find(|episode| episode.channel == of && episode.hashed_id == id);
    found.map(|episode| wire::episode(account, episode)).ok_or(Refusal::NotFound)
}

/// `/tags`.
pub(super) fn tags(account: &Account, query: &Query) -> Answer {
    let known = ["name", "created", "updated", "taggingsCount"];
    let used =
        |name: &str| account.medias.iter().filter(|media| media.tags.contains(&name)).count();
    let rows = query.sorted(account.tags.iter(), &known, "created", |tag, by| match by {
        "name" => (0, tag.name.to_owned()),
        "updated" => (tag.updated.timestamp(), String::new()),
        "taggingsCount" => (i64::try_from(used(tag.name)).unwrap_or(0), String::new()),
        _ => (tag.created.timestamp(), String::new()),
    })?;
    Ok(query.page(rows)?.into_iter().map(|tag| wire::tag(account, tag)).collect())
}
