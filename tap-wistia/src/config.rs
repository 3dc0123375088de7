//! The tap's settings, declared once: `--about`, the settings schema and the documentation are made
//! from the doc comments below.

use chrono::{Days, NaiveDate};
use program::Secret;
use protocol::mapping::{Flattening, Mapper, StreamMaps};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Settings of `tap-wistia`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub(crate) struct Config {
    /// Access token of the Wistia account, with the permission "Read all data";
    /// `fact_media_timeseries` and `fact_account_byday` want "Read detailed stats" too. Account owners
    /// make one under Account > Settings > API Access.
    pub(crate) api_token: Secret,

    /// Base URL of the v1 API; it ends in `/v1`. By `http://` the token goes unencrypted.
    #[serde(default = "default_api_url")]
    #[schemars(extend("pattern" = "^https?://"))]
    pub(crate) api_url: String,

    /// First day of events and daily figures (YYYY-MM-DD). Default: two years ago, because Wistia
    /// keeps no older events.
    #[schemars(extend(
        "format" = "date",
        "pattern" = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
        "pattern_descriptor" = "YYYY-MM-DD",
        "examples" = ["2026-01-31"],
    ))]
    pub(crate) start_date: Option<String>,

    /// Last day (YYYY-MM-DD). Default: today.
    #[schemars(extend(
        "format" = "date",
        "pattern" = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
        "pattern_descriptor" = "YYYY-MM-DD",
        "examples" = ["2026-01-31"],
    ))]
    pub(crate) end_date: Option<String>,

    /// Days before the bookmark from which events are read again: plays grow while they are
    /// watched, and some arrive late.
    #[serde(default = "default_lookback_days")]
    pub(crate) lookback_days: u32,

    /// Days before the bookmark from which daily figures are read again: Wistia restates recent
    /// days.
    #[serde(default = "default_byday_lookback_days")]
    pub(crate) byday_lookback_days: u32,

    /// Channels of medias that Wistia does not know, such as `YouTube`, for `bridge_media_channel`: the
    /// first rule whose patterns all fit a media names its channel.
    #[serde(default)]
    pub(crate) channel_rules: Vec<ChannelRule>,

    /// Requests a minute at most. Wistia allows 600 for the whole account, other programs included.
    #[serde(default = "default_requests_per_minute")]
    #[schemars(range(min = 1))]
    pub(crate) requests_per_minute: u32,

    /// Requests in flight at most.
    #[serde(default = "default_concurrency")]
    #[schemars(range(min = 1, max = 64))]
    pub(crate) concurrency: usize,

    /// Seconds that one request may take.
    #[serde(default = "default_request_timeout_seconds")]
    #[schemars(range(min = 1))]
    pub(crate) request_timeout_seconds: u64,

    /// Seconds for which a failing request is tried again. Where the server asks to wait longer than
    /// that, it is not.
    #[serde(default = "default_retry_for_seconds")]
    pub(crate) retry_for_seconds: u64,

    /// Only these medias, by hashed id. Default: all.
    #[serde(default)]
    #[schemars(extend("examples" = [["abc123def4"]]))]
    pub(crate) media_ids: Vec<String>,

    /// Read archived medias too.
    #[serde(default = "default_include_archived")]
    pub(crate) include_archived: bool,

    /// What happens to personal data. `keep`: it stays as Wistia has it, but for email addresses, of which
    /// it is only told whether there is one; the queries of page addresses (`embed_url` may hold
    /// `?mail=…`) and the tokens of heatmap addresses stay too. `hash`: IP address, visitor key and name
    /// become HMACs with `personal_data_salt`, so that joins still work, and those queries and tokens are
    /// cut; organisation and title, city and coordinates stay. `drop`: as `hash`, and IP address, city,
    /// coordinates, organisation and the visitor's identity are null. Pseudonyms are personal data too.
    #[serde(default)]
    pub(crate) personal_data: PersonalData,

    /// Secret that goes into the hashes of personal data, of 16 bytes at least. Keep it: with another
    /// one, visitors are others.
    pub(crate) personal_data_salt: Option<Secret>,

    /// User agent of all requests. Default: name and version of the program.
    pub(crate) user_agent: Option<String>,

    /// Renames, drops, copies and filters streams and their properties, in the form of the Meltano
    /// SDK: `{"dim_media": {"title": "name", "name": "__NULL__"}}`.
    #[serde(default)]
    pub(crate) stream_maps: StreamMaps,

    /// Make the properties of objects properties of their own, such as `project__name`; arrays and
    /// what is deeper become JSON text.
    #[serde(default)]
    pub(crate) flattening_enabled: bool,

    /// Levels of nesting that become properties. Default: all.
    pub(crate) flattening_max_depth: Option<usize>,

    /// What stands between the names of a flattened property.
    #[serde(default = "default_flattening_separator")]
    pub(crate) flattening_separator: String,
}

