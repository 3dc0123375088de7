//! `fact_account_byday`: plays of the whole account a day, from `/stats/account/by_date`.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Source, Stream, schema};

/// The daily figures of the account.
pub static FACT_ACCOUNT_BYDAY: Stream = Stream {
    name: "fact_account_byday",
    keys: &["date"],
    replication_key: Some("date"),
    selected_by_default: false,
    source: Source::Single("/stats/account"),
    schema: schema::<AccountByDay>,
};

/// The figures of the account on a day.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AccountByDay {
    /// Day (YYYY-MM-DD) in the account's time zone.
    pub date: String,
    /// Times any media was loaded.
    pub load_count: Option<i64>,
    /// Times any media was played.
    pub play_count: Option<i64>,
    /// Hours watched.
    pub hours_watched: Option<f64>,
}
