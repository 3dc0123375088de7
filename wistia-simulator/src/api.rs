//! The documented endpoints, answered from the account.

use chrono::{Days, NaiveDate};
use serde_json::{Value, json};

use crate::account::{Account, KEPT_DAYS, PROJECTS, rate};
use crate::wire;

/// The parameters of a request.
#[derive(Debug, Clone, Default)]
pub struct Query(pub Vec<(String, String)>);

impl Query {
    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn number(&self, name: &str) -> Option<usize> {
        self.get(name)?.parse().ok()
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// 404 with a JSON body.
    NotFound,
    /// 404 without a body, as all statistics answer.
    NoStats,
    /// 422.
    BadDate,
    /// 500.
    Broken,
}

/// Answers `path`, which has neither the version nor a suffix.
pub fn answer(account: &Account, zone: i64, path: &str, query: &Query) -> Result<Value, Refusal> {
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        ["medias"] => Ok(medias(account, query)),
        ["medias", id] => {
            let index = media(account, id).ok_or(Refusal::NotFound)?;
            Ok(wire::media(account, index, false))
        }
        ["stats", "medias", id] => {
            let index = media(account, id).ok_or(Refusal::NoStats)?;
            let sum = account.lifetime(index);
            let mut row = json!({
                "load_count": sum.loads, "play_count": sum.plays,
                "play_rate": wire::plain(rate(sum.loads, sum.plays)),
                "hours_watched": wire::plain(sum.hours), "engagement": 0.25, "visitors": sum.loads / 2,
            });
            if index % 3 == 0 {
                row["actions"] = json!([{"type": "Call to Action", "action_count": 12, "impression_count": 240, "rate": 0.05}]);
            }
            Ok(row)
        }
        ["stats", "medias", id, "by_date"] => {
            let index = media(account, id).ok_or(Refusal::NoStats)?;
            let yesterday = account.recipe.today.pred_opt().ok_or(Refusal::Broken)?;
            let (start, end) = dates(query, yesterday, account.recipe.today)?;
            let days = start.iter_days().take_while(|day| *day <= end);
            Ok(days.map(|day| wire::day(day, account.figures(index, day))).collect())
        }
        ["analytics", "medias", id, "timeseries"] => {
            let index = media(account, id).ok_or(Refusal::NoStats)?;
            let today = account.recipe.today;
            let (start, end) = dates(query, today, today)?;
            let days = start.iter_days().take_while(|day| *day < end);
            Ok(days.map(|day| wire::measured(day, zone, account.figures(index, day))).collect())
        }
        ["stats", "medias", id, "engagement"] => {
            let index = media(account, id).ok_or(Refusal::NoStats)?;
            let (watched, again): (Vec<u64>, Vec<u64>) = account.graph(index).into_iter().unzip();
            Ok(json!({"engagement": 0.25, "engagement_data": watched, "rewatch_data": again}))
        }
        ["stats", "events"] => events(account, zone, query),
        ["stats", "events", key] => {
            let event = account.events.iter().find(|event| event.key == *key);
            event.map(|event| wire::event(account, event)).ok_or(Refusal::NoStats)
        }
        ["stats", "visitors"] => {
            // Dates and medias are ignored, as the API does.
            let rows = (0..account.visitors.len()).map(|index| wire::visitor(account, index));
            Ok(page(rows, query))
        }
        ["stats", "account"] => {
            let sums = (0..account.medias.len()).map(|index| account.lifetime(index));
            let (loads, plays, hours) = sums.fold((0, 0, 0.0), |sum, media| {
                (sum.0 + media.loads, sum.1 + media.plays, sum.2 + media.hours)
            });
            Ok(json!({"load_count": loads, "play_count": plays, "hours_watched": hours}))
        }
        ["stats", "account", "by_date"] => {
            if query.get("start_date").is_none() {
                return Err(Refusal::Broken);
            }
            let today = account.recipe.today;
            let (start, end) = dates(query, today, today)?;
            let mut days: Vec<Value> = start
                .iter_days()
                .take_while(|day| *day <= end)
                .map(|day| {
                    let mut sum = account.figures(0, day);
                    for index in 1..account.medias.len() {
                        let figures = account.figures(index, day);
                        sum.loads += figures.loads;
                        sum.plays += figures.plays;
                        sum.hours += figures.hours;
                    }
                    wire::day(day, sum)
                })
                .collect();
            days.reverse();
            Ok(Value::Array(days))
        }
        ["projects"] => {
            let rows = PROJECTS.iter().enumerate().map(|(index, name)| {
                json!({"id": 7001 + index, "name": name, "description": "", "mediaCount": 12,
                    "created": "2023-01-01T00:00:00+00:00", "updated": "2026-06-30T21:15:42+00:00",
                    "hashedId": format!("projexmpl{index}"), "anonymousCanUpload": false,
                    "anonymousCanDownload": false, "public": false, "publicId": null})
            });
            Ok(page(rows, query))
        }
        ["channels"] => {
            let channel = json!({"id": 501, "hashedId": "chanexmpl1", "name": "Academy", "description": "",
                "mediaCount": 3, "created": "2025-02-03T04:05:06+00:00", "updated": "2026-02-03T04:05:06+00:00"});
            Ok(page([channel].into_iter(), query))
        }
        ["channel_episodes"] | ["channels", "chanexmpl1", "channel_episodes"] => {
            let rows = account.medias.iter().step_by(5).map(|media| {
                json!({"hashedId": format!("ep{}", media.hashed_id), "channelHashedId": "chanexmpl1",
                    "mediaHashedId": media.hashed_id, "title": null, "description": "", "summary": "Short.",
                    "published": true, "created": "2025-02-03T04:05:06+00:00", "updated": "2025-03-01T00:00:00+00:00"})
            });
            Ok(page(rows, query))
        }
        ["account"] => {
            Ok(json!({"id": 4242, "name": "Example Org", "url": "https://example.wistia.com",
            "mediaCount": account.medias.len(), "videoLimit": 250, "projectCount": PROJECTS.len(), "channelCount": 1}))
        }
        _ => Err(Refusal::NotFound),
    }
}

