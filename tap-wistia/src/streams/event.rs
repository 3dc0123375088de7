//! `fact_events` and `dim_visitors`: views and who watched, from `/stats/events`.

use std::hash::Hash;

use chrono::{DateTime, Utc};
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::media::Asset;
use crate::clean::{self, Spelling};
use crate::client::{Request, Resource};
use crate::error::Result;
use crate::output::Output;
use crate::pages::Listed;
use crate::privacy::{self, Privacy};
use crate::read::{Endpoint, EventRow, Events, Read};
use crate::stream::{Stream, schema};

/// The events of the whole account, of the last two years: <https://docs.wistia.com/docs/stats-api>.
pub(super) static ENDPOINT: Endpoint =
    Endpoint { streams: &[&FACT_EVENTS, &DIM_VISITORS], read: Read::Events(Events::of::<Event>()) };

static FACT_EVENTS: Stream = Stream {
    name: "fact_events",
    keys: &["event_key"],
    replication_key: Some("received_at"),
    selected_by_default: true,
    masked: &["embed_url", "iframe_heatmap_url", "visitor_key"],
    schema: schema::<Event>,
};

static DIM_VISITORS: Stream = Stream {
    name: "dim_visitors",
    keys: &["visitor_id"],
    replication_key: None,
    selected_by_default: true,
    masked: &["ip_address", "visitor_id"],
    schema: schema::<VisitorOfEvent<'static>>,
};

/// A view of a media by a visitor.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
struct Event {
    /// When it began (UTC).
    #[serde(default, deserialize_with = "clean::text")]
    received_at: Option<String>,
    /// Id of the event.
    #[serde(deserialize_with = "clean::key")]
    event_key: String,
    /// Region of the visitor.
    #[serde(default, deserialize_with = "clean::text")]
    region: Option<String>,
    /// City of the visitor.
    #[serde(default, deserialize_with = "clean::text")]
    #[schemars(extend("x-personal" = true))]
    city: Option<String>,
    /// Latitude in degrees; null where unknown.
    #[serde(default, deserialize_with = "clean::double")]
    #[schemars(extend("x-personal" = true))]
    lat: Option<f64>,
    /// Longitude in degrees; null where unknown.
    #[serde(default, deserialize_with = "clean::double")]
    #[schemars(extend("x-personal" = true))]
    lon: Option<f64>,
    /// Organisation of the visitor's network.
    #[serde(default, deserialize_with = "clean::text")]
    #[schemars(extend("x-personal" = true))]
    org: Option<String>,
    /// 1 where the visitor's email address is known to Wistia, else 0.
    #[serde(default, deserialize_with = "clean::presence")]
    #[schemars(range(min = 0, max = 1))]
    email: i32,
    /// Part of the media that was watched, from 0 to 1. It may grow for a while.
    #[serde(default, deserialize_with = "clean::double")]
    percent_viewed: Option<f64>,
    /// Page on which the media was watched.
    #[serde(default, deserialize_with = "clean::text")]
    #[schemars(extend("x-personal" = true))]
    embed_url: Option<String>,
    /// Kind of conversion, where there was one.
    #[serde(default, deserialize_with = "clean::text")]
    conversion_type: Option<String>,
    /// Picture of what was watched.
    #[serde(default, deserialize_with = "clean::text")]
    #[schemars(extend("x-personal" = true))]
    iframe_heatmap_url: Option<String>,
    /// Id of the visitor.
    #[serde(default, deserialize_with = "clean::text")]
    #[schemars(extend("x-personal" = true))]
    visitor_key: Option<String>,
    /// Browser and system of the visitor.
    #[serde(default, deserialize_with = "clean::object")]
    user_agent_details: Option<UserAgent>,
    /// Hashed id of the media.
    #[serde(default, deserialize_with = "clean::text")]
    media_id: Option<String>,
    /// Title of the media.
    #[serde(default, deserialize_with = "clean::text")]
    media_name: Option<String>,
    /// Page of the media.
    #[serde(default, deserialize_with = "clean::text")]
    media_url: Option<String>,
    /// Still image of the media.
    #[serde(default, deserialize_with = "clean::object")]
    thumbnail: Option<Asset>,
    /// IP address of the visitor.
    #[serde(default, skip_serializing, deserialize_with = "clean::text")]
    #[schemars(skip)]
    ip: Option<String>,
    /// Country code of the visitor.
    #[serde(default, deserialize_with = "clean::text")]
    country: Option<String>,
    /// Whether the view made the visitor a lead that Wistia did not know, where a form says so.
    #[serde(
        default,
        rename(serialize = "is_new_lead", deserialize = "conversion_data"),
        deserialize_with = "new_lead"
    )]
    #[schemars(rename = "is_new_lead")]
    is_new_lead: Option<bool>,
}

