//! `fact_account_byday`: plays of the whole account a day, from `/stats/account/by_date`.

use schemars::JsonSchema;
use serde::Serialize;

use super::byday::Day;
use crate::client::Request;
use crate::error::Result;
use crate::output::Output;
use crate::read::{Account, AccountDay, Days, Endpoint, Read};
use crate::stream::{Stream, schema};

/// The account's days: the modern API alone has them, <https://docs.wistia.com/v2026.03/docs>.
pub(super) static ENDPOINT: Endpoint =
    Endpoint { streams: &[&FACT_ACCOUNT_BYDAY], read: Read::Account(Account::of::<Day>()) };

static FACT_ACCOUNT_BYDAY: Stream = Stream {
    name: "fact_account_byday",
    keys: &["date"],
    replication_key: Some("date"),
    selected_by_default: false,
    schema: schema::<AccountByDay>,
};

/// The figures of the account on a day.
#[derive(Debug, Serialize, JsonSchema)]
struct AccountByDay {
    /// Day (YYYY-MM-DD) in the account's time zone.
    date: String,
    /// Times any media was loaded.
    load_count: Option<i64>,
    /// Times any media was played.
    play_count: Option<i64>,
    /// Hours watched.
    hours_watched: Option<f64>,
}

impl AccountDay for Day {
    fn probe() -> Request {
        Request::modern("/stats/account/by_date")
    }

    fn request(days: Days) -> Request {
        Request::modern("/stats/account/by_date")
            .with("start_date", days.first)
            .with("end_date", days.last)
    }

    fn date(&self) -> &str {
        &self.date
    }

    fn emit(self, output: &mut Output) -> Result<()> {
        let Self { date, load_count, play_count, hours_watched } = self;
        let record = AccountByDay { date, load_count, play_count, hours_watched };
        output.record(&FACT_ACCOUNT_BYDAY, &record)
    }
}
