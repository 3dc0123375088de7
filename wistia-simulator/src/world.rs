//! What changes while the server runs: the account, and what its tests asked for.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::account::{Account, Growth};
use crate::fault::{Fault, Kind};

/// What changes.
#[derive(Debug)]
pub struct World {
    /// When the server started.
    pub started: Instant,
    /// The account.
    pub account: Account,
    /// Faults that were asked for.
    pub faults: Vec<Fault>,
    /// The requests so far, as the control path tells them.
    pub requests: Vec<Value>,
    /// Whether the token is accepted no more.
    pub revoked: bool,
    /// New events for each page of events.
    pub events_per_page: usize,
    recent: VecDeque<Instant>,
    random: fastrand::Rng,
}

impl World {
    /// An account of which nothing was asked yet.
    pub fn new(account: Account) -> Self {
        Self {
            started: Instant::now(),
            faults: Vec::new(),
            requests: Vec::new(),
            revoked: false,
            events_per_page: 0,
            recent: VecDeque::new(),
            random: fastrand::Rng::with_seed(account.recipe.seed ^ 0xfa17),
            account,
        }
    }

    /// The seconds to wait, where the minute's requests are used up.
    pub fn limited(&mut self, requests_per_minute: usize) -> Option<u64> {
        const MINUTE: Duration = Duration::from_mins(1);
        let now = Instant::now();
        while self.recent.front().is_some_and(|first| now - *first >= MINUTE) {
            self.recent.pop_front();
        }
        if self.recent.len() < requests_per_minute {
            self.recent.push_back(now);
            return None;
        }
        let wait = self.recent.front().map_or(MINUTE, |first| MINUTE.saturating_sub(now - *first));
        Some(wait.as_secs() + 1)
    }

    /// The fault that a request meets.
    pub fn fault(&mut self, path: &str, query: &str, rate: f64) -> Option<Fault> {
        for fault in &mut self.faults {
            if !path.contains(&fault.path) || !query.contains(&fault.query) {
                continue;
            }
            if fault.after > 0 {
                fault.after -= 1;
                continue;
            }
            match &mut fault.times {
                Some(0) => continue,
                Some(times) => *times -= 1,
                None => {}
            }
            return Some(fault.clone());
        }
        if self.random.f64() >= rate {
            return None;
        }
        let (kind, status) = Kind::passing(self.random.u64(..));
        Some(Fault { kind, status, seconds: Some(1), ..Fault::default() })
    }

    /// What happens whenever a page of events is read.
    pub fn page_of_events_was_read(&mut self) {
        if self.events_per_page > 0 {
            let new_events = self.events_per_page;
            self.account.grow(&Growth { new_events, ..Growth::default() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Recipe;

    fn world(fault: &str) -> World {
        let today = chrono::NaiveDate::from_ymd_opt(2026, 11, 26).unwrap();
        let recipe = Recipe { seed: 1, medias: 0, events: 0, days: 1, today };
        let mut world = World::new(Account::new(recipe));
        world.faults.push(serde_json::from_str(fault).unwrap());
        world
    }

    #[test]
    fn a_fault_is_met_where_it_was_asked_for_and_as_often() {
        let fault = r#"{"kind":"html","path":"stats/","query":"&page=2","after":1,"times":2}"#;
        let mut world = world(fault);
        let mut is_met = |path, query| world.fault(path, query, 0.0).is_some();
        assert!(!is_met("medias", "per_page=100&page=2"), "another path");
        assert!(!is_met("stats/events", "per_page=100&page=1"), "another page");
        let times = [(); 4].map(|()| is_met("stats/events", "per_page=100&page=2"));
        assert_eq!(times, [false, true, true, false]);
    }

    #[test]
    fn more_requests_than_a_minute_allows_have_to_wait() {
        let mut world = world(r#"{"kind":"html"}"#);
        let waits = [(); 3].map(|()| world.limited(2));
        assert_eq!(waits[..2], [None, None]);
        assert!(waits[2].is_some_and(|seconds| (59..=61).contains(&seconds)), "{waits:?}");
    }
}