/// A browser and its system.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
pub(super) struct UserAgent {
    /// Browser.
    #[serde(default, deserialize_with = "clean::text")]
    browser: Option<String>,
    /// Version of the browser.
    #[serde(default, alias = "browserVersion", deserialize_with = "clean::text")]
    browser_version: Option<String>,
    /// Operating system.
    #[serde(default, deserialize_with = "clean::text")]
    platform: Option<String>,
    /// Whether it is a mobile device.
    #[serde(default, deserialize_with = "clean::boolean")]
    mobile: Option<bool>,
}

/// A visitor, as the newest event shows them.
#[derive(Debug, Clone, Serialize, JsonSchema)]
struct VisitorOfEvent<'a> {
    /// Id of the visitor.
    #[schemars(extend("x-personal" = true))]
    visitor_id: &'a str,
    /// IP address.
    #[schemars(extend("x-personal" = true))]
    ip_address: Option<&'a str>,
    /// Country code.
    country: Option<&'a str>,
}

impl Resource for Event {
    const NAME: &'static str = "an event";
    const TABLE: &'static str = FACT_EVENTS.name;
    const UNUSED: &'static [&'static str] =
        &["conversion_data.email", "conversion_data.first_name", "conversion_data.last_name"];
    const SPELLINGS: &'static [Spelling] = &[
        Spelling { object: "thumbnail", documented: "fileSize", other: "file_size" },
        Spelling { object: "thumbnail", documented: "contentType", other: "content_type" },
        Spelling {
            object: "user_agent_details",
            documented: "browser_version",
            other: "browserVersion",
        },
    ];
}

impl Listed for Event {
    fn identity(&self) -> impl Hash {
        &self.event_key
    }
}

/// The one member of `conversion_data` that says nothing of who it was. The others are not read.
fn new_lead<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    #[derive(Deserialize)]
    struct Conversion {
        #[serde(default, deserialize_with = "clean::boolean")]
        is_new_lead: Option<bool>,
    }

    let conversion: Option<Conversion> = clean::object(deserializer)?;
    Ok(conversion.and_then(|conversion| conversion.is_new_lead))
}

impl EventRow for Event {
    fn request() -> Request {
        Request::new("/stats/events")
    }

    fn key(&self) -> &str {
        &self.event_key
    }

    fn time(&self) -> Option<DateTime<Utc>> {
        let text = self.received_at.as_deref()?;
        DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc())
    }

    fn media_id(&self) -> Option<&str> {
        self.media_id.as_deref()
    }

    fn exceeds(&self, other: &Self) -> bool {
        self.percent_viewed > other.percent_viewed
    }

    fn protect(&mut self, privacy: &Privacy) {
        let (pseudonyms, drop) = match privacy {
            Privacy::Keep => return,
            Privacy::Hash(pseudonyms) => (pseudonyms, false),
            Privacy::Drop(pseudonyms) => (pseudonyms, true),
        };
        pseudonyms.replace(&mut self.visitor_key);
        pseudonyms.replace(&mut self.ip);
        self.iframe_heatmap_url = self.iframe_heatmap_url.take().map(privacy::without_token);
        self.embed_url = self.embed_url.take().map(privacy::without_query);
        if drop {
            self.ip = None;
            self.city = None;
            self.lat = None;
            self.lon = None;
            self.org = None;
        }
    }

    fn emit(slice: &[Self], output: &mut Output) -> Result<()> {
        for event in slice.iter().rev() {
            output.record(&FACT_EVENTS, event)?;
        }
        if !output.wants(&DIM_VISITORS) {
            return Ok(());
        }
        let newest = newest_of_visitors(slice);
        for (position, event) in slice.iter().enumerate().rev() {
            let Some(visitor) = event.visitor() else { continue };
            if newest.get(visitor.visitor_id) == Some(&position) {
                output.record(&DIM_VISITORS, &visitor)?;
            }
        }
        Ok(())
    }
}