/// A rule that names the channel of medias. Patterns are regular expressions that need to match
/// somewhere in the text; all that are given must fit.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub(crate) struct ChannelRule {
    /// Name of the channel.
    #[schemars(extend("examples" = ["YouTube"]))]
    pub(crate) channel: String,
    /// Pattern for the media's title.
    pub(crate) name: Option<String>,
    /// Pattern for its section.
    pub(crate) section: Option<String>,
    /// Pattern for the name of its project.
    pub(crate) project: Option<String>,
    /// Pattern for one of its tags.
    pub(crate) tag: Option<String>,
}

/// Treatment of personal data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PersonalData {
    /// As the API sends it.
    #[default]
    Keep,
    /// Pseudonyms in the place of identities.
    Hash,
    /// Nothing that points at a person or a place smaller than a region.
    Drop,
}

fn default_flattening_separator() -> String {
    Flattening::SEPARATOR.into()
}

fn default_api_url() -> String {
    "https://api.wistia.com/v1".into()
}

fn default_lookback_days() -> u32 {
    3
}

fn default_byday_lookback_days() -> u32 {
    14
}

fn default_requests_per_minute() -> u32 {
    600
}

fn default_concurrency() -> usize {
    8
}

fn default_request_timeout_seconds() -> u64 {
    60
}

fn default_retry_for_seconds() -> u64 {
    600
}

fn default_include_archived() -> bool {
    true
}

/// The days that a sync is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Period {
    /// First day.
    pub(crate) start: NaiveDate,
    /// Last day.
    pub(crate) end: NaiveDate,
    /// The UTC day on which the sync began.
    pub(crate) today: NaiveDate,
}

impl Period {
    /// The last day that records may be of. Where nothing ends the period, plays of the minutes
    /// after midnight belong to it.
    pub(crate) fn last(&self) -> NaiveDate {
        if self.end < self.today { self.end } else { NaiveDate::MAX }
    }
}

/// Bytes of a salt at least.
const SALT: usize = 16;

/// Days for which Wistia keeps events: the last two years, as `/stats/events` is documented.
const KEPT_DAYS: u64 = 730;

impl Config {
    /// Checks what the types cannot, and names the setting that is at fault.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let fault = |key: &'static str, reason: String| Err(Error::Setting { key, reason });
        if self.api_token.expose().trim().is_empty() {
            return fault("api_token", "it is empty".into());
        }
        if !self.api_token.expose().chars().all(|c| c.is_ascii_graphic()) {
            return fault(
                "api_token",
                "it has characters that no token has, such as spaces".into(),
            );
        }
        self.validate_url()?;
        if self.requests_per_minute == 0 {
            return fault("requests_per_minute", "it must be at least 1".into());
        }
        if !(1..=64).contains(&self.concurrency) {
            return fault("concurrency", format!("{} is not between 1 and 64", self.concurrency));
        }
        if self.request_timeout_seconds == 0 {
            return fault("request_timeout_seconds", "it must be at least 1".into());
        }
        let salt = self.personal_data_salt.as_ref().map(|salt| salt.expose().trim().len());
        match (self.personal_data, salt) {
            (PersonalData::Keep, _) => {}
            (PersonalData::Hash | PersonalData::Drop, None) => {
                let reason = format!("`personal_data` needs it: a secret of {SALT} bytes at least");
                return fault("personal_data_salt", reason);
            }
            // There are few IP addresses, so that a short salt is found by trying all with all.
            (PersonalData::Hash | PersonalData::Drop, Some(length)) if length < SALT => {
                let reason =
                    format!("it has {length} bytes; it needs {SALT} at least, of no words");
                return fault("personal_data_salt", reason);
            }
            (PersonalData::Hash | PersonalData::Drop, Some(_)) => {}
        }
        Ok(())
    }

    /// Checks where the API is, and warns of a way to it that others can read.
    fn validate_url(&self) -> Result<(), Error> {
        let fault = |reason: String| Err(Error::Setting { key: "api_url", reason });
        // Before it is known to be a URL: what is shown below must not hold a password.
        if self.api_url.contains('@') {
            return fault(
                "it holds a user or a password; the API takes `api_token` and nothing else".into(),
            );
        }
        match url::Url::parse(&self.api_url) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => {
                program::warn_of_plain_http("api_url", Some(&self.api_url), "the token goes");
                Ok(())
            }
            _ => fault(format!("`{}` is no http(s) URL", self.api_url)),
        }
    }

    /// How streams are mapped.
    pub(crate) fn mapper(&self) -> Mapper {
        let flattening = Flattening::of(
            self.flattening_enabled,
            self.flattening_max_depth,
            &self.flattening_separator,
        );
        Mapper::new(self.stream_maps.clone(), flattening)
    }

    /// The days to read, seen from `today`. The last one is never after it.
    pub(crate) fn period(&self, today: NaiveDate) -> Result<Period, Error> {
        let day = |key: &'static str, text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => parse_day(text).map(Some).ok_or_else(|| Error::Setting {
                key,
                reason: format!("`{text}` is no date; write YYYY-MM-DD"),
            }),
        };
        let start = day("start_date", &self.start_date)?
            .or_else(|| today.checked_sub_days(Days::new(KEPT_DAYS)))
            .unwrap_or(today);
        let end = day("end_date", &self.end_date)?.unwrap_or(today).min(today);
        if start > end {
            return Err(Error::Setting {
                key: "start_date",
                reason: format!("{start} is after the last day, {end}"),
            });
        }
        Ok(Period { start, end, today })
    }
}

