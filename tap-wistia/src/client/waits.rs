//! How long requests wait for the limit: for the summary, and for whoever watches.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The requests that wait, and those that are on their way.
#[derive(Debug, Default)]
pub(crate) struct Waits(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    waiting: usize,
    on_the_way: usize,
    /// When the first of those began that wait.
    since: Option<Instant>,
    /// Before it.
    total: Duration,
    /// When the next of them may go, as far as that is known.
    until: Option<Instant>,
}

/// A request that waits, or is on its way.
#[derive(Debug)]
pub(crate) struct Stage<'a> {
    waits: &'a Waits,
    is_waiting: bool,
}

impl Waits {
    /// A request begins to wait.
    pub(crate) fn begin(&self) -> Stage<'_> {
        let mut inner = self.locked();
        inner.waiting += 1;
        inner.since.get_or_insert_with(Instant::now);
        Stage { waits: self, is_waiting: true }
    }

    /// None goes before then.
    pub(crate) fn until(&self, until: Instant) {
        self.locked().until = Some(until);
    }

    /// Seconds in which at least one request waited for the limit.
    pub(crate) fn seconds(&self) -> f64 {
        let inner = self.locked();
        (inner.total + inner.since.map_or(Duration::ZERO, |since| since.elapsed())).as_secs_f64()
    }

    /// How long it is until anything goes on, where all wait for the limit.
    pub(crate) fn left(&self) -> Option<Duration> {
        let inner = self.locked();
        let left = inner.until?.checked_duration_since(Instant::now())?;
        (inner.waiting > 0 && inner.on_the_way == 0).then_some(left)
    }

    fn locked(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn end_of_wait(&mut self) {
        self.waiting -= 1;
        if let (0, Some(since)) = (self.waiting, self.since) {
            self.total += since.elapsed();
            self.since = None;
        }
    }
}

impl Stage<'_> {
    /// It waits no longer.
    pub(super) fn goes(&mut self) {
        if std::mem::replace(&mut self.is_waiting, false) {
            let mut inner = self.waits.locked();
            inner.end_of_wait();
            inner.on_the_way += 1;
        }
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        let mut inner = self.waits.locked();
        if self.is_waiting { inner.end_of_wait() } else { inner.on_the_way -= 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn requests_that_wait_together_wait_once_and_what_is_left_is_told_while_all_do() {
        let waits = Waits::default();
        let second = Duration::from_secs(1);
        assert_eq!(waits.left(), None);
        let (mut first, mut other) = (waits.begin(), waits.begin());
        waits.until(Instant::now() + 41 * second);
        tokio::time::sleep(20 * second).await;
        assert_eq!(waits.left(), Some(21 * second));
        tokio::time::sleep(21 * second).await;
        first.goes();
        waits.until(Instant::now() + 9 * second);
        assert_eq!(waits.left(), None, "one is on its way");
        drop(first);
        assert_eq!(waits.left(), Some(9 * second));
        tokio::time::sleep(9 * second).await;
        other.goes();
        tokio::time::sleep(9 * second).await;
        assert!((waits.seconds() - 50.0).abs() < 0.1, "{}", waits.seconds());
    }
}
