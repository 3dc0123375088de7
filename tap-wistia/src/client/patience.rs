//! For how long a request is tried, after others have found nobody at home.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The time for a request while the server is taken for dead.
const SHORT: Duration = Duration::from_secs(10);

/// The time for a request while somebody waits for the outcome.
const HURRIED: Duration = Duration::from_secs(5);

/// What the client has learnt about the server.
#[derive(Debug)]
pub(super) struct Patience {
    /// For how long a request is tried.
    most: Duration,
    /// For how long while the server is taken for dead.
    least: Duration,
    heard: AtomicBool,
    answered: AtomicBool,
    outage: Mutex<Outage>,
}

/// Whether a request has been tried in vain until its time was up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outage {
    /// None, as far as is known.
    None,
    /// One of what is being read. That others are answered may mean that this one resource is broken
    /// for some medias; it shall not cost all the time for each of them.
    Here {
        /// Something was answered since.
        answered: bool,
    },
    /// One of what was read before, and nothing has been answered since.
    Before,
}

impl Patience {
    /// Failures that pass are tried for so long.
    pub(super) fn of(most: Duration) -> Self {
        Self {
            most,
            least: most.min(SHORT),
            heard: AtomicBool::new(false),
            answered: AtomicBool::new(false),
            outage: Mutex::new(Outage::None),
        }
    }

    /// The patience of somebody who waits for the outcome.
    pub(super) fn hurried(most: Duration) -> Self {
        Self { least: Duration::ZERO, ..Self::of(most.min(HURRIED)) }
    }

    /// For how long failures are tried by the settings.
    pub(super) fn most(&self) -> Duration {
        self.most
    }

    /// For how long the next request is tried.
    pub(super) fn now(&self) -> Duration {
        match self.outage() {
            Outage::None => self.most,
            Outage::Here { .. } | Outage::Before => self.least,
        }
    }

    /// Whether any request was ever answered, with whatever.
    pub(super) fn has_heard(&self) -> bool {
        self.heard.load(Ordering::Relaxed)
    }

    /// A request was answered.
    pub(super) fn heard(&self) {
        self.heard.store(true, Ordering::Relaxed);
    }

    /// Whether any request was ever answered with success.
    pub(super) fn has_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// A request was answered with success.
    pub(super) fn answered(&self) {
        self.answered.store(true, Ordering::Relaxed);
        self.change(|outage| match outage {
            Outage::None | Outage::Before => Outage::None,
            Outage::Here { .. } => Outage::Here { answered: true },
        });
    }

    /// A request was tried in vain for all of its time.
    pub(super) fn used_up(&self) {
        self.change(|_| Outage::Here { answered: false });
    }

    /// Something else is about to be read.
    pub(super) fn begin(&self) {
        self.change(|outage| match outage {
            Outage::None | Outage::Here { answered: true } => Outage::None,
            Outage::Here { answered: false } | Outage::Before => Outage::Before,
        });
    }

    fn outage(&self) -> Outage {
        *self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl Fn(Outage) -> Outage) {
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        *outage = change(*outage);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Duration = Duration::from_mins(10);

    #[test]
    fn a_server_that_is_dead_is_tried_shortly_until_it_answers() {
        let patience = Patience::of(MOST);
        assert_eq!((patience.now(), patience.has_answered()), (MOST, false));
        patience.used_up();
        assert_eq!(patience.now(), SHORT);
        patience.begin();
        patience.begin();
        assert_eq!(patience.now(), SHORT, "nothing was answered");
        patience.answered();
        assert_eq!((patience.now(), patience.has_answered()), (MOST, true));
    }

    #[test]
    fn a_resource_that_is_broken_for_some_stays_short_until_the_next_one() {
        let patience = Patience::of(MOST);
        patience.used_up();
        patience.answered();
        assert_eq!(patience.now(), SHORT, "others of it are answered");
        patience.begin();
        assert_eq!(patience.now(), MOST);
    }

    #[test]
    fn little_patience_becomes_no_longer() {
        let patience = Patience::of(Duration::from_secs(2));
        patience.used_up();
        assert_eq!(patience.now(), Duration::from_secs(2));
        let hurried = Patience::hurried(MOST);
        assert_eq!(hurried.now(), HURRIED);
        hurried.used_up();
        assert_eq!(hurried.now(), Duration::ZERO);
    }
}
