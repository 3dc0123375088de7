//! What a lake was filled with, and how it writes what is true.

use chrono::{DateTime, NaiveDate, Timelike, Utc};
use serde_json::{Value, json};

use crate::account::{Account, Agent, Asset, Media};

/// What a lake was filled with.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// The first day.
    pub start: NaiveDate,
    /// The last day.
    pub end: NaiveDate,
    /// The day of the last sync.
    pub sync: NaiveDate,
    /// Whether it was first filled before medias were deleted, so that it holds them still.
    pub keeps_deleted: bool,
}

impl Span {
    /// Its days.
    pub(super) fn days(self) -> impl Iterator<Item = NaiveDate> {
        self.start.iter_days().take_while(move |day| *day <= self.end)
    }

    /// The medias that it holds figures of, with their indexes.
    pub(super) fn medias(self, account: &Account) -> impl Iterator<Item = (usize, &Media)> {
        let medias = account.medias.iter().enumerate();
        medias.filter(move |(_, media)| !media.vanished && self.has(media))
    }

    /// Whether it holds a media.
    pub(super) fn has(self, media: &Media) -> bool {
        self.keeps_deleted || media.deleted.is_none()
    }
}

/// A time to the second, with its offset.
pub(super) fn with_offset(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%S+00:00").to_string()
}

/// A time in UTC; what is less than a second is told where there is any.
pub(super) fn utc(time: DateTime<Utc>) -> String {
    let thousandths = time.nanosecond() / 1_000_000;
    let rest = if thousandths > 0 { format!(".{thousandths:03}") } else { String::new() };
    format!("{}{rest}Z", time.format("%Y-%m-%dT%H:%M:%S"))
}

/// So many of so many.
#[expect(clippy::cast_precision_loss, reason = "small numbers")]
pub(super) fn quotient(some: u64, all: u64) -> f64 {
    match all {
        0 => 0.0,
        all => some as f64 / all as f64,
    }
}

/// A file.
pub(super) fn file(name: &str, file: &Asset) -> Value {
    let url = ["https://embed.example.com/deliveries/", name].concat();
    json!({
        "url": url,
        "width": file.width,
        "height": file.height,
        "file_size": file.size,
        "content_type": file.content_type,
        "type": file.kind,
    })
}

/// A browser and its system.
pub(super) fn agent(agent: Agent) -> Value {
    json!({"browser": agent.browser, "browser_version": agent.version,
        "platform": agent.platform, "mobile": agent.mobile})
}
