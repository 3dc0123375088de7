//! `state`: the state that the lake itself holds.

use lake::write::covered::newest_state;

use crate::error::Result;
use crate::run::open;
use crate::settings::config::Config;

/// The newest state that all Iceberg tables hold which it covers, with a newline; an empty one where there is none
/// yet, so that a tap begins with it.
pub(crate) fn state(config: &Config) -> Result<String> {
    let lake = open(config, None)?;
    let held = newest_state(&lake)?;
    if held.is_none() {
        let place = &config.destination;
        tracing::warn!(
            "{place}: no Iceberg table holds a state yet; a tap that is given `{{}}` reads all"
        );
    }
    Ok(format!("{}\n", held.as_deref().unwrap_or("{}")))
}
