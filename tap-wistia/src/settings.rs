//! What the settings amount to on a day: checked, compiled, and the same for the whole run.

use chrono::NaiveDate;

use crate::config::{Config, Period};
use crate::error::Result;
use crate::privacy::Privacy;
use crate::rules::Rules;

/// The settings of a run.
#[derive(Debug)]
pub(crate) struct Settings {
    /// As the user wrote them.
    pub(crate) config: Config,
    /// The days that are read.
    pub(crate) period: Period,
    /// Treatment of personal data.
    pub(crate) privacy: Privacy,
    /// Rules for channels.
    pub(crate) rules: Rules,
}

impl Settings {
    /// Compiles settings, seen from `today` in UTC.
    pub(crate) fn new(config: Config, today: NaiveDate) -> Result<Self> {
        let period = config.period(today)?;
        let rules = Rules::new(&config.channel_rules)?;
        let privacy = Privacy::new(&config)?;
        Ok(Self { config, period, privacy, rules })
    }

    /// Whether the settings want what is about this media.
    pub(crate) fn wants_media(&self, hashed_id: &str) -> bool {
        let ids = &self.config.media_ids;
        ids.is_empty() || ids.iter().any(|id| id == hashed_id)
    }
}
