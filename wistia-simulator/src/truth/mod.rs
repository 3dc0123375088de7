//! The rows that a correct lake holds, made from the account and not from what the API sends: no
//! function and no constant is shared with what serves it.

mod catalog;
mod events;
mod figures;
mod span;

use serde_json::Value;

use crate::account::Account;

pub use span::Span;

/// The rows of a table, by key; nothing for a table that there is not.
pub fn rows(account: &Account, table: &str, span: Span) -> Option<Vec<Value>> {
    Some(match table {
        "dim_media" => catalog::medias(account, span),
        "dim_deleted_media" => catalog::deleted(account),
        "dim_projects" => catalog::projects(account),
        "dim_channels" => catalog::channels(account),
        "bridge_media_channel" => catalog::bridge(account),
        "dim_tags" => catalog::tags(account),
        "visitors" => catalog::visitors(account),
        "fact_engagements" => figures::lifetime(account, span),
        "fact_media_actions" => figures::actions(account, span),
        "fact_engagements_byday" => figures::by_day(account, span),
        "fact_media_timeseries" => figures::measured(account, span),
        "fact_engagement_graph" => figures::graphs(account, span),
        "fact_engagement_graph_points" => figures::points(account, span),
        "fact_account_byday" => figures::account_by_day(account, span),
        "fact_events" => events::events(account, span),
        "dim_visitors" => events::visitors(account, span),
        _ => return None,
    })
}