fn media(account: &Account, id: &str) -> Option<usize> {
    account
        .medias
        .iter()
        .position(|media| !media.vanished && (media.hashed_id == id || media.id.to_string() == id))
}

fn per_page(query: &Query) -> usize {
    query.number("per_page").unwrap_or(10).clamp(1, 100)
}

fn page(rows: impl Iterator<Item = Value>, query: &Query) -> Value {
    of_page(rows, query).collect()
}

fn of_page<T>(rows: impl Iterator<Item = T>, query: &Query) -> impl Iterator<Item = T> {
    let size = per_page(query);
    let first = (query.number("page").unwrap_or(1).max(1) - 1) * size;
    rows.skip(first).take(size)
}

fn dates(
    query: &Query,
    start: NaiveDate,
    end: NaiveDate,
) -> Result<(NaiveDate, NaiveDate), Refusal> {
    let day = |name: &str, default: NaiveDate| match query.get(name) {
        None => Ok(default),
        Some(text) => text
            .get(..10)
            .and_then(|text| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok())
            .ok_or(Refusal::BadDate),
    };
    Ok((day("start_date", start)?, day("end_date", end)?))
}

fn medias(account: &Account, query: &Query) -> Value {
    let archived = query.get("archived").map(|value| value == "true" || value == "1");
    let cursor = query.get("cursor[enabled]").is_some() || query.get("cursor[after]").is_some();
    let after = query
        .get("cursor[after]")
        .and_then(|cursor| cursor.strip_prefix('c')?.parse::<i64>().ok())
        .unwrap_or(0);
    let rows = account
        .medias
        .iter()
        .enumerate()
        .filter(|(_, media)| archived.is_none_or(|archived| media.archived == archived))
        .filter(|(_, media)| media.id > after)
        .map(|(index, _)| wire::media(account, index, cursor));
    page(rows, query)
}

fn events(account: &Account, zone: i64, query: &Query) -> Result<Value, Refusal> {
    let today = account.recipe.today;
    let oldest = today.checked_sub_days(Days::new(KEPT_DAYS)).ok_or(Refusal::Broken)?;
    let latest = today.checked_add_days(Days::new(2)).ok_or(Refusal::Broken)?;
    let (start, end) = dates(query, oldest, latest)?;
    let of_media = query.get("media_id").map(|id| media(account, id));
    let of_visitor = query.get("visitor_key");
    // Newest first.
    let rows = account
        .events_between(start, end, zone)
        .iter()
        .rev()
        .filter(|event| of_media.is_none_or(|media| media == Some(event.media)))
        .filter(|event| of_visitor.is_none_or(|key| account.visitors[event.visitor].key == key))
        .flat_map(|event| wire::rows_of_event(event).iter().map(move |row| (event, *row)));
    Ok(of_page(rows, query).map(|(event, row)| wire::row(account, event, row)).collect())
}
