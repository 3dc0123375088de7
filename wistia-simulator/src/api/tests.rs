use std::collections::HashSet;

use chrono::{Days, NaiveDate};
use serde_json::Value;

use super::*;
use crate::account::{Growth, Recipe};

const TODAY: &str = "2026-11-26";

fn account() -> Account {
    let today: NaiveDate = TODAY.parse().unwrap();
    Account::new(Recipe { seed: 7, medias: 30, events: 900, days: 700, today })
}

/// Answers a path with its query, as the version `modern` of the modern API where one is named.
fn ask(account: &Account, zone: i64, modern: Option<&str>, asked: &str) -> Answer {
    let (path, query) = asked.split_once('?').unwrap_or((asked, ""));
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let query = Query(pairs.map(|(name, value)| (name.into(), value.into())).collect());
    let api = modern.map_or(Ok(Api::V1), |version| Api::modern(Some(version)))?;
    answer(account, zone, api, &path.split('/').collect::<Vec<_>>(), &query)
}

fn v1(asked: &str) -> Answer {
    ask(&account(), 0, None, asked)
}

fn rows(answer: Answer) -> Vec<Value> {
    answer.unwrap().as_array().unwrap().clone()
}

/// The time of a row, which now and then has a space in it.
fn time(row: &Value) -> String {
    row["timestamp"].as_str().unwrap().replace(' ', "T")
}

/// A media that statistics are told of.
fn media(account: &Account) -> &str {
    &account.medias[0].hashed_id
}

#[test]
fn each_api_answers_its_own_paths_alone() {
    let account = account();
    let id = media(&account);
    for path in ["medias", "stats/events", "stats/visitors", "projects", "channels", "tags"] {
        assert!(ask(&account, 0, None, path).is_ok(), "{path}");
        assert_eq!(ask(&account, 0, Some("2026-03"), path), Err(Refusal::NotFound), "{path}");
    }
    let days = "start_date=2026-11-01&end_date=2026-11-03";
    for path in [
        format!("stats/account/by_date?{days}"),
        format!("analytics/medias/{id}/timeseries?{days}&granularity=daily"),
    ] {
        assert!(ask(&account, 0, Some("2026-03"), &path).is_ok(), "{path}");
        assert_eq!(ask(&account, 0, None, &path), Err(Refusal::NotFound), "{path}");
        assert_eq!(ask(&account, 0, Some("2026-01"), &path), Err(Refusal::NotFound), "{path}");
    }
    assert_eq!(ask(&account, 0, Some("2026-05"), "deleted_media"), Err(Refusal::NotFound));
    assert_eq!(rows(ask(&account, 0, Some("2026-07"), "deleted_media")).len(), 0);
    assert_eq!(v1("deleted_media"), Err(Refusal::NotFound));
}

#[test]
fn the_modern_api_wants_a_version_that_there_is() {
    assert_eq!(Api::modern(Some("2026-03")), Ok(Api::Modern(2026, 3)));
    for version in [None, Some(""), Some("2026-02"), Some("2026-3"), Some("edge"), Some("1")] {
        assert!(matches!(Api::modern(version), Err(Refusal::Bad(_))), "{version:?}");
    }
}

#[test]
fn what_the_description_refuses_is_refused() {
    for asked in [
        "medias?page=1&cursor[enabled]=1",
        "medias?page=2&cursor[after]=c90000001",
        "medias?cursor[after]=c1",
        "medias?sort_by=plays",
        "medias?sort_by=id",
        "medias?sort_by=name&cursor[enabled]=1",
        "medias?sort_direction=desc",
        "medias?per_page=abc",
        "medias?page=one",
        "medias?type=Film",
        "medias?archived=perhaps",
        "projects?sort_by=size",
        "projects/projexmpl0/subfolders?per_page=101",
        "projects/projexmpl0/subfolders?page=0",
        "channels?sort_by=mediaCount",
        "channel_episodes?published=maybe",
        "tags?sort_direction=2",
        "stats/visitors?filter=has_money",
        "stats/events?per_page=many",
    ] {
        assert!(matches!(v1(asked), Err(Refusal::Bad(_))), "{asked}: {:?}", v1(asked));
    }
    let account = account();
    let by_date = format!("stats/medias/{}/by_date?start_date=yesterday", media(&account));
    assert!(matches!(ask(&account, 0, None, &by_date), Err(Refusal::Bad(_))));
}

