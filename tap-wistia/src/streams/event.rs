//! `fact_events` and `dim_visitors`: views and who watched, from `/stats/events`.

use chrono::{DateTime, NaiveDate, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::media::Asset;
use super::{Source, Stream, schema};
use crate::clean;
use crate::client::Resource;

/// The events.
pub static FACT_EVENTS: Stream = Stream {
    name: "fact_events",
    keys: &["event_key"],
    replication_key: Some("received_at"),
    selected_by_default: true,
    source: Source::List("/stats/events"),
    schema: schema::<Event>,
};

/// The visitors, as their newest event shows them.
pub static DIM_VISITORS: Stream = Stream {
    name: "dim_visitors",
    keys: &["visitor_id"],
    replication_key: None,
    selected_by_default: true,
    source: Source::List("/stats/events"),
    schema: schema::<VisitorOfEvent>,
};

/// A view of a media by a visitor.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
pub struct Event {
    /// When it began (UTC).
    #[serde(default, deserialize_with = "clean::text")]
    pub received_at: Option<String>,
    /// Id of the event.
    #[serde(deserialize_with = "clean::key")]
    pub event_key: String,
    /// Region of the visitor.
    #[serde(default, deserialize_with = "clean::text")]
    pub region: Option<String>,
    /// City of the visitor.
    #[serde(default, deserialize_with = "clean::text")]
    pub city: Option<String>,
    /// Latitude in degrees; null where unknown.
    #[serde(default, deserialize_with = "clean::double")]
    pub lat: Option<f64>,
    /// Longitude in degrees; null where unknown.
    #[serde(default, deserialize_with = "clean::double")]
    pub lon: Option<f64>,
    /// Organisation of the visitor's network.
    #[serde(default, deserialize_with = "clean::text")]
    pub org: Option<String>,
    /// 1 where the visitor's email address is known to Wistia, else 0.
    #[serde(default, deserialize_with = "clean::presence")]
    #[schemars(range(min = 0, max = 1))]
    pub email: i32,
    /// Part of the media that was watched, from 0 to 1. It may grow for a while.
    #[serde(default, deserialize_with = "clean::double")]
    pub percent_viewed: Option<f64>,
    /// Page on which the media was watched.
    #[serde(default, deserialize_with = "clean::text")]
    pub embed_url: Option<String>,
    /// Kind of conversion, where there was one.
    #[serde(default, deserialize_with = "clean::text")]
    pub conversion_type: Option<String>,
    /// Picture of what was watched.
    #[serde(default, deserialize_with = "clean::text")]
    pub iframe_heatmap_url: Option<String>,
    /// Id of the visitor.
    #[serde(default, deserialize_with = "clean::text")]
    pub visitor_key: Option<String>,
    /// Browser and system of the visitor.
    #[serde(default, deserialize_with = "clean::object")]
    pub user_agent_details: Option<UserAgent>,
    /// Hashed id of the media.
    #[serde(default, deserialize_with = "clean::text")]
    pub media_id: Option<String>,
    /// Title of the media.
    #[serde(default, deserialize_with = "clean::text")]
    pub media_name: Option<String>,
    /// Page of the media.
    #[serde(default, deserialize_with = "clean::text")]
    pub media_url: Option<String>,
    /// Still image of the media.
    #[serde(default, deserialize_with = "clean::object")]
    pub thumbnail: Option<Asset>,
    /// IP address of the visitor.
    #[serde(default, skip_serializing, deserialize_with = "clean::text")]
    #[schemars(skip)]
    pub ip: Option<String>,
    /// Country of the visitor.
    #[serde(default, skip_serializing, deserialize_with = "clean::text")]
    #[schemars(skip)]
    pub country: Option<String>,
}

/// A browser and its system.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
pub struct UserAgent {
    /// Browser.
    #[serde(default, deserialize_with = "clean::text")]
    pub browser: Option<String>,
    /// Version of the browser.
    #[serde(default, alias = "browserVersion", deserialize_with = "clean::text")]
    pub browser_version: Option<String>,
    /// Operating system.
    #[serde(default, deserialize_with = "clean::text")]
    pub platform: Option<String>,
    /// Whether it is a mobile device.
    #[serde(default, deserialize_with = "clean::boolean")]
    pub mobile: Option<bool>,
}

/// A visitor, as the newest event shows them.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct VisitorOfEvent {
    /// Id of the visitor.
    pub visitor_id: String,
    /// IP address.
    pub ip_address: Option<String>,
    /// Country code.
    pub country: Option<String>,
}

impl Resource for Event {
    const NAME: &'static str = "an event";
    const UNUSED: &'static [&'static str] = &["conversion_data"];
}

impl Event {
    /// When it was received, where that can be read.
    pub fn time(&self) -> Option<DateTime<Utc>> {
        let text = self.received_at.as_deref()?;
        DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc())
    }

    /// The UTC day on which it was received, where that can be read.
    pub fn day(&self) -> Option<NaiveDate> {
        self.time().map(|time| time.date_naive())
    }

    /// The visitor that it shows.
    pub fn visitor(&self) -> Option<VisitorOfEvent> {
        Some(VisitorOfEvent {
            visitor_id: self.visitor_key.clone()?,
            ip_address: self.ip.clone(),
            country: self.country.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
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
        assert_eq!(event.day().unwrap().to_string(), "2026-01-02");
        assert!(event.visitor().is_none());
    }
}
