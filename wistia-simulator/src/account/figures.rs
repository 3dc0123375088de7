//! What is counted of a media. All of it comes from the account's seed, the media and the day.

use chrono::NaiveDate;

use super::hash::hash;

/// The figures of a media on a day, or of more days.
#[derive(Debug, Clone, Copy, Default)]
pub struct Figures {
    /// Loads.
    pub loads: u64,
    /// Plays.
    pub plays: u64,
    /// Hours watched, worked out from the plays as Wistia does.
    pub hours: f64,
    /// Visitors of the page on which it was.
    pub visitors: u64,
    /// Those who loaded it.
    pub unique_loads: u64,
    /// Those who played it.
    pub unique_plays: u64,
    /// Seconds watched, as measured.
    pub seconds: u64,
    /// Part that was watched on average, where it was played.
    pub engagement: Option<f64>,
    /// Times a call to action was shown.
    pub cta_impressions: u64,
    /// Times it was followed.
    pub cta_conversions: u64,
    /// Forms that were sent.
    pub forms: u64,
}

/// What visitors could do beside watching.
#[derive(Debug, Clone, Copy)]
pub struct Action {
    /// Kind.
    pub kind: &'static str,
    /// Times it was shown.
    pub impressions: u64,
    /// Times it was done.
    pub count: u64,
}

const ACTIONS: [&str; 3] = ["Call to Action", "Turnstile", "Annotation Link"];

/// The figures of a day, of which so many plays came later.
pub(super) fn of_day(seed: u64, media: usize, day: NaiveDate, later: u64) -> Figures {
    let number = hash((seed, media, day));
    let quiet = number % 10 < 3;
    let plays = if quiet { 0 } else { (number >> 8) % 40 } + later;
    let loads = if quiet { plays } else { plays + (number >> 16) % 100 };
    let unique_loads = loads - loads / 4;
    let impressions =
        if (number >> 24).is_multiple_of(3) { 0 } else { loads / 2 + (number >> 28) % 7 };
    Figures {
        loads,
        plays,
        hours: real(plays) * hours_a_play(seed, media),
        visitors: unique_loads - unique_loads / 6,
        unique_loads,
        unique_plays: plays - plays / 3,
        seconds: plays * (5 + hash((seed, media)) % 300) + (number >> 36) % (plays + 1),
        engagement: (plays > 0).then(|| part(number >> 12)),
        cta_impressions: if loads == 0 { 0 } else { impressions },
        cta_conversions: if loads == 0 { 0 } else { impressions * ((number >> 40) % 30) / 100 },
        forms: if plays == 0 { 0 } else { (number >> 44) % 5 },
    }
}

/// The figures of more than one day.
pub(super) fn sum(seed: u64, media: usize, days: impl Iterator<Item = Figures>) -> Figures {
    let mut sum = days.fold(Figures::default(), |sum, day| Figures {
        loads: sum.loads + day.loads,
        plays: sum.plays + day.plays,
        visitors: sum.visitors + day.visitors,
        unique_loads: sum.unique_loads + day.unique_loads,
        unique_plays: sum.unique_plays + day.unique_plays,
        seconds: sum.seconds + day.seconds,
        cta_impressions: sum.cta_impressions + day.cta_impressions,
        cta_conversions: sum.cta_conversions + day.cta_conversions,
        forms: sum.forms + day.forms,
        ..sum
    });
    sum.hours = real(sum.plays) * hours_a_play(seed, media);
    sum.engagement = (sum.plays > 0).then(|| part(hash((seed, media, "engagement"))));
    sum
}

/// What visitors of a media could do: none to three kinds of things.
pub(super) fn actions(seed: u64, media: usize, lifetime: &Figures) -> Vec<Action> {
    let kinds = hash((seed, media, "kinds")) % 4;
    let of_kind = |(place, kind): (u64, &'static str)| {
        let number = hash((seed, media, kind));
        let impressions = lifetime.plays / (place + 2) + number % 100;
        Action { kind, impressions, count: impressions * ((number >> 8) % 40) / 100 }
    };
    (0..kinds).zip(ACTIONS).map(of_kind).collect()
}

/// How often each of so many cells of a media was watched, and watched again. Some viewers leave in
/// the first seconds, some at the moments that lose them, and some stay to the end.
pub(super) fn graph(media: usize, cells: u64, plays: u64) -> Vec<(u64, u64)> {
    let leave = |cell: u64| match hash((media, cell, "leave")) {
        number if number % 50 == 0 => cells.midpoint(number % cells),
        number if cell < 10 => 8 + number % 8,
        number => 1 + number % 4,
    };
    let all = (0..cells).map(leave).sum::<u64>() + cells;
    let mut left = 0;
    (0..cells)
        .map(|cell| {
            let watching = plays * (all - left) / all;
            left += leave(cell);
            (watching, hash((media, cell)) % 50)
        })
        .collect()
}

fn hours_a_play(seed: u64, media: usize) -> f64 {
    real(1 + hash((seed, media)) % 1000) / 8192.0
}

/// A part of a whole that is neither nothing nor all.
fn part(number: u64) -> f64 {
    real(50_000 + number % 900_000) / 1_000_000.0
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn real(number: u64) -> f64 {
    number as f64
}
