//! The documented endpoints, answered from the account.

mod analytics;
mod cursor;
mod lists;
mod medias;
mod query;
mod stats;

use crate::account::Account;

pub use query::{Answer, Query, Refusal};

/// Which of the two APIs is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Api {
    /// The one that never changes.
    V1,
    /// The one whose versions come and go: year and month.
    Modern(u16, u8),
}

/// The versions of the modern API.
const VERSIONS: [(u16, u8); 5] = [(2026, 1), (2026, 3), (2026, 5), (2026, 7), (2026, 9)];

impl Api {
    /// The modern API of the version that a request names.
    pub fn modern(version: Option<&str>) -> Result<Self, Refusal> {
        let version = version.ok_or_else(|| Refusal::bad("X-Wistia-API-Version is missing"))?;
        let known = VERSIONS.iter().find(|(year, month)| version == format!("{year}-{month:02}"));
        let (year, month) =
            known.ok_or_else(|| Refusal::bad("X-Wistia-API-Version names no version"))?;
        Ok(Self::Modern(*year, *month))
    }
}

/// Answers a path, given by its segments and without suffix.
pub fn answer(account: &Account, zone: i64, api: Api, path: &[&str], query: &Query) -> Answer {
    match api {
        Api::V1 => v1(account, zone, path, query),
        Api::Modern(..) => modern(account, zone, api, path, query),
    }
}

fn v1(account: &Account, zone: i64, path: &[&str], query: &Query) -> Answer {
    match path {
        ["account"] => Ok(lists::account(account)),
        ["medias"] => medias::list(account, query),
        ["medias", id] => medias::show(account, id),
        ["medias", id, "stats"] => medias::stats(account, id),
        ["medias", id, "captions"] => medias::captions_of(account, id),
        ["captions"] => medias::captions(account, query),
        ["projects"] => lists::projects(account, query),
        ["projects", id] => lists::project_show(account, id, query),
        ["projects", id, "subfolders"] => lists::subfolders(account, id, query),
        ["channels"] => lists::channels(account, query),
        ["channels", id] => lists::channel_show(account, id),
        ["channels", id, "channel_episodes"] => lists::episodes(account, Some(id), query),
        ["channels", of, "channel_episodes", id] => lists::episode_show(account, of, id),
        ["channel_episodes"] => lists::episodes(account, None, query),
        ["tags"] => lists::tags(account, query),
        ["stats", "account"] => Ok(stats::account(account)),
        ["stats", "projects", id] => stats::project(account, id),
        ["stats", "medias", id] => stats::lifetime(account, id),
        ["stats", "medias", id, "by_date"] => stats::by_date(account, id, query),
        ["stats", "medias", id, "engagement"] => stats::engagement(account, id),
        ["stats", "visitors"] => stats::visitors(account, query),
        ["stats", "visitors", key] => stats::visitor(account, key),
        ["stats", "events"] => stats::events(account, zone, query),
        ["stats", "events", key] => stats::event(account, key),
        _ => Err(Refusal::NotFound),
    }
}

/// Of the modern API only what v1 does not have is simulated.
fn modern(account: &Account, zone: i64, api: Api, path: &[&str], query: &Query) -> Answer {
    let since =
        |year, month| if api >= Api::Modern(year, month) { Ok(()) } else { Err(Refusal::NotFound) };
    match path {
        ["stats", "account", "by_date"] => {
            since(2026, 3)?;
            analytics::account_by_date(account, query)
        }
        ["analytics", "medias", id, "timeseries"] => {
            since(2026, 3)?;
            analytics::timeseries(account, id, zone, query)
        }
        ["deleted_media"] => {
            since(2026, 7)?;
            medias::deleted(account, query)
        }
        _ => Err(Refusal::NotFound),
    }
}

#[cfg(test)]
mod tests;
