//! What a run counts: the newest of each figure is kept, and read when metrics are sent.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Figure {
    /// Records that were read.
    Records,
    /// Rows that were written.
    Rows,
    /// Files that were written.
    Files,
    /// Bytes of these files.
    Bytes,
    /// Requests that were sent.
    Requests,
    /// Requests that were sent again.
    Retries,
    /// Seconds in which a request waited for a rate limit.
    Waited,
    /// Seconds from the newest that was read until now.
    Lag,
}

impl Figure {
    const ALL: [Self; 8] = [
        Self::Records,
        Self::Rows,
        Self::Files,
        Self::Bytes,
        Self::Requests,
        Self::Retries,
        Self::Waited,
        Self::Lag,
    ];

    /// Its name, its unit (<https://ucum.org>) and what it is.
    fn described(self) -> [&'static str; 3] {
        match self {
            Self::Records => ["sync.records", "{record}", "Records read"],
            Self::Rows => ["sync.rows", "{row}", "Rows written"],
            Self::Files => ["sync.files", "{file}", "Files written"],
            Self::Bytes => ["sync.bytes", "By", "Bytes of the files written"],
            Self::Requests => {
                ["sync.requests", "{request}", "Requests sent, repeated ones included"]
            }
            Self::Retries => ["sync.retries", "{request}", "Requests sent again"],
            Self::Waited => {
                ["sync.limit.wait", "s", "Time in which a request waited for the rate limit"]
            }
            Self::Lag => {
                ["sync.lag", "s", "Time from the newest record of a stream until it was read"]
            }
        }
    }
}

/// What a figure is of: names of attributes and their values.
type Of<'a> = &'a [(&'static str, &'a str)];

type Values = BTreeMap<Figure, BTreeMap<Vec<(&'static str, String)>, f64>>;

static VALUES: Mutex<Values> = Mutex::new(BTreeMap::new());

fn values() -> MutexGuard<'static, Values> {
    VALUES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells how much it is by now, in all. Who counts looks first whether anything is sent.
pub fn tell(figure: Figure, of: Of<'_>, value: f64) {
    let of = of.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    values().entry(figure).or_default().insert(of, value);
}

/// Has a meter read the figures whenever it looks.
pub(super) fn observe(meter: &Meter) {
    for figure in Figure::ALL {
        let [name, unit, description] = figure.described();
        let read = move |observer: &dyn opentelemetry::metrics::AsyncInstrument<f64>| {
            for (of, value) in values().get(&figure).into_iter().flatten() {
                let of: Vec<_> =
                    of.iter().map(|(name, value)| KeyValue::new(*name, value.clone())).collect();
                observer.observe(*value, &of);
            }
        };
        // The provider keeps what was built.
        match figure {
            Figure::Lag => {
                let gauge = meter.f64_observable_gauge(name).with_unit(unit);
                _ = gauge.with_description(description).with_callback(read).build();
            }
            Figure::Records
            | Figure::Rows
            | Figure::Files
            | Figure::Bytes
            | Figure::Requests
            | Figure::Retries
            | Figure::Waited => {
                let counter = meter.f64_observable_counter(name).with_unit(unit);
                _ = counter.with_description(description).with_callback(read).build();
            }
        }
    }
}
