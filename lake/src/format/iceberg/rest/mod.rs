//! Tables of a server that speaks the protocol of Iceberg's REST catalogs, such as Glue's endpoint, S3 Tables,
//! Polaris, Lakekeeper, Nessie and Unity
//! (<https://github.com/apache/iceberg/blob/main/open-api/rest-catalog-open-api.yaml>).
//!
//! ```text
//! table → updates (what the server has to change, and what must still hold)
//!       → client (what is asked, and when again) → auth → signature
//!                                                → transport (HTTP) · refusal (errors in words)
//!       → vended (credentials for the table's files)
//! ```
//!
//! There is no feature for it: its HTTP client and its signatures are those of S3, and it adds no crate.

mod auth;
mod client;
mod refusal;
mod signature;
mod table;
#[cfg(test)]
mod tests;
mod transport;
mod updates;
mod vended;

use std::sync::Arc;
use std::time::Duration;

use backon::ExponentialBuilder;

use super::places::Places;
use super::pointer::{Pointer, Pointers};
use crate::aws::Aws;
use crate::error::Result;
use crate::options::RestOptions;
use crate::store::{Store, address};
use client::Client;
use table::Table;

/// The pauses before a server is asked again.
const PAUSES: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(500))
    .with_factor(2.0)
    .with_max_delay(Duration::from_secs(10))
    .with_max_times(4)
    .with_jitter();

/// The tables of one namespace. Nothing is asked of the server yet.
pub(super) fn tables(
    store: &Arc<dyn Store>,
    places: &Arc<Places>,
    aws: &Aws,
    options: &RestOptions,
) -> Result<Arc<dyn Pointers>> {
    open(store, places, aws, options, PAUSES)
}

fn open(
    store: &Arc<dyn Store>,
    places: &Arc<Places>,
    aws: &Aws,
    options: &RestOptions,
    pauses: ExponentialBuilder,
) -> Result<Arc<dyn Pointers>> {
    Ok(Arc::new(Tables {
        client: Arc::new(Client::new(options, aws, pauses)?),
        places: Arc::clone(places),
        store: Arc::clone(store),
        options: options.clone(),
    }))
}

/// The tables of one namespace.
#[derive(Debug)]
struct Tables {
    client: Arc<Client>,
    places: Arc<Places>,
    store: Arc<dyn Store>,
    options: RestOptions,
}

impl Pointers for Tables {
    fn of(&self, table: &str) -> Arc<dyn Pointer> {
        let prefix = self.options.table_prefix.as_deref().unwrap_or_default();
        Arc::new(Table {
            client: Arc::clone(&self.client),
            places: Arc::clone(&self.places),
            namespace: self.options.namespace.clone(),
            name: format!("{prefix}{table}"),
            location: (!self.options.server_places).then(|| address(&*self.store, table)),
        })
    }
}
