//! `fact_account_byday`: plays of the whole account a day, from `/stats/account/by_date`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::byday::Day;
use crate::client::{Request, Resource};
use crate::error::Result;
use crate::output::Output;
use crate::read::{Account, AccountDay, Days, Endpoint, Read};
use crate::stream::{Stream, schema};

/// The account's days.
pub(super) static ENDPOINT: Endpoint = Endpoint {
    streams: &[&FACT_ACCOUNT_BYDAY],
    read: Read::Account(Account::of::<DayOfAccount>()),
};

static FACT_ACCOUNT_BYDAY: Stream = Stream {
    name: "fact_account_byday",
    keys: &["date"],
    replication_key: Some("date"),
    selected_by_default: false,
    masked: &[],
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

/// A day as the API answers it: as that of a media.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct DayOfAccount(Day);

impl Resource for DayOfAccount {
    const NAME: &'static str = Day::NAME;
    const TABLE: &'static str = FACT_ACCOUNT_BYDAY.name;
    const UNUSED: &'static [&'static str] = Day::UNUSED;
    const MEASURES: &'static [&'static str] = Day::MEASURES;
}

impl AccountDay for DayOfAccount {
    fn request(days: Days) -> Request {
        // v1 has the totals only.
        Request::modern("/stats/account/by_date")
            .with("start_date", days.first)
            .with("end_date", days.last)
    }

    fn date(&self) -> &str {
        &self.0.date
    }

    fn emit(self, output: &mut Output) -> Result<()> {
        let Day { date, load_count, play_count, hours_watched } = self.0;
        let record = AccountByDay { date, load_count, play_count, hours_watched };
        output.record(&FACT_ACCOUNT_BYDAY, &record)
    }
}
