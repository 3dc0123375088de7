//! How fast requests go out: so many a minute, so many in flight, and none while the server asks for
//! a pause. One limit for the whole process.

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::clock::Clock as _;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::waits::{Stage, Waits};
use crate::error::{Error, Result};

/// Wistia's allowance is by the account and the minute, over all programs:
/// <https://docs.wistia.com/docs/making-api-requests>.
#[derive(Debug)]
pub(super) struct Limit {
    rate: DefaultDirectRateLimiter,
    in_flight: Semaphore,
    paused_until: Mutex<Option<Instant>>,
}

/// A request may be sent. The next one may take its place when this is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    _permit: SemaphorePermit<'a>,
    _stage: Stage<'a>,
}

impl Limit {
    /// So many requests a minute and so many at the same time.
    pub(super) fn new(requests_per_minute: u32, concurrency: usize) -> Self {
        Self {
            rate: RateLimiter::direct(quota(requests_per_minute)),
            in_flight: Semaphore::new(concurrency),
            paused_until: Mutex::new(None),
        }
    }

    /// Waits until a request may be sent, and tells `waits` of it; the time for a place in flight is not in it.
    pub(super) async fn turn<'a>(&'a self, waits: &'a Waits) -> Result<Turn<'a>> {
        let permit = self
            .in_flight
            .acquire()
            .await
            .map_err(Error::unexpected("a semaphore that is never closed"))?;
        let mut stage = waits.begin();
        loop {
            if let Err(early) = self.rate.check() {
                waits.until(Instant::now() + early.wait_time_from(self.rate.clock().now()));
                self.rate.until_ready().await;
            }
            let paused = *self.paused_until.lock().unwrap_or_else(PoisonError::into_inner);
            match paused {
                Some(until) if until > Instant::now() => {
                    waits.until(until);
                    tokio::time::sleep_until(until).await;
                }
                Some(_) | None => break,
            }
        }
        stage.goes();
        Ok(Turn { _permit: permit, _stage: stage })
    }

    /// Lets every request wait, those too that have not been asked for yet. A longer pause wins.
    pub(super) fn pause(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut paused = self.paused_until.lock().unwrap_or_else(PoisonError::into_inner);
        *paused = Some(paused.map_or(until, |current| current.max(until)));
    }
}

/// A quota under which no minute sees more than `requests_per_minute`: what may come at once and
/// what comes back in a minute are that together.
fn quota(requests_per_minute: u32) -> Quota {
    let burst = (requests_per_minute / 60).max(1);
    let refill = requests_per_minute.saturating_sub(burst).max(1);
    let per_request = Duration::from_mins(1) / refill;
    let quota = Quota::with_period(per_request).unwrap_or(Quota::per_minute(NonZeroU32::MIN));
    quota.allow_burst(NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_minute_sees_more_requests_than_allowed_and_nearly_all_are_used() {
        for allowed in [1_u32, 2, 10, 60, 100, 600, 6000] {
            let quota = quota(allowed);
            let burst = quota.burst_size().get();
            let refill =
                Duration::from_mins(1).as_secs_f64() / quota.replenish_interval().as_secs_f64();
            assert!(f64::from(burst) + refill <= f64::from(allowed.max(2)) + 1e-3, "{allowed}");
            assert!(allowed < 60 || refill >= 0.95 * f64::from(allowed), "{allowed}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_every_request_and_a_shorter_one_does_not_end_it() {
        let limit = Limit::new(1_000_000, 8);
        let waits = Waits::default();
        limit.pause(Duration::from_secs(30));
        limit.pause(Duration::from_secs(5));
        let (first, second) = futures::join!(limit.turn(&waits), limit.turn(&waits));
        assert!(first.is_ok() && second.is_ok());
        // Both at once: the time of the run, and not that of each.
        assert!((30.0..31.0).contains(&waits.seconds()), "{}", waits.seconds());
        assert!(limit.turn(&waits).await.is_ok());
        assert!(waits.seconds() < 31.0);
    }

    #[tokio::test]
    async fn no_more_requests_are_in_flight_than_allowed() {
        let limit = Limit::new(1_000_000, 2);
        let waits = Waits::default();
        let first = limit.turn(&waits).await.unwrap();
        let _second = limit.turn(&waits).await.unwrap();
        assert!(futures::FutureExt::now_or_never(limit.turn(&waits)).is_none());
        drop(first);
        assert!(limit.turn(&waits).await.is_ok());
    }
}
