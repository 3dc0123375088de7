//! When it is time to commit.

use std::time::{Duration, Instant};

/// The time since the last commit, and how long it must be.
#[derive(Debug)]
pub(super) struct Pace {
    least: Duration,
    last: Instant,
    /// How long the last commit took.
    took: Duration,
}

impl Pace {
    /// At least so much time lies between two commits.
    pub(super) fn new(least: Duration) -> Self {
        Self { least, last: Instant::now(), took: Duration::ZERO }
    }

    /// Whether it is time.
    pub(super) fn is_due(&self) -> bool {
        self.last.elapsed() >= interval(self.least, self.took)
    }

    /// A commit that began then has ended.
    pub(super) fn took_since(&mut self, begun: Instant) {
        self.took = begun.elapsed();
    }

    /// The time until the next one begins.
    pub(super) fn restart(&mut self) {
        self.last = Instant::now();
    }
}

/// A commit that takes less is never too often.
const SHORT: Duration = Duration::from_secs(1);

/// The time between two commits, after one that took so long. A first load writes more again in each than in
/// the one before, so that the time between them must grow as well: commits take an eleventh of it at most.
fn interval(least: Duration, took: Duration) -> Duration {
    if took < SHORT { least } else { least.max(took * 10) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_that_took_long_is_followed_by_ten_times_as_long_without_one() {
        let seconds = Duration::from_secs;
        assert_eq!(interval(seconds(300), seconds(3)), seconds(300));
        assert_eq!(interval(seconds(300), seconds(60)), seconds(600));
        assert_eq!(interval(seconds(0), Duration::from_millis(900)), seconds(0));
        assert!(Pace::new(seconds(0)).is_due() && !Pace::new(seconds(300)).is_due());
    }
}
