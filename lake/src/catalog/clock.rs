//! The time that waiting takes, so that tests wait for nothing.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

/// How often a long pause looks whether a signal has come.
const GLANCE: Duration = Duration::from_millis(100);

/// Pauses between two looks at a crawler: a crawl takes minutes, so they grow to 12 seconds.
const LOOKS: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(500))
    .with_factor(2.0)
    .with_max_delay(Duration::from_secs(12))
    .without_max_times();

/// Passes time.
pub(super) trait Clock: Debug + Send {
    /// The time now.
    fn now(&self) -> Instant;
    /// Waits.
    fn sleep(&self, duration: Duration);
}

/// The clock of the system.
#[derive(Debug)]
pub(super) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}

/// Pauses between looks at something that another finishes, until a deadline or a signal.
pub(super) struct Polling<'a> {
    clock: &'a dyn Clock,
    deadline: Instant,
    stopped: &'a dyn Fn() -> bool,
    delays: ExponentialBackoff,
}

impl<'a> Polling<'a> {
    /// Polling that ends at the deadline, or when `stopped` says so.
    pub(super) fn new(
        clock: &'a dyn Clock,
        deadline: Instant,
        stopped: &'a dyn Fn() -> bool,
    ) -> Self {
        Self { clock, deadline, stopped, delays: LOOKS.build() }
    }

    /// Something else is looked at from now on: pauses are short again.
    pub(super) fn restart(&mut self) {
        self.delays = LOOKS.build();
    }

    /// Waits for the next look, longer each time. Whether there is time for it.
    pub(super) fn pause(&mut self) -> bool {
        let now = self.clock.now();
        let until =
            self.delays.next().map_or(self.deadline, |delay| self.deadline.min(now + delay));
        loop {
            let left = until.saturating_duration_since(self.clock.now());
            if left.is_zero() {
                return self.clock.now() < self.deadline;
            }
            if (self.stopped)() {
                return false;
            }
            self.clock.sleep(GLANCE.min(left));
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Mutex;

    use super::*;

    /// A clock on which a wait takes no time, and that remembers how long each was.
    #[derive(Debug)]
    pub(in crate::catalog) struct FakeClock {
        begun: Instant,
        pub(in crate::catalog) sleeps: Mutex<Vec<Duration>>,
    }

    impl FakeClock {
        pub(in crate::catalog) fn new() -> Self {
            Self { begun: Instant::now(), sleeps: Mutex::new(Vec::new()) }
        }

        pub(in crate::catalog) fn slept(&self) -> Duration {
            self.sleeps.lock().unwrap().iter().sum()
        }
    }

    impl Clock for FakeClock {
        fn now(&self) -> Instant {
            self.begun + self.slept()
        }

        fn sleep(&self, duration: Duration) {
            self.sleeps.lock().unwrap().push(duration);
        }
    }

    #[test]
    fn pauses_grow_to_twelve_seconds_and_are_short_again_after_a_restart() {
        let clock = FakeClock::new();
        let deadline = clock.now() + Duration::from_hours(1);
        let mut polling = Polling::new(&clock, deadline, &|| false);
        let pause = |polling: &mut Polling<'_>| {
            let before = clock.slept().as_millis();
            assert!(polling.pause());
            clock.slept().as_millis() - before
        };
        let pauses: Vec<u128> = (0..7).map(|_| pause(&mut polling)).collect();
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 12_000, 12_000]);
        polling.restart();
        assert_eq!(pause(&mut polling), 500);
        assert!(clock.sleeps.lock().unwrap().iter().all(|slept| *slept <= GLANCE));
    }

    #[test]
    fn a_pause_ends_at_the_deadline_and_says_that_there_is_no_time() {
        let clock = FakeClock::new();
        let mut polling = Polling::new(&clock, clock.now() + Duration::from_millis(750), &|| false);
        assert!(polling.pause());
        assert!(!polling.pause());
        assert_eq!(clock.slept(), Duration::from_millis(750));
        assert!(!polling.pause());
        assert_eq!(clock.slept(), Duration::from_millis(750));
    }

    #[test]
    fn a_signal_ends_a_pause_within_a_glance() {
        let clock = FakeClock::new();
        let stopped = || clock.slept() >= Duration::from_millis(200);
        let mut polling = Polling::new(&clock, clock.now() + Duration::from_mins(1), &stopped);
        assert!(!polling.pause());
        assert_eq!(clock.slept(), Duration::from_millis(200));
    }
}
