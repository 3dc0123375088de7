//! The types that a reader finds while a column becomes wider.
//!
//! Several objects cannot be put in the place of others in one step. So two types are visible for a
//! moment: between the writes of the objects that were there before, which follow each other without
//! anything in between. A run that dies then leaves them to the next one, which adds no rows before
//! it has brought them to its end.

use std::collections::BTreeSet;
use std::sync::Arc;

use lake::maintain;
use lake::store::{Call, CallKind, MemoryStore, Store};
use lake::table::LoadMethod;

use crate::reader;
use crate::scenarios::{Scenario, all};
use crate::{before, maintain as run_maintenance, work};

/// The keys of the tables' objects.
fn objects(store: &MemoryStore) -> BTreeSet<String> {
    let objects = store.list("").unwrap().into_iter().map(|object| object.key);
    objects.filter(|key| key.ends_with(".parquet") && !key.starts_with("_lake/")).collect()
}

/// The calls of a run that put an object in the place of one that was there, by their position. Where the
/// whole table is replaced, those that add and remove objects as well.
fn replacing(calls: &[Call], before: &BTreeSet<String>, load: LoadMethod) -> Vec<bool> {
    let mut there = before.clone();
    let replaces = |call: &Call| {
        let is_data = call.key.ends_with(".parquet");
        match call.kind {
            CallKind::Finish => {
                let is_new = there.insert(call.key.clone());
                is_data && (!is_new || load == LoadMethod::Overwrite)
            }
            CallKind::Delete => is_data && load == LoadMethod::Overwrite,
            _ => false,
        }
    };
    calls.iter().map(replaces).collect()
}

/// How often two types were visible after a call, of how many.
struct Seen {
    mixed: usize,
    calls: usize,
}

/// Looks at the store after each call of a run.
fn explore(scenario: &Scenario) -> Seen {
    let start = before(scenario);
    let whole = Arc::new(start.snapshot().reopen());
    work(scenario, &whole).unwrap();
    let calls = whole.calls();
    let replacing = replacing(&calls, &objects(&start), reader::load_method(scenario));
    let mut seen = Seen { mixed: 0, calls: calls.len() };
    for at in 1..=calls.len() {
        let store = start.snapshot();
        let view = Arc::new(store.reopen());
        view.stop_before(at + 1);
        _ = work(scenario, &view);
        let what = format!("{}, after call {at} of {}", scenario.name, calls.len());
        if reader::has_two_types(&store, scenario, &what) {
            seen.mixed += 1;
            let around = (calls.get(at - 1), calls.get(at));
            assert!(
                replacing[at - 1] && replacing.get(at).is_some_and(|replaces| *replaces),
                "{what}: two types are visible between {around:?}"
            );
            mend(scenario, &store, &what);
        }
    }
    seen
}

/// The next run adds no rows before the table has one type again, and so does maintenance.
fn mend(scenario: &Scenario, store: &MemoryStore, what: &str) {
    let left = objects(store);
    let compact = maintain::Options { compact: true, ..maintain::Options::default() };
    for maintains in [false, true] {
        let next = |view: &Arc<MemoryStore>| {
            if maintains { run_maintenance(view, &compact) } else { work(scenario, view) }
        };
        let whole = Arc::new(store.snapshot().reopen());
        next(&whole).unwrap();
        let calls = whole.calls();
        for at in 0..=calls.len() {
            let store = store.snapshot();
            let view = Arc::new(store.reopen());
            view.stop_before(at + 1);
            _ = next(&view);
            let what = format!("{what}, then after call {at} of {}", calls.len());
            let ids = reader::ids(&store, "t/", &what);
            let has_added = ids.iter().any(|(key, ids)| !ids.is_empty() && !left.contains(key));
            assert!(
                !has_added || !reader::has_two_types(&store, scenario, &what),
                "{what}: rows are added while two types are visible"
            );
            assert!(
                at < calls.len() || !reader::has_two_types(&store, scenario, &what),
                "{what}: two types are left"
            );
        }
    }
}

#[test]
fn two_types_are_visible_only_between_the_writes_of_one_widening() {
    for scenario in all().iter().filter(|scenario| scenario.widens) {
        let Seen { mixed, calls } = explore(scenario);
        println!("{}: two types after {mixed} of {calls} calls", scenario.name);
    }
}
