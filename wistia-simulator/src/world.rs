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
