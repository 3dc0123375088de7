//! Statistics of v1.

use std::collections::HashMap;

use chrono::{Days, Duration, NaiveDate};
use serde_json::Value;

use super::medias;
use super::query::{Answer, Query, Refusal};
use crate::account::{Account, Event, Visitor};
use crate::wire;

/// Days for which events are kept.
const KEPT_DAYS: u64 = 730;

/// The media of a hashed id or a number.
fn media(account: &Account, id: &str) -> Result<usize, Refusal> {
    let by_number = || {
        let hashed = account.medias.iter().find(|media| media.id.to_string() == id);
        medias::by_hashed_id(account, &hashed?.hashed_id)
    };
    medias::by_hashed_id(account, id).or_else(by_number).ok_or(Refusal::NoStats)
}

/// `/stats/account`.
pub(super) fn account(account: &Account) -> Value {
    let sum = wire::sums((0..account.medias.len()).map(|index| account.lifetime(index)));
    wire::project_stats(&sum, None)
}

/// `/stats/projects/{id}`, by a hashed id or a number.
pub(super) fn project(account: &Account, id: &str) -> Answer {
    let mut projects = account.projects.iter();
    let of = projects.position(|project| project.hashed_id == id || project.id.to_string() == id);
    let of = of.ok_or(Refusal::NoStats)?;
    let is_in = |index: &usize| {
        let media = &account.medias[*index];
        media.project == Some(of) && media.deleted.is_none()
    };
    let held: Vec<usize> = (0..account.medias.len()).filter(is_in).collect();
    let sum = wire::sums(held.iter().map(|index| account.lifetime(*index)));
    Ok(wire::project_stats(&sum, Some(held.len())))
}

/// `/stats/medias/{id}`.
pub(super) fn lifetime(account: &Account, id: &str) -> Answer {
    Ok(wire::lifetime(account, media(account, id)?))
}

/// `/stats/medias/{id}/engagement`.
pub(super) fn engagement(account: &Account, id: &str) -> Answer {
    Ok(wire::engagement(account, media(account, id)?))
}

/// `/stats/medias/{id}/by_date`: both days included; yesterday and today where none is named.
pub(super) fn by_date(account: &Account, id: &str, query: &Query) -> Answer {
    let index = media(account, id)?;
    let today = account.recipe.today;
    let yesterday = today.pred_opt().ok_or(Refusal::Broken)?;
    let start = query.day("start_date")?.unwrap_or(yesterday);
    let end = query.day("end_date")?.unwrap_or(today);
    let days = start.iter_days().take_while(|day| *day <= end);
    Ok(days.map(|day| wire::day(day, &account.figures(index, day))).collect())
}

/// `/stats/visitors`. Days and medias are no parameters of it.
pub(super) fn visitors(account: &Account, query: &Query) -> Answer {
    let kinds = ["has_name", "has_email", "identified_by_email_gate"];
    let filter = query.choice("filter", &kinds)?;
    let search = query.get("search");
    let fits = |visitor: &Visitor| {
        (match filter {
            Some("has_name") => visitor.name.is_some(),
            Some("has_email") => visitor.email.is_some(),
            Some(_) => visitor.identified_by.is_some(),
            None => true,
        }) && search.is_none_or(|words| {
            visitor.name.is_some_and(|name| name.contains(words))
                || visitor.email.as_ref().is_some_and(|email| email.contains(words))
        })
    };
    let known = (0..account.visitors.len()).filter(|index| fits(&account.visitors[*index]));
    let page = query.page(known)?;
    // Events are in order of time, so the last one of a visitor stays.
    let newest: HashMap<usize, &Event> =
        account.events.iter().map(|event| (event.visitor, event)).collect();
    let rows = page
        .into_iter()
        .map(|index| wire::visitor(&account.visitors[index], newest.get(&index).copied()));
    Ok(rows.collect())
}

/// `/stats/visitors/{key}`.
pub(super) fn visitor(account: &Account, key: &str) -> Answer {
    let index = account.visitors.iter().position(|visitor| visitor.key == key);
    let index = index.ok_or(Refusal::NoStats)?;
    let last = account.events.iter().rev().find(|event| event.visitor == index);
    Ok(wire::visitor(&account.visitors[index], last))
}

/// `/stats/events`: the newest first. Both days are included, and are days of the zone.
pub(super) fn events(account: &Account, zone: i64, query: &Query) -> Answer {
    let day = |name| query.day(name).map_err(|_| Refusal::BadDate);
    let (start, end) = (day("start_date")?, day("end_date")?);
    let of_media = query.get("media_id").map(|id| media(account, id).ok());
    let of_visitor = query.get("visitor_key");
    let kept =
        account.recipe.today.checked_sub_days(Days::new(KEPT_DAYS)).ok_or(Refusal::Broken)?;
    let date = |event: &Event| (event.received + Duration::hours(zone)).date_naive();
    let is_before = |event: &Event| {
        event.received.date_naive() < kept || start.is_some_and(|start| date(event) < start)
    };
    let end = end.unwrap_or(NaiveDate::MAX);
    let from = account.events.partition_point(is_before);
    let to = account.events.partition_point(|event| date(event) <= end).max(from);
    let rows = account.events[from..to]
        .iter()
        .rev()
        .filter(|event| of_media.is_none_or(|media| media == Some(event.media)))
        .filter(|event| of_visitor.is_none_or(|key| account.visitors[event.visitor].key == key));
    // Most events are one row, so that most of those before a page need not be written.
    let rows = rows.flat_map(|event| (0..wire::rows_of_event(event)).map(move |row| (event, row)));
    let rows = query.page(rows)?.into_iter();
    Ok(rows.map(|(event, row)| wire::event_row(account, event, row)).collect())
}

/// `/stats/events/{key}`.
pub(super) fn event(account: &Account, key: &str) -> Result<Value, Refusal> {
    let event = account.events.iter().find(|event| event.key == key);
    event.map(|event| wire::event(account, event)).ok_or(Refusal::NoStats)
}
