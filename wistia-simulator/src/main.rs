//! The `wistia-simulator` command.

use std::error::Error;
use std::io::Write;
use std::time::Duration;

use chrono::{NaiveDate, Utc};
use clap::Parser;
use serde_json::json;
use tokio::net::TcpListener;
use wistia_simulator::account::{Account, Recipe};
use wistia_simulator::server::{Behaviour, Simulator};

/// Serves a simulated Wistia account until it is stopped. The first line on stdout says where.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    /// Medias in the account.
    #[arg(long, default_value_t = 25)]
    medias: usize,
    /// Events in the account.
    #[arg(long, default_value_t = 5000)]
    events: usize,
    /// Days over which events are spread.
    #[arg(long, default_value_t = 700)]
    days: u64,
    /// The same seed makes the same account.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The account's present day (YYYY-MM-DD); default: the real one.
    #[arg(long)]
    today: Option<NaiveDate>,
    /// Requests a minute that are answered.
    #[arg(long, default_value_t = 600)]
    requests_per_minute: usize,
    /// Milliseconds that every answer takes.
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    /// Part of the requests that fail in a way that passes, from 0 to 1.
    #[arg(long, default_value_t = 0.0)]
    fault_rate: f64,
    /// Port; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Token that is accepted.
    #[arg(long, default_value = "simulated-token")]
    token: String,
    /// Hours by which the server's days begin before those of UTC.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    timezone_offset_hours: i64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let cli = Cli::parse();
    let account = Account::new(Recipe {
        seed: cli.seed,
        medias: cli.medias,
        events: cli.events,
        days: cli.days,
        today: cli.today.unwrap_or_else(|| Utc::now().date_naive()),
    });
    let behaviour = Behaviour {
        token: cli.token.clone(),
        requests_per_minute: cli.requests_per_minute,
        latency: Duration::from_millis(cli.latency_ms),
        fault_rate: cli.fault_rate,
        zone: cli.timezone_offset_hours,
    };
    let listener = TcpListener::bind(("127.0.0.1", cli.port)).await?;
    let base = format!("http://{}", listener.local_addr()?);
    let line = json!({"url": format!("{base}/v1"), "control": format!("{base}/__control"), "token": cli.token});
    writeln!(std::io::stdout(), "{line}")?;
    axum::serve(listener, Simulator::new(account, behaviour).router()).await?;
    Ok(())
}
