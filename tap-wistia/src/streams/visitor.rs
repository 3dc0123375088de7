//! `visitors`: everyone who loaded a media, from `/stats/visitors`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::UserAgent;
use super::{Listing, Source, Stream, schema};
use crate::clean;
use crate::client::{Request, Resource};
use crate::error::Result;
use crate::output::Output;
use crate::privacy::Privacy;

/// The visitors.
pub static VISITORS: Stream = Stream {
    name: "visitors",
    keys: &["visitor_key"],
    replication_key: None,
    selected_by_default: false,
    source: Source::List("/stats/visitors"),
    schema: schema::<Visitor>,
};

/// A visitor.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
pub struct Visitor {
    /// Id of the visitor.
    #[serde(deserialize_with = "clean::key")]
    pub visitor_key: String,
    /// When the visitor was first seen.
    #[serde(default, deserialize_with = "clean::text")]
    pub created_at: Option<String>,
    /// When the visitor was last seen.
    #[serde(default, deserialize_with = "clean::text")]
    pub last_active_at: Option<String>,
    /// The visitor's last event.
    #[serde(default, deserialize_with = "clean::text")]
    pub last_event_key: Option<String>,
    /// Medias loaded.
    #[serde(default, deserialize_with = "clean::bigint")]
    pub load_count: Option<i64>,
    /// Medias played.
    #[serde(default, deserialize_with = "clean::bigint")]
    pub play_count: Option<i64>,
    /// The event by which the visitor was identified.
    #[serde(default, deserialize_with = "clean::text")]
    pub identifying_event_key: Option<String>,
    /// Who the visitor is.
    #[serde(default, deserialize_with = "clean::object")]
    pub visitor_identity: Option<Identity>,
    /// Browser and system of the visitor.
    #[serde(default, deserialize_with = "clean::object")]
    pub user_agent_details: Option<UserAgent>,
}

/// Who a visitor is.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
pub struct Identity {
    /// Name.
    #[serde(default, deserialize_with = "clean::text")]
    pub name: Option<String>,
    /// 1 where the email address is known to Wistia, else 0.
    #[serde(default, deserialize_with = "clean::presence")]
    #[schemars(range(min = 0, max = 1))]
    pub email: i32,
    /// Organisation.
    #[serde(default, deserialize_with = "clean::object")]
    pub org: Option<Organisation>,
}

/// Where a visitor works.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
pub struct Organisation {
    /// Name of the organisation.
    #[serde(default, deserialize_with = "clean::text")]
    pub name: Option<String>,
    /// The visitor's title in it.
    #[serde(default, deserialize_with = "clean::text")]
    pub title: Option<String>,
}

impl Resource for Visitor {
    const NAME: &'static str = "a visitor";
    const UNUSED: &'static [&'static str] = &[];
}

/// Reads visitors.
#[derive(Debug)]
pub struct Visitors;

impl Listing for Visitors {
    type Row = Visitor;
    const STREAM: &'static Stream = &VISITORS;

    fn request(&self) -> Request {
        Request::new("/stats/visitors")
    }

    fn emit(&self, mut row: Visitor, privacy: &Privacy, output: &mut Output) -> Result<()> {
        privacy.visitor(&mut row);
        output.record(&VISITORS, &row)
    }
}
