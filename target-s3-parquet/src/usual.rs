//! What is usual for a stream, and in what a run is unlike those before it.
//!
//! A rule must be one that a person can say, and must not cry wolf: weekends, streams that come on Mondays alone, the
//! first run with its years of rows and a night that failed are all among the runs before. So what is usual are the
//! middle half of them: a quarter may lie below, and a quarter above.

use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};
use lake::{Brought, History};
use program::words;
use serde::{Serialize, Serializer};

/// From so many runs on it is known what is usual: a week of nights.
const FEWEST_RUNS: usize = 7;

/// Records from which the share of nulls says something.
const FEWEST_RECORDS: u64 = 20;

/// By so much the share of nulls has to be more than it ever was.
const MORE_NULLS: f64 = 0.2;

/// By so many seconds the newest value has to be older than it ever was: an hour.
const LATER: i64 = 3600;

/// What is known of a run beside those before it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Compared {
    /// How many runs there were before.
    #[serde(rename = "runs_before")]
    pub(crate) runs: usize,
    /// The middle half of how many records they had, where there were enough of them.
    #[serde(rename = "records_usual", skip_serializing_if = "Option::is_none")]
    pub(crate) records: Option<(u64, u64)>,
    /// How old the newest value is, in seconds; nothing for one that is no date, or lies ahead.
    #[serde(rename = "newest_age_seconds", skip_serializing_if = "Option::is_none")]
    pub(crate) age: Option<i64>,
    /// In what this run is unlike them.
    #[serde(
        rename = "unusual",
        serialize_with = "sentences",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub(crate) oddities: Vec<Oddity>,
}

fn sentences<S: Serializer>(oddities: &[Oddity], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(oddities.iter().map(ToString::to_string))
}

/// In what a run is unlike those before it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Oddity {
    /// It had less than half, or more than twice as many records.
    Records {
        /// How many it had.
        records: u64,
        /// The middle half of the others.
        usual: (u64, u64),
        /// How many runs these were.
        runs: usize,
    },
    /// A column has no value in more of the records than ever.
    Nulls {
        /// The column.
        column: String,
        /// In so many.
        nulls: u64,
        /// Of so many.
        records: u64,
        /// The greatest part of the records of another run.
        before: f64,
        /// How many runs these were.
        runs: usize,
    },
    /// The newest value is older than it ever was.
    Old {
        /// The column.
        column: String,
        /// Its newest value.
        value: String,
        /// In seconds.
        age: i64,
        /// The greatest age after another run, in seconds.
        before: i64,
    },
}

impl fmt::Display for Oddity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Records { records, usual: (low, high), runs } => {
                let records = match records {
                    0 => "no record has come".to_owned(),
                    records => {
                        format!("{} have come", words::counted(*records, "record", "records"))
                    }
                };
                let (low, high) = (words::number(*low), words::number(*high));
                write!(
                    formatter,
                    "{records}, where half of the last {runs} runs had {low} to {high}"
                )
            }
            Self::Nulls { column, nulls, records, before, runs } => {
                let (nulls, records) =
                    (words::number(*nulls), words::counted(*records, "record", "records"));
                write!(formatter, "`{column}` has no value in {nulls} of {records}, ")?;
                if *before == 0.0 {
                    write!(formatter, "and had one in all of the last {runs} runs")
                } else {
                    write!(
                        formatter,
                        "and in at most {:.0} % of any of the last {runs} runs",
                        before * 100.0
                    )
                }
            }
            Self::Old { column, value, age, before } => write!(
                formatter,
                "the newest `{column}` is {value}, {} ago; after the runs before it was at most {} ago",
                time(*age),
                time(*before)
            ),
        }
    }
}

/// Compares what a run brought with what those before it did.
pub(crate) fn compare(history: &History, now: &Brought) -> Compared {
    let runs = history.runs.len();
    let age = age(now);
    let mut compared = Compared { runs, records: None, age, oddities: Vec::new() };
    if runs < FEWEST_RUNS {
        return compared;
    }
    let usual = middle(history.runs.iter().map(|run| run.records));
    compared.records = usual;
    compared.oddities.extend(usual.and_then(|usual| odd_records(history, now, usual)));
    let mut told: Vec<&str> = Vec::new();
    for (path, nulls) in &now.nulls {
        // Where a struct is missing its fields are, too.
        let is_told = told
            .iter()
            .any(|outer| path.strip_prefix(outer).is_some_and(|inner| inner.starts_with('.')));
        let odd = odd_nulls(history, path, *nulls, now.records).filter(|_| !is_told);
        told.extend(odd.as_ref().map(|_| path.as_str()));
        compared.oddities.extend(odd);
    }
    compared.oddities.extend(odd_age(history, now, age));
    compared
}