/// Where the newest event of each visitor stands. An event without a readable time is older than all
/// others; of two of one time, the first stays. An event without a visitor shows none.
fn newest_of_visitors(slice: &[Event]) -> HashMap<&str, usize> {
    let mut newest: HashMap<&str, usize> = HashMap::new();
    for (position, event) in slice.iter().enumerate() {
        let Some(visitor) = event.visitor_key.as_deref() else { continue };
        match newest.entry(visitor) {
            Entry::Vacant(entry) => {
                entry.insert(position);
            }
            Entry::Occupied(mut entry) => {
                if event.time() > slice[*entry.get()].time() {
                    entry.insert(position);
                }
            }
        }
    }
    newest
}

impl Event {
    /// The visitor that it shows.
    fn visitor(&self) -> Option<VisitorOfEvent<'_>> {
        Some(VisitorOfEvent {
            visitor_id: self.visitor_key.as_deref()?,
            ip_address: self.ip.as_deref(),
            country: self.country.as_deref(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_cleaned() {
        let event: Event = serde_json::from_str(
            r#"{"received_at":"2026-01-02T03:04:05Z","event_key":"1.2","lat":"","lon":"-82.5",
                "email":"a@example.com","percent_viewed":1,"conversion_type":3,"conversion_data":"",
                "user_agent_details":{},"thumbnail":{},"city":"","ip":"192.0.2.1","country":"US"}"#,
        )
        .unwrap();
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!(json["lat"], serde_json::Value::Null);
        assert_eq!(json["lon"], -82.5);
        assert_eq!(json["email"], 1);
        assert_eq!(json["conversion_type"], "3");
        assert_eq!(json["thumbnail"], serde_json::Value::Null);
        assert_eq!(json["user_agent_details"], serde_json::Value::Null);
        assert!(json.get("ip").is_none() && json.get("conversion_data").is_none());
        assert_eq!((&json["country"], &json["is_new_lead"]), (&json!("US"), &json!(null)));
        assert_eq!(event.day().unwrap().to_string(), "2026-01-02");
        assert!(event.visitor().is_none());
    }

    #[test]
    fn of_the_data_of_a_conversion_only_the_new_lead_is_read() {
        let lead = |data: &str| event(&format!(r#""conversion_data":{data}"#));
        for (data, expected) in [
            (r#"{"is_new_lead":true,"email":"a@example.com"}"#, Some(true)),
            (r#"{"is_new_lead":"false","first_name":["A"]}"#, Some(false)),
            (r#"{"email":"a@example.com"}"#, None),
            (r#"{"is_new_lead":{"a":1}}"#, None),
            (r#""""#, None),
            ("{}", None),
            ("[]", None),
            ("null", None),
            ("3", None),
            ("1.5", None),
            ("true", None),
            (r#"[{"is_new_lead":true}]"#, None),
        ] {
            assert_eq!(lead(data).is_new_lead, expected, "{data}");
        }
        let json = serde_json::to_string(&lead(r#"{"is_new_lead":true,"email":"a@b.c"}"#)).unwrap();
        assert!(json.ends_with(r#""country":null,"is_new_lead":true}"#), "{json}");
        assert!(!json.contains("a@b.c"));
    }

    fn event(members: &str) -> Event {
        serde_json::from_str(&format!(r#"{{"event_key":"k",{members}}}"#)).unwrap()
    }

    fn protected(settings: &str) -> Event {
        let mut event = event(
            r#""visitor_key":"v","ip":"192.0.2.1","city":"Kyoto","lat":1,"lon":2,
                "org":"o","region":"r","country":"JP","embed_url":"https://example.com/a?email=x#y",
                "iframe_heatmap_url":"https://example.com/iframe.html?public_token=s3cret&a=1""#,
        );
        let config = format!(r#"{{"api_token":"t","personal_data_salt":"key",{settings}}}"#);
        event.protect(&Privacy::new(&serde_json::from_str(&config).unwrap()).unwrap());
        event
    }

    #[test]
    fn what_is_said_to_be_masked_is_what_hashing_changes() {
        let [kept, hashed] =
            [r#""personal_data":"keep""#, r#""personal_data":"hash""#].map(protected);
        let columns = |kept: serde_json::Value, hashed: serde_json::Value| -> Vec<String> {
            let changed = |(name, _): &(&String, &serde_json::Value)| kept[*name] != hashed[*name];
            let names = kept.as_object().unwrap().iter().filter(changed);
            let mut names: Vec<_> = names.map(|(name, _)| name.clone()).collect();
            names.sort();
            names
        };
        let json = |event: &Event| serde_json::to_value(event).unwrap();
        assert_eq!(columns(json(&kept), json(&hashed)), FACT_EVENTS.masked);
        let json = |event: &Event| serde_json::to_value(event.visitor()).unwrap();
        assert_eq!(columns(json(&kept), json(&hashed)), DIM_VISITORS.masked);
    }

    #[test]
    fn kept_data_is_what_the_api_sent() {
        let event = protected(r#""personal_data":"keep""#);
        assert_eq!(event.visitor_key.as_deref(), Some("v"));
        assert_eq!(event.embed_url.as_deref(), Some("https://example.com/a?email=x#y"));
    }

    #[test]
    fn hashed_data_still_joins_and_holds_no_token() {
        let event = protected(r#""personal_data":"hash""#);
        assert_eq!(event.visitor_key, protected(r#""personal_data":"hash""#).visitor_key);
        assert_eq!(event.visitor_key.as_ref().map(String::len), Some(64));
        assert_eq!(event.ip.as_ref().map(String::len), Some(64));
        assert_eq!(event.embed_url.as_deref(), Some("https://example.com/a"));
        assert_eq!(
            event.iframe_heatmap_url.as_deref(),
            Some("https://example.com/iframe.html?a=1")
        );
        assert_eq!(event.city.as_deref(), Some("Kyoto"));
    }

    #[test]
    fn dropped_data_is_gone() {
        let event = protected(r#""personal_data":"drop""#);
        assert_eq!((event.ip, event.city, event.org), (None, None, None));
        assert_eq!((event.lat, event.lon), (None, None));
        assert_eq!((event.region.as_deref(), event.country.as_deref()), (Some("r"), Some("JP")));
        assert_eq!(event.visitor_key.as_ref().map(String::len), Some(64));
    }

    #[test]
    fn of_doubles_the_one_that_was_watched_longer_stays() {
        let watched = |percent: &str| event(&format!(r#""percent_viewed":{percent}"#));
        assert!(watched("0.75").exceeds(&watched("0.5")));
        assert!(watched("0").exceeds(&watched("null")));
        assert!(!watched("0.5").exceeds(&watched("0.5")));
        assert!(!watched("null").exceeds(&watched("0")));
    }

    #[test]
    fn a_visitor_is_as_the_newest_event_shows_them() {
        let seen = |visitor: &str, at: &str| {
            event(&format!(r#""visitor_key":"{visitor}","received_at":"{at}""#))
        };
        let slice = [
            seen("a", "2026-01-02T00:00:00Z"),
            seen("b", "2026-01-01T00:00:00Z"),
            seen("b", "2026-01-03T00:00:00Z"),
            seen("a", "2026-01-02T00:00:00Z"),
            seen("a", "soon"),
            event(r#""city":"nowhere""#),
        ];
        let newest = newest_of_visitors(&slice);
        assert_eq!(newest, HashMap::from_iter([("a", 0), ("b", 2)]));
    }
}