#[test]
fn what_the_description_does_not_know_is_ignored() {
    assert_eq!(v1("medias?colour=red&per_page=3"), v1("medias?per_page=3"));
    assert_eq!(v1("stats/visitors?start_date=never"), v1("stats/visitors"));
}

#[test]
fn a_day_of_events_that_is_none_is_unprocessable() {
    for day in ["2026-02-30", "26.11.2026", "", "2026-11-26T00:00:00Z"] {
        let asked = format!("stats/events?start_date={day}");
        assert_eq!(v1(&asked), Err(Refusal::BadDate), "{day}");
    }
    assert!(v1("stats/events?start_date=2026-11-01&end_date=2026-11-26").is_ok());
}

#[test]
fn a_timeseries_wants_all_three_parameters_and_names_those_that_lack() {
    let account = account();
    let path = format!("analytics/medias/{}/timeseries", media(&account));
    let reasons = |query: &str| match ask(&account, 0, Some("2026-03"), &format!("{path}?{query}"))
    {
        Err(Refusal::Bad(reasons)) => reasons,
        answer => panic!("{answer:?}"),
    };
    let lacking = ["granularity is required", "start_date is required", "end_date is required"];
    assert_eq!(reasons(""), lacking);
    assert_eq!(reasons("granularity=daily&start_date=2026-01-01"), lacking[2..]);
    let days = "start_date=2026-01-01&end_date=2026-01-02";
    assert_eq!(reasons(&format!("{days}&granularity=hourly")).len(), 1);
    assert_eq!(reasons(&format!("{days}&granularity=weekly")).len(), 1);
    assert_eq!(reasons("granularity=daily&start_date=x&end_date=2026-13-01").len(), 2);
    let nobody = "analytics/medias/nobody/timeseries";
    assert_eq!(ask(&account, 0, Some("2026-03"), nobody), Err(Refusal::NoStats));
}

#[test]
fn a_timeseries_ends_before_its_end_and_is_of_two_years_at_most() {
    let account = account();
    let path = format!("analytics/medias/{}/timeseries?granularity=daily", media(&account));
    let answer = |start: &str, end: &str| {
        ask(&account, 0, Some("2026-03"), &format!("{path}&start_date={start}&end_date={end}"))
    };
    let days = rows(answer("2026-11-24", "2026-11-26"));
    let times: Vec<String> = days.iter().map(time).collect();
    assert_eq!(times, ["2026-11-24T00:00:00.000Z", "2026-11-25T00:00:00.000Z"]);
    assert_eq!(rows(answer("2026-11-24", "2026-11-24")).len(), 0);
    assert_eq!(rows(answer("2024-11-26", "2026-11-26")).len(), 730);
    assert!(matches!(answer("2024-11-26", "2026-11-27"), Err(Refusal::Bad(_))));
}

#[test]
fn days_are_those_of_the_zone() {
    let account = account();
    let id = media(&account);
    let days = "granularity=daily&start_date=2026-11-24&end_date=2026-11-25";
    let path = format!("analytics/medias/{id}/timeseries?{days}");
    for (zone, time) in [(-10, "2026-11-24T10:00:00.000Z"), (13, "2026-11-23T11:00:00.000Z")] {
        let rows = rows(ask(&account, zone, Some("2026-03"), &path));
        assert_eq!(self::time(&rows[0]), time, "{zone}");
    }
    // Of a day that begins earlier, the evening belongs to the next one.
    let event = account.events.iter().find(|event| event.received.to_string().contains(" 23:"));
    let day = event.unwrap().received.date_naive();
    for (zone, after) in [(0, 0), (2, 1), (-10, 0)] {
        let day = day.checked_add_days(Days::new(after)).unwrap();
        let asked = format!("stats/events?per_page=100&start_date={day}&end_date={day}");
        let found = rows(ask(&account, zone, None, &asked));
        assert!(found.iter().any(|row| row["event_key"] == event.unwrap().key), "{zone}");
    }
}

