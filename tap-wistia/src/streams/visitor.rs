//! `visitors`: everyone who loaded a media, from `/stats/visitors`.

use std::hash::Hash;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::UserAgent;
use crate::clean::{self, Spelling};
use crate::client::{Request, Resource};
use crate::error::Result;
use crate::output::Output;
use crate::pages::Listed;
use crate::privacy::Privacy;
use crate::read::{Endpoint, List, ListRow, Read};
use crate::stream::{Stream, schema};

/// The list of visitors: <https://docs.wistia.com/docs/stats-api>. It knows neither medias nor days.
pub(super) static ENDPOINT: Endpoint =
    Endpoint { streams: &[&VISITORS], read: Read::List(List::of::<Visitor>()) };

static VISITORS: Stream = Stream {
    name: "visitors",
    keys: &["visitor_key"],
    replication_key: None,
    selected_by_default: false,
    masked: &["visitor_identity", "visitor_key"],
    schema: schema::<Visitor>,
};

/// A visitor.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
struct Visitor {
    /// Id of the visitor.
    #[serde(deserialize_with = "clean::key")]
    #[schemars(extend("x-personal" = true))]
    visitor_key: String,
    /// When the visitor was first seen.
    #[serde(default, deserialize_with = "clean::text")]
    created_at: Option<String>,
    /// When the visitor was last seen.
    #[serde(default, deserialize_with = "clean::text")]
    last_active_at: Option<String>,
    /// The visitor's last event.
    #[serde(default, deserialize_with = "clean::text")]
    #[schemars(extend("x-personal" = true))]
    last_event_key: Option<String>,
    /// Medias loaded.
    #[serde(default, deserialize_with = "clean::bigint")]
    load_count: Option<i64>,
    /// Medias played.
    #[serde(default, deserialize_with = "clean::bigint")]
    play_count: Option<i64>,
    /// The event by which the visitor was identified.
    #[serde(default, deserialize_with = "clean::text")]
    #[schemars(extend("x-personal" = true))]
    identifying_event_key: Option<String>,
    /// Who the visitor is.
    #[serde(default, deserialize_with = "clean::object")]
    #[schemars(extend("x-personal" = true))]
    visitor_identity: Option<Identity>,
    /// Browser and system of the visitor.
    #[serde(default, deserialize_with = "clean::object")]
    user_agent_details: Option<UserAgent>,
}

/// Who a visitor is.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
struct Identity {
    /// Name.
    #[serde(default, deserialize_with = "clean::text")]
    name: Option<String>,
    /// 1 where the email address is known to Wistia, else 0.
    #[serde(default, deserialize_with = "clean::presence")]
    #[schemars(range(min = 0, max = 1))]
    email: i32,
    /// Organisation.
    #[serde(default, deserialize_with = "clean::object")]
    org: Option<Organisation>,
}

/// Where a visitor works.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
struct Organisation {
    /// Name of the organisation.
    #[serde(default, deserialize_with = "clean::text")]
    name: Option<String>,
    /// The visitor's title in it.
    #[serde(default, deserialize_with = "clean::text")]
    title: Option<String>,
}

impl Resource for Visitor {
    const NAME: &'static str = "a visitor";
    const TABLE: &'static str = VISITORS.name;
    const UNUSED: &'static [&'static str] = &[];
    const SPELLINGS: &'static [Spelling] = &[Spelling {
        object: "user_agent_details",
        documented: "browser_version",
        other: "browserVersion",
    }];
}

impl Listed for Visitor {
    fn identity(&self) -> impl Hash {
        &self.visitor_key
    }
}

impl ListRow for Visitor {
    fn request() -> Request {
        Request::new("/stats/visitors")
    }

    fn emit(mut self, privacy: &Privacy, output: &mut Output) -> Result<()> {
        self.protect(privacy);
        output.record(&VISITORS, &self)
    }
}

impl Visitor {
    /// Treats what is personal about the visitor.
    fn protect(&mut self, privacy: &Privacy) {
        let (pseudonyms, drop) = match privacy {
            Privacy::Keep => return,
            Privacy::Hash(pseudonyms) => (pseudonyms, false),
            Privacy::Drop(pseudonyms) => (pseudonyms, true),
        };
        self.visitor_key = pseudonyms.of(&self.visitor_key);
        if drop {
            self.visitor_identity = None;
        } else if let Some(identity) = &mut self.visitor_identity {
            pseudonyms.replace(&mut identity.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protected(settings: &str) -> Visitor {
        let mut visitor: Visitor = serde_json::from_str(
            r#"{"visitor_key":"v","visitor_identity":{"name":"Ada","email":"ada@example.com",
                "org":{"name":"Example"}}}"#,
        )
        .unwrap();
        let config = format!(r#"{{"api_token":"t",{settings}}}"#);
        visitor.protect(&Privacy::new(&serde_json::from_str(&config).unwrap()).unwrap());
        visitor
    }

    #[test]
    fn the_address_of_a_visitor_is_a_flag_and_the_rest_stays() {
        let kept = protected(r#""personal_data":"keep""#);
        let identity = kept.visitor_identity.unwrap();
        assert_eq!((kept.visitor_key.as_str(), identity.email), ("v", 1));
        assert_eq!(identity.name.as_deref(), Some("Ada"));
    }

    #[test]
    fn a_visitor_is_a_pseudonym_or_gone() {
        let salt = r#""personal_data_salt":"key""#;
        let hashed = protected(&format!(r#""personal_data":"hash",{salt}"#));
        let identity = hashed.visitor_identity.unwrap();
        assert_eq!((hashed.visitor_key.len(), identity.name.unwrap().len()), (64, 64));
        assert_eq!(identity.org.unwrap().name.as_deref(), Some("Example"));
        let dropped = protected(&format!(r#""personal_data":"drop",{salt}"#));
        assert_eq!(dropped.visitor_key, hashed.visitor_key);
        assert!(dropped.visitor_identity.is_none());
        assert_eq!(VISITORS.masked, ["visitor_identity", "visitor_key"], "what was changed above");
    }
}
