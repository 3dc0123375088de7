//! Figures of a run, for its summary.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::waits::Waits;
use crate::clean::Tally;

/// What the client has done so far. Every figure only grows.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    requests: AtomicU64,
    answers: AtomicU64,
    retries: AtomicU64,
    waits: Waits,
    nulled: AtomicU64,
    skipped: AtomicU64,
    unreadable_times: AtomicU64,
    columns: Mutex<BTreeMap<String, u64>>,
}

impl Traffic {
    /// Requests sent, repeated ones included.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Requests that were sent again.
    pub(crate) fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// Requests that were answered with success.
    pub(crate) fn answers(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }

    /// How requests waited for the rate limit.
    pub(crate) fn waits(&self) -> &Waits {
        &self.waits
    }

    /// Values that were null after cleaning though something stood there.
    pub(crate) fn nulled(&self) -> u64 {
        self.nulled.load(Ordering::Relaxed)
    }

    /// The same by table and column.
    pub(crate) fn nulled_columns(&self) -> BTreeMap<String, u64> {
        self.columns.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Times by which a record could not be told to be within the days that are read.
    pub(crate) fn unreadable_times(&self) -> u64 {
        self.unreadable_times.load(Ordering::Relaxed)
    }

    /// A record is kept whose time cannot be read.
    pub(crate) fn unreadable_time(&self) {
        self.unreadable_times.fetch_add(1, Ordering::Relaxed);
    }

    /// Rows that were left out: empty ones, and those whose key cannot be decoded.
    pub(crate) fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }

    /// A request goes out.
    pub(super) fn sent(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// A request will be sent again.
    pub(super) fn repeated(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// A body was cleaned whose columns are those of a table.
    pub(super) fn cleaned(&self, table: &str, tally: &Tally) {
        self.answers.fetch_add(1, Ordering::Relaxed);
        self.nulled.fetch_add(tally.nulled, Ordering::Relaxed);
        self.skipped.fetch_add(tally.skipped, Ordering::Relaxed);
        let odd = tally.columns.iter().filter(|(_, column)| column.nulled > 0);
        let mut columns = self.columns.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, column) in odd {
            *columns.entry(format!("{table}.{name}")).or_default() += column.nulled;
        }
    }
}