#[test]
fn by_date_includes_its_last_day_and_is_of_two_days_unless_told() {
    let account = account();
    let path = format!("stats/medias/{}/by_date", media(&account));
    let dates = |query: &str| {
        let rows = rows(ask(&account, 0, None, &format!("{path}{query}")));
        rows.iter().map(|row| row["date"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(dates(""), ["2026-11-25", TODAY]);
    assert_eq!(dates("?start_date=2026-11-24&end_date=2026-11-25"), ["2026-11-24", "2026-11-25"]);
    // That of the account is the other way round.
    let all = rows(ask(&account, 0, Some("2026-03"), "stats/account/by_date"));
    assert_eq!((all.len(), &all[0]["date"]), (2, &Value::from(TODAY)));
}

#[test]
fn a_list_by_cursor_is_the_list_by_pages() {
    let account = account();
    let mut ids = Vec::new();
    let mut asked = "medias?per_page=7&cursor[enabled]=1".to_owned();
    loop {
        let page = rows(ask(&account, 0, None, &asked));
        let Some(last) = page.last() else { break };
        asked = format!("medias?per_page=7&cursor[after]={}", last["cursor"].as_str().unwrap());
        ids.extend(page.iter().map(|row| row["id"].as_i64().unwrap()));
    }
    let counted = rows(v1("medias?per_page=100"));
    assert!(counted.iter().all(|row| row.get("cursor").is_none()));
    assert_eq!(ids, counted.iter().map(|row| row["id"].as_i64().unwrap()).collect::<Vec<_>>());
    assert_eq!(ids.len(), 30);
}

#[test]
fn medias_are_sorted_and_picked_as_asked() {
    let names = |asked: &str| {
        let rows = rows(v1(asked));
        rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let mut sorted = names("medias?per_page=100");
    sorted.sort();
    assert_eq!(names("medias?per_page=100&sort_by=name"), sorted);
    sorted.reverse();
    assert_eq!(names("medias?per_page=100&sort_by=name&sort_direction=0"), sorted);
    let archived = rows(v1("medias?per_page=100&archived=true"));
    let others = rows(v1("medias?per_page=100&archived=false"));
    assert!(!archived.is_empty() && archived.iter().all(|row| row["archived"] == true));
    assert_eq!(archived.len() + others.len(), 30);
}

#[test]
fn a_deleted_media_leaves_the_list_and_its_statistics_for_the_deleted_ones() {
    let mut account = account();
    let id = account.medias[10].hashed_id.clone();
    assert!(account.delete(&id));
    assert!(!account.delete(&id), "it is gone");
    let listed = rows(ask(&account, 0, None, "medias?per_page=100"));
    assert!(listed.len() == 29 && listed.iter().all(|row| row["hashed_id"] != id));
    assert_eq!(ask(&account, 0, None, &format!("medias/{id}")), Err(Refusal::NotFound));
    assert_eq!(ask(&account, 0, None, &format!("stats/medias/{id}")), Err(Refusal::NoStats));
    let gone = rows(ask(&account, 0, Some("2026-07"), "deleted_media"));
    assert_eq!(gone.len(), 1);
    assert_eq!(gone[0]["hashed_id"], id);
    assert!(gone[0].get("id").is_none());
    assert!(gone[0]["deleted_at"].as_str().unwrap().starts_with(TODAY));
    let episodes = rows(ask(&account, 0, None, "channel_episodes?per_page=100"));
    assert!(episodes.iter().all(|row| row["mediaHashedId"] != id));
}

#[test]
fn medias_that_grow_are_made_today_and_were_not_watched_before() {
    let mut account = account();
    account.grow(&Growth { new_medias: 1, new_events: 50, late_events: 50, ..Growth::default() });
    let new = account.medias.last().unwrap();
    let listed = rows(ask(&account, 0, None, &format!("medias?hashed_id={}", new.hashed_id)));
    assert!(listed[0]["created"].as_str().unwrap().starts_with(TODAY));
    let yesterday = account.recipe.today.pred_opt().unwrap();
    assert_eq!(account.figures(30, yesterday).loads, 0);
    let watched = account.events.iter().filter(|event| event.media == 30);
    assert!(watched.clone().count() > 0);
    assert!(watched.into_iter().all(|event| event.received.date_naive() == account.recipe.today));
}

/// What a swap of two fields, or of a field and a constant, would not change is not tested at all.
#[test]
fn fields_that_could_be_taken_for_one_another_differ() {
    let account = account();
    let mut seen: HashSet<String> = HashSet::new();
    let mut actions = HashSet::new();
    for (index, media) in account.medias.iter().enumerate() {
        if media.vanished {
            continue;
        }
        let stats = ask(&account, 0, None, &format!("stats/medias/{}", media.hashed_id)).unwrap();
        seen.insert(stats["engagement"].to_string());
        actions.insert(stats["actions"].as_array().map_or(0, Vec::len));
        let all = account.lifetime(index);
        let counts = [all.loads, all.plays, all.unique_loads, all.unique_plays, all.visitors];
        assert_eq!(HashSet::from(counts).len(), 5, "{counts:?}");
        let calls = [all.cta_impressions, all.cta_conversions, all.forms];
        assert!(calls.iter().all(|count| *count > 0) && HashSet::from(calls).len() == 3);
    }
    assert_eq!(seen.len(), 29, "one has vanished");
    assert_eq!(actions, HashSet::from([0, 1, 2, 3]));
}

#[test]
fn the_described_form_is_the_usual_one_and_the_known_others_are_seen() {
    let account = Account::new(Recipe { medias: 600, events: 6000, ..account().recipe });
    let mut rows_of = Vec::new();
    for page in 1..=6 {
        let asked = format!("medias?per_page=100&page={page}");
        rows_of.extend(rows(ask(&account, 0, None, &asked)));
    }
    let heights = rows_of.iter().flat_map(|row| row["assets"].as_array().unwrap());
    let heights: Vec<&Value> = heights.filter_map(|asset| asset.get("height")).collect();
    assert_rare(heights.iter().filter(|height| height.is_string()).count(), heights.len());
    let projects = rows_of.iter().map(|row| &row["project"]).filter(|project| project.is_object());
    let projects: Vec<&Value> = projects.collect();
    let with = |name: &str| projects.iter().filter(|row| row.get(name).is_some()).count();
    assert_rare(projects.len() - with("hashedId"), projects.len());
    assert!(with("hashedId") + with("hashed_id") > projects.len(), "some have both");
    let folders = rows_of.iter().filter(|row| row["subfolder"].is_object()).count();
    assert!(folders > 60 && folders < 540, "{folders}");
    let visitors: Vec<Value> = (1..=9)
        .flat_map(|page| {
            rows(ask(&account, 0, None, &format!("stats/visitors?per_page=100&page={page}")))
        })
        .collect();
    let texts = visitors.iter().filter(|row| row["play_count"].is_string()).count();
    assert_rare(texts, visitors.len());
    assert!(visitors.iter().any(|row| row["identifying_event_key"].is_string()));
}

fn assert_rare(some: usize, all: usize) {
    assert!(some > 0 && some * 12 < all, "{some} of {all}");
}

#[test]
fn channels_share_a_name_and_some_episodes_are_not_to_be_seen() {
    let channels = rows(v1("channels"));
    let names: HashSet<&str> = channels.iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert!(names.len() < channels.len());
    let episodes = rows(v1("channel_episodes?per_page=100"));
    let published = episodes.iter().filter(|row| row["published"] == true).count();
    assert!(published > 0 && published < episodes.len());
    assert_eq!(episodes.iter().filter(|row| row.get("publish_at").is_some()).count(), 1);
    let pairs: HashSet<_> = episodes
        .iter()
        .map(|row| (row["channelHashedId"].to_string(), row["mediaHashedId"].to_string()))
        .collect();
    assert!(pairs.len() < episodes.len(), "a media is twice in a channel");
}
