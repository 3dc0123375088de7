//! A reader that takes its time: it lists a table, and reads what it has listed later.
//!
//! Most query engines do: they list when a query is planned. What such a reader must never find are
//! fewer rows in silence. An object that is gone is an error, and the query is asked again. Of an Iceberg table, whose
//! readers begin with a snapshot, none is gone: they go on.

use std::collections::BTreeSet;

use lake::store::MemoryStore;

use crate::pipeline::run_name;
use crate::reader;
use crate::scenarios::{Scenario, all};
use crate::{before, work_as};

/// The store as it is after each of the calls, from none to all.
fn moments(scenario: &Scenario) -> Vec<MemoryStore> {
    let start = before(scenario);
    let whole = std::sync::Arc::new(start.snapshot().reopen());
    // The same run each time, so that its files have the same names.
    let run = run_name();
    work_as(scenario, &whole, run.clone()).unwrap();
    let calls = whole.calls().len();
    let at = |call| {
        let store = start.snapshot();
        let view = std::sync::Arc::new(store.reopen());
        view.stop_before(call + 1);
        // All but the last moment are those of a run that has not come to its end.
        _ = work_as(scenario, &view, run.clone());
        store
    };
    (0..=calls).map(at).collect()
}

/// The ids that are found at a moment in the objects that were listed at another; nothing where an
/// object is gone.
fn find(keys: &[String], objects: &reader::Ids) -> Option<BTreeSet<i64>> {
    let found: Option<Vec<_>> = keys.iter().map(|key| objects.get(key)).collect();
    Some(found?.into_iter().flatten().copied().collect())
}

fn explore(scenario: &Scenario) -> usize {
    let moments = moments(scenario);
    let mut readers = 0;
    for (table, lasting) in reader::lasting(scenario) {
        // Of a plain table all is data, of one of Iceberg what is in a folder of it.
        let folder = if scenario.is_iceberg() { "data/" } else { "" };
        let prefix = format!("{table}/{folder}");
        let listed = moments.iter().map(|store| reader::objects(store, &table));
        let listed: Vec<Vec<String>> = listed.collect();
        let objects: Vec<reader::Ids> =
            moments.iter().map(|store| reader::ids(store, &prefix, scenario.name)).collect();
        for (at, keys) in listed.iter().enumerate() {
            for (later, objects) in objects.iter().enumerate().skip(at) {
                readers += 1;
                let Some(found) = find(keys, objects) else {
                    assert!(
                        !scenario.is_iceberg() || !scenario.erased().is_empty(),
                        "{}: a file that was named after call {at} is gone after call {later}",
                        scenario.name
                    );
                    continue;
                };
                assert!(
                    lasting.is_subset(&found),
                    "{}: listed after call {at} and read after call {later} of {}, {table} misses {:?}",
                    scenario.name,
                    moments.len() - 1,
                    lasting.difference(&found).collect::<Vec<_>>()
                );
            }
        }
    }
    readers
}

#[test]
fn who_lists_a_table_and_reads_it_later_finds_every_row_or_that_an_object_is_gone() {
    let readers: usize = all().iter().map(explore).sum();
    println!("{readers} pairs of a listing and a later reading");
}
