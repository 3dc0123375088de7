//! What the modern API alone has.

use chrono::{Months, NaiveDate};
use serde_json::Value;

use super::medias;
use super::query::{Answer, Query, Refusal};
use crate::account::Account;
use crate::wire;

/// `/stats/account/by_date`: both days included, the newest first; yesterday and today where none
/// is named.
pub(super) fn account_by_date(account: &Account, query: &Query) -> Answer {
    let yesterday = account.recipe.today.pred_opt().ok_or(Refusal::Broken)?;
    let start = query.day("start_date")?.unwrap_or(yesterday);
    let end = query.day("end_date")?.unwrap_or(account.recipe.today);
    let days: Vec<NaiveDate> = start.iter_days().take_while(|day| *day <= end).collect();
    let of_day = |day: NaiveDate| {
        let medias = (0..account.medias.len()).map(|index| account.figures(index, day));
        wire::day(day, &wire::sums(medias))
    };
    Ok(days.into_iter().rev().map(of_day).collect())
}

/// `/analytics/medias/{id}/timeseries`: the last day is not included. Only days are simulated.
pub(super) fn timeseries(account: &Account, id: &str, zone: i64, query: &Query) -> Answer {
    let index = medias::by_hashed_id(account, id).ok_or(Refusal::NoStats)?;
    let mut wrong: Vec<String> = ["granularity", "start_date", "end_date"]
        .into_iter()
        .filter(|name| query.get(name).is_none_or(str::is_empty))
        .map(|name| format!("{name} is required"))
        .collect();
    let mut or_wrong = |checked: Result<Option<NaiveDate>, Refusal>| match checked {
        Ok(day) => day,
        Err(Refusal::Bad(reasons)) => {
            wrong.extend(reasons);
            None
        }
        Err(_) => None,
    };
    let start = or_wrong(query.day("start_date"));
    let end = or_wrong(query.day("end_date"));
    match query.get("granularity") {
        None | Some("" | "daily") => {}
        Some("weekly" | "monthly") => wrong.push("this granularity is not simulated".into()),
        Some(_) => wrong.push("granularity is not one of daily, weekly, monthly".into()),
    }
    let (Some(start), Some(end), true) = (start, end, wrong.is_empty()) else {
        return Err(Refusal::Bad(wrong));
    };
    if start.checked_add_months(Months::new(24)).is_some_and(|latest| end > latest) {
        return Err(Refusal::bad("the date range must not exceed 2 years"));
    }
    let hashed_id = &account.medias[index].hashed_id;
    let days = start.iter_days().take_while(|day| *day < end);
    let rows = days.map(|day| wire::measured(hashed_id, day, zone, account.figures(index, day)));
    Ok(rows.collect::<Value>())
}