/// A date, or the date of a time.
pub(crate) fn parse_day(text: &str) -> Option<NaiveDate> {
    let day = text.trim().get(..10)?;
    NaiveDate::parse_from_str(day, "%Y-%m-%d").ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn the_period_is_two_years_unless_the_settings_say_otherwise() {
        let today = NaiveDate::from_ymd_opt(2026, 11, 23).unwrap();
        let period = config(r#"{"api_token":"x"}"#).period(today).unwrap();
        assert_eq!((period.start.to_string(), period.end), ("2024-11-23".into(), today));
        let period = config(
            r#"{"api_token":"x","start_date":"2026-01-02T00:00:00Z","end_date":"2027-01-01"}"#,
        )
        .period(today)
        .unwrap();
        assert_eq!((period.start.to_string(), period.end), ("2026-01-02".into(), today));
        let error = config(r#"{"api_token":"x","start_date":"soon"}"#).period(today).unwrap_err();
        assert!(error.to_string().contains("`start_date`"), "{error}");
    }

    #[test]
    fn what_the_types_cannot_check_is_refused_with_its_key() {
        for (text, key) in [
            (r#"{"api_token":" "}"#, "api_token"),
            (r#"{"api_token":"x","api_url":"nowhere"}"#, "api_url"),
            (r#"{"api_token":"x","api_url":"https://u:p@api.wistia.com/v1"}"#, "api_url"),
            (r#"{"api_token":"x","concurrency":0}"#, "concurrency"),
            (r#"{"api_token":"x","personal_data":"hash"}"#, "personal_data_salt"),
            (
                r#"{"api_token":"x","personal_data":"drop","personal_data_salt":"  fifteen  bytes  "}"#,
                "personal_data_salt",
            ),
        ] {
            let error = config(text).validate().unwrap_err().to_string();
            assert!(error.contains(&format!("`{key}`")), "{error}");
        }
    }

    #[test]
    fn a_password_in_a_url_is_refused_and_not_shown() {
        for url in [
            "https://user:qzx@api.wistia.com/v1",
            "https://qzx@api.wistia.com/v1",
            "htps://user:qzx@api.wistia.com/v1",
            "user:qzx@api.wistia.com",
            "https://user:qzx@",
        ] {
            let config = config(&format!(r#"{{"api_token":"x","api_url":"{url}"}}"#));
            let error = config.validate().unwrap_err().to_string();
            assert!(error.contains("`api_url`") && !error.contains("qzx"), "{error}");
        }
    }

    #[test]
    fn what_arrives_after_midnight_belongs_to_a_period_that_nothing_ends() {
        let today = NaiveDate::from_ymd_opt(2026, 11, 23).unwrap();
        let open = config(r#"{"api_token":"x"}"#).period(today).unwrap();
        assert_eq!(open.last(), NaiveDate::MAX);
        let ended = config(r#"{"api_token":"x","end_date":"2026-11-22"}"#).period(today).unwrap();
        assert_eq!(ended.last(), ended.end);
        let backwards = r#"{"api_token":"x","start_date":"2026-11-23","end_date":"2026-11-22"}"#;
        let error = config(backwards).period(today).unwrap_err().to_string();
        assert!(error.contains("2026-11-23 is after the last day, 2026-11-22"), "{error}");
    }
}
