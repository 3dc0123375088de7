//! `--check` and Airbyte's `check`: whether the lake can be written to. Somebody waits for the outcome.

use std::time::Duration;

use lake::Location;
use lake::store::{Condition, Judgement, probe};

use crate::error::Result;
use crate::run;
use crate::settings::config::Config;

/// The time for a request. A server that does not answer is given up with it, before ten seconds have passed:
/// Airbyte's form waits for the answer.
const PATIENCE: Duration = Duration::from_secs(6);

/// Writes, reads and deletes an object where the lake is, and on S3 tries the conditions of writes. What
/// else there is to know.
pub(crate) fn check(config: &Config) -> Result<Option<String>> {
    let lake = run::open(config, Some(PATIENCE))?;
    let (store, run) = (lake.store(), lake.run());
    let key = format!("_lake/check/{run}");
    let written = store.put(&key, run.as_bytes(), Condition::Always)?;
    let read = store.get(&key);
    store.delete(&written.key)?;
    if read?.is_none_or(|(_, text)| text != run.as_bytes()) {
        let reason = "it is not what was written";
        return Err(lake::Error::store("read", store.locate(&key), reason).into());
    }
    match (store.judgement(), Location::parse(&config.destination)?) {
        (Judgement::OneWriter, _) => return Ok(Some(probe::ONE_WRITER.into())),
        (Judgement::Known | Judgement::Untried, Location::S3 { .. }) => {
            probe::require(&**store, run)?;
        }
        (Judgement::Known | Judgement::Untried, Location::Folder(_)) => {}
    }
    Ok(None)
}

/// What a person reads of a check that went well.
pub(crate) fn told(config: &Config) -> Result<String> {
    let place = &config.destination;
    let but = check(config)?.map(|but| format!("; {but}")).unwrap_or_default();
    Ok(format!("{place} can be written to{but}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lake_that_can_be_written_to_passes_the_check_and_nothing_is_left_there() {
        let folder = tempfile::tempdir().unwrap();
        let destination = folder.path().join("lake");
        let config = |destination: &std::path::Path| -> Config {
            serde_json::from_value(serde_json::json!({"destination": destination})).unwrap()
        };
        check(&config(&destination)).unwrap();
        let left = std::fs::read_dir(destination.join("_lake/check"));
        assert_eq!(left.map_or(0, Iterator::count), 0);
        let file = folder.path().join("file");
        std::fs::write(&file, "x").unwrap();
        assert!(check(&config(&file)).is_err());
    }
}
