//! Every point at which a run can die, explored.
//!
//! A run on a [`MemoryStore`](lake::store::MemoryStore) is stopped before and after each of its calls,
//! one after the other. What is left each time is looked at as a reader finds it, and the pipeline is
//! run again from the last state that was kept, to its end: then the tables must hold what they hold
//! without a death. As each call is the last one once, each state of the store in between is looked at.
//!
//! Where several runs are at work at once, [`exhaustive`] goes through all states of small [`world`]s, and
//! [`together`] draws orders of larger ones, the same each time. What [`guards`] switches off is missed.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stdout, reason = "how much was explored belongs to the outcome")]

mod cut;
mod exhaustive;
mod guards;
mod iceberg;
mod iceberg_scenarios;
mod iceberg_worlds;
mod late;
mod names;
mod pipeline;
mod reader;
mod scenarios;
mod schedule;
mod together;
mod types;
mod weakness;
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lake::file::Encoding;
use lake::maintain;
use lake::store::{Call, CallKind, MemoryStore};

use scenarios::{Scenario, all};

/// Where a run is stopped.
#[derive(Debug, Clone, Copy)]
enum Stop {
    Before(usize),
    After(usize),
}

impl Stop {
    fn apply(self, store: &MemoryStore) {
        match self {
            Self::Before(call) => store.stop_before(call),
            Self::After(call) => store.stop_after(call),
        }
    }
}

/// How much was explored.
#[derive(Debug, Default)]
struct Explored {
    deaths: AtomicUsize,
    calls: AtomicUsize,
}

/// The store as the runs before the one that is explored have left it.
fn before(scenario: &Scenario) -> MemoryStore {
    let store = MemoryStore::new();
    for pipeline in &scenario.before {
        pipeline.run(&Arc::new(store.reopen())).unwrap();
    }
    store
}

/// Does what is explored.
fn work(scenario: &Scenario, store: &Arc<MemoryStore>) -> lake::Result<()> {
    work_as(scenario, store, pipeline::run_name())
}

/// The same by a run of this name.
fn work_as(scenario: &Scenario, store: &Arc<MemoryStore>, run: String) -> lake::Result<()> {
    match &scenario.maintenance {
        Some(options) => maintain_as(store, options, run),
        None => {
            let store = Arc::<MemoryStore>::clone(store);
            scenario.pipeline.run_as(store, run, pipeline::temp_dir())
        }
    }
}

fn maintain(store: &Arc<MemoryStore>, options: &maintain::Options) -> lake::Result<()> {
    maintain_as(store, options, pipeline::run_name())
}

fn maintain_as(
    store: &Arc<MemoryStore>,
    options: &maintain::Options,
    run: String,
) -> lake::Result<()> {
    let store = Arc::<MemoryStore>::clone(store);
    let lake = pipeline::lake(store, run, 8 << 20, pipeline::temp_dir())?;
    maintain::run(&Arc::new(lake), &|_| Encoding::default(), options).map(drop)
}

/// Stops it at a call, and looks at what is left. Whether it was stopped.
fn die(scenario: &Scenario, store: &MemoryStore, stop: Stop, what: &str) -> bool {
    let view = Arc::new(store.reopen());
    stop.apply(&view);
    let outcome = work(scenario, &view);
    reader::check(&store.reopen(), scenario, what);
    outcome.is_err()
}

/// Runs the pipeline from the last state to its end, and compares.
fn recover(scenario: &Scenario, store: &MemoryStore, what: &str) {
    if scenario.maintenance.is_some() {
        let again = work(scenario, &Arc::new(store.reopen()));
        again.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        reader::check(&store.reopen(), scenario, what);
    }
    let view = Arc::new(store.reopen());
    scenario.pipeline.run(&view).unwrap_or_else(|error| panic!("{what}: {error:?}"));
    reader::check(&store.reopen(), scenario, what);
    reader::compare(&store.reopen(), scenario, what);
}

/// Both ways to stop at a call.
fn stops(call: usize) -> [Stop; 2] {
    [Stop::Before(call), Stop::After(call)]
}

/// How many calls had changed something when a run died. Where no more had than when one died before it, the store is
/// the same, and so is all that follows.
fn changes(calls: &[Call], stop: Stop) -> usize {
    let done = match stop {
        Stop::Before(call) => call - 1,
        Stop::After(call) => call,
    };
    let is_change = |call: &&Call| matches!(call.kind, CallKind::Finish | CallKind::Delete);
    calls.iter().take(done).filter(is_change).count()
}

fn explore(scenario: &Scenario, explored: &Explored) {
    let start = before(scenario);
    let whole = start.snapshot();
    let view = Arc::new(whole.reopen());
    work(scenario, &view).unwrap();
    let calls = view.calls();
    recover(scenario, &whole, scenario.name);
    explored.calls.fetch_add(calls.len(), Ordering::Relaxed);
    let mut known = None;
    for first in (1..=calls.len()).flat_map(stops) {
        let store = start.snapshot();
        let what = format!("{}, {first:?} of {}", scenario.name, calls.len());
        explored.deaths.fetch_add(1, Ordering::Relaxed);
        if !die(scenario, &store, first, &what) {
            // It has come to its end with the last call.
            continue;
        }
        if known.replace(changes(&calls, first)) == known {
            continue;
        }
        if scenario.is_small {
            die_again(scenario, &store, &what, explored);
        }
        if scenario.maintenance.is_none() {
            // What is put together meanwhile can be taken away again where it must.
            let store = store.snapshot();
            let compact = maintain::Options {
                compact: true,
                // And what no snapshot names can go.
                expire: scenario.is_iceberg(),
                ..maintain::Options::default()
            };
            maintain(&Arc::new(store.reopen()), &compact).unwrap();
            recover(scenario, &store, &format!("{what}, then --compact"));
        }
        recover(scenario, &store, &what);
    }
}

/// The run that follows may die as well, anywhere.
fn die_again(scenario: &Scenario, store: &MemoryStore, what: &str, explored: &Explored) {
    let view = Arc::new(store.snapshot());
    work(scenario, &view).unwrap_or_else(|error| panic!("{what}: {error:?}"));
    let calls = view.calls();
    let mut known = None;
    for second in (1..=calls.len()).flat_map(stops) {
        let store = store.snapshot();
        let what = format!("{what}, then {second:?}");
        explored.deaths.fetch_add(1, Ordering::Relaxed);
        die(scenario, &store, second, &what);
        if known.replace(changes(&calls, second)) != known {
            recover(scenario, &store, &what);
        }
    }
}

#[test]
fn whatever_call_a_run_dies_at_nothing_is_lost_and_nothing_is_doubled() {
    let explored = Explored::default();
    let only = std::env::var("EXPLORE_SCENARIO").unwrap_or_default();
    let scenarios: Vec<Scenario> =
        all().into_iter().filter(|scenario| scenario.name.contains(&only)).collect();
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let whole = std::panic::AssertUnwindSafe(|| explore(scenario, &explored));
                    if std::panic::catch_unwind(whole).is_err() {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    println!("{} scenarios, {explored:?}", scenarios.len());
    assert_eq!(failed.into_inner(), 0, "scenarios failed; each says above at which call");
}
