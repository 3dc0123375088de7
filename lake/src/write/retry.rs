//! Writes that other writers disturb are done again.

use std::time::Duration;

use backon::{BlockingRetryable as _, ExponentialBuilder};

use crate::error::{Error, Result};

/// Tries of a write that other writers keep disturbing.
pub(crate) const MERGE_ATTEMPTS: usize = 20;

/// Does a write again while another writer is faster, with longer and longer pauses.
pub(crate) fn persist<T>(write: impl FnMut() -> Result<T>) -> Result<T> {
    let pauses = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(40))
        .with_max_delay(Duration::from_millis(1280))
        .with_max_times(MERGE_ATTEMPTS - 1);
    write
        .retry(pauses)
        .when(|error| matches!(error, Error::Conflict { .. }))
        .notify(|error, pause| {
            tracing::info!(%error, ?pause, "another writer was faster; merging again");
        })
        .call()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_conflict_is_tried_again() {
        let mut tries = 0;
        let done = persist(|| {
            tries += 1;
            if tries < 3 { Err(Error::Conflict { object: "o".into() }) } else { Ok(tries) }
        });
        assert_eq!(done.unwrap(), 3);
        let mut tries = 0;
        let failed = persist(|| -> Result<()> {
            tries += 1;
            Err(Error::internal("it holds"))
        });
        assert!(failed.is_err());
        assert_eq!(tries, 1);
    }
}