/// A quarter of the values is below the first, and a quarter above the second.
fn middle(values: impl Iterator<Item = u64>) -> Option<(u64, u64)> {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    let last = values.len().checked_sub(1)?;
    Some((*values.get(last / 4)?, *values.get(last - last / 4)?))
}

fn odd_records(history: &History, now: &Brought, usual: (u64, u64)) -> Option<Oddity> {
    let most = history.runs.iter().map(|run| run.records).max()?;
    let is_few = now.records < usual.0.div_ceil(2);
    let is_many = now.records > usual.1.saturating_mul(2) && now.records > most;
    let records = now.records;
    // Two where one is usual are nothing.
    let counts = records.abs_diff(if is_few { usual.0 } else { usual.1 }) >= FEWEST_RECORDS;
    ((is_few || is_many) && (counts || records == 0)).then_some(Oddity::Records {
        records,
        usual,
        runs: history.runs.len(),
    })
}

#[expect(clippy::cast_precision_loss, reason = "a share need not be exact")]
fn odd_nulls(history: &History, column: &str, nulls: u64, records: u64) -> Option<Oddity> {
    if nulls == 0 {
        return None;
    }
    let before: Vec<(u64, u64)> = history.nulls(column).collect();
    let (runs, of) = (before.len(), before.iter().map(|(_, records)| records).sum::<u64>());
    let share = |(nulls, records): (u64, u64)| nulls as f64 / records.max(1) as f64;
    let most = before.iter().copied().map(share).fold(0.0, f64::max);
    let is_new = most == 0.0 && of >= FEWEST_RECORDS;
    let is_more = records >= FEWEST_RECORDS && share((nulls, records)) > most + MORE_NULLS;
    (runs >= FEWEST_RUNS && (is_new || is_more)).then(|| Oddity::Nulls {
        column: column.to_owned(),
        nulls,
        records,
        before: most,
        runs,
    })
}

fn odd_age(history: &History, now: &Brought, age: Option<i64>) -> Option<Oddity> {
    let (newest, age) = (now.newest.as_ref()?, age?);
    let of_column =
        |run: &&Brought| run.newest.as_ref().is_some_and(|before| before.column == newest.column);
    let ages: Vec<i64> = history.runs.iter().filter(of_column).filter_map(self::age).collect();
    let before = ages.iter().copied().max()?;
    let is_old =
        ages.len() >= FEWEST_RUNS && age > before.saturating_mul(2) && age > before + LATER;
    is_old.then(|| Oddity::Old {
        column: newest.column.clone(),
        value: newest.value.clone(),
        age,
        before,
    })
}

/// How old the newest value was when a run ended, in seconds. A day begins at midnight of UTC.
fn age(run: &Brought) -> Option<i64> {
    let value = run.newest.as_ref()?.value.as_str();
    let ended = DateTime::parse_from_rfc3339(&run.at).ok()?.with_timezone(&Utc);
    let at = DateTime::parse_from_rfc3339(value).map(|at| at.with_timezone(&Utc)).ok();
    let at = at.or_else(|| {
        let day: NaiveDate = value.get(..10)?.parse().ok()?;
        (value.len() == 10).then(|| day.and_hms_opt(0, 0, 0)).flatten().map(|at| at.and_utc())
    })?;
    Some((ended - at).num_seconds()).filter(|age| *age >= 0)
}

/// A time in days, hours and minutes.
#[expect(clippy::cast_precision_loss, reason = "no age has so many seconds")]
pub(crate) fn time(seconds: i64) -> String {
    const DAY: i64 = 86_400;
    if seconds < 2 * DAY {
        return words::time(seconds as f64);
    }
    format!("{} d {} h", seconds / DAY, seconds % DAY / 3600)
}

#[cfg(test)]
mod tests {
    use lake::Newest;

    use super::*;

    fn run(records: u64, nulls: u64) -> Brought {
        let nulls = [("email".to_owned(), nulls)].into();
        Brought { at: "2026-11-20T03:00:00Z".into(), records, nulls, ..Brought::default() }
    }

    fn history(runs: impl IntoIterator<Item = Brought>) -> History {
        let mut history = History::none("t");
        runs.into_iter().for_each(|run| history.add(run, 14));
        history
    }

    fn told(history: &History, now: &Brought) -> Vec<String> {
        compare(history, now).oddities.iter().map(ToString::to_string).collect()
    }

    /// Two weeks with quiet weekends.
    fn nights() -> History {
        let week = [1000, 1100, 1050, 1020, 1080, 400, 350];
        history(week.into_iter().cycle().take(14).map(|records| run(records, 0)))
    }

    #[test]
    fn far_fewer_or_more_records_than_usual_are_told_and_a_weekend_is_not() {
        assert_eq!(compare(&nights(), &run(900, 0)).records, Some((400, 1080)));
        for records in [200, 350, 1000, 2000] {
            assert_eq!(told(&nights(), &run(records, 0)), [""; 0], "{records}");
        }
        let usual = "where half of the last 14 runs had 400 to 1,080";
        assert_eq!(told(&nights(), &run(0, 0)), [format!("no record has come, {usual}")]);
        assert_eq!(told(&nights(), &run(3000, 0)), [format!("3,000 records have come, {usual}")]);
    }

    #[test]
    fn neither_the_first_load_nor_a_night_that_failed_hides_what_is_odd() {
        let with =
            |odd: u64| history([odd].into_iter().chain([1000; 13]).map(|records| run(records, 0)));
        assert_eq!(told(&with(9_000_000), &run(100, 0)).len(), 1);
        assert_eq!(told(&with(0), &run(0, 0)).len(), 1);
    }

    #[test]
    fn streams_that_come_on_one_day_of_the_week_or_hardly_are_left_alone() {
        let mondays =
            history([5000, 0, 0, 0, 0, 0, 0].into_iter().cycle().take(14).map(|n| run(n, 0)));
        assert!(told(&mondays, &run(5000, 0)).is_empty() && told(&mondays, &run(0, 0)).is_empty());
        let few = history([3; 14].map(|records| run(records, 0)));
        assert!(told(&few, &run(9, 0)).is_empty() && told(&few, &run(1, 0)).is_empty());
        assert_eq!(told(&few, &run(0, 0)).len(), 1);
    }

    #[test]
    fn nothing_is_odd_before_it_is_known_what_is_usual() {
        let known = |runs| history(vec![run(1000, 0); runs]);
        assert_eq!(compare(&known(6), &run(0, 0)), Compared { runs: 6, ..Compared::default() });
        assert_eq!(told(&known(7), &run(0, 0)).len(), 1);
    }

    #[test]
    fn nulls_where_there_were_none_and_many_more_than_ever_are_told() {
        assert_eq!(
            told(&nights(), &run(1000, 3)),
            ["`email` has no value in 3 of 1,000 records, and had one in all of the last 14 runs"]
        );
        let some = history((0..14).map(|night| run(1000, 100 + night)));
        assert_eq!(told(&some, &run(1000, 310)), [""; 0]);
        assert_eq!(
            told(&some, &run(1000, 320)),
            [
                "`email` has no value in 320 of 1,000 records, and in at most 11 % of any of the last 14 runs"
            ]
        );
        let mut other = run(1000, 0);
        other.nulls = [("new".to_owned(), 1000)].into();
        assert_eq!(told(&nights(), &other), [""; 0], "a column that is new");
        let of_fields = |outer: u64, inner: u64| {
            let nulls = [("who", outer), ("who.age", inner), ("who.email", outer)];
            let nulls = nulls.map(|(path, nulls)| (path.to_owned(), nulls)).into();
            Brought { nulls, ..run(1000, 0) }
        };
        let whole = history((0..14).map(|_| of_fields(0, 0)));
        let of = |path: &str, nulls: u64| {
            format!(
                "`{path}` has no value in {nulls} of 1,000 records, and had one in all of the last 14 runs"
            )
        };
        assert_eq!(told(&whole, &of_fields(0, 7)), [of("who.age", 7)]);
        assert_eq!(told(&whole, &of_fields(5, 9)), [of("who", 5)], "its fields went with it");
    }

    #[test]
    fn a_newest_value_that_is_far_older_than_ever_is_told() {
        let at = |hours: i64, value: &str| {
            let ended: DateTime<Utc> = "2026-11-20T03:00:00Z".parse().unwrap();
            let at = (ended - chrono::TimeDelta::hours(hours)).to_rfc3339();
            let value = if value.is_empty() { at } else { value.to_owned() };
            let newest = Some(Newest { column: "received_at".into(), value });
            Brought { newest, ..run(1000, 0) }
        };
        let known = history([4, 5, 4, 3, 4, 9, 4].map(|hours| at(hours, "")));
        assert_eq!(compare(&known, &at(5, "")).age, Some(5 * 3600));
        assert!(told(&known, &at(17, "")).is_empty());
        assert_eq!(
            told(&known, &at(0, "2026-11-17T02:00:00Z")),
            [
                "the newest `received_at` is 2026-11-17T02:00:00Z, 3 d 1 h ago; after the runs before it was at most 9 h 0 min ago"
            ]
        );
        assert_eq!(compare(&known, &at(0, "2026-11-20")).age, Some(3 * 3600));
        for value in ["soon", "2026-11-21", "2026-11-20 yesterday"] {
            assert_eq!(compare(&known, &at(0, value)).age, None, "{value}");
        }
    }
}
